"""Faces that somebody has saved of themselves, by consent: saved in one folder per class, counted, read, deleted."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ferlib import synth
from ferlib.common import images, paths
from ferlib.common.errors import ImageError, check_choice, warn_each
from ferlib.common.labels import SEVEN, label_of

_NAME = re.compile(r"\d{5}\.png")


def faces_folder() -> Path:
    """Locate the folder where the camera cell saves faces.

    Returns:
        `my_faces` of the work folder.
    """
    return paths.data_work() / "my_faces"


def model_folder() -> Path:
    """Locate the folder of the bundle that was taught on these faces.

    Returns:
        `my_face` of the models' work folder.
    """
    return paths.models_work() / "my_face"


def save_face(
    face: np.ndarray, emotion: str, class_names: Sequence[str], folder: str | os.PathLike | None = None
) -> Path:
    """Save a cropped face as `<folder>/<emotion>/00000.png`, `00001.png` and so on.

    Args:
        face: RGB, uint8 (h, w, 3).
        emotion: The expression it shows, one of `class_names`.
        class_names: The classes of the model.
        folder: Where to save it; without one `faces_folder()`.

    Returns:
        The file.

    Raises:
        BadInputError: The emotion is not in `class_names`.
    """
    check_choice("expression", emotion, class_names)  # a name from a page must not become a path of its own
    target = (faces_folder() if folder is None else Path(folder)) / emotion
    target.mkdir(parents=True, exist_ok=True)
    number = max((int(file.stem) for file in _files(target)), default=-1) + 1
    file = target / f"{number:05d}.png"
    images.write_image(file, face)
    return file


def count_faces(folder: str | os.PathLike, class_names: Sequence[str]) -> dict[str, int]:
    """Count the saved faces.

    Args:
        folder: Where they are saved.
        class_names: The classes to count.

    Returns:
        Class name to number of faces.
    """
    return {name: len(_files(Path(folder) / name)) for name in class_names}


def load_faces(folder: str | os.PathLike, class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Load the saved faces as a network takes them. A file that is not a usable picture is logged.

    Args:
        folder: Where they are saved.
        class_names: The classes, in the order of the labels.

    Returns:
        Faces, uint8 (n, 48, 48) gray, and labels, int64 (n,), oldest first per class.
    """
    faces, labels, unreadable = [], [], []
    for label, name in enumerate(class_names):
        for file in _files(Path(folder) / name):
            try:
                faces.append(images.face_input(images.load_image(file)))
                labels.append(label)
            except ImageError as error:
                unreadable.append(str(error))
    warn_each(unreadable)
    return np.array(faces, np.uint8).reshape(-1, 48, 48), np.array(labels, np.int64)


def delete_faces(folder: str | os.PathLike) -> int:
    """Delete all saved faces of a folder, and the class folders that are empty then.

    Args:
        folder: Where they are saved.

    Returns:
        The number of deleted faces.
    """
    files = [file for inside in Path(folder).glob("*") for file in _files(inside)]
    for file in files:
        file.unlink(missing_ok=True)
    for empty in [*Path(folder).glob("*"), Path(folder)]:
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()
    return len(files)


def delete_model() -> bool:
    """Delete the bundle that was taught on saved faces.

    Returns:
        Whether there was one.
    """
    existed = model_folder().is_dir()
    shutil.rmtree(model_folder(), ignore_errors=True)
    return existed


def draw_person(count: int, class_names: Sequence[str], seed: int = 7) -> tuple[list[np.ndarray], list[str]]:
    """Draw faces of one person, as a stand-in for the learner's own.

    Args:
        count: How many; the expressions of the class set take turns, and the head turns and tilts a little.
        class_names: A class set.
        seed: The same seed draws the same faces.

    Returns:
        The faces, uint8 (height, width, 3) in RGB, and the name of the class of each.
    """
    rng = np.random.default_rng([seed, 11])
    person = synth.sample_face(rng, "neutral")
    known = [(e, class_names[k]) for e in SEVEN if (k := label_of(e, class_names)) is not None]
    faces, names = [], []
    for k in range(count):
        emotion, name = known[k % len(known)]
        pose = dict(zip(("yaw", "pitch", "roll"), rng.uniform(-5, 5, 3), strict=True))
        face = replace(person, emotion=emotion, aus=synth.sample_units(rng, emotion), **pose)
        faces.append(images.crop_face(synth.draw_face(face, 96, rng), synth.face_box(face, 96)))
        names.append(name)
    return faces, names


def _files(folder: Path) -> list[Path]:
    """The faces that were saved in a class folder, oldest first; other files are left alone."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name) and file.is_file())
