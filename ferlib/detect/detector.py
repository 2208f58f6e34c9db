"""Find the faces of a picture, with YuNet or with one of OpenCV's Haar cascades."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from ferlib.common.boxes import Box
from ferlib.common.errors import BadInputError, check_choice
from ferlib.common.images import to_gray
from ferlib.detect.yunet import YuNet

Detector: TypeAlias = cv2.CascadeClassifier | YuNet
"""What `load_detector` returns and `detect_faces` takes. It must not be shared between threads."""


def load_detector(name: str = "yunet") -> Detector:
    """Load a face detector. Load it once and pass it on: reading its file takes longer than a picture.

    Args:
        name: `"yunet"`, or a Haar cascade's name as in `load_cascade`.

    Returns:
        The detector.

    Raises:
        BadInputError: The name is unknown, or `FERLIB_YUNET` names a file that is not a YuNet model.
    """
    return YuNet() if name == "yunet" else load_cascade(name)


def load_cascade(name: str = "frontalface_default") -> cv2.CascadeClassifier:
    """Load one of the cascades that come with OpenCV.

    Args:
        name: The cascade's name, with or without `haarcascade_` and `.xml`.

    Returns:
        The cascade.

    Raises:
        BadInputError: OpenCV has no cascade of that name.
    """
    folder = Path(cv2.data.haarcascades)
    short = str(name).removeprefix("haarcascade_").removesuffix(".xml")
    known = sorted(file.stem.removeprefix("haarcascade_") for file in folder.glob("haarcascade_*.xml"))
    if short not in known:
        check_choice("face detector", name, ["yunet", *(each for each in known if "face" in each)])
    return cv2.CascadeClassifier(str(folder / f"haarcascade_{short}.xml"))


def detect_faces(
    image: np.ndarray,
    detector: Detector | str | None = None,
    scale_factor: float | None = None,
    min_neighbors: int | None = None,
    min_size: tuple[int, int] = (30, 30),
) -> list[Box]:
    """Find the faces of a picture.

    The Haar cascade (P. Viola and M. Jones, "Rapid object detection using a boosted cascade of simple features",
    2001) slides a window over the picture, which shrinks from level to level.

    Args:
        image: uint8 (height, width, 3) RGB, or (height, width) gray.
        detector: A detector from `load_detector`, or its name. Without one: YuNet, or the Haar cascade
            `frontalface_default` where a setting of Haar cascades is given.
        scale_factor: For Haar: how much the picture shrinks per level, over 1; default 1.1.
        min_neighbors: For Haar: how many overlapping hits make one face; default 5; with 0 every hit is returned.
        min_size: (width, height) of the smallest face that counts, in pixels.

    Returns:
        The boxes (x, y, width, height) in pixels, largest first; an empty list where there is no face.

    Raises:
        BadInputError: A setting is out of range, or a setting of Haar cascades is given with YuNet.
    """
    haar_settings = scale_factor is not None or min_neighbors is not None
    scale_factor = 1.1 if scale_factor is None else scale_factor
    min_neighbors = 5 if min_neighbors is None else min_neighbors
    if not scale_factor > 1 or min_neighbors < 0 or min(min_size) < 0:
        raise BadInputError(
            f"scale_factor {scale_factor}, min_neighbors {min_neighbors}, min_size {min_size}: "
            "the first must be over 1, the others 0 or more"
        )
    if detector is None:
        detector = load_cascade() if haar_settings else load_detector()
    loaded = load_detector(detector) if isinstance(detector, str) else detector
    if isinstance(loaded, YuNet):
        if haar_settings:
            raise BadInputError(
                "scale_factor and min_neighbors are settings of Haar cascades; YuNet has none"
            )
        return [box for box, _ in score_faces(image, loaded, min_size)]
    found = loaded.detectMultiScale(
        to_gray(image), scaleFactor=scale_factor, minNeighbors=min_neighbors, minSize=tuple(min_size)
    )
    return sorted(((int(x), int(y), int(w), int(h)) for x, y, w, h in found), key=_largest_first)


def score_faces(
    image: np.ndarray, detector: Detector, min_size: tuple[int, int] = (30, 30)
) -> list[tuple[Box, float | None]]:
    """Find the faces of a picture, each with the detector's score.

    Args:
        image: uint8 (height, width, 3) RGB, or (height, width) gray.
        detector: A detector from `load_detector`.
        min_size: (width, height) of the smallest face that counts, in pixels.

    Returns:
        (box, score) per face, largest first. The score is 0 to 1; None for a Haar cascade.
    """
    if isinstance(detector, YuNet):
        return sorted(detector.detect(image, min_size), key=lambda found: _largest_first(found[0]))
    return [(box, None) for box in detect_faces(image, detector, min_size=min_size)]


def _largest_first(box: Sequence[int]) -> tuple[int, ...]:
    return -box[2] * box[3], box[1], box[0], box[2]
