"""The faces in a video: recognised frame by frame, followed, and written as they come. Memory stays flat."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from ferlib.common.errors import logger
from ferlib.common.files import whole
from ferlib.live.cuts import mark_cuts
from ferlib.live.figures import Timeline
from ferlib.live.outputs import ALL, LIVE, Outputs, Selection, face_columns, face_rows, table_writer
from ferlib.live.overlay import draw_predictions
from ferlib.live.tracking import FaceTracker
from ferlib.live.video import Frame, file_frames, frame_rate, streams, video_writer
from ferlib.model.recognise import Face, Recognizer

FrameFaces: TypeAlias = tuple[Frame, list[Face]]
"""A frame and its faces, largest first."""


@dataclass
class Summary:
    """What was found.

    Attributes:
        frames: Pictures, and frames of videos, that were read.
        rows: Faces, counted in each of them.
        tracks: Faces that were followed through a video, each counted once.
        timeline: The faces of a video over time, where it is wanted.
    """

    frames: int = 0
    rows: int = 0
    tracks: int = 0
    timeline: Timeline | None = None


def read_frames(
    stream: Iterable[Frame], recognizer: Recognizer, selection: Selection = LIVE
) -> Iterator[FrameFaces]:
    """Recognise the faces of each frame.

    Args:
        stream: The frames, as `ferlib.live.video.frames` yields them.
        recognizer: The model and the detector.
        selection: Which faces count; by default those of at least a sixth of the frame's shorter side.

    Yields:
        Each frame with its faces, largest first.
    """
    for frame in stream:
        yield frame, selection.read(frame.image, recognizer)


def track_faces(read: Iterable[FrameFaces], weight: float = 0.3) -> Iterator[FrameFaces]:
    """Number and smooth the faces that `read_frames` yields, see `FaceTracker`. A hard cut ends all tracks.

    Args:
        read: Frames with their faces.
        weight: Weight of the newest frame, above 0 and at most 1; 1 does not smooth.

    Yields:
        Each frame with its faces, `track` set and probabilities smoothed.
    """
    tracker = FaceTracker(weight)
    for frame, faces, is_cut in mark_cuts(read):
        if is_cut:
            tracker.reset()
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
    selection: Selection = ALL,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> Summary:
    """Recognise the faces of a video file and write what is asked for, frame by frame.

    A damaged file gives the frames that it has, and a warning is logged. If reading ends early, by Ctrl-C too, what
    was read is kept, see `ferlib.live.outputs.kept`.

    Args:
        path: The video.
        recognizer: The model and the detector.
        outputs: `csv`: `frame`, `seconds` (the container's time stamp), `track` (number of the followed face, from
            1), then as in `video_table`, and `score` (the detector's). `annotated`: see `follow_video`. `timeline`.
        selection: Which frames and faces are read.
        progress: Wraps the frames (tqdm, for example).

    Returns:
        The numbers of frames and faces.

    Raises:
        BadInputError: The file gives no frame, an output is the video itself or cannot be written, or there is no
            face for the timeline.
    """
    frame_rate(path)  # checks that the video opens before anything is written
    outputs.check([Path(path)], annotated_is_file=True)
    columns = [*face_columns(("frame", "seconds", "track"), recognizer.class_names), "score"]
    with ExitStack() as stack:
        write_rows = stack.enter_context(table_writer(outputs.csv, columns)) if outputs.csv else None
        summary = follow_video(path, recognizer, outputs, selection, write_rows, progress)
    if outputs.timeline and summary.timeline is not None:
        summary.timeline.write(outputs.timeline, recognizer.class_names)
    return summary


def follow_video(
    path: str | os.PathLike,
    recognizer: Recognizer,
    outputs: Outputs,
    selection: Selection,
    write_rows: Callable[[list[dict]], None] | None,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> Summary:
    """Recognise and follow the faces of a video, and pass their rows on.

    Args:
        path: The video.
        recognizer: The model and the detector.
        outputs: `annotated`: the annotated video. It has a constant rate, that of the video divided by
            `selection.every`; frames are repeated or dropped so that each is shown at its time. The sound is copied
            where `ffmpeg` is installed. `timeline`: whether the summary has one.
        selection: Which frames and faces are read.
        write_rows: Takes the rows of each frame; None for nothing.
        progress: Wraps the frames.

    Returns:
        The numbers of frames and faces, and the timeline.

    Raises:
        ImageError: The file gives no frame.
        BadInputError: The annotated video cannot be written.
    """
    summary, first, seconds = Summary(timeline=Timeline() if outputs.timeline else None), None, 0.0
    with ExitStack() as stack:
        write_image = None
        if outputs.annotated:
            rate = frame_rate(path) / selection.every
            write_image = stack.enter_context(video_writer(outputs.annotated, rate, keep=True))
        stream = stack.enter_context(
            closing(file_frames(path, selection.start, selection.end, selection.every))
        )
        read = read_frames(progress(stream), recognizer, selection)
        try:
            for frame, faces in track_faces(read, selection.smoothing):
                seconds = frame.seconds
                first = seconds if first is None else first
                if write_rows is not None:
                    rows = face_rows(faces, outputs.empty, file=str(path), frame=frame.index, seconds=seconds)
                    write_rows(rows)
                if write_image is not None:
                    drawn = draw_predictions(frame.image, faces, outputs.bars, outputs.emoji)
                    write_image(drawn, seconds)
                if summary.timeline is not None:
                    summary.timeline.add(seconds, faces)
                summary.frames += 1
                summary.rows += len(faces)
                summary.tracks = max(summary.tracks, *(face.track or 0 for face in faces), 0)
        except KeyboardInterrupt:
            logger.warning("%s: stopped after %d frames, at %.1f s", path, summary.frames, seconds)
            raise
    if not summary.frames:
        logger.warning("%s: no frame between %g s and %s", path, selection.start, selection.end or "the end")
    elif outputs.annotated:
        _copy_sound(Path(path), Path(outputs.annotated), first or 0.0, selection.end)
    return summary


def _copy_sound(source: Path, target: Path, start: float, end: float | None) -> None:
    """Give an annotated video the sound of its source, from `start` on; log where that is not possible."""
    if streams(source)[1] is False:
        return
    program = shutil.which("ffmpeg")
    if program is None:
        logger.warning("%s: written without sound, because ffmpeg is not installed", target)
        return
    cut = ["-ss", f"{start:.6f}", *(["-to", f"{end:.6f}"] if end is not None else [])]
    codec = "aac" if target.suffix.lower() == ".mp4" else "pcm_s16le"
    maps = ["-map", "0:v", "-map", "1:a?", "-c:v", "copy", "-c:a", codec]
    try:
        with whole(target) as part:
            inputs = ["-i", str(target.absolute()), *cut, "-i", str(source.absolute())]
            command = [program, "-nostdin", "-v", "error", "-y", *inputs, *maps, str(part.absolute())]
            subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()[-12:])
        logger.warning("%s: written without sound, because ffmpeg failed (%s)", target, reason)
