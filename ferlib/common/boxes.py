"""Boxes: overlap, clamping, turning, matching.

A *box* is (x, y, width, height) in integer pixels; x grows to the right, y downwards; the pixel column
x + width is the first one outside.
"""

from collections.abc import Sequence

Box = tuple[int, int, int, int]


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Compute the intersection over union of two boxes.

    Args:
        a: (x, y, width, height).
        b: (x, y, width, height).

    Returns:
        0.0 (disjoint, or without area) to 1.0 (the same box).
    """
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    either = a[2] * a[3] + b[2] * b[3] - both
    return float(both / either) if either > 0 else 0.0


def clamp_box(box: Sequence[int], width: int, height: int) -> Box:
    """Clamp a box to a picture.

    Args:
        box: (x, y, width, height) in pixels.
        width: Of the picture.
        height: Of the picture.

    Returns:
        The part of the box inside the picture; with a side of 0 where nothing is left.
    """
    x, y, w, h = box
    left, top = min(max(x, 0), width), min(max(y, 0), height)
    right, bottom = min(max(x + w, left), width), min(max(y + h, top), height)
    return int(left), int(top), int(right - left), int(bottom - top)


def grow_box(box: Sequence[int], margin: float) -> Box:
    """Grow a box on all sides.

    Args:
        box: (x, y, width, height) in pixels.
        margin: The share of the width added left and right, and of the height above and below.

    Returns:
        The larger box; it may reach outside the picture.
    """
    x, y, w, h = box
    dx, dy = round(w * margin), round(h * margin)
    return int(x - dx), int(y - dy), int(w + 2 * dx), int(h + 2 * dy)


def turn_box(box: Sequence[int], orientation: int, width: int, height: int) -> Box:
    """Move a box from a picture as stored to the picture turned as its EXIF says.

    Args:
        box: (x, y, width, height) in pixels of the stored picture.
        orientation: EXIF's number 1 to 8 (Exif 2.3, tag 0x0112); any other number leaves the box as it is.
        width: Of the stored picture.
        height: Of the stored picture.

    Returns:
        The box in the turned picture.
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
    x, y, w, h = turned.get(orientation, (x, y, w, h))
    return int(x), int(y), int(w), int(h)


def match_boxes(truth: Sequence, found: Sequence, least: float = 0.5) -> list[tuple[int, int, float]]:
    """Match true boxes with found ones, each box used once, the best overlap first.

    Args:
        truth: The true boxes.
        found: The boxes found.
        least: The smallest IoU of a match; 0.5 is that of the PASCAL VOC challenge (Everingham et al. 2010).

    Returns:
        (index in `truth`, index in `found`, IoU) per match.
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
