"""One colour per class, distinguishable for colour-blind readers, and the text colour that is readable on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle

import numpy as np

EMOTION_COLOURS: dict[str, tuple[int, int, int]] = {
    "angry": (213, 94, 0),
    "disgust": (2, 158, 115),
    "fear": (204, 120, 188),
    "happy": (236, 225, 51),
    "sad": (1, 115, 178),
    "surprise": (86, 180, 233),
    "neutral": (148, 148, 148),
    "contempt": (251, 175, 228),
    "rest": (202, 145, 97),
}
"""RGB, from seaborn's "colorblind" palette; figures always name the class beside its colour."""


_DARK, _LIGHT = (20, 20, 20), (255, 255, 255)


def colours_of(class_names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Choose a colour for each class.

    Args:
        class_names: The classes; other names than the known ones get the colours that are left.

    Returns:
        Class name to RGB, 0 to 255.
    """
    names = list(class_names)
    left = [colour for name, colour in EMOTION_COLOURS.items() if name not in names]
    others = cycle(left or EMOTION_COLOURS.values())
    return {name: EMOTION_COLOURS[name] if name in EMOTION_COLOURS else next(others) for name in names}


def ink_on(colour: Sequence[int]) -> tuple[int, int, int]:
    """Choose dark or light text for a background, whichever has more contrast (WCAG 2).

    Args:
        colour: The background, RGB, 0 to 255.

    Returns:
        The text colour, RGB, 0 to 255.
    """
    return max((_DARK, _LIGHT), key=lambda ink: contrast(ink, colour))


def contrast(first: Sequence[int], second: Sequence[int]) -> float:
    """Compute WCAG 2's contrast ratio of two colours.

    Args:
        first: RGB, 0 to 255.
        second: RGB, 0 to 255.

    Returns:
        1 to 21; text needs 4.5.
    """
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Sequence[int]) -> float:
    parts = np.asarray(colour, dtype=np.float64) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
