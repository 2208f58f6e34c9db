"""FER+: ten people's votes on each face of FER2013 (Barsoum et al. 2016, `fer2013new.csv`, MIT licence).

The file has one row per face, in FER2013's order: `Usage,Image name,` and the votes for neutral,
happiness, surprise, sadness, anger, disgust, fear, contempt, "unknown" and "not a face" (NF).
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferlib.common.errors import BadInputError, DatasetError, check_choice
from ferlib.common.labels import EIGHT, SEVEN, canonical, pick_probabilities
from ferlib.dataset.build import find_csv, read_fer2013
from ferlib.dataset.splits import Dataset

_EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")

VOTES = (*_EMOTIONS, "unknown", "NF")
"""The columns of votes, as the file names and orders them."""

HANDLING = {"contempt": ("keep", "drop", "ignore"), "unknown": ("drop", "ignore")}
"""What can be done with votes for these two; see `majority_labels`."""

_CONTEMPT = VOTES.index("contempt")
_LABELS = np.array([EIGHT.index(canonical(name)) for name in _EMOTIONS])  # label in EIGHT of each column


def read_votes(path: str | os.PathLike, dataset: Dataset) -> np.ndarray:
    """Read the votes on each face of FER2013.

    Args:
        path: FER+'s `fer2013new.csv`.
        dataset: FER2013 in the order of its file; it may end early, as a file without PrivateTest does.

    Returns:
        Number of votes, int64 (n, 10), with columns in the order of VOTES.

    Raises:
        DatasetError: The file is not FER+'s, or its rows do not belong to the faces.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in ("Usage", *VOTES) if name not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path.name}: no column {', '.join(missing)}; give FER+'s fer2013new.csv")
            rows = [(row["Usage"], [int(row[name]) for name in VOTES]) for row in reader]
        votes = np.array([numbers for _, numbers in rows[: len(dataset)]], np.int64).reshape(-1, len(VOTES))
    except (OSError, UnicodeError, csv.Error, ValueError, TypeError, OverflowError) as error:
        raise DatasetError(f"{path.name}: cannot be read as FER+ votes ({error})") from error
    usage = np.array([usage for usage, _ in rows[: len(dataset)]])
    if len(usage) < len(dataset) or (usage != dataset.usage).any():
        raise DatasetError(
            f"{path.name}: {len(rows)} rows of votes do not go with the {len(dataset)} faces; "
            "give the complete FER2013 in its own order"
        )
    return votes


def read_voted(data: str | os.PathLike, votes: str | os.PathLike) -> tuple[Dataset, np.ndarray]:
    """Read FER2013 and FER+'s votes on its faces.

    Args:
        data: FER2013's CSV, or a folder with it.
        votes: FER+'s `fer2013new.csv`.

    Returns:
        (the faces with FER2013's labels, the votes as from `read_votes`).

    Raises:
        DatasetError: `data` has no CSV: pictures in class folders are not in FER2013's order. A bad row
            is also refused, since all votes after it would go to the wrong face.
    """
    file = find_csv(data)
    if file is None:
        raise DatasetError(f"{data}: FER+'s votes go with the rows of FER2013's CSV, not with class folders")
    faces = read_fer2013(file)
    return faces, read_votes(votes, faces)


