"""A model on whole photographs: the face is detected, then read. A photograph without a face counts as wrong."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common import images
from ferlib.common.errors import BadInputError, ImageError, LabelError
from ferlib.common.labels import label_of
from ferlib.detect.detector import Detector, load_detector
from ferlib.detect.yunet import local_model_file
from ferlib.evaluate.metrics import wilson_interval
from ferlib.model.recognise import read_faces

LEGEND = "legend.csv"
MIN_SIZE = 20
"""Pixels of the smallest face that is looked for; some collections hold pictures of 44 pixels."""


class _Flipped:
    """A bundle that always averages a face with its mirror image."""

    def __init__(self, bundle: Any):
        self.class_names, self.input_shape = tuple(bundle.class_names), bundle.input_shape
        self._predict = bundle.predict

    def predict(self, faces: np.ndarray) -> np.ndarray:
        return self._predict(faces, flip=True)


def read_photographs(
    folder: str | os.PathLike, bundle: Any, detector: Detector | None = None, flip: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """What a bundle reads in the photographs that `legend.csv` of a folder lists: (table, problems).

    `legend.csv` has the columns `image` (a file of the folder) and `emotion`. The table has a row for
    each picture that could be opened: `image`, `truth`, `predicted` (of the largest face; "" where none
    was found), `probability` (0 without a face). `detector` as of `load_detector`; default: `detector_name`.
    `problems`: one line for each row that is left out. Raises BadInputError without a legend or a row.
    """
    folder, problems, rows = Path(folder), [], []
    listed = _legend(folder)
    detector = load_detector(detector_name()) if detector is None else detector
    reader = _Flipped(bundle) if flip else bundle
    for image, emotion in listed:
        try:
            label = label_of(emotion, bundle.class_names)
            picture = images.load_image(folder / image)
        except (ImageError, LabelError) as error:
            problems.append(f"{image}: {error}" if isinstance(error, LabelError) else str(error))
            continue
        if label is None:
            problems.append(f"{image}: the model does not know {emotion}")
            continue
        found = read_faces(picture, reader, detector, min_size=MIN_SIZE)
        said = (found[0].emotion, found[0].probability) if found else ("", 0.0)
        rows.append((image, bundle.class_names[label], *said))
    if not rows:
        raise BadInputError(f"{folder}: none of the photographs in {LEGEND} could be used")
    return pd.DataFrame(rows, columns=["image", "truth", "predicted", "probability"]), problems


def detector_name() -> str:
    """The detector for photographs: YuNet where its model file is there (nothing is fetched), else a Haar cascade."""
    return "frontalface_default" if local_model_file() is None else "yunet"


def _legend(folder: Path) -> list[tuple[str, str]]:
    try:
        table = pd.read_csv(folder / LEGEND, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{folder / LEGEND}: cannot be read ({error}); give image,emotion rows"
        ) from error
    if not {"image", "emotion"} <= set(table.columns):
        raise BadInputError(
            f"{folder / LEGEND}: needs the columns image and emotion, has {list(table.columns)}"
        )
    return list(zip(table["image"], table["emotion"], strict=True))


def photo_figures(table: pd.DataFrame) -> dict[str, Any]:
    """`n`, `found` (with a face), `accuracy` over all, its `interval`, `accuracy_found`, and `per_class`."""
    right, found = table["predicted"] == table["truth"], table["predicted"] != ""
    classes = pd.DataFrame({"n": 1, "found": found, "right": right}).groupby(table["truth"]).sum()
    return {
        "n": len(table),
        "found": int(found.sum()),
        "accuracy": float(right.mean()),
        "interval": wilson_interval(int(right.sum()), len(table)),
        "accuracy_found": float(right[found].mean()) if found.any() else float("nan"),
        "per_class": {str(name): row for name, row in classes.astype(int).to_dict("index").items()},
    }
