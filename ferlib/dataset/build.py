"""Read, draw, build and write data sets of faces: CSVs, class folders, cropped faces, the folder of stage 03.

That folder has `emotion_file.csv` (FER2013's format), `classes.json` (the names of its labels),
`train.csv`, `val.csv` and `test.csv` (without Usage), and `train/`, `val/`, `test/` with one folder per
class.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.common import images
from ferlib.common.errors import BadInputError, DatasetError, ImageError, logger
from ferlib.common.files import whole_folder
from ferlib.common.labels import SEVEN, emotions_of, label_of
from ferlib.dataset.classes import choose_classes, own_classes, rename_classes
from ferlib.dataset.csv_source import CSV_NAMES
from ferlib.dataset.fer2013 import classes_beside, read_fer2013, read_rows, write_fer2013
from ferlib.dataset.folders import read_folders
from ferlib.dataset.splits import (
    PARTS,
    SIDE,
    USAGES,
    Dataset,
    check_classes,
    held_out,
    join,
    leave_out,
    split,
)

DRAWN_SIZE = 96
"""Width and height of a drawn picture in pixels; its face is about 63 wide, so that 48 still shrinks it."""

_JITTER = 0.06
_WRITTEN = re.compile(r"(train|val|test)(\.csv|/[^/]+/[0-9]{5,}\.png)")  # what `write_splits` writes


def read_data(path: str | os.PathLike, skip_bad: bool = False, as_is: bool = False) -> Dataset:
    """Read a data set in any of its forms, with its own class set and usage.

    Args:
        path: A CSV or an archive of one for `read_fer2013`; or a folder with such a file (see `find_csv`), with class
            folders or a published layout for `folders.read_folders` (a `classes.json` in it names their numbers),
            with `train.csv`, `val.csv` and `test.csv`, or with the `faces.csv` of stage 02.
        skip_bad: Leave out bad rows and pictures and log them, instead of refusing the data set.
        as_is: Take every picture of class folders as a face, whatever its size.

    Returns:
        The faces; those of a `faces.csv` or of class folders without parts are all Training.

    Example:
        >>> faces = read_data("data/fer2013.csv.gz")
        >>> faces.part("Training").counts()
    """
    return _read_data(Path(path), skip_bad, as_is)[0]


def _read_data(path: Path, skip_bad: bool, as_is: bool) -> tuple[Dataset, bool]:
    """As `read_data`; and whether a column says which part each face is in."""
    file = find_csv(path)
    if file is not None:
        return read_rows(file, None, skip_bad)
    if (path / "faces.csv").is_file():
        return from_faces(path, None, skip_bad), False
    if (path / "train.csv").is_file() and not (path / "train").is_dir():
        return _read_parts(path, skip_bad), False
    return read_folders(path, classes_beside(path / "train"), skip_bad, as_is), False


def find_csv(path: str | os.PathLike) -> Path | None:
    """Find the CSV that `read_data` reads.

    Args:
        path: A file or folder.

    Returns:
        `path` itself unless it is a folder; the folder's file with a name of `csv_source.CSV_NAMES` (also gzipped or
        zipped, and in `fer2013/`, as in the contest's archive) or the contest's archive; None where it has none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    names = [f"{name}{packed}" for name in CSV_NAMES for packed in ("", ".gz", ".zip")]
    places = [folder / name for folder in (path, path / "fer2013") for name in names]
    files = (*places, path / "fer2013.tar.gz", path / "fer2013.zip")
    return next((file for file in files if file.is_file()), None)


def _read_parts(folder: Path, skip_bad: bool) -> Dataset:
    """train.csv with the val.csv and test.csv beside it."""
    parts = []
    for name in ("train.csv", "val.csv", "test.csv"):
        if not (folder / name).is_file():
            continue
        try:
            parts.append(read_fer2013(folder / name, skip_bad=skip_bad))
        except DatasetError as error:
            if name == "train.csv" or "test.csv has no labels" not in str(error):
                raise
            logger.warning("%s: left out: Kaggle publishes it without labels", name)
    names = list(dict.fromkeys(name for part in parts for name in part.class_names))
    if len({part.class_names for part in parts}) > 1:  # each named its own classes
        classes, _ = own_classes(names, folder.name)
        parts = [part.with_classes(classes) for part in parts]
    return join(parts)


