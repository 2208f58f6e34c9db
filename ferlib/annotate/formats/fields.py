"""Checks that the readers of all label formats share: text, numbers, boxes, tags and picture names.

Each function takes one value as a file has it and returns a clean one, or raises AnnotationError with the
reason; the reader adds the record's place in the file and goes on with the next one.
"""

import cmath
import codecs
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ferlib.annotate.pictures import short_name
from ferlib.annotate.table import NO_FACE, Records, Size, make_row
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import AnnotationError
from ferlib.common.files import write_text
from ferlib.common.labels import EIGHT, class_key

MAX_SIDE = 1_000_000
"""The longest side of a picture, in pixels, that is believed."""

MAX_AREA = 1_000_000_000
"""A picture of this many pixels or more is not believed."""

CORNERS = ("xmin", "ymin", "xmax", "ymax")
"""The names that Pascal VOC and the CSVs made from it have for the edges of a box."""

_Kind = TypeVar("_Kind")


def read_text(file: Path) -> str:
    """Read a label file as text: UTF-16 or UTF-8 with a byte order mark, else UTF-8, else GB18030 (or GBK).

    Args:
        file: The path of the file.

    Returns:
        The text.

    Raises:
        AnnotationError: The file cannot be read, or is no text.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{file.name}: cannot be read ({error.strerror})") from error
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise AnnotationError(f"{file.name}: a compressed archive; unpack it and give the label file inside")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    # GB18030 holds GBK, the default of Windows in Chinese.
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "gb18030"):
        with suppress(UnicodeDecodeError):
            return data.decode(encoding)
    raise AnnotationError(f"{file.name}: neither UTF-8 nor GBK text; save it as UTF-8")


def read_each_file(
    path: str | os.PathLike, pattern: str, read_file: Callable[[Path, Records], None]
) -> Records:
    """Read a file, or each file below a folder; a bad one of many is left out.

    Args:
        path: The file or folder.
        pattern: The names of the files in a folder, such as `*.xml`.
        read_file: The function that reads one file into the records.

    Returns:
        The rows, the problems and the notes.

    Raises:
        AnnotationError: The path is missing, has no such file, or is itself a bad one.
    """
    path, records = Path(path), Records()
    if not path.is_dir():
        read_file(path, records)
        return records
    files = sorted(file for file in path.rglob(pattern) if file.is_file())
    if not files:
        raise AnnotationError(f"{path.name}: no {pattern} in this folder")
    images: set[str] = set()
    for file in files:
        count = len(records.rows)
        with records.leave_out_if_bad():
            read_file(file, records)
            new = {row["image"] for row in records.rows[count:]}
            if both := images & new:  # perhaps another folder's picture of the same name
                del records.rows[count:]
                raise AnnotationError(f"{file.name}: a second file for {min(both)}; the first is kept")
            images |= new
    return records


def read_json(file: Path) -> Any:
    """Read a label file as JSON.

    Args:
        file: The path of the file.

    Returns:
        The content.

    Raises:
        AnnotationError: The file cannot be read, is cut off, or is no JSON.
    """
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{file.name}: incomplete or no JSON ({error}); export it again") from error


def write_json(path: str | os.PathLike, content: object) -> Path:
    """Write JSON so that an incomplete file never replaces a complete one.

    Args:
        path: The path of the file; missing folders are made.
        content: What to write.

    Returns:
        The path.
    """
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1))
    return Path(path)


def number(value: object) -> float | None:
    """Read a JSON value as a number.

    Args:
        value: The value.

    Returns:
        A finite float of at most 10¹² in size; None for anything else (words, NaN, infinity, true).
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= 1e12 else None  # NaN and infinity fail this too


def numbers(record: Mapping, keys: Sequence[str], unit: str = "pixels", read: Callable = number) -> list:
    """Read several numbers of a record.

    Args:
        record: The record.
        keys: The keys of the numbers.
        unit: The unit of the numbers, for the message.
        read: The function that reads one value, such as `number`; it returns None for a bad one.

    Returns:
        The numbers in the order of the keys.

    Raises:
        AnnotationError: A value is missing or is not a number; the message names the first one.
    """
    values = [read(record.get(key)) for key in keys]
    if None in values:
        key = keys[values.index(None)]
        raise AnnotationError(f"{key} is {shorten(record.get(key))}, not a number of {unit}")
    return values


