"""Data sets of faces in files: FER2013's CSV, class folders, cropped faces, drawn faces, the folder of stage 03.

That folder holds `emotion_file.csv` (FER2013's format), `classes.json` (the names of its labels),
`train.csv`, `val.csv` and `test.csv` (without Usage), and `train/`, `val/`, `test/` with one folder a
class. What a data set is, and how it is split, stands in `ferlib.dataset.splits`; its names are here too.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.errors import DatasetError, ImageError, LabelError
from ferlib.common.labels import SEVEN, label_of, parse_classes
from ferlib.dataset import fer2013, folders
from ferlib.dataset.fer2013 import PIXELS, SIDE, USAGES
from ferlib.dataset.splits import Dataset, check_classes, group_copies, join, split, split_off, test_usage

__all__ = [
    "PIXELS",
    "SIDE",
    "USAGES",
    "Dataset",
    "build_dataset",
    "check_classes",
    "collect",
    "file_classes",
    "find_csv",
    "from_drawn",
    "from_faces",
    "group_copies",
    "join",
    "load_dataset",
    "read_data",
    "read_fer2013",
    "read_split",
    "split",
    "split_off",
    "test_usage",
    "write_dataset",
    "write_fer2013",
    "write_splits",
]

PARTS = dict(zip(("train", "val", "test"), USAGES, strict=True))
"""The short name of each usage, as files and folders carry it."""

DRAWN_SIZE = 96
"""Pixels of a drawn picture; its face is about 63 wide, so that 48 still shrinks it."""

_JITTER = 0.06


CSV_NAMES = ("emotion_file.csv", "fer2013.csv", "icml_face_data.csv")
"""The files of a whole data set, as stage 03 and Kaggle name them; gzipped with `.gz` behind."""


def read_data(path: str | os.PathLike, problems: list[str] | None = None) -> Dataset:
    """A data set in any of its shapes, with its own class set and usage.

    A file is read by `read_fer2013`. A folder may hold such a CSV under one of its names (CSV_NAMES, or
    in `fer2013/`, as the contest's archive has it), or class folders (`classfolders.read_folders`; a
    `classes.json` in it names their numbers), or `faces.csv` with the faces of stage 02, all Training.
    Raises DatasetError for anything else.
    """
    path = Path(path)
    file = find_csv(path)
    if file is not None:
        return read_fer2013(file, problems=problems)
    if (path / "faces.csv").is_file():
        return from_faces(path, SEVEN, problems)
    named = file_classes(path / "train") if (path / "classes.json").is_file() else None
    return folders.read_folders(path, named, problems)


def find_csv(path: str | os.PathLike) -> Path | None:
    """The CSV of a data set: `path` itself unless it is a folder, else the one that `read_data` takes, or None."""
    path = Path(path)
    if not path.is_dir():
        return path
    places = [folder / name for folder in (path, path / "fer2013") for name in CSV_NAMES]
    files = [file for place in places for file in (place, place.with_name(f"{place.name}.gz"))]
    return next((file for file in files if file.is_file()), None)


def read_fer2013(
    path: str | os.PathLike, class_names: Sequence[str] | None = None, problems: list[str] | None = None
) -> Dataset:
    """A FER2013 CSV: `fer2013.csv`, `icml_face_data.csv`, or one that we wrote; gzipped or not.

    The labels in the file are numbers; their names are those of a `classes.json` beside it, else
    FER2013's seven. `class_names` says which names the caller counts on; DatasetError where the file
    beside says otherwise. Bad rows: see `ferlib.dataset.fer2013.read_rows`.
    """
    names = file_classes(path, class_names)
    labels, pixels, usage = fer2013.read_rows(path, names, problems=problems)
    return Dataset(pixels, labels, usage, names)


def read_split(
    path: str | os.PathLike, class_names: Sequence[str] | None = None, problems: list[str] | None = None
) -> Dataset:
    """A CSV without `Usage`: train.csv, val.csv, test.csv. Its name says the usage, else it is Training."""
    names = file_classes(path, class_names)
    labels, pixels, _ = fer2013.read_rows(path, names, with_usage=False, problems=problems)
    usage = {"val": USAGES[1], "test": USAGES[2]}.get(Path(path).name.split(".")[0], USAGES[0])
    return Dataset(pixels, labels, np.full(len(labels), usage), names)


def write_fer2013(dataset: Dataset, path: str | os.PathLike) -> None:
    """Write all rows as FER2013's CSV, gzipped for a name in .gz; see `ferlib.dataset.fer2013.write_rows`."""
    fer2013.write_rows(path, dataset.labels, dataset.pixels, dataset.usage)


