"""Live predictions in a window of OpenCV's: box, expression, probabilities; `q` quits."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np

from ferlib.common import images
from ferlib.common.errors import FerlibError
from ferlib.live.overlay import draw_predictions
from ferlib.live.video import FrameClock, frames
from ferlib.live.video_faces import read_frames, track_faces
from ferlib.model.recognise import Recognizer

TITLE = "ferlib - q quits"
_QUIT = (ord("q"), ord("Q"), 27)  # 27: the escape key
_PROBE = "import cv2; cv2.namedWindow('ferlib'); cv2.waitKey(1); cv2.destroyAllWindows()"


@dataclass(frozen=True)
class Window:
    """The functions of a window. A test brings its own.

    Attributes:
        show: Takes an RGB picture, uint8 (h, w, 3).
        key: Waits up to so many milliseconds, 1 or more; returns the key's number, -1 for none.
        is_open: False once the user has closed the window.
        close: Closes the window.
    """

    show: Callable[[np.ndarray], object]
    key: Callable[[int], int]
    is_open: Callable[[], bool]
    close: Callable[[], object]


def open_window(title: str = TITLE) -> Window:
    """Open a window of OpenCV's.

    Without a display OpenCV's Qt ends the program, so another process tries it first.

    Args:
        title: The title of the window.

    Returns:
        The window.

    Raises:
        FerlibError: There is no display to open it on.
    """
    tried = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    if tried.returncode:
        raise FerlibError(
            "no window can be opened: there is no display here, or this OpenCV has no windows; "
            "use the camera cell of notebook 06, or `ferlib predict video.mp4 --annotated out.mp4`"
        )
    cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    return Window(
        show=lambda image: cv2.imshow(title, images.to_bgr(image)),
        key=cv2.waitKey,
        is_open=lambda: cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1,
        close=cv2.destroyAllWindows,
    )


def show_live(
    window: Window,
    recognizer: Recognizer,
    source: str | int = 0,
    emoji: bool = False,
    weight: float = 0.3,
) -> tuple[int, float]:
    """Show a source with its predictions until `q`, escape, the window's close button, or its end.

    The drawn film and files keep their own speed where the machine is fast enough. Source and window are always
    released.

    Args:
        window: Where to show it.
        recognizer: The model and the detector.
        source: As `ferlib.live.video.frames` takes it.
        emoji: Whether each face is covered by its emoji.
        weight: Weight of the newest frame in the smoothing, above 0 and at most 1; 1 does not smooth.

    Returns:
        The number of frames shown, and frames per second over the last fifty.

    Raises:
        BadInputError: The source cannot be opened, or a camera stops answering.
    """
    count, clock = 0, FrameClock(source)
    try:
        with closing(frames(source)) as stream:
            for frame, faces in track_faces(read_frames(stream, recognizer), weight):
                window.show(draw_predictions(frame.image, faces, emoji=emoji))
                count += 1
                clock.tick()
                wait = max(1, round(1000 * clock.delay(frame)))
                if window.key(wait) & 0xFF in _QUIT or not window.is_open():
                    break
    finally:
        window.close()
    return count, clock.fps
