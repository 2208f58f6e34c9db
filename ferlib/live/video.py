"""Frames from a drawn film, a camera or a video file; frames into a video file.

A *frame* that OpenCV gives is BGR; here every image is RGB, uint8 (h, w, 3).
"""

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferlib import synth
from ferlib.common import images
from ferlib.common.backend import silenced_stderr
from ferlib.common.errors import BadInputError, logger
from ferlib.common.files import whole

FILM = "film"
"""The source that needs nothing: a drawn face whose expression changes."""

CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
"""What OpenCV's wheel writes on every system, by suffix. Browsers play neither mp4v nor MJPG."""

_FILM_SECONDS = 20.0  # an endless film is made of films of this length, each with a face of its own
_DEFAULT_FPS = 25.0  # for files that do not say


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: Number of the frame, from 0.
        seconds: Time since the first frame: by the frame rate for films and files, by the clock for cameras.
        image: RGB, uint8 (h, w, 3).
        emotion: The expression that was drawn; None for cameras and files, where nobody knows it.
    """

    index: int
    seconds: float
    image: np.ndarray
    emotion: str | None = None


def frames(
    source: str | int | os.PathLike = FILM,
    seconds: float | None = None,
    seed: int = 7,
    fps: float = 12,
    size: tuple[int, int] = (320, 240),
) -> Generator[Frame, None, None]:
    """Read the frames of a source one after the other; the source is released when the iterator is closed.

    A damaged file gives the frames that it has, and a warning is logged.

    Args:
        source: `"film"`, a camera's number (0 is the first), or the path of a video file.
        seconds: Where to stop; None reads a file to its end, and film and camera without end.
        seed: Of the drawn film only.
        fps: Frames per second, of the drawn film only.
        size: (width, height) in pixels, of the drawn film only.

    Yields:
        The frames.

    Raises:
        BadInputError: At the first frame, where a camera or file cannot be opened or is empty; later, where a
            camera stops answering.
    """
    number = camera_number(source)
    if source == FILM:
        yield from _film_frames(seconds, seed, fps, size)
    elif number is not None:
        yield from _camera_frames(number, seconds)
    elif not isinstance(source, int):
        yield from _file_frames(Path(source), seconds)


def camera_number(source: str | int | os.PathLike) -> int | None:
    """Tell whether a source is a camera.

    Args:
        source: As `frames` takes it.

    Returns:
        The number of the camera (for 0, "0", 1 and so on); None for a film or a file.

    Raises:
        BadInputError: A negative number, or a source of another type.
    """
    if isinstance(source, str | os.PathLike):
        return int(source) if isinstance(source, str) and source.strip().isdecimal() else None
    if isinstance(source, bool) or not isinstance(source, int | np.integer):
        raise BadInputError(f"source {source!r}: give 'film', a camera's number, or a video file")
    if source < 0:
        raise BadInputError(f"camera {source}: cameras are numbered from 0")
    return int(source)


def _film_frames(seconds: float | None, seed: int, fps: float, size: tuple[int, int]) -> Iterator[Frame]:
    length = _FILM_SECONDS if seconds is None else seconds
    films = (synth.film(seed + k, length, fps=fps, size=size) for k in itertools.count())
    film = itertools.chain.from_iterable(films) if seconds is None else next(films)
    for index, (image, emotion) in enumerate(film):
        yield Frame(index, index / fps, image, emotion)


def _camera_frames(number: int, seconds: float | None) -> Iterator[Frame]:
    with _capture(number) as capture:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # else a slow reader sees the past; not every driver obeys
        start = None
        for index in itertools.count():
            success, frame = capture.read()
            now = time.monotonic()
            start = now if start is None else start
            if not success:
                what = "opened but gives no picture" if index == 0 else f"stopped after {index} frames"
                raise BadInputError(f"camera {number} {what}; is it plugged in, and not in use elsewhere?")
            if seconds is not None and now - start >= seconds:
                return
            yield Frame(index, now - start, images.to_rgb(frame))


def _file_frames(path: Path, seconds: float | None) -> Iterator[Frame]:
    with _capture(path) as capture:
        fps, total = _rate(capture), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        for index in itertools.count():
            if seconds is not None and index / fps >= seconds:
                return
            success, frame = capture.read()
            if success:
                yield Frame(index, index / fps, images.to_rgb(frame))
                continue
            if index == 0:
                raise BadInputError(f"{path}: no frame in it can be decoded; is it a complete video file?")
            # some formats only estimate the number; nan and numbers below zero say nothing
            if total - index > max(2, 0.01 * total):
                logger.warning("%s: ends after %d of %.0f frames; it is cut or damaged", path, index, total)
            return


def frame_rate(path: str | os.PathLike) -> float:
    """Read the frame rate of a video file.

    Args:
        path: The file.

    Returns:
        Frames per second; 25 for a file that does not say.

    Raises:
        BadInputError: The file cannot be opened.
    """
    with _capture(Path(path)) as capture:
        return _rate(capture)


def _rate(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 1 <= fps <= 240 else _DEFAULT_FPS  # also for nan


@contextmanager
def _capture(source: int | Path) -> Iterator[cv2.VideoCapture]:
    """An opened source that is always released; OpenCV's own messages stay off the terminal."""
    if isinstance(source, Path) and not source.is_file():
        raise BadInputError(f"{source}: no such video file; give 'film', a camera's number, or a file's path")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, when the first file is opened
    with silenced_stderr():
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not capture.isOpened():
            if isinstance(source, int):
                raise BadInputError(
                    f"no camera {source} here; plug one in, or use the source 'film' or a video file"
                )
            raise BadInputError(f"{source}: OpenCV cannot open it as a video; try an .mp4 or .avi file")
        yield capture
    finally:
        capture.release()


