"""Accuracy by something else than the class: brightness, contrast; on drawn faces skin, light, pose, glasses."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ferlib import synth
from ferlib.common.errors import BadInputError
from ferlib.common.images import face_input
from ferlib.evaluate.metrics import wilson_interval

DRAWN_SIZE = 160
"""Pixels of the side of a drawn picture, before its face is cut out."""

_POSES = (0, 5, 10, 90)


def accuracy_by(groups: Sequence, right: np.ndarray) -> pd.DataFrame:
    """One row a group, sorted: `n`, `accuracy`, `low`, `high` (Wilson, 95 %). `right`: bool (n,).

    Raises BadInputError for no rows, or groups that do not fit.
    """
    right = np.asarray(right, bool)
    if len(groups) != len(right) or not len(right):
        raise BadInputError(f"{len(groups)} groups for {len(right)} answers; give one each, at least one")
    counted = pd.DataFrame({"group": groups, "right": right}).groupby("group", observed=True)["right"]
    table = counted.agg(n="size", accuracy="mean")
    bounds = [wilson_interval(int(row.sum()), len(row)) for _, row in counted]
    return table.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])


def light_of(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and contrast of faces uint8 (n, h, w): mean and standard deviation of the levels, float64 (n,)."""
    flat = faces.reshape(len(faces), -1)
    return flat.mean(axis=1), flat.std(axis=1)


def quarters(values: np.ndarray) -> np.ndarray:
    """Text (n,) of the quarter in which each value lies: `"1: 20 to 95"` is the lowest; equal values stay together."""
    values = np.asarray(values, np.float64)
    edges = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    place = np.searchsorted(edges[1:-1], values, side="left")
    return np.array([f"{k + 1}: {edges[k]:.0f} to {edges[k + 1]:.0f}" for k in place])


def by_light(faces: np.ndarray, right: np.ndarray) -> dict[str, pd.DataFrame]:
    """`brightness` and `contrast`: accuracy in each quarter of the faces."""
    brightness, contrast = light_of(faces)
    return {
        "brightness": accuracy_by(quarters(brightness), right),
        "contrast": accuracy_by(quarters(contrast), right),
    }


def facts_of(faces: Sequence[synth.Face]) -> dict[str, list[str]]:
    """What is known of drawn faces, one text each: `skin`, `light`, `pose`, `glasses`.

    Skin is the index of the tone, 1 (lightest) to 8; pose the larger of the turns to the side and up or down.
    """
    return {
        "skin": [f"tone {face.skin + 1}" for face in faces],
        "light": [face.light for face in faces],
        "pose": [_pose(max(abs(face.yaw), abs(face.pitch))) for face in faces],
        "glasses": [face.glasses for face in faces],
    }


def _pose(degrees: float) -> str:
    k = int(np.searchsorted(_POSES[1:-1], degrees, side="right"))
    return f"turned {_POSES[k]}–{_POSES[k + 1]}°" if k < 2 else f"turned over {_POSES[2]}°"


def draw_inputs(faces: Sequence[synth.Face], size: int = DRAWN_SIZE) -> np.ndarray:
    """Drawn faces as a network takes them, cut out by their true box: uint8 (n, 48, 48).

    `size`: pixels of the drawing's side; 96 takes a third of the time.
    """
    from ferlib.common.images import crop_face

    pictures = (synth.draw_face(face, size) for face in faces)
    cut = [
        face_input(crop_face(picture, synth.face_box(face, size)))
        for face, picture in zip(faces, pictures, strict=True)
    ]
    return np.stack(cut) if cut else np.zeros((0, 48, 48), np.uint8)


def by_drawing(bundle: Any, count: int, seed: int = 1, flip: bool = False) -> dict[str, pd.DataFrame]:
    """A bundle on `count` drawn faces: accuracy by `emotion`, `skin`, `light`, `pose` and `glasses`.

    The faces are drawn by lot, so the groups differ in nothing else but luck. Raises LabelError where
    the model does not know the seven classes.
    """
    from ferlib.common.labels import SEVEN, pick_probabilities

    faces = synth.sample_faces(count, seed)
    if not faces:
        raise BadInputError(f"{count} drawn faces: give at least 1")
    answers = bundle.predict(draw_inputs(faces), flip=flip)
    said = pick_probabilities(answers, bundle.class_names, SEVEN).argmax(axis=1)
    emotions = [face.emotion for face in faces]
    right = np.array(SEVEN)[said] == np.array(emotions)
    return {
        key: accuracy_by(groups, right) for key, groups in {"emotion": emotions, **facts_of(faces)}.items()
    }


def with_each(faces: Sequence[synth.Face], field: str, values: Sequence) -> list[synth.Face]:
    """Every face with each value of one of its parameters, all else the same: value by value.

    So only `field` can be why the answers differ.
    """
    return [replace(face, **{field: value}) for value in values for face in faces]
