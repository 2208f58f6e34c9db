"""Teach a trained network other classes from a few pictures: a new last layer on its features, in seconds."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BundleError, logger
from ferlib.common.files import write_text
from ferlib.common.html import render
from ferlib.common.paths import shipped_bundle
from ferlib.dataset.splits import SIDE, Dataset, check_classes, held_out
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.model.predictor import Bundle, augmented_views, for_classes
from ferlib.train.export import CheckFaces, export_bundle
from ferlib.train.fit import one_hot, predict_probabilities
from ferlib.train.networks import output_layer

SHARE = 0.25
"""The share of each class that is held out, where the data set has no parts."""

PENALTY = 0.01
"""Of the squared change of the weights, for standardised features; the mean cross-entropy has a weight of 1."""

WIDEST = 0.4
"""An interval that is wider says too little about the accuracy."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """How a taught network did on faces that it had not learned.

    Attributes:
        dataset: The faces; those that were held out have another usage than "Training".
        right: How many of these it read right, with their mirror images averaged.
        count: How many of these there are.
        interval: Wilson's 95 % interval of the accuracy, 0 to 1.
        baseline: Share of the most frequent class among them.
    """

    dataset: Dataset
    right: int
    count: int
    interval: tuple[float, float]
    baseline: float

    @property
    def tells(self) -> bool:
        """Whether there are enough held-out faces to tell that it is better than always saying one class."""
        low, high = self.interval
        return low > self.baseline and high - low <= WIDEST

    def __str__(self) -> str:
        """Say what was measured.

        Returns:
            One line: "17 of 20 right, 95 % interval 64–95 %".
        """
        low, high = self.interval
        text = f"{self.right} of {self.count} right, 95 % interval {100 * low:.0f}–{100 * high:.0f} %"
        return text if self.tells else f"{text}: too few faces to tell; collect more of each class"


def teach_classes(
    dataset: Dataset,
    out: str | os.PathLike,
    base: str | os.PathLike | None = None,
    remember: np.ndarray | None = None,
    source: str = "own faces",
    seed: int = 7,
) -> Lesson:
    """Teach a network the classes of a data set, and save it as a bundle with its card and its int8 form.

    Only the last layer learns (softmax regression on what it is given). Where the network knows all the classes, it
    begins with what it knows of them.

    Args:
        dataset: The faces. Those with another usage than "Training" are held out; where there are none, a quarter of
            each class, split off by groups of copies; once it is measured, the network is taught again on all.
        out: Folder of the bundle to write; an older bundle there is replaced.
        base: Folder of the bundle to start from; None for the shipped "fer2013".
        remember: Other faces, uint8 (n, 48, 48), that the network shall read as before; they count as much as all
            others together ("Learning without Forgetting", Li and Hoiem 2016). It must know the classes.
        source: Where the faces come from, for the metadata and the card.
        seed: Seed of the split.

    Returns:
        How it did on the held-out faces.

    Raises:
        DatasetError: Fewer than two classes; or a class with fewer than two different faces, without faces to
            remember or without parts.
        BundleError: The bundle cannot be loaded, or its network takes faces of another size.
        LabelError: There are faces to remember and the network does not know the classes.
    """
    start = load_bundle(base or shipped_bundle())
    if tuple(start.input_shape) != (SIDE, SIDE, 1):
        height, width = start.input_shape[:2]
        raise BundleError(f"{start.folder} takes faces of {height}×{width}, not 48×48; choose another")
    least = 1 if remember is None else 0  # of a class that it keeps in mind no face is needed
    check_classes(dataset, 2 * least)
    split_here = bool((dataset.usage == "Training").all())
    if split_here:
        parts = np.where(held_out(dataset, SHARE, seed), "PrivateTest", "Training")
        dataset = dataset.with_usage(parts)
    learned, others = dataset.part("Training"), dataset.select(dataset.usage != "Training")
    check_classes(learned, least)
    model = _with_new_head(start, learned, remember)
    lesson = _measure(model, dataset, others)
    if split_here:  # measured: few as they are, it now learns from all
        learned = dataset
        model = _with_new_head(start, learned, remember)
    metadata = {name: start.metadata[name] for name in ("detector", "margin")}
    metadata |= {
        "metrics": {
            "usage": "held-out",
            "n": lesson.count,
            "accuracy": lesson.right / lesson.count,
            "interval": lesson.interval,
            "flip": True,
        },
        "data": {"source": source, "training_rows": len(learned), "held_out_rows": len(others)},
        "began_with": {"name": start.name, "sha256": start.metadata["sha256"]},
        "settings": {"taught": True, "penalty": PENALTY, "seed": seed},
    }
    folder = save_bundle(model, out, dataset.class_names, extra=metadata)
    try:
        export_bundle(folder, folder, "litert-int8", CheckFaces(dataset.pixels, source=source))
    except BundleError as error:  # the bundle is whole without it
        logger.warning("%s", error)
    card = render(
        "taught_card.md", lesson=lesson, name=folder.name, base=start.name, source=source, rows=len(learned)
    )
    write_text(folder / "README.md", card)
    return lesson


def _measure(model: Any, dataset: Dataset, others: Dataset) -> Lesson:
    from scipy.stats import binomtest

    views = [predict_probabilities(model, faces) for faces in augmented_views(others.pixels, "flip")]
    right = int((np.sum(views, axis=0).argmax(axis=1) == others.labels).sum())
    low, high = binomtest(right, len(others)).proportion_ci(method="wilson")
    return Lesson(dataset, right, len(others), (float(low), float(high)), others.counts().max() / len(others))


def _with_new_head(base: Bundle, learned: Dataset, remember: np.ndarray | None) -> Any:
    """The network of `base` with a last layer that was fitted to faces and their mirror images."""
    keras = import_keras()
    last, names = output_layer(base.model), learned.class_names
    pixels = np.concatenate(augmented_views(learned.pixels, "flip"))
    targets = np.tile(one_hot(learned.labels, len(names)), (2, 1))
    weights = np.tile(1 / learned.counts()[learned.labels], 2)  # each class counts as much
    weights /= weights.sum()
    if remember is not None:
        targets = np.concatenate([targets, for_classes(base, names).predict(remember)])
        weights = np.concatenate([weights, np.full(len(remember), 1 / len(remember))]) / 2
        pixels = np.concatenate([pixels, remember])
    inside = predict_probabilities(keras.Model(base.model.inputs, last.input), pixels)
    known = [base.class_names.index(name) for name in names if name in base.class_names]
    kernel, bias = (np.asarray(weight)[..., known] for weight in last.get_weights())
    if len(known) < len(names):
        kernel, bias = np.zeros((inside.shape[1], len(names))), np.zeros(len(names))
    head = keras.layers.Dense(len(names), activation="softmax", dtype="float32", name=last.name)
    model = keras.Model(base.model.inputs, head(last.input))
    head.set_weights(_fit_softmax(inside, targets, weights, kernel, bias))
    return model


def _fit_softmax(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray, kernel: np.ndarray, bias: np.ndarray
) -> list[np.ndarray]:
    """Minimise the weighted cross-entropy, with a penalty on how far kernel and bias move."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    inputs = np.column_stack([(features - mean) / scale, np.ones(len(features))]).astype(np.float64)
    before, shape = features @ kernel + bias, (inputs.shape[1], targets.shape[1])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        change = flat.reshape(shape)
        scores = before + inputs @ change
        value = -(weights @ (targets * log_softmax(scores, axis=1)).sum(axis=1))
        gradient = inputs.T @ (weights[:, None] * (softmax(scores, axis=1) - targets)) + PENALTY * change
        return value + PENALTY / 2 * (change**2).sum(), gradient.ravel()

    change = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B").x.reshape(shape)
    moved = change[:-1] / scale[:, None]
    return [kernel + moved, bias + change[-1] - mean @ moved]
