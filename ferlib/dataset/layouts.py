"""The layouts of published data sets of faces: their label numbers, lists and file names.

| set | layout |
|---|---|
| RAF-DB basic | folders 1 to 7, or `list_patition_label.txt` with the pictures in `aligned/` or `original/` |
| AffectNet | folders 0 to 7, or a CSV with `subDirectory_filePath` and `expression` |
| JAFFE | `KA.AN1.39.tiff`: person, expression and number, number of the picture |
| KDEF | `AF01ANS.JPG`: session, sex, person, expression, angle |

CK+48 and the mirrors of FER2013 have folders named after their classes, which need no table.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ferlib.common.boxes import Box
from ferlib.common.errors import DatasetError, logger
from ferlib.common.images import SUFFIXES
from ferlib.dataset.splits import USAGES

RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
"""RAF-DB's classes; its numbers count from 1 (Li, Deng and Du 2017)."""

AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
"""AffectNet's classes, from 0; 8 to 10 are none, uncertain and no face (Mollahosseini et al. 2017)."""

_NAMED = {
    "JAFFE": (
        re.compile(r"[A-Z]{2}\.(AN|DI|FE|HA|NE|SA|SU)\d?\.\d+\.", re.IGNORECASE),
        {
            "AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy",
            "NE": "neutral", "SA": "sad", "SU": "surprise",
        },
    ),
    "KDEF": (
        re.compile(r"[AB][FM]\d\d(AF|AN|DI|HA|NE|SA|SU)(?:FL|HL|S|HR|FR)\.", re.IGNORECASE),
        {
            "AF": "fear", "AN": "angry", "DI": "disgust", "HA": "happy",
            "NE": "neutral", "SA": "sad", "SU": "surprise",
        },
    ),
}  # fmt: skip
"""Name of the set: the pattern of its file names, and the class of each code in them."""

NUMBERS = {"RAF-DB": dict(enumerate(RAF_DB, 1)), "AffectNet": dict(enumerate(AFFECTNET))}
"""Name of the set: the class of each of its numbers."""

_KDEF_PERSON = re.compile(r"[AB][FM]\d\d", re.IGNORECASE)
_RAF_NAME = re.compile(r"(train|test)_\d+(_aligned)?\.", re.IGNORECASE)
_RAF_LIST = ("list_patition_label.txt", "list_partition_label.txt")  # the first is how RAF-DB spells it
_MAX_LIST = 200_000_000  # bytes; AffectNet's training.csv has 150 MB
_UNLABELLED = {
    "RAF-DB": "%s: %d lines are not a name and a label 1 to 7, the first line %d",
    "AffectNet": "%s: %d rows without an expression 0 to 7 (8 none, 9 uncertain, 10 no face), the first in line %d",
}
_RAF_PLACES = ("aligned", "Image/aligned", "basic/Image/aligned", ".", "original", "Image/original")
_AFFECTNET_PLACES = (".", "Manually_Annotated_Images", "Manually_Annotated", "images")


@dataclass(frozen=True)
class Picture:
    """A picture of a data set.

    Attributes:
        usage: A name of USAGES.
        class_text: Its class, as the data set names it.
        file: Its file.
        box: The face in it, (x, y, width, height) in pixels, where the data set says it.
    """

    usage: str
    class_text: str
    file: Path
    box: Box | None = None


class _Row(NamedTuple):
    """A row of a list: its line, the names that its picture may have, the number of its class, usage and box."""

    line: int
    names: tuple[str, ...]
    code: str
    usage: str
    box: Box | None = None


def published_numbers(numbers: set[int], files: Sequence[Path]) -> str | None:
    """Find the data set whose numbers name some folders.

    Args:
        numbers: The numbers.
        files: The pictures in the folders.

    Returns:
        A key of NUMBERS: RAF-DB for 1 to 7, or some of these with its file names (`train_00001_aligned.jpg`);
        AffectNet for 0 to 7, also with 8 to 10. None for others.
    """
    if numbers <= set(range(1, 8)) and (
        len(numbers) == 7 or all(_RAF_NAME.match(file.name) for file in files)
    ):
        return "RAF-DB"
    return "AffectNet" if set(range(8)) <= numbers <= set(range(11)) else None


def read_listed(folder: Path) -> list[Picture]:
    """Read the list of RAF-DB or AffectNet in a folder.

    Args:
        folder: The folder.

    Returns:
        Its pictures; empty where it has no such list.

    Raises:
        DatasetError: The list cannot be read, or none of its pictures is there.
    """
    for place in (folder, folder / "EmoLabel", folder / "basic" / "EmoLabel"):
        for name in _RAF_LIST:
            if (place / name).is_file():
                return _read_raf_list(place / name, folder)
    pictures: list[Picture] = []
    for table in sorted(folder.glob("*.csv")):
        pictures += _read_affectnet(table, folder)
    return pictures