def from_faces(
    folder: str | os.PathLike, class_names: Sequence[str] | None = None, skip_bad: bool = False
) -> Dataset:
    """Read the cropped faces of stage 02: `faces.csv` (`face`, `emotion`) and the pictures it names.

    Args:
        folder: The folder of `faces.csv`.
        class_names: The class set; faces of an emotion that it leaves out are dropped, with their count logged.
            Default: the emotions in the table.
        skip_bad: Leave out rows without a readable picture or an emotion and log them.

    Returns:
        The faces as 48×48 gray (`images.face_input`), all Training.

    Raises:
        DatasetError: `faces.csv` is missing or empty or lacks a column, or a row is bad and `skip_bad`
            is false.
    """
    table = Path(folder) / "faces.csv"
    rows = _read_table(table)
    own, place = own_classes(filter(None, rows["emotion"]), table.name)
    faces, labels, problems = [], [], []
    for number, face, emotion in zip(count(1), rows["face"], rows["emotion"], strict=False):
        try:
            if not emotion:
                raise ImageError("no emotion")
            faces.append(images.face_input(images.load_image(table.parent / face)))
            labels.append(place[emotion])
        except ImageError as error:
            problems.append(f"{table.name}: row {number}: {error}")
    leave_out(problems, skip_bad)
    return choose_classes(_training(faces, labels, own), class_names)


def _read_table(table: Path) -> pd.DataFrame:
    advice = "run notebook 02 or `ferlib crop`"
    try:
        rows = pd.read_csv(table, dtype=str, na_filter=False, encoding="utf-8-sig").fillna("")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{table}: cannot be read ({error}); {advice} first") from error
    missing = [name for name in ("emotion", "face") if name not in rows]
    if missing or rows.empty:
        what = f"has no column {' and '.join(missing)}" if len(rows) else "holds no faces"
        raise DatasetError(f"{table}: {what}; {advice} again")
    return rows.assign(emotion=rows["emotion"].str.strip())


def from_drawn(count: int, seed: int, class_names: Sequence[str]) -> Dataset:
    """Draw faces, crop them and make them 48×48 gray.

    The crop is the drawing's own box, moved and scaled by up to 6 %, because a detector does not place
    it twice the same.

    Args:
        count: Number of faces; the emotions of the class set take turns.
        seed: The same seed gives the same faces; a larger count only adds to them.
        class_names: The class set.

    Returns:
        The faces, all Training.

    Raises:
        DatasetError: No class of the set is drawn.
    """
    from ferlib import synth  # most users of a data set never draw

    emotions = {emotion: label_of(emotion, class_names) for emotion in SEVEN}
    drawn = [(emotion, label) for emotion, label in emotions.items() if label is not None]
    if count and not drawn:
        raise DatasetError(f"drawn faces show {', '.join(SEVEN)}; none is of {', '.join(class_names)}")
    faces, labels = [], []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        emotion, label = drawn[number % len(drawn)]
        face = synth.sample_face(rng, emotion)
        image = synth.draw_face(face, DRAWN_SIZE, rng)
        box = _jitter(synth.face_box(face, DRAWN_SIZE), rng)
        faces.append(images.face_input(images.crop_face(image, box)))
        labels.append(label)
    return _training(faces, labels, class_names)


