"""Label Studio's JSON export: a list of tasks whose boxes are in percent of the picture's sides."""

import math
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.table import Records, Size
from ferlib.common.errors import AnnotationError
from ferlib.common.images import SUFFIXES

_LABEL_KEYS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "labels", "choices")
_IMAGE = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})([?#&]|$)", re.IGNORECASE)


def read_label_studio(path: str | os.PathLike, annotator: int | str | None = None) -> pd.DataFrame:
    """Read a Label Studio export ("JSON" or "JSON-MIN").

    Percent become pixels by `original_width` and `original_height`; of a turned rectangle, an ellipse or a
    polygon the bounding box is used. Results that share an id (a rectangle and a choice for it) are one
    region. If several people annotated a task, the first annotation that was not cancelled is read, with a
    warning. The random prefix that Label Studio puts before the name of an uploaded picture
    (`/data/upload/1/1a2b3c4d-street.jpg`) is removed. A record that cannot be used is left out, with a
    warning.

    Args:
        path: The path of the file.
        annotator: The number or e-mail address of `completed_by`, to read one person's annotations.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing, or is no such export.
    """
    file, records = Path(path), Records()
    tasks = fields.read_json(file)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise AnnotationError(f"{file.name}: not a Label Studio export (not a list of tasks)")
    if tasks and not any("data" in task or "image" in task for task in tasks):
        raise AnnotationError(f"{file.name}: not a Label Studio export (no task has 'data')")
    images = set()
    for place, task in enumerate(tasks, start=1):
        where, regions = f"{file.name}: task {place}", []
        with records.leave_out_if_bad(where):
            image = _read_image_name(task)
            if image in images:
                raise AnnotationError(f"a second task for {image!r}; the first is kept")
            where += f" ({image})"
            regions = _group_by_region(_read_results(task, annotator, where, records))
            images.add(image)
        for k, parts in enumerate(regions, start=1):
            with records.leave_out_if_bad(f"{where}: region {k}"):
                records.rows.append(_read_region(image, parts))
    return records.table()


def _read_image_name(task: dict) -> str:
    """Read the picture of a task: `data.image`, else the first value in `data` that looks like a picture."""
    data = task["data"] if isinstance(task.get("data"), dict) else task
    texts = [each for each in (data.get("image"), *data.values()) if isinstance(each, str)]
    texts = [text for text in texts if _IMAGE.search(text)]
    if not texts:
        raise AnnotationError("no picture in its 'data'")
    address = texts[0].replace("\\", "/")
    if "/local-files/?d=" in address:  # the path under the server's own root
        return fields.image_name_from("/" + unquote_plus(re.split("[&#]", address.partition("?d=")[2])[0]))
    name = fields.image_name_from(unquote(address) if address.startswith("/data/") else address)
    if re.search(r"(^|/)upload/", address):
        name = re.sub(r"^[0-9a-f]{8}-(?=.)", "", name.rpartition("/")[2])
    return name


def _read_results(task: dict, annotator: int | str | None, where: str, records: Records) -> list:
    """Read the results of one person; JSON-MIN has lists of results under names of its own."""
    if "data" not in task:
        items = [item for value in task.values() if isinstance(value, list) for item in value]
        items = [item for item in items if isinstance(item, dict) and ("x" in item or "points" in item)]
        return [{**item, "value": item} for item in items]
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list):
        raise AnnotationError("no list of 'annotations'")
    annotations = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
    if annotator is not None:
        annotations = [each for each in annotations if str(annotator) in _people(each.get("completed_by"))]
    elif len(annotations) > 1:
        text = f"{where}: {len(annotations)} annotations; the first is read"
        records.notes.append(f"{text} (annotator=… asks for another)")
    if not annotations:
        return []
    if not isinstance(annotations[0].get("result"), list):
        raise AnnotationError("an annotation without a list of 'result'")
    return annotations[0]["result"]


def _people(person: object) -> tuple[str, ...]:
    """Return the names under which an annotator is known."""
    names = (person.get("id"), person.get("email")) if isinstance(person, dict) else (person,)
    return tuple(map(str, names))


def _group_by_region(results: list) -> list[list]:
    """Group results by their id: a shape and the choices for it. Choices for the whole picture are no region."""
    regions: dict[object, list] = {}
    for place, item in enumerate(results):
        identity = item.get("id") if isinstance(item, dict) else None
        regions.setdefault(identity if isinstance(identity, str) else place, []).append(item)
    shaped = [parts for parts in regions.values() if any(map(_has_shape, parts))]
    return shaped or [parts for parts in regions.values() if not any(map(_is_choice, parts))]


def _has_shape(item: object) -> bool:
    value = item.get("value") if isinstance(item, dict) else None
    return not isinstance(value, dict) or any(key in value for key in ("x", "points", "rle", "width"))


def _is_choice(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") in ("choices", "rating", "textarea", "taxonomy")


def _read_region(image: str, parts: list) -> dict[str, Any]:
    """Make the row of one region from its results."""
    if not all(isinstance(part, dict) and isinstance(part.get("value"), dict) for part in parts):
        raise AnnotationError("not a region")
    tags = [tag for part in parts for key in _LABEL_KEYS for tag in fields.clean_tags(part["value"].get(key))]
    shape = next((part for part in parts if _has_shape(part)), parts[0])
    width, height = shape.get("original_width"), shape.get("original_height")
    size = fields.image_size(width, height)
    if not size or not size[0]:
        text = f"{fields.shorten(width)}×{fields.shorten(height)}"
        raise AnnotationError(f"{text} is no size; percent of it cannot become pixels")
    if shape.get("image_rotation"):
        raise AnnotationError("the picture was turned in the tool; turn the file itself and label it again")
    return fields.box_row(image, size, _read_shape(shape["value"], size), list(dict.fromkeys(tags)))


def _read_shape(value: dict, size: Size) -> tuple[float, float, float, float]:
    """Compute a shape's bounding box (x, y, width, height) in pixels."""
    to_x, to_y = size[0] / 100, size[1] / 100
    if isinstance(value.get("points"), list) and value["points"]:
        x, y, w, h = fields.bounding_box(value["points"])
        return x * to_x, y * to_y, w * to_x, h * to_y
    ellipse = "radiusX" in value
    sides = ("radiusX", "radiusY") if ellipse else ("width", "height")
    x, y, w, h = fields.numbers(value, ("x", "y", *sides), unit="percent")
    x, y, w, h = x * to_x, y * to_y, w * to_x, h * to_y
    if w <= 0 or h <= 0:
        raise AnnotationError(f"{w:g}×{h:g} pixels, no area")
    angle = math.radians(fields.number(value.get("rotation", 0)) or 0)
    cosine, sine = math.cos(angle), math.sin(angle)
    if ellipse:  # x, y is its middle
        a, b = math.hypot(w * cosine, h * sine), math.hypot(w * sine, h * cosine)
        return x - a, y - b, 2 * a, 2 * b
    corners = [(0, 0), (w, 0), (0, h), (w, h)]  # turned clockwise around the corner x, y
    return fields.bounding_box([(x + u * cosine - v * sine, y + u * sine + v * cosine) for u, v in corners])
