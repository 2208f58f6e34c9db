"""FER+: ten people's votes on each face of FER2013 (Barsoum et al. 2016, `fer2013new.csv`, MIT licence).

The file has a row a face, in FER2013's order: `Usage,Image name,` and the votes for neutral,
happiness, surprise, sadness, anger, disgust, fear, contempt, "unknown" and "not a face" (NF).
"""

import csv
import os
from pathlib import Path

import numpy as np

from ferlib.dataset import Dataset
from ferlib.errors import DatasetError

VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""The columns of votes, as the file names and orders them."""


def read_votes(path: str | os.PathLike, dataset: Dataset) -> np.ndarray:
    """The votes on each row of `dataset`, int64 (n, 10) in the order of VOTES.

    `dataset` is FER2013 as its file has it, in its order; it may end early, as a file without
    PrivateTest does. Raises DatasetError for a file that is not FER+'s, or not of these rows.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in ("Usage", *VOTES) if name not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path.name}: no column {', '.join(missing)}; give FER+'s fer2013new.csv")
            rows = [(row["Usage"], [int(row[name]) for name in VOTES]) for row in reader]
    except (OSError, UnicodeError, csv.Error, ValueError, TypeError) as error:
        raise DatasetError(f"{path.name}: cannot be read as FER+ votes ({error})") from error
    usage = np.array([usage for usage, _ in rows[: len(dataset)]])
    if len(usage) < len(dataset) or (usage != dataset.usage).any():
        raise DatasetError(
            f"{path.name}: {len(rows)} rows of votes do not go with the {len(dataset)} faces; "
            "give FER2013 whole and in its own order"
        )
    return np.array([votes for _, votes in rows[: len(dataset)]], np.int64).reshape(-1, len(VOTES))


def label_shares(votes: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """How likely each FER2013 label is for a face with these votes: float32 (n, n_classes), rows sum to one.

    votes: int (n, 10); labels: int (n,), which FER2013 gave the same faces. FER2013's own labels differ
    from what ten people saw: of the Training rows that it calls fear most voters saw something else.
    A multinomial logistic regression of the labels on the shares of votes learns that habit, so these
    shares speak FER2013's language and still know what the people saw.
    """
    from sklearn.linear_model import LogisticRegression

    shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    fitted = LogisticRegression(C=10, max_iter=1000).fit(shares, labels)
    result = np.zeros((len(votes), n_classes), np.float32)
    result[:, fitted.classes_] = fitted.predict_proba(shares)
    return result
