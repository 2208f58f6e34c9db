"""Faces in folders of classes: `train/happy/…`, `test/3/…`, `Freude/…`, as mirrors of FER2013 and Keras have them.

A folder's name gives its class: any name, or a number in FER2013's order (4 is sad). Tools
that number folders alphabetically mean neutral by 4, and a number alone does not say which order it has.
So numbers are accepted only where all seven are there, where they are those of a published data set, or
where a `classes.json` names them.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.errors import DatasetError, ImageError, logger
from ferlib.common.labels import SEVEN, alphabetical, parse_classes
from ferlib.dataset.classes import check_spelling, own_classes
from ferlib.dataset.layouts import NUMBERS, Picture, by_file_name, published_numbers, read_listed
from ferlib.dataset.photographs import FaceReader
from ferlib.dataset.splits import SPELLINGS, USAGES, Dataset, leave_out

COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)
"""FER2013's Training faces per class, in its own order."""

_SYSTEM = ("__MACOSX", "Thumbs.db", "desktop.ini")

COUNT_TOLERANCE = 10
"""Copies of FER2013 differ by a few labels; the counts of two classes differ by hundreds."""


def read_folders(
    folder: str | os.PathLike,
    class_names: Sequence[str] | None = None,
    skip_bad: bool = False,
    as_is: bool = False,
) -> Dataset:
    """Read the faces in the class folders of `train/`, `val/`, `test/` (or FER2013's names of these).

    Any names are classes. Also read are the layouts of `ferlib.dataset.layouts` (RAF-DB, AffectNet, JAFFE, KDEF). Out
    of pictures of over 128 pixels the largest face is cut (`ferlib.dataset.photographs`). Logged lines say how the
    folder was understood and count what was left out.

    A mirror that has only `train/` and `test/` has FER2013's PublicTest and PrivateTest together in
    `test/`; here all of it is PrivateTest.

    Args:
        folder: The folder. With class folders directly in it, all faces are Training.
        class_names: The classes of folders named by numbers, from 0; or the order of the folders' names. Default: the
            names themselves; for numbers FER2013's seven.
        skip_bad: Leave out unreadable pictures and log them.
        as_is: Take every picture as a face, whatever its size.

    Returns:
        The faces as 48×48 gray (`images.face_input`), sorted by usage, class and file name. This is not
        FER2013's order, so FER+'s votes do not go with them.

    Raises:
        DatasetError: There are no class folders or no readable picture; names differ only by case or blanks, or
            numbers are in an unknown order; or a picture is bad and `skip_bad` is false.
    """
    folder = _root(Path(folder))
    pictures = _find_pictures(folder)
    if not pictures:
        raise DatasetError(
            f"{folder}: no pictures in class folders, such as train/happy/0.png; see the README"
        )
    names = sorted({picture.class_text for picture in pictures})
    if any(name.isdecimal() for name in names):
        classes, label_of = _numbered(pictures, class_names, folder)
    else:
        classes, label_of = _named(names, class_names, folder)
        _check_parts(pictures, classes, label_of, folder)
    rows = sorted(
        (
            (USAGES.index(picture.usage), label_of[picture.class_text], picture.file.name, picture)
            for picture in pictures
            if picture.class_text in label_of
        ),
        key=lambda row: (*row[:3], row[3].file),
    )
    reader = FaceReader(as_is)
    with ThreadPoolExecutor(2) as pool:  # Pillow decodes outside Python's lock
        faces = list(pool.map(lambda row: _read_face(reader, row[3], folder), rows))
    reader.log(folder.name)
    problems = _one_line_for_heic([face for face in faces if isinstance(face, str)])
    leave_out(problems, skip_bad)
    good = [index for index, face in enumerate(faces) if isinstance(face, np.ndarray)]
    if not good and problems:
        raise DatasetError(f"{folder}: no picture in it can be read; the first: {problems[0]}")
    if not good:
        raise DatasetError(
            f"{folder}: no face was found in any of {len(rows)} pictures; --as-is takes pictures as they are"
        )
    usage, labels = np.array([rows[index][:2] for index in good], np.int64).T
    pixels = np.array([faces[index] for index in good])
    return Dataset(pixels, labels, np.array(USAGES)[usage], classes)


def _root(folder: Path) -> Path:
    """The folder of the parts: an unpacked archive often has folders around them."""
    inner = folder
    for _ in range(3):
        inside = _subfolders(inner)
        if any(map(_usage_of, inside)):
            return inner
        if len(inside) != 1:
            return folder
        inner = inside[0]
    return folder


