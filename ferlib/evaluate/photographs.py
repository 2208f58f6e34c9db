"""A model on whole photographs: the face is detected, then read. A photograph without a face counts as wrong."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib.common.errors import BadInputError, ImageError, LabelError, warn_each
from ferlib.common.labels import label_of
from ferlib.detect.detector import load_detector
from ferlib.evaluate.metrics import wilson_interval
from ferlib.model.predictor import Predictor
from ferlib.model.recognise import Recognizer

LEGEND = "legend.csv"
"""The file that lists the photographs of a folder, with the columns `image` and `emotion`."""

MIN_SIZE = 20
"""The side of the smallest face that is looked for, in pixels; some collections hold pictures of 44 pixels."""


def read_photographs(
    folder: str | os.PathLike, model: Predictor, detector: str = "yunet", tta: str = "flip"
) -> pd.DataFrame:
    """Read the photographs that a folder's `legend.csv` lists; those that cannot be used are logged.

    Args:
        folder: The folder of the photographs.
        model: The model.
        detector: A name as `ferlib.detect.detector.load_detector` takes it.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.

    Returns:
        One row per photograph: `image`, `truth`, `predicted` (of the largest face; "" where no face was found)
        and `probability` (0 without a face).

    Raises:
        BadInputError: The legend is missing or cannot be read, or none of the photographs can be used.
    """
    folder = Path(folder)
    listed = _read_legend(folder / LEGEND)
    recognizer = Recognizer(model, load_detector(detector), tta)
    rows, left_out = [], []
    for image, emotion in zip(listed["image"], listed["emotion"], strict=True):
        try:
            label = label_of(emotion, recognizer.class_names)
            if label is None:
                raise LabelError(f"the model does not know {emotion}")
            faces = recognizer.read(folder / image, min_size=MIN_SIZE)
        except (ImageError, LabelError) as error:
            left_out.append(f"{image}: {error}" if isinstance(error, LabelError) else str(error))
            continue
        predicted = (faces[0].emotion, faces[0].probability) if faces else ("", 0.0)
        rows.append((image, recognizer.class_names[label], *predicted))
    warn_each(left_out)
    if not rows:
        raise BadInputError(f"{folder}: none of the {len(listed)} photographs in {LEGEND} can be used")
    return pd.DataFrame(rows, columns=["image", "truth", "predicted", "probability"])


def _read_legend(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, usecols=["image", "emotion"])
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{path}: cannot be read ({error}); it needs the columns image and emotion"
        ) from error


def photo_figures(table: pd.DataFrame) -> dict[str, Any]:
    """Compute the figures of photographs.

    Args:
        table: What `read_photographs` returns.

    Returns:
        `n`, `found` (with a face), `accuracy` over all, its `interval` (Wilson, 95 %), `accuracy_found` (NaN
        where no face was found) and `per_class`.
    """
    correct, found = table["predicted"] == table["truth"], table["predicted"] != ""
    classes = pd.DataFrame({"n": 1, "found": found, "right": correct}).groupby(table["truth"]).sum()
    return {
        "n": len(table),
        "found": int(found.sum()),
        "accuracy": float(correct.mean()),
        "interval": wilson_interval(int(correct.sum()), len(table)),
        "accuracy_found": float(correct[found].mean()),
        "per_class": classes.astype(int).to_dict("index"),
    }
