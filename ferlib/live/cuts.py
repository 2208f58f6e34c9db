"""Hard cuts in a video: after one, a face has nothing to do with the face that was in the same place before."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import mean, median
from typing import TypeAlias

import cv2
import numpy as np

from ferlib.common import images
from ferlib.live.video import Frame
from ferlib.model.recognise import Face

MIN_CHANGE = 0.2
"""Smallest change at a cut: mean difference of two small gray frames, in standard deviations of their pixels."""

_Held: TypeAlias = tuple[Frame, list[Face], np.ndarray]  # with the small frame
_SIZE = (64, 36)
_LEAST_DEVIATION = 8.0  # of 255: the noise of a nearly uniform frame is no change
_RATIO = 3.0  # a cut changes the picture this many times as much as the motion before it
_FLASH = 0.15  # seconds: a picture that is back sooner was covered by a flash
_MOTION = 0.5  # seconds: frames further apart say nothing about motion


def mark_cuts(read: Iterable[tuple[Frame, list[Face]]]) -> Iterator[tuple[Frame, list[Face], bool]]:
    """Tell at which frames a new shot begins.

    Frames are compared as gray pictures of 64×36 pixels with mean 0 and standard deviation 1, so that a change of
    brightness counts little. (Histograms do not tell two people in front of one background apart.) A frame begins
    a new shot if it differs from the one before by at least `MIN_CHANGE`, by three times the motion before it and
    twice the motion after it, and if the old picture is not back within 0.15 s, as it is after a flash. Only after
    such a change, frames are held back for that long.

    Args:
        read: Frames with their faces.

    Yields:
        Each frame, its faces, and whether it is the first one of a new shot; never for the first frame of all.
    """
    held: list[_Held] = []  # frames since a change that may be a cut
    before, seconds = None, 0.0  # the last frame before them
    motion: deque[float] = deque(maxlen=8)
    for frame, faces in read:
        small = _small(frame.image)
        if before is not None and held and frame.seconds - held[0][0].seconds > _FLASH:
            is_cut, after = _judge(before, held)
            motion.extend(after)
            yield from _marked(held, is_cut)
            before, seconds, held = held[-1][2], held[-1][0].seconds, []
        change = 0.0 if before is None else _change(before, small)
        if change >= max(MIN_CHANGE, _RATIO * mean(motion or (0.0,))):
            held.append((frame, faces, small))
            continue
        yield from _marked(held, False)  # the old picture is back
        yield frame, faces, False
        if before is not None and frame.seconds - seconds < _MOTION:
            motion.append(change)
        before, seconds, held = small, frame.seconds, []
    if before is not None and held:
        yield from _marked(held, _judge(before, held)[0])


def _judge(before: np.ndarray, held: list[_Held]) -> tuple[bool, list[float]]:
    """Whether a change is a cut and not the start of motion; and the motion after it."""
    after = [_change(a, b) for (_, _, a), (_, _, b) in pairwise(held)]
    change = _change(before, held[0][2])
    is_cut = not after or median(after) < change / 2
    return is_cut, after if is_cut else [change, *after]


def _marked(held: list[_Held], is_cut: bool) -> Iterator[tuple[Frame, list[Face], bool]]:
    for k, (frame, faces, _) in enumerate(held):
        yield frame, faces, is_cut and k == 0


def _small(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(images.to_gray(image), _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    return (small - small.mean()) / max(float(small.std()), _LEAST_DEVIATION)


def _change(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())
