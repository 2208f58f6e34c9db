"""A trained network in use: what it is asked, and test-time augmentation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ferlib.common import images
from ferlib.common.errors import ImageError, check_choice
from ferlib.common.labels import pick_probabilities

TTA = ("none", "flip", "three", "ten")
"""Test-time augmentation by name: which versions of a face a network is shown; their answers are averaged.

`"none"`: the face as it is. `"flip"`: also mirrored. `"three"`: system A's three views, see `face_views`.
`"ten"`: five shifts of two pixels (none, left, right, up, down), each also mirrored.
"""


class Predictor(Protocol):
    """What is needed of a model: a `Bundle`, or anything with these three."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the columns of `predict`."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, 1) of a face."""

    def predict(self, faces: np.ndarray, tta: str = "none") -> np.ndarray:
        """Predict the expressions of cropped faces.

        Args:
            faces: uint8 (n, height, width) gray, 0 to 255.
            tta: Test-time augmentation, a name of `TTA`.

        Returns:
            Probabilities, float (n, classes), each row summing to one.
        """


def fit_input(faces: np.ndarray, input_shape: Sequence[int]) -> np.ndarray:
    """Resize faces to what a model takes.

    Args:
        faces: uint8 (n, h, w), at least one.
        input_shape: (height, width, 1) of the model's faces.

    Returns:
        uint8 (n, height, width); the faces themselves where they have this size.
    """
    height, width = input_shape[:2]
    if faces.shape[1:] == (height, width):
        return faces
    return np.stack([images.resize(face, (width, height)) for face in faces])


@dataclass(frozen=True)
class Bundle:
    """A loaded model with what it needs to be used correctly; `ferlib.model.bundle.load_bundle` makes it.

    Attributes:
        name: The name of the bundle's folder.
        class_names: The names of the classes, in the order of the model's outputs.
        input_shape: (height, width, 1) of a face.
        metadata: What metadata.json says.
        model: The `keras.Model`; None for a LiteRT form.
        folder: Where it was loaded from.
    """

    name: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    metadata: dict
    model: Any
    _call: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    _batch_size: int = field(default=256, repr=False)
    folder: Path | None = None

    def predict(self, faces: np.ndarray, tta: str = "none") -> np.ndarray:
        """Predict the expressions of cropped faces.

        Args:
            faces: uint8 (n, height, width) gray, 0 to 255, sides as in `input_shape`; n may be zero.
            tta: Test-time augmentation, a name of `TTA`.

        Returns:
            Probabilities, float32 (n, classes), each row summing to one.

        Raises:
            ImageError: The faces have another dtype or shape.
            BadInputError: An unknown `tta`.
        """
        faces = np.asarray(faces)
        height, width = self.input_shape[:2]
        if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (height, width):
            raise ImageError(
                f"the model takes uint8 faces (n, {height}, {width}), got {faces.dtype} {faces.shape}"
            )
        check_choice("tta", tta, TTA)
        if not len(faces):
            return np.zeros((0, len(self.class_names)), np.float32)
        views = augmented_views(faces, tta)
        given = np.concatenate(views)
        parts = [self._call(given[k : k + self._batch_size]) for k in range(0, len(given), self._batch_size)]
        answers = np.concatenate(parts).reshape(len(views), len(faces), -1)
        return answers.sum(axis=0) / len(views)


def augmented_views(faces: np.ndarray, tta: str) -> list[np.ndarray]:
    """The versions of faces that a network is shown.

    Args:
        faces: uint8 (n, height, width).
        tta: A name of `TTA`.

    Returns:
        One array like `faces` per version.
    """
    if tta == "three":
        return list(np.stack([face_views(face) for face in faces], axis=1))
    shown = [faces]
    if tta == "ten":
        height, width = faces.shape[1:]
        padded = np.pad(faces, ((0, 0), (2, 2), (2, 2)), mode="edge")
        corners = ((2, 2), (2, 0), (2, 4), (0, 2), (4, 2))
        shown = [padded[:, y : y + height, x : x + width] for y, x in corners]
    return shown if tta == "none" else [*shown, *(view[:, :, ::-1] for view in shown)]


def face_views(face: np.ndarray) -> np.ndarray:
    """System A's three views of a face: as it is, mirrored, and without hair and chin.

    Args:
        face: uint8 (size, size).

    Returns:
        uint8 (3, size, size). The third view is rows 2 to 44 of 48, stretched to the full height.
    """
    size = len(face)
    cut = face[round(size * 2 / 48) : round(size * 45 / 48)]
    return np.stack([face, face[:, ::-1], images.resize(cut, (size, size))])


@dataclass(frozen=True)
class _OtherClasses:
    """A model that answers in other classes than it was trained for."""

    model: Predictor
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.model.input_shape

    def predict(self, faces: np.ndarray, tta: str = "none") -> np.ndarray:
        answers = self.model.predict(faces, tta)
        return pick_probabilities(answers, self.model.class_names, self.class_names).astype(np.float32)


def for_classes(model: Predictor, class_names: Sequence[str]) -> Predictor:
    """A model that answers in other classes: merged classes are summed, classes left out are dropped.

    Args:
        model: The model.
        class_names: The classes to answer in.

    Returns:
        The model, or one around it whose rows are scaled to a sum of one.

    Raises:
        LabelError: The model cannot tell these classes apart.
    """
    names = tuple(class_names)
    if names == tuple(model.class_names):
        return model
    pick_probabilities(np.ones((1, len(model.class_names))), model.class_names, names)  # raises what it must
    return _OtherClasses(model, names)
