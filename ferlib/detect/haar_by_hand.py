"""A Haar cascade taken apart: OpenCV's cascade file evaluated in numpy, stage by stage.

For the lesson, not for speed; `faces.detect_faces` is the detector. The method is that of P. Viola and
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
    """One weak classifier: a feature's value against a threshold gives one of two votes.

    `rectangles`: int (r, 4) x, y, width, height in the window; `weights`: float (r,), one a rectangle; the
    value is the weighted sum of the rectangles' pixel sums, divided by the window's contrast.
    """

    rectangles: np.ndarray
    weights: np.ndarray
    threshold: float
    below: float
    above: float


@dataclass(frozen=True)
class Stage:
    """A sum of votes: a window whose sum is below `threshold` is no face and is looked at no more."""

    stumps: tuple[Stump, ...]
    threshold: float


def read_stages(name: str = "frontalface_default") -> list[Stage]:
    """The stages of one of OpenCV's cascades of stumps over windows of 24×24 pixels, first to last.

    Raises BadInputError for an unknown name, and for a cascade of deeper trees or tilted features
    (`frontalface_alt2` is one).
    """
    file = Path(cv2.data.haarcascades) / f"haarcascade_{Path(name).name}.xml"
    if not file.is_file():
        raise BadInputError(f"no cascade named {name!r} comes with OpenCV; try 'frontalface_default'")
    root = ET.parse(file).getroot().find("cascade")
    features = []
    for feature in root.find("features"):
        if feature.findtext("tilted", "0").strip() == "1":
            raise BadInputError(f"cascade {name!r} has tilted features; try 'frontalface_default'")
        table = np.array([rect.text.replace(",", " ").split() for rect in feature.find("rects")], np.float64)
        features.append((table[:, :4].astype(int), table[:, 4]))
    stages = []
    for stage in root.find("stages"):
        stumps = []
        for weak in stage.find("weakClassifiers"):
            node = weak.findtext("internalNodes").split()
            if len(node) != 4:
                raise BadInputError(f"cascade {name!r} votes by trees, not stumps; try 'frontalface_default'")
            below, above = map(float, weak.findtext("leafValues").split())
            stumps.append(Stump(*features[int(node[2])], float(node[3]), below, above))
        stages.append(Stage(tuple(stumps), float(stage.findtext("stageThreshold"))))
    return stages


def integral(gray: np.ndarray) -> np.ndarray:
    """The integral image: int64 (h + 1, w + 1); entry (y, x) sums the pixels above and left of it."""
    sums = np.zeros((gray.shape[0] + 1, gray.shape[1] + 1), np.int64)
    sums[1:, 1:] = gray.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    return sums


def rectangle_sum(sums: np.ndarray, x, y, width, height):
    """The sum of the pixels in a rectangle, by four look-ups in an integral image; x and y may be arrays."""
    return sums[y + height, x + width] - sums[y, x + width] - sums[y + height, x] + sums[y, x]


def survivors(gray: np.ndarray, stages: list[Stage], step: int = 2) -> list[np.ndarray]:
    """The 24×24 windows of one gray picture that are left before the first stage and after each one.

    A list of len(stages) + 1 arrays, int (n, 2): x, y of the windows' upper left corners, at first every
    `step` pixels. As in OpenCV, a window's contrast is the standard deviation of its inner 22×22 pixels.
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
    """The levels of the scale pyramid: (how much smaller, width, height of the shrunken picture).

    The window stays 24×24; the picture shrinks by `scale_factor` until the window no longer fits.
    `smallest`: the least side of a face in pixels.
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
    """The boxes, in the picture's pixels, that are left over all levels of the pyramid, stage by stage.

    A list of len(stages) + 1 lists; the last one holds what OpenCV gives with
    `min_neighbors=0`, and a few more: OpenCV also passes over the neighbour of a window that falls in the
    first stage.
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