class FrameClock:
    """Keep the frames of a stream to their own speed, and measure how many are shown per second.

    Args:
        source: The source, as `frames` takes it. A camera is never waited for.
    """

    def __init__(self, source: str | int | os.PathLike = FILM):
        self._is_camera = camera_number(source) is not None
        self._start = time.monotonic()
        self._shown: deque[float] = deque(maxlen=50)

    def delay(self, frame: Frame) -> float:
        """Tell how long to wait before a frame is due.

        Args:
            frame: The next frame.

        Returns:
            Seconds, 0 or more. A stream that is too slow goes on more slowly; it does not catch up later.
        """
        early = frame.seconds - (time.monotonic() - self._start)
        self._start -= min(early, 0.0)
        return 0.0 if self._is_camera else max(0.0, early)

    def tick(self) -> None:
        """Note that a frame is shown now."""
        self._shown.append(time.monotonic())

    @property
    def fps(self) -> float:
        """Frames per second over the last fifty frames; 0 before the second one."""
        if len(self._shown) < 2:
            return 0.0
        return (len(self._shown) - 1) / max(self._shown[-1] - self._shown[0], 1e-3)


def write_video(path: str | os.PathLike, pictures: Iterable[np.ndarray], fps: float = 12) -> int:
    """Write pictures as a video. An incomplete file never replaces an older one.

    Args:
        path: An .avi (MJPG) or .mp4 (mp4v).
        pictures: RGB, uint8 (h, w, 3), all of one size.
        fps: Frames per second.

    Returns:
        The number of pictures.

    Raises:
        BadInputError: Another suffix, no pictures, pictures of different sizes, or a codec that this OpenCV lacks.
    """
    count = 0
    with video_writer(path, fps) as write:
        for image in pictures:
            write(image)
            count += 1
    return count


@contextmanager
def video_writer(path: str | os.PathLike, fps: float = 12) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a video as `write_video` does, picture by picture; only one is in memory.

    Args:
        path: An .avi (MJPG) or .mp4 (mp4v); it is there when the block has ended without an error.
        fps: Frames per second.

    Yields:
        A function that appends a picture.

    Raises:
        BadInputError: As `write_video`.
    """
    path = Path(path)
    if path.suffix.lower() not in CODECS:
        raise BadInputError(f"{path.name}: a video's suffix must be {' or '.join(CODECS)}")
    writer, codec, shape, count = cv2.VideoWriter(), CODECS[path.suffix.lower()], (0, 0, 3), 0
    with whole(path) as part:

        def write(image: np.ndarray) -> None:
            nonlocal shape, count
            if not count:
                shape = image.shape
                writer.open(str(part), cv2.VideoWriter.fourcc(*codec), fps, (shape[1], shape[0]))
                if not writer.isOpened():
                    where = path.parent.name or "."
                    raise BadInputError(f"{path.name}: cannot be written with codec {codec} in {where}")
            if image.shape != shape:  # OpenCV drops such a frame silently
                raise BadInputError(f"{path.name}: frame {count} is {image.shape}, the first was {shape}")
            writer.write(images.to_bgr(image))
            count += 1

        try:
            yield write
            if not count:
                raise BadInputError(f"{path.name}: no pictures to write")
        finally:
            writer.release()
