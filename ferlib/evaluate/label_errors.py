"""Rows whose label is probably wrong, found by confident learning, and what FER+'s voters say of them.

Source: C. G. Northcutt, L. Jiang, I. L. Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels,
JAIR 70, 2021. The library for more than is here is cleanlab.

Throughout, `votes` is int (n, 10) in the order of `ferlib.dataset.ferplus.VOTES`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.labels import SEVEN, canonical, map_labels
from ferlib.dataset.ferplus import VOTES
from ferlib.model.calibration import check_predictions

# The columns of FER+'s votes for FER2013's seven classes, in FER2013's order; the last three columns (contempt,
# unknown, not a face) have no class there.
_COLUMNS = [next(k for k, name in enumerate(VOTES[:7]) if canonical(name) == emotion) for emotion in SEVEN]


def class_thresholds(y_true: np.ndarray, y_prob: np.ndarray) -> np.ndarray:
    """Compute the mean probability of each class over the rows labelled so: how confident the model usually is.

    A class of which the model is never confident gets a low threshold, so that not all its labels look wrong.

    Args:
        y_true: Labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).

    Returns:
        The thresholds, float64 (classes,); NaN for a class without rows.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    y_true, y_prob = check_predictions(y_true, y_prob)
    own = pd.Series(y_prob[np.arange(len(y_true)), y_true])
    return own.groupby(y_true).mean().reindex(range(y_prob.shape[1])).to_numpy()


def find_label_errors(y_true: np.ndarray, y_prob: np.ndarray) -> pd.DataFrame:
    """Find rows that belong confidently to another class than their label.

    A row belongs confidently to the most probable of the classes whose probability reaches the class's
    threshold, or to none.

    Args:
        y_true: Labels, int64 (n,).
        y_prob: Probabilities, float (n, classes), of a network that was not trained on these rows.

    Returns:
        `row` (0 to n-1), `label`, `suggested`, and `doubt` (the probability of the suggested class minus that of
        the label), the largest doubt first.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    y_true, y_prob = check_predictions(y_true, y_prob)
    confident = np.where(y_prob >= class_thresholds(y_true, y_prob), y_prob, -1)  # False for NaN
    suggested, every = confident.argmax(axis=1), np.arange(len(y_true))
    doubt = y_prob[every, suggested] - y_prob[every, y_true]
    table = pd.DataFrame({"row": every, "label": y_true, "suggested": suggested, "doubt": doubt})
    table = table[(confident.max(axis=1) >= 0) & (suggested != y_true)]
    return table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)


def voted_labels(votes: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Find the label that most FER+ voters gave to each row.

    Args:
        votes: int (n, 10).
        class_names: A set of FER2013's classes.

    Returns:
        int64 (n,); -1 for a tie, and where most voters saw none of the classes.
    """
    ordered = np.asarray(votes)[:, [*_COLUMNS, 7, 8, 9]]
    most = ordered.max(axis=1, keepdims=True)
    winner = ordered.argmax(axis=1)
    clear = ((ordered == most).sum(axis=1) == 1) & (winner < 7)
    return np.where(clear, map_labels(np.where(clear, winner, 0), SEVEN, class_names), -1)


def voted_pair_labels(votes: np.ndarray) -> np.ndarray:
    """Find which of happy and neutral more FER+ voters saw in each row.

    Args:
        votes: int (n, 10).

    Returns:
        int64 (n,): 0 for happy, 1 for neutral, -1 for a tie.
    """
    lead = votes[:, VOTES.index("happiness")] - votes[:, VOTES.index("neutral")]
    return np.select([lead > 0, lead < 0], [0, 1], -1)


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else float("nan")


def compare_with_votes(errors: pd.DataFrame, y_true: np.ndarray, voted: np.ndarray) -> dict[str, float]:
    """Compute how often the voters agree that a label is wrong.

    Args:
        errors: What `find_label_errors` returns.
        y_true: Labels, int64 (n,).
        voted: The voters' labels, int64 (n,); -1 for none.

    Returns:
        `suspects` (the number of label errors found); over these the shares `against_label` (the voters give
        another label, or none) and `with_suggestion` (they give the suggested one); and `against_label_all`,
        the same share over all rows, for comparison.
    """
    rows = errors["row"].to_numpy()
    return {
        "suspects": len(rows),
        "against_label": _share(voted[rows] != y_true[rows]),
        "with_suggestion": _share(voted[rows] == errors["suggested"].to_numpy()),
        "against_label_all": _share(voted != y_true),
    }


def mistakes_by_votes(y_true: np.ndarray, y_pred: np.ndarray, voted: np.ndarray) -> dict[str, float]:
    """Compute with whom the voters agree where the prediction differs from the label.

    Args:
        y_true: Labels, int64 (n,).
        y_pred: Predictions, int64 (n,).
        voted: The voters' labels, int64 (n,); -1 for none.

    Returns:
        `n` mistakes; the shares in which the voters give the `label`, the prediction (`answer`), `another` class
        or `none`; and `accuracy_by_votes`, with the voters' labels as the truth, over the `n_voted` rows that
        have one.
    """
    wrong, has_vote = y_pred != y_true, voted >= 0
    vote, label, answer = voted[wrong], y_true[wrong], y_pred[wrong]
    return {
        "n": int(wrong.sum()),
        "label": _share(vote == label),
        "answer": _share(vote == answer),
        "another": _share((vote >= 0) & (vote != label) & (vote != answer)),
        "none": _share(vote < 0),
        "n_voted": int(has_vote.sum()),
        "accuracy_by_votes": _share(y_pred[has_vote] == voted[has_vote]),
    }


def label_noise_ceiling(
    votes: np.ndarray, y_true: np.ndarray, class_names: Sequence[str], seed: int = 7
) -> dict[str, Any]:
    """Compute how well ten people's votes predict FER2013's own labels: a ceiling set by label noise.

    Args:
        votes: int (n, 10).
        y_true: Labels, int64 (n,), at least five rows per class.
        class_names: A set of FER2013's classes.
        seed: The seed of the five folds.

    Returns:
        `n`; `majority`, the share of rows whose voters give the label; `calibrated`, the cross-validated accuracy
        of a logistic regression of the labels on the shares of votes, which learns FER2013's habits. With
        both classes, over the rows labelled happy or neutral: `pair_n`, `pair_ties`, and `pair`, the share in
        which more voters saw that one of the two (a tie counts half).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    predicted = cross_val_predict(LogisticRegression(C=10, max_iter=1000), shares, y_true, cv=folds)
    result = {
        "n": len(y_true),
        "majority": _share(voted_labels(votes, class_names) == y_true),
        "calibrated": _share(predicted == y_true),
    }
    if {"happy", "neutral"} <= set(class_names):
        labels = map_labels(y_true, class_names, ("happy", "neutral"))
        voted = voted_pair_labels(votes[labels >= 0])
        labels = labels[labels >= 0]
        result |= {
            "pair_n": len(labels),
            "pair_ties": _share(voted < 0),
            "pair": _share((voted == labels) + 0.5 * (voted < 0)),
        }
    return result
