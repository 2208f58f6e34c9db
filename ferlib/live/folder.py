"""The faces in files and folders: a table, annotated copies, a chart of what was found."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from ferlib.common import images
from ferlib.common.errors import BadInputError, ImageError
from ferlib.detect.detector import Detector, default_detector
from ferlib.live.tables import columns_of, readings_rows
from ferlib.model.predictor import Predictor
from ferlib.model.recognise import FaceReading, read_faces

_NAMED = 10  # problems named in one message


def picture_files(
    paths: Iterable[str | os.PathLike], recursive: bool = True, leave: str | os.PathLike | None = None
) -> tuple[list[Path], list[str]]:
    """The pictures that paths stand for, and one line for each path that stands for none.

    A file counts whatever its name; a folder is read, with the folders in it where `recursive`, for names
    ending in .jpg, .jpeg, .png, .bmp or .webp in any case, sorted. Hidden files are left out, and the folder
    `leave`; no file comes twice.
    """
    roots, problems = _roots(paths, recursive, leave)
    return list(roots), problems


def _roots(paths: Iterable, recursive: bool, leave: str | os.PathLike | None) -> tuple[dict, list[str]]:
    """{file: the folder that it was found through}, problems."""
    found: dict[Path, tuple[Path, Path]] = {}
    problems = []
    leave = None if leave is None else Path(leave).resolve()
    for path in map(Path, paths):
        root = path if path.is_dir() else path.parent
        if path.is_dir():
            walk = path.rglob("*") if recursive else path.iterdir()
            inside = sorted(p for p in walk if _is_picture(p.relative_to(path)) and p.is_file())
            inside = [p for p in inside if leave is None or leave not in p.resolve().parents]
            if not inside:
                problems.append(f"{path}: no pictures in this folder ({', '.join(images.SUFFIXES)})")
        else:
            inside = [path]  # one that is not there is named when it is opened
        for file in inside:
            found.setdefault(file.resolve(), (file, root))
    return dict(found.values()), problems


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES and not any(part.startswith(".") for part in path.parts)


def predict_paths(
    paths: Iterable[str | os.PathLike],
    bundle: Predictor,
    detector: Detector | None = None,
    views: str = "one",
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
    recursive: bool = True,
    annotated: str | os.PathLike | None = None,
    emoji: bool = False,
    rules: str = "ours",
) -> tuple[pd.DataFrame, list[str]]:
    """Read the faces in files and folders: (table, problems).

    The table has a row a face: `file` (as given, or folder/name), `face` (0 is the largest of its
    picture), `x, y, width, height` (pixels of the picture turned as its EXIF says), `emotion`,
    `probability`, a column a class, and `score` (the detector's, empty for Haar). `problems`: one line for each
    file that gave no row, because it cannot be read or because no face was found. `progress` wraps the list of
    files (tqdm, for one). `annotated`: a folder for a copy of each readable picture with its readings drawn
    in (`emoji` over the faces), in subfolders as they were; its pictures are not read. `views`, `rules`: see
    `picture.read_faces`. Raises BadInputError if no file could be read at all, and for an `annotated` that
    would write over the pictures or cannot be written.
    """
    roots, problems = _roots(paths, recursive, annotated)
    targets = {} if annotated is None else _targets(roots, Path(annotated))
    detector = default_detector() if detector is None else detector
    rows, read = [], 0
    for file in progress(list(roots)):
        try:
            image = images.load_image(file)
        except ImageError as error:
            problems.append(str(error))
            continue
        read += 1
        readings = read_faces(image, bundle, detector, views, rules=rules)
        rows += [
            {**row, "score": reading.score}
            for row, reading in zip(readings_rows(readings, file=file.as_posix()), readings, strict=True)
        ]
        if file in targets:
            _write_copy(targets[file], image, readings, emoji)
        if not readings:
            problems.append(f"{file}: no face found")
    if not read:
        raise BadInputError(f"nothing could be read: {_shortened(problems) or 'no paths were given'}")
    return pd.DataFrame(rows, columns=[*columns_of(("file",), bundle.class_names), "score"]), problems


def _shortened(problems: list[str]) -> str:
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return "; ".join(problems[:_NAMED]) + more


def _targets(roots: dict[Path, Path], folder: Path) -> dict[Path, Path]:
    """Where the annotated copy of each file goes: its place below its root, no name twice."""
    targets, taken = {}, set()
    for file, root in roots.items():
        place = folder / file.relative_to(root)
        if place.suffix.lower() not in images.SUFFIXES:
            place = place.with_name(place.name + ".png")
        first, number = place, 1
        while str(place).lower() in taken:  # some file systems do not tell A.png from a.png
            number += 1
            place = first.with_name(f"{first.stem}-{number}{first.suffix}")
        taken.add(str(place).lower())
        targets[file] = place
    originals = {file.resolve() for file in roots}
    for place in targets.values():
        if place.resolve() in originals:
            raise BadInputError(f"{folder}: the copies would be written over {place}; name another folder")
    return targets


def _write_copy(path: Path, image, readings: Sequence[FaceReading], emoji: bool) -> None:
    from ferlib.live.overlay import draw_readings

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write_image(path, draw_readings(image, readings, emoji=emoji))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name another folder") from error
