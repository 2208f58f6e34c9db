"""Label files of other tools, read into a table of boxes (see `ferlib.annotate.table`) and written from it.

A format is one function that reads it, in `READERS`, and, if it can be written, one in `WRITERS`. A record
that cannot be used is left out with a warning of the logger "ferlib"; it never stops the others.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats.box_csv import VOTT_COLUMNS, read_box_csv, read_vott_csv, write_box_csv
from ferlib.annotate.formats.coco import read_coco, write_coco
from ferlib.annotate.formats.fields import read_json, read_text
from ferlib.annotate.formats.label_studio import read_label_studio
from ferlib.annotate.formats.vott import read_vott, write_vott
from ferlib.annotate.table import ImageSizes
from ferlib.common.errors import AnnotationError, check_choice

READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "vott": read_vott,
    "vott-csv": read_vott_csv,
    "coco": read_coco,
    "label-studio": read_label_studio,
    "csv": read_box_csv,
}
"""The formats that can be read: name to the function that takes a path and returns a table of boxes."""

WRITERS: dict[str, Callable] = {"vott": write_vott, "coco": write_coco, "csv": write_box_csv}
"""The formats that can be written: name to the function that takes (table, path, image_sizes)."""


def read_boxes(path: str | os.PathLike, label_format: str | None = None) -> pd.DataFrame:
    """Read the boxes of a label file or project of any format in `READERS`.

    A record that cannot be used is left out, with a warning.

    Args:
        path: The file, or the folder of a VoTT project.
        label_format: The name of the format; by default `detect_format` finds it.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        BadInputError: An unknown name of a format.
        AnnotationError: The path is missing, or nothing in it can be read.
    """
    if label_format is None:
        label_format = detect_format(path)
    check_choice("label format", label_format, READERS)
    return READERS[label_format](path)


def write_boxes(
    table: pd.DataFrame, path: str | os.PathLike, label_format: str, image_sizes: ImageSizes | None = None
) -> None:
    """Write a table of boxes in one of the formats in `WRITERS`.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        path: The file; for "vott" a folder, or the file `<project>-export.json`.
        label_format: The name of the format.
        image_sizes: (width, height) of pictures by name; it overrides the table's own sizes.

    Raises:
        BadInputError: An unknown name of a format.
        AnnotationError: A picture's name leads outside the folder of pictures.
    """
    check_choice("label format for writing", label_format, WRITERS)
    WRITERS[label_format](table, path, image_sizes)


def detect_format(path: str | os.PathLike) -> str:
    """Detect the format of a label file by its content; a folder is a VoTT project.

    Args:
        path: The file or folder.

    Returns:
        The name of the format in `READERS`.

    Raises:
        AnnotationError: The path is missing, or its format is unknown.
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
    for key, label_format in {"annotations": "coco", "asset": "vott", "assets": "vott"}.items():
        if isinstance(content, dict) and key in content:
            return label_format
    raise AnnotationError(f"{path.name}: unknown label format; known are {', '.join(READERS)}")
