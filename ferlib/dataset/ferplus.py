"""FER+: ten people's votes on each face of FER2013 (Barsoum et al. 2016, `fer2013new.csv`, MIT licence).

The file has a row a face, in FER2013's order: `Usage,Image name,` and the votes for neutral,
happiness, surprise, sadness, anger, disgust, fear, contempt, "unknown" and "not a face" (NF).
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferlib.common.errors import BadInputError, DatasetError
from ferlib.common.labels import EIGHT, SEVEN, canonical, pick_probabilities
from ferlib.dataset.build import find_csv, read_fer2013
from ferlib.dataset.splits import Dataset

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


_EMOTIONS, _CONTEMPT, _UNKNOWN = VOTES[:8], VOTES.index("contempt"), VOTES.index("unknown")
_LABELS = np.array([EIGHT.index(canonical(name)) for name in _EMOTIONS])  # of a column of votes, in EIGHT
HANDLING = {"contempt": ("keep", "drop", "ignore"), "unknown": ("drop", "ignore")}
"""What may be done with votes for these two; see `majority_labels`."""


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


def majority_labels(
    votes: np.ndarray, contempt: str = "keep", unknown: str = "drop", outliers: bool = False
) -> np.ndarray:
    """What most voters saw, as labels of EIGHT: int64 (n,), -1 for a row to leave out.

    The rule is that of FER+'s own code (`ferplus.py`, mode "majority"): a vote that stands alone is
    taken out (`outliers=True` leaves it in), then the first choice must have more than half of the votes
    that are left. A row without such a majority is left out, and one whose majority is "not a face".
    On the whole file 25,060 Training, 3,199 PublicTest and 3,153 PrivateTest rows remain.

    votes: int (n, 10) in the order of VOTES. `contempt`: "keep" it as the eighth class, "drop" the rows
    where it has the majority, or "ignore" votes for it as if they had not been given. `unknown`: "drop"
    or "ignore", likewise. Raises BadInputError for another word and for votes of another shape.
    """
    counted = _counted(votes, contempt, unknown, outliers)
    winner, most = counted.argmax(axis=1), counted.max(axis=1, initial=0)
    labels = np.where(winner < len(_EMOTIONS), _LABELS[np.minimum(winner, _CONTEMPT)], -1)
    labels[2 * most <= counted.sum(axis=1)] = -1
    labels[(winner == _CONTEMPT) & (contempt == "drop")] = -1
    return labels


def soft_labels(
    votes: np.ndarray,
    class_names: Sequence[str] = EIGHT,
    contempt: str = "keep",
    unknown: str = "drop",
    outliers: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The voters' shares as targets: (float32 (n, len(class_names)), mask bool (n,) of the rows to use).

    Rows to use sum to one, the others are zero. Votes that stand alone, contempt and unknown are
    handled as in `majority_labels`. A row is used where "not a face" and unknown have at most half of
    the votes left, and "not a face" is not the first choice; then only votes for emotions are counted,
    and of these only what `class_names` has, which sums up merged classes (angry of SIX, rest, groups).
    FER+'s own code goes on to keep the first choices up to three quarters of the votes; this does not.
    Raises BadInputError as `majority_labels` does, and LabelError for classes that FER+ does not know.
    """
    counted = _counted(votes, contempt, unknown, outliers)
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
    """The faces under FER+'s majority labels; rows without one are left out.

    `votes`: `read_votes` of the same rows. The classes are EIGHT with contempt kept, else SEVEN.
    """
    labels = majority_labels(votes, contempt, unknown)
    if len(labels) != len(dataset):
        raise DatasetError(f"{len(votes)} rows of votes for {len(dataset)} faces; read both whole")
    keep = labels >= 0
    names = EIGHT if contempt == "keep" else SEVEN
    return Dataset(dataset.pixels[keep], labels[keep], dataset.usage[keep], names)


def read_voted(
    data: str | os.PathLike, votes: str | os.PathLike, contempt: str = "keep", unknown: str = "drop"
) -> Dataset:
    """FER2013's CSV (or a folder with it) under the majority labels of FER+'s file; see `relabel`.

    DatasetError for class folders: their pictures are in no order that the votes could follow. No bad
    row is passed over, because all votes after it would go to the wrong face.
    """
    file = find_csv(data)
    if file is None:
        raise DatasetError(f"{data}: FER+'s votes go with the rows of FER2013's CSV, not with class folders")
    faces = read_fer2013(file)
    return relabel(faces, read_votes(votes, faces), contempt, unknown)


def _counted(votes: np.ndarray, contempt: str, unknown: str, outliers: bool) -> np.ndarray:
    """The votes that count: a copy, int64 (n, 10)."""
    for name, value in (("contempt", contempt), ("unknown", unknown)):
        if value not in HANDLING[name]:
            raise BadInputError(f"{name} is {value!r}; it can be {', '.join(HANDLING[name])}")
    counted = np.array(votes)
    if (
        counted.ndim != 2
        or counted.shape[1] != len(VOTES)
        or counted.dtype.kind not in "iuf"
        or (counted < 0).any()
    ):
        raise BadInputError(
            f"votes are numbers from 0 in rows of {len(VOTES)}, got {counted.dtype} {counted.shape}"
        )
    counted = counted.astype(np.int64)
    if not outliers:
        counted[counted == 1] = 0
    if contempt == "ignore":
        counted[:, _CONTEMPT] = 0
    if unknown == "ignore":
        counted[:, _UNKNOWN] = 0
    return counted
