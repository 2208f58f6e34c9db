"""The live window, with functions of our own in place of OpenCV's."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ferlib.common.errors import BadInputError, FerlibError
from ferlib.common.labels import SEVEN
from ferlib.detect import detector as faces
from ferlib.live import window
from ferlib.live.video import Frame


class Model:
    class_names, input_shape = SEVEN, (48, 48, 1)

    def predict(self, faces):
        return np.tile(np.float32([0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05]), (len(faces), 1))


class Desk:
    """Stands in for the screen: notes what is shown, presses `key` after `after` pictures."""

    def __init__(self, key=27, after=10**9, closed_after=10**9):
        self.shown, self.waits, self.closed = [], [], 0
        self._key, self._after, self._closed_after = key, after, closed_after
        self.window = window.Window(self.shown.append, self._press, self._open, self._close)

    def _press(self, wait):
        self.waits.append(wait)
        return self._key if len(self.shown) >= self._after else -1

    def _open(self):
        return len(self.shown) < self._closed_after

    def _close(self):
        self.closed += 1


@pytest.fixture(scope="module")
def detector():
    return faces.load_cascade()


@pytest.fixture
def source(monkeypatch):
    """Gray frames, an hour apart; says whether it was closed. Nobody really waits for the next one."""
    state = {"closed": 0, "count": 30, "error": None}

    def frames(source, seed=7):
        try:
            for k in range(state["count"]):
                yield Frame(k, 3600.0 * k, np.full((120, 160, 3), 90, np.uint8), None)
            if state["error"]:
                raise state["error"]
        finally:
            state["closed"] += 1

    monkeypatch.setattr(window, "frames", frames)
    return state


@pytest.mark.parametrize("key", [ord("q"), ord("Q"), 27, ord("q") | 0x100000])  # some systems add bits
def test_a_key_quits(source, detector, key):
    desk = Desk(key, after=4)
    count, rate = window.show_live(desk.window, Model(), detector)
    assert count == len(desk.shown) == 4 and rate > 0
    assert desk.closed == source["closed"] == 1


def test_other_keys_and_none_do_not(source, detector):
    desk = Desk(ord("x"), after=2)
    count, _ = window.show_live(desk.window, Model(), detector)
    assert count == 30 and desk.closed == source["closed"] == 1


def test_closing_the_window_ends_it(source, detector):
    desk = Desk(closed_after=3)
    assert window.show_live(desk.window, Model(), detector)[0] == 3
    assert source["closed"] == 1


def test_an_error_closes_source_and_window(source, detector):
    source["count"], source["error"] = 2, BadInputError("camera 0 stopped")
    desk = Desk()
    with pytest.raises(BadInputError, match="camera 0 stopped"):
        window.show_live(desk.window, Model(), detector)
    assert desk.closed == source["closed"] == 1


def test_a_camera_is_not_waited_for_and_a_file_is(source, detector):
    source["count"] = 8
    camera, file = Desk(), Desk()
    window.show_live(camera.window, Model(), detector, 0)
    window.show_live(file.window, Model(), detector, "some.mp4")
    assert set(camera.waits) == {1}
    assert len(file.waits) == 8 and file.waits[1] == pytest.approx(3_600_000, rel=0.1)  # milliseconds


def test_a_film_is_shown_annotated_and_followed(detector):
    desk = Desk(after=3)
    window.show_live(desk.window, Model(), detector, "film", emoji=True)
    assert all(image.shape == (240, 320, 3) and image.dtype == np.uint8 for image in desk.shown)
    yellow = [(np.abs(image.astype(int) - (236, 225, 51)).max(axis=2) < 30).mean() for image in desk.shown]
    assert max(yellow) > 0.02  # the happy emoji and label


@pytest.mark.parametrize(("text", "source"), [("0", 0), (" 2 ", 2), ("film", "film"), ("a/b.mp4", "a/b.mp4")])
def test_sources_as_the_command_line_names_them(text, source):
    assert window.source_of(text) == source


def test_no_display_is_one_clear_line(monkeypatch):
    done = subprocess.CompletedProcess([], -6)  # Qt ends the process that asks for a window
    monkeypatch.setattr(window.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(FerlibError, match=r"no window can be opened.*no display"):
        window.open_window()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has no display by an empty DISPLAY")
def test_the_command_without_a_display_ends_in_one_line():
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-m", "ferlib", "webcam"], capture_output=True, text=True, env=bare, timeout=120
    )
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("ferlib: no window can be opened")
