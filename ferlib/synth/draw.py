"""From a `Face` to a picture: background, shoulders, head, camera."""

import cv2
import numpy as np

from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.synth.anatomy import SKIN_TONES, Face, check_face, check_seed, sample_face
from ferlib.synth.backdrop import background, shoulders
from ferlib.synth.features import linear
from ferlib.synth.render import BOX_MM, paint_head

SMALLEST, LARGEST = 32, 1024
"""The sizes of a picture that `draw_face` draws, in pixels."""


def _check_size(size: int) -> int:
    if not isinstance(size, int | np.integer) or not SMALLEST <= size <= LARGEST:
        raise BadInputError(f"size {size!r} is not a whole number from {SMALLEST} to {LARGEST}")
    return int(size)


def face_box(face: Face, size: int = 96) -> tuple[int, int, int, int]:
    """The face's box (x, y, width, height) in the picture `draw_face(face, size)`, wholly inside it.

    From above the brows to the chin, about the square that OpenCV's frontal Haar cascade returns.
    """
    size = _check_size(size)
    side = min(size, round(face.scale * size))
    x = round((0.5 + face.shift[0]) * size - side / 2)
    y = round((0.5 + face.shift[1]) * size - side / 2)
    return min(max(x, 0), size - side), min(max(y, 0), size - side), side, side


def camera(canvas: np.ndarray, rng: np.random.Generator, exposure: float, contrast: float, blur: float,
           noise: float) -> np.ndarray:  # fmt: skip
    """A camera's picture of linear light: uint8 RGB. `blur` in pixels, `noise` in levels of 255."""
    if blur > 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
    picture = np.sqrt(np.maximum(canvas * np.float32(exposure * 1.15), 0))
    picture = picture / np.sqrt(
        1 + np.float32(0.18) * picture * picture * picture * picture
    )  # highlights roll off
    picture = (picture - np.float32(0.45)) * np.float32(contrast) + np.float32(0.45)
    pale = picture.mean(axis=2, keepdims=True)  # contrast has made colours stronger; take that back
    picture += np.float32(0.22) * (pale - picture)
    picture *= 255
    grain = rng.standard_normal(picture.shape[:2], dtype=np.float32)[..., None]
    picture += grain * np.float32(noise)
    picture += 0.5
    return np.clip(picture, 0, 255).astype(np.uint8)


def metering(faces) -> float:
    """How a camera's automatic exposes for faces: a factor that goes half the way to the same brightness."""
    light = [float(linear(SKIN_TONES[face.skin]).mean()) for face in faces]
    return float(np.clip((0.34 / np.mean(light)) ** 0.5, 0.6, 2.6))


def draw_face(face: Face, size: int = 96, rng: np.random.Generator | None = None) -> np.ndarray:
    """One face before a background: uint8 (size, size, 3), RGB; the same face gives the same bytes.

    `rng` makes background and camera noise differ from those of the face's own seed.
    Raises BadInputError for an unknown action unit or name in the face, or a size outside 32..1024.
    """
    size = _check_size(size)
    check_face(face)
    if rng is None:
        rng = np.random.default_rng([face.seed, 1])
    exposure = metering([face])
    canvas = background(rng, face.background, size, size) / np.float32(exposure)
    centre = ((0.5 + face.shift[0]) * size, (0.5 + face.shift[1]) * size)
    box = face.scale * size
    shoulders(canvas, rng, face, centre, box / BOX_MM)
    paint_head(canvas, face, centre, box)
    return camera(
        canvas, rng, face.exposure * exposure, face.contrast, face.softness * box / 1000, face.noise
    )


def sample_faces(count: int, seed: int) -> list[Face]:
    """`count` faces from a seed, the seven expressions as equally often as the number allows, mixed.

    Face k of a seed is the same whatever `count` is. Raises BadInputError for a count or seed below 0.
    """
    if not isinstance(count, int | np.integer) or count < 0:
        raise BadInputError(f"count {count!r} is not a whole number from 0 up")
    seed, faces = check_seed(seed), []
    for k in range(count):
        order = np.random.default_rng([seed, k // 7, 7]).permutation(7)
        faces.append(sample_face(np.random.default_rng([seed, k]), SEVEN[order[k % 7]]))
    return faces


def draw_faces(count: int, seed: int, size: int = 96) -> tuple[np.ndarray, list[str]]:
    """Many faces: (images uint8 (count, size, size, 3) RGB, their emotions), balanced as `sample_faces` says."""
    size = _check_size(size)
    faces = sample_faces(count, seed)
    images = np.empty((count, size, size, 3), np.uint8)
    for image, face in zip(images, faces, strict=True):
        image[:] = draw_face(face, size)
    return images, [face.emotion for face in faces]
