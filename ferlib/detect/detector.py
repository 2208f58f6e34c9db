"""Faces in a picture: find them with a Haar cascade or with YuNet. Cutting them out: `ferlib.annotate.crop`."""

from pathlib import Path

import cv2
import numpy as np

from ferlib.common.boxes import Box
from ferlib.common.errors import BadInputError, FerlibError, logger
from ferlib.common.images import to_gray
from ferlib.detect.yunet import YuNet, model_file

Detector = cv2.CascadeClassifier | YuNet
"""What `load_detector` gives and `detect_faces` takes. It must not be shared between threads."""


def load_detector(name: str = "auto") -> Detector:
    """A face detector by name: `"yunet"`, or a Haar cascade as in `load_cascade`.

    `"auto"` is YuNet where its model file is there or can be fetched (see `yunet.model_file`), else Haar
    `frontalface_default`, with a warning. Load it once and pass it on. Raises BadInputError for
    an unknown name, and for a file in `FERLIB_YUNET` that is no such model; FerlibError where `"yunet"` was
    asked for and cannot be had.
    """
    if name not in ("auto", "yunet"):
        return load_cascade(name)
    try:
        return YuNet(model_file())
    except BadInputError:
        raise
    except FerlibError as error:
        if name == "yunet":
            raise
        logger.warning("%s Faces are found by the Haar cascade frontalface_default instead.", error)
        return load_cascade()


def default_detector() -> Detector:
    """YuNet where its model file is there, else Haar `frontalface_default`; nothing is fetched."""
    file = model_file(fetch=False)
    return load_cascade() if file is None else YuNet(file)


def load_cascade(name: str = "frontalface_default") -> cv2.CascadeClassifier:
    """One of the cascades that come with OpenCV, by its name with or without `haarcascade_` and `.xml`.

    Load it once and pass it on: reading the file takes longer than a picture. Raises BadInputError for an
    unknown name.
    """
    folder = Path(cv2.data.haarcascades)
    short = str(name).removeprefix("haarcascade_").removesuffix(".xml")
    known = sorted(file.stem.removeprefix("haarcascade_") for file in folder.glob("haarcascade_*.xml"))
    if short not in known:
        faces = [each for each in known if "face" in each and "cat" not in each]
        raise BadInputError(f"no cascade named {name!r}; for faces there are {', '.join(faces)}")
    return cv2.CascadeClassifier(str(folder / f"haarcascade_{short}.xml"))


def detect_faces(
    image: np.ndarray,
    cascade: Detector | str | None = None,
    scale_factor: float | None = None,
    min_neighbors: int | None = None,
    min_size: tuple[int, int] = (30, 30),
) -> list[Box]:
    """The boxes of the faces in a picture (uint8 RGB or gray), largest first; no face is an empty list.

    `cascade`: a detector from `load_detector` or its name. Without one, YuNet where its model file is there
    (nothing is fetched), else Haar `frontalface_default`; also that one where a setting of Haar is given.
    `min_size` = (width, height) in pixels, of the smallest face that counts.

    The Haar cascade of P. Viola and M. Jones (2001): a window slides over the picture, which shrinks by
    `scale_factor` (over 1; default 1.1) from level to level; `min_neighbors` overlapping hits make one face
    (default 5; 0: every hit is given). YuNet has neither. Raises BadInputError for settings that make no sense.
    """
    haar_settings = scale_factor is not None or min_neighbors is not None
    scale_factor = 1.1 if scale_factor is None else scale_factor
    min_neighbors = 5 if min_neighbors is None else min_neighbors
    if not scale_factor > 1 or min_neighbors < 0 or min(min_size) < 0:
        raise BadInputError(
            f"scale_factor {scale_factor}, min_neighbors {min_neighbors}, min_size {min_size}: "
            "the first must be over 1, the others 0 or more"
        )
    if cascade is None:
        cascade = load_cascade() if haar_settings else default_detector()
    elif isinstance(cascade, str):
        cascade = load_detector(cascade)
    if isinstance(cascade, YuNet):
        if haar_settings:
            raise BadInputError(
                "scale_factor and min_neighbors are settings of Haar cascades; YuNet has none"
            )
        boxes = cascade.detect(image, min_size)
    else:
        found = cascade.detectMultiScale(
            to_gray(image), scaleFactor=scale_factor, minNeighbors=min_neighbors, minSize=tuple(min_size)
        )
        boxes = [tuple(int(value) for value in box) for box in found]
    return sorted(boxes, key=_largest_first)


def score_faces(
    image: np.ndarray, detector: Detector, min_size: tuple[int, int] = (30, 30)
) -> list[tuple[Box, float | None]]:
    """As `detect_faces`, each box with the detector's score, 0 to 1; Haar gives None."""
    if isinstance(detector, YuNet):
        return sorted(detector.scored(image, min_size), key=lambda found: _largest_first(found[0]))
    return [(box, None) for box in detect_faces(image, detector, min_size=min_size)]


def _largest_first(box: Box) -> tuple[int, ...]:
    return -box[2] * box[3], box[1], box[0], box[2]
