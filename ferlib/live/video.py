"""Frames from a drawn film, a camera or a video file; frames into a video file.

A *frame* that OpenCV gives is BGR; here every image is RGB, uint8 (h, w, 3).
"""

import itertools
import os
import re
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
from ferlib.common.errors import BadInputError, ImageError, logger
from ferlib.common.files import whole
from ferlib.live.outputs import kept

FILM = "film"
"""The source that needs nothing: a drawn face whose expression changes."""

SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"),
    *(".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".flv", ".ogv", ".vob"),
)
"""Suffixes of files that are taken for videos."""

CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
"""What OpenCV's wheel writes on every system, by suffix. Browsers play neither mp4v nor MJPG."""

_FILM_SECONDS = 20.0  # an endless film is made of films of this length, each with a face of its own
_DEFAULT_FPS = 25.0  # for files that do not say
_MAX_FPS = 240.0  # more is no rate but a unit of time: 1000 in .webm, 90000 in .ts
_LONGEST_GAP = 3600.0  # seconds between two frames; more is a damaged time stamp
_ADDRESS = re.compile(r"(rtsps?|https?|rtmps?|udp|tcp)://", re.IGNORECASE)
_TIMEOUT = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 15_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 15_000)


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: Number of the frame, from 0.
        seconds: Time since the start: the container's time stamp in a file, by the frame rate in a drawn film, by
            the clock for cameras.
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
        source: `"film"`, a camera's number (0 is the first), the address of a network camera (rtsp://, http://,
            https://), or the path of a video file.
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
    elif isinstance(source, str) and is_address(source):
        yield from _camera_frames(source, seconds)
    elif not isinstance(source, int):
        yield from file_frames(source, end=seconds)


def is_address(source: object) -> bool:
    """Tell whether a source is the address of a network camera.

    Args:
        source: As `frames` takes it.

    Returns:
        Whether it is a text that begins with rtsp://, http://, https:// or the like.
    """
    return isinstance(source, str) and bool(_ADDRESS.match(source))


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


def _camera_frames(source: int | str, seconds: float | None) -> Iterator[Frame]:
    with _capture(source) as capture:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # else a slow reader sees the past; not every driver obeys
        name = f"camera {source}" if isinstance(source, int) else _without_password(source)
        start = None
        for index in itertools.count():
            success, frame = capture.read()
            now = time.monotonic()
            start = now if start is None else start
            if not success:
                if index and isinstance(source, str) and capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
                    return  # a video file on a web server has an end
                what = "opened but gives no picture" if index == 0 else f"stopped after {index} frames"
                raise BadInputError(f"{name} {what}; is it plugged in, and not in use elsewhere?")
            if seconds is not None and now - start >= seconds:
                return
            yield Frame(index, now - start, images.to_rgb(frame))


def file_frames(
    path: str | os.PathLike, start: float = 0.0, end: float | None = None, every: int = 1
) -> Generator[Frame, None, None]:
    """Read the frames of a video file with the container's time stamps.

    Frames that have none, or one that does not rise, follow the one before at the frame rate, and a warning is
    logged. A damaged file gives the frames that it has, and a warning is logged.

    Args:
        path: The video.
        start: Seconds of the first frame to yield, or of the next one after it.
        end: Seconds at which to stop; None reads to the end.
        every: Yield every n-th frame, counted from the first one of the file.

    Yields:
        The frames; `index` counts those of the file.

    Raises:
        ImageError: The file cannot be opened, or has no frame that can be decoded.
    """
    with _capture(Path(path)) as capture:
        rate, total = _rate(capture), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        seconds, invented = 0.0, 0
        for index in itertools.count():
            if not capture.grab():
                break
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if index and not seconds < stamp < seconds + _LONGEST_GAP:  # also nan
                stamp = seconds + 1 / rate
                invented += 1
                if invented == 1:
                    words = "its seconds and those of others like it follow from the rate"
                    logger.warning("%s: no usable time stamp at frame %d; %s of %g", path, index, words, rate)
            seconds = stamp if index else max(0.0, stamp)
            if end is not None and seconds >= end:
                return
            if index % every == 0 and seconds >= start:
                success, frame = capture.retrieve()
                if not success:
                    break
                yield Frame(index, seconds, images.to_rgb(frame))
        if index == 0:
            raise ImageError(f"{path}: no frame in it can be decoded; is it a complete video file?")
        # some formats only estimate the number; nan and numbers below zero say nothing
        if total - index > max(2, 0.01 * total):
            logger.warning("%s: ends after %d of %.0f frames; it is cut or damaged", path, index, total)


def frame_rate(path: str | os.PathLike) -> float:
    """Read the frame rate of a video file.

    Args:
        path: The file.

    Returns:
        Frames per second, the mean where the rate changes; 25 for a file that does not say.

    Raises:
        ImageError: The file cannot be opened.
    """
    with _capture(Path(path)) as capture:
        return _rate(capture)


