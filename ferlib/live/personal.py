"""Faces that somebody saved of themselves, by consent: one folder a class, counted, read, deleted."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferlib.common import images, paths
from ferlib.common.errors import BadInputError, ImageError

_NAME = re.compile(r"\d{5}\.png")


def folder() -> Path:
    """Where the camera cell saves faces: `my_faces` of the work folder."""
    return paths.data_work() / "my_faces"


def model_folder() -> Path:
    """Where the bundle that was taught on these faces lies."""
    return paths.models_work() / "my_face"


def save_face(
    face: np.ndarray, emotion: str, class_names: Sequence[str], place: str | os.PathLike | None = None
) -> Path:
    """Save a cropped face, RGB uint8 (h, w, 3), as `<place>/<emotion>/00000.png` …; returns the file.

    Raises BadInputError for an emotion that is not in `class_names`.
    """
    if emotion not in class_names:  # a name that comes from a page must not become a path of its own
        raise BadInputError(f"expression {emotion!r}: known are {', '.join(class_names)}")
    target = (folder() if place is None else Path(place)) / emotion
    target.mkdir(parents=True, exist_ok=True)
    number = max((int(file.stem) for file in _files(target)), default=-1) + 1
    file = target / f"{number:05d}.png"
    images.write_image(file, face)
    return file


def count_faces(place: str | os.PathLike, class_names: Sequence[str]) -> dict[str, int]:
    """How many faces are saved of each class."""
    return {name: len(_files(Path(place) / name)) for name in class_names}


def load_faces(
    place: str | os.PathLike, class_names: Sequence[str], problems: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Saved faces as a network takes them: (uint8 (n, 48, 48) gray, labels int64 (n,)), oldest first.

    A file that is no picture raises ImageError or, with a list given as `problems`, adds a line to it.
    """
    faces, labels = [], []
    for label, name in enumerate(class_names):
        for file in _files(Path(place) / name):
            try:
                faces.append(images.face_input(images.load_image(file)))
                labels.append(label)
            except ImageError as error:
                if problems is None:
                    raise
                problems.append(str(error))
    return np.array(faces, np.uint8).reshape(-1, 48, 48), np.array(labels, np.int64)


def delete_faces(place: str | os.PathLike) -> int:
    """Delete every saved face of a folder and the class folders that are empty then; returns their number."""
    files = [file for inside in Path(place).glob("*") for file in _files(inside)]
    for file in files:
        file.unlink(missing_ok=True)
    for empty in [*Path(place).glob("*"), Path(place)]:
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()
    return len(files)


def delete_model() -> bool:
    """Delete the bundle that was taught on saved faces; whether there was one."""
    there = model_folder().is_dir()
    shutil.rmtree(model_folder(), ignore_errors=True)
    return there


def _files(place: Path) -> list[Path]:
    """The faces that we saved in a class folder, oldest first; other files are not ours."""
    if not place.is_dir():
        return []
    return sorted(file for file in place.iterdir() if _NAME.fullmatch(file.name) and file.is_file())