def number_in(text: str | None) -> float | None:
    """Read the number that a text is.

    Args:
        text: The text; None for none.

    Returns:
        The number as `number` reads it; None for any other text.
    """
    try:
        return number(float(text or ""))
    except ValueError:
        return None


def box_of_corners(record: Mapping) -> tuple[float, ...]:
    """Read the box of a record that has its edges as text.

    Args:
        record: The record, with the keys `CORNERS`.

    Returns:
        (x, y, width, height) in pixels, as the file has it.

    Raises:
        AnnotationError: An edge is missing or is not a number.
    """
    left, top, right, bottom = numbers(record, CORNERS, read=number_in)
    return left, top, right - left, bottom - top


def image_size(width: object, height: object) -> Size | None:
    """Read the size of a picture.

    Args:
        width: The width in pixels; None if the file does not have it.
        height: The height in pixels; None if the file does not have it.

    Returns:
        (width, height) in pixels, (0, 0) if the file does not have it, None if it cannot be a size.
    """
    wide, high = (number(0 if side is None else side) for side in (width, height))
    if wide is None or high is None or min(wide, high) < 0:
        return None
    if max(wide, high) > MAX_SIDE or wide * high >= MAX_AREA:
        return None
    return (round(wide), round(high)) if min(wide, high) >= 1 else (0, 0)


def image_size_or_note(records: Records, where: str, width: object, height: object) -> Size:
    """Read the size of a picture; if it cannot be one, note that and go on without it.

    Args:
        records: Where to note it.
        where: The file and the picture.
        width: As for `image_size`.
        height: As for `image_size`.

    Returns:
        (width, height) in pixels, (0, 0) if unknown.
    """
    size = image_size(width, height)
    if size is None:
        text = f"{shorten(width)}×{shorten(height)}"
        records.notes.append(f"{where}: {text} is no size; its boxes are read without one")
    return size or (0, 0)


def whole_box(box: Sequence[float], size: Size) -> Box:
    """Round the edges of a box to whole pixels and clamp them to the picture.

    Args:
        box: (x, y, width, height) in pixels.
        size: (width, height) of the picture, (0, 0) if unknown.

    Returns:
        (x, y, width, height) in whole pixels inside the picture.

    Raises:
        AnnotationError: The box has no area, or none inside the picture.
    """
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise AnnotationError(f"{width:g}×{height:g} pixels, no area")
    left, top, right, bottom = (int(np.floor(edge + 0.5)) for edge in (x, y, x + width, y + height))
    limits = size if size[0] else (MAX_SIDE, MAX_SIDE)
    clamped = clamp_box((left, top, right - left, bottom - top), *limits)
    if 0 in clamped[2:]:
        raise AnnotationError(
            f"the box {left},{top} {width:g}×{height:g} has no whole pixel inside the picture"
        )
    return clamped


def bounding_box(points: Sequence) -> tuple[float, float, float, float]:
    """Compute the bounding box of a polygon.

    Args:
        points: The corners, pairs (x, y) as the file has them; at least one.

    Returns:
        (x, y, width, height), not rounded.

    Raises:
        AnnotationError: A point is not a pair of numbers.
    """
    pairs: list[Any] = [
        tuple(map(number, point)) if isinstance(point, (list, tuple)) else () for point in points
    ]
    if any(len(pair) != 2 or None in pair for pair in pairs):
        raise AnnotationError("a point that is not two numbers")
    (left, top), (right, bottom) = np.min(pairs, axis=0).tolist(), np.max(pairs, axis=0).tolist()
    return left, top, right - left, bottom - top


def rotated_box(box: Sequence[float], degrees: object, centre: bool = True) -> tuple[float, ...]:
    """Compute the bounding box of a rotated rectangle.

    Args:
        box: (x, y, width, height) of the rectangle before it is rotated.
        degrees: The angle, clockwise, as the file has it; without one the box stays as it is.
        centre: Whether it is rotated around its centre (CVAT), or around its corner x, y (Label Studio).

    Returns:
        (x, y, width, height), not rounded.

    Raises:
        AnnotationError: The angle is not a number.
    """
    x, y, width, height = box
    angle = number(0 if degrees is None else degrees)
    if angle is None:
        raise AnnotationError(f"rotation is {shorten(degrees)}, not a number of degrees")
    if angle % 360 == 0:
        return x, y, width, height
    turn = cmath.rect(1, math.radians(angle))
    pivot = complex(x + width / 2, y + height / 2) if centre else complex(x, y)
    corners = (complex(u, v) for u in (x, x + width) for v in (y, y + height))
    turned = [pivot + (corner - pivot) * turn for corner in corners]
    return bounding_box([(each.real, each.imag) for each in turned])


