"""Labelled faces cut out of their pictures and written by class, with the table that links them."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from ferlib.annotate.table import BOX, NO_FACE, Records, clean_image_name
from ferlib.common.boxes import Box, clamp_box, grow_box, turn_box
from ferlib.common.errors import AnnotationError, BadInputError, ImageError, check_choice
from ferlib.common.files import whole, write_text
from ferlib.common.images import crop_face, load_image, to_bgr
from ferlib.common.labels import REST, canonical, label_of, parse_classes

COLUMNS = ("face", "image", *BOX, "emotion", "tags", "label", "source", "licence")
"""The columns of faces.csv."""

_ORIENTATION = 0x0112  # EXIF's tag
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # Paeth's; older OpenCV chooses its filters row by row
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
"""PNG settings for faces: nine times as fast as Pillow's defaults, and 7 % larger."""


def crop_regions(
    table: pd.DataFrame,
    images_folder: str | os.PathLike,
    out_folder: str | os.PathLike,
    class_names: Sequence[str],
    margin: float = 0.0,
    tags: str = "first",
    workers: int = 2,
) -> pd.DataFrame:
    """Cut every labelled box out of its picture and write `out_folder/<class>/*.png` and `faces.csv`.

    Each picture is decoded once, turned as its EXIF says, and converted to RGB. A box that was drawn on the
    unturned picture (its `image_width` and `image_height` tell) is turned along. A face is named after its
    picture and the number of its box there (`street.jpg-0.png`). A file of the same name that an earlier
    call did not write is left alone; the face is then called `street.jpg-0+1.png`.

    `faces.csv` lists what this call wrote; faces that only an earlier `faces.csv` lists are removed. A box
    that cannot be cut out is left out, with a warning. Boxes tagged "not a face" and emotions outside the
    class set are left out without one.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        images_folder: The folder of the pictures, with the crawler's `manifest.csv` if there is one.
        out_folder: The folder for the faces; it is made if it is missing.
        class_names: The class set: its names, or a text that `ferlib.common.labels.parse_classes` takes.
        margin: The share of the box's width and height that is added on each side, 0 or more.
        tags: `"first"`: a box with several tags gives one face, of its first tag, with a warning.
            `"all"`: it gives one face for the class of each tag.
        workers: How many pictures are processed, and kept in memory, at a time; 1 or more.

    Returns:
        One row per face, with the columns `COLUMNS`: `face` is the path inside `out_folder`, the box is as
        cut out, `label` is the index in `class_names`; `source` and `licence` are from `manifest.csv`, else "".

    Raises:
        BadInputError: A missing folder or column, an unknown class, or a bad `margin`, `tags` or `workers`.
    """
    images_folder, out_folder = Path(images_folder), Path(out_folder)
    check_choice("tags", tags, ("first", "all"))
    if workers < 1:
        raise BadInputError(f"workers is {workers}; give 1 or more")
    if not np.isfinite(margin) or margin < 0:
        raise BadInputError(f"margin is {margin}; give a share of the box, 0 or more")
    if not images_folder.is_dir():
        raise BadInputError(f"{images_folder.name}: there is no such folder of pictures")
    records = Records()
    chosen = _choose(_with_texts(table), parse_classes(class_names), tags == "all", records)
    sources, earlier = _read_sources(images_folder), _read_earlier_faces(out_folder)

    def crop(picture: tuple[str, list[_Face]]) -> Records:
        return _crop_picture(*picture, images_folder, out_folder, margin, earlier)

    # Threads are enough: decoding, resizing and packing are done by libraries that let other threads run.
    with ThreadPoolExecutor(workers) as pool:
        for done in pool.map(crop, chosen.items()):
            records.rows += done.rows
            records.problems += done.problems
    records.warn()
    rows = [(*row, *sources.get(file, ("", ""))) for file, row in records.rows]
    faces = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"label": "int64"})
    _write_faces_csv(faces, out_folder, earlier)
    return faces


