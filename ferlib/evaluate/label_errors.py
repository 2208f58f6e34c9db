"""Rows whose label is probably wrong, by confident learning, and how often a second look agrees.

C. G. Northcutt, L. Jiang, I. L. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels,
JAIR 70, 2021. A library for more than this page: cleanlab.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.labels import map_labels
from ferlib.dataset.ferplus import VOTES
from ferlib.model.calibration import check

VOTED = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}
"""FER2013's class -> FER+'s column. Contempt, unknown and "not a face" have no class."""


def thresholds(y_true: np.ndarray, y_prob: np.ndarray) -> np.ndarray:
    """How sure the network usually is of each class: the mean probability over the rows labelled so, float64 (k,).

    NaN for a class without rows. A class of which it is never sure gets a low bar, so that it is not
    called wrong everywhere.
    """
    y_true, y_prob = check(y_true, y_prob)
    sums = np.bincount(y_true, y_prob[np.arange(len(y_true)), y_true], minlength=y_prob.shape[1])
    counts = np.bincount(y_true, minlength=y_prob.shape[1])
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def find_suspects(y_true: np.ndarray, y_prob: np.ndarray) -> pd.DataFrame:
    """Rows that confidently belong to another class than their label: `row`, `label`, `suggested`, `doubt`.

    `y_prob` must come from a network that did not learn these rows. A row belongs confidently to the
    likeliest of the classes whose probability reaches the class's threshold, or to none. `doubt` is the
    probability of the suggested class less that of the label; the most doubtful row stands first.
    """
    y_true, y_prob = check(y_true, y_prob)
    sure = np.where(y_prob >= thresholds(y_true, y_prob), y_prob, -1)  # a comparison with NaN is false
    suggested, every = sure.argmax(axis=1), np.arange(len(y_true))
    rows = np.flatnonzero((sure.max(axis=1) >= 0) & (suggested != y_true))
    doubt = (y_prob[every, suggested] - y_prob[every, y_true])[rows]
    table = pd.DataFrame(
        {"row": rows, "label": y_true[rows], "suggested": suggested[rows], "doubt": doubt},
    )
    return table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)


def voted_label(votes: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """The label that most FER+ voters gave: int64 (n,), -1 for a tie, and where most saw none of the classes.

    votes: int (n, 10) in the order of `ferplus.VOTES`; `class_names`: a set of FER2013's classes.
    """
    seven = list(VOTED)
    columns = [VOTES.index(VOTED[name]) for name in seven]
    others = [k for k in range(len(VOTES)) if k not in columns]
    ordered = np.asarray(votes)[:, columns + others]
    most = ordered.max(axis=1, keepdims=True)
    winner = ordered.argmax(axis=1)
    clear = ((ordered == most).sum(axis=1) == 1) & (winner < len(seven))
    mapped = map_labels(np.where(clear, winner, 0), seven, class_names)
    return np.where(clear, mapped, -1)


def voted_pair(votes: np.ndarray) -> np.ndarray:
    """Which of happy (0) and neutral (1) more FER+ voters saw: int64 (n,), -1 for a tie. votes: int (n, 10)."""
    votes = np.asarray(votes)
    lead = votes[:, VOTES.index("happiness")] - votes[:, VOTES.index("neutral")]
    return np.select([lead > 0, lead < 0], [0, 1], -1)


def second_look(suspects: pd.DataFrame, y_true: np.ndarray, voted: np.ndarray) -> dict[str, float]:
    """How often a second look, int64 (n,) with -1 for "no answer", agrees with the suspicion. Shares of 0 to 1.

    Over all rows and over the suspects: `against_label` (the look says another class, or none), and over
    the suspects `with_suggestion` (it says the suggested one). A look that finds every label doubtful
    says little, so `against_label_all` stands beside.
    """
    rows = suspects["row"].to_numpy()
    of_suspects = float((voted[rows] != y_true[rows]).mean()) if len(rows) else float("nan")
    agreed = float((voted[rows] == suspects["suggested"].to_numpy()).mean()) if len(rows) else float("nan")
    return {
        "suspects": len(rows),
        "against_label": of_suspects,
        "with_suggestion": agreed,
        "against_label_all": float((voted != y_true).mean()),
    }


def mistakes_by_votes(y_true: np.ndarray, y_pred: np.ndarray, voted: np.ndarray) -> dict[str, float]:
    """What the voters said of the rows that were read wrong: `n`, and shares of `label`, `answer`,
    `another` class, and `none` (a tie, or no class); and `accuracy_by_votes`, where the voters' label
    counts as the truth, over the `n_voted` rows on which they had one.
    """
    wrong, has = y_pred != y_true, voted >= 0
    said, truth, answer = voted[wrong], y_true[wrong], y_pred[wrong]
    share = lambda mask: float(mask.mean()) if len(mask) else float("nan")  # noqa: E731
    return {
        "n": int(wrong.sum()),
        "label": share(said == truth),
        "answer": share(said == answer),
        "another": share((said >= 0) & (said != truth) & (said != answer)),
        "none": share(said < 0),
        "n_voted": int(has.sum()),
        "accuracy_by_votes": share(y_pred[has] == voted[has]),
    }


def ceiling(
    votes: np.ndarray, y_true: np.ndarray, class_names: Sequence[str], seed: int = 7
) -> dict[str, Any]:
    """How well ten people's votes predict FER2013's own labels: a ceiling made of label noise. Shares of 0 to 1.

    `n`; `majority`: the voters' label is the row's; `calibrated`: what a logistic regression of the labels on
    the shares of votes gets right on rows it was not fitted on (five folds), so it knows FER2013's habits;
    and where both classes are there, over the rows labelled happy or neutral: `pair_n`, `pair_ties`, and
    `pair`, the share in which more voters saw that one of the two (a tie counts half).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    said = cross_val_predict(LogisticRegression(C=10, max_iter=1000), shares, y_true, cv=folds)
    result = {
        "n": len(y_true),
        "majority": float((voted_label(votes, class_names) == y_true).mean()),
        "calibrated": float((said == y_true).mean()),
    }
    names = list(class_names)
    if {"happy", "neutral"} <= set(names):
        pair = np.isin(y_true, [names.index("happy"), names.index("neutral")])
        voted, wanted = voted_pair(votes[pair]), np.where(y_true[pair] == names.index("happy"), 0, 1)
        result |= {
            "pair_n": int(pair.sum()),
            "pair_ties": float((voted < 0).mean()),
            "pair": float(((voted == wanted) + 0.5 * (voted < 0)).mean()),
        }
    return result
