"""The boxes of `jupyter_bbox_widget`, saved as its documentation shows: picture name to a list of boxes."""

import os
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import recorded_path
from ferlib.annotate.table import BOX, Records
from ferlib.common.errors import AnnotationError


def read_bbox_widget(path: str | os.PathLike) -> pd.DataFrame:
    """Read a JSON file `{"a.jpg": [{"x": 20, "y": 10, "width": 40, "height": 40, "label": "happy"}]}`.

    A record that cannot be used is left out, with a warning.

    See https://github.com/gereleth/jupyter-bbox-widget.

    Args:
        path: The path of the file.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing, or is no such JSON.
    """
    file, records = Path(path), Records()
    content = fields.read_json(file)
    if not is_bbox_widget(content):
        raise AnnotationError(f"{file.name}: not picture names with lists of boxes")
    for name, boxes in content.items():
        with records.leave_out_if_bad(f"{file.name}: {name}"):
            fields.add_boxes(records, f"{file.name}: box", boxes, recorded_path(name), (0, 0), _read_box)
    return records.table()


def _read_box(box: dict) -> tuple[list[float], list[str]]:
    return fields.numbers(box, BOX), fields.clean_tags([box.get("label")])


def is_bbox_widget(content: object) -> bool:
    """Check whether a JSON value has this format.

    Args:
        content: The content of a file.

    Returns:
        Whether it maps names to lists, and the boxes in them have `x` and `width`.
    """
    if not isinstance(content, dict) or not all(isinstance(each, list) for each in content.values()):
        return False
    boxes = [box for each in content.values() for box in each]
    return any(isinstance(box, dict) and {"x", "width"} <= box.keys() for box in boxes)
