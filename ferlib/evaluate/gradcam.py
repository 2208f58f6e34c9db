"""Where a network looked: Grad-CAM.

R. R. Selvaraju et al.: Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization, ICCV 2017. The map says which places spoke for the answer, not whether it is right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.images import resize
from ferlib.common.labels import map_labels

_PASSING = ("MaxPooling2D", "AveragePooling2D", "Dropout", "SpatialDropout2D")


def last_maps(model):
    """The layer whose maps are the last before the network forgets where things are.

    Pooling and dropout behind it are passed over: they have no more to say and fewer pixels. Raises
    BadInputError for a network without maps.
    """
    for layer in reversed(model.layers):
        shape = getattr(getattr(layer, "output", None), "shape", ())
        if len(shape) == 4 and type(layer).__name__ not in _PASSING and layer is not model.layers[0]:
            return layer
    raise BadInputError(f"{model.name} has no convolutional maps; Grad-CAM needs a network that has")


def heat_maps(model, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Grad-CAM of each face for the class `labels` names: float32 (n, h, w), 0 to 1, as large as the faces.

    `model`: a Keras model on TensorFlow, (n, h, w, 1) with values 0 to 255 to a softmax, as in a bundle;
    `faces`: uint8 (n, h, w); `labels`: int (n,). Each map of `last_maps` is weighted by the mean gradient
    of the class's score (before the softmax), summed, and what speaks against the class is cut off. The
    strongest place is 1; a face for which nothing speaks is all 0.
    """
    import tensorflow as tf

    keras = import_keras()
    faces, labels = np.asarray(faces), np.asarray(labels)
    if faces.ndim != 3 or faces.dtype != np.uint8 or labels.shape != faces.shape[:1]:
        raise ImageError(
            f"expected faces uint8 (n, h, w) and n labels, got {faces.dtype} {faces.shape}, {labels.shape}"
        )
    if not len(faces):
        return np.zeros(faces.shape, np.float32)
    layer, last = last_maps(model), model.layers[-1]
    inner = keras.Model(model.inputs, [layer.output, last.input])
    inputs = tf.cast(faces, tf.float32)[..., tf.newaxis]
    with tf.GradientTape() as tape:
        tape.watch(inputs)  # so that everything behind is recorded, frozen weights or not
        maps, features = inner(inputs, training=False)
        chosen = tf.gather(_scores(last, features), labels.astype(np.int64), axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=3)).numpy()
    return np.stack([_shown(one, faces.shape[1:]) for one in heat])


def own_labels(bundle: Any, faces: np.ndarray, said: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """The answers `said`, int (n,) among `class_names`, as labels of the bundle itself, for `heat_maps`.

    The same where it was asked in its own classes; of a merged class ("rest") its likeliest part.
    """
    part_of = map_labels(np.arange(len(bundle.class_names)), bundle.class_names, class_names)
    return np.where(part_of == said[:, None], bundle.predict(faces), -1).argmax(axis=1)


def _scores(last, features):
    """What goes into the softmax: of a dense layer its sum, of a softmax layer alone what it takes."""
    if hasattr(last, "kernel"):
        return features @ last.kernel.value + (last.bias.value if last.use_bias else 0)
    return features


def _shown(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One map at the size of the face, its largest value 1."""
    top = heat.max()
    levels = (255 * heat / top if top > 0 else np.zeros_like(heat)).round().astype(np.uint8)
    return resize(levels, size[::-1]).astype(np.float32) / 255


def blend(face: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A gray face, uint8 (h, w), with its heat (0 to 1) in matplotlib's "inferno": uint8 (h, w, 3) RGB.

    Where the heat is nothing the face stays gray; the colours rise in brightness, so they read in print too.
    """
    from matplotlib import colormaps

    colours = colormaps["inferno"](0.25 + 0.75 * heat)[..., :3] * 255
    share = 0.65 * heat[..., None]
    return ((1 - share) * face[..., None] + share * colours).round().astype(np.uint8)