def by_file_name(files: Sequence[Path], folder: Path) -> list[Picture]:
    """Read the classes out of file names, as JAFFE and KDEF have them.

    Args:
        files: The pictures below the folder.
        folder: The folder.

    Returns:
        The pictures with such names, all Training; empty where the names are of another kind. What has another
        name is logged with its count.
    """
    flat = [file for file in files if file.parent == folder or _KDEF_PERSON.fullmatch(file.parent.name)]
    for name, (pattern, classes) in _NAMED.items():
        matched = [(match, file) for file in flat if (match := pattern.match(file.name))]
        if not matched or len(matched) < len(files) / 2:
            continue
        logger.warning("%s: file names are read as %s's (%s)", folder.name, name, matched[0][1].name)
        others = len(files) - len(matched)
        if others:
            logger.warning("%s: %d pictures left out, whose names are not %s's", folder.name, others, name)
        return [Picture(USAGES[0], classes[match.group(1).upper()], file) for match, file in matched]
    return []


def _read_raf_list(path: Path, folder: Path) -> list[Picture]:
    rows = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        name, _, code = line.strip().partition(" ")
        stem, dot, suffix = name.rpartition(".")
        usage = USAGES[2] if name.lower().startswith("test") else USAGES[0]
        code = "" if re.search(r"[/\\]", name) else code.strip()
        if name:
            rows.append(_Row(number, (f"{stem}_aligned{dot}{suffix}", name), code, usage))
    pictures = _find(path, rows, "RAF-DB", [folder / place for place in _RAF_PLACES])
    logger.warning("%s: read as RAF-DB's list (1 surprise to 7 neutral)", path.name)
    return pictures


def _read_affectnet(path: Path, folder: Path) -> list[Picture]:
    with path.open("rb") as raw:
        if b"subDirectory_filePath" not in raw.readline(10_000):
            return []
    usage = USAGES[1] if path.name.lower().startswith("valid") else USAGES[0]
    rows = []
    try:
        for number, row in enumerate(csv.DictReader(_read_text(path).splitlines()), start=2):
            name, code = ((row.get(key) or "").strip() for key in ("subDirectory_filePath", "expression"))
            rows.append(_Row(number, (name,), code, usage, _box(row)))
    except csv.Error as error:
        raise DatasetError(f"{path.name}: cannot be read as AffectNet's list ({error})") from error
    pictures = _find(path, rows, "AffectNet", [folder / place for place in _AFFECTNET_PLACES])
    logger.warning("%s: read as AffectNet's list (0 neutral to 7 contempt), all %s", path.name, usage)
    return pictures


def _find(path: Path, rows: list[_Row], layout: str, places: list[Path]) -> list[Picture]:
    """The pictures of a list; rows without a class and pictures that are not there are counted in a line."""
    classes = {str(number): name for number, name in NUMBERS[layout].items()}
    good = [row for row in rows if row.code in classes]
    pictures, missing = [], []
    for row in good:
        files = (place / name for place in places for name in row.names if _inside(name))
        found = next(filter(_is_file, files), None)
        if found is None:
            missing.append(row.names[-1])
        else:
            pictures.append(Picture(row.usage, classes[row.code], found, row.box))
    if len(good) < len(rows):
        first = next(row.line for row in rows if row.code not in classes)
        logger.warning(_UNLABELLED[layout], path.name, len(rows) - len(good), first)
    if missing:
        logger.warning(
            "%s: %d pictures are not there, the first %s", path.name, len(missing), missing[0][:80]
        )
    if not pictures:
        kinds = ", ".join(SUFFIXES[:3])
        raise DatasetError(
            f"{path.name}: no picture of this list is there ({kinds} …); unpack them beside it"
        )
    return pictures


def _inside(name: str) -> bool:
    """Whether a name of a list stays inside the folder."""
    return bool(name) and "\0" not in name and not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _box(row: dict) -> Box | None:
    values = [row.get(f"face_{name}") or "" for name in ("x", "y", "width", "height")]
    if not all(re.fullmatch(r"-?[0-9]{1,6}(\.[0-9]*)?", value) for value in values):
        return None
    x, y, width, height = (round(float(value)) for value in values)
    return (x, y, width, height) if width > 0 and height > 0 else None


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_LIST:
            raise DatasetError(f"{path.name}: more than {_MAX_LIST:,} bytes; this is not a list of pictures")
        return path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
