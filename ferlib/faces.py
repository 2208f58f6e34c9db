"""Faces in a picture: find them with a Haar cascade, cut them out, write them by class."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from ferlib.boxes import Box, clamp_box, grow_box, iou, turn_box
from ferlib.boxtable import NO_FACE, picture_name
from ferlib.errors import AnnotationError, BadInputError, ImageError, LabelError
from ferlib.images import load_image, to_gray, write_image
from ferlib.labels import REST, canonical, label_of, parse_classes

__all__ = ["clamp_box", "crop_face", "crop_regions", "detect_faces", "iou", "load_cascade"]

COLUMNS = ("face", "image", "x", "y", "width", "height", "emotion", "tags", "label", "source", "licence")
"""The columns of faces.csv."""

_ORIENTATION = 0x0112  # EXIF's tag


def load_cascade(name: str = "frontalface_default") -> cv2.CascadeClassifier:
    """One of the cascades that come with OpenCV, by its name with or without `haarcascade_` and `.xml`.

    Load it once and pass it on: reading the file takes longer than a picture. Raises BadInputError for an
    unknown name.
    """
    folder = Path(cv2.data.haarcascades)
    short = str(name).removeprefix("haarcascade_").removesuffix(".xml")
    known = sorted(file.stem.removeprefix("haarcascade_") for file in folder.glob("haarcascade_*.xml"))
    if short not in known:
        faces = [each for each in known if "face" in each and "cat" not in each]
        raise BadInputError(f"no cascade named {name!r}; for faces there are {', '.join(faces)}")
    return cv2.CascadeClassifier(str(folder / f"haarcascade_{short}.xml"))


def detect_faces(
    image: np.ndarray,
    cascade: cv2.CascadeClassifier | None = None,
    scale_factor: float = 1.1,
    min_neighbors: int = 5,
    min_size: tuple[int, int] = (30, 30),
) -> list[Box]:
    """The boxes of the faces in a picture (uint8 RGB or gray), largest first; no face is an empty list.

    The detector of P. Viola and M. Jones (2001): a window slides over the picture, which shrinks by
    `scale_factor` (over 1) from level to level; `min_neighbors` overlapping hits make one face (0: every hit
    is given). `min_size` = (width, height) in pixels. Raises BadInputError for settings that make no sense.
    """
    if not scale_factor > 1 or min_neighbors < 0 or min(min_size) < 0:
        raise BadInputError(
            f"scale_factor {scale_factor}, min_neighbors {min_neighbors}, min_size {min_size}: "
            "the first must be over 1, the others 0 or more"
        )
    cascade = load_cascade() if cascade is None else cascade
    found = cascade.detectMultiScale(
        to_gray(image), scaleFactor=scale_factor, minNeighbors=min_neighbors, minSize=tuple(min_size)
    )
    boxes = [tuple(int(value) for value in box) for box in found]
    return sorted(boxes, key=lambda box: (-box[2] * box[3], box[1], box[0], box[2]))


def crop_face(image: np.ndarray, box: Sequence[int], margin: float = 0.0) -> np.ndarray:
    """The part of a picture inside a box, as a copy. `margin` adds that share of the box on each side.

    What reaches outside is clamped. Raises ImageError where nothing of the box lies in the picture.
    """
    height, width = image.shape[:2]
    if 0 in clamp_box(box, width, height)[2:]:
        box = tuple(int(value) for value in box)
        raise ImageError(f"box {box} has no pixel inside the picture of {width}×{height}")
    x, y, w, h = clamp_box(grow_box(box, margin), width, height)
    return image[y : y + h, x : x + w].copy()


def crop_regions(
    table: pd.DataFrame,
    images_folder: str | os.PathLike,
    out_folder: str | os.PathLike,
    class_names: Sequence[str],
    margin: float = 0.0,
    problems: list[str] | None = None,
) -> pd.DataFrame:
    """Cut every labelled box out of its picture and write `out_folder/<class>/*.png` and `faces.csv`.

    `table` as in `ferlib.boxtable`, with its pictures in `images_folder`. Each picture is decoded once,
    turned as its EXIF says, any colour mode made RGB; boxes that were drawn on the unturned picture (their
    `image_width`, `image_height` say so) are turned along. A face is named after its picture and the number
    of its region there (`street.jpg-0.png`), so no face takes the place of another's.

    Gives (and writes) one row a face: `face` (path inside `out_folder`), `image`, the box as cut, `emotion`,
    `tags`, `label` (index in `class_names`), and `source`, `licence` from the `manifest.csv` of the pictures,
    empty where there is none. A region that cannot be cut is left out and named: in `problems` if a list is
    given, and always in the result's `.attrs["problems"]`. Emotions outside the class set and boxes tagged
    "not a face" are left out without a word. faces.csv tells what this call wrote; files that an
    earlier faces.csv names and this one does not are removed. Raises BadInputError for a missing folder,
    column or class.
    """
    images_folder, out_folder = Path(images_folder), Path(out_folder)
    problems = [] if problems is None else problems
    class_names = parse_classes(class_names)
    table = _checked(table, images_folder, margin)
    origin = _origins(images_folder)
    rows = []
    for image_name, regions in table.groupby("image", sort=False):
        wanted = _wanted(regions, class_names, problems)
        if not wanted:
            continue
        try:
            file = _picture_file(images_folder, image_name)
            image = load_image(file)
            turn = _turn(file, regions.iloc[0], image)
        except (AnnotationError, ImageError, OSError) as error:
            reason = str(error).replace(f"{images_folder}{os.sep}", "")  # no machine's own path
            problems.append(f"{image_name}: {reason}; its regions are left out")
            continue
        links = origin.get(file.relative_to(images_folder).as_posix(), ("", ""))
        for number, row, label in wanted:
            box = turn((row.x, row.y, row.width, row.height))
            try:
                face = crop_face(image, box, margin)
            except ImageError as error:
                problems.append(f"region {number} of {image_name}: {error}; left out")
                continue
            name = f"{class_names[label]}/{face_name(image_name, number)}"
            (out_folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_image(out_folder / name, face)
            cut = clamp_box(grow_box(box, margin), image.shape[1], image.shape[0])
            rows.append((name, image_name, *cut, row.emotion, row.tags, label, *links))
    faces = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"label": "int64"})
    _write_faces_csv(faces, out_folder)
    faces.attrs["problems"] = list(problems)
    return faces


def face_name(image_name: str, number: int) -> str:
    """The file name of a picture's face: different for any two pictures, safe on every file system."""
    text = re.sub(r'[%/\\:*?"<>|\x00-\x1f]', lambda match: f"%{ord(match[0]):02X}", image_name)
    if len(text.encode()) > 200:  # file systems end at 255 bytes
        digest = hashlib.sha256(image_name.encode()).hexdigest()[:16]
        text = text.encode()[:160].decode(errors="ignore") + f"%{digest}"
    return f"{text}-{number}.png"


