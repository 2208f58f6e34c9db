"""Tests and nbval never touch a student's work folders: each run has a fresh one of its own."""

import os
import tempfile


def pytest_configure(config):
    os.environ["FERLIB_WORK"] = tempfile.mkdtemp(prefix="ferlib-test-")
