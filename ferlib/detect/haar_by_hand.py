"""A Haar cascade by hand: OpenCV's cascade file evaluated in numpy, stage by stage.

For the lesson, not for speed; `detector.detect_faces` is the detector. The method is that of P. Viola and
M. Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import BadInputError


@dataclass(frozen=True)
class Stump:
    """One weak classifier: the value of a feature is compared with a threshold and gives one of two votes.

    The value is the weighted sum of the rectangles' pixel sums, divided by the window's contrast.

    Attributes:
        rectangles: int (r, 4): x, y, width, height in the window.
        weights: float (r,): one per rectangle.
        threshold: What the value is compared with.
        below: The vote of a value below the threshold.
        above: The vote of any other value.
    """

    rectangles: np.ndarray
    weights: np.ndarray
    threshold: float
    below: float
    above: float


@dataclass(frozen=True)
class Stage:
    """A sum of votes: a window whose sum is below the threshold is rejected.

    Attributes:
        stumps: The weak classifiers that vote.
        threshold: The smallest sum of votes that passes.
    """

    stumps: tuple[Stump, ...]
    threshold: float


def read_stages(name: str = "frontalface_default") -> list[Stage]:
    """Read one of OpenCV's cascades of stumps over windows of 24×24 pixels.

    Args:
        name: The cascade's name, without `haarcascade_` and `.xml`.

    Returns:
        The stages, first to last.

    Raises:
        BadInputError: The name is unknown, or the cascade has deeper trees or tilted features
            (`frontalface_alt2` has).
    """
    file = Path(cv2.data.haarcascades) / f"haarcascade_{Path(name).name}.xml"
    if not file.is_file():
        raise BadInputError(f"no cascade named {name!r} comes with OpenCV; try 'frontalface_default'")
    root = ET.parse(file).getroot()
    features = []
    for feature in root.iterfind("cascade/features/_"):
        if feature.findtext("tilted", "0").strip() == "1":
            raise BadInputError(f"cascade {name!r} has tilted features; try 'frontalface_default'")
        rows = [(rect.text or "").replace(",", " ").split() for rect in feature.iterfind("rects/_")]
        table = np.array(rows, np.float64)
        features.append((table[:, :4].astype(int), table[:, 4]))
    stages = []
    for stage in root.iterfind("cascade/stages/_"):
        stumps = []
        for weak in stage.iterfind("weakClassifiers/_"):
            node = weak.findtext("internalNodes", "").split()
            if len(node) != 4:
                raise BadInputError(f"cascade {name!r} votes by trees, not stumps; try 'frontalface_default'")
            below, above = map(float, weak.findtext("leafValues", "").split())
            stumps.append(Stump(*features[int(node[2])], float(node[3]), below, above))
        stages.append(Stage(tuple(stumps), float(stage.findtext("stageThreshold", ""))))
    return stages


def integral(gray: np.ndarray) -> np.ndarray:
    """Compute the integral image.

    Args:
        gray: (height, width), integers.

    Returns:
        int64 (height + 1, width + 1); entry (y, x) is the sum of the pixels above and left of it.
    """
    sums = np.zeros((gray.shape[0] + 1, gray.shape[1] + 1), np.int64)
    sums[1:, 1:] = gray.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    return sums


def rectangle_sum(
    sums: np.ndarray, x: int | np.ndarray, y: int | np.ndarray, width: int, height: int
) -> np.ndarray:
    """Sum the pixels of a rectangle with four look-ups.

    Args:
        sums: An integral image from `integral`.
        x: Left edge, or an array of left edges.
        y: Upper edge, or an array of upper edges.
        width: Of the rectangle, in pixels.
        height: Of the rectangle, in pixels.

    Returns:
        The sum, or one per entry of `x` and `y`.
    """
    return sums[y + height, x + width] - sums[y, x + width] - sums[y + height, x] + sums[y, x]


def survivors(gray: np.ndarray, stages: list[Stage], step: int = 2) -> list[np.ndarray]:
    """Find the 24×24 windows of a picture that survive each stage.

    As in OpenCV, a window's contrast is the standard deviation of its inner 22×22 pixels.

    Args:
        gray: uint8 (height, width).
        stages: The stages from `read_stages`.
        step: Distance of neighbouring windows, in pixels.

    Returns:
        len(stages) + 1 arrays, int (n, 2): x, y of the upper left corners of all windows, and of those that
        are left after each stage.
    """
    height, width = gray.shape
    ys, xs = np.mgrid[0 : max(height - 23, 0) : step, 0 : max(width - 23, 0) : step]
    x, y = xs.ravel(), ys.ravel()
    sums, squares = integral(gray), integral(gray.astype(np.int64) ** 2)
    inner = (x + 1, y + 1, 22, 22)
    spread = 22 * 22 * rectangle_sum(squares, *inner) - rectangle_sum(sums, *inner) ** 2
    contrast = np.sqrt(np.maximum(spread, 1))  # 484 × the standard deviation
    left = [np.stack([x, y], axis=1)]
    for stage in stages:
        votes = np.zeros(len(x))
        for stump in stage.stumps:
            value = sum(
                weight * rectangle_sum(sums, x + rx, y + ry, rw, rh)
                for (rx, ry, rw, rh), weight in zip(stump.rectangles, stump.weights, strict=True)
            )
            votes += np.where(value / contrast < stump.threshold, stump.below, stump.above)
        keep = votes >= stage.threshold - 1e-5  # OpenCV's own allowance
        x, y, contrast = x[keep], y[keep], contrast[keep]
        left.append(np.stack([x, y], axis=1))
    return left


def pyramid(width: int, height: int, scale_factor: float = 1.1, smallest: int = 24) -> list[tuple]:
    """Compute the levels of the scale pyramid.

    The window stays 24×24; the picture shrinks by `scale_factor` until the window no longer fits.

    Args:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        scale_factor: How much the picture shrinks per level, over 1.
        smallest: The side of the smallest face, in pixels.

    Returns:
        (factor by which the picture is smaller, its width, its height) per level.

    Raises:
        BadInputError: `scale_factor` is 1 or less.
    """
    if not scale_factor > 1:
        raise BadInputError(f"scale_factor {scale_factor} must be over 1")
    levels, factor = [], 1.0
    while round(24 * factor) <= min(width, height):
        if round(24 * factor) >= smallest:
            levels.append((factor, round(width / factor), round(height / factor)))
        factor *= scale_factor
    return levels


def all_survivors(
    gray: np.ndarray, stages: list[Stage], scale_factor: float = 1.1, smallest: int = 30
) -> list[list[Box]]:
    """Find the windows that survive each stage, over all levels of the pyramid.

    Args:
        gray: uint8 (height, width).
        stages: The stages from `read_stages`.
        scale_factor: How much the picture shrinks per level, over 1.
        smallest: The side of the smallest face, in pixels.

    Returns:
        len(stages) + 1 lists of boxes (x, y, width, height) in pixels of the picture. The last one has what
        OpenCV returns with `min_neighbors=0`, and a few more: OpenCV also skips the neighbour of a window that
        is rejected by the first stage.
    """
    height, width = gray.shape
    left: list[list] = [[] for _ in range(len(stages) + 1)]
    for factor, level_width, level_height in pyramid(width, height, scale_factor, smallest):
        level = cv2.resize(gray, (level_width, level_height), interpolation=cv2.INTER_LINEAR_EXACT)
        side = round(24 * factor)
        for boxes, corners in zip(left, survivors(level, stages, 1 if factor >= 2 else 2), strict=True):
            hits = [(round(x * factor), round(y * factor), side, side) for x, y in corners.tolist()]
            boxes += [clamp_box(hit, width, height) for hit in hits]
    return left
