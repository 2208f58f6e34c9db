"""A model as a reader of faces: which classes it answers in, and how often it is shown a face."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ferlib.common import images
from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.labels import pick_probabilities

VIEWS = ("one", "flip", "three")
"""How often a face is shown to the model: as it is; also mirrored; or in system A's three views."""


class Reader(Protocol):
    """What is needed of a model: `ferlib.model.bundle.Bundle`, or anything with these three."""

    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w), 0 to 255, to probabilities (n, k), rows summing to one."""


@dataclass(frozen=True)
class _Narrowed:
    """A model that answers in other classes than it was trained for."""

    model: Reader
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.model.input_shape

    def predict(self, faces: np.ndarray) -> np.ndarray:
        answers = self.model.predict(faces)
        return pick_probabilities(answers, self.model.class_names, self.class_names).astype(np.float32)


def for_classes(bundle: Reader, class_names: Sequence[str]) -> Reader:
    """The model, answering in `class_names`: merged classes are summed, classes left out are dropped.

    What is left is scaled to a sum of one. Raises LabelError where the model cannot tell these apart.
    """
    names = tuple(class_names)
    if names == tuple(bundle.class_names):
        return bundle
    pick_probabilities(
        np.ones((1, len(bundle.class_names))), bundle.class_names, names
    )  # raises what it must
    return _Narrowed(bundle, names)


def face_views(face: np.ndarray) -> np.ndarray:
    """System A's three views of a face, (s, s) in, (3, s, s) out, uint8.

    As it is; mirrored; and without hair and chin: of 48 rows, 2 to 44, stretched to full height.
    """
    size = len(face)
    cut = face[round(size * 2 / 48) : round(size * 45 / 48)]
    return np.stack([face, face[:, ::-1], images.resize(cut, (size, size))])


def check_views(views: str) -> None:
    """Raise BadInputError for views that are not in `VIEWS`."""
    if views not in VIEWS:
        raise BadInputError(f"views {views!r}: known are {', '.join(VIEWS)}")


def probabilities_of(inputs: np.ndarray, bundle: Reader, views: str = "one") -> np.ndarray:
    """Probabilities (n, k), float64, of faces uint8 (n, s, s), in one call of the model.

    With `views="flip"` the answers for the face and its mirror image are averaged. With `"three"` the three
    answers for each face are summed, as system A does, and divided by three, so that a row still sums to one;
    the order of the classes is the same either way. Raises BadInputError for other views.
    """
    check_views(views)
    if views == "three":
        shown = np.concatenate([face_views(face) for face in inputs])
    elif views == "flip":
        shown = np.stack([inputs, inputs[:, :, ::-1]], axis=1).reshape(-1, *inputs.shape[1:])
    else:
        shown = inputs
    answers = np.asarray(bundle.predict(shown), dtype=np.float64)
    return answers.reshape(len(inputs), len(shown) // len(inputs), -1).mean(axis=1)


def averaged(
    call: Callable[[np.ndarray], np.ndarray],
    faces: np.ndarray,
    input_shape: Sequence[int],
    n_classes: int,
    flip: bool,
    batch_size: int,
) -> np.ndarray:
    """`Bundle.predict` with the forward pass given as `call`: uint8 (n, h, w) to float32 (n, classes).

    A face and its mirror image go through the network in one call. Raises ImageError for other faces.
    """
    faces = np.asarray(faces)
    height, width = input_shape[:2]
    if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (height, width):
        raise ImageError(
            f"the model takes uint8 faces (n, {height}, {width}), got {faces.dtype} {faces.shape}"
        )
    if not len(faces):
        return np.zeros((0, n_classes), np.float32)
    given = np.concatenate([faces, faces[:, :, ::-1]]) if flip else np.ascontiguousarray(faces)
    parts = [call(given[k : k + batch_size]) for k in range(0, len(given), batch_size)]
    probabilities = np.concatenate(parts)
    return (probabilities[: len(faces)] + probabilities[len(faces) :]) / 2 if flip else probabilities
