"""What `ferlib predict` writes: which files, and CSV tables with a row per face."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ferlib.common.errors import BadInputError
from ferlib.common.files import whole
from ferlib.model.recognise import Face


@dataclass(frozen=True)
class Outputs:
    """The files to write; None leaves one out.

    Attributes:
        csv: Table with a row per face (and frame).
        annotated: For pictures the folder of annotated copies, for a video the annotated .mp4 or .avi.
        chart: For pictures, a figure of the expressions that were found.
        timeline: For a video, a figure of the faces that are seen longest.
        emoji: Whether annotated pictures have an emoji over each face.
    """

    csv: str | os.PathLike | None = None
    annotated: str | os.PathLike | None = None
    chart: str | os.PathLike | None = None
    timeline: str | os.PathLike | None = None
    emoji: bool = False


def face_rows(faces: Iterable[Face], **first: object) -> list[dict]:
    """Make one flat table row per face.

    Args:
        faces: The faces of a picture or frame.
        **first: The first columns, the same for all faces.

    Returns:
        Rows with the columns of `face_columns`, and `track` and `score`.
    """
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


def write_table(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a table as CSV: UTF-8, six decimals. An incomplete file never replaces an older one.

    Args:
        table: The table; its index is not written.
        path: The file; its folder is made if it is missing.

    Raises:
        BadInputError: The file cannot be written.
    """
    with writable(path) as path, whole(path) as part:
        # a file name that is not UTF-8 is written with backslashes instead of ending the run
        table.to_csv(part, index=False, float_format="%.6f", lineterminator="\n", errors="backslashreplace")


@contextmanager
def table_writer(path: str | os.PathLike, columns: Sequence[str]) -> Iterator[Callable[[list[dict]], None]]:
    """Write a CSV as `write_table` does, but row by row: no row stays in memory.

    Args:
        path: The file; it is there when the block has ended without an error.
        columns: The columns to write; other keys of a row are ignored.

    Yields:
        A function that appends rows; None is an empty field.

    Raises:
        BadInputError: The file cannot be written.
    """
    with ExitStack() as stack:
        with writable(path) as path:
            part = stack.enter_context(whole(path))
            file = part.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        stack.enter_context(file)
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")

        def write(rows: list[dict]) -> None:
            with writable(path):
                for row in rows:
                    writer.writerow({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()})

        writer.writeheader()
        yield write


@contextmanager
def writable(path: str | os.PathLike) -> Iterator[Path]:
    """Make the folder of a file, and name the file if writing fails.

    Args:
        path: The file.

    Yields:
        The path.

    Raises:
        BadInputError: An OSError in the block, or the folder cannot be made.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name another file") from error