def label_shares(votes: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Estimate how likely each FER2013 label is for a face with these votes.

    FER2013's labels differ from what ten people saw: of the Training rows that it calls fear, most voters
    saw something else. A multinomial logistic regression of the labels on the shares of votes learns this
    habit, so the result follows FER2013's labels and still uses what the people saw.

    Args:
        votes: Votes, int (n, 10), with columns in the order of VOTES.
        labels: FER2013's labels of the same faces, int (n,).
        n_classes: Number of classes.

    Returns:
        Probabilities, float32 (n, n_classes); rows sum to one.
    """
    from sklearn.linear_model import LogisticRegression

    shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    fitted = LogisticRegression(C=10, max_iter=1000).fit(shares, labels)
    result = np.zeros((len(votes), n_classes), np.float32)
    result[:, fitted.classes_] = fitted.predict_proba(shares)
    return result


def majority_labels(votes: np.ndarray, contempt: str = "keep", unknown: str = "drop") -> np.ndarray:
    """Compute the label that most voters chose.

    The rule is that of FER+'s own code (`ferplus.py`, mode "majority"): an emotion's single vote is
    removed; then the first choice must have more than half of the remaining votes. On the complete file
    25,060 Training, 3,199 PublicTest and 3,153 PrivateTest rows remain.

    Args:
        votes: Votes, int (n, 10), with columns in the order of VOTES.
        contempt: `"keep"` it as the eighth class, `"drop"` the rows where it has the majority, or
            `"ignore"` the votes for it.
        unknown: `"drop"` the rows where it has the majority, or `"ignore"` the votes for it.

    Returns:
        Labels of EIGHT, int64 (n,); -1 for a row without a majority, or with one for "not a face".
    """
    counted = _counted(votes, contempt, unknown)
    winner, most = counted.argmax(axis=1), counted.max(axis=1, initial=0)
    labels = np.where(winner < len(_EMOTIONS), _LABELS[np.minimum(winner, _CONTEMPT)], -1)
    labels[2 * most <= counted.sum(axis=1)] = -1
    labels[(winner == _CONTEMPT) & (contempt == "drop")] = -1
    return labels


def soft_labels(
    votes: np.ndarray, class_names: Sequence[str] = EIGHT, contempt: str = "keep", unknown: str = "drop"
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the shares of the votes as targets.

    Single votes, contempt and unknown are handled as in `majority_labels`. A row is used where "not a
    face" and unknown have at most half of the remaining votes and "not a face" is not the first choice.
    Then only votes for emotions in `class_names` are counted; those for merged classes (angry of SIX,
    rest, groups) are summed. FER+'s own code also keeps only the first choices up to three quarters of
    the votes; this function does not.

    Args:
        votes: Votes, int (n, 10), with columns in the order of VOTES.
        class_names: The class set of the targets.
        contempt: As in `majority_labels`.
        unknown: As in `majority_labels`.

    Returns:
        (targets, float32 (n, len(class_names)); mask of the rows to use, bool (n,)). Rows to use sum to
        one, the others are zero.
    """
    counted = _counted(votes, contempt, unknown)
    named = counted[:, : len(_EMOTIONS)].astype(np.float64)
    if contempt == "drop":
        named[named.argmax(axis=1) == _CONTEMPT] = 0
        named[:, _CONTEMPT] = 0
    shares = np.zeros_like(named)
    shares[:, _LABELS] = named
    use = (2 * named.sum(axis=1) >= counted.sum(axis=1)) & (counted.argmax(axis=1) != VOTES.index("NF"))
    shares[~use] = 0
    shares = pick_probabilities(shares, EIGHT, class_names)
    use &= shares.sum(axis=1) > 0
    shares[use] /= shares[use].sum(axis=1, keepdims=True)
    return shares.astype(np.float32), use


def relabel(dataset: Dataset, votes: np.ndarray, contempt: str = "keep", unknown: str = "drop") -> Dataset:
    """Replace the labels by FER+'s majority labels; rows without one are left out.

    Args:
        dataset: The faces.
        votes: Their votes, int (n, 10), as from `read_votes`.
        contempt: As in `majority_labels`.
        unknown: As in `majority_labels`.

    Returns:
        The faces with classes EIGHT where contempt is kept, else SEVEN.

    Raises:
        DatasetError: The votes have another number of rows.
    """
    labels = majority_labels(votes, contempt, unknown)
    if len(labels) != len(dataset):
        raise DatasetError(f"{len(votes)} rows of votes for {len(dataset)} faces; read both completely")
    keep = labels >= 0
    names = EIGHT if contempt == "keep" else SEVEN
    return Dataset(dataset.pixels[keep], labels[keep], dataset.usage[keep], names)


def _counted(votes: np.ndarray, contempt: str, unknown: str) -> np.ndarray:
    """The votes that count, as a copy: int64 (n, 10)."""
    counted = np.array(votes)
    numbers = counted.dtype.kind in "iuf" and counted.ndim == 2 and counted.shape[1] == len(VOTES)
    if not numbers or (counted < 0).any():
        raise BadInputError(f"votes must be numbers (n, 10), 0 or more, got {counted.dtype} {counted.shape}")
    counted = counted.astype(np.int64)
    counted[counted == 1] = 0
    for name, handling in (("contempt", contempt), ("unknown", unknown)):
        check_choice(name, handling, HANDLING[name])
        if handling == "ignore":
            counted[:, VOTES.index(name)] = 0
    return counted
