"""A live picture in a window of OpenCV's: box, expression, probabilities; `q` quits."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np

from ferlib.common import images
from ferlib.common.errors import FerlibError
from ferlib.detect.detector import Detector
from ferlib.live.film import follow, read_frames
from ferlib.live.overlay import draw_readings
from ferlib.live.video import FILM, camera_number, frames
from ferlib.model.predictor import Predictor

TITLE = "ferlib - q quits"
_QUIT = (ord("q"), ord("Q"), 27)  # 27: the escape key
_PROBE = "import cv2; cv2.namedWindow('ferlib'); cv2.waitKey(1); cv2.destroyAllWindows()"


@dataclass(frozen=True)
class Window:
    """The functions of a window. A test gives its own."""

    show: Callable[[np.ndarray], object]
    """Takes an RGB picture, uint8 (h, w, 3)."""
    key: Callable[[int], int]
    """Waits up to so many milliseconds, 1 or more; gives the key's number, -1 for none."""
    is_open: Callable[[], bool]
    """False once the user has closed the window."""
    close: Callable[[], object]


def open_window(title: str = TITLE) -> Window:
    """A window of OpenCV's. Raises FerlibError where there is no display to open one on.

    Without a display OpenCV's Qt ends the whole program, so another process tries it first.
    """
    tried = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    if tried.returncode:
        raise FerlibError(
            "no window can be opened: there is no display here, or this OpenCV has no windows; "
            "use the live cell of notebook 06, or `ferlib predict film.mp4 --annotated out.mp4`"
        )
    cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    return Window(
        show=lambda image: cv2.imshow(title, images.to_bgr(image)),
        key=lambda wait: cv2.waitKey(wait),
        is_open=lambda: cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1,
        close=cv2.destroyAllWindows,
    )


def show_live(
    window: Window,
    bundle: Predictor,
    detector: Detector,
    source: str | int = 0,
    views: str = "one",
    emoji: bool = False,
    weight: float = 0.3,
    seed: int = 7,
) -> tuple[int, float]:
    """Show a source (see `video.frames`) until `q`, escape, the window's own button, or its end.

    Gives the frames shown and how many a second, over the last fifty. Films and files keep their own speed where the
    machine is quick enough. Source and window are closed whatever happens. Raises as `video.frames`.
    """
    live = camera_number(source) is not None
    count, shown = 0, deque(maxlen=50)
    begin = time.monotonic()
    try:
        with closing(frames(source, seed=seed)) as stream:
            for frame, readings in follow(read_frames(stream, bundle, detector, views), weight):
                window.show(draw_readings(frame.image, readings, emoji=emoji))
                count += 1
                shown.append(time.monotonic())
                early = 0.0 if live else frame.seconds - (shown[-1] - begin)
                begin -= min(early, 0.0)  # too slow for the source: go on slower, do not rush afterwards
                if window.key(max(1, round(1000 * early))) & 0xFF in _QUIT or not window.is_open():
                    break
    finally:
        window.close()
    return count, (len(shown) - 1) / max(shown[-1] - shown[0], 1e-3) if count > 1 else 0.0


def source_of(text: str) -> str | int:
    """What the command line means by a source: a camera's number, "film", or a video file."""
    number = camera_number(text)
    return text if number is None or text == FILM else number
