"""From a picture to its faces and what a model reads in them: the one way that all others take.

Detector and model are loaded once by the caller and handed in; all faces of a picture go through the model
in one call.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ferlib.common import images
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import BadInputError
from ferlib.common.images import crop_face
from ferlib.detect.detector import Detector, default_detector, score_faces
from ferlib.model.predictor import Reader, check_views, probabilities_of

RULES = ("ours", "A")
"""Which faces count: all that the detector finds, or those that system A keeps."""

_WIDE = 0.8  # system A keeps faces at least this share as wide as the widest


@dataclass(frozen=True)
class FaceReading:
    """One face and what the model reads in it."""

    box: Box
    """(x, y, width, height) in pixels, inside the picture."""
    emotion: str
    """The class with the largest probability: a name for the expression, not for what is felt."""
    probabilities: dict[str, float]
    """Class name to probability, in the model's order; the values sum to one."""
    score: float | None = None
    """How sure the detector is that this is a face, 0 to 1; None where it does not say (Haar)."""
    track: int | None = None
    """The number of a face that is followed through a film (`ferlib.live.tracking`), from 1; None in a picture."""

    @property
    def probability(self) -> float:
        """The largest probability, 0 to 1."""
        return self.probabilities[self.emotion]


def read_picture(
    source: np.ndarray | str | os.PathLike | bytes,
    bundle: Reader,
    detector: Detector | None = None,
    colour: str | None = None,
    **options: object,
) -> list[FaceReading]:
    """The faces of a picture from anywhere, largest first: a path, the bytes of a file, or an array.

    Of an array uint8 (h, w, 3) `colour` must say the order, "rgb" or "bgr" (OpenCV's); a gray one (h, w) has
    none. Files are turned as their EXIF says. `options` as in `read_faces`. Raises ImageError for what is no
    picture, BadInputError for an order that is not said.
    """
    given = isinstance(source, np.ndarray)
    image = images.as_rgb(source, colour) if given else images.load_image(source)
    return read_faces(image, bundle, detector, **options)


def read_faces(
    image: np.ndarray,
    bundle: Reader,
    detector: Detector | None = None,
    views: str = "one",
    min_size: int = 30,
    longest: int = 1280,
    rules: str = "ours",
) -> list[FaceReading]:
    """The faces of a picture, RGB uint8 (h, w, 3), largest first; an empty list when there is none.

    `detector`: what `faces.load_detector` gives; None loads one for this call, which takes longer than using
    it (YuNet where its file is there, else Haar). `views`: "one", "flip" or "three", see
    `reader.probabilities_of`. `min_size`: the smallest face, in pixels of the picture. `longest`: the detector
    works on a copy whose longer side is at most this; the faces are cut from the full picture.
    `rules="A"` are system A's: faces under 0.8 of the widest are dropped, and where there is no face, the
    whole picture is read as one.
    """
    check_views(views)
    if rules not in RULES:
        raise BadInputError(f"rules {rules!r}: known are {', '.join(RULES)}")
    images.check(image, colour=True)
    detector = default_detector() if detector is None else detector
    found = _detect(image, detector, min_size, longest)
    if rules == "A":
        found = system_a_faces(found, image.shape[1], image.shape[0])
    if not found:
        return []
    size = bundle.input_shape[0]
    inputs = np.stack([images.face_input(crop_face(image, box), size) for box, _ in found])
    return _readings(found, probabilities_of(inputs, bundle, views), bundle.class_names)


def system_a_faces(
    found: Sequence[tuple[Box, float | None]], width: int, height: int
) -> list[tuple[Box, float | None]]:
    """Of (box, score) those at least 0.8 as wide as the widest; of none, the whole picture without a score."""
    if not found:
        return [((0, 0, width, height), None)]
    widest = max(box[2] for box, _ in found)
    return [(box, score) for box, score in found if box[2] >= _WIDE * widest]


def _detect(image: np.ndarray, detector: Detector, min_size: int, longest: int) -> list:
    """(box, score) of each face, boxes in pixels of the picture and inside it."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    small = image
    if scale < 1:
        small = images.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))
    least = max(1, round(min_size * scale))
    found = score_faces(small, detector, min_size=(least, least))
    placed = ((clamp_box(tuple(round(v / scale) for v in box), width, height), score) for box, score in found)
    return [(box, score) for box, score in placed if box[2] and box[3]]


def _readings(found: Iterable, probabilities: np.ndarray, class_names: Sequence[str]) -> list[FaceReading]:
    readings = []
    for (box, score), row in zip(found, probabilities, strict=True):
        named = {name: float(p) for name, p in zip(class_names, row, strict=True)}
        emotion = class_names[int(row.argmax())]
        readings.append(FaceReading(tuple(int(v) for v in box), emotion, named, score))
    return readings
