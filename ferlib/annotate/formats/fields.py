"""What the readers of all label formats need: bytes to text, numbers that are numbers, boxes in whole pixels.

Each helper takes one value of a file as it stands there and gives a clean one, or raises AnnotationError
with the reason; the reader adds where it stood and goes on.
"""

import codecs
import json
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from ferlib.annotate.table import picture_name
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import AnnotationError, LabelError
from ferlib.common.files import write_text
from ferlib.common.labels import canonical

MAX_SIDE = 1_000_000
"""A picture side beyond this many pixels is taken for a slip of the file."""
MAX_AREA = 1_000_000_000
"""So is a picture of this many pixels or more."""


def read_text(file: Path) -> str:
    """A label file's text: a byte order mark is obeyed, else UTF-8, else GB18030 (which holds GBK)."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{file.name}: cannot be read ({error.strerror})") from error
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    for encoding in (
        ("utf-16",) if utf16 else ("utf-8-sig", "gb18030")
    ):  # the last: a Chinese Windows' default
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AnnotationError(f"{file.name}: neither UTF-8 nor GBK text; save it as UTF-8")


def read_json(file: Path) -> object:
    """A label file's JSON; AnnotationError where it is cut off, or no JSON at all."""
    text = read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{file.name}: not whole JSON ({error}); export it again") from error


def write_json(file: str | os.PathLike, content: object) -> None:
    """Write JSON beside and rename, so that a file is never half there."""
    write_text(file, json.dumps(content, ensure_ascii=False, indent=1))


def existing_file(path: str | os.PathLike, what: str) -> Path:
    """The path of a label file that is there; AnnotationError otherwise."""
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path.name}: there is no such {what}")
    return path


def number(value: object) -> float | None:
    """A finite number as float; None for what is none (words, NaN, infinite, beyond any picture, true)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if abs(value) <= 1e12 else None  # NaN and infinity fail this too


def pixels(record: dict, *keys: str) -> list[float]:
    """The numbers of a record under these keys; AnnotationError names the first that is none."""
    values = [number(record.get(key)) for key in keys]
    for key, value in zip(keys, values, strict=True):
        if value is None:
            raise AnnotationError(f"{key} is {short(record.get(key))}, not a number of pixels")
    return values


def picture_size(width: object, height: object) -> tuple[int, int] | None:
    """(width, height), (0, 0) where nothing is said, None where what is said cannot be a size."""
    sides = [number(0 if side is None else side) for side in (width, height)]
    if any(side is None or side < 0 or side > MAX_SIDE for side in sides):
        return None
    if sides[0] * sides[1] >= MAX_AREA:
        return None
    return (round(sides[0]), round(sides[1])) if all(side >= 1 for side in sides) else (0, 0)


def box_of(x0: float, y0: float, width: float, height: float, size: tuple[int, int]) -> Box:
    """A box in whole pixels: its edges rounded, then clamped to the picture's (width, height), if known.

    AnnotationError where it has no area, or none inside the picture.
    """
    if width <= 0 or height <= 0:
        raise AnnotationError(f"{width:g}×{height:g} pixels, no area")
    left, top = int(np.floor(x0 + 0.5)), int(np.floor(y0 + 0.5))
    right, bottom = int(np.floor(x0 + width + 0.5)), int(np.floor(y0 + height + 0.5))
    limit = size if size[0] else (MAX_SIDE, MAX_SIDE)
    box = clamp_box((left, top, right - left, bottom - top), *limit)
    if box[2] < 1 or box[3] < 1:
        raise AnnotationError(
            f"the box {left},{top} {width:g}×{height:g} has no whole pixel inside the picture"
        )
    return box


def hull(pairs: list) -> tuple[float, float, float, float]:
    """The bounding box (x, y, width, height) of points [(x, y), …], not yet rounded."""
    pairs = [(number(x), number(y)) for x, y in pairs]
    if any(value is None for pair in pairs for value in pair):
        raise AnnotationError("a point that is not two numbers")
    (x0, y0), (x1, y1) = np.min(pairs, axis=0), np.max(pairs, axis=0)
    return float(x0), float(y0), float(x1 - x0), float(y1 - y0)


def clean_tags(tags: object) -> list[str]:
    """The tags that say something; the mark between joined tags cannot be part of one."""
    tags = tags if isinstance(tags, list) else []
    texts = [tag.encode(errors="replace").decode() for tag in tags if isinstance(tag, str) and tag.strip()]
    return [" ".join(text.replace("|", "/").split()) for text in texts]


def box_row(image: str, size: tuple[int, int], box: Box, tags: list[str]) -> dict:
    """One row of the table of boxes; AnnotationError where there is no tag."""
    if not tags:
        raise AnnotationError("no tag; give it one")
    return untagged_row(image, size, box) | {"emotion": emotion_of(tags[0]), "tags": "|".join(tags)}


def untagged_row(image: str, size: tuple[int, int], box: Box) -> dict:
    """One row of the table of boxes whose emotion nobody has named yet."""
    row = dict(zip(("x", "y", "width", "height"), box, strict=True))
    return {"image": image, **row, "emotion": "", "tags": "", "image_width": size[0], "image_height": size[1]}


def emotion_of(tag: str) -> str:
    """A tag as the table's emotion: FER2013's name where it is one, else the tag as it is."""
    try:
        return canonical(tag)
    except LabelError:
        return tag


def name_in_folder(path: str) -> str:
    """A picture's name in its folder from a path or address that a tool wrote on its own machine.

    Of an absolute path or an address only the last part is used, so that a project may move; a relative one
    keeps its folders. AnnotationError for one that leads outside.
    """
    text = path.replace("\\", "/")
    address = urlsplit(text) if "://" in text else None
    if address is not None:
        text = unquote(address.path)
    absolute = address is not None or text.startswith("/") or text[1:3] == ":/"
    return picture_name(text.rpartition("/")[2] if absolute else text)


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def short(value: object) -> str:
    """A value as a message may show it, 60 characters at most."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
