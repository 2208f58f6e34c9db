"""Teach a bundle the faces of one person: its last layer goes on learning, the layers before stay as they are."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN, label_of
from ferlib.model.bundle import Bundle, plain_copy

_SIDE = 96  # pixels of a drawn stand-in


def hold_out(labels: np.ndarray, share: float = 0.25) -> np.ndarray:
    """Which faces to judge on, bool (n,): the last `share` of each class, none of a class with one face.

    The last, not any: two snapshots of one moment are nearly the same picture, and must not lie on both sides.
    """
    labels, chosen = np.asarray(labels), np.zeros(len(labels), bool)
    for label in set(labels.tolist()):
        rows = np.flatnonzero(labels == label)
        count = min(len(rows) - 1, max(1, round(share * len(rows))))
        chosen[rows[len(rows) - count :]] = True
    return chosen


def teach(
    bundle: Bundle,
    faces: np.ndarray,
    labels: np.ndarray,
    others: np.ndarray,
    epochs: int = 30,
    learning_rate: float = 3e-3,
    seed: int = 7,
):
    """A copy of the bundle's network (`keras.Model`) whose last layer has learned `faces` without forgetting.

    `faces`, `others`: uint8 (n, h, w) gray; `labels`: int (n,). Each face is learned with its mirror image.
    `others` are faces of other people: for these the wanted answer is the one that the bundle gives now, so
    that it stays as it was there ("Learning without Forgetting", Z. Li and D. Hoiem 2016). Both
    count alike, however many they are. Raises BadInputError for too few faces, labels that the bundle
    does not know, and a network that does not end in a dense layer.
    """
    labels = np.asarray(labels)
    count = len(bundle.class_names)
    if len(faces) != len(labels) or len(faces) < 2 or not len(others):
        raise BadInputError(
            f"{len(faces)} faces with {len(labels)} labels and {len(others)} of others: "
            "give at least two faces, a label for each, and some faces of others"
        )
    if labels.min() < 0 or labels.max() >= count:
        raise BadInputError(f"labels run from {labels.min()} to {labels.max()}, not 0..{count - 1}")
    keras = import_keras()
    model = plain_copy(bundle.model)
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense):
        raise BadInputError(
            f"the network ends in {type(last).__name__}, not in a dense layer; choose another"
        )
    body = keras.Model(model.inputs, last.input)
    pictures = np.concatenate([faces, faces[:, :, ::-1], others])[..., None].astype(np.float32)
    features = body.predict(pictures, batch_size=64, verbose=0)  # once: these layers do not change
    own = np.eye(count, dtype=np.float32)[labels]
    wanted = np.concatenate([own, own, bundle.predict(others)])
    weights = np.concatenate([np.full(2 * len(own), 0.5 / len(own)), np.full(len(others), 1 / len(others))])
    keras.utils.set_random_seed(seed)
    top = keras.Sequential([keras.layers.Input(features.shape[1:]), keras.layers.Dense(count, "softmax")])
    top.set_weights(last.get_weights())
    top.compile(keras.optimizers.Adam(learning_rate), "categorical_crossentropy")
    top.fit(features, wanted, sample_weight=weights / weights.mean(), batch_size=64, epochs=epochs, verbose=0)
    last.set_weights(top.get_weights())
    return model


def before_after(
    before: Bundle, after: Bundle, parts: dict[str, tuple[np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """How many faces each bundle reads rightly: a row a part, columns `faces`, `before`, `after`, `changed`.

    `parts`: a name to (faces uint8 (n, h, w), labels int (n,)). `changed` counts other answers, right or wrong.
    """
    rows = {}
    for name, (faces, labels) in parts.items():
        old, new = (bundle.predict(faces).argmax(axis=1) for bundle in (before, after))
        counts = (len(labels), (old == labels).sum(), (new == labels).sum(), (old != new).sum())
        rows[name] = [int(value) for value in counts]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["faces", "before", "after", "changed"])


def draw_person(count: int, class_names: Sequence[str], seed: int = 7) -> tuple[list[np.ndarray], list[str]]:
    """One drawn person, `count` times, the expressions of the class set in turn: (face pictures RGB, classes).

    A stand-in for faces of one's own. The head turns and tilts a little from picture to picture.
    """
    from ferlib import synth
    from ferlib.common.images import crop_face

    rng = np.random.default_rng([seed, 11])
    person = synth.sample_face(rng, "neutral")
    emotions = [emotion for emotion in SEVEN if label_of(emotion, class_names) is not None]
    pictures, names = [], []
    for k in range(count):
        emotion = emotions[k % len(emotions)]
        turn = dict(zip(("yaw", "pitch", "roll"), rng.uniform(-5, 5, 3), strict=True))
        units = synth.sample_units(rng, emotion)
        face = dataclasses.replace(person, emotion=emotion, aus=units, **turn)
        pictures.append(crop_face(synth.draw_face(face, _SIDE, rng), synth.face_box(face, _SIDE)))
        names.append(class_names[label_of(emotion, class_names)])
    return pictures, names