def _checked(table: pd.DataFrame, images_folder: Path, margin: float) -> pd.DataFrame:
    """The table with blanks for tags that are missing; BadInputError for what no call can work with."""
    if not images_folder.is_dir():
        raise BadInputError(f"{images_folder.name}: there is no such folder of pictures")
    if not np.isfinite(margin) or margin < 0:
        raise BadInputError(f"margin {margin}: give a share of the box, 0 or more")
    missing = [name for name in ("image", "x", "y", "width", "height", "emotion") if name not in table]
    if missing:
        raise BadInputError(f"the table of boxes has no column {', '.join(missing)}")
    tags = table["tags"] if "tags" in table else table["emotion"]
    return table.assign(tags=tags.fillna("").astype(str), emotion=table["emotion"].fillna("").astype(str))


def _wanted(regions: pd.DataFrame, class_names: Sequence[str], problems: list[str]) -> list[tuple]:
    """(number, row, label) of a picture's regions that have a class; what cannot be used is named."""
    wanted = []
    for number, row in enumerate(regions.itertuples()):
        where = f"region {number} of {row.image}"
        if row.emotion == NO_FACE:
            continue
        try:
            label = label_of(row.emotion, class_names)
        except LabelError as error:
            problems.append(f"{where}: {error}; left out")
            continue
        if not np.isfinite([row.x, row.y, row.width, row.height]).all():
            problems.append(f"{where}: box {row.x}, {row.y}, {row.width}, {row.height} is none; left out")
            continue
        if "|" in row.tags:
            problems.append(f"{where}: several tags ({row.tags.replace('|', ', ')}); the first is the label")
        if label is not None:
            emotion = row.emotion if row.emotion == REST else canonical(row.emotion)
            wanted.append((number, row._replace(emotion=emotion), label))
    return wanted


def _picture_file(folder: Path, image_name: str) -> Path:
    """The picture's file inside the folder; AnnotationError if it leads outside or is not there."""
    picture_name(image_name)
    for name in (image_name, unquote(image_name)):  # some tools keep the name as it stands in an address
        file = folder / name.replace("\\", "/")
        if folder.resolve() not in file.resolve().parents:
            raise AnnotationError("the picture lies outside the folder (a link); copy it into it")
        if file.is_file():
            return file
    raise AnnotationError("no such picture in the folder; was it renamed or not downloaded?")


def _turn(file: Path, first: object, image: np.ndarray):
    """What moves a box of the table onto the decoded (turned) picture.

    Labelling tools of today show a picture turned; older ones (VoTT's Electron before Chromium 81) do not.
    The size that the label file gives tells which it was.
    """
    height, width = image.shape[:2]
    labelled = (int(first.get("image_width", 0) or 0), int(first.get("image_height", 0) or 0))
    if labelled in ((0, 0), (width, height)):
        return lambda box: box
    with Image.open(file) as picture:
        stored, orientation = picture.size, picture.getexif().get(_ORIENTATION, 1)
    if labelled == stored:
        return lambda box: turn_box(box, orientation, *stored)
    raise AnnotationError(
        f"labelled at {labelled[0]}×{labelled[1]} pixels, the picture has {width}×{height}; was it exchanged?"
    )


def _origins(folder: Path) -> Mapping[str, tuple[str, str]]:
    """Picture name to (source, licence), from the crawler's manifest.csv; empty where there is none."""
    file = folder / "manifest.csv"
    if not file.is_file():
        return {}
    manifest = pd.read_csv(file, dtype=str, keep_default_na=False)
    if not {"file", "source", "licence"} <= set(manifest.columns):
        return {}
    return {row.file: (row.source, row.licence) for row in manifest.itertuples() if row.file}


def _write_faces_csv(faces: pd.DataFrame, folder: Path) -> None:
    """Write faces.csv beside and rename; then remove the faces that only the earlier one names."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "faces.csv"
    earlier = set()
    if file.is_file():
        try:
            earlier = set(pd.read_csv(file, dtype=str, keep_default_na=False)["face"])
        except (ValueError, KeyError):
            earlier = set()  # not ours, or half a file of another tool: remove nothing
    part = folder / ".faces.csv.part"
    faces.to_csv(part, index=False, lineterminator="\n")
    part.replace(file)
    for name in earlier - set(faces["face"]):
        old = folder / name
        if old.suffix == ".png" and old.is_file() and folder.resolve() in old.resolve().parents:
            old.unlink()
            if not any(old.parent.iterdir()):
                old.parent.rmdir()  # an empty folder would be read as a class
