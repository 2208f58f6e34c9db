"""Boxes as plain geometry: overlap, clamping, turning, matching.

A *box* is (x, y, width, height) in whole pixels; x grows to the right, y downwards; the pixel column
x + width is the first one outside.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Box = tuple[int, int, int, int]


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes: 0.0 (apart, or without area) to 1.0 (the same box)."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    either = a[2] * a[3] + b[2] * b[3] - both
    return float(both / either) if either > 0 else 0.0


def clamp_box(box: Sequence[int], width: int, height: int) -> Box:
    """The part of a box inside a picture of `width` × `height`; a side of 0 means that nothing is left."""
    x, y, w, h = box
    left, top = min(max(x, 0), width), min(max(y, 0), height)
    right, bottom = min(max(x + w, left), width), min(max(y + h, top), height)
    return int(left), int(top), int(right - left), int(bottom - top)


def grow_box(box: Sequence[int], margin: float) -> Box:
    """A box with `margin` × its width added left and right, `margin` × its height above and below."""
    x, y, w, h = box
    dx, dy = round(w * margin), round(h * margin)
    return int(x - dx), int(y - dy), int(w + 2 * dx), int(h + 2 * dy)


def turn_box(box: Sequence[int], orientation: int, width: int, height: int) -> Box:
    """A box drawn on a picture as stored (`width` × `height`), moved to the picture turned by EXIF.

    `orientation` is EXIF's number 1 to 8 (Exif 2.3, tag 0x0112); any other number leaves the box as it is.
    """
    x, y, w, h = box
    right, bottom = width - x - w, height - y - h  # the distances from the other two edges
    turned = {
        2: (right, y, w, h),
        3: (right, bottom, w, h),
        4: (x, bottom, w, h),
        5: (y, x, h, w),
        6: (bottom, x, h, w),
        7: (bottom, right, h, w),
        8: (y, right, h, w),
    }
    return tuple(int(v) for v in turned.get(orientation, (x, y, w, h)))


def match_boxes(truth: Sequence, found: Sequence, least: float = 0.5) -> list[tuple[int, int, float]]:
    """Pairs (index in truth, index in found, IoU), each box used once, the best overlap first.

    Pairs below `least` do not count; 0.5 is the threshold of the PASCAL VOC challenge (Everingham 2010).
    """
    pairs = [(iou(t, f), i, j) for i, t in enumerate(truth) for j, f in enumerate(found)]
    pairs = sorted((p for p in pairs if p[0] >= least and p[0] > 0), key=lambda p: (-p[0], p[1], p[2]))
    used_truth, used_found, matches = set(), set(), []
    for overlap, i, j in pairs:
        if i not in used_truth and j not in used_found:
            used_truth.add(i)
            used_found.add(j)
            matches.append((i, j, overlap))
    return matches


def score_boxes(truth: Mapping[str, Sequence], found: Mapping[str, Sequence], least: float = 0.5) -> dict:
    """How well found boxes fit the true ones, over all pictures of `truth` (picture name to boxes).

    Gives hits, false_hits, missed (counts) and precision, recall (0 to 1; nan where nothing was found, or
    nothing was there to find).
    """
    hits = sum(len(match_boxes(boxes, found.get(name, ()), least)) for name, boxes in truth.items())
    n_truth = sum(len(boxes) for boxes in truth.values())
    n_found = sum(len(found.get(name, ())) for name in truth)
    return {
        "hits": hits,
        "false_hits": n_found - hits,
        "missed": n_truth - hits,
        "precision": hits / n_found if n_found else np.nan,
        "recall": hits / n_truth if n_truth else np.nan,
    }
