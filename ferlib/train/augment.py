"""Training pictures, changed a little each time they are seen: batches of a tf.data pipeline.

All turns, shifts and zooms of a picture are one projective transform, computed for a whole batch
at once. Every random number is drawn from (seed, batch number), so a run can be repeated exactly.
"""

from dataclasses import dataclass

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError


@dataclass(frozen=True)
class Augmentation:
    """How far a picture may be changed; every amount is drawn evenly between minus and plus it."""

    flip: bool = False
    turn: float = 0.0  # degrees
    shear: float = 0.0  # degrees
    zoom: float = 0.0  # share of the side
    shift: float = 0.0  # share of the side
    light: float = 0.0  # share of contrast, and of 128 gray levels of brightness
    erase: float = 0.0  # probability that a rectangle is covered with gray


AUGMENTATIONS = {
    "none": Augmentation(),
    "A": Augmentation(flip=True, shear=0.2, zoom=0.2),  # Keras' shear_range=0.2 means 0.2 degrees
    "D": Augmentation(flip=True),
    "mild": Augmentation(flip=True, turn=8, zoom=0.1, shift=0.06, light=0.15),
    "ours": Augmentation(flip=True, turn=12, shear=6, zoom=0.12, shift=0.08, light=0.2, erase=0.3),
    "strong": Augmentation(flip=True, turn=15, shear=8, zoom=0.16, shift=0.1, light=0.3, erase=0.5),
}


def by_name(name: str) -> Augmentation:
    """The augmentation of that name; BadInputError for another."""
    if name not in AUGMENTATIONS:
        raise BadInputError(f"unknown augmentation {name!r}; known are {', '.join(AUGMENTATIONS)}")
    return AUGMENTATIONS[name]


def batches(
    pixels: np.ndarray,
    targets: np.ndarray,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    first_epoch: int = 0,
    epochs: int = 1,
):
    """A `tf.data.Dataset` of `epochs` shuffled passes of (faces, targets) batches.

    pixels: uint8 (n, 48, 48); targets: float32 (n, classes). Faces come out float32
    (batch, 48, 48, 1) in 0..255. The rows that do not fill a last batch are left out of that pass;
    each pass has another order. Passes are numbered from `first_epoch`, so a run that goes on after
    a stop sees what it would have seen.
    """
    import_keras()  # quietly, before TensorFlow's own import would speak
    import tensorflow as tf

    n = len(pixels)
    batch_size = min(batch_size, n)
    pictures = tf.constant(pixels[..., None])
    wanted = tf.constant(targets.astype(np.float32))
    steps = n // batch_size

    def order(epoch):
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(n), seed=[seed, epoch])
        return tf.data.Dataset.from_tensor_slices(
            tf.reshape(shuffled[: steps * batch_size], (steps, batch_size))
        )

    def batch(number, rows):
        faces = tf.cast(tf.gather(pictures, rows), tf.float32)
        return augment(faces, augmentation, (seed, number)), tf.gather(wanted, rows)

    rows = tf.data.Dataset.range(first_epoch, first_epoch + epochs).flat_map(order)
    counted = rows.enumerate(start=first_epoch * steps)
    return counted.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def augment(faces, augmentation: Augmentation, seed: tuple):
    """A batch of faces, each changed by its own random amounts.

    faces: float32 tensor (batch, h, w, 1) in 0..255, the same out. seed: two integers.
    """
    import tensorflow as tf

    count, height, width = tf.shape(faces)[0], faces.shape[1], faces.shape[2]
    seed = [seed[0], tf.cast(seed[1], tf.int32)]
    draws = tf.random.stateless_uniform((13, count), seed, minval=-1, maxval=1)

    moves = (augmentation.turn, augmentation.shear, augmentation.zoom, augmentation.shift)
    if augmentation.flip or any(moves):
        faces = _transform(faces, augmentation, draws, height, width)
    if augmentation.light:
        contrast = (1 + augmentation.light * draws[6])[:, None, None, None]
        brightness = (128 * augmentation.light * draws[7])[:, None, None, None]
        mean = tf.reduce_mean(faces, axis=(1, 2, 3), keepdims=True)
        faces = tf.clip_by_value((faces - mean) * contrast + mean + brightness, 0, 255)
    if augmentation.erase:
        faces = _erase(faces, augmentation, draws, height, width)
    return faces


def _transform(faces, augmentation: Augmentation, draws, height: int, width: int):
    """Turn, shear, zoom, flip and shift as one transform around the centre; edges are repeated."""
    import tensorflow as tf

    radians = np.pi / 180
    turn, shear = augmentation.turn * radians * draws[0], augmentation.shear * radians * draws[1]
    zoom_x, zoom_y = 1 + augmentation.zoom * draws[2], 1 + augmentation.zoom * draws[3]
    flip = tf.where(draws[8] < 0, -1.0, 1.0) if augmentation.flip else tf.ones_like(turn)
    a, b = tf.cos(turn) * zoom_x * flip, -tf.sin(turn + shear) * zoom_y
    c, d = tf.sin(turn) * zoom_x * flip, tf.cos(turn + shear) * zoom_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    move_x = centre_x - a * centre_x - b * centre_y + augmentation.shift * width * draws[4]
    move_y = centre_y - c * centre_x - d * centre_y + augmentation.shift * height * draws[5]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=faces,
        transforms=tf.stack([a, b, move_x, c, d, move_y, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _erase(faces, augmentation: Augmentation, draws, height: int, width: int):
    """Cover a rectangle of up to a third of each side with mid gray (random erasing, Zhong et al. 2017)."""
    import tensorflow as tf

    half = (0.05 + 0.12 * (draws[9] + 1) / 2)[:, None, None, None]
    x = (draws[10][:, None, None, None] + 1) / 2
    y = (draws[11][:, None, None, None] + 1) / 2
    columns = tf.reshape(tf.range(width, dtype=tf.float32) / width, (1, 1, width, 1))
    rows = tf.reshape(tf.range(height, dtype=tf.float32) / height, (1, height, 1, 1))
    chosen = (draws[12] + 1) / 2 < augmentation.erase
    inside = (tf.abs(columns - x) < half) & (tf.abs(rows - y) < half) & chosen[:, None, None, None]
    return tf.where(inside, 127.5, faces)
