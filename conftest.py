"""Tests and nbval never touch a student's work folders: each run has a fresh one of its own.

`FERLIB_TEST_WORK` names it for a test that looks into what an inner run has left.
"""

import os
import tempfile


def pytest_configure(config):
    os.environ["FERLIB_WORK"] = os.environ.get("FERLIB_TEST_WORK") or tempfile.mkdtemp(prefix="ferlib-test-")
