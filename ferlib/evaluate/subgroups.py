"""Accuracy by other attributes than the class: brightness and contrast; on drawn faces skin, light, pose, glasses."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ferlib import synth
from ferlib.common.errors import BadInputError
from ferlib.common.images import crop_face, face_input
from ferlib.common.labels import SEVEN
from ferlib.evaluate.metrics import wilson_interval
from ferlib.model.predictor import Predictor, for_classes

DRAWN_SIZE = 160
"""The side of a drawn picture before its face is cut out, in pixels."""

_POSES = ("turned 0–5°", "turned 5–10°", "turned over 10°")


def accuracy_by(groups: Sequence | np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """Compute the accuracy of each group of rows.

    Args:
        groups: The group of each row, (n,).
        correct: Whether each row was predicted correctly, bool (n,).

    Returns:
        One row per group, sorted: `n`, `accuracy`, `low` and `high` (Wilson, 95 %).

    Raises:
        BadInputError: There are no rows, or the lengths differ.
    """
    correct = np.asarray(correct, bool)
    if len(groups) != len(correct) or not len(correct):
        raise BadInputError(f"{len(groups)} groups for {len(correct)} answers; give one each, at least one")
    grouped = pd.DataFrame({"group": groups, "correct": correct}).groupby("group", observed=True)["correct"]
    table = grouped.agg(n="size", accuracy="mean")
    bounds = [wilson_interval(int(row.sum()), len(row)) for _, row in grouped]
    return table.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])


def brightness_and_contrast(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the brightness and the contrast of faces.

    Args:
        faces: uint8 (n, height, width).

    Returns:
        The mean and the standard deviation of each face's gray levels, float64 (n,).
    """
    flat = faces.reshape(len(faces), -1)
    return flat.mean(axis=1), flat.std(axis=1)


def quarters(values: np.ndarray) -> np.ndarray:
    """Sort values into quarters.

    Args:
        values: Numbers, (n,).

    Returns:
        The name of each value's quarter, such as "1: 20 to 95" for the lowest; equal values share a quarter.
    """
    values = np.asarray(values, np.float64)
    edges = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    place = np.searchsorted(edges[1:-1], values, side="left")
    return np.array([f"{k + 1}: {edges[k]:.0f} to {edges[k + 1]:.0f}" for k in place])


def accuracy_by_light(faces: np.ndarray, correct: np.ndarray) -> dict[str, pd.DataFrame]:
    """Compute the accuracy in each quarter of brightness and of contrast.

    Args:
        faces: uint8 (n, height, width).
        correct: Whether each face was predicted correctly, bool (n,).

    Returns:
        A table of `accuracy_by` for `brightness` and one for `contrast`.
    """
    measured = zip(("brightness", "contrast"), brightness_and_contrast(faces), strict=True)
    return {name: accuracy_by(quarters(values), correct) for name, values in measured}


def drawn_attributes(faces: Sequence[synth.Face]) -> dict[str, list[str]]:
    """Describe drawn faces.

    Args:
        faces: The drawn faces.

    Returns:
        One text per face for each of `skin` (tone 1, the lightest, to 8), `light`, `pose` (the larger of the
        turns to the side and up or down) and `glasses`.
    """
    turns = [max(abs(face.yaw), abs(face.pitch)) for face in faces]
    return {
        "skin": [f"tone {face.skin + 1}" for face in faces],
        "light": [face.light for face in faces],
        "pose": [_POSES[int(np.searchsorted((5, 10), turn, side="right"))] for turn in turns],
        "glasses": [face.glasses for face in faces],
    }


def draw_inputs(faces: Sequence[synth.Face], size: int = DRAWN_SIZE) -> np.ndarray:
    """Draw faces and crop them by their true boxes.

    Args:
        faces: The faces to draw.
        size: The side of the drawing, in pixels; 96 takes a third of the time.

    Returns:
        The input of a network: uint8 (n, 48, 48), gray.
    """
    cropped = [crop_face(synth.draw_face(face, size), synth.face_box(face, size)) for face in faces]
    return np.array([face_input(image) for image in cropped], np.uint8).reshape(-1, 48, 48)


def accuracy_on_drawn_faces(
    model: Predictor, count: int, seed: int = 1, tta: str = "none"
) -> dict[str, pd.DataFrame]:
    """Compute a model's accuracy on drawn faces by their attributes.

    The attributes are drawn independently of each other, so groups differ in nothing else but chance.

    Args:
        model: The model.
        count: How many faces to draw.
        seed: The seed of the faces.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.

    Returns:
        A table of `accuracy_by` for each of `emotion`, `skin`, `light`, `pose` and `glasses`.

    Raises:
        BadInputError: `count` is below 1.
        LabelError: The model does not know the seven classes.
    """
    faces = synth.sample_faces(count, seed)
    if not faces:
        raise BadInputError(f"{count} drawn faces: give at least 1")
    predicted = for_classes(model, SEVEN).predict(draw_inputs(faces), tta).argmax(axis=1)
    emotions = [face.emotion for face in faces]
    correct = np.array(SEVEN)[predicted] == np.array(emotions)
    groups = {"emotion": emotions, **drawn_attributes(faces)}
    return {key: accuracy_by(names, correct) for key, names in groups.items()}