def _rate(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0.001 <= fps <= _MAX_FPS else _DEFAULT_FPS  # also for nan


@contextmanager
def _capture(source: int | str | Path) -> Iterator[cv2.VideoCapture]:
    """An opened source that is always released; OpenCV's own messages stay off the terminal."""
    if isinstance(source, Path) and not source.is_file():
        raise ImageError(f"{source}: no such video file; give 'film', a camera's number, or a file's path")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, when the first file is opened
    with silenced_stderr():
        if isinstance(source, str):
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, _TIMEOUT)
        else:
            capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not capture.isOpened():
            raise ImageError(_why_closed(source))
        yield capture
    finally:
        capture.release()


def _why_closed(source: int | str | Path) -> str:
    """Why OpenCV cannot open a source."""
    if isinstance(source, int):
        return f"no camera {source} here; plug one in, or use the source 'film' or a video file"
    if isinstance(source, str):
        return (
            f"{_without_password(source)}: no video comes from this address; is the camera on and in this network, "
            "and are path, user and password right?"
        )
    if not source.stat().st_size:
        return f"{source}: the file is empty"
    has_picture, has_sound = streams(source)
    if has_picture is False and has_sound:
        return f"{source}: it has sound but no picture"
    if has_picture is False:
        return f"{source}: cannot open it: its list of frames is missing, it was cut off; copy or record it again"
    return f"{source}: OpenCV cannot open it as a video; try an .mp4 or .avi file"


def _without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def streams(path: str | os.PathLike) -> tuple[bool | None, bool | None]:
    """Look for pictures and sound in a video file, without decoding it.

    Args:
        path: An .mp4, .mov, .3gp, .mkv, .webm or .avi file.

    Returns:
        Whether it has pictures, and whether it has sound; None and None for other formats.
    """
    with Path(path).open("rb") as file:
        data = file.read(2_000_000)
        file.seek(max(len(data), Path(path).stat().st_size - 8_000_000))
        data += file.read()  # the index of an .mp4 is often at the end
    for magic, track in (
        (b"....ftyp", b"hdlr.{8}"),
        (b"\x1aE\xdf\xa3", b"\x86[\x80-\xff]"),
        (b"RIFF....AVI ", b"strh.{4}"),
    ):
        if re.match(magic, data, re.DOTALL):
            kinds = set(re.findall(track + b"(vide|soun|V_[A-Z]{3}|A_[A-Z]{3}|vids|auds)", data, re.DOTALL))
            return any(k[:1] in b"vV" for k in kinds), any(k[:1] in b"saA" for k in kinds)
    return None, None


class FrameClock:
    """Keep the frames of a stream to their own speed, and measure how many are shown per second.

    Args:
        source: The source, as `frames` takes it. A camera is never waited for.
    """

    def __init__(self, source: str | int | os.PathLike = FILM):
        self._is_camera = camera_number(source) is not None or is_address(source)
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
def video_writer(
    path: str | os.PathLike, fps: float = 12, keep: bool = False
) -> Iterator[Callable[..., None]]:
    """Write a video as `write_video` does, picture by picture; only one is in memory.

    Args:
        path: An .avi (MJPG) or .mp4 (mp4v); it is there when the block has ended without an error.
        fps: Frames per second, at most 240.
        keep: Whether the pictures so far are kept if the block raises, see `ferlib.live.outputs.kept`.

    Yields:
        A function that appends a picture. Given a second argument, its time in seconds, it repeats or drops
        pictures so that each is shown at its time, counted from the first one's.

    Raises:
        BadInputError: As `write_video`.
    """
    path = Path(path)
    if path.suffix.lower() not in CODECS:
        raise BadInputError(f"{path.name}: a video's suffix must be {' or '.join(CODECS)}")
    writer, codec, fps = cv2.VideoWriter(), CODECS[path.suffix.lower()], round(fps, 3)  # as OpenCV rounds
    pending: np.ndarray | None = None
    count, start = 0, 0.0

    with (kept if keep else whole)(path) as part:

        def show(image: np.ndarray, until: int) -> None:
            nonlocal count
            for _ in range(until - count):
                writer.write(images.to_bgr(image))
                count += 1

        def write(image: np.ndarray, seconds: float | None = None) -> None:
            nonlocal pending, start
            if pending is None:
                start = seconds or 0.0
                writer.open(str(part), cv2.VideoWriter.fourcc(*codec), fps, image.shape[1::-1])
                if not writer.isOpened():
                    where = path.parent.name or "."
                    raise BadInputError(f"{path.name}: cannot be written with codec {codec} in {where}")
            elif image.shape != pending.shape:  # OpenCV drops such a frame silently
                shapes = f"{image.shape}, the first was {pending.shape}"
                raise BadInputError(f"{path.name}: frame {count + 1} is {shapes}")
            else:
                show(pending, count + 1 if seconds is None else round((seconds - start) * fps))
            pending = image

        try:
            yield write
            if pending is None:
                raise BadInputError(f"{path.name}: no pictures to write")
            show(pending, count + 1)
        finally:
            writer.release()