def clean_tags(tags: object) -> list[str]:
    """Clean the tags of a box.

    Args:
        tags: The list of tags as the file has it; anything else counts as none.

    Returns:
        The tags that are not blank, without superfluous blanks; `|`, which joins tags, becomes `/`.
    """
    tags = tags if isinstance(tags, list) else []
    texts = [tag.encode(errors="replace").decode() for tag in tags if isinstance(tag, str) and tag.strip()]
    return [" ".join(text.replace("|", "/").split()) for text in texts]


def attribute_tags(attributes: object) -> list[str]:
    """Get the words that a labelling tool keeps as attributes of a box, such as `{"emotion": "happy"}`.

    Args:
        attributes: The mapping as the file has it; anything else counts as none.

    Returns:
        The values that are words, as tags.
    """
    return clean_tags(list(attributes.values()) if isinstance(attributes, Mapping) else [])


def box_row(image: str, size: Size, box: Sequence[float], tags: list[str], untagged: bool = False) -> dict:
    """Make one row of the table of boxes.

    Args:
        image: The recorded path of the picture.
        size: (width, height) of the picture, (0, 0) if unknown.
        box: (x, y, width, height) in pixels, as the file has it; see `whole_box`.
        tags: The tags of the box; the first one that is an emotion gives the emotion.
        untagged: Whether a box may have no tag; its emotion is "".

    Returns:
        Column name to value, for `ferlib.annotate.table.make_table`.

    Raises:
        AnnotationError: The box has no area inside the picture, or it has no tag and needs one.
    """
    box = whole_box(box, size)
    if not tags and not untagged:
        raise AnnotationError("no tag; give it one")
    return make_row(image, box, emotion_of(tags), "|".join(tags), size)


def add_boxes(
    records: Records,
    where: str,
    items: Iterable,
    image: str,
    sides: tuple[object, object],
    read: Callable[[Any], tuple[Sequence[float], list[str]]],
    untagged: bool = False,
) -> None:
    """Add the boxes of one picture to the records; a bad one is left out, and reported with its place.

    Args:
        records: Where they are added.
        where: The name of the file, and behind it the tool's word for a box: "a.json: shape".
        items: The boxes as the file has them: JSON objects or XML elements.
        image: The recorded path of the picture.
        sides: (width, height) of the picture as the file has them.
        read: The function that reads (box, tags) of one of them; see `box_row`.
        untagged: Whether a box may have no tag.
    """
    (file, _, word), name = where.rpartition(": "), short_name(image)
    size = image_size_or_note(records, f"{file}: {name}", *sides)
    for place, item in enumerate(items, start=1):
        with records.leave_out_if_bad(f"{where} {place} of {name}"):
            records.rows.append(box_row(image, size, *read(_as_record(item, word)), untagged))


def _as_record(item: object, word: str) -> object:
    if not hasattr(item, "get"):
        raise AnnotationError(f"not a {word}")
    return item


def emotion_of(tags: Sequence[str]) -> str:
    """Get the emotion that the tags of a box name.

    Args:
        tags: The tags, such as `["face", "Happiness"]`.

    Returns:
        The first tag that is an emotion (FER2013's name: "happy") or "not a face"; if there is none, the first tag,
        and "" without a tag.
    """
    names = [class_key(tag) for tag in tags]
    return next((name for name in names if name in EIGHT or name == NO_FACE), names[0] if names else "")


def get(record: object, key: str, kind: type[_Kind]) -> _Kind:
    """Get the value that a record has for a key, if it is of the kind that it should be.

    Args:
        record: The record; anything but a mapping has no value.
        key: The key.
        kind: The type: `dict`, `list` or `str`.

    Returns:
        The value; an empty one of the kind if there is none, or one of another type.
    """
    value = record.get(key) if isinstance(record, Mapping) else None
    return value if isinstance(value, kind) else kind()


def shorten(value: object) -> str:
    """Represent a value for a message.

    Args:
        value: The value.

    Returns:
        Its `repr`, cut to 60 characters.
    """
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} of great depth"
    return text if len(text) <= 60 else text[:57] + "..."
