"""ROC and precision-recall curves of each class against the rest, and top-k accuracy.

Throughout, `y_true` is int64 (n,) and `y_prob` float (n, k) with rows summing to one, k = len(class_names).
"""

from collections.abc import Callable, Sequence

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

    def curve(positive: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        x, y, _ = roc_curve(positive, score)
        return roc_auc_score(positive, score), x, y

    return _curves(curve, "auc", y_true, y_prob, class_names)


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

    def curve(positive: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        precision, recall, _ = precision_recall_curve(positive, score)
        return average_precision_score(positive, score), recall[::-1], precision[::-1]

    return _curves(curve, "ap", y_true, y_prob, class_names)


def _curves(
    curve: Callable, area_key: str, y_true: np.ndarray, y_prob: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict]:
    y_true, y_prob = check_predictions(y_true, y_prob)
    result = {}
    for label, name in enumerate(class_names):
        positive = y_true == label
        result[name] = {area_key: float("nan"), "x": [], "y": []}
        if positive.any() and not positive.all():
            area, x, y = curve(positive, y_prob[:, label])
            kept = _thin(x, y)
            result[name] = {
                area_key: float(area),
                "x": x[kept].round(4).tolist(),
                "y": y[kept].round(4).tolist(),
            }
    return result


def _thin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of at most POINTS points at about even steps along the curve, both ends included."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(0, len(x) - 1))