def _usage_of(part: Path) -> str | None:
    return SPELLINGS.get(part.name.lower())


def _find_pictures(folder: Path) -> list[Picture]:
    """The pictures with their classes; what is no picture, or in no class folder, is counted in a line."""
    listed = read_listed(folder)
    if listed:
        return listed
    parts = [(usage, part) for part in _subfolders(folder) if (usage := _usage_of(part))]
    others: Counter[str] = Counter()
    by_name = [] if parts else by_file_name(_files(folder, others), folder)
    if by_name:
        _log_others(folder, others)
        return by_name
    others.clear()
    pictures, empty, outside = [], [], 0
    for usage, part in parts or [(USAGES[0], folder)]:
        class_folders = _subfolders(part)
        check_spelling([path.name for path in class_folders], part.name)
        outside += sum(file.suffix.lower() in images.SUFFIXES for file in part.iterdir() if file.is_file())
        for class_folder in class_folders:
            files = _files(class_folder, others)
            pictures += [Picture(usage, class_folder.name, file) for file in files]
            empty += [class_folder.relative_to(folder).as_posix()] * (not files)
    if parts:
        beside = [path.name for path in _subfolders(folder) if not _usage_of(path)]
        _warn(folder, "folders beside the parts are not read", beside)
    if outside:
        logger.warning("%s: %d pictures in no class folder are left out", folder.name, outside)
    _warn(folder, "folders without a picture (count 0)", empty)
    _log_others(folder, others)
    return _without_numbers(pictures, folder)


def _files(folder: Path, others: Counter[str]) -> list[Path]:
    """The pictures in a folder and one level deeper; all other files are counted by suffix."""
    found = []
    for place in (folder, *_subfolders(folder)):
        for path in sorted(place.iterdir()):
            if path.name.startswith(".") or path.name in _SYSTEM:
                continue
            if path.is_dir():
                others["pictures in deeper folders"] += 0 if place == folder else _count_below(path)
            elif path.suffix.lower() in images.SUFFIXES:
                found.append(path)
            else:
                others[path.suffix.lower() or "without a suffix"] += 1
    return found


def _count_below(folder: Path) -> int:
    """How many pictures are below a folder."""
    return sum(
        Path(name).suffix.lower() in images.SUFFIXES for _, _, names in os.walk(folder) for name in names
    )


def _log_others(folder: Path, others: Counter[str]) -> None:
    _warn(folder, "files left out", [f"{count} {what}" for what, count in others.most_common() if count])


def _warn(folder: Path, what: str, names: Sequence[str]) -> None:
    if names:
        logger.warning("%s: %s: %s", folder.name, what, _some(names))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:9]) + (f" and {len(names) - 9} more" if len(names) > 9 else "")


def _without_numbers(pictures: list[Picture], folder: Path) -> list[Picture]:
    """Folder names such as `1 surprise` without the number, where all have one."""
    names = {picture.class_text for picture in pictures}
    plain = {name: match.group(1) for name in names if (match := re.fullmatch(r"\d+[\s_.-]+(\D.*)", name))}
    if not names or len(plain) < len(names):
        return pictures
    read = [f"{name!r} is {plain[name]}" for name in sorted(names)]
    _warn(folder, "class folders are read without their numbers", read)
    return [replace(picture, class_text=plain[picture.class_text]) for picture in pictures]


def _check_parts(
    pictures: list[Picture], classes: Sequence[str], label_of: Mapping[str, int], folder: Path
) -> None:
    """Name the classes that a part lacks: often a misspelled folder."""
    usages = [usage for usage in USAGES if any(picture.usage == usage for picture in pictures)]
    for usage in usages if len(usages) > 1 else []:
        there = {label_of.get(picture.class_text) for picture in pictures if picture.usage == usage}
        lacking = [name for label, name in enumerate(classes) if label not in there]
        if lacking:
            logger.warning("%s: %s has no picture of %s", folder.name, usage, ", ".join(lacking))


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; DatasetError where it cannot be listed."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.name not in _SYSTEM
        )
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror or error})") from error


def _read_face(reader: FaceReader, picture: Picture, folder: Path) -> np.ndarray | str | None:
    """A face, None where there is none, or what is wrong with its file."""
    file = picture.file
    try:
        return reader.read(file, picture.box)
    except ImageError as error:
        name = file.relative_to(folder).as_posix()
        text = str(error).replace(str(file), name)
        return text if text.startswith(name) else f"{name}: {text}"


