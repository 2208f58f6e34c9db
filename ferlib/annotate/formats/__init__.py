"""Label files of other tools, read into a table of boxes (see `ferlib.annotate.table`) and written from it.

A format is one function that reads it, in `READERS`, and, if it can be written, one in `WRITERS`. A record
that cannot be used is left out with a warning of the logger "ferlib"; it never stops the others.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats.bbox_widget import is_bbox_widget, read_bbox_widget
from ferlib.annotate.formats.box_csv import (
    ROBOFLOW_COLUMNS,
    VOTT_COLUMNS,
    read_box_csv,
    read_header,
    read_roboflow_csv,
    read_vott_csv,
    write_box_csv,
)
from ferlib.annotate.formats.coco import read_coco, write_coco
from ferlib.annotate.formats.fields import read_json, read_text
from ferlib.annotate.formats.label_studio import read_label_studio
from ferlib.annotate.formats.labelme import read_labelme
from ferlib.annotate.formats.pascal_voc import read_pascal_voc
from ferlib.annotate.formats.vott import read_vott, write_vott
from ferlib.annotate.formats.yolo import is_yolo, read_yolo
from ferlib.annotate.table import ImageSizes
from ferlib.common.errors import AnnotationError, BadInputError, check_choice

READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "vott": read_vott,
    "vott-csv": read_vott_csv,
    "coco": read_coco,
    "label-studio": read_label_studio,
    "labelme": read_labelme,
    "voc": read_pascal_voc,
    "yolo": read_yolo,
    "roboflow-csv": read_roboflow_csv,
    "bbox-widget": read_bbox_widget,
    "csv": read_box_csv,
}
"""The formats that can be read: name to the function that takes a path and returns a table of boxes."""

WRITERS: dict[str, Callable] = {"vott": write_vott, "coco": write_coco, "csv": write_box_csv}
"""The formats that can be written: name to the function that takes (table, path, image_sizes)."""


def read_boxes(
    path: str | os.PathLike,
    label_format: str | None = None,
    images_folder: str | os.PathLike | None = None,
    annotator: int | str | None = None,
) -> pd.DataFrame:
    """Read the boxes of a label file or project of any format in `READERS`.

    A record that cannot be used is left out, with a warning.

    Args:
        path: The file, or the folder of a VoTT project or of files of labelme, Pascal VOC or YOLO.
        label_format: The name of the format; by default `detect_format` finds it.
        images_folder: The folder of the pictures; only YOLO's format needs it, for the sizes of the pictures.
        annotator: The number or e-mail address of the person whose labels are read; only Label Studio's files have it.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        BadInputError: An unknown name of a format, or an annotator for a format without one.
        AnnotationError: The path is missing, or nothing in it can be read.
    """
    if label_format is None:
        label_format = detect_format(path)
    check_choice("label format", label_format, READERS)
    if annotator is not None and label_format != "label-studio":
        name = Path(path).name
        raise BadInputError(f"annotator is {annotator!r}, but {name} ({label_format}) names no people")
    options: dict[str, dict] = {
        "label-studio": {"annotator": annotator},
        "yolo": {"images_folder": images_folder},
    }
    return READERS[label_format](path, **options.get(label_format, {}))


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
    """Detect the format of a label file by its content, and of a folder by the files in it.

    Args:
        path: The file or folder.

    Returns:
        The name of the format in `READERS`.

    Raises:
        AnnotationError: The path is missing, or its format is unknown.
    """
    path = Path(path)
    if path.is_dir():
        return _detect_folder(path)
    if not path.is_file():
        raise AnnotationError(f"{path.name}: there is no such file or folder of labels")
    text = read_text(path)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        header = read_header(text)[0]
        if all(name in header for name in ROBOFLOW_COLUMNS):
            return "roboflow-csv"
        if path.suffix.lower() == ".txt" and is_yolo(text):
            return "yolo"
        return "vott-csv" if all(name in header for name in VOTT_COLUMNS) else "csv"
    if text.lstrip().startswith("<"):
        return "voc"
    content = read_json(path)
    if isinstance(content, list):
        return "label-studio"
    keys = {"annotations": "coco", "asset": "vott", "assets": "vott", "shapes": "labelme", "frames": "vott"}
    for key, label_format in keys.items():
        if isinstance(content, dict) and key in content:
            return label_format
    if is_bbox_widget(content):
        return "bbox-widget"
    raise AnnotationError(f"{path.name}: unknown label format; known are {', '.join(READERS)}")


def _detect_folder(folder: Path) -> str:
    """Detect the format of a folder; VoTT's if there is nothing else."""
    if not any(folder.glob("*-asset.json")) and not any(folder.rglob("*-export.json")):
        if any(folder.rglob("*.xml")):
            return "voc"
        for label_format, pattern in (("yolo", "*.txt"), ("labelme", "*.json")):
            for file in sorted(folder.rglob(pattern)):
                with suppress(AnnotationError):
                    if detect_format(file) == label_format:
                        return label_format
    return "vott"
