"""Faces cut out of their pictures and written by class, with the table that links them."""

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from ferlib.annotate.table import NO_FACE, picture_name
from ferlib.common.boxes import clamp_box, grow_box, turn_box
from ferlib.common.errors import AnnotationError, BadInputError, ImageError, LabelError
from ferlib.common.files import write_text
from ferlib.common.images import (
    crop_face,
    load_image,
    to_bgr,
)
from ferlib.common.labels import REST, canonical, label_of, parse_classes

COLUMNS = ("face", "image", "x", "y", "width", "height", "emotion", "tags", "label", "source", "licence")
"""The columns of faces.csv."""

_ORIENTATION = 0x0112  # EXIF's tag
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # Paeth's; older OpenCV chooses its filters row by row
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
"""How PNG is packed: on faces nine times as fast as Pillow's defaults, and 7 % larger."""


def crop_regions(
    table: pd.DataFrame,
    images_folder: str | os.PathLike,
    out_folder: str | os.PathLike,
    class_names: Sequence[str],
    margin: float = 0.0,
    problems: list[str] | None = None,
    tags: str = "first",
    workers: int = 2,
) -> pd.DataFrame:
    """Cut every labelled box out of its picture and write `out_folder/<class>/*.png` and `faces.csv`.

    `table` as in `ferlib.annotate.table`, with its pictures in `images_folder`. Each picture is decoded once,
    turned as its EXIF says, any colour mode made RGB; boxes that were drawn on the unturned picture (their
    `image_width`, `image_height` say so) are turned along. A face is named after its picture and the number
    of its region there (`street.jpg-0.png`), so no face takes the place of another's; a file of somebody
    else's that has this name is left alone, the face is called `street.jpg-0+1.png`.

    A region with several tags gives one face, of its first tag, and a line in `problems`; with
    `tags="all"` one face for each tag's class, without a line. `workers` pictures are worked on at a time;
    only these are in memory.

    Gives (and writes) one row a face: `face` (path inside `out_folder`), `image`, the box as cut, `emotion`,
    `tags`, `label` (index in `class_names`), and `source`, `licence` from the `manifest.csv` of the pictures,
    empty where there is none. A region that cannot be cut is left out and named: in `problems` if a list is
    given, and always in the result's `.attrs["problems"]`. Emotions outside the class set and boxes tagged
    "not a face" are left out without a word. faces.csv tells what this call wrote; files that an
    earlier faces.csv names and this one does not are removed. Raises BadInputError for a missing folder,
    column or class, and for a `margin`, `tags` or `workers` that make no sense.
    """
    images_folder, out_folder = Path(images_folder), Path(out_folder)
    problems = [] if problems is None else problems
    class_names = parse_classes(class_names)
    if tags not in ("first", "all") or workers < 1:
        raise BadInputError(f"tags {tags!r}, workers {workers}: give 'first' or 'all', and 1 or more")
    table = _checked(table, images_folder, margin)
    origin, ours = _origins(images_folder), _earlier_faces(out_folder)

    def work(picture: tuple[str, pd.DataFrame]) -> tuple[list, list]:
        return _crop_picture(*picture, images_folder, out_folder, class_names, margin, tags, origin, ours)

    rows = []
    for picture_rows, lines in _in_turn(work, table.groupby("image", sort=False), workers):
        rows += picture_rows
        problems += lines
    faces = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"label": "int64"})
    _write_faces_csv(faces, out_folder, ours)
    faces.attrs["problems"] = list(problems)
    return faces


