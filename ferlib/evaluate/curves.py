"""ROC and precision-recall curves of each class against the rest, and top-k accuracy.

Throughout, `y_true` is int64 (n,) and `y_prob` float (n, k) with rows summing to one, k = len(class_names).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from ferlib.model.calibration import check_predictions

POINTS = 60
"""The most points that a curve keeps: enough for a figure, few enough for a readable file."""


def top_k_accuracy(y_true: np.ndarray, y_prob: np.ndarray, k: int = 2) -> float:
    """Compute the share of rows whose true class is among the k most probable ones.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes); of equal ones the first counts.
        k: How many classes count.

    Returns:
        The top-k accuracy, 0 to 1.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    y_true, y_prob = check_predictions(y_true, y_prob)
    best = np.argsort(-y_prob, axis=1, kind="stable")[:, :k]
    return float((best == y_true[:, None]).any(axis=1).mean())


def roc_curves(y_true: np.ndarray, y_prob: np.ndarray, class_names: Sequence[str]) -> dict[str, dict]:
    """Compute the ROC curve of each class against the rest, with scikit-learn.

    As the threshold on a class's probability falls, both rates grow from 0 to 1. The area under the curve is
    the chance that a face of the class gets a higher probability than another face; 0.5 is guessing.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, k).
        class_names: The k names of the classes.

    Returns:
        For each class `auc`, `x` (false positive rates) and `y` (true positive rates), at most `POINTS` long;
        NaN and no points for a class without rows or without other rows.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    curves: dict[str, dict] = {name: {"auc": np.nan, "x": [], "y": []} for name in class_names}
    for name, positive, score in _against_rest(y_true, y_prob, class_names):
        x, y, _ = roc_curve(positive, score)
        curves[name] = {"auc": float(roc_auc_score(positive, score)), **_thin(x, y)}
    return curves


def precision_recall_curves(
    y_true: np.ndarray, y_prob: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict]:
    """Compute the precision-recall curve of each class against the rest, with scikit-learn.

    Average precision is the mean of the precisions, weighted by the steps in recall; guessing has the class's
    share of the rows.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, k).
        class_names: The k names of the classes.

    Returns:
        For each class `ap`, `x` (recalls) and `y` (precisions); NaN and no points as in `roc_curves`.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    curves: dict[str, dict] = {name: {"ap": np.nan, "x": [], "y": []} for name in class_names}
    for name, positive, score in _against_rest(y_true, y_prob, class_names):
        precision, recall, _ = precision_recall_curve(positive, score)
        area = float(average_precision_score(positive, score))
        curves[name] = {"ap": area, **_thin(recall[::-1], precision[::-1])}
    return curves


def _against_rest(y_true: np.ndarray, y_prob: np.ndarray, class_names: Sequence[str]) -> Iterator[tuple]:
    """Of each class that has rows, and others beside it: its name, which rows are its own, its probabilities."""
    y_true, y_prob = check_predictions(y_true, y_prob)
    for label, name in enumerate(class_names):
        positive = y_true == label
        if positive.any() and not positive.all():
            yield name, positive, y_prob[:, label]


def _thin(x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """At most POINTS points at about even steps along the curve, both ends included."""
    if len(x) > POINTS:
        length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        steps = np.searchsorted(length, np.linspace(0, length[-1], POINTS))
        kept = np.unique(steps.clip(0, len(x) - 1))
        x, y = x[kept], y[kept]
    return {"x": x.round(4).tolist(), "y": y.round(4).tolist()}
