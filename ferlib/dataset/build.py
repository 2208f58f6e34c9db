"""Read, draw, build and write data sets of faces: CSVs, class folders, cropped faces, the folder of stage 03.

That folder has `emotion_file.csv` (FER2013's format), `classes.json` (the names of its labels),
`train.csv`, `val.csv` and `test.csv` (without Usage), and `train/`, `val/`, `test/` with one folder per
class.
"""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.errors import DatasetError, ImageError, LabelError
from ferlib.common.labels import SEVEN, label_of
from ferlib.dataset.fer2013 import file_classes, read_fer2013, write_fer2013
from ferlib.dataset.folders import PARTS, read_folders
from ferlib.dataset.splits import SIDE, USAGES, Dataset, check_classes, join, leave_out, split

DRAWN_SIZE = 96
"""Width and height of a drawn picture in pixels; its face is about 63 wide, so that 48 still shrinks it."""

CSV_NAMES = ("emotion_file.csv", "fer2013.csv", "icml_face_data.csv")
"""Files of a complete data set, as stage 03 and Kaggle name them; gzipped with `.gz` appended."""

_JITTER = 0.06


def read_data(path: str | os.PathLike, skip_bad: bool = False) -> Dataset:
    """Read a data set in any of its forms, with its own class set and usage.

    Args:
        path: A CSV for `read_fer2013`; or a folder with such a CSV under a name of CSV_NAMES (also in
            `fer2013/`, as in the contest's archive), with class folders for `folders.read_folders` (a
            `classes.json` in it names their numbers), or with the `faces.csv` of stage 02.
        skip_bad: Leave out bad rows and pictures and log them, instead of refusing the data set.

    Returns:
        The faces; those of a `faces.csv` or of class folders without parts are all Training.

    Example:
        >>> faces = read_data("data/fer2013.csv.gz")
        >>> faces.part("Training").counts()
    """
    path = Path(path)
    file = find_csv(path)
    if file is not None:
        return read_fer2013(file, skip_bad=skip_bad)
    if (path / "faces.csv").is_file():
        return from_faces(path, SEVEN, skip_bad)
    class_names = file_classes(path / "train") if (path / "classes.json").is_file() else None
    return read_folders(path, class_names, skip_bad)


def find_csv(path: str | os.PathLike) -> Path | None:
    """Find the CSV that `read_data` reads.

    Args:
        path: A file or folder.

    Returns:
        `path` itself unless it is a folder; the folder's CSV; or None where it has none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    places = [folder / name for folder in (path, path / "fer2013") for name in CSV_NAMES]
    files = [file for place in places for file in (place, place.with_name(f"{place.name}.gz"))]
    return next((file for file in files if file.is_file()), None)


def from_faces(folder: str | os.PathLike, class_names: Sequence[str], skip_bad: bool = False) -> Dataset:
    """Read the cropped faces of stage 02: `faces.csv` (`face`, `emotion`) and the pictures it names.

    Args:
        folder: The folder of `faces.csv`.
        class_names: The class set; faces of an emotion that it leaves out are dropped.
        skip_bad: Leave out rows without a readable picture or a known emotion and log them.

    Returns:
        The faces as 48×48 gray (`images.face_input`), all Training.

    Raises:
        DatasetError: `faces.csv` is missing or empty or lacks a column, or a row is bad and `skip_bad`
            is false.
    """
    table = Path(folder) / "faces.csv"
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DatasetError(
            f"{table}: cannot be read ({error}); run notebook 02 or `ferlib crop` first"
        ) from error
    missing = {"face", "emotion"} - set(rows[0] if rows else ())
    if missing:
        what = f"has no column {' and '.join(sorted(missing))}" if rows else "holds no faces"
        raise DatasetError(f"{table}: {what}; run notebook 02 or `ferlib crop` again")
    faces, labels, problems = [], [], []
    for number, row in enumerate(rows, start=1):
        try:
            label = label_of(row["emotion"] or "", class_names)
            if label is not None:
                faces.append(images.face_input(images.load_image(table.parent / (row["face"] or ""))))
                labels.append(label)
        except (ImageError, LabelError) as error:
            problems.append(f"{table.name}: row {number}: {error}")
    leave_out(problems, skip_bad)
    return _training(faces, labels, class_names)


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
    """
    from ferlib import synth  # most users of a data set never draw

    emotions = {emotion: label_of(emotion, class_names) for emotion in SEVEN}
    drawn = [(emotion, label) for emotion, label in emotions.items() if label is not None]
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
    file. Pictures of an earlier run are removed.

    Args:
        dataset: The faces.
        folder: The folder to write to; made where it is missing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for usage, (name, *_) in PARTS.items():
        for old in (folder / name).glob("*/[0-9][0-9][0-9][0-9][0-9].png"):
            old.unlink()
        for old in [path for path in (folder / name).glob("*") if path.is_dir() and not any(path.iterdir())]:
            old.rmdir()
        part = dataset.part(usage)
        if not len(part):
            (folder / f"{name}.csv").unlink(missing_ok=True)
            continue
        write_fer2013(part, folder / f"{name}.csv", with_usage=False)
        for class_name in part.class_names:
            (folder / name / class_name).mkdir(parents=True, exist_ok=True)
        for row, (face, label) in enumerate(zip(part.pixels, part.labels, strict=True)):
            images.write_image(folder / name / part.class_names[label] / f"{row:05}.png", face)


def write_dataset(dataset: Dataset, folder: str | os.PathLike) -> None:
    """Write the folder of stage 03: `emotion_file.csv`, `classes.json` and what `write_splits` writes.

    Args:
        dataset: The faces.
        folder: The folder to write to; made where it is missing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The old CSV goes first: after an interruption, there are no old rows beside new class names.
    (folder / "emotion_file.csv").unlink(missing_ok=True)
    text = json.dumps({"class_names": list(dataset.class_names)}, indent=1)
    (folder / "classes.json").write_text(text + "\n", "utf-8")
    write_splits(dataset, folder)
    write_fer2013(dataset, folder / "emotion_file.csv")


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
    class_names: Sequence[str],
    extra_faces: int = 2400,
    seed: int = 7,
) -> Dataset:
    """Build the data set of stage 03; bad rows and pictures are left out and logged.

    DatasetError is raised where a class has no picture, or too few to have some in each part.

    Args:
        faces_folder: Folder of stage 02's faces; None for none. Not read when there is `data`.
        data: What `read_data` reads, with its own usage; empty for the faces of `faces_folder` and drawn
            ones, split 70/10/20.
        class_names: The class set.
        extra_faces: Number of drawn faces to add to those of `faces_folder`.
        seed: Seed of the drawn faces and of the split.

    Returns:
        The faces with their usage.
    """
    if data:
        built = read_data(data, skip_bad=True).with_classes(class_names)
        check_classes(built, 1)
        return built
    sets = [from_drawn(extra_faces, seed, class_names)]
    if faces_folder is not None:
        sets.insert(0, from_faces(faces_folder, class_names, skip_bad=True))
    built = join(sets)
    check_classes(built, len(USAGES))  # one of each class for each part
    return split(built, seed=seed)
