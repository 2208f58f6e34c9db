"""The CSV of Roboflow, TensorFlow's object detection and Kaggle: `filename,width,height,class,xmin,ymin,xmax,ymax`."""

import os
from collections.abc import Mapping

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.formats.box_csv import number_in, read_rows
from ferlib.annotate.pictures import recorded_path

ROBOFLOW_COLUMNS = ("width", "height", "class", "xmin", "ymin", "xmax", "ymax")
"""The columns of the format; before them is `filename`."""


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
    return read_rows(path, ("image", *ROBOFLOW_COLUMNS), _read_row).table()


def _read_row(row: Mapping[str, str]) -> dict:
    left, top, right, bottom = fields.numbers(row, ROBOFLOW_COLUMNS[3:], read=number_in)
    size = fields.image_size(number_in(row["width"]), number_in(row["height"])) or (0, 0)
    box = (left, top, right - left, bottom - top)
    return fields.box_row(recorded_path(row["image"]), size, box, fields.clean_tags([row["class"]]))
