"""Labelled boxes: label files of other tools on one side, one table (see `ferlib.annotate.table`) on the other.

A format is one function that reads it, `read_…(path) -> (table, problems)`, and stands in `READERS`; one that
can be written has a `write_…(table, path)` in `WRITERS`. A record that cannot be used is left out and named in
`problems`; it never stops the others.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats.box_csv import VOTT_COLUMNS, read_box_csv, read_vott_csv, write_box_csv
from ferlib.annotate.formats.coco import read_coco, write_coco
from ferlib.annotate.formats.fields import read_json, read_text
from ferlib.annotate.formats.label_studio import read_label_studio
from ferlib.annotate.formats.vott import asset_ids, asset_notes, read_vott, write_vott, write_vott_export
from ferlib.annotate.table import COLUMNS, NO_FACE, boxes_of, compare, make_table, picture_name
from ferlib.common.errors import AnnotationError, BadInputError

__all__ = [
    "COLUMNS",
    "NO_FACE",
    "READERS",
    "WRITERS",
    "asset_ids",
    "asset_notes",
    "boxes_of",
    "compare",
    "format_of",
    "make_table",
    "picture_name",
    "read_box_csv",
    "read_boxes",
    "read_coco",
    "read_label_studio",
    "read_vott",
    "read_vott_csv",
    "write_box_csv",
    "write_boxes",
    "write_coco",
    "write_vott",
    "write_vott_export",
]

READERS = {
    "vott": read_vott,
    "vott-csv": read_vott_csv,
    "coco": read_coco,
    "label-studio": read_label_studio,
    "csv": read_box_csv,
}
"""Every format that can be read: its name, and the function that gives `(table, problems)`."""

WRITERS = {"vott": write_vott, "coco": write_coco, "csv": write_box_csv}
"""Every format that can be written: its name, and the function that takes `(table, path, image_sizes)`."""


def read_boxes(path: str | os.PathLike, form: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """The boxes of a label file or project of any format in `READERS`: `(table, problems)`.

    `form` is the format's name; without it `format_of` looks. Raises BadInputError for an unknown name, and
    AnnotationError where nothing can be read.
    """
    form = format_of(path) if form is None else form
    if form not in READERS:
        raise BadInputError(f"no label format named {form!r}; there are {', '.join(READERS)}")
    return READERS[form](path)


def write_boxes(
    table: pd.DataFrame,
    path: str | os.PathLike,
    form: str,
    image_sizes: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Write a table of boxes as `form`: `"vott"` (path is a folder), `"coco"` or `"csv"` (path is a file)."""
    if form not in WRITERS:
        raise BadInputError(f"no label format named {form!r} can be written; there are {', '.join(WRITERS)}")
    WRITERS[form](table, path, image_sizes)


def format_of(path: str | os.PathLike) -> str:
    """The name of a label file's format, from what stands in it; a folder is a VoTT project.

    Raises AnnotationError for a file that is none of them, or is missing.
    """
    path = Path(path)
    if path.is_dir():
        return "vott"
    if not path.is_file():
        raise AnnotationError(f"{path.name}: there is no such file or folder of labels")
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        header = read_text(path).partition("\n")[0]
        return "vott-csv" if all(name in header for name in VOTT_COLUMNS) else "csv"
    content = read_json(path)
    if isinstance(content, list):
        return "label-studio"
    if isinstance(content, dict) and "annotations" in content:
        return "coco"
    if isinstance(content, dict) and ("asset" in content or "assets" in content):
        return "vott"
    raise AnnotationError(f"{path.name}: no label format that is known here ({', '.join(READERS)})")
