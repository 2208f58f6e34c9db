"""Tests and nbval never touch a student's work folders: each run has a fresh one of its own.

`FERLIB_TEST_WORK` names it for a test that looks into what an inner run has left.
"""

import os
import tempfile
from itertools import islice

from hypothesis import settings


def pytest_configure(config):
    # A deadline a case would make a test fail on a busy machine and say nothing about the code.
    settings.register_profile("ferlib", deadline=None)
    settings.load_profile("ferlib")
    # One thread for TensorFlow in each process: several tests run at once, and more threads than cores only wait.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ["FERLIB_WORK"] = os.environ.get("FERLIB_TEST_WORK") or tempfile.mkdtemp(prefix="ferlib-test-")


def pytest_collection_modifyitems(items):
    # Each process of pytest-xdist begins with an equal run of this list. The notebooks take longest: they are
    # dealt out to the beginnings, else one process would run them while the others have nothing left to do.
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.path.name == "test_notebooks.py"]
    others = iter([item for item in items if item.path.name != "test_notebooks.py"])
    ends = [len(items) * (k + 1) // processes for k in range(processes)]
    dealt = []
    for k, end in enumerate(ends):
        dealt += long[k::processes]
        dealt += islice(others, end - len(dealt))
    items[:] = dealt
