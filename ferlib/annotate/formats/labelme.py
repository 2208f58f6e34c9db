"""labelme's JSON: one file per picture, with a list of shapes."""

import math
import os
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import recorded_path
from ferlib.annotate.table import Records
from ferlib.common.errors import AnnotationError


def read_labelme(path: str | os.PathLike) -> pd.DataFrame:
    """Read labelme's files.

    Of a polygon, a circle or any other shape the bounding box is used. The tags are the label and the flags that
    are set. A record that cannot be used is left out, with a warning.

    See https://github.com/wkentaro/labelme.

    Args:
        path: A JSON file, or a folder of them.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The path is missing, has no JSON file, or is a file that is not labelme's.
    """
    return fields.read_each_file(path, "*.json", _read_file).table()


def _read_file(file: Path, records: Records) -> None:
    content = fields.read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise AnnotationError(f"{file.name}: not a file of labelme (it has no list 'shapes')")
    with records.leave_out_if_bad(file.name):
        image = recorded_path(fields.get(content, "imagePath", str), climbing=True)
        sides = content.get("imageWidth"), content.get("imageHeight")
        fields.add_boxes(records, f"{file.name}: shape", content["shapes"], image, sides, _read_shape)


def _read_shape(shape: dict) -> tuple[tuple[float, ...], list[str]]:
    """Read (box, tags) of a shape."""
    flags = fields.get(shape, "flags", dict)
    tags = fields.clean_tags([shape.get("label"), *(key for key, on in flags.items() if on is True)])
    points = fields.get(shape, "points", list)
    if not points:
        raise AnnotationError("no 'points'")
    box = fields.bounding_box(points)
    if shape.get("shape_type") == "circle":  # the centre, and a point of the edge
        radius, (x, y) = math.hypot(*box[2:]), points[0]
        box = (x - radius, y - radius, 2 * radius, 2 * radius)
    return box, tags
