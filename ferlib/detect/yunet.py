"""YuNet, a small convolutional network that finds faces; OpenCV runs it.

W. Wu, H. Peng, S. Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).
The model file in this folder is that of the OpenCV zoo (MIT licence, next to it).
"""

import os
from pathlib import Path

import cv2
import numpy as np

from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import BadInputError
from ferlib.common.images import resize, to_bgr

VARIABLE = "FERLIB_YUNET"
"""The environment variable that may name another model file, of any version that OpenCV opens."""

SCORE = 0.7
"""Faces with a lower score do not count. On 154 real photographs every face scored at least this."""
_LEAST_SIDE = 32  # for an input one pixel high, the numbers that OpenCV returns are not even finite
_OVERLAP = 0.3  # OpenCV's default: boxes that overlap more are one face
_CANDIDATES = 5000  # OpenCV's default: boxes kept before that

_LONGEST, _FINEST, _SEEN = 320, 1280, 24
"""YuNet misses faces that are large in its input (of 60 portraits none at 320 pixels, 17 at 640, all at 1280)
and small ones below about 20 pixels. So the picture is shown at 320 pixels, and where `min_size` asks for faces
that are under 24 pixels there, once more at the size that shows them at 24, up to 1280."""


def model_file() -> Path:
    """Find the file of the network.

    Returns:
        The file that `FERLIB_YUNET` names, else the one that comes with ferlib.

    Raises:
        BadInputError: `FERLIB_YUNET` names a file that does not exist.
    """
    named = os.environ.get(VARIABLE)
    if named and not Path(named).is_file():
        raise BadInputError(f"{VARIABLE} names {named}, which does not exist; give the path of a YuNet .onnx")
    return Path(named) if named else Path(__file__).with_name("face_detection_yunet_2026may.onnx")


class YuNet:
    """A loaded YuNet. Load it once: opening the file takes longer than a picture.

    Args:
        file: The model file (.onnx); by default that of `model_file`.
        score: Faces with a lower score do not count, 0 to 1.

    Raises:
        BadInputError: OpenCV cannot open the file as a YuNet model.
    """

    def __init__(self, file: str | os.PathLike | None = None, score: float = SCORE) -> None:
        file = model_file() if file is None else file
        try:
            self._network = cv2.FaceDetectorYN.create(str(file), "", (32, 32), score, _OVERLAP, _CANDIDATES)
            self._network.detect(np.zeros((32, 32, 3), np.uint8))  # another network fails only here
        except cv2.error as error:
            raise BadInputError(
                f"{Path(file).name}: OpenCV {cv2.__version__} cannot open it as a YuNet model; "
                "get one from the OpenCV zoo"
            ) from error

    def detect(self, image: np.ndarray, min_size: tuple[int, int] = (30, 30)) -> list[tuple[Box, float]]:
        """Find the faces of a picture, as squares.

        Args:
            image: uint8 (height, width, 3) RGB, or (height, width) gray.
            min_size: (width, height) of the smallest face that counts, in pixels.

        Returns:
            (box, score) per face: a square as of `as_square`, clamped to the picture, and the score, 0 to 1.
        """
        image = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
        height, width = image.shape[:2]
        found = self.detect_landmarks(image, min(min_size))
        boxes = [(clamp_box(as_square(face), width, height), float(face[14])) for face in found]
        least = max(min_size[0], 1), max(min_size[1], 1)
        return [(box, score) for box, score in boxes if box[2] >= least[0] and box[3] >= least[1]]

    def detect_landmarks(self, image: np.ndarray, smallest: float = 30) -> np.ndarray:
        """Find the faces of a picture, with what the network itself returns.

        Args:
            image: uint8 (height, width, 3) RGB.
            smallest: The side of the smallest face that matters, in pixels.

        Returns:
            float32 (n, 15), in pixels of the picture: x, y, width, height; five points (right eye, left eye,
            nose, right and left corner of the mouth) as x, y; the score, 0 to 1.
        """
        longest = max(image.shape[:2])
        scales = [min(1.0, _LONGEST / longest)]
        finer = min(1.0, _SEEN / max(smallest, 1), _FINEST / longest)
        if smallest * scales[0] < _SEEN and finer > 1.2 * scales[0]:
            scales.append(finer)
        found = np.empty((0, 15), np.float32)
        for scale in scales:
            new = self._run(image, scale)
            found = np.concatenate([found, [face for face in new if not _is_known(face, found)] or found[:0]])
        return found

    def _run(self, image: np.ndarray, scale: float) -> np.ndarray:
        size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        small = to_bgr(resize(image, size) if scale < 1 else image)
        below, right = (max(0, _LEAST_SIDE - side) for side in small.shape[:2])
        small = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT)
        self._network.setInputSize(small.shape[1::-1])
        _, found = self._network.detect(small)
        found = np.empty((0, 15), np.float32) if found is None else found
        found = found[np.isfinite(found).all(axis=1) & (found[:, 2:4] > 0).all(axis=1)]
        found[:, :14] /= scale
        return found


def _is_known(face: np.ndarray, others: np.ndarray) -> bool:
    """Whether the centre of one face is inside the box of another: the same face, or a part of it."""
    x, y, w, h = face[:4]
    ox, oy, ow, oh = others[:, :4].T
    inside = (abs(x + w / 2 - ox - ow / 2) < ow / 2) & (abs(y + h / 2 - oy - oh / 2) < oh / 2)
    around = (abs(x + w / 2 - ox - ow / 2) < w / 2) & (abs(y + h / 2 - oy - oh / 2) < h / 2)
    return bool((inside | around).any())


def as_square(face: np.ndarray) -> Box:
    """Turn a face of YuNet into the square that a Haar cascade would draw.

    YuNet's box is narrow: it runs from the hair line to the chin and leaves out the ears. Networks for
    expressions are trained on squares. The square has 1.094 times the side of a square of the same area, and
    its centre is 0.028 sides higher: the medians over 114 drawn faces. On 145 others the median IoU with the
    true square is 0.92 (0.72 for YuNet's own box).

    Args:
        face: x, y, width, height in pixels, and any more columns.

    Returns:
        The square (x, y, side, side); it may reach outside the picture.
    """
    x, y, w, h = (float(value) for value in face[:4])
    side = 1.094 * (max(w, 0.0) * max(h, 0.0)) ** 0.5
    left, top = round(x + w / 2 - side / 2), round(y + h / 2 - side / 2 - 0.028 * side)
    return left, top, round(side), round(side)