def _one_line_for_heic(problems: list[str]) -> list[str]:
    """What is wrong, with one line for all pictures that need the same package."""
    first, *more = [line for line in problems if "pillow-heif" in line] or [""]
    if not more:
        return problems
    name = first.split(":")[0]
    line = f"{name} and {len(more)} more pictures are HEIC: pip install 'ferlib[heic]', or save them as JPEG"
    return [line, *(each for each in problems if "pillow-heif" not in each)]


def _numbered(
    pictures: list[Picture], class_names: Sequence[str] | None, folder: Path
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The class set, and the label of each class folder's name."""
    names = sorted({picture.class_text for picture in pictures})
    if not all(name.isdecimal() and len(name) < 6 for name in names):
        raise DatasetError(
            f"{folder}: class folders of names and of numbers ({', '.join(names[:9])}); use one kind"
        )
    label_of = {name: int(name) for name in names}
    numbers = set(label_of.values())
    if class_names is not None:
        return _numbered_by(parse_classes(class_names), label_of, folder)
    if numbers == set(range(len(SEVEN))):
        _refuse_alphabet([label_of[p.class_text] for p in pictures if p.usage == USAGES[0]], folder)
        return SEVEN, label_of
    published = published_numbers(numbers, [picture.file for picture in pictures])
    if published is None:
        raise DatasetError(
            f"{folder}: class folders {', '.join(names)} do not say which classes these are; name them, or "
            'put a classes.json beside them: {"class_names": ["happy", …]}, from number 0'
        )
    class_of = NUMBERS[published]
    first, last = min(class_of), max(class_of)
    logger.warning(
        "%s: class folders are read as %s's numbers (%d %s to %d %s); for another order put a classes.json beside them",
        *(folder.name, published, first, class_of[first], last, class_of[last]),
    )
    beyond = [name for name in names if label_of[name] not in class_of]
    if beyond:
        count = sum(picture.class_text in beyond for picture in pictures)
        logger.warning(
            "%s: %d pictures in %s have no expression; left out", folder.name, count, _some(beyond)
        )
    wanted = {name: class_of[number] for name, number in label_of.items() if number in class_of}
    own, place = own_classes(wanted.values(), folder.name)
    return own, {name: place[emotion] for name, emotion in wanted.items()}


def _numbered_by(
    classes: tuple[str, ...], label_of: dict[str, int], folder: Path
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Numbers whose classes are given: from 0, or from 1 where the last number shows it."""
    last = max(label_of.values())
    first = int(0 not in label_of.values() and last == len(classes))
    if first:
        logger.warning(
            "%s: no class folder is 0: they are read as counted from 1, 1 %s to %d %s",
            *(folder.name, classes[0], last, classes[-1]),
        )
    if last - first >= len(classes):
        raise DatasetError(f"{folder}: class folder {last}, but there are {len(classes)} classes")
    return classes, {name: number - first for name, number in label_of.items()}


def _refuse_alphabet(labels: list[int], folder: Path) -> None:
    """DatasetError where the counts show that the folders are numbered by the alphabet."""
    by_alphabet = [COUNTS[SEVEN.index(name)] for name in alphabetical(SEVEN)]
    content = json.dumps({"class_names": alphabetical(SEVEN)})
    if np.abs(np.bincount(labels, minlength=len(SEVEN)) - by_alphabet).max() <= COUNT_TOLERANCE:
        raise DatasetError(
            f"{folder}: its numbers count FER2013's classes by the alphabet (4 is neutral), not in FER2013's "
            f"own order (4 is sad); put a classes.json beside them: {content}"
        )


def _named(
    names: list[str], class_names: Sequence[str] | None, folder: Path
) -> tuple[tuple[str, ...], dict[str, int]]:
    """As `_numbered`, for names: their own class set, or `class_names` where it has all of them."""
    own, place = own_classes(names, folder.name)
    if class_names is None:
        return own, place
    given = parse_classes(class_names)
    label_of = {name.casefold(): label for label, name in enumerate(given)}
    if all(name.casefold() in label_of for name in own):
        return given, {text: label_of[own[label].casefold()] for text, label in place.items()}
    logger.warning(
        "%s: classes.json names %s, but the class folders are %s; it is not used (--names gives classes other names)",
        *(folder.name, ", ".join(given), ", ".join(own)),
    )
    return own, place
