"""Tests and nbval never touch a student's work folders: each run has a fresh one of its own.

`FERLIB_TEST_WORK` names it for a test that looks into what an inner run has left.
"""

import os
import tempfile
from itertools import islice
from pathlib import Path

from hypothesis import settings


def pytest_configure(config):
    # A deadline a case would make a test fail on a busy machine and say nothing about the code.
    settings.register_profile("ferlib", deadline=None)
    settings.load_profile("ferlib")
    # One thread for TensorFlow in each process: several tests run at once, and more threads than cores only wait.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ["FERLIB_WORK"] = os.environ.get("FERLIB_TEST_WORK") or tempfile.mkdtemp(prefix="ferlib-test-")


# Need TensorFlow, a browser, a server, processes of their own or many drawn faces: `make check` leaves them out.
# fmt: off
HEAVY = (
    "annotate/test_crop", "annotate/test_formats", "annotate/test_session", "browser/", "commands/",
    "common/test_backend", "common/test_decode", "crawl/", "detect/test_detector", "dataset/test_build",
    "dataset/test_fer2013", "dataset/test_photographs", "evaluate/test_full_report",
    "evaluate/test_gradcam", "evaluate/test_html_report", "evaluate/test_model_card",
    "evaluate/test_photographs", "live/test_behind_nginx", "live/test_camera", "live/test_cuts",
    "live/test_folder", "live/test_serve", "live/test_video", "live/test_window", "model/test_bundle",
    "model/test_keras_import", "model/test_recognise", "model/test_shipped", "pipeline/test_doctor",
    "pipeline/test_notebooks", "pipeline/test_runner", "synth/", "test_real", "train/",
)
# fmt: on


def is_heavy(path):
    tests = Path(__file__).parent / "tests"  # a notebook that nbval runs is not below it
    return path.is_relative_to(tests) and path.relative_to(tests).as_posix().startswith(HEAVY)


def pytest_ignore_collect(collection_path, config):
    """Heavy modules are not even imported where they are not wanted: some import Keras."""
    if (
        config.option.markexpr == "not heavy"
        and collection_path.suffix == ".py"
        and is_heavy(collection_path)
    ):
        return True
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if is_heavy(item.path):
            item.add_marker("heavy")
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
