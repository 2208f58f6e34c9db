"""The live window, with functions of our own in place of OpenCV's."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ferlib.common.errors import BadInputError, FerlibError
from ferlib.live import window
from ferlib.live.video import Frame


class Screen:
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


@pytest.fixture
def source(monkeypatch):
    """Gray frames, an hour apart; says whether it was closed. Nobody really waits for the next one."""
    state = {"closed": 0, "count": 30, "error": None}

    def frames(source):
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
def test_a_key_quits(source, recognizer, key):
    screen = Screen(key, after=4)
    count, rate = window.show_live(screen.window, recognizer)
    assert count == len(screen.shown) == 4 and rate > 0
    assert screen.closed == source["closed"] == 1


def test_other_keys_and_none_do_not(source, recognizer):
    screen = Screen(ord("x"), after=2)
    count, _ = window.show_live(screen.window, recognizer)
    assert count == 30 and screen.closed == source["closed"] == 1


def test_closing_the_window_ends_it(source, recognizer):
    screen = Screen(closed_after=3)
    assert window.show_live(screen.window, recognizer)[0] == 3
    assert source["closed"] == 1


def test_an_error_closes_source_and_window(source, recognizer):
    source["count"], source["error"] = 2, BadInputError("camera 0 stopped")
    screen = Screen()
    with pytest.raises(BadInputError, match="camera 0 stopped"):
        window.show_live(screen.window, recognizer)
    assert screen.closed == source["closed"] == 1


def test_a_camera_is_not_waited_for_and_a_file_is(source, recognizer):
    source["count"] = 8
    camera, file = Screen(), Screen()
    window.show_live(camera.window, recognizer, 0)
    window.show_live(file.window, recognizer, "some.mp4")
    assert set(camera.waits) == {1}
    assert len(file.waits) == 8 and file.waits[1] == pytest.approx(3_600_000, rel=0.1)  # milliseconds


def test_a_film_is_shown_annotated_and_followed(recognizer):
    screen = Screen(after=3)
    window.show_live(screen.window, recognizer, "film", emoji=True)
    assert all(image.shape == (240, 320, 3) and image.dtype == np.uint8 for image in screen.shown)
    yellow = [(np.abs(image.astype(int) - (236, 225, 51)).max(axis=2) < 30).mean() for image in screen.shown]
    assert max(yellow) > 0.02  # the happy emoji and label


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
