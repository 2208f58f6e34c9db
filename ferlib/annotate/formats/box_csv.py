"""Tables of boxes as CSV: ferlib's own columns, those of VoTT's CSV export, and those of Roboflow."""

import csv
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import recorded_path
from ferlib.annotate.table import BOX, COLUMNS, ImageSizes, Records, Size
from ferlib.common.errors import AnnotationError
from ferlib.common.files import write_text

VOTT_COLUMNS = ("image", *fields.CORNERS, "label")
"""The columns of VoTT's CSV export."""

ROBOFLOW_COLUMNS = ("width", "height", "class", *fields.CORNERS)
"""The columns of the CSV of Roboflow, TensorFlow's object detection and Kaggle; before them is `filename`."""


def read_vott_csv(path: str | os.PathLike) -> pd.DataFrame:
    """Read VoTT's CSV export (`image,xmin,ymin,xmax,ymax,label`).

    VoTT writes one row per tag of a region: consecutive rows with the same picture and the same corners are
    one box with several tags. VoTT writes names percent-encoded (`a%20b.jpg`). The file has no picture sizes.
    A row that cannot be used is left out, with a warning that names its line.

    Args:
        path: The path of the file.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing or has other columns.
    """
    records = read_rows(path, VOTT_COLUMNS, _vott_row)
    rows, records.rows = records.rows, []
    for row in rows:
        if records.rows and all(records.rows[-1][name] == row[name] for name in ("image", *BOX)):
            records.rows[-1]["tags"] += "|" + row["tags"]
        else:
            records.rows.append(row)
    return records.table()


def read_roboflow_csv(path: str | os.PathLike) -> pd.DataFrame:
    """Read a CSV with one row per box: the picture and its size, the class, and the corners in pixels.

    A row that cannot be used is left out, with a warning that names its line.

    Args:
        path: The path of the file.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing or has other columns.
    """
    return read_rows(path, ("image", *ROBOFLOW_COLUMNS), _roboflow_row).table()


def read_box_csv(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table of boxes from CSV.

    The columns `image` (or `file`), `x, y, width, height, emotion` are needed; `tags`, `image_width` and
    `image_height` are optional, others are ignored. So this reads what `write_box_csv` writes, `faces.csv`,
    and the `labels.csv` of drawn photos. A row that cannot be used is left out, with a warning that names
    its line.

    Args:
        path: The path of the file.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing or lacks a column.
    """
    return read_rows(path, ("image", *BOX, "emotion"), _box_row).table()


def write_box_csv(
    table: pd.DataFrame, path: str | os.PathLike, image_sizes: ImageSizes | None = None
) -> Path:
    """Write a table of boxes as CSV (UTF-8).

    Args:
        table: A table of boxes.
        path: The path of the file.
        image_sizes: (width, height) of pictures by name; it overrides the table's own sizes.

    Returns:
        The path.
    """
    table = table.copy()
    for image, size in (image_sizes or {}).items():
        table.loc[table["image"] == image, ["image_width", "image_height"]] = size
    write_text(path, table[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))
    return Path(path)


def _vott_row(row: Mapping[str, str]) -> dict:
    box, image = fields.box_of_corners(row), recorded_path(unquote(row["image"]))
    return fields.box_row(image, (0, 0), box, fields.clean_tags([row["label"]]))


def _roboflow_row(row: Mapping[str, str]) -> dict:
    box, size = fields.box_of_corners(row), _size(row["width"], row["height"])
    return fields.box_row(recorded_path(row["image"]), size, box, fields.clean_tags([row["class"]]))


def _size(width: str | None, height: str | None) -> Size:
    return fields.image_size(fields.number_in(width), fields.number_in(height)) or (0, 0)


def _box_row(row: Mapping[str, str]) -> dict:
    image = recorded_path(row["image"])
    size = _size(*(row.get(key) or "0" for key in COLUMNS[-2:]))
    box = fields.numbers(row, BOX, read=fields.number_in)
    emotion = row["emotion"].strip()
    tags = fields.clean_tags(row["tags"].split("|") if row.get("tags") else [emotion])
    found = fields.box_row(image, size, box, tags, untagged="tags" in row and not emotion)
    return found | {"emotion": fields.emotion_of([emotion])} if emotion else found


def read_header(text: str) -> tuple[str, str]:
    """Find the header of a CSV, behind the line `sep=;` that Excel may write.

    Args:
        text: The content of the file.

    Returns:
        (the line of the header, the text from the header on).
    """
    text = text.lstrip("\r\n")
    if text[:4].lower() == "sep=":
        text = text.partition("\n")[2]
    return text.partition("\n")[0], text


def read_rows(path: str | os.PathLike, columns: tuple[str, ...], read: Callable[[dict], dict]) -> Records:
    """Read each row of a CSV, with commas or with the semicolons or tabs that Excel may write.

    Args:
        path: The path of the file.
        columns: The columns that are needed; `file` and `filename` are other names of `image`.
        read: The function that makes a row of the table of boxes from a row of the file.

    Returns:
        The rows, and one problem per row that was left out.

    Raises:
        AnnotationError: The file cannot be read, is no CSV, or lacks a column.
    """
    file, records = Path(path), Records()
    content = fields.read_text(file)
    header, text = read_header(content)
    skipped = content.count("\n") - text.count("\n")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = [
            "image" if name in ("file", "filename") and "image" not in names else name for name in names
        ]
        if missing := [name for name in columns if name not in reader.fieldnames]:
            raise AnnotationError(f"{file.name}: not a table of boxes (no column {', '.join(missing)})")
        for row in reader:
            with records.leave_out_if_bad(f"{file.name}: line {reader.line_num + skipped} ({row['image']})"):
                if None in row.values():
                    raise AnnotationError("the row is cut off")
                records.rows.append(read(row))
    except csv.Error as error:
        raise AnnotationError(f"{file.name}: not a CSV file ({error})") from error
    return records
