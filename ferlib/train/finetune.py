"""Fine-tune a bundle to the faces of one person: only its last layer is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN, label_of
from ferlib.model.bundle import Bundle, plain_copy
from ferlib.train.fit import one_hot
from ferlib.train.networks import output_layer


def hold_out(labels: np.ndarray, share: float = 0.25) -> np.ndarray:
    """Choose the faces to test on: the last ones of each class.

    They are the last ones, because two snapshots of one moment are nearly the same image and must not be on both sides.

    Args:
        labels: int (n,), in the order in which the faces were taken.
        share: The share of each class; a class with a single face has none.

    Returns:
        bool (n,), True for the faces to test on.
    """
    labels, chosen = np.asarray(labels), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(len(rows) - 1, max(1, round(share * len(rows))))
        chosen[rows[len(rows) - count :]] = True
    return chosen


def finetune_bundle(
    bundle: Bundle,
    faces: np.ndarray,
    labels: np.ndarray,
    others: np.ndarray,
    epochs: int = 30,
    learning_rate: float = 3e-3,
    seed: int = 7,
) -> Any:
    """Train the last layer of a bundle's network on new faces, without forgetting the old ones.

    Each face is also shown mirrored. The targets of the faces of other people are the present predictions of the
    bundle, so that it stays as it is for them (Z. Li and D. Hoiem, "Learning without Forgetting", 2016). Both groups
    have the same weight, however many faces they have.

    Args:
        bundle: A Keras bundle; it is not changed.
        faces: uint8 (n, height, width), gray.
        labels: int (n,), in the classes of the bundle.
        others: uint8 (m, height, width), faces of other people.
        epochs: Passes over the faces.
        learning_rate: Of Adam.
        seed: For the order of the batches.

    Returns:
        A copy of the network with a new last layer.

    Raises:
        BadInputError: Too few faces, labels that the bundle does not have, or a network that does not end in a dense
            layer.
    """
    labels, n_classes = np.asarray(labels), len(bundle.class_names)
    if len(faces) != len(labels) or len(faces) < 2 or not len(others):
        raise BadInputError(
            f"{len(faces)} faces with {len(labels)} labels and {len(others)} of others: "
            "give at least two faces, a label for each, and some faces of others"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise BadInputError(f"labels range from {labels.min()} to {labels.max()}, not 0..{n_classes - 1}")
    keras = import_keras()
    model = plain_copy(bundle.model)
    last = output_layer(model)
    body = keras.Model(model.inputs, last.input)
    images = np.concatenate([faces, faces[:, :, ::-1], others])[..., None].astype(np.float32)
    features = body.predict(images, batch_size=64, verbose=0)  # once: these layers do not change
    own = one_hot(labels, n_classes)
    targets = np.concatenate([own, own, bundle.predict(others)])
    weights = np.concatenate([np.full(2 * len(own), 0.5 / len(own)), np.full(len(others), 1 / len(others))])
    keras.utils.set_random_seed(seed)
    head = keras.Sequential(
        [keras.layers.Input(features.shape[1:]), keras.layers.Dense(n_classes, "softmax")]
    )
    head.set_weights(last.get_weights())
    head.compile(keras.optimizers.Adam(learning_rate), "categorical_crossentropy")
    weights /= weights.mean()
    head.fit(features, targets, sample_weight=weights, batch_size=64, epochs=epochs, verbose=0)
    last.set_weights(head.get_weights())
    return model


def compare_bundles(
    before: Bundle, after: Bundle, parts: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """Count the faces that a bundle predicts correctly before and after fine-tuning.

    Args:
        before: The bundle.
        after: The fine-tuned bundle.
        parts: Faces uint8 (n, height, width) and labels int (n,), by a name.

    Returns:
        One row per part, with the columns `faces`, `before`, `after` (correct predictions), and `changed` (different
        predictions, right or wrong).
    """
    rows = {}
    for name, (faces, labels) in parts.items():
        old, new = (bundle.predict(faces).argmax(axis=1) for bundle in (before, after))
        rows[name] = [len(labels), (old == labels).sum(), (new == labels).sum(), (old != new).sum()]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["faces", "before", "after", "changed"])


def draw_person(count: int, class_names: Sequence[str], seed: int = 7) -> tuple[list[np.ndarray], list[str]]:
    """Draw faces of one person, as a stand-in for the learner's own.

    Args:
        count: How many; the expressions of the class set take turns, and the head turns and tilts a little.
        class_names: A class set.
        seed: The same seed draws the same faces.

    Returns:
        The faces, uint8 (height, width, 3) in RGB, and the name of the class of each.
    """
    from ferlib import synth
    from ferlib.common.images import crop_face

    rng = np.random.default_rng([seed, 11])
    person = synth.sample_face(rng, "neutral")
    labels = {emotion: label_of(emotion, class_names) for emotion in SEVEN}
    known = [(emotion, class_names[label]) for emotion, label in labels.items() if label is not None]
    faces, names = [], []
    for k in range(count):
        emotion, name = known[k % len(known)]
        pose = dict(zip(("yaw", "pitch", "roll"), rng.uniform(-5, 5, 3), strict=True))
        face = replace(person, emotion=emotion, aus=synth.sample_units(rng, emotion), **pose)
        faces.append(crop_face(synth.draw_face(face, 96, rng), synth.face_box(face, 96)))
        names.append(name)
    return faces, names
