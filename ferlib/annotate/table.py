"""The one table of labelled boxes, in which every format is read and from which it is written.

The table has one row a box and the columns of `COLUMNS`:

- `image`: the picture's name inside the pictures' folder, with `/` between folders; never outside of it;
- `x, y, width, height`: the box in whole pixels of the picture as shown (turned by EXIF), sides of 1 or more;
- `emotion`: the first tag, as `labels.canonical` writes it where it is an emotion, else the tag as it is;
- `tags`: all tags as they were, joined by `|`;
- `image_width`, `image_height`: the picture's size when it was labelled, 0 where the file does not say.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

import pandas as pd

from ferlib.common.boxes import Box, match_boxes
from ferlib.common.errors import AnnotationError

COLUMNS = ("image", "x", "y", "width", "height", "emotion", "tags", "image_width", "image_height")
NUMBERS = ("x", "y", "width", "height", "image_width", "image_height")

NO_FACE = "not a face"
"""The tag of a box that a person looked at and refused, so that the answer is kept."""


def make_table(rows: Sequence[Mapping] = ()) -> pd.DataFrame:
    """A table of boxes from rows (dicts); a size that is not given is 0, tags not given are the emotion."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    table["tags"] = table["tags"].where(table["tags"].notna(), table["emotion"])
    table = table.fillna({"image_width": 0, "image_height": 0})
    return table.astype({name: "int64" if name in NUMBERS else "str" for name in COLUMNS})


def picture_name(text: str) -> str:
    """A picture's name inside its folder, `\\` read as `/`; AnnotationError for one that leads outside."""
    name = str(text).replace("\\", "/")
    for form in (name, unquote(name)):  # `..%2F` is refused as well
        parts = PurePosixPath(form.replace("\\", "/")).parts
        if ".." in parts or form.startswith("/") or re.match(r"[A-Za-z]:", form) or "\0" in form:
            raise AnnotationError(f"picture name {text!r} leads outside the folder; give a name inside it")
    if name.encode(errors="replace").decode() != name:
        raise AnnotationError(f"picture name {text!r} has characters that no file name can have")
    name = str(PurePosixPath(name)) if name.strip() else "."
    if name == ".":
        raise AnnotationError(f"picture name {text!r} is empty")
    return name


def compare(truth: pd.DataFrame, labels: pd.DataFrame, least: float = 0.5) -> pd.DataFrame:
    """Two tables of boxes of the same pictures side by side: `image, truth, label, iou`.

    Boxes are matched by their overlap (IoU of `least` or more), each once. A box of `labels` that meets none
    of `truth` has the truth `NO_FACE`; a face of `truth` that meets no box has the label "" (overlooked).
    Only pictures that stand in `labels` are compared.
    """
    rows = []
    for image, theirs in labels.groupby("image", sort=False):
        ours = truth[truth["image"] == image]
        pairs = match_boxes(boxes_of(ours), boxes_of(theirs), least)
        of_truth = {i: (j, overlap) for i, j, overlap in pairs}
        of_label = {j: (i, overlap) for i, j, overlap in pairs}
        for j, name in enumerate(theirs["emotion"]):
            i, overlap = of_label.get(j, (None, 0.0))
            true = NO_FACE if i is None else ours["emotion"].iloc[i]
            rows.append((image, true, name, overlap))
        missed = [name for i, name in enumerate(ours["emotion"]) if i not in of_truth]
        rows += [(image, name, "", 0.0) for name in missed]
    return pd.DataFrame(rows, columns=["image", "truth", "label", "iou"])


def boxes_of(table: pd.DataFrame) -> list[Box]:
    """The boxes of a table, in its order."""
    return list(table[["x", "y", "width", "height"]].itertuples(index=False, name=None))
