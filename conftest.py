"""Tests and nbval never touch a student's work folders: each run has a fresh one of its own.

`FERLIB_TEST_WORK` names it for a test that looks into what an inner run has left.
"""

import os
import tempfile

from hypothesis import settings


def pytest_configure(config):
    # A deadline a case would make a test fail on a busy machine and say nothing about the code.
    settings.register_profile("ferlib", deadline=None)
    settings.load_profile("ferlib")
    os.environ["FERLIB_WORK"] = os.environ.get("FERLIB_TEST_WORK") or tempfile.mkdtemp(prefix="ferlib-test-")


def pytest_collection_modifyitems(items):
    # The longest first: at the end one process would run them while the other has nothing left to do.
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")
