"""From a picture to its faces and their expressions: the one way that all others take."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import check_choice
from ferlib.common.paths import shipped_bundle
from ferlib.detect.detector import Detector, load_detector, score_faces
from ferlib.model.bundle import load_bundle
from ferlib.model.predictor import TTA, Predictor

RULES = ("ours", "A")
"""Which faces count: all that the detector finds, or those that system A keeps."""

_WIDE = 0.8  # system A keeps faces at least this share as wide as the widest


@dataclass(frozen=True)
class Face:
    """One face and the expression that the model reads in it.

    Attributes:
        box: (x, y, width, height) in pixels, inside the picture.
        emotion: The class with the largest probability: a name for the expression, not for what is felt.
        probabilities: Class name to probability, in the model's order; the values sum to one.
        score: How sure the detector is that this is a face, 0 to 1; None for a Haar cascade, which does not say.
        track: The number of a face that is followed through a video, from 1; None in a picture.
    """

    box: Box
    emotion: str
    probabilities: dict[str, float]
    score: float | None = None
    track: int | None = None

    @property
    def probability(self) -> float:
        """The largest probability, 0 to 1."""
        return self.probabilities[self.emotion]


@dataclass(frozen=True)
class Recognizer:
    """A model and a face detector, loaded once and used for any number of pictures.

    A detector serves one thread at a time: give each thread a recognizer with a detector of its own
    (`dataclasses.replace(recognizer, detector=load_detector())`).

    Attributes:
        model: The model: a bundle, or anything with its `class_names`, `input_shape` and `predict`.
        detector: The face detector, as `ferlib.detect.detector.load_detector` gives it.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`. `"none"` takes half the time for the
            network; on FER2013 it is right for one face in a hundred less.
        rules: `"ours"`: all faces that are found. `"A"`: system A's rules; faces under 0.8 of the width of
            the widest are dropped, and where there is no face the whole picture is read as one.
        longest: The detector works on a copy whose longer side is at most this, in pixels; the faces are cut
            from the full picture.
    """

    model: Predictor
    detector: Detector
    tta: str = "flip"
    rules: str = "ours"
    longest: int = 1280

    def __post_init__(self) -> None:
        check_choice("tta", self.tta, TTA)
        check_choice("rules", self.rules, RULES)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the expressions, in the order of the model's outputs."""
        return tuple(self.model.class_names)

    def read(
        self,
        source: np.ndarray | str | os.PathLike | bytes,
        colour: str | None = None,
        min_size: int = 30,
    ) -> list[Face]:
        """Find the faces of a picture and read their expressions.

        Args:
            source: A path, the bytes of a file, or an array: uint8 (height, width, 3), or (height, width) gray.
                Files are turned as their EXIF orientation says.
            colour: The order of an array's channels, `"rgb"` or `"bgr"` (OpenCV's); not needed otherwise.
            min_size: The side of the smallest face that counts, in pixels of the picture.

        Returns:
            The faces, largest first; an empty list where there is none.

        Raises:
            ImageError: The source is not a usable picture.
            BadInputError: The colour order of an array is missing or unknown.
        """
        image = images.as_rgb(source, colour) if isinstance(source, np.ndarray) else images.load_image(source)
        found = self._detect(image, min_size)
        if self.rules == "A":
            found = system_a_faces(found, image.shape[1], image.shape[0])
        if not found:
            return []
        size = self.model.input_shape[0]
        inputs = np.stack([images.face_input(images.crop_face(image, box), size) for box, _ in found])
        answers = np.asarray(self.model.predict(inputs, self.tta), dtype=np.float64)
        faces = []
        for (box, score), row in zip(found, answers, strict=True):
            probabilities = dict(zip(self.class_names, row.tolist(), strict=True))
            faces.append(Face(box, self.class_names[int(row.argmax())], probabilities, score))
        return faces

    def _detect(self, image: np.ndarray, min_size: int) -> list[tuple[Box, float | None]]:
        """(box, score) of each face, boxes in pixels of the picture and inside it."""
        height, width = image.shape[:2]
        scale = min(1.0, self.longest / max(height, width))
        small = image
        if scale < 1:
            small = images.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))
        least = max(1, round(min_size * scale))
        found = score_faces(small, self.detector, min_size=(least, least))
        placed = [(clamp_box([round(v / scale) for v in box], width, height), score) for box, score in found]
        return [(box, score) for box, score in placed if box[2] and box[3]]


def load(
    bundle: str | os.PathLike = "fer2013", detector: str = "yunet", tta: str = "flip", rules: str = "ours"
) -> Recognizer:
    """Load a model and a face detector.

    Args:
        bundle: The folder of a bundle, or the name of one that ships with ferlib: "fer2013" (seven
            expressions) or "ferplus" (eight).
        detector: A detector's name, as `ferlib.detect.detector.load_detector` takes it.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.
        rules: Which faces count, see `Recognizer`.

    Returns:
        The recognizer. It uses the fastest form of the bundle and needs no TensorFlow where that is LiteRT's.

    Raises:
        BundleError: The bundle is not there, not complete, or does not fit its metadata.
        BadInputError: An unknown detector, `tta` or `rules`.

    Example:
        >>> recognizer = ferlib.load()
        >>> [face.emotion for face in recognizer.read("me.jpg")]
    """
    named = not Path(bundle).exists() and shipped_bundle(str(bundle)).is_dir()
    model = load_bundle(shipped_bundle(str(bundle)) if named else bundle, form="fastest")
    return Recognizer(model, load_detector(detector), tta, rules)


def system_a_faces(
    found: Sequence[tuple[Box, float | None]], width: int, height: int
) -> list[tuple[Box, float | None]]:
    """Keep the faces that system A keeps.

    Args:
        found: (box, score) of each face that the detector found.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.

    Returns:
        Those at least 0.8 as wide as the widest; of none, the whole picture without a score.
    """
    if not found:
        return [((0, 0, width, height), None)]
    widest = max(box[2] for box, _ in found)
    return [(box, score) for box, score in found if box[2] >= _WIDE * widest]
