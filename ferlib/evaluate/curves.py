"""Ranking by probability: ROC and precision-recall curves of one class against the rest, and top-k accuracy.

`y_true` int64 (n,) and `y_prob` (n, k), rows summing to one, k = len(class_names), throughout.
"""

from collections.abc import Sequence

import numpy as np

from ferlib.model.calibration import check

POINTS = 60
"""Points of a stored curve: enough for a figure, few enough to read in a file."""


def top_k(y_true: np.ndarray, y_prob: np.ndarray, k: int = 2) -> float:
    """Share of rows whose true class is among the k likeliest; of equal ones the first counts."""
    y_true, y_prob = check(y_true, y_prob)
    first = np.argsort(-y_prob, axis=1, kind="stable")[:, :k]
    return float((first == y_true[:, None]).any(axis=1).mean())


def roc(y_true: np.ndarray, y_prob: np.ndarray, class_names: Sequence[str]) -> dict[str, dict]:
    """Class -> `auc`, `x` (false positive rate), `y` (true positive rate), each class against the rest.

    As the threshold on its probability falls, both rates grow from 0 to 1. `auc`, the area, is the chance
    that a face of the class gets a higher probability than another face; 0.5 is guessing. NaN and no
    points for a class without rows, or without others. Computed by scikit-learn.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    def measured(is_it: np.ndarray, score: np.ndarray) -> dict:
        x, y, _ = roc_curve(is_it, score)
        return _curve("auc", roc_auc_score(is_it, score), x, y)

    return _each(measured, "auc", y_true, y_prob, class_names)


def precision_recall(y_true: np.ndarray, y_prob: np.ndarray, class_names: Sequence[str]) -> dict[str, dict]:
    """Class -> `ap`, `x` (recall), `y` (precision), each class against the rest.

    `ap`, average precision, is the mean of the precisions, weighted by the steps in recall; guessing has the
    class's share of the rows. NaN and no points as in `roc`. Computed by scikit-learn.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    def measured(is_it: np.ndarray, score: np.ndarray) -> dict:
        precision, recall, _ = precision_recall_curve(is_it, score)
        return _curve("ap", average_precision_score(is_it, score), recall[::-1], precision[::-1])

    return _each(measured, "ap", y_true, y_prob, class_names)


def _each(measured, key: str, y_true, y_prob, class_names: Sequence[str]) -> dict[str, dict]:
    y_true, y_prob = check(y_true, y_prob)
    result = {}
    for label, name in enumerate(class_names):
        is_it = y_true == label
        judged = is_it.any() and not is_it.all()
        result[name] = measured(is_it, y_prob[:, label]) if judged else {key: float("nan"), "x": [], "y": []}
    return result


def _curve(key: str, area: float, x: np.ndarray, y: np.ndarray) -> dict:
    kept = _thinned(x, y)
    return {key: float(area), "x": x[kept].round(4).tolist(), "y": y[kept].round(4).tolist()}


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of at most POINTS points at about even steps along the line, its two ends among them."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    way = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)).clip(0, len(x) - 1))
