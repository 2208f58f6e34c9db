"""Faces in folders of classes: `train/happy/…`, `test/3/…`, as mirrors of FER2013 and Keras have them.

A folder's name says its class: a name of an emotion, or a number in FER2013's order (4 is sad). Tools
that number folders by the alphabet mean neutral by 4, and a number alone does not say whose it is; so
numbers are taken only where all seven are there or a `classes.json` names them.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.errors import DatasetError, ImageError, LabelError
from ferlib.common.labels import EIGHT, SEVEN, alphabetical, canonical, parse_classes
from ferlib.dataset.fer2013 import SIDE, USAGES
from ferlib.dataset.splits import Dataset

PARTS = {
    "Training": ("train", "training"),
    "PublicTest": ("val", "valid", "validation", "publictest"),
    "PrivateTest": ("test", "privatetest"),
}
"""Folder names of each usage, in small letters."""

COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)
"""FER2013's Training faces of each class in its own order."""

NEARLY = 10
"""Copies of FER2013 differ by some labels; the classes' numbers differ by hundreds."""


def read_folders(
    folder: str | os.PathLike, class_names: Sequence[str] | None = None, problems: list[str] | None = None
) -> Dataset:
    """The faces below `train/`, `val/`, `test/` (or FER2013's names of these), each 48×48 gray.

    With class folders right in `folder`, all faces are Training. A mirror that has only `train/` and
    `test/` has FER2013's PublicTest and PrivateTest together in `test/`; here all of it is PrivateTest.
    The rows are sorted by usage, class and file name, so they are not in FER2013's order: FER+'s votes
    do not go with them. `class_names`: what numbers as folder names stand for, from 0 (default:
    FER2013's seven). Any size of picture is taken, see `images.face_input`.

    Raises DatasetError where there are no class folders, for names that are no emotion, for numbers of
    unknown order, and for a picture that cannot be read; with a list given as `problems`, such a picture
    or a folder of an unknown name is left out and adds a line to it.
    """
    folder = Path(folder)
    found = [
        (usage, part)
        for usage, names in PARTS.items()
        for part in _folders(folder)
        if part.name.lower() in names
    ] or [(USAGES[0], folder)]
    wanted: list[tuple[str, str, Path]] = []
    for usage, part in found:
        for class_folder in _folders(part):
            files = sorted(p for p in class_folder.iterdir() if p.suffix.lower() in images.SUFFIXES)
            wanted += [(usage, class_folder.name, file) for file in files if not file.name.startswith(".")]
    if not wanted:
        raise DatasetError(
            f"{folder}: no pictures in class folders, such as train/happy/0.png; see the README"
        )
    names, label_of = _labels([(usage, name) for usage, name, _ in wanted], class_names, folder, problems)
    wanted = sorted(
        (row for row in wanted if row[1] in label_of),
        key=lambda row: (USAGES.index(row[0]), label_of[row[1]], row[2].name),
    )
    with ThreadPoolExecutor(2) as pool:  # Pillow decodes outside Python's lock
        faces = list(pool.map(lambda row: _face(row[2], folder), wanted))
    bad = [face for face in faces if isinstance(face, str)]
    if bad and problems is None:
        raise DatasetError(bad[0])
    if bad:
        problems += bad
    rows = [k for k, face in enumerate(faces) if not isinstance(face, str)]
    if not rows:
        raise DatasetError(f"{folder}: no picture in it can be read; the first: {(problems or bad)[0]}")
    pixels = np.array([faces[k] for k in rows], np.uint8).reshape(-1, SIDE, SIDE)
    labels = np.array([label_of[wanted[k][1]] for k in rows], np.int64)
    return Dataset(pixels, labels, np.array([wanted[k][0] for k in rows]), names)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; DatasetError where it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror or error})") from error


def _face(file: Path, folder: Path) -> np.ndarray | str:
    """A face, or what is wrong with its file."""
    try:
        return images.face_input(images.load_image(file))
    except ImageError as error:
        return str(error).replace(str(file), file.relative_to(folder).as_posix())


def _labels(
    rows: list[tuple[str, str]], class_names: Sequence[str] | None, folder: Path, problems: list[str] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The class set of a folder, and the label of each class folder's name."""
    names = sorted({name for _, name in rows})
    if not any(name.isdigit() for name in names):
        return _named(names, class_names, folder, problems)
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
    counts = np.bincount(
        [label_of[name] for usage, name in rows if usage == USAGES[0]], minlength=len(classes)
    )
    by_alphabet = [COUNTS[SEVEN.index(name)] for name in alphabetical(SEVEN)]
    if class_names is None and np.abs(counts - by_alphabet).max() <= NEARLY:
        raise DatasetError(
            f"{folder}: its numbers count FER2013's classes by the alphabet (4 is neutral), not in FER2013's own "
            "order (4 is sad); put a classes.json beside them: "
            '{"class_names": ["' + '", "'.join(alphabetical(SEVEN)) + '"]}'
        )
    return tuple(classes), label_of


def _named(
    names: list[str], class_names: Sequence[str] | None, folder: Path, problems: list[str] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """As `_labels`, for names: FER2013's order, with contempt the eight; or that of `class_names`."""
    known = {}
    for name in names:
        try:
            known[name] = name if name in (class_names or ()) else canonical(name)
        except LabelError as error:
            message = f"{folder.name}: class folder {name!r}: {error}; rename it, or take it out"
            if problems is None:
                raise DatasetError(message) from error
            problems.append(message)
    if not known:
        raise DatasetError(f"{folder}: no class folder has the name of an emotion: {', '.join(names[:9])}")
    classes = tuple(class_names) if class_names else EIGHT if "contempt" in known.values() else SEVEN
    beyond = [name for name, emotion in known.items() if emotion not in classes]
    if beyond:
        raise DatasetError(f"{folder}: class folders {', '.join(beyond)} are none of {', '.join(classes)}")
    return classes, {name: classes.index(emotion) for name, emotion in known.items()}
