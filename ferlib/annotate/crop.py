"""Labelled faces cut out of their pictures and written by class, with the table that links them."""

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from ferlib.annotate.table import BOX, COLUMNS, NO_FACE, Records, clean_image_name
from ferlib.common.boxes import clamp_box, grow_box, turn_box
from ferlib.common.errors import AnnotationError, BadInputError, check_choice
from ferlib.common.files import whole, write_text
from ferlib.common.images import crop_face, load_image, to_bgr
from ferlib.common.labels import REST, canonical, label_of, parse_classes

FACES_COLUMNS = ("face", "image", *BOX, "emotion", "tags", "label", "source", "licence")
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
        One row per face, with the columns `FACES_COLUMNS`: `face` is the path inside `out_folder`, the box is as
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
    records, earlier = Records(), _read_earlier_faces(out_folder)
    chosen = _choose(_complete(table), parse_classes(class_names), tags == "all", records)

    # Threads are enough: decoding, resizing and packing are done by libraries that let other threads run.
    work = partial(_crop_picture, images_folder, out_folder, margin, earlier)
    with ThreadPoolExecutor(workers) as pool:
        for done in pool.map(work, chosen.values()):
            records.rows += done.rows
            records.problems += done.problems
    records.warn()
    sources = _read_sources(images_folder)
    rows = [(*row, *sources.get(file, ("", ""))) for file, row in records.rows]
    faces = pd.DataFrame(rows, columns=list(FACES_COLUMNS)).astype({"label": "int64"})
    _write_faces_csv(faces, out_folder, earlier)
    return faces


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """Check the columns of a table of boxes, and fill in those that are optional."""
    missing = [name for name in ("image", *BOX, "emotion") if name not in table]
    if missing:
        raise BadInputError(f"the table of boxes has no column {', '.join(missing)}")
    table = table.assign(tags=table.get("tags", table["emotion"])).reindex(columns=list(COLUMNS))
    table = table.fillna({"emotion": "", "tags": "", "image_width": 0, "image_height": 0})
    table = table.assign(number=table.groupby("image").cumcount(), label=-1, class_name="")
    return table.astype({"emotion": str, "tags": str})


def _choose(table: pd.DataFrame, classes: Sequence[str], all_tags: bool, records: Records) -> dict[str, list]:
    """Choose the boxes that have a class: picture to rows of the table, with label and class name."""
    chosen: dict[str, list] = {image: [] for image in table["image"]}
    for row in table.itertuples():
        where, several = f"region {row.number} of {row.image}", "|" in row.tags
        if row.emotion == NO_FACE:
            continue
        if not np.isfinite([row.x, row.y, row.width, row.height]).all():
            box = f"{row.x}, {row.y}, {row.width}, {row.height}"
            records.problems.append(f"{where}: box {box} is not four numbers; left out")
            continue
        found: dict[int, Any] = {}
        for name in row.tags.split("|") if several and all_tags else [row.emotion]:
            with records.leave_out_if_bad(where):
                label = None if name == NO_FACE else label_of(name, classes)
                if label is not None:
                    own = {"emotion": name if name == REST else canonical(name), "label": label}
                    found.setdefault(label, row._replace(**own, class_name=classes[label]))
                if several and not all_tags:
                    tags = row.tags.replace("|", ", ")
                    records.notes.append(f"{where}: several tags ({tags}); the first is the label")
        chosen[row.image] += found.values()
    return {image: rows for image, rows in chosen.items() if rows}


def _crop_picture(
    images_folder: Path, out_folder: Path, margin: float, earlier: set[str], chosen: list
) -> Records:
    """Write the faces of one picture; the result's rows are (picture's file, row of faces.csv without source)."""
    records, first = Records(), chosen[0]
    with records.leave_out_if_bad(first.image, images_folder):
        file = _find_picture(images_folder, first.image)
        image = load_image(file)
        orientation = _find_orientation(file, first, image)
        for row in chosen:
            with records.leave_out_if_bad(f"region {row.number} of {row.image}"):
                box = (row.x, row.y, row.width, row.height)
                box = turn_box(box, orientation, first.image_width, first.image_height)
                name = f"{row.class_name}/{face_name(row.image, row.number)}"
                name = _write_face(crop_face(image, box, margin), out_folder, name, earlier)
                cut = clamp_box(grow_box(box, margin), image.shape[1], image.shape[0])
                inside = file.relative_to(images_folder).as_posix()
                records.rows.append((inside, (name, row.image, *cut, row.emotion, row.tags, row.label)))
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
        try:
            if folder.resolve() not in file.resolve().parents:
                raise AnnotationError("the picture is outside the folder (a link); copy it into it")
            if file.is_file():
                return file
        except OSError as error:
            raise AnnotationError(f"the picture cannot be opened ({error.strerror})") from error
    raise AnnotationError("no such picture in the folder; was it renamed or not downloaded?")


def _find_orientation(file: Path, row: Any, image: np.ndarray) -> int:
    """Find the EXIF orientation by which boxes must be turned; 1 if they need not.

    Labelling tools of today show a picture turned; older ones (VoTT's Electron before Chromium 81) do not.
    The size that the label file has tells which it was.
    """
    height, width = image.shape[:2]
    labelled = (row.image_width, row.image_height)
    if labelled in ((0, 0), (width, height)):
        return 1
    with Image.open(file) as picture:
        if labelled == picture.size:
            return picture.getexif().get(_ORIENTATION, 1)
    text = f"{int(row.image_width)}×{int(row.image_height)}"
    raise AnnotationError(f"labelled at {text} pixels, the picture has {width}×{height}; was it exchanged?")


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