def _jitter(box: tuple[int, int, int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box moved and scaled a little."""
    x, y, width, height = box
    scale, right, down = 1 + rng.uniform(-_JITTER, _JITTER), *rng.uniform(-_JITTER, _JITTER, 2)
    left, top = x + width * (right + (1 - scale) / 2), y + height * (down + (1 - scale) / 2)
    return round(left), round(top), round(width * scale), round(height * scale)


def _training(faces: list[np.ndarray], labels: list[int], class_names: Sequence[str]) -> Dataset:
    pixels = np.array(faces, np.uint8).reshape(-1, SIDE, SIDE)
    return Dataset(pixels, np.array(labels, np.int64), np.full(len(labels), USAGES[0]), tuple(class_names))


def write_splits(dataset: Dataset, folder: str | os.PathLike) -> None:
    """Write train.csv, val.csv and test.csv without Usage, and the pictures as `train/<class>/00000.png` ….

    A picture's number is its row in that CSV, from 0. PNG keeps every pixel; with JPEG, a network trained
    from the folders would see other faces than one trained from the CSV. A part without faces leaves no
    file. Such files of an earlier data set in the folder are removed.

    Args:
        dataset: The faces.
        folder: The folder to write to; made where it is missing.
    """
    folder = Path(folder)
    for path in (*folder.glob("*.csv"), *folder.glob("*/*/*.png")):
        if _WRITTEN.fullmatch(path.relative_to(folder).as_posix()):
            path.unlink()
    for usage, (name, *_) in PARTS.items():
        part = dataset.part(usage)
        if not len(part):
            continue
        for class_name in part.class_names:
            (folder / name / class_name).mkdir(parents=True, exist_ok=True)
        write_fer2013(part, folder / f"{name}.csv", with_usage=False)
        for row, (face, label) in enumerate(zip(part.pixels, part.labels, strict=True)):
            images.write_image(folder / name / part.class_names[label] / f"{row:05}.png", face)


def write_dataset(dataset: Dataset, folder: str | os.PathLike) -> None:
    """Write the folder of stage 03: `emotion_file.csv`, `classes.json` and what `write_splits` writes.

    It is built beside the folder and takes its place when it is complete: an older data set stays where that fails.
    Files of the reader's own in the folder are kept.

    Args:
        dataset: The faces.
        folder: The folder to write to; made where it is missing.

    Raises:
        BadInputError: The folder cannot be written, or is the current one.
    """
    folder = Path(folder).resolve()
    if folder == Path.cwd() or folder in Path.cwd().parents:
        raise BadInputError(f"{folder}: the current folder cannot be replaced; name a folder in it")
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: is a file, not a folder")
    text = json.dumps({"class_names": list(dataset.class_names)}, indent=1, ensure_ascii=False)
    part = folder
    try:
        with whole_folder(folder) as part:
            (part / "classes.json").write_text(text + "\n", "utf-8")
            write_splits(dataset, part)
            write_fer2013(dataset, part / "emotion_file.csv")
            _keep_others(folder, part)
    except BadInputError as error:
        raise BadInputError(str(error).replace(str(part), str(folder))) from error


def _keep_others(old: Path, new: Path) -> None:
    """Take over the files of a folder that `write_dataset` did not write."""
    for path in sorted(old.rglob("*")):
        place = path.relative_to(old)
        name = place.as_posix()
        ours = name in ("emotion_file.csv", "classes.json") or _WRITTEN.fullmatch(name)
        if ours or (path.is_dir() and not path.is_symlink()):
            continue
        (new / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, new / place, follow_symlinks=False)


def load_dataset(folder: str | os.PathLike) -> Dataset:
    """Read the data set in a folder of stage 03.

    Args:
        folder: The folder that `write_dataset` wrote.

    Returns:
        The faces.

    Raises:
        DatasetError: There is no `emotion_file.csv`, or it cannot be read.
    """
    path = Path(folder) / "emotion_file.csv"
    if not path.is_file():
        raise DatasetError(f"{path}: not there; run notebook 03 or `ferlib dataset` first")
    return read_fer2013(path)


def build_dataset(
    faces_folder: str | os.PathLike | None,
    data: str | os.PathLike,
    class_names: Sequence[str] | None = None,
    extra_faces: int = 2400,
    seed: int = 7,
    names: Mapping[str, str] | None = None,
    as_is: bool = False,
) -> Dataset:
    """Build the data set of stage 03; bad rows and pictures are left out and logged.

    DatasetError is raised where a class has no picture, or too few to have some in each part.

    Args:
        faces_folder: Folder of stage 02's faces; None for none. Not read when there is `data`.
        data: What `read_data` reads, with its own usage; what has no parts is split 70/10/20, and what has no
            validation part gets one of an eighth of Training, with a logged line. Empty for the faces of
            `faces_folder` and drawn ones, split 70/10/20.
        class_names: The class set; default: the data's own.
        extra_faces: Number of drawn faces to add to those of `faces_folder`.
        seed: Seed of the drawn faces and of the split.
        names: Other names for classes, as `ferlib.common.labels.parse_names` gives them.
        as_is: Take every picture of class folders as a face, whatever its size.

    Returns:
        The faces with their usage.
    """
    if data:
        found, has_usage = _read_data(Path(data), True, as_is)
        built = choose_classes(rename_classes(found, names or {}), class_names)
        return _with_parts(built, has_usage, find_csv(data) is not None, seed)
    sets = []
    if faces_folder is not None:
        found = rename_classes(from_faces(faces_folder, None, skip_bad=True), names or {})
        sets.append(choose_classes(found, class_names))
        class_names = class_names or found.class_names
    class_names = class_names or SEVEN
    undrawn = [name for name in class_names if not set(emotions_of(name) or SEVEN) & set(SEVEN)]
    if not undrawn or not sets:
        sets.append(from_drawn(extra_faces, seed, class_names))
    elif extra_faces:
        logger.warning("no drawn faces are added: none shows %s", ", ".join(undrawn))
    built = join(sets)
    check_classes(built, len(USAGES))  # one of each class for each part
    return split(built, seed=seed)


def _with_parts(dataset: Dataset, has_usage: bool, is_csv: bool, seed: int) -> Dataset:
    """A data set whose form has no parts, or no validation part, with these."""
    training, public, private = USAGES
    present = set(dataset.usage.tolist())
    if has_usage or public in present or training not in present:
        check_classes(dataset, 1)
        return dataset
    tested = private in present
    lacking, what = "parts", "it was split"
    try:
        check_classes(dataset, 1 if tested else len(USAGES))
        if tested:
            lacking, what = "validation part", "a validation part was split off Training"
            rows, usage = np.flatnonzero(dataset.usage == training), dataset.usage.copy()
            usage[rows[held_out(dataset.select(rows), 1 / 8, seed)]] = public
            built = dataset.with_usage(usage)
        else:
            built = split(dataset, seed=seed)
    except DatasetError as error:
        if not is_csv and not tested:
            raise
        check_classes(dataset, 1)
        logger.warning("not split: %s", error)
        return dataset
    counts = ", ".join(f"{int((built.usage == usage).sum())} {usage}" for usage in USAGES)
    logger.warning(
        "the data has no %s: %s by class and by groups of copies (seed %d): %s", lacking, what, seed, counts
    )
    return built
