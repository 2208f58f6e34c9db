"""The table of labelled boxes: every label format is read into it and written from it.

A `pandas.DataFrame` with one row per box and these columns:

| column | dtype | content |
|---|---|---|
| `image` | str | the picture's name inside the folder of pictures, with `/` between folders; never outside of it |
| `x`, `y` | int64 | the box's top left corner, in pixels of the picture as it is shown (turned by EXIF) |
| `width`, `height` | int64 | the box's sides in pixels, 1 or more |
| `emotion` | str | the first tag that is an emotion, as FER2013 names it; else the first tag; "" if there is none |
| `tags` | str | all tags as they were, joined by `|` |
| `image_width`, `image_height` | int64 | the picture's size when it was labelled; 0 if unknown |
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib.annotate.pictures import RecordedPaths, find_pictures, short_names
from ferlib.common.errors import BadInputError, warn_each

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
    def leave_out_if_bad(self, where: str = "", folder: Path | None = None) -> Iterator[None]:
        """Run a block that reads one record; if the record is bad, report it and go on.

        Args:
            where: The file and the record, for the report; "" if the error names them.
            folder: A folder of this machine that the report must not name.

        Yields:
            Nothing.
        """
        try:
            yield
        except BadInputError as error:
            reason = str(error).replace(f"{folder}{os.sep}", "") if folder else str(error)
            self.problems.append(f"{where}: {reason}; left out" if where else f"{reason}; left out")

    def warn(self) -> None:
        """Log the problems, then the notes."""
        warn_each(self.problems)
        warn_each(self.notes)

    def table(self) -> pd.DataFrame:
        """Log what there is to report, and make a table of boxes.

        Returns:
            The rows, whose pictures are recorded paths, as a table of boxes with short names; `attrs["recorded_paths"]`
            keeps the paths for `ferlib.annotate.crop.crop_regions`.
        """
        self.warn()
        names = short_names([row["image"] for row in self.rows])
        table = make_table(row | {"image": names[row["image"]]} for row in self.rows)
        table.attrs["recorded_paths"] = RecordedPaths({n: path for path, n in names.items() if n != path})
        return table


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


def join_pictures(table: pd.DataFrame, folder: Path, records: Records) -> pd.DataFrame:
    """Name the pictures of a table by their files, and leave out the boxes of those that have none.

    Args:
        table: A table of boxes; its `attrs["recorded_paths"]` has the recorded paths of pictures with short names.
        folder: The folder of the pictures.
        records: Where to report the pictures that have no file.

    Returns:
        The rows whose picture was found; `image` is the file's name inside the folder.
    """
    recorded = table.attrs.get("recorded_paths", {})
    paths = {image: recorded.get(image, image) for image in table["image"].unique()}
    found = find_pictures(paths.values(), folder)
    files = {image: found[path] for image, path in paths.items()}
    lost = {image: reason for image, reason in files.items() if not isinstance(reason, str)}
    records.problems += [f"{image}: {reason}; left out" for image, reason in lost.items()]
    table = table[~table["image"].isin(lost.keys())]
    return table.assign(image=table["image"].map(files))


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
