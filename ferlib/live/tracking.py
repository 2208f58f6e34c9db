"""Faces followed from frame to frame by overlap, and their probabilities made calmer over time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ferlib.common.boxes import Box, match_boxes
from ferlib.common.errors import BadInputError
from ferlib.model.recognise import FaceReading


class Tracker:
    """Gives boxes a number that stays with their face from frame to frame.

    A box is the same face as a box of an earlier frame when they overlap by an IoU of at least `least`; the
    best overlaps are taken first, each box once. A face that is not seen in more than `patience` frames is
    lost: its number does not come again. Raises BadInputError for values that make no sense.
    """

    def __init__(self, least: float = 0.3, patience: int = 12):
        if not 0 < least <= 1 or patience < 0:
            raise BadInputError(
                f"least {least}, patience {patience}: give an IoU above 0 and at most 1, and 0 frames or more"
            )
        self._least, self._patience = least, patience
        self._known: dict[int, tuple[Box, int]] = {}  # number -> (last box, frames since)
        self._next = 1

    @property
    def alive(self) -> tuple[int, ...]:
        """The numbers of faces that are not lost, in the order in which they first came."""
        return tuple(self._known)

    def update(self, boxes: Sequence[Box]) -> list[int]:
        """The number of each box of the next frame, from 1."""
        numbers = list(self._known)
        known = [self._known[number][0] for number in numbers]
        found = {j: numbers[i] for i, j, _ in match_boxes(known, boxes, self._least)}
        result = []
        for j in range(len(boxes)):
            if j not in found:
                found[j], self._next = self._next, self._next + 1
            result.append(found[j])
        seen = set(result)
        aged = {n: (box, age + 1) for n, (box, age) in self._known.items() if n not in seen}
        self._known = {
            **{n: (box, age) for n, (box, age) in aged.items() if age <= self._patience},
            **{n: (tuple(box), 0) for n, box in zip(result, boxes, strict=True)},
        }
        self._known = dict(sorted(self._known.items()))
        return result


class Follower:
    """Readings of frames, one frame after the other: numbered by face, probabilities smoothed per face.

    Each new answer counts by `weight`, in (0, 1], and the past of the same face by the rest, see `smooth`;
    1 leaves the answers as they are. A face that comes back before it is lost goes on where it was.
    """

    def __init__(self, weight: float = 0.3, least: float = 0.3, patience: int = 12):
        check_weight(weight)
        self._weight, self._tracker = weight, Tracker(least, patience)
        self._past: dict[int, dict[str, float]] = {}

    def update(self, readings: Sequence[FaceReading]) -> list[FaceReading]:
        """The readings of the next frame with `track` set, calmer probabilities, and the emotion of these."""
        numbers = self._tracker.update([reading.box for reading in readings])
        followed = [self._calm(reading, n) for reading, n in zip(readings, numbers, strict=True)]
        alive = set(self._tracker.alive)
        self._past = {n: past for n, past in self._past.items() if n in alive}
        return followed

    def _calm(self, reading: FaceReading, number: int) -> FaceReading:
        past = self._past.get(number, reading.probabilities)
        new = {
            name: self._weight * p + (1 - self._weight) * past[name]
            for name, p in reading.probabilities.items()
        }
        self._past[number] = new
        return replace(reading, emotion=max(new, key=new.get), probabilities=new, track=number)


def check_weight(weight: float) -> None:
    """Raise BadInputError for a weight outside (0, 1]."""
    if not 0 < weight <= 1:
        raise BadInputError(f"weight {weight}: must lie above 0 and at most at 1")


def smooth(probabilities: np.ndarray, weight: float = 0.3) -> np.ndarray:
    """Rows of probabilities over time, (n, k), made calmer: each row is `weight` new and the rest old.

    The exponential moving average; the first row stays, rows still sum to one. `weight` in (0, 1],
    1 changes nothing. Raises BadInputError for another weight.
    """
    check_weight(weight)
    calm = np.array(probabilities, dtype=np.float64)
    for k in range(1, len(calm)):
        calm[k] = weight * calm[k] + (1 - weight) * calm[k - 1]
    return calm
