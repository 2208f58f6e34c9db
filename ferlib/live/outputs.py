"""What `ferlib predict` reads of its files, and what it writes: CSV tables with a row per face, and which files."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import BadInputError, check_choice, logger
from ferlib.common.extras import require_extras
from ferlib.common.files import check_targets, whole
from ferlib.model.recognise import Face, Recognizer

FIGURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps", ".svgz")
"""Suffixes of figures."""


@dataclass(frozen=True)
class Selection:
    """Which frames and faces of pictures and videos are read.

    Attributes:
        min_face: Side of the smallest face that counts, in pixels; None: a sixth of the frame's shorter side, which
            is faster, and somebody in front of a camera is larger.
        region: (x, y, width, height) in pixels of the picture: only faces inside it are looked for.
        largest: Whether only the largest face counts.
        every: Of a video, every n-th frame is read.
        start: Seconds at which reading a video begins.
        end: Seconds at which it stops; None reads to the end.
        smoothing: Weight of the newest frame of a video, above 0 and at most 1; 1 does not smooth.

    Raises:
        BadInputError: A value outside its range.
    """

    min_face: int | None = 30
    region: Box | None = None
    largest: bool = False
    every: int = 1
    start: float = 0.0
    end: float | None = None
    smoothing: float = 0.3

    def __post_init__(self) -> None:
        if self.every < 1 or (self.min_face is not None and self.min_face < 1):
            raise BadInputError(f"every {self.every}, smallest face {self.min_face}: both are 1 or more")
        if self.start < 0 or (self.end is not None and not self.start < self.end):
            raise BadInputError(f"from {self.start:g} s to {self.end} s: give an end after the start")
        if self.region is not None and min(self.region[2:]) < 1:
            raise BadInputError(f"region {self.region}: its width and height must be 1 or more")

    def read(self, image: np.ndarray, recognizer: Recognizer) -> list[Face]:
        """Find the faces that count, and read their expressions.

        Args:
            image: RGB, uint8 (h, w, 3).
            recognizer: The model and the detector.

        Returns:
            The faces, largest first, with boxes in pixels of the whole picture.

        Raises:
            ImageError: The region is outside the picture.
        """
        least = min(image.shape[:2]) // 6 if self.min_face is None else self.min_face
        left, top = 0, 0
        if self.region is not None:
            left, top, *_ = clamp_box(self.region, image.shape[1], image.shape[0])
            image = images.crop_face(image, self.region)
        faces = recognizer.read(image, "rgb", min_size=least)[: 1 if self.largest else None]
        moved = [(face.box[0] + left, face.box[1] + top, *face.box[2:]) for face in faces]
        return [replace(face, box=box) for face, box in zip(faces, moved, strict=True)]


ALL = Selection()
"""All frames, and faces of at least 30 pixels."""

LIVE = Selection(min_face=None)
"""All frames, and faces that somebody in front of a camera has."""


@dataclass(frozen=True)
class Outputs:
    """The files to write; None leaves one out.

    Attributes:
        csv: Table with a row per face (and frame).
        annotated: The folder of annotated copies; for one video the annotated .mp4 or .avi.
        chart: For pictures, a figure of the expressions that were found.
        timeline: For a video, a figure of the faces that are seen longest.
        emoji: Whether annotated pictures have an emoji over each face.
        bars: Whether they have bars of the probabilities.
        empty: Whether the table has a row for a picture or frame without a face: its last fields are empty.

    Raises:
        MissingExtraError: There is a figure to draw, and matplotlib or seaborn is not installed.
    """

    csv: str | os.PathLike | None = None
    annotated: str | os.PathLike | None = None
    chart: str | os.PathLike | None = None
    timeline: str | os.PathLike | None = None
    emoji: bool = False
    bars: bool = True
    empty: bool = False

    def __post_init__(self) -> None:
        if self.chart or self.timeline:
            require_extras("plots")

    def check(self, inputs: Iterable[Path], annotated_is_file: bool = False) -> None:
        """Check that every file can be written, before work begins; nothing is created.

        Args:
            inputs: The files that are read.
            annotated_is_file: Whether `annotated` is a video, not a folder.

        Raises:
            BadInputError: A file cannot be written, is one of the inputs, or is a figure with an unknown suffix.
        """
        files = [Path(path) for path in (self.chart, self.timeline) if path]
        for path in files:
            check_choice("suffix of a figure", path.suffix.lower(), FIGURES)
        files += [Path(path) for path in (self.csv, self.annotated if annotated_is_file else None) if path]
        taken = {file.resolve() for file in inputs}
        for path in files:
            if path.resolve() in taken:
                what = "one of the files to read, or the video itself"
                raise BadInputError(f"{path}: cannot be written, this is {what}; name another file")
        check_targets(*files)
        check_targets(None if annotated_is_file else self.annotated, folder=True)


def face_rows(faces: Sequence[Face], empty: bool = False, **first: object) -> list[dict]:
    """Make one flat table row per face.

    Args:
        faces: The faces of a picture or frame.
        empty: Whether there is a row, with only the first columns, where there is no face.
        **first: The first columns, the same for all faces.

    Returns:
        Rows with the columns of `face_columns`, and `track` and `score`.
    """
    if empty and not faces:
        return [first]
    return [
        first
        | {"face": number, **dict(zip(("x", "y", "width", "height"), face.box, strict=True))}
        | {"emotion": face.emotion, "probability": face.probability, **face.probabilities}
        | {"track": face.track, "score": face.score}
        for number, face in enumerate(faces)
    ]


def face_columns(first: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """Name the columns of a table of faces.

    Args:
        first: The first columns.
        class_names: The classes of the model, one column each.

    Returns:
        `first`, then face, x, y, width, height, emotion, probability, and the classes.
    """
    return [*first, "face", "x", "y", "width", "height", "emotion", "probability", *class_names]


@contextmanager
def kept(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file as `ferlib.common.files.whole` does, but keep what was written if the block raises.

    This includes Ctrl-C. What was written then becomes the file, or `name.partial.csv` where an older file has that
    name: that one stays as it was. A warning names the file. Without a byte written, there is no such file.

    Args:
        path: The file.

    Yields:
        The path to write to.

    Raises:
        BaseException: What the block raised.
    """
    path = Path(path)
    with whole(path) as part:
        try:
            yield part
        except BaseException:
            if part.is_file() and part.stat().st_size:
                rest = path.with_stem(path.stem + ".partial") if path.exists() else path
                part.replace(rest)
                logger.warning("%s: not complete, but what was read so far is kept", rest)
            raise


@contextmanager
def table_writer(path: str | os.PathLike, columns: Sequence[str]) -> Iterator[Callable[[list[dict]], None]]:
    """Write a CSV row by row: UTF-8, six decimals; no row stays in memory.

    If the block raises, the rows so far are kept, see `kept`.

    Args:
        path: The file; it is there when the block has ended.
        columns: The columns to write; other keys of a row are ignored, missing ones are empty fields.

    Yields:
        A function that appends rows; None is an empty field.

    Raises:
        BadInputError: The file cannot be written.
    """
    with ExitStack() as stack:
        part = stack.enter_context(kept(path))
        file = stack.enter_context(part.open("w", newline="", encoding="utf-8", errors="backslashreplace"))
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        begun = False

        def write(rows: list[dict]) -> None:
            nonlocal begun
            if not begun:  # not before: an error before the first row leaves no file
                writer.writeheader()
                begun = True
            for row in rows:
                writer.writerow({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()})
            file.flush()

        yield write
        write([])
