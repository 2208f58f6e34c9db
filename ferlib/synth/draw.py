"""From a `Face` to a picture: background, shoulders, head, camera."""

from collections.abc import Sequence

import cv2
import numpy as np

from ferlib.common.boxes import Box
from ferlib.common.labels import SEVEN
from ferlib.synth.anatomy import SKIN_TONES, Face, check_face, check_whole, sample_face
from ferlib.synth.backdrop import background
from ferlib.synth.grid import linear
from ferlib.synth.render import paint_person

SMALLEST, LARGEST = 32, 1024
"""Limits of the size of a picture that `draw_face` draws, in pixels."""


def face_box(face: Face, size: int = 96) -> Box:
    """Compute the box of the face in the picture that `draw_face` draws.

    Args:
        face: The face.
        size: Width and height of the picture in pixels, 32 to 1024.

    Returns:
        (x, y, width, height) in pixels, inside the picture: a square from above the brows to the chin, about that of
        OpenCV's frontal Haar cascade.

    Raises:
        BadInputError: The size is not a whole number from 32 to 1024.
    """
    size = check_whole("size", size, SMALLEST, LARGEST)
    side = min(size, round(face.scale * size))
    x = round((0.5 + face.shift[0]) * size - side / 2)
    y = round((0.5 + face.shift[1]) * size - side / 2)
    return min(max(x, 0), size - side), min(max(y, 0), size - side), side, side


def camera(
    canvas: np.ndarray, rng: np.random.Generator, face: Face, metered: float, blur: float, noise: float
) -> np.ndarray:
    """Take a camera's picture of a scene in linear light.

    Args:
        canvas: Linear RGB, float32 (h, w, 3).
        rng: Source of the random numbers.
        face: Its exposure and contrast are used.
        metered: Factor of the automatic exposure, as `metering` gives it.
        blur: Standard deviation of the blur in pixels.
        noise: Standard deviation of the noise in levels of 255.

    Returns:
        RGB, uint8 (h, w, 3).
    """
    if blur > 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
    image = np.sqrt(np.maximum(canvas * np.float32(face.exposure * metered * 1.15), 0))
    image = image / np.sqrt(1 + np.float32(0.18) * image * image * image * image)  # highlights roll off
    image = (image - np.float32(0.45)) * np.float32(face.contrast) + np.float32(0.45)
    pale = image.mean(axis=2, keepdims=True)  # contrast has made colours stronger; take that back
    image += np.float32(0.22) * (pale - image)
    image *= 255
    grain = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None]
    image += grain * np.float32(noise)
    image += 0.5
    return np.clip(image, 0, 255).astype(np.uint8)


def metering(faces: Sequence[Face]) -> float:
    """Compute a camera's automatic exposure, which goes half the way to the same brightness for all faces.

    Args:
        faces: The faces in the picture.

    Returns:
        Factor of the exposure, 0.6 to 2.6.
    """
    light = [float(linear(SKIN_TONES[face.skin]).mean()) for face in faces]
    return float(np.clip((0.34 / np.mean(light)) ** 0.5, 0.6, 2.6))


def draw_face(face: Face, size: int = 96, rng: np.random.Generator | None = None) -> np.ndarray:
    """Draw one face in front of a background. The same face gives the same bytes.

    Args:
        face: The face.
        size: Width and height in pixels, 32 to 1024.
        rng: Source of the random numbers for background and camera noise; None takes the face's own seed.

    Returns:
        RGB, uint8 (size, size, 3).

    Raises:
        BadInputError: An unknown action unit, name or index in the face, or a size outside 32 to 1024.

    Example:
        >>> smile = synth.Face(aus={6: 1.0, 12: 1.0})  # cheek raiser and lip corner puller
        >>> image = synth.draw_face(smile, 160)
    """
    size = check_whole("size", size, SMALLEST, LARGEST)
    check_face(face)
    if rng is None:
        rng = np.random.default_rng([face.seed, 1])
    metered = metering([face])
    canvas = background(rng, face.background, size, size) / np.float32(metered)
    box = face.scale * size
    paint_person(canvas, rng, face, ((0.5 + face.shift[0]) * size, (0.5 + face.shift[1]) * size), box)
    return camera(canvas, rng, face, metered, face.softness * box / 1000, face.noise)


def sample_faces(count: int, seed: int) -> list[Face]:
    """Sample faces with the seven expressions in equal numbers, in random order.

    Args:
        count: How many faces.
        seed: Seed of the random numbers; face k of a seed is the same whatever `count` is.

    Returns:
        The faces. If `count` is not a multiple of seven, some expressions have one face more than others.

    Raises:
        BadInputError: The count or seed is not a whole number from 0 up.
    """
    seed, faces = check_whole("seed", seed), []
    for k in range(check_whole("count", count)):
        order = np.random.default_rng([seed, k // 7, 7]).permutation(7)
        faces.append(sample_face(np.random.default_rng([seed, k]), SEVEN[order[k % 7]]))
    return faces


def draw_faces(count: int, seed: int, size: int = 96) -> tuple[np.ndarray, list[str]]:
    """Sample and draw faces, with the seven expressions in equal numbers.

    Args:
        count: How many faces.
        seed: Seed of the random numbers.
        size: Width and height of the pictures in pixels, 32 to 1024.

    Returns:
        The images, RGB uint8 (count, size, size, 3), and their emotions.

    Raises:
        BadInputError: The count or seed is not a whole number from 0 up, or the size is outside 32 to 1024.
    """
    size = check_whole("size", size, SMALLEST, LARGEST)
    faces = sample_faces(count, seed)
    images = np.empty((count, size, size, 3), np.uint8)
    for image, face in zip(images, faces, strict=True):
        image[:] = draw_face(face, size)
    return images, [face.emotion for face in faces]
