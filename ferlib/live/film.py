"""The faces in a film: read frame by frame, followed, and written as they come. Memory stays flat."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ferlib.common.errors import BadInputError
from ferlib.detect.detector import Detector, default_detector
from ferlib.live import video
from ferlib.live.figures import (
    _Lines,
)
from ferlib.live.tables import columns_of, readings_rows, table_writer
from ferlib.live.tracking import Follower
from ferlib.live.video import Frame, frames
from ferlib.model.predictor import Predictor
from ferlib.model.recognise import FaceReading, read_faces

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
"""Names of files that are taken for films."""


Read = Iterable[tuple[Frame, list[FaceReading]]]


def read_frames(
    stream: Iterable[Frame], bundle: Predictor, detector: Detector | None = None, views: str = "one"
) -> Iterator[tuple[Frame, list[FaceReading]]]:
    """Each frame with its faces; the detector is loaded once.

    Faces smaller than a sixth of the frame's shorter side are passed over: that is quick, and somebody
    who sits before a camera is larger.
    """
    detector = default_detector() if detector is None else detector
    for frame in stream:
        least = min(frame.image.shape[:2]) // 6
        yield frame, read_faces(frame.image, bundle, detector, views, min_size=least)


def follow(read: Read, weight: float = 0.3) -> Iterator[tuple[Frame, list[FaceReading]]]:
    """What `read_frames` yields, each face numbered (`track`) and smoothed; see `track.Follower`.

    A face is lost when it is not seen in more than 12 frames.
    """
    follower = Follower(weight)
    for frame, readings in read:
        yield frame, follower.update(readings)


def video_table(read: Read, class_names: Sequence[str]) -> pd.DataFrame:
    """What `read_frames` yields as a table with a row a face and frame.

    Columns `frame`, `seconds`, `truth` (the expression that was drawn; None for cameras and files),
    `face`, `x, y, width, height`, `emotion`, `probability`, and a column a class. A frame without a
    face has no row.
    """
    rows = []
    for frame, readings in read:
        rows += readings_rows(readings, frame=frame.index, seconds=frame.seconds, truth=frame.emotion)
    return pd.DataFrame(rows, columns=columns_of(("frame", "seconds", "truth"), class_names))


def read_video(
    source: str | int | os.PathLike,
    bundle: Predictor,
    detector: Detector | None = None,
    views: str = "one",
    seconds: float | None = None,
    seed: int = 7,
) -> pd.DataFrame:
    """The `video_table` of a source as in `ferlib.live.video.frames`; film and camera end by `seconds` only."""
    with closing(frames(source, seconds, seed)) as stream:
        return video_table(read_frames(stream, bundle, detector, views), bundle.class_names)


@dataclass
class FilmReport:
    """What `predict_film` found."""

    frames: int = 0
    rows: int = 0
    """Faces, counted in each frame."""
    tracks: int = 0
    """Faces that were followed, each counted once."""
    problems: list[str] = field(default_factory=list)
    """A line for a film that ends too early."""


def predict_film(
    path: str | os.PathLike,
    bundle: Predictor,
    detector: Detector | None = None,
    views: str = "one",
    weight: float = 0.3,
    csv: str | os.PathLike | None = None,
    timeline: str | os.PathLike | None = None,
    annotated: str | os.PathLike | None = None,
    emoji: bool = False,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> FilmReport:
    """Read a video file; write what is asked for, at its own frame rate.

    `csv`: a row a face and frame: `frame`, `seconds`, `track` (the number of the face that is followed, from
    1), then as in `video_table`, and `score` (the detector's). `timeline`: a figure of the four faces that are
    seen longest. `annotated`: the film with its readings drawn in, .mp4 or .avi, without sound. Probabilities
    are smoothed per face by `weight` (1: not). A cut file gives what it has, with a line in `problems`.
    Raises BadInputError for a file that gives no frame, and what cannot be written.
    """
    path = Path(path)
    for target in (csv, timeline, annotated):
        if target is not None and Path(target).resolve() == path.resolve():
            raise BadInputError(f"{target}: this is the film itself; name another file")
    report, lines = FilmReport(), _Lines()
    columns = [*columns_of(("frame", "seconds", "track"), bundle.class_names), "score"]
    with ExitStack() as stack:
        write_rows = stack.enter_context(table_writer(csv, columns)) if csv else None
        show = _annotator(stack, annotated, video.frame_rate(path), emoji) if annotated else None
        stream = stack.enter_context(closing(frames(path, problems=report.problems)))
        for frame, readings in follow(read_frames(progress(stream), bundle, detector, views), weight):
            report.frames += 1
            report.rows += len(readings)
            if write_rows is not None:
                write_rows(_film_rows(frame, readings))
            if show is not None:
                show(frame.image, readings)
            lines.add(frame.seconds, readings)
    report.tracks = len(lines.seconds)
    if timeline:
        lines.draw(timeline, bundle.class_names)
    return report


def _annotator(stack: ExitStack, path: str | os.PathLike, fps: float, emoji: bool) -> Callable:
    from ferlib.live.overlay import draw_readings

    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name another file") from error
    write = stack.enter_context(video.video_writer(path, fps))
    return lambda image, readings: write(draw_readings(image, readings, emoji=emoji))


def _film_rows(frame: Frame, readings: Sequence[FaceReading]) -> list[dict]:
    rows = readings_rows(readings, frame=frame.index, seconds=frame.seconds)
    return [
        {**row, "track": reading.track, "score": reading.score}
        for row, reading in zip(rows, readings, strict=True)
    ]
