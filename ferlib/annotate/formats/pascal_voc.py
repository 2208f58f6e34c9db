"""Pascal VOC's XML, as LabelImg, CVAT and Roboflow write it: one file per picture."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import recorded_path
from ferlib.annotate.table import Records
from ferlib.common.errors import AnnotationError


def read_pascal_voc(path: str | os.PathLike) -> pd.DataFrame:
    """Read files of Pascal VOC.

    The edges of `bndbox` are in pixels from 0, as LabelImg and CVAT write them. A box that CVAT rotated (an attribute
    `rotation`) becomes its bounding box. The tags are the `name` and the words in `attributes`. A record that
    cannot be used is left out, with a warning.

    Args:
        path: An XML file, or a folder of them.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The path is missing, has no XML file, or is a file that is no such XML.
    """
    return fields.read_each_file(path, "*.xml", _read_file).table()


def _read_xml(file: Path) -> ET.Element:
    """Read XML without a document type, so without entities."""
    text = fields.read_text(file)
    if "<!DOCTYPE" in text:  # entities can read other files, or grow without limit
        raise AnnotationError(
            f"{file.name}: XML with a DOCTYPE, which no labelling tool writes; remove that line"
        )
    try:
        return ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise AnnotationError(f"{file.name}: incomplete or no XML ({error}); export it again") from error


def _read_file(file: Path, records: Records) -> None:
    root = _read_xml(file)
    if root.tag == "annotations":
        raise AnnotationError(
            f"{file.name}: CVAT's own XML, which is not read; export the task as 'COCO 1.0' or 'PASCAL VOC 1.1'"
        )
    if root.tag != "annotation":
        raise AnnotationError(
            f"{file.name}: not a file of Pascal VOC (its root is {fields.shorten(root.tag)})"
        )
    with records.leave_out_if_bad(file.name):
        image = _read_recorded_path(root)
        width, height = (fields.number_in(_text(root, f"size/{side}") or "0") for side in ("width", "height"))
        sides = (-1 if width is None else width, -1 if height is None else height)
        fields.add_boxes(records, f"{file.name}: object", root.findall("object"), image, sides, _read_object)


def _read_recorded_path(root: ET.Element) -> str:
    """Read the picture: `path` (LabelImg) if it ends with `filename`, else `folder` and `filename`."""
    name, path, folder = (_text(root, key) for key in ("filename", "path", "folder"))
    if path.replace("\\", "/").rpartition("/")[2] == name and name:
        return recorded_path(path, climbing=True)
    image = recorded_path(name, climbing=True)
    folder = folder.replace("\\", "/").strip("/")
    return image if image.startswith("/") or not folder else recorded_path(f"/{folder}/{image}")


def _read_object(item: ET.Element) -> tuple[tuple[float, ...], list[str]]:
    """Read (box, tags) of an object."""
    corners = {key: _text(item, f"bndbox/{key}") for key in fields.CORNERS}
    if not any(corners.values()):
        raise AnnotationError("no 'bndbox'; export boxes, not masks")
    box = fields.box_of_corners(corners)
    attributes = {_text(each, "name"): _text(each, "value") for each in item.findall("attributes/attribute")}
    rotation = fields.number_in(attributes.pop("rotation", "0"))
    words = {name: text for name, text in attributes.items() if text.lower() not in ("true", "false")}
    tags = fields.clean_tags([_text(item, "name")]) + fields.attribute_tags(words)
    return fields.rotated_box(box, rotation), tags


def _text(element: ET.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