def _in_turn(work: Callable, items: Iterable, workers: int) -> Iterator:
    """`map(work, items)` on some threads, in order, with no more than a few results waiting.

    Threads are enough: decoding, cutting and packing are done by libraries that let other threads run.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _crop_picture(
    image_name: str,
    regions: pd.DataFrame,
    images_folder: Path,
    out_folder: Path,
    class_names: Sequence[str],
    margin: float,
    tags: str,
    origin: Mapping,
    ours: set[str],
) -> tuple[list[tuple], list[str]]:
    """(rows of faces.csv, problems) of one picture; its faces are written."""
    rows, problems = [], []
    wanted = _wanted(regions, class_names, tags, problems)
    if not wanted:
        return rows, problems
    try:
        file = _picture_file(images_folder, image_name)
        image = load_image(file)
        turn = _turn(file, regions.iloc[0], image)
    except (AnnotationError, ImageError, OSError) as error:
        reason = str(error).replace(f"{images_folder}{os.sep}", "")  # no machine's own path
        return rows, [*problems, f"{image_name}: {reason}; its regions are left out"]
    links = origin.get(file.relative_to(images_folder).as_posix(), ("", ""))
    for number, row, label in wanted:
        box = turn((row.x, row.y, row.width, row.height))
        try:
            face = crop_face(image, box, margin)
        except ImageError as error:
            problems.append(f"region {number} of {image_name}: {error}; left out")
            continue
        name = _write_face(face, out_folder, class_names[label], face_name(image_name, number), ours)
        cut = clamp_box(grow_box(box, margin), image.shape[1], image.shape[0])
        rows.append((name, image_name, *cut, row.emotion, row.tags, label, *links))
    return rows, problems


def _write_face(face: np.ndarray, out_folder: Path, class_name: str, file_name: str, ours: set[str]) -> str:
    """Write a face as PNG beside and rename, under a name that no one else's file has; returns that name."""
    data = cv2.imencode(".png", to_bgr(face), _PNG)[1].data
    name, more = f"{class_name}/{file_name}", 0
    path = f"{out_folder}/{name}"  # plain texts: with thousands of files, Path costs as much as packing
    while name not in ours and os.path.lexists(path) and Path(path).read_bytes() != data:
        more += 1
        name = f"{class_name}/{file_name.removesuffix('.png')}+{more}.png"
        path = f"{out_folder}/{name}"
    part = f"{out_folder}/{class_name}/.{name.rpartition('/')[2]}.part"
    try:
        file = open(part, "wb")  # noqa: PTH123, SIM115
    except FileNotFoundError:  # the first of its class
        Path(part).parent.mkdir(parents=True, exist_ok=True)
        file = open(part, "wb")  # noqa: PTH123, SIM115
    try:
        with file:
            file.write(data)
        os.replace(part, path)  # noqa: PTH105
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise
    return name


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


def _wanted(regions: pd.DataFrame, class_names: Sequence[str], tags: str, problems: list[str]) -> list[tuple]:
    """(number, row, label) of a picture's regions that have a class; what cannot be used is named."""
    wanted = []
    for number, row in enumerate(regions.itertuples()):
        where = f"region {number} of {row.image}"
        if row.emotion == NO_FACE:
            continue
        if not np.isfinite([row.x, row.y, row.width, row.height]).all():
            problems.append(f"{where}: box {row.x}, {row.y}, {row.width}, {row.height} is none; left out")
            continue
        several = "|" in row.tags
        names = row.tags.split("|") if several and tags == "all" else [row.emotion]
        found: dict[int, object] = {}
        for name in names:
            try:
                label = None if name == NO_FACE else label_of(name, class_names)
            except LabelError as error:
                problems.append(f"{where}: {error}; left out")
                continue
            if label is not None:
                found.setdefault(label, row._replace(emotion=name if name == REST else canonical(name)))
            if several and tags == "first":
                problems.append(
                    f"{where}: several tags ({row.tags.replace('|', ', ')}); the first is the label"
                )
        wanted += [(number, each, label) for label, each in found.items()]
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


def _earlier_faces(folder: Path) -> set[str]:
    """The faces that an earlier faces.csv names; only these may be replaced or removed."""
    try:
        return set(pd.read_csv(folder / "faces.csv", dtype=str, keep_default_na=False)["face"])
    except (OSError, ValueError, KeyError):
        return set()  # none, not ours, or half a file of another tool


def _write_faces_csv(faces: pd.DataFrame, folder: Path, earlier: set[str]) -> None:
    """Write faces.csv beside and rename; then remove the faces that only the earlier one names."""
    write_text(folder / "faces.csv", faces.to_csv(index=False, lineterminator="\n"))
    for name in earlier - set(faces["face"]):
        old = folder / name
        if old.suffix == ".png" and old.is_file() and folder.resolve() in old.resolve().parents:
            old.unlink()
            if not any(old.parent.iterdir()):
                old.parent.rmdir()  # an empty folder would be read as a class
