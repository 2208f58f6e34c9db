"""The faces in a video: recognised frame by frame, followed, and written as they come. Memory stays flat."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from ferlib.common.errors import BadInputError
from ferlib.live.figures import Timeline
from ferlib.live.outputs import Outputs, face_columns, face_rows, table_writer, writable
from ferlib.live.overlay import draw_predictions
from ferlib.live.tracking import FaceTracker
from ferlib.live.video import Frame, frame_rate, frames, video_writer
from ferlib.model.recognise import Face, Recognizer

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
"""Suffixes of files that are taken for videos."""

FrameFaces: TypeAlias = tuple[Frame, list[Face]]
"""A frame and its faces, largest first."""


@dataclass
class VideoSummary:
    """What `predict_video` found.

    Attributes:
        frames: Frames of the video.
        rows: Faces, counted in each frame.
        tracks: Faces that were followed, each counted once.
    """

    frames: int = 0
    rows: int = 0
    tracks: int = 0


def read_frames(stream: Iterable[Frame], recognizer: Recognizer) -> Iterator[FrameFaces]:
    """Recognise the faces of each frame.

    Faces smaller than a sixth of the frame's shorter side are not looked for: that is faster, and somebody
    in front of a camera is larger.

    Args:
        stream: The frames, as `ferlib.live.video.frames` yields them.
        recognizer: The model and the detector.

    Yields:
        Each frame with its faces, largest first.
    """
    for frame in stream:
        yield frame, recognizer.read(frame.image, "rgb", min_size=min(frame.image.shape[:2]) // 6)


def track_faces(read: Iterable[FrameFaces], weight: float = 0.3) -> Iterator[FrameFaces]:
    """Number and smooth the faces that `read_frames` yields, see `FaceTracker`.

    Args:
        read: Frames with their faces.
        weight: Weight of the newest frame, above 0 and at most 1; 1 does not smooth.

    Yields:
        Each frame with its faces, `track` set and probabilities smoothed.
    """
    tracker = FaceTracker(weight)
    for frame, faces in read:
        yield frame, tracker.update(faces)


def video_table(read: Iterable[FrameFaces], class_names: Sequence[str]) -> pd.DataFrame:
    """Make a table of what `read_frames` yields, with one row per face and frame.

    Args:
        read: Frames with their faces.
        class_names: The classes of the model, in its order.

    Returns:
        Columns `frame`, `seconds`, `truth` (the expression that was drawn; None for cameras and files), `face`
        (0 is the largest), `x`, `y`, `width`, `height` (pixels), `emotion`, `probability`, and one per class.
        A frame without a face has no row.
    """
    rows = []
    for frame, faces in read:
        rows += face_rows(faces, frame=frame.index, seconds=frame.seconds, truth=frame.emotion)
    return pd.DataFrame(rows, columns=face_columns(("frame", "seconds", "truth"), class_names))


def predict_video(
    path: str | os.PathLike,
    recognizer: Recognizer,
    outputs: Outputs,
    weight: float = 0.3,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> VideoSummary:
    """Recognise the faces of a video file and write what is asked for, at the video's own frame rate.

    A damaged file gives the frames that it has, and a warning is logged.

    Args:
        path: The video.
        recognizer: The model and the detector.
        outputs: `csv`: `frame`, `seconds`, `track` (number of the followed face, from 1), then as in
            `video_table`, and `score` (the detector's). `annotated`: without sound. `timeline`.
        weight: Weight of the newest frame in the smoothing, above 0 and at most 1; 1 does not smooth.
        progress: Wraps the frames (tqdm, for example).

    Returns:
        The numbers of frames and faces.

    Raises:
        BadInputError: The file gives no frame, an output is the video itself or cannot be written, or there is no
            face for the timeline.
    """
    path = Path(path)
    for target in (outputs.csv, outputs.timeline, outputs.annotated):
        if target is not None and Path(target).resolve() == path.resolve():
            raise BadInputError(f"{target}: this is the video itself; name another file")
    fps = frame_rate(path)  # also checks that the video opens before anything is written
    summary, timeline = VideoSummary(), Timeline()
    columns = [*face_columns(("frame", "seconds", "track"), recognizer.class_names), "score"]
    with ExitStack() as stack:
        write_rows = stack.enter_context(table_writer(outputs.csv, columns)) if outputs.csv else None
        write_image = None
        if outputs.annotated:
            with writable(outputs.annotated):
                write_image = stack.enter_context(video_writer(outputs.annotated, fps))
        stream = stack.enter_context(closing(frames(path)))
        for frame, faces in track_faces(read_frames(progress(stream), recognizer), weight):
            summary.frames += 1
            summary.rows += len(faces)
            if write_rows is not None:
                write_rows(face_rows(faces, frame=frame.index, seconds=frame.seconds))
            if write_image is not None:
                write_image(draw_predictions(frame.image, faces, emoji=outputs.emoji))
            timeline.add(frame.seconds, faces)
    summary.tracks = len(timeline)
    if outputs.timeline:
        timeline.write(outputs.timeline, recognizer.class_names)
    return summary
