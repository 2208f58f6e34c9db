"""Label Studio's JSON export: a list of tasks whose boxes are in percent of the picture's sides."""

import math
import os
import re
from urllib.parse import parse_qs, unquote, urlsplit

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
)
from ferlib.annotate.table import make_table
from ferlib.common.errors import AnnotationError
from ferlib.common.images import SUFFIXES

_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "labels", "choices")


def read_label_studio(
    path: str | os.PathLike, annotator: int | str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The boxes of a Label Studio export ("JSON" or "JSON-MIN"): `(table, problems)`.

    Percent become pixels by `original_width` and `original_height`; rectangles that were turned, ellipses
    and polygons become their bounding box. Results that share an id (a rectangle and a choice for it) are one
    region. Of several people's annotations of a task the first that was not cancelled is read, and a line
    says so; `annotator` (the number or e-mail of `completed_by`) asks for one person's. The random prefix
    that Label Studio puts before the name of an uploaded picture (`/data/upload/1/1a2b3c4d-street.jpg`) is
    taken off. A record that cannot be used is left out and named in `problems`. Raises AnnotationError where
    `path` is missing or no such export.
    """
    file = existing_file(path, "Label Studio export")
    tasks = read_json(file)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise AnnotationError(f"{file.name}: not a Label Studio export (not a list of tasks)")
    if tasks and not any("data" in task or "image" in task for task in tasks):
        raise AnnotationError(f"{file.name}: not a Label Studio export (no task has 'data')")
    rows, problems, taken = [], [], set()
    for place, task in enumerate(tasks, start=1):
        where = f"{file.name}: task {place}"
        try:
            image = _image(task)
            if image in taken:
                raise AnnotationError(f"a second task for {image!r}; the first is kept")
            results = _results(task, annotator, f"{where} ({image})", problems)
        except AnnotationError as error:
            problems.append(f"{where}: {error}; left out")
            continue
        taken.add(image)
        for region, parts in enumerate(_regions(results), start=1):
            try:
                box, size, tags = _read_region(parts)
                rows.append(box_row(image, size, box, tags))
            except AnnotationError as error:
                problems.append(f"{where} ({image}): region {region}: {error}; left out")
    return make_table(rows), problems


def _image(task: dict) -> str:
    """The picture of a task: `data.image`, else the first value in `data` that looks like a picture."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    values = [data.get("image"), *data.values()]
    texts = [text for text in values if isinstance(text, str) and _is_picture(text)]
    if not texts:
        raise AnnotationError("no picture in its 'data'")
    address = texts[0].replace("\\", "/")
    if "/local-files/?d=" in address:  # the path under the server's own root
        return name_in_folder("/" + parse_qs(urlsplit(address).query).get("d", [""])[0])
    name = name_in_folder(unquote(address) if address.startswith("/data/") else address)
    if re.search(r"(^|/)upload/", address):
        name = re.sub(r"^[0-9a-f]{8}-(?=.)", "", name.rpartition("/")[2])
    return name


def _is_picture(text: str) -> bool:
    return urlsplit(text.lower()).path.endswith(SUFFIXES) or text.lower().endswith(SUFFIXES)


def _results(task: dict, annotator: int | str | None, where: str, problems: list[str]) -> list:
    """The result items of one person; JSON-MIN holds its items under names of its own."""
    if "data" not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        items = [
            item
            for value in lists
            for item in value
            if isinstance(item, dict) and ("x" in item or "points" in item)
        ]
        return [{**item, "value": item} for item in items]
    given = task.get("annotations", task.get("completions"))
    if not isinstance(given, list):
        raise AnnotationError("no list of 'annotations'")
    given = [a for a in given if isinstance(a, dict) and not a.get("was_cancelled")]
    if annotator is not None:
        given = [a for a in given if str(annotator) in _person(a.get("completed_by"))]
    elif len(given) > 1:
        problems.append(
            f"{where}: {len(given)} annotations; the first is read (annotator=… asks for another)"
        )
    if not given:
        return []
    if not isinstance(given[0].get("result"), list):
        raise AnnotationError("an annotation without a list of 'result'")
    return given[0]["result"]


def _person(who: object) -> tuple[str, ...]:
    return (str(who.get("id")), str(who.get("email"))) if isinstance(who, dict) else (str(who),)


def _regions(results: list) -> list[list]:
    """Result items by their id: a shape, and what was chosen for it. Choices for the whole picture are none."""
    regions = {}
    for place, item in enumerate(results):
        identity = item.get("id") if isinstance(item, dict) else None
        regions.setdefault(identity if isinstance(identity, str) else place, []).append(item)
    shaped = [r for r in regions.values() if any(_has_shape(item) for item in r)]
    return shaped or [r for r in regions.values() if not any(_is_choice(item) for item in r)]


def _has_shape(item: object) -> bool:
    value = item.get("value") if isinstance(item, dict) else None
    return not isinstance(value, dict) or any(key in value for key in ("x", "points", "rle", "width"))


def _is_choice(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") in ("choices", "rating", "textarea", "taxonomy")


def _read_region(parts: list) -> tuple:
    """(box, (width, height), tags) of the result items of one region."""
    if not all(isinstance(part, dict) and isinstance(part.get("value"), dict) for part in parts):
        raise AnnotationError("not a region")
    tags = [tag for part in parts for key in _LABELS for tag in clean_tags(part["value"].get(key))]
    shape = next((part for part in parts if _has_shape(part)), parts[0])
    width, height = shape.get("original_width"), shape.get("original_height")
    size = picture_size(width, height)
    if not size or not size[0]:
        raise AnnotationError(f"{short(width)}×{short(height)} is no size; percent of it are no pixels")
    if shape.get("image_rotation"):
        raise AnnotationError("the picture was turned in the tool; turn the file itself and label it again")
    return box_of(*_shape(shape["value"], size), size), size, list(dict.fromkeys(tags))


def _shape(value: dict, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A shape's bounding box (x, y, width, height) in pixels."""
    to_x, to_y = size[0] / 100, size[1] / 100
    points = value.get("points")
    if isinstance(points, list) and points:
        pairs = [p if isinstance(p, list) and len(p) == 2 else (None, None) for p in points]
        x, y, w, h = hull(pairs)
        return x * to_x, y * to_y, w * to_x, h * to_y
    ellipse = "radiusX" in value
    keys = ("x", "y", "radiusX", "radiusY") if ellipse else ("x", "y", "width", "height")
    numbers = [number(value.get(key)) for key in keys]
    for key, each in zip(keys, numbers, strict=True):
        if each is None:
            raise AnnotationError(f"{key} is {short(value.get(key))}, not a number of percent")
    x, y, w, h = (each * to for each, to in zip(numbers, (to_x, to_y, to_x, to_y), strict=True))
    if w <= 0 or h <= 0:
        raise AnnotationError(f"{w:g}×{h:g} pixels, no area")
    angle = math.radians(number(value.get("rotation", 0)) or 0)
    if ellipse:  # x, y is its middle
        a, b = (
            math.hypot(w * math.cos(angle), h * math.sin(angle)),
            math.hypot(w * math.sin(angle), h * math.cos(angle)),
        )
        return x - a, y - b, 2 * a, 2 * b
    corners = [(0, 0), (w, 0), (0, h), (w, h)]  # turned clockwise around the corner x, y
    turned = [
        (x + u * math.cos(angle) - v * math.sin(angle), y + u * math.sin(angle) + v * math.cos(angle))
        for u, v in corners
    ]
    return hull(turned)
