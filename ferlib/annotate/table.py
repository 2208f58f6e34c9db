"""The table of labelled boxes: every label format is read into it and written from it.

A `pandas.DataFrame` with one row per box and these columns:

| column | dtype | content |
|---|---|---|
| `image` | str | the picture's name inside the folder of pictures, with `/` between folders; never outside of it |
| `x`, `y` | int64 | the box's top left corner, in pixels of the picture as it is shown (turned by EXIF) |
| `width`, `height` | int64 | the box's sides in pixels, 1 or more |
| `emotion` | str | the first tag: FER2013's name if it is an emotion, else as it is; "" if there is none |
| `tags` | str | all tags as they were, joined by `|` |
| `image_width`, `image_height` | int64 | the picture's size when it was labelled; 0 if unknown |
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pandas as pd

from ferlib.common.errors import AnnotationError, BadInputError, warn_each

COLUMNS = ("image", "x", "y", "width", "height", "emotion", "tags", "image_width", "image_height")
"""The columns of a table of boxes; see the module's description."""

BOX = ("x", "y", "width", "height")
"""The columns of the box."""

Size = tuple[int, int]
"""(width, height) of a picture in pixels."""

ImageSizes = Mapping[str, Size]
"""Picture name to (width, height) in pixels."""

NO_FACE = "not a face"
"""The tag of a box that a person has rejected; the box is kept so that it is not proposed again."""


@dataclass
class Records:
    """What a reader has found so far, and what it has to report.

    Attributes:
        rows: The rows of the result.
        problems: One line per record that was left out.
        notes: One line per record that was kept, but not as it was.
    """

    rows: list = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def leave_out_if_bad(self, where: str, folder: Path | None = None) -> Iterator[None]:
        """Run a block that reads one record; if the record is bad, report it and go on.

        Args:
            where: The file and the record, for the report.
            folder: A folder of this machine that the report must not name.

        Yields:
            Nothing.
        """
        try:
            yield
        except BadInputError as error:
            reason = str(error).replace(f"{folder}{os.sep}", "") if folder else str(error)
            self.problems.append(f"{where}: {reason}; left out")

    def warn(self) -> None:
        """Log the problems, then the notes."""
        warn_each(self.problems)
        warn_each(self.notes)

    def table(self) -> pd.DataFrame:
        """Log what there is to report, and make a table of boxes.

        Returns:
            The rows as a table of boxes.
        """
        self.warn()
        return make_table(self.rows)


def make_table(rows: Iterable[Mapping] = ()) -> pd.DataFrame:
    """Make a table of boxes.

    Args:
        rows: One mapping from column name to value per box. Missing tags are taken from the emotion,
            a missing size of the picture is 0.

    Returns:
        A table of boxes with exactly the columns `COLUMNS`.
    """
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    table["tags"] = table["tags"].where(table["tags"].notna(), table["emotion"])
    table = table.fillna({"image_width": 0, "image_height": 0})
    texts = ("image", "emotion", "tags")
    return table.astype({name: "str" if name in texts else "int64" for name in COLUMNS})


def make_row(image: str, box: Sequence[int], emotion: str, tags: str, size: Size) -> dict[str, Any]:
    """Make one row of a table of boxes.

    Args:
        image: The name of the picture.
        box: (x, y, width, height) in pixels.
        emotion: The emotion, "" if nobody has named it.
        tags: All tags, joined by `|`.
        size: (width, height) of the picture, (0, 0) if unknown.

    Returns:
        Column name to value, for `make_table`.
    """
    return dict(zip(COLUMNS, (image, *box, emotion, tags, *size), strict=True))


def image_sizes_of(table: pd.DataFrame, image_sizes: ImageSizes | None = None) -> dict[str, Size]:
    """Get the size of each picture of a table.

    Args:
        table: A table of boxes.
        image_sizes: (width, height) of pictures by name. It overrides the table, and may name pictures
            that have no box.

    Returns:
        Picture name to (width, height), in the order in which the pictures appear; (0, 0) if unknown.
    """
    sizes = {row.image: (int(row.image_width), int(row.image_height)) for row in table.itertuples()}
    return sizes | {name: (int(w), int(h)) for name, (w, h) in (image_sizes or {}).items()}


def clean_image_name(text: str) -> str:
    r"""Normalise the name of a picture inside its folder.

    Args:
        text: The name; `\` is read as `/`.

    Returns:
        The name with `/` between folders.

    Raises:
        AnnotationError: The name is empty, leads outside the folder, or cannot be a file name.
    """
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
