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

_KDEF_PERSON = re.compile(r"[AB][FM]\d\d", re.IGNORECASE)
_RAF_NAME = re.compile(r"(train|test)_\d+(_aligned)?\.", re.IGNORECASE)
_RAF_LIST = ("list_patition_label.txt", "list_partition_label.txt")  # the first is how RAF-DB spells it
_MAX_LIST = 200_000_000  # bytes; AffectNet's training.csv has 150 MB


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


def is_raf_db(numbers: set[int], files: Sequence[Path]) -> bool:
    """Check whether folders named by numbers are RAF-DB's.

    Args:
        numbers: The numbers.
        files: The pictures in them.

    Returns:
        Whether they are 1 to 7, or some of these with RAF-DB's file names (`train_00001_aligned.jpg`).
    """
    return numbers == set(range(1, 8)) or (
        numbers <= set(range(1, 8)) and all(_RAF_NAME.match(file.name) for file in files)
    )


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
        if len(matched) < len(files):
            logger.warning(
                "%s: %d pictures left out, whose names are not %s's",
                folder.name,
                len(files) - len(matched),
                name,
            )
        return [Picture(USAGES[0], classes[match.group(1).upper()], file) for match, file in matched]
    return []


def _read_raf_list(path: Path, folder: Path) -> list[Picture]:
    places = [
        folder / sub
        for sub in ("aligned", "Image/aligned", "basic/Image/aligned", ".", "original", "Image/original")
    ]
    pictures, missing, bad = [], [], []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        name, _, code = line.strip().partition(" ")
        if not name:
            continue
        if not code.strip().isdigit() or not 1 <= int(code) <= len(RAF_DB) or "/" in name or "\\" in name:
            bad.append(number)
            continue
        stem, dot, suffix = name.rpartition(".")
        names = (f"{stem}_aligned{dot}{suffix}", name)
        found = next((place / each for place in places for each in names if _is_file(place / each)), None)
        if found is None:
            missing.append(name)
            continue
        usage = USAGES[2] if name.lower().startswith("test") else USAGES[0]
        pictures.append(Picture(usage, RAF_DB[int(code) - 1], found))
    if bad:
        logger.warning(
            "%s: %d lines are not a name and a label 1 to 7, the first line %d", path.name, len(bad), bad[0]
        )
    _report(path, pictures, missing)
    logger.warning("%s: read as RAF-DB's list (1 surprise to 7 neutral)", path.name)
    return pictures


def _read_affectnet(path: Path, folder: Path) -> list[Picture]:
    with path.open("rb") as raw:
        if b"subDirectory_filePath" not in raw.readline(10_000):
            return []
    usage = USAGES[1] if path.name.lower().startswith("valid") else USAGES[0]
    places = (folder, folder / "Manually_Annotated_Images", folder / "Manually_Annotated", folder / "images")
    pictures, missing, others = [], [], 0
    try:
        for row in csv.DictReader(_read_text(path).splitlines()):
            name, code = (
                (row.get("subDirectory_filePath") or "").strip(),
                (row.get("expression") or "").strip(),
            )
            if not code.isdigit() or int(code) >= len(AFFECTNET):
                others += 1
                continue
            found = next((place / name for place in places if _inside(name) and _is_file(place / name)), None)
            if found is None:
                missing.append(name)
            else:
                pictures.append(Picture(usage, AFFECTNET[int(code)], found, _box(row)))
    except csv.Error as error:
        raise DatasetError(f"{path.name}: cannot be read as AffectNet's list ({error})") from error
    if others:
        logger.warning(
            "%s: %d rows without an expression 0 to 7 (8 none, 9 uncertain, 10 no face)", path.name, others
        )
    _report(path, pictures, missing)
    logger.warning("%s: read as AffectNet's list (0 neutral to 7 contempt), all %s", path.name, usage)
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


def _report(path: Path, pictures: list[Picture], missing: list[str]) -> None:
    if missing:
        logger.warning(
            "%s: %d pictures are not there, the first %s", path.name, len(missing), missing[0][:80]
        )
    if not pictures:
        kinds = ", ".join(SUFFIXES[:3])
        raise DatasetError(
            f"{path.name}: no picture of this list is there ({kinds} …); unpack them beside it"
        )


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_LIST:
            raise DatasetError(f"{path.name}: more than {_MAX_LIST:,} bytes; this is not a list of pictures")
        return path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
