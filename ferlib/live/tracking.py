"""Faces that are followed from frame to frame, and their probabilities smoothed over time."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ferlib.common.boxes import Box, match_boxes
from ferlib.common.errors import BadInputError
from ferlib.model.recognise import Face


@dataclass
class _Track:
    box: Box
    probabilities: dict[str, float]
    seconds: float
    missed: int = 0


class FaceTracker:
    """Follow the faces of a stream of frames: give each face a number and smooth its probabilities.

    A box belongs to the same face as a box of an earlier frame if their IoU is at least `min_iou`; the best
    overlaps are matched first, each box once. Probabilities are smoothed per face by an exponential moving
    average: the new ones count by `weight`, the face's past by the rest.

    Args:
        weight: Weight of the newest frame, above 0 and at most 1; 1 does not smooth.
        min_iou: Smallest overlap of the same face in two frames, above 0 and at most 1.
        patience: A face that is missing in more frames than this is lost; its number is not used again.
        time_constant: For streams whose frames do not come evenly: seconds after which an old answer counts
            for 1/e. The weight then follows from the time between two frames, and `weight` is not used.

    Raises:
        BadInputError: A value outside its range.
    """

    def __init__(
        self,
        weight: float = 0.3,
        min_iou: float = 0.3,
        patience: int = 12,
        time_constant: float | None = None,
    ):
        if not 0 < weight <= 1:
            raise BadInputError(f"smoothing weight {weight}: it must be above 0 and at most 1")
        if not 0 < min_iou <= 1 or patience < 0:
            values = f"min_iou {min_iou}, patience {patience}"
            raise BadInputError(f"{values}: give an IoU above 0 and at most 1, and 0 frames or more")
        self._weight, self._min_iou, self._patience = weight, min_iou, patience
        self._time_constant = time_constant
        self._tracks: dict[int, _Track] = {}
        self._numbers = itertools.count(1)

    def update(self, faces: Sequence[Face], seconds: float = 0.0) -> list[Face]:
        """Number and smooth the faces of the next frame.

        Args:
            faces: The faces of the frame.
            seconds: Time of the frame, on any clock; only used with a time constant.

        Returns:
            The same faces with `track` (from 1), smoothed probabilities, and the emotion that follows from them.
        """
        numbers, boxes = list(self._tracks), [track.box for track in self._tracks.values()]
        matches = match_boxes(boxes, [face.box for face in faces], self._min_iou)
        number_of = {new: numbers[old] for old, new, _ in matches}
        for track in self._tracks.values():
            track.missed += 1
        tracked = []
        for k, face in enumerate(faces):
            number = number_of[k] if k in number_of else next(self._numbers)
            smoothed = self._smooth(face.probabilities, self._tracks.get(number), seconds)
            self._tracks[number] = _Track(face.box, smoothed, seconds)
            best = max(smoothed, key=smoothed.__getitem__)
            tracked.append(replace(face, emotion=best, probabilities=smoothed, track=number))
        self._tracks = {n: track for n, track in self._tracks.items() if track.missed <= self._patience}
        return tracked

    def reset(self) -> None:
        """End all tracks, as at a cut: the next faces get new numbers and no past."""
        self._tracks = {}

    def _smooth(self, new: dict[str, float], past: _Track | None, seconds: float) -> dict[str, float]:
        if past is None:
            return dict(new)
        weight = self._weight
        if self._time_constant is not None:
            weight = 1 - math.exp(-max(seconds - past.seconds, 0.0) / self._time_constant)
        return {name: weight * p + (1 - weight) * past.probabilities[name] for name, p in new.items()}
