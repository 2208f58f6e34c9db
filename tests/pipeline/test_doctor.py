"""The doctor names what is missing and how to get it."""

import subprocess

import pytest

from ferlib.common.extras import EXTRAS
from ferlib.pipeline import doctor


def test_every_line_says_what_was_found():
    checks = doctor.check_machine()
    assert [c.name for c in checks] == [
        "Python", "OpenCV", "packages", *EXTRAS, "Graphviz", "Camera", "Browser", "Memory", "Disk",
    ]  # fmt: skip
    text = doctor.report(checks)
    assert all(check.found in text for check in checks)
    assert all(check.fine for check in checks if check.required)


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory\n",
            "libGL.so.1",
        ),
        ("AssertionError: no cascade files (OpenCV 5 has none)\n", "no cascade files"),
        ("", "ended the process"),
    ],
)
def test_a_broken_opencv_brings_the_apt_line(monkeypatch, stderr, expected):
    broken = subprocess.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(doctor, "_try", lambda code: broken)
    check = doctor._opencv()
    assert not check.fine and check.required and expected in check.found
    assert "libgl1 libglib2.0-0 libxcb1" in doctor.report([check])


def test_no_dot_is_a_comfort_missing_not_an_error(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    check = doctor._graphviz()
    assert not check.fine and not check.required and "Mermaid" in check.found
    assert "without" in doctor.report([check]) and "graphviz" in check.advice


def test_the_camera_is_tried_in_a_process_that_may_hang(monkeypatch):
    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("python", 30)

    monkeypatch.setattr(subprocess, "run", hang)
    assert not doctor._camera().fine
