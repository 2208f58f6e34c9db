"""The face of a picture: small pictures are faces already, out of larger ones the largest face is cut."""

import threading
from collections import Counter
from pathlib import Path

import numpy as np

from ferlib.common import images
from ferlib.common.boxes import Box
from ferlib.common.errors import logger
from ferlib.detect.detector import Detector, detect_faces, load_detector

FACE_SIDE = 128
"""Pictures whose longer side has at most this many pixels are taken as faces that are already cut out."""

SQUARE = 1.2
"""Longer side per shorter side up to which a face counts as square. Detectors draw squares, but a face at the border of
a picture is cut off."""

_LONGEST = 1280  # pixels of the longer side that the detector sees
_KINDS = {
    "cropped": f"the face was cut out of {{}} of {{}} pictures, which are larger than {FACE_SIDE} pixels",
    "none": "no face was found in {} of {} pictures; they are left out (--as-is takes pictures as they are)",
    "several": "several faces were found in {} of {} pictures; the largest is taken",
    "flat": "{} of {} faces are not square and are stretched to 48×48",
}


class FaceReader:
    """Reads the faces of pictures, in several threads, and counts what is unusual.

    Args:
        as_is: Take every picture as a face.
    """

    def __init__(self, as_is: bool = False) -> None:
        self.as_is = as_is
        self._kinds: list[str] = []  # one for each picture, and one for each thing that is unusual in it
        self._local = threading.local()

    def read(self, file: Path, box: Box | None = None) -> np.ndarray | None:
        """Read the face of a picture.

        Args:
            file: The picture.
            box: Where the face is, (x, y, width, height) in pixels, if that is known.

        Returns:
            uint8 gray (48, 48); None where no face is found.

        Raises:
            ImageError: The picture cannot be read, or the box is outside it.
        """
        image = images.load_image(file)
        if box is not None:
            image = images.crop_face(image, box)
        elif not self.as_is and max(image.shape[:2]) > FACE_SIDE:
            boxes = find_faces(image, self._detector())
            if not boxes:
                self._kinds += ["pictures", "none"]
                return None
            self._kinds += ["cropped"] + ["several"] * (len(boxes) > 1)
            image = images.crop_face(image, boxes[0])
        self._kinds += ["pictures"] + ["flat"] * (max(image.shape[:2]) > SQUARE * min(image.shape[:2]))
        return images.face_input(image)

    def log(self, name: str) -> None:
        """Log one line per kind of picture that was not a square face.

        Args:
            name: Name of the data set, for the lines.
        """
        counts = Counter(self._kinds)
        for kind, text in _KINDS.items():
            if counts[kind]:
                logger.warning("%s: %s", name, text.format(counts[kind], counts["pictures"]))

    def _detector(self) -> Detector:
        if not hasattr(self._local, "detector"):  # a detector must not be shared between threads
            self._local.detector = load_detector()
        return self._local.detector


def find_faces(image: np.ndarray, detector: Detector) -> list[Box]:
    """Find the faces of a picture in a smaller copy of it.

    Args:
        image: uint8 (height, width, 3), RGB.
        detector: The detector.

    Returns:
        The boxes (x, y, width, height) in pixels of the picture, largest first.

    Raises:
        ImageError: The array is not a picture.
    """
    images.check(image)
    height, width = image.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = images.resize(image, size) if scale < 1 else image
    boxes = (tuple(round(value / scale) for value in box) for box in detect_faces(small, detector))
    return [(x, y, w, h) for x, y, w, h in boxes if -w < x < width and -h < y < height]
