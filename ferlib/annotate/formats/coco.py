"""COCO's detection JSON: `images`, `annotations`, `categories` in one file (cocodataset.org, "Data format")."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats.fields import (
    box_of,
    box_row,
    clean_tags,
    existing_file,
    hull,
    name_in_folder,
    number,
    picture_size,
    read_json,
    short,
    text_of,
    write_json,
)
from ferlib.annotate.table import make_table, picture_name
from ferlib.common.errors import AnnotationError


def read_coco(path: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """The boxes of a COCO file: `(table, problems)`.

    `bbox` is [x, y, width, height] in pixels from 0; what has none gets the hull of its `segmentation`
    polygons. The category's name is the emotion, unless the annotation has a list `tags` (as `write_coco`
    leaves it). A record that cannot be used is left out and named in `problems`; crowds (`iscrowd` 1, a
    group and no single face) too. Raises AnnotationError where `path` is missing or no COCO file.
    """
    file = existing_file(path, "COCO file")
    content = read_json(file)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise AnnotationError(
            f"{file.name}: not a COCO file (lists 'images' and 'annotations' are not in it)"
        )
    problems = []
    pictures = _pictures(content["images"], file.name, problems)
    names = _categories(content.get("categories"))
    rows = []
    for place, record in enumerate(content["annotations"], start=1):
        where = f"{file.name}: annotation {place}"
        try:
            if not isinstance(record, dict):
                raise AnnotationError("not an annotation")
            key = _key(record.get("image_id"))
            if key not in pictures:
                raise AnnotationError(f"image_id {short(record.get('image_id'))} is none of the images")
            image, size = pictures[key]
            where += f" of {image}"
            rows.append(box_row(image, size, _box(record, size), _tags(record, names)))
        except AnnotationError as error:
            problems.append(f"{where}: {error}; left out")
    return make_table(rows), problems


def _key(identity: object) -> str:
    """An id as a key: tools write numbers and words, and 1 is not true."""
    return repr(identity) if isinstance(identity, (int, str)) and not isinstance(identity, bool) else ""


def _pictures(records: list, file_name: str, problems: list[str]) -> dict[str, tuple]:
    """Image id to (name, (width, height)); two ids for one file: the first counts."""
    pictures, taken = {}, set()
    for place, record in enumerate(records, start=1):
        try:
            if not isinstance(record, dict) or not _key(record.get("id")):
                raise AnnotationError("has no 'id'")
            name = name_in_folder(text_of(record.get("file_name")))
            if name in taken or _key(record["id"]) in pictures:
                raise AnnotationError(f"a second image named {name!r} or with its id; the first is kept")
        except AnnotationError as error:
            problems.append(f"{file_name}: image {place}: {error}; left out")
            continue
        size = picture_size(record.get("width"), record.get("height"))
        if size is None:
            said = f"{short(record.get('width'))}×{short(record.get('height'))}"
            problems.append(f"{file_name}: {name}: {said} is no size; its boxes are read without one")
        pictures[_key(record["id"])] = name, size or (0, 0)
        taken.add(name)
    return pictures


def _categories(records: object) -> dict[str, str]:
    records = records if isinstance(records, list) else []
    return {_key(r.get("id")): text_of(r.get("name")) for r in records if isinstance(r, dict)}


def _tags(record: dict, names: Mapping[str, str]) -> list[str]:
    if tags := clean_tags(record.get("tags")):
        return tags
    key = _key(record.get("category_id"))
    if key not in names:
        raise AnnotationError(f"category_id {short(record.get('category_id'))} is none of the categories")
    return clean_tags([names[key]])


def _box(record: dict, size: tuple[int, int]) -> tuple:
    if record.get("iscrowd") == 1:
        raise AnnotationError("iscrowd is 1, a group and not one face")
    box, shapes = record.get("bbox"), record.get("segmentation")
    if isinstance(box, list) and box:
        values = [number(value) for value in box]
        if len(box) != 4 or None in values:
            raise AnnotationError(f"bbox is {short(box)}, not four numbers of pixels")
        return box_of(*values, size)
    if isinstance(shapes, dict):
        raise AnnotationError("a mask (RLE) without a bbox")
    flat = [shape for shape in shapes if isinstance(shape, list)] if isinstance(shapes, list) else []
    points = [pair for shape in flat for pair in zip(shape[::2], shape[1::2], strict=False)]
    if not points:
        raise AnnotationError("neither 'bbox' nor 'segmentation'")
    return box_of(*hull(points), size)


def write_coco(
    table: pd.DataFrame, path: str | os.PathLike, image_sizes: Mapping[str, tuple[int, int]] | None = None
) -> Path:
    """The table as one COCO file that pycocotools opens: ids from 1, a category an emotion, in sorted order.

    `image_sizes` gives (width, height) of pictures, also of those without a box; else the table's own count.
    All tags of a box stand in an extra key `tags`, which other readers pass over. Written beside and renamed.
    """
    sizes = {row.image: (int(row.image_width), int(row.image_height)) for row in table.itertuples()}
    sizes |= dict(image_sizes or {})
    ids = {image: k for k, image in enumerate(sizes, start=1)}
    categories = {name: k for k, name in enumerate(sorted(set(table["emotion"]) - {""}), start=1)}
    annotations = []
    for row in table[table["emotion"] != ""].itertuples():
        x, y, w, h = (int(value) for value in (row.x, row.y, row.width, row.height))
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": ids[row.image],
                "category_id": categories[row.emotion],
                "bbox": [x, y, w, h],
                "area": w * h,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                "iscrowd": 0,
                "tags": [tag for tag in row.tags.split("|") if tag],
            }
        )
    content = {
        "info": {"description": "faces and their expressions"},
        "images": [
            {"id": ids[image], "file_name": picture_name(image), "width": int(width), "height": int(height)}
            for image, (width, height) in sizes.items()
        ],
        "annotations": annotations,
        "categories": [{"id": k, "name": name, "supercategory": "face"} for name, k in categories.items()],
    }
    write_json(path, content)
    return Path(path)
