"""Labelled faces cut out of their pictures and written by class, with the table that links them."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from ferlib.annotate.formats.fields import emotion_of
from ferlib.annotate.table import BOX, COLUMNS, NO_FACE, Records, join_pictures
from ferlib.common.boxes import clamp_box, grow_box, turn_box
from ferlib.common.errors import AnnotationError, BadInputError, check_choice, logger, warn_each
from ferlib.common.files import whole, write_text
from ferlib.common.images import crop_face, load_image, to_bgr
from ferlib.common.labels import EIGHT, REST, class_key, label_of, parse_classes

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

    `faces.csv` lists what this call wrote; faces that only an earlier `faces.csv` lists are removed. A picture is
    found by `ferlib.annotate.pictures.find_pictures`. What cannot be cut out is left out, with a warning: a box,
    a picture, and a tag that is in no class (one line per tag). Boxes tagged "not a face" are left out without one.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`). Tags of other names: see `rename_tags`.
        images_folder: The folder of the pictures, with the crawler's `manifest.csv` if there is one.
        out_folder: The folder for the faces; it is made if it is missing.
        class_names: The class set: its names, or a text that `ferlib.common.labels.parse_classes` takes.
        margin: The share of the box's width and height that is added on each side, 0 or more.
        tags: `"first"`: a box with several tags gives one face, of the first tag that is an emotion or a class (so
            "face" does not count beside "happy"), with a warning if there are several such tags. `"all"`: it
            gives one face for the class of each tag.
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
    complete = join_pictures(_complete(table), images_folder, records)
    chosen = _choose(complete, parse_classes(class_names), tags == "all", records)

    # Threads are enough: decoding, resizing and packing are done by libraries that let other threads run.
    work = partial(_crop_picture, images_folder, out_folder, margin, earlier)
    with ThreadPoolExecutor(workers) as pool:
        for done in pool.map(work, chosen.values()):
            records.rows += done.rows
            records.problems += done.problems
    records.warn()
    sources = _read_sources(images_folder)
    rows = [(*row, *sources.get(Path(row[1]).as_posix(), ("", ""))) for row in records.rows]
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


def rename_tags(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Rename tags of a table of boxes, for example from another language.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        names: Old name to new name, as `ferlib.common.labels.parse_names` returns them; case does not count.

    Returns:
        The table with new `emotion` and `tags`; other tags stay as they are.
    """
    new = {old.casefold(): name for old, name in names.items()}
    tags = [[new.get(class_key(tag).casefold(), tag) for tag in text.split("|")] for text in table["tags"]]
    emotions = [
        emotion_of(several) if emotion == emotion_of(old.split("|")) else new.get(emotion.casefold(), emotion)
        for emotion, old, several in zip(table["emotion"], table["tags"], tags, strict=True)
    ]
    return table.assign(emotion=emotions, tags=["|".join(several) for several in tags])


def _choose(table: pd.DataFrame, classes: Sequence[str], all_tags: bool, records: Records) -> dict[str, list]:
    """Choose the boxes that have a class: picture to rows of the table, with label and class name."""
    chosen: dict[str, list] = {image: [] for image in table["image"]}
    without_class: Counter[str] = Counter()
    for row in table[table["emotion"] != NO_FACE].itertuples():
        where = f"region {row.number} of {row.image}"
        if not np.isfinite([row.x, row.y, row.width, row.height]).all():
            box = f"{row.x}, {row.y}, {row.width}, {row.height}"
            records.problems.append(f"{where}: box {box} is not four numbers; left out")
            continue
        tags = list(filter(None, row.tags.split("|")))
        if not all_tags or REST in classes:  # beside an emotion a word such as "face" is not one of the rest
            tags = _decisive(row, classes)
        if not all_tags and len(tags) > 1:
            text = row.tags.replace("|", ", ")
            records.notes.append(f"{where}: several tags ({text}); the label is {tags[0]}, not {tags[1]}")
            tags = tags[:1]
        found: dict[int, Any] = {}
        for name in (tag for tag in tags or [""] if tag != NO_FACE):
            label = label_of(name, classes)
            if label is None:
                without_class[class_key(name)] += 1
            else:
                own = {"emotion": class_key(name), "label": label, "class_name": classes[label]}
                found.setdefault(label, row._replace(**own))
        chosen[row.image] += found.values()
    _report_without_class(without_class, classes)
    return {image: rows for image, rows in chosen.items() if rows}


def _decisive(row: Any, classes: Sequence[str]) -> list[str]:
    """List the tags of a box that are emotions or classes, else only the first one (as the others are notes)."""
    tags = list(dict.fromkeys(filter(None, map(class_key, [row.emotion, *row.tags.split("|")]))))
    own = [name for name in classes if name != REST]
    return [tag for tag in tags if tag in (*EIGHT, REST) or label_of(tag, own) is not None] or tags[:1]


def _report_without_class(counts: Counter[str], classes: Sequence[str]) -> None:
    """Log the tags that are in no class, one line per tag, the most frequent first."""
    lines = []
    for tag, count in counts.most_common():
        boxes = "1 box" if count == 1 else f"{count} boxes"
        remedy = f"add it to --classes, or give --names '{tag}={classes[0]}'" if tag else "give them one"
        what = f"tag {tag!r} is in no class of {', '.join(classes)}" if tag else "no tag"
        lines.append(f"{what}: {boxes} left out; {remedy}")
    warn_each(lines)  # not among the problems, of which only the first ones are shown


def _crop_picture(
    images_folder: Path, out_folder: Path, margin: float, earlier: set[str], chosen: list
) -> Records:
    """Write the faces of one picture; the result's rows are those of faces.csv without source and licence."""
    records, first = Records(), chosen[0]
    with records.leave_out_if_bad(first.image, images_folder):
        file = images_folder / first.image
        _check_inside(file, images_folder)
        image = load_image(file)
        orientation = _find_orientation(file, first, image)
        for row in chosen:
            with records.leave_out_if_bad(f"region {row.number} of {row.image}"):
                box = (row.x, row.y, row.width, row.height)
                box = turn_box(box, orientation, first.image_width, first.image_height)
                name = f"{row.class_name}/{face_name(row.image, row.number)}"
                name = _write_face(crop_face(image, box, margin), out_folder, name, earlier)
                cut = clamp_box(grow_box(box, margin), image.shape[1], image.shape[0])
                records.rows.append((name, row.image, *cut, row.emotion, row.tags, row.label))
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


def _check_inside(file: Path, folder: Path) -> None:
    """Refuse a link that leads out of the folder."""
    try:
        if folder.resolve() not in file.resolve().parents:
            raise AnnotationError("the picture is outside the folder (a link); copy it into it")
    except (OSError, RuntimeError) as error:
        raise AnnotationError("the picture cannot be opened (a link that leads nowhere)") from error


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
    try:
        manifest = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
        rows = manifest[["file", "source", "licence"]].itertuples(index=False, name=None)
    except (FileNotFoundError, KeyError):  # no manifest, or another tool's
        return {}
    except (OSError, ValueError) as error:
        logger.warning("manifest.csv cannot be read (%s); the faces have no source and licence", error)
        return {}
    return {file: (source, licence) for file, source, licence in rows if file}


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