def file_classes(path: str | os.PathLike, expected: Sequence[str] | None = None) -> tuple[str, ...]:
    """The class names of a CSV's labels: from `classes.json` beside it, else `expected`, else the seven.

    `classes.json` is `{"class_names": ["angry", …]}` or the bare list. DatasetError where it cannot be
    read or names other classes than expected.
    """
    beside = Path(path).parent / "classes.json"
    expected = None if expected is None else tuple(expected)
    if not beside.is_file():
        return expected or SEVEN
    try:
        content = json.loads(beside.read_text("utf-8"))
        names = parse_classes(content["class_names"] if isinstance(content, dict) else content)
    except (OSError, ValueError, KeyError, TypeError, LabelError) as error:
        raise DatasetError(
            f"{beside.name} beside {Path(path).name}: not a list of class names ({error})"
        ) from error
    if expected is not None and names != expected:
        raise DatasetError(
            f"{beside.name} beside {Path(path).name} says {', '.join(names)}, not {', '.join(expected)}; "
            "read the file as it is and map it with .with_classes()"
        )
    return names


def from_faces(
    folder: str | os.PathLike, class_names: Sequence[str], problems: list[str] | None = None
) -> Dataset:
    """The cropped faces that stage 02 left: `faces.csv` (`face`, `emotion`) and the pictures it names.

    Each face becomes 48×48 gray by `images.face_input`; usage is Training until `split`. Faces of an
    emotion that the class set leaves out are dropped. A bad row (no picture, no known emotion) raises
    DatasetError with its number or, with a list given as `problems`, is left out and adds a line to it.
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
    faces, labels = [], []
    for number, row in enumerate(rows, start=1):
        try:
            label = label_of(row["emotion"] or "", class_names)
            if label is not None:
                faces.append(images.face_input(images.load_image(table.parent / (row["face"] or ""))))
                labels.append(label)
        except (ImageError, LabelError) as error:
            message = f"{table.name}: row {number}: {error}"
            if problems is None:
                raise DatasetError(message) from error
            problems.append(message)
    return _training(faces, labels, class_names)


def from_drawn(
    count: int, seed: int, class_names: Sequence[str], progress: Callable[[Iterable], Iterable] = iter
) -> Dataset:
    """`count` drawn faces, the emotions of the class set in turn, cropped and made 48×48 gray.

    The box is the drawing's own, moved and scaled by up to 6 %, because no detector sets it twice the
    same. The same seed gives the same faces; a larger count only adds to them. `progress` may be tqdm.
    """
    from ferlib import synth  # most users of a data set never draw
    from ferlib.common.images import crop_face

    emotions = [emotion for emotion in SEVEN if label_of(emotion, class_names) is not None]
    faces, labels = [], []
    for number in progress(range(count)):
        rng = np.random.default_rng([seed, number])
        emotion = emotions[number % len(emotions)]
        face = synth.sample_face(rng, emotion)
        image = synth.draw_face(face, DRAWN_SIZE, rng)
        faces.append(images.face_input(crop_face(image, _moved(synth.face_box(face, DRAWN_SIZE), rng))))
        labels.append(label_of(emotion, class_names))
    return _training(faces, labels, class_names)


def _moved(box: tuple[int, int, int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box moved and scaled a little."""
    x, y, width, height = box
    scale, right, down = 1 + rng.uniform(-_JITTER, _JITTER), *rng.uniform(-_JITTER, _JITTER, 2)
    x, y = x + width * (right + (1 - scale) / 2), y + height * (down + (1 - scale) / 2)
    return round(x), round(y), round(width * scale), round(height * scale)


