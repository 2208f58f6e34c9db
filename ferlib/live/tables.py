"""Readings as tables: one row a face, and CSV files of them."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd

from ferlib.common.errors import BadInputError
from ferlib.common.files import whole
from ferlib.model.recognise import FaceReading


def readings_rows(readings: Iterable[FaceReading], **first: object) -> list[dict]:
    """One flat row a face: the columns of `first`, then `face` (0, 1, …), box, emotion and classes."""
    rows = []
    for number, reading in enumerate(readings):
        box = dict(zip(("x", "y", "width", "height"), reading.box, strict=True))
        found = {"emotion": reading.emotion, "probability": reading.probability}
        rows.append({**first, "face": number, **box, **found, **reading.probabilities})
    return rows


def columns_of(first: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """The columns of `readings_rows`, in order."""
    return [*first, "face", "x", "y", "width", "height", "emotion", "probability", *class_names]


def write_table(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a table as CSV, UTF-8, six decimals; written beside and renamed, never half a file."""
    with _named(path) as path, whole(path) as part:
        # a file name that is not UTF-8 is written with backslashes instead of ending the run
        table.to_csv(part, index=False, float_format="%.6f", lineterminator="\n", errors="backslashreplace")


@contextmanager
def table_writer(path: str | os.PathLike, columns: Sequence[str]) -> Iterator[Callable[[list[dict]], None]]:
    """A function that appends rows to a CSV as `write_table` makes it; the file is there when the block ends well.

    For films: no row stays in memory. None is an empty field.
    """
    with ExitStack() as stack:
        with _named(path) as path:
            part = stack.enter_context(whole(path))
            file = part.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        writer = csv.DictWriter(stack.enter_context(file), columns, lineterminator="\n")

        def write(rows: list[dict]) -> None:
            with _named(path):
                writer.writerows(
                    {name: f"{v:.6f}" if isinstance(v, float) else v for name, v in row.items()}
                    for row in rows
                )

        writer.writeheader()
        yield write


@contextmanager
def _named(path: str | os.PathLike) -> Iterator[Path]:
    """The path, its folder made; a failure to write there names the file."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name another file") from error