def _with_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Check the columns of a table of boxes, and put "" in place of missing tags and emotions."""
    missing = [name for name in ("image", *BOX, "emotion") if name not in table]
    if missing:
        raise BadInputError(f"the table of boxes has no column {', '.join(missing)}")
    tags = table["tags"] if "tags" in table else table["emotion"]
    return table.assign(tags=tags.fillna("").astype(str), emotion=table["emotion"].fillna("").astype(str))


@dataclass(frozen=True)
class _Face:
    """A box to cut out: its number in the picture, its row of the table, and its class."""

    number: int
    row: Any
    emotion: str
    label: int
    class_name: str


def _choose(
    table: pd.DataFrame, class_names: tuple[str, ...], all_tags: bool, records: Records
) -> dict[str, list[_Face]]:
    """Choose the boxes that have a class, by picture."""
    chosen: dict[str, list[_Face]] = {image: [] for image in table["image"]}
    for number, row in zip(table.groupby("image").cumcount(), table.itertuples(), strict=True):
        where, several = f"region {number} of {row.image}", "|" in row.tags
        if row.emotion == NO_FACE:
            continue
        if not np.isfinite([row.x, row.y, row.width, row.height]).all():
            box = f"{row.x}, {row.y}, {row.width}, {row.height}"
            records.problems.append(f"{where}: box {box} is not four numbers; left out")
            continue
        faces: dict[int, _Face] = {}
        for name in row.tags.split("|") if several and all_tags else [row.emotion]:
            with records.leave_out_if_bad(where):
                label = None if name == NO_FACE else label_of(name, class_names)
                if label is not None:
                    emotion = name if name == REST else canonical(name)
                    faces.setdefault(label, _Face(number, row, emotion, label, class_names[label]))
                if several and not all_tags:
                    tags = row.tags.replace("|", ", ")
                    records.notes.append(f"{where}: several tags ({tags}); the first is the label")
        chosen[row.image] += faces.values()
    return {image: faces for image, faces in chosen.items() if faces}


def _crop_picture(
    image_name: str,
    faces: list[_Face],
    images_folder: Path,
    out_folder: Path,
    margin: float,
    earlier: set[str],
) -> Records:
    """Write the faces of one picture; the result's rows are (picture's file, row of faces.csv without source)."""
    records = Records()
    try:
        file = _find_picture(images_folder, image_name)
        image = load_image(file)
        turn = _find_turn(file, faces[0].row, image)
    except (AnnotationError, ImageError, OSError) as error:
        reason = str(error).replace(f"{images_folder}{os.sep}", "")  # no path of this machine
        records.problems.append(f"{image_name}: {reason}; its regions are left out")
        return records
    for face in faces:
        with records.leave_out_if_bad(f"region {face.number} of {image_name}"):
            row = face.row
            box = turn((row.x, row.y, row.width, row.height))
            pixels = crop_face(image, box, margin)
            name = f"{face.class_name}/{face_name(image_name, face.number)}"
            name = _write_face(pixels, out_folder, name, earlier)
            cut = clamp_box(grow_box(box, margin), image.shape[1], image.shape[0])
            inside = file.relative_to(images_folder).as_posix()
            records.rows.append((inside, (name, image_name, *cut, face.emotion, row.tags, face.label)))
    return records


def _write_face(face: np.ndarray, folder: Path, name: str, earlier: set[str]) -> str:
    """Write a face as PNG under a name that no file of another origin has; returns the name."""
    data = cv2.imencode(".png", to_bgr(face), _PNG)[1].tobytes()
    stem, copies = name.removesuffix(".png"), 0
    while name not in earlier and os.path.lexists(folder / name) and (folder / name).read_bytes() != data:
        copies += 1
        name = f"{stem}+{copies}.png"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with whole(folder / name) as part:
        part.write_bytes(data)
    return name


def face_name(image_name: str, number: int) -> str:
    """Make the file name of a face: different for any two faces, and safe on every file system.

    Args:
        image_name: The name of the picture.
        number: The number of the face's box in the picture.

    Returns:
        The file name, of at most 255 bytes.
    """
    text = re.sub(r'[%/\\:*?"<>|\x00-\x1f]', lambda match: f"%{ord(match[0]):02X}", image_name)
    if len(text.encode()) > 200:  # file systems end at 255 bytes
        digest = hashlib.sha256(image_name.encode()).hexdigest()[:16]
        text = text.encode()[:160].decode(errors="ignore") + f"%{digest}"
    return f"{text}-{number}.png"


def _find_picture(folder: Path, image_name: str) -> Path:
    """Find a picture's file inside the folder."""
    clean_image_name(image_name)
    for name in (image_name, unquote(image_name)):  # some tools keep the name as an address has it
        file = folder / name.replace("\\", "/")
        if folder.resolve() not in file.resolve().parents:
            raise AnnotationError("the picture is outside the folder (a link); copy it into it")
        if file.is_file():
            return file
    raise AnnotationError("no such picture in the folder; was it renamed or not downloaded?")


def _find_turn(file: Path, row: Any, image: np.ndarray) -> Callable[[Box], Box]:
    """Find what moves a box of the table onto the decoded (turned) picture.

    Labelling tools of today show a picture turned; older ones (VoTT's Electron before Chromium 81) do not.
    The size that the label file has tells which it was.
    """
    height, width = image.shape[:2]
    labelled = tuple(int(getattr(row, side, 0) or 0) for side in ("image_width", "image_height"))
    if labelled in ((0, 0), (width, height)):
        return lambda box: box
    with Image.open(file) as picture:
        stored, orientation = picture.size, picture.getexif().get(_ORIENTATION, 1)
    if labelled == stored:
        return lambda box: turn_box(box, orientation, *stored)
    raise AnnotationError(
        f"labelled at {labelled[0]}×{labelled[1]} pixels, the picture has {width}×{height}; was it exchanged?"
    )


def _read_sources(folder: Path) -> dict[str, tuple[str, str]]:
    """Read (source, licence) per picture from the crawler's manifest.csv, if there is one."""
    file = folder / "manifest.csv"
    if not file.is_file():
        return {}
    manifest = pd.read_csv(file, dtype=str, keep_default_na=False)
    if not {"file", "source", "licence"} <= set(manifest.columns):
        return {}
    return {row.file: (row.source, row.licence) for row in manifest.itertuples() if row.file}


def _read_earlier_faces(folder: Path) -> set[str]:
    """Read the faces that an earlier faces.csv lists; only these may be replaced or removed."""
    try:
        return set(pd.read_csv(folder / "faces.csv", dtype=str, keep_default_na=False)["face"])
    except (OSError, ValueError, KeyError):
        return set()  # none, not ours, or half a file of another tool


def _write_faces_csv(faces: pd.DataFrame, folder: Path, earlier: set[str]) -> None:
    """Write faces.csv, then remove the faces that only the earlier one lists."""
    write_text(folder / "faces.csv", faces.to_csv(index=False, lineterminator="\n"))
    for name in earlier - set(faces["face"]):
        old = folder / name
        if old.suffix == ".png" and old.is_file() and folder.resolve() in old.resolve().parents:
            old.unlink()
            if not any(old.parent.iterdir()):
                old.parent.rmdir()  # an empty folder would be read as a class
