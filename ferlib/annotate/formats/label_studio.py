"""Label Studio's JSON export: a list of tasks whose boxes are in percent of the picture's sides."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import recorded_path, short_name
from ferlib.annotate.table import Records, Size
from ferlib.common.errors import AnnotationError
from ferlib.common.images import SUFFIXES

_LABEL_KEYS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "labels", "choices")
_IMAGE = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})([?#&]|$)", re.IGNORECASE)


def read_label_studio(path: str | os.PathLike, annotator: int | str | None = None) -> pd.DataFrame:
    """Read a Label Studio export ("JSON" or "JSON-MIN").

    Percent become pixels by `original_width` and `original_height`; of a turned rectangle, an ellipse or a
    polygon the bounding box is used. Results that share an id (a rectangle and a choice for it) are one
    region. If several people annotated a task, the one that is marked as ground truth is read, else the first that
    was not cancelled, with a warning. The random prefix that Label Studio puts before the name of an uploaded
    picture (`/data/upload/1/1a2b3c4d-street.jpg`) is not part of its name, but a file that has kept it is found.
    Relations between regions are no regions. A record that cannot be used, a choice for the whole picture, and a
    task that only a model has labelled (`predictions`) are left out, with a warning.

    Args:
        path: The path of the file.
        annotator: The number or e-mail address of `completed_by`, to read one person's annotations.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The file is missing, is no such export, or nobody in it is the annotator.
    """
    file, records = Path(path), Records()
    tasks = fields.read_json(file)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise AnnotationError(f"{file.name}: not a Label Studio export (not a list of tasks)")
    if tasks and not any("data" in task or "image" in task for task in tasks):
        raise AnnotationError(f"{file.name}: not a Label Studio export (no task has 'data')")
    if annotator is not None:
        annotator = str(annotator)
        _check_annotator(tasks, annotator, file.name)
        # JSON-MIN has a task of its own for each person
        tasks = [task for task in tasks if "data" in task or annotator in _people(task.get("annotator"))]
    images = set()
    for place, task in enumerate(tasks, start=1):
        where, regions = f"{file.name}: task {place}", []
        with records.leave_out_if_bad(where):
            image = _read_recorded_path(task)
            if image in images:
                hint = (
                    " (--annotator reads one person's)" if "annotator" in task and "data" not in task else ""
                )
                raise AnnotationError(f"a second task for {short_name(image)!r}; the first is kept{hint}")
            where += f" ({short_name(image)})"
            regions = _group_by_region(_read_results(task, annotator, where, records))
            images.add(image)
        for k, parts in enumerate(regions, start=1):
            with records.leave_out_if_bad(f"{where}: region {k}"):
                records.rows.append(_read_region(image, parts))
    return records.table()


def _read_recorded_path(task: dict) -> str:
    """Read the picture of a task: `data.image`, else the first value in `data` that looks like a picture."""
    data = fields.get(task, "data", dict) if isinstance(task.get("data"), dict) else task
    texts = [each for each in (data.get("image"), *data.values()) if isinstance(each, str)]
    address = next((text for text in texts if _IMAGE.search(text)), "").replace("\\", "/")
    if not address:
        raise AnnotationError("no picture in its 'data'")
    address = unquote(address) if address.startswith("/data/upload/") else address
    return recorded_path("/" + address if address.startswith("upload/") else address)


def _read_results(task: dict, annotator: str | None, where: str, records: Records) -> list:
    """Read the results of one person; JSON-MIN has lists of results under names of its own.

    Relations between regions are left out; a choice for the whole picture alone is reported.
    """
    if "data" not in task:
        items = [item for value in task.values() if isinstance(value, list) for item in value]
        items = [item for item in items if isinstance(item, dict) and ("x" in item or "points" in item)]
        return [{**item, "value": item} for item in items]
    annotations = _annotations_of(task)
    if annotations is None:
        raise AnnotationError("no list of 'annotations'")
    if not annotations and task.get("predictions"):
        raise AnnotationError(
            "only predictions of a model, which nobody has confirmed; submit them in the tool"
        )
    annotations = [each for each in annotations if not each.get("was_cancelled")]
    if annotator is not None:
        annotations = [each for each in annotations if annotator in _people(each.get("completed_by"))]
    if not annotations:
        return []
    annotations.sort(key=lambda each: each.get("ground_truth") is not True)
    first, *others = annotations
    if annotator is None and others and first.get("ground_truth") is not True:
        other = _people(others[0].get("completed_by"))[-1]
        records.notes.append(
            f"{where}: {len(annotations)} annotations; the first is read; --annotator {other} reads another"
        )
    if not isinstance(first.get("result"), list):
        raise AnnotationError("an annotation without a list of 'result'")
    results = [each for each in first["result"] if fields.get(each, "type", str) != "relation"]
    if results and all(_is_choice(each) and not _has_shape(each) for each in results):
        records.problems.append(
            f"{where}: a choice for the whole picture, without a box around a face; left out"
        )
    return results


def _annotations_of(task: dict) -> list[dict] | None:
    annotations = task.get("annotations", task.get("completions"))
    return [each for each in annotations if isinstance(each, dict)] if isinstance(annotations, list) else None


def _check_annotator(tasks: list[dict], annotator: str, file_name: str) -> None:
    """Refuse an annotator that the file does not have."""
    people = [_people(each.get("completed_by")) for task in tasks for each in _annotations_of(task) or ()]
    people += [_people(task["annotator"]) for task in tasks if "data" not in task and "annotator" in task]
    if people and not any(annotator in names for names in people):
        names = ", ".join(dict.fromkeys(each[-1] for each in people))
        raise AnnotationError(f"{file_name}: no annotation by {annotator!r}; the annotators are {names}")


def _people(person: object) -> list[str]:
    """Return the names under which an annotator is known."""
    names = (person.get("id"), person.get("email")) if isinstance(person, dict) else (person,)
    texts = [name if isinstance(name, str) else fields.shorten(name) for name in names if name is not None]
    return texts or ["?"]


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
    return fields.get(item, "type", str) in ("choices", "rating", "textarea", "taxonomy")


def _read_region(image: str, parts: list) -> dict[str, Any]:
    """Make the row of one region from its results."""
    if not all(isinstance(part, dict) and isinstance(part.get("value"), dict) for part in parts):
        raise AnnotationError("not a region")
    tags = [tag for part in parts for key in _LABEL_KEYS for tag in fields.clean_tags(part["value"].get(key))]
    shape = next(filter(_has_shape, parts), parts[0])
    sides = shape.get("original_width"), shape.get("original_height")
    size = fields.image_size(*sides)
    if not size or not size[0]:
        text = "×".join(map(fields.shorten, sides))
        raise AnnotationError(f"{text} is no size; percent of it cannot become pixels")
    if shape.get("image_rotation"):
        raise AnnotationError("the picture was turned in the tool; turn the file itself and label it again")
    return fields.box_row(image, size, _read_shape(shape["value"], size), list(dict.fromkeys(tags)))


def _read_shape(value: dict, size: Size) -> Sequence[float]:
    """Compute a shape's bounding box (x, y, width, height) in pixels."""
    points, ellipse = fields.get(value, "points", list), "radiusX" in value
    sides = ("radiusX", "radiusY") if ellipse else ("width", "height")
    if points:
        percent: Sequence[float] = fields.bounding_box(points)
    else:
        percent = fields.numbers(value, ("x", "y", *sides), unit="percent")
    x, y, w, h = (each * side / 100 for each, side in zip(percent, (*size, *size), strict=True))
    if points:
        return x, y, w, h
    if w <= 0 or h <= 0:
        raise AnnotationError(f"{w:g}×{h:g} pixels, no area")
    if not ellipse:
        return fields.rotated_box((x, y, w, h), value.get("rotation"), centre=False)
    angle = math.radians(fields.number(value.get("rotation")) or 0)
    cosine, sine = math.cos(angle), math.sin(angle)  # x, y is the ellipse's centre
    a, b = math.hypot(w * cosine, h * sine), math.hypot(w * sine, h * cosine)
    return x - a, y - b, 2 * a, 2 * b
