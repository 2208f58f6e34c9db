"""Frames from a drawn film, a camera or a video file; frames into a video file.

A *frame* that OpenCV gives is BGR; here every image is already RGB, uint8 (h, w, 3).
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferlib import synth
from ferlib.common import images
from ferlib.common.backend import silenced_stderr
from ferlib.common.errors import BadInputError
from ferlib.common.files import whole

FILM = "film"
"""The source that needs nothing: a drawn face whose expression changes."""

CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
"""What OpenCV's wheel writes on every system, by suffix. Browsers play neither mp4v nor MJPG."""

_FILM_SECONDS = 20.0  # an endless film is made of films of this length, each with a face of its own
_USUAL_FPS = 25.0  # for files that do not say


@dataclass(frozen=True)
class Frame:
    """One picture of a moving one."""

    index: int
    """0, 1, 2, …"""
    seconds: float
    """Time since the first frame: by the frame rate for films and files, by the clock for cameras."""
    image: np.ndarray
    """uint8 (h, w, 3), RGB."""
    emotion: str | None = None
    """The expression that was drawn; None for cameras and files, where nobody knows it."""


def frames(
    source: str | int | os.PathLike = FILM,
    seconds: float | None = None,
    seed: int = 7,
    fps: float = 12,
    size: tuple[int, int] = (320, 240),
    problems: list[str] | None = None,
) -> Iterator[Frame]:
    """The frames of a source, one after the other; the source is closed when the iterator is.

    `source`: "film", a camera's number (0 is the first), or the path of a video file.
    `seconds`: stop there; None goes on to the end of a file, and without end for film and camera.
    `seed`, `fps`, `size` = (width, height) in pixels: of the film only.
    Raises BadInputError, at the first frame, for a camera or file that cannot be opened or is empty,
    and later for a camera that stops answering. A cut file gives the frames it has, and a line in `problems`
    where a list is given.
    """
    number = camera_number(source)
    if source == FILM:
        yield from _film(seconds, seed, fps, size)
    elif number is not None:
        yield from _camera(number, seconds)
    else:
        yield from _file(Path(source), seconds, [] if problems is None else problems)


def camera_number(source: str | int | os.PathLike) -> int | None:
    """The number in a source that means a camera (0, "0", 1, …); None for a film or a file."""
    if isinstance(source, str) and source.strip().isdecimal():
        return int(source)
    if isinstance(source, int | np.integer) and not isinstance(source, bool):
        if source < 0:
            raise BadInputError(f"camera {source}: cameras are numbered from 0")
        return int(source)
    if not isinstance(source, str | os.PathLike):
        raise BadInputError(f"source {source!r}: give 'film', a camera's number, or a video file")
    return None


def _film(seconds: float | None, seed: int, fps: float, size: tuple[int, int]) -> Iterator[Frame]:
    parts = (
        synth.film(seed + k, _FILM_SECONDS if seconds is None else seconds, fps=fps, size=size)
        for k in itertools.count()
    )
    film = itertools.chain.from_iterable(parts) if seconds is None else next(parts)
    for index, (image, emotion) in enumerate(film):
        yield Frame(index, index / fps, image, emotion)


def _camera(number: int, seconds: float | None) -> Iterator[Frame]:
    with _capture(number) as capture:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # else a slow reader sees the past; not every driver obeys
        start = None
        for index in itertools.count():
            good, frame = capture.read()
            now = time.monotonic()
            start = now if start is None else start
            if not good:
                what = "opened but gives no picture" if index == 0 else f"stopped after {index} frames"
                raise BadInputError(
                    f"camera {number} {what}; is it plugged in, and free of other programmes?"
                )
            if seconds is not None and now - start >= seconds:
                return
            yield Frame(index, now - start, images.to_rgb(frame))


def _file(path: Path, seconds: float | None, problems: list[str]) -> Iterator[Frame]:
    with _opened(path) as capture:
        fps, promised = _rate(capture), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        for index in itertools.count():
            if seconds is not None and index / fps >= seconds:
                return
            good, frame = capture.read()
            if not good and index == 0:
                raise BadInputError(f"{path}: no frame in it can be decoded; is it a whole video file?")
            if not good:
                # some formats only estimate the number; nan and numbers below zero promise nothing
                if promised - index > max(2, 0.01 * promised):
                    problems.append(
                        f"{path}: ends after {index} of {promised:.0f} frames; it is cut or damaged"
                    )
                return
            yield Frame(index, index / fps, images.to_rgb(frame))


def frame_rate(path: str | os.PathLike) -> float:
    """Frames a second of a video file; 25 for a file that does not say. Raises BadInputError as `frames` does."""
    with _opened(Path(path)) as capture:
        return _rate(capture)


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    if not path.is_file():
        raise BadInputError(f"{path}: no such video file; give 'film', a camera's number, or a file's path")
    with _capture(str(path)) as capture:
        yield capture


def _rate(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 1 <= fps <= 240 else _USUAL_FPS  # also for nan


@contextmanager
def _capture(source: int | str) -> Iterator[cv2.VideoCapture]:
    """An opened source that is released in any case; OpenCV's own words stay off the terminal."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, when the first file is opened
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        with silenced_stderr():
            capture = cv2.VideoCapture(source)
    finally:
        log.setLogLevel(level)
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


def write_video(path: str | os.PathLike, pictures: Iterable[np.ndarray], fps: float = 12) -> int:
    """Write RGB pictures of one size, uint8 (h, w, 3), as .avi (MJPG) or .mp4 (mp4v); returns their count.

    Written beside and renamed, never half a file. Raises BadInputError for another suffix, no
    pictures, pictures of different sizes, or a codec that this OpenCV lacks.
    """
    count = 0
    with video_writer(path, fps) as write:
        for image in pictures:
            write(image)
            count += 1
    return count


@contextmanager
def video_writer(path: str | os.PathLike, fps: float = 12) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that takes one picture after the other; the video is there when the block ends well.

    All as in `write_video`; only one picture is in memory.
    """
    path = Path(path)
    if path.suffix.lower() not in CODECS:
        raise BadInputError(f"{path.name}: a video's suffix must be {' or '.join(CODECS)}")
    with whole(path) as part:
        writer, shape, count = None, None, 0

        def write(image: np.ndarray) -> None:
            nonlocal writer, shape, count
            if writer is None:
                shape, writer = image.shape, _writer(part, image.shape, fps)
            if image.shape != shape:  # OpenCV drops such a frame without a word
                raise BadInputError(f"{path.name}: frame {count} is {image.shape}, the first was {shape}")
            writer.write(images.to_bgr(image))
            count += 1

        try:
            yield write
            if writer is None:
                raise BadInputError(f"{path.name}: no pictures to write")
        finally:
            if writer is not None:
                writer.release()


def _writer(path: Path, shape: tuple[int, ...], fps: float) -> cv2.VideoWriter:
    codec = CODECS[path.suffix.lower()]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (shape[1], shape[0]))
    if not writer.isOpened():
        raise BadInputError(f"{path.name}: cannot be written with codec {codec} in {path.parent.name or '.'}")
    return writer
