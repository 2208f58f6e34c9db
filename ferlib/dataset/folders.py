"""Faces in folders of classes: `train/happy/…`, `test/3/…`, as mirrors of FER2013 and Keras have them.

A folder's name gives its class: a name of an emotion, or a number in FER2013's order (4 is sad). Tools
that number folders alphabetically mean neutral by 4, and a number alone does not say which order it has.
So numbers are accepted only where all seven are there or a `classes.json` names them.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.errors import DatasetError, ImageError, LabelError
from ferlib.common.labels import EIGHT, SEVEN, alphabetical, canonical, parse_classes
from ferlib.dataset.splits import USAGES, Dataset, leave_out

PARTS = {
    "Training": ("train", "training"),
    "PublicTest": ("val", "valid", "validation", "publictest"),
    "PrivateTest": ("test", "privatetest"),
}
"""Folder names of each usage, in lower case; the first is the one that `write_splits` writes."""

COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)
"""FER2013's Training faces per class, in its own order."""

COUNT_TOLERANCE = 10
"""Copies of FER2013 differ by a few labels; the counts of two classes differ by hundreds."""


def read_folders(
    folder: str | os.PathLike, class_names: Sequence[str] | None = None, skip_bad: bool = False
) -> Dataset:
    """Read the faces in the class folders of `train/`, `val/`, `test/` (or FER2013's names of these).

    A mirror that has only `train/` and `test/` has FER2013's PublicTest and PrivateTest together in
    `test/`; here all of it is PrivateTest.

    Args:
        folder: The folder. With class folders directly in it, all faces are Training.
        class_names: The classes of folders named by numbers, from 0; default: FER2013's seven.
        skip_bad: Leave out unreadable pictures and folders of an unknown name and log them.

    Returns:
        The faces as 48×48 gray (`images.face_input`), sorted by usage, class and file name. This is not
        FER2013's order, so FER+'s votes do not go with them.

    Raises:
        DatasetError: There are no class folders or no readable picture; names are not emotions, or
            numbers are in an unknown order; or a picture is bad and `skip_bad` is false.
    """
    folder = Path(folder)
    parts = [
        (usage, part)
        for usage, names in PARTS.items()
        for part in _subfolders(folder)
        if part.name.lower() in names
    ] or [(USAGES[0], folder)]
    files = [
        (usage, class_folder.name, file)
        for usage, part in parts
        for class_folder in _subfolders(part)
        for file in class_folder.iterdir()
        if file.suffix.lower() in images.SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise DatasetError(
            f"{folder}: no pictures in class folders, such as train/happy/0.png; see the README"
        )
    names = sorted({name for _, name, _ in files})
    if any(name.isdigit() for name in names):
        training = [name for usage, name, _ in files if usage == USAGES[0]]
        classes, label_of = _numbered(names, training, class_names, folder)
    else:
        classes, label_of = _named(names, class_names, folder, skip_bad)
    rows = sorted(
        (USAGES.index(usage), label_of[name], file.name, file)
        for usage, name, file in files
        if name in label_of
    )
    with ThreadPoolExecutor(2) as pool:  # Pillow decodes outside Python's lock
        faces = list(pool.map(lambda row: _read_face(row[3], folder), rows))
    problems = [face for face in faces if isinstance(face, str)]
    leave_out(problems, skip_bad)
    if len(problems) == len(rows):
        raise DatasetError(f"{folder}: no picture in it can be read; the first: {problems[0]}")
    pixels = np.array([face for face in faces if not isinstance(face, str)])
    kept = [row[:2] for row, face in zip(rows, faces, strict=True) if not isinstance(face, str)]
    usage, labels = np.array(kept, np.int64).T
    return Dataset(pixels, labels, np.array(USAGES)[usage], classes)


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; DatasetError where it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror or error})") from error


def _read_face(file: Path, folder: Path) -> np.ndarray | str:
    """A face, or what is wrong with its file."""
    try:
        return images.face_input(images.load_image(file))
    except ImageError as error:
        return str(error).replace(str(file), file.relative_to(folder).as_posix())


def _numbered(
    names: list[str], training: list[str], class_names: Sequence[str] | None, folder: Path
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The class set, and the label of each class folder's name. `training`: the class of each Training face."""
    if not all(name.isdigit() for name in names):
        raise DatasetError(
            f"{folder}: class folders of names and of numbers ({', '.join(names[:9])}); use one kind"
        )
    label_of = {name: int(name) for name in names}
    classes = SEVEN if class_names is None else parse_classes(class_names)
    if class_names is None and set(label_of.values()) != set(range(len(SEVEN))):
        raise DatasetError(
            f"{folder}: class folders {', '.join(names)} do not say which classes these are; name them, or "
            'put a classes.json beside them: {"class_names": ["happy", …]}, from number 0'
        )
    if max(label_of.values()) >= len(classes):
        raise DatasetError(
            f"{folder}: class folder {max(names, key=int)}, but there are {len(classes)} classes"
        )
    if class_names is None:
        counts = np.bincount([label_of[name] for name in training], minlength=len(classes))
        by_alphabet = [COUNTS[SEVEN.index(name)] for name in alphabetical(SEVEN)]
        beside = {"class_names": alphabetical(SEVEN)}
        if np.abs(counts - by_alphabet).max() <= COUNT_TOLERANCE:
            raise DatasetError(
                f"{folder}: its numbers count FER2013's classes by the alphabet (4 is neutral), not in FER2013's "
                f"own order (4 is sad); put a classes.json beside them: {json.dumps(beside)}"
            )
    return tuple(classes), label_of


def _named(
    names: list[str], class_names: Sequence[str] | None, folder: Path, skip_bad: bool
) -> tuple[tuple[str, ...], dict[str, int]]:
    """As `_numbered`, for names: FER2013's order, with contempt the eight; or that of `class_names`."""
    emotions, problems = {}, []
    for name in names:
        try:
            emotions[name] = name if name in (class_names or ()) else canonical(name)
        except LabelError as error:
            problems.append(f"{folder.name}: class folder {name!r}: {error}; rename it, or take it out")
    leave_out(problems, skip_bad)
    if not emotions:
        raise DatasetError(f"{folder}: no class folder has the name of an emotion: {', '.join(names[:9])}")
    classes = tuple(class_names) if class_names else EIGHT if "contempt" in emotions.values() else SEVEN
    beyond = [name for name, emotion in emotions.items() if emotion not in classes]
    if beyond:
        raise DatasetError(f"{folder}: class folders {', '.join(beyond)} are none of {', '.join(classes)}")
    return classes, {name: classes.index(emotion) for name, emotion in emotions.items()}
