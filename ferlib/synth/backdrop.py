"""What is behind and below a head: backgrounds and shoulders."""

import cv2
import numpy as np

from ferlib.synth.anatomy import Face
from ferlib.synth.grid import linear, noise


def _dull(rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """A dull colour, such as walls have, in linear light; `low` and `high` limit its RGB."""
    return linear(0.4 * rng.integers(low, high, 3) + 0.6 * rng.integers(low, high))


def background(rng: np.random.Generator, kind: str, width: int, height: int) -> np.ndarray:
    """Draw a blurred background.

    Args:
        rng: Source of the random numbers.
        kind: One of `ferlib.synth.anatomy.BACKGROUNDS`.
        width: Width in pixels.
        height: Height in pixels.

    Returns:
        Linear RGB, float32 (height, width, 3).
    """
    shape, span = (height, width), max(width, height)
    first, second = _dull(rng, 60, 235), _dull(rng, 30, 220)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    angle = rng.uniform(0, 2 * np.pi)
    share = np.clip(0.5 + 0.45 * (np.cos(angle) * x + np.sin(angle) * y), 0, 1)
    if kind == "studio":
        share = np.clip(1 - 0.45 * (x * x + (y + 0.2) ** 2), 0, 1)
        second = first * 0.25
    picture = (first * share[..., None] + second * (1 - share[..., None])).astype(np.float32)
    if kind == "foliage":
        leaf = linear(rng.integers((40, 80, 30), (90, 130, 60)))
        depth = 0.8 + 0.6 * noise(rng, shape, span / 22) + 0.3 * noise(rng, shape, span / 55)
        picture = leaf * np.maximum(depth, 0.08)[..., None] + 0.1 * picture
    if kind in ("bokeh", "night"):
        picture = picture * (0.5 if kind == "bokeh" else 0.12)
        for _ in range(int(rng.integers(8, 20))):
            at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            glow = (0.5 * linear(rng.integers(110, 256, 3)) + 0.3).tolist()
            cv2.circle(picture, at, int(span * rng.uniform(0.02, 0.09)), glow, -1)
    if kind in ("window", "shelves"):
        window = kind == "window"
        for _ in range(3 if window else 12):
            left, top = int(rng.integers(-width // 4, width)), int(rng.integers(-height // 4, height))
            right = left + int(span * rng.uniform(*((0.2, 0.5) if window else (0.04, 0.25))))
            bottom = top + int(span * rng.uniform(*((0.3, 0.8) if window else (0.08, 0.3))))
            paint = linear(rng.integers(190, 256, 3)) if window else _dull(rng, 20, 220)
            cv2.rectangle(picture, (left, top), (right, bottom), paint.tolist(), -1)
    sigma = {"studio": 0, "wall": 0, "window": 0.02, "shelves": 0.02}.get(kind, 0.008) * span
    if sigma > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if kind == "wall":
        picture *= (1 + 0.05 * noise(rng, shape, span / 30))[..., None]
    return np.ascontiguousarray(picture, np.float32)


def shoulders(
    canvas: np.ndarray, rng: np.random.Generator, face: Face, centre: tuple[float, float], per_mm: float
) -> None:
    """Draw clothed shoulders below a head.

    Args:
        canvas: Linear RGB, float32 (h, w, 3); it is changed.
        rng: Source of the random numbers.
        face: The face; its pose and the colour of its clothes are used.
        centre: Centre of its face box (x, y) in pixels.
        per_mm: Pixels per mm.
    """
    a = np.radians(face.roll) * 0.4
    u = np.array([-34, -60, -120, -175, -205, -215, 215, 205, 175, 120, 60, 34, 0])
    v = np.array([112, 124, 140, 158, 190, 400, 400, 190, 158, 140, 124, 112, 138])
    u = u - 55 * np.sin(np.radians(face.yaw))
    x = centre[0] + (np.cos(a) * u - np.sin(a) * v) * per_mm
    y = centre[1] + (np.sin(a) * u + np.cos(a) * v - 18) * per_mm
    top = max(0, int(y.min()) - 3)
    if top >= canvas.shape[0]:
        return
    part = canvas[top:]
    mask = np.zeros(part.shape[:2], np.uint8)
    at = np.round(np.stack([x, y - top], -1) * 16).astype(np.int32)
    cv2.fillPoly(mask, [at], 255, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, 1.2 * per_mm)).astype(np.float32)[..., None] / 255
    fold = 0.75 + 0.22 * noise(rng, mask.shape, 40 * per_mm, 60 * per_mm)[..., None]
    part += soft * (linear(face.cloth) * fold * 0.75 - part)
