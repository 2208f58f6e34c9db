"""YOLO's text files: one per picture, one line per box, with the sides of the picture as unit."""

import os
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import recorded_path
from ferlib.annotate.table import Records, Size
from ferlib.common.errors import AnnotationError, ImageError
from ferlib.common.images import SUFFIXES, load_image

_CLASS_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml", "dataset.yaml")

_Pictures = dict[str, list[tuple[tuple[str, ...], Path]]]
"""The stem of a picture's name to the folders and the file of each picture that has it."""


def read_yolo(path: str | os.PathLike, images_folder: str | os.PathLike | None = None) -> pd.DataFrame:
    """Read YOLO's label files: `class x y width height` per line, x and y of the centre, or a polygon.

    The class names are those of the `classes.txt`, `obj.names` or `data.yaml` next to the file or up to three folders
    above. A picture has the name of its label file. It is needed for its size, and is searched below
    `images_folder`; without one next to the label files and in the folder `images` beside `labels`. A line
    that cannot be used is left out, with a warning.

    See https://docs.ultralytics.com/datasets/detect/.

    Args:
        path: A label file, or a folder of them.
        images_folder: The folder of the pictures.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The path is missing, or has no label file; the class names or a single file's picture are
            missing.
    """
    path, root = Path(path), Path(path) if Path(path).is_dir() else Path(path).parent
    folder = None if images_folder is None else Path(images_folder)
    names = _read_names(root, path.name)
    pictures = _list_pictures(folder or root)

    def read_file(file: Path, records: Records) -> None:
        if file.name in ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt"):
            return
        picture = _find_picture(file, pictures, root)
        size = _picture_size(picture, file)
        image = (
            picture.relative_to(folder).as_posix() if folder else recorded_path(picture.resolve().as_posix())
        )
        for place, line in enumerate(fields.read_text(file).splitlines(), start=1):
            if line.strip():
                with records.leave_out_if_bad(f"{file.name}: line {place}"):
                    label, box = _read_line(line.split(), size)
                    if label not in names:
                        raise AnnotationError(f"class {label} is none of the {len(names)} names")
                    records.rows.append(fields.box_row(image, size, box, fields.clean_tags([names[label]])))

    return fields.read_each_file(path, "*.txt", read_file).table()


def is_yolo(text: str) -> bool:
    """Check whether a text looks like a label file of YOLO.

    Args:
        text: The content of a file.

    Returns:
        Whether its first line that is not empty has at least five numbers, the first one a class.
    """
    first = next((line.split() for line in text.splitlines() if line.strip()), [])
    return len(first) >= 5 and first[0].isdecimal() and None not in map(fields.number_in, first)


def _read_line(words: list[str], size: Size) -> tuple[int, tuple[float, ...]]:
    """Read (label, box) of a line: 5 numbers are a box, 6 a box with a score, more a polygon."""
    numbers = [value for value in map(fields.number_in, words) if value is not None]
    if len(numbers) < max(5, len(words)) or numbers[0] != int(numbers[0]):
        raise AnnotationError(f"{fields.shorten(' '.join(words))} is not a class and four numbers or more")
    label, (width, height) = int(numbers[0]), size
    if max(map(abs, numbers[1:])) > 2:
        raise AnnotationError(
            "numbers beyond 1, the side of the picture; these are pixels, not YOLO's format"
        )
    if len(numbers) > 6:
        x, y, w, h = fields.bounding_box(list(zip(numbers[1::2], numbers[2::2], strict=False)))
    else:
        x, y, w, h = numbers[1:5]
        x, y = x - w / 2, y - h / 2
    return label, (x * width, y * height, w * width, h * height)


def _read_names(root: Path, what: str) -> dict[int, str]:
    """Read the class names in the folder of the label files or in a folder above it."""
    places = [folder / name for folder in (root, *root.resolve().parents[:3]) for name in _CLASS_FILES]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise AnnotationError(
            f"{what}: YOLO's labels are numbers; put their classes.txt (a name per line) or data.yaml next to them"
        )
    text = fields.read_text(file)
    found = _yaml_names(text) if file.suffix in (".yaml", ".yml") else dict(enumerate(text.split("\n")))
    names = {label: tags[0] for label, name in found.items() if (tags := fields.clean_tags([name]))}
    if not names:
        raise AnnotationError(f"{file.name}: no names of classes in it")
    return names


def _yaml_names(text: str) -> dict[int, str]:
    """Read `names` of a data.yaml: a list in one line or with dashes, or numbers with names."""
    block = re.search(r"^names:[ \t]*(.*(?:\n[ \t]*(?:-|[ \t]).*|\n(?=\d+:).*)*)", text, re.MULTILINE)
    value = block[1].strip() if block else ""
    if value.startswith(("[", "{")):
        parts = re.split(r",|\n", value.strip("[]{}"))
    else:
        parts = [line.strip().removeprefix("-") for line in value.split("\n")]
    names: dict[int, str] = {}
    for part in filter(None, (each.strip() for each in parts)):
        numbered = re.match(r"[\"']?(\d{1,9})[\"']?\s*:\s+(.+)", part)
        label, name = (int(numbered[1]), numbered[2]) if numbered else (len(names), part)
        names[label] = re.sub(r"\s+#.*$", "", name).strip().strip("\"'")
    return names


def _list_pictures(folder: Path) -> _Pictures:
    """List the pictures below a folder, and beside a folder `labels`."""
    pictures: _Pictures = defaultdict(list)
    for each in (folder, folder.parent / "images") if folder.name == "labels" else (folder,):
        for file in sorted(each.rglob("*")):
            if file.suffix.lower() in SUFFIXES:
                pictures[file.stem].append((_folders(file, each), file))
    return pictures


def _folders(file: Path, root: Path) -> tuple[str, ...]:
    """Get the folders of a file that label files and pictures share: `train` of `train/labels/a.txt`."""
    return tuple(part for part in file.relative_to(root).parts[:-1] if part not in ("labels", "images"))


def _find_picture(file: Path, pictures: _Pictures, root: Path) -> Path:
    """Find the picture of a label file; of several with its name the one in the folder that corresponds."""
    found = pictures.get(file.stem, [])
    fits = [each for each in found if each[0] == _folders(file, root)] or found
    if len(fits) == 1:
        return fits[0][1]
    reason = "no picture of this name, whose size is needed, in the folder of pictures"
    if found:
        reason = f"{len(found)} pictures have its name; give images/ and labels/ the same folders"
    raise AnnotationError(f"{file.name}: {reason}")


def _picture_size(picture: Path, file: Path) -> Size:
    try:
        height, width = load_image(picture).shape[:2]
    except ImageError as error:
        reason = str(error).replace(str(picture), picture.name)
        raise AnnotationError(f"{file.name}: its picture cannot be read ({reason})") from error
    return width, height
