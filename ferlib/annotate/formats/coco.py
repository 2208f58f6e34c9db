"""COCO's detection JSON: `images`, `annotations` and `categories` in one file.

See "Data format" at https://cocodataset.org/#format-data.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import clean_image_name, recorded_path, short_name
from ferlib.annotate.table import ImageSizes, Records, Size, image_sizes_of
from ferlib.common.errors import AnnotationError


def read_coco(path: str | os.PathLike) -> pd.DataFrame:
    """Read a COCO file.

    `bbox` is [x, y, width, height] in pixels from 0; without it, the bounding box of the `segmentation`
    polygons is used. A rectangle that CVAT rotated (`attributes.rotation`) becomes its bounding box. The tags are
    the category's name and the words in `attributes`, unless the annotation has a list `tags` (as `write_coco`
    writes it). Ids may be numbers or words: 1, 1.0 and "1" are the same. A record that cannot be used is left
    out, with a warning; so are crowds (`iscrowd` 1: a group, not a single face).

    Args:
        path: The path of the file.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing, or is no COCO file.
    """
    file, records = Path(path), Records()
    content = fields.read_json(file)
    content = content if isinstance(content, dict) else {}
    if not all(isinstance(content.get(key), list) for key in ("images", "annotations")):
        raise AnnotationError(f"{file.name}: not a COCO file (it has no lists 'images' and 'annotations')")
    images = _read_images(content["images"], file.name, records)
    categories = [item for item in fields.get(content, "categories", list) if isinstance(item, dict)]
    names = {_key(item.get("id")): fields.get(item, "name", str) for item in categories}
    for place, record in enumerate(content["annotations"], start=1):
        key = _key(record.get("image_id")) if isinstance(record, dict) else ""
        image, size = images.get(key, ("", (0, 0)))
        where = f"{file.name}: annotation {place}" + (f" of {short_name(image)}" if image else "")
        with records.leave_out_if_bad(where):
            if not isinstance(record, dict):
                raise AnnotationError("not an annotation")
            if not image:
                text = fields.shorten(record.get("image_id"))
                raise AnnotationError(f"image_id {text} is none of the images")
            box, tags = _read_box(record), _read_tags(record, names)
            records.rows.append(fields.box_row(image, size, box, tags))
    return records.table()


def _key(identity: object) -> str:
    """Return an id as a key: some tools write 1 as 1.0 or "1"; true is none."""
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    return str(identity) if isinstance(identity, (int, str)) and not isinstance(identity, bool) else ""


def _read_images(items: list, file_name: str, records: Records) -> dict[str, tuple[str, Size]]:
    """Read the pictures: id to (recorded path, (width, height)). Of two entries for one file the first is kept."""
    images: dict[str, tuple[str, Size]] = {}
    paths = set()
    for place, item in enumerate(items, start=1):
        with records.leave_out_if_bad(f"{file_name}: image {place}"):
            if not isinstance(item, dict) or not _key(item.get("id")):
                raise AnnotationError("has no 'id'")
            path, key = recorded_path(fields.get(item, "file_name", str)), _key(item["id"])
            name = short_name(path)
            if path in paths or key in images:
                raise AnnotationError(f"a second image named {name!r} or with its id; the first is kept")
            sides = item.get("width"), item.get("height")
            images[key] = path, fields.image_size_or_note(records, f"{file_name}: {name}", *sides)
            paths.add(path)
    return images


def _read_tags(record: dict, names: Mapping[str, str]) -> list[str]:
    if tags := fields.clean_tags(record.get("tags")):
        return tags
    identity = record.get("category_id")
    if _key(identity) not in names:
        raise AnnotationError(f"category_id {fields.shorten(identity)} is none of the categories")
    return fields.clean_tags([names[_key(identity)]]) + fields.attribute_tags(record.get("attributes"))


def _read_box(record: dict) -> Sequence[float]:
    if record.get("iscrowd") == 1:
        raise AnnotationError("iscrowd is 1, a group and not one face")
    if box := fields.get(record, "bbox", list):
        values = [value for value in map(fields.number, box) if value is not None]
        if len(box) != 4 or len(values) != 4:
            raise AnnotationError(f"bbox is {fields.shorten(box)}, not four numbers of pixels")
        rotation = fields.get(record, "attributes", dict).get("rotation")
        return fields.rotated_box(values, fields.number(rotation))
    if isinstance(record.get("segmentation"), dict):
        raise AnnotationError("a mask (RLE) without a bbox")
    polygons = [shape for shape in fields.get(record, "segmentation", list) if isinstance(shape, list)]
    points = [point for shape in polygons for point in zip(shape[::2], shape[1::2], strict=False)]
    if not points:
        raise AnnotationError("neither 'bbox' nor 'segmentation'")
    return fields.bounding_box(points)


def write_coco(table: pd.DataFrame, path: str | os.PathLike, image_sizes: ImageSizes | None = None) -> Path:
    """Write a table of boxes as one COCO file that pycocotools opens.

    Ids count from 1; there is one category per emotion, in sorted order. All tags of a box are in an extra
    key `tags`, which other readers ignore. Boxes without an emotion are left out.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        path: The path of the file.
        image_sizes: (width, height) of pictures by name, also of those without a box; it overrides the
            table's own sizes.

    Returns:
        The path.
    """
    sizes = image_sizes_of(table, image_sizes)
    ids = {image: k for k, image in enumerate(sizes, start=1)}
    labelled = table[table["emotion"] != ""]
    categories = {name: k for k, name in enumerate(sorted(set(labelled["emotion"])), start=1)}
    annotations: list[dict[str, Any]] = []
    for k, row in enumerate(labelled.itertuples(), start=1):
        x, y, w, h = map(int, (row.x, row.y, row.width, row.height))
        annotations.append(
            {
                "id": k,
                "image_id": ids[row.image],
                "category_id": categories[row.emotion],
                "bbox": [x, y, w, h],
                "area": w * h,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                "iscrowd": 0,
                "tags": [tag for tag in row.tags.split("|") if tag],
            }
        )
    images = [
        {"id": ids[image], "file_name": clean_image_name(image), "width": width, "height": height}
        for image, (width, height) in sizes.items()
    ]
    content = {
        "info": {"description": "faces and their expressions"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k, "name": name, "supercategory": "face"} for name, k in categories.items()],
    }
    return fields.write_json(path, content)
