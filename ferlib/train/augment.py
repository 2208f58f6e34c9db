"""Data augmentation: batches of a tf.data pipeline in which each image is changed a little whenever it is shown.

Rotation, shear, zoom, flip and shift of an image are one projective transform, computed for a batch at once.
Every random number is drawn from (seed, batch number), so that a run can be repeated exactly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed; each amount is drawn uniformly between minus and plus the value."""

    flip: bool = False
    rotation: float = 0.0  # degrees
    shear: float = 0.0  # degrees
    zoom: float = 0.0  # share of the side
    shift: float = 0.0  # share of the side
    jitter: float = 0.0  # share of the contrast, and of 128 gray levels of brightness
    erase: float = 0.0  # probability that a rectangle is covered with gray


AUGMENTATIONS = {
    "none": Augmentation(),
    "A": Augmentation(flip=True, shear=0.2, zoom=0.2),  # Keras' shear_range=0.2 means 0.2 degrees
    "D": Augmentation(flip=True),
    "mild": Augmentation(flip=True, rotation=8, zoom=0.1, shift=0.06, jitter=0.15),
    "ours": Augmentation(flip=True, rotation=12, shear=6, zoom=0.12, shift=0.08, jitter=0.2, erase=0.3),
    "strong": Augmentation(flip=True, rotation=15, shear=8, zoom=0.16, shift=0.1, jitter=0.3, erase=0.5),
}
"""The augmentations of the recipes by name; A and D are those of the published systems."""


def training_batches(
    faces: np.ndarray,
    targets: np.ndarray,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    epochs: int = 1,
    skip: int = 0,
) -> Any:
    """Build a stream of shuffled, augmented batches.

    Each epoch shows the faces in another order; those that do not fill its last batch are left out of it.

    Args:
        faces: uint8 (n, 48, 48).
        targets: float32 (n, classes).
        batch_size: Faces per batch; n if there are fewer.
        augmentation: How the faces are changed.
        seed: The same seed gives the same batches.
        epochs: How many times the faces are shown.
        skip: How many batches to leave out at the start, for a run that is resumed.

    Returns:
        A `tf.data.Dataset` of (faces, targets): float32 (batch, 48, 48, 1) in 0..255, and float32 (batch, classes).
    """
    import_keras()  # silences the import of TensorFlow
    import tensorflow as tf

    n = len(faces)
    batch_size = min(batch_size, n)
    steps = n // batch_size
    all_faces, all_targets = tf.constant(faces[..., None]), tf.constant(targets.astype(np.float32))

    def shuffled(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(tf.range(n), seed=[seed, epoch])
        return tf.data.Dataset.from_tensor_slices(
            tf.reshape(order[: steps * batch_size], (steps, batch_size))
        )

    def load(number: Any, rows: Any) -> tuple[Any, Any]:
        batch = tf.cast(tf.gather(all_faces, rows), tf.float32)
        return augment_batch(batch, augmentation, (seed, number)), tf.gather(all_targets, rows)

    first_epoch, rest = divmod(skip, steps)
    rows = tf.data.Dataset.range(first_epoch, epochs).flat_map(shuffled)
    numbered = rows.enumerate(start=first_epoch * steps).skip(rest)
    return numbered.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def augment_batch(faces: Any, augmentation: Augmentation, seed: tuple[int, int]) -> Any:
    """Change each face of a batch by its own random amounts.

    Args:
        faces: float32 (batch, height, width, 1) in 0..255.
        augmentation: How far the faces are changed.
        seed: Two integers, here the seed of the run and the number of the batch.

    Returns:
        Faces of the same shape, dtype and range.
    """
    import tensorflow as tf

    count, height, width = tf.shape(faces)[0], faces.shape[1], faces.shape[2]
    stateless_seed = [seed[0], tf.cast(seed[1], tf.int32)]
    draws = tf.random.stateless_uniform((13, count), stateless_seed, minval=-1, maxval=1)
    amounts = (augmentation.rotation, augmentation.shear, augmentation.zoom, augmentation.shift)
    if augmentation.flip or any(amounts):
        faces = _transform(faces, augmentation, draws, height, width)
    if augmentation.jitter:
        contrast = (1 + augmentation.jitter * draws[6])[:, None, None, None]
        brightness = (128 * augmentation.jitter * draws[7])[:, None, None, None]
        mean = tf.reduce_mean(faces, axis=(1, 2, 3), keepdims=True)
        faces = tf.clip_by_value((faces - mean) * contrast + mean + brightness, 0, 255)
    if augmentation.erase:
        faces = _erase(faces, augmentation, draws, height, width)
    return faces


def _transform(faces: Any, augmentation: Augmentation, draws: Any, height: int, width: int) -> Any:
    """Rotate, shear, zoom, flip and shift in one transform around the centre; edge pixels are repeated."""
    import tensorflow as tf

    radians = np.pi / 180
    rotation, shear = augmentation.rotation * radians * draws[0], augmentation.shear * radians * draws[1]
    zoom_x, zoom_y = 1 + augmentation.zoom * draws[2], 1 + augmentation.zoom * draws[3]
    flip = tf.where(draws[8] < 0, -1.0, 1.0) if augmentation.flip else tf.ones_like(rotation)
    a, b = tf.cos(rotation) * zoom_x * flip, -tf.sin(rotation + shear) * zoom_y
    c, d = tf.sin(rotation) * zoom_x * flip, tf.cos(rotation + shear) * zoom_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    shift_x = centre_x - a * centre_x - b * centre_y + augmentation.shift * width * draws[4]
    shift_y = centre_y - c * centre_x - d * centre_y + augmentation.shift * height * draws[5]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=faces,
        transforms=tf.stack([a, b, shift_x, c, d, shift_y, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _erase(faces: Any, augmentation: Augmentation, draws: Any, height: int, width: int) -> Any:
    """Cover a rectangle of up to a third of each side with mid gray (random erasing, Z. Zhong et al. 2017)."""
    import tensorflow as tf

    half = (0.05 + 0.12 * (draws[9] + 1) / 2)[:, None, None, None]
    x = (draws[10][:, None, None, None] + 1) / 2
    y = (draws[11][:, None, None, None] + 1) / 2
    columns = tf.reshape(tf.range(width, dtype=tf.float32) / width, (1, 1, width, 1))
    rows = tf.reshape(tf.range(height, dtype=tf.float32) / height, (1, height, 1, 1))
    chosen = (draws[12] + 1) / 2 < augmentation.erase
    inside = (tf.abs(columns - x) < half) & (tf.abs(rows - y) < half) & chosen[:, None, None, None]
    return tf.where(inside, 127.5, faces)