def _training(faces: list[np.ndarray], labels: list[int], class_names: Sequence[str]) -> Dataset:
    pixels = np.array(faces, np.uint8).reshape(-1, SIDE, SIDE)
    return Dataset(pixels, np.array(labels, np.int64), np.full(len(labels), USAGES[0]), tuple(class_names))


def write_splits(dataset: Dataset, folder: str | os.PathLike) -> None:
    """Write train.csv, val.csv, test.csv without Usage, and the pictures as `train/<class name>/00000.png` ….

    A picture's number is its row in that CSV, from 0. PNG keeps every pixel; JPEG would change them, so
    that a network trained from the folders would see other faces than one trained from the CSV. A part
    without faces leaves no file; what an earlier run left in the class folders is removed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, usage in PARTS.items():
        for old in (folder / name).glob("*/[0-9][0-9][0-9][0-9][0-9].png"):
            old.unlink()
        for old in [path for path in (folder / name).glob("*") if path.is_dir() and not any(path.iterdir())]:
            old.rmdir()
        part = dataset.part(usage)
        if not len(part):
            (folder / f"{name}.csv").unlink(missing_ok=True)
            continue
        fer2013.write_rows(folder / f"{name}.csv", part.labels, part.pixels)
        for class_name in part.class_names:
            (folder / name / class_name).mkdir(parents=True, exist_ok=True)
        for row, (face, label) in enumerate(zip(part.pixels, part.labels, strict=True)):
            images.write_image(folder / name / part.class_names[label] / f"{row:05}.png", face)


def write_dataset(dataset: Dataset, folder: str | os.PathLike) -> None:
    """Write the folder of stage 03: `emotion_file.csv`, `classes.json` and what `write_splits` writes."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The old CSV goes first: if this is broken off, no old rows stand beside new class names.
    (folder / "emotion_file.csv").unlink(missing_ok=True)
    text = json.dumps({"class_names": list(dataset.class_names)}, indent=1)
    (folder / "classes.json").write_text(text + "\n", "utf-8")
    write_splits(dataset, folder)
    write_fer2013(dataset, folder / "emotion_file.csv")


def load_dataset(folder: str | os.PathLike) -> Dataset:
    """The data set in a folder of stage 03. DatasetError where it is missing or broken."""
    path = Path(folder) / "emotion_file.csv"
    if not path.is_file():
        raise DatasetError(f"{path}: not there; run notebook 03 or `ferlib dataset` first")
    return read_fer2013(path)


def collect(
    faces_folder: str | os.PathLike | None,
    data: str | os.PathLike,
    class_names: Sequence[str],
    extra_faces: int = 2400,
    seed: int = 7,
    problems: list[str] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Dataset:
    """The faces of stage 03 with their usage.

    With `data`, the path of what `read_data` reads: its rows, with its own usage. Without: the faces of
    `faces_folder` (None for none) and `extra_faces` drawn ones, split 70/10/20. `problems`: see
    `from_faces` and `read_data`. Raises DatasetError for a class without a picture, and for one too
    small to have some in each part.
    """
    if data:
        made = read_data(data, problems).with_classes(class_names)
        check_classes(made, 1)
        return made
    sets = [from_drawn(extra_faces, seed, class_names, progress)]
    if faces_folder is not None:
        sets.insert(0, from_faces(faces_folder, class_names, problems))
    made = join(sets)
    check_classes(made, len(USAGES))  # one of each class for each part
    return split(made, seed=seed)


def build_dataset(
    faces_folder: str | os.PathLike | None,
    data: str | os.PathLike,
    class_names: Sequence[str],
    extra_faces: int = 2400,
    seed: int = 7,
    out: str | os.PathLike = "dataset",
    problems: list[str] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Dataset:
    """Stage 03 in one call: `collect` the faces, `write_dataset` them to `out`, and return them."""
    dataset = collect(faces_folder, data, class_names, extra_faces, seed, problems, progress)
    write_dataset(dataset, out)
    return dataset
