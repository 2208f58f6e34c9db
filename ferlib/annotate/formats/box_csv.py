"""Tables of boxes as CSV: our own columns, and the ones that VoTT exports."""

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from ferlib.annotate.formats.fields import (
    box_of,
    box_row,
    clean_tags,
    emotion_of,
    existing_file,
    number,
    picture_size,
    read_text,
    short,
    untagged_row,
)
from ferlib.annotate.table import COLUMNS, make_table, picture_name
from ferlib.common.errors import AnnotationError
from ferlib.common.files import write_text

VOTT_COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax", "label")


def read_vott_csv(path: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """The boxes of VoTT's CSV export (`image,xmin,ymin,xmax,ymax,label`): `(table, problems)`.

    VoTT writes a row for each tag of a region: rows that follow each other with the same picture and the
    same corners are one box with several tags. VoTT writes names percent-encoded (`a%20b.jpg`). The file
    knows no picture sizes. Bad rows are left out and named with their line. Raises AnnotationError where
    `path` is missing or has other columns.
    """

    def read(row: Mapping[str, str]) -> dict:
        image = picture_name(unquote(row["image"]))
        left, top, right, bottom = _numbers(row, ("xmin", "ymin", "xmax", "ymax"))
        box = box_of(left, top, right - left, bottom - top, (0, 0))
        return box_row(image, (0, 0), box, clean_tags([row["label"]]))

    rows, problems = _read(path, VOTT_COLUMNS, read)
    joined: list[dict] = []
    for row in rows:
        key = [row[name] for name in ("image", "x", "y", "width", "height")]
        last = joined[-1] if joined else {}
        if last and key == [last[name] for name in ("image", "x", "y", "width", "height")]:
            last["tags"] += "|" + row["tags"]
        else:
            joined.append(row)
    return make_table(joined), problems


def read_box_csv(path: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """A table of boxes from CSV: `(table, problems)`.

    Needs the columns `image` (or `file`), `x, y, width, height, emotion`; `tags`, `image_width` and
    `image_height` may be missing, others are passed over. So it reads what `write_box_csv` wrote, `faces.csv`,
    and the `labels.csv` of drawn photos. Bad rows are left out and named with their line. Raises
    AnnotationError where `path` is missing or lacks a column.
    """

    def read(row: Mapping[str, str]) -> dict:
        image = picture_name(row["image"])
        size = picture_size(*(_number(row.get(key) or "0") for key in ("image_width", "image_height")))
        box = box_of(*_numbers(row, ("x", "y", "width", "height")), size or (0, 0))
        given = row["tags"].split("|") if row.get("tags") else [row["emotion"]]
        tags = clean_tags(given)
        if not tags and not row["emotion"].strip() and "tags" in row:
            return untagged_row(image, size or (0, 0), box)
        found = box_row(image, size or (0, 0), box, tags)
        return found | ({"emotion": emotion_of(row["emotion"])} if row["emotion"].strip() else {})

    rows, problems = _read(path, ("image", "x", "y", "width", "height", "emotion"), read)
    return make_table(rows), problems


def write_box_csv(table: pd.DataFrame, path: str | os.PathLike, image_sizes: Mapping | None = None) -> Path:
    """The table as CSV (UTF-8, its own columns, one row a box), written beside and renamed.

    `image_sizes` (picture to (width, height)) fills sizes that the table does not know.
    """
    table = table.copy()
    for image, (width, height) in (image_sizes or {}).items():
        table.loc[table["image"] == image, ["image_width", "image_height"]] = width, height
    write_text(path, table[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))
    return Path(path)


def _read(path: str | os.PathLike, needed: tuple, read: Callable) -> tuple[list[dict], list[str]]:
    """Each row of a CSV through `read`; what cannot be used is named with its line."""
    file = existing_file(path, "CSV file")
    rows, problems = [], []
    for line, row in _lines(file, needed):
        try:
            if None in row.values():
                raise AnnotationError("the row is cut off")
            rows.append(read(row))
        except AnnotationError as error:
            problems.append(f"{file.name}: line {line} ({row['image']}): {error}; left out")
    return rows, problems


def _lines(file: Path, needed: tuple) -> Iterator[tuple[int, dict]]:
    """(line number, row) of a CSV; commas, or the semicolons and tabs of other countries' Excel."""
    text = read_text(file)
    header = text.lstrip("\n").partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        names = [name.strip() for name in next(reader, [])]
        names = ["image" if name == "file" and "image" not in names else name for name in names]
        if missing := [name for name in needed if name not in names]:
            raise AnnotationError(f"{file.name}: not a table of boxes (no column {', '.join(missing)})")
        for values in reader:
            if values:
                padded = [*values, *[None] * (len(names) - len(values))]
                yield reader.line_num, dict(zip(names, padded, strict=False))
    except csv.Error as error:
        raise AnnotationError(f"{file.name}: not a CSV file ({error})") from error


def _number(text: str | None) -> float | None:
    try:
        return number(float(text))
    except (TypeError, ValueError, OverflowError):
        return None


def _numbers(row: Mapping[str, str], keys: tuple) -> list[float]:
    values = [_number(row[key]) for key in keys]
    for key, value in zip(keys, values, strict=True):
        if value is None:
            raise AnnotationError(f"{key} is {short(row[key])}, not a number of pixels")
    return values
