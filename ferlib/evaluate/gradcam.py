"""Grad-CAM: the places of a face that speak for a prediction, which says nothing about whether it is right.

Source: R. R. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization, ICCV 2017.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.images import resize
from ferlib.common.labels import map_labels
from ferlib.model.predictor import Predictor

_SKIPPED = ("MaxPooling2D", "AveragePooling2D", "Dropout", "SpatialDropout2D")

SIDE = 6
"""Positions per side that the maps of a heat map have at least, where a layer of the network has them."""


def last_feature_maps(model: Any) -> Any:
    """Find the last layer of a network whose output still says where something is.

    Pooling and dropout after a convolution are skipped: they add nothing and have fewer pixels. Maps with fewer than
    `SIDE` positions per side are too coarse to explain anything; they are skipped where earlier ones have more.

    Args:
        model: A Keras model.

    Returns:
        The Keras layer.

    Raises:
        BadInputError: The network has no feature maps, or it is no Keras model.
    """
    found = [
        layer
        for layer in getattr(model, "layers", [])[1:]
        if len(getattr(getattr(layer, "output", None), "shape", ())) == 4
        and type(layer).__name__ not in _SKIPPED
    ]
    if not found:
        name = getattr(model, "name", "the model")
        raise BadInputError(f"{name} has no convolutional maps; Grad-CAM needs a network that has")
    fine = [layer for layer in found if min(layer.output.shape[1:3]) >= SIDE]
    return fine[-1] if fine else found[0]


def heat_maps(model: Any, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute the Grad-CAM of each face for one class.

    Each feature map is weighted by the mean gradient of the class's score (before the softmax), the maps are
    summed, and negative values, which speak against the class, are cut off.

    Args:
        model: A Keras model on TensorFlow, as in a bundle: (n, h, w, 1), values 0 to 255, to a softmax.
        faces: uint8 (n, h, w).
        labels: The class to explain for each face, among the model's own classes, int (n,).

    Returns:
        float32 (n, h, w), 0 to 1: the strongest place of each face is 1; all 0 where nothing speaks for the class.

    Raises:
        ImageError: The faces or labels have another shape or dtype.
        BadInputError: The network has no feature maps, or it is no Keras model.
    """
    faces, labels = np.asarray(faces), np.asarray(labels)
    if faces.ndim != 3 or faces.dtype != np.uint8 or labels.shape != faces.shape[:1]:
        raise ImageError(
            f"expected faces uint8 (n, h, w) and n labels, got {faces.dtype} {faces.shape}, {labels.shape}"
        )
    if not len(faces):
        return np.zeros(faces.shape, np.float32)
    layer = last_feature_maps(model)
    keras = import_keras()
    import tensorflow as tf

    last = model.layers[-1]
    inner = keras.Model(model.inputs, [layer.output, last.input])
    inputs = tf.cast(faces, tf.float32)[..., tf.newaxis]
    with tf.GradientTape() as tape:
        tape.watch(inputs)  # so that everything after it is recorded, frozen weights or not
        maps, scores = inner(inputs, training=False)
        if hasattr(last, "kernel"):  # a dense layer: its sum is what enters the softmax
            scores = scores @ last.kernel.value + (last.bias.value if last.use_bias else 0)
        chosen = tf.gather(scores, labels.astype(np.int64), axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=3)).numpy()
    return np.stack([_resize_heat(one, faces.shape[1:]) for one in heat])


def own_labels(
    model: Predictor, faces: np.ndarray, y_pred: np.ndarray, class_names: Sequence[str]
) -> np.ndarray:
    """Translate predictions in other classes to the model's own labels, for `heat_maps`.

    Args:
        model: The model.
        faces: uint8 (n, h, w).
        y_pred: Predictions among `class_names`, int (n,).
        class_names: The classes that were asked for.

    Returns:
        Labels among the model's own classes, int64 (n,): of a merged class such as "rest" its most probable part.
    """
    part_of = map_labels(np.arange(len(model.class_names)), model.class_names, class_names)
    return np.where(part_of == y_pred[:, None], model.predict(faces), -1).argmax(axis=1)


def _resize_heat(heat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One map at the size of the face, its largest value 1."""
    levels = (255 * heat / (heat.max() or 1)).round().astype(np.uint8)
    return resize(levels, (shape[1], shape[0])).astype(np.float32) / 255


def blend(face: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draw a heat map over a face in matplotlib's "inferno", whose brightness rises, so it works in gray print.

    Args:
        face: uint8 (h, w), gray.
        heat: float (h, w), 0 to 1; where it is 0 the face stays gray.

    Returns:
        uint8 (h, w, 3), RGB.
    """
    from matplotlib import colormaps

    colours = colormaps["inferno"](0.25 + 0.75 * heat)[..., :3] * 255
    opacity = 0.65 * heat[..., None]
    return ((1 - opacity) * face[..., None] + opacity * colours).round().astype(np.uint8)
