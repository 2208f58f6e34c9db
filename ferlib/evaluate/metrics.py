"""Confusion matrix and every rate by its right name, from labels or from counts. No TensorFlow.

One convention everywhere: **rows are the truth, columns what was predicted**. A share whose
denominator is zero (the precision of a class that was never predicted, the recall of one that has no
rows) is not a number: NaN here, `null` in JSON, and left out of means. It is never passed off as 0.
Labels are int64 from 0 to n_classes - 1; rates are floats from 0 to 1.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.errors import BadInputError, LabelError

RATES = {
    "tpr": ("true positive rate, recall, sensitivity", "TP / (TP + FN)"),
    "fnr": ("false negative rate, miss rate", "FN / (TP + FN)"),
    "fpr": ("false positive rate, false alarm rate", "FP / (FP + TN)"),
    "tnr": ("true negative rate, specificity", "TN / (FP + TN)"),
    "precision": ("precision, positive predictive value", "TP / (TP + FP)"),
    "fdr": ("false discovery rate", "FP / (TP + FP)"),
    "for_": ("false omission rate", "FN / (FN + TN)"),
    "npv": ("negative predictive value", "TN / (FN + TN)"),
    "accuracy": ("accuracy", "(TP + TN) / n"),
    "f1": ("F1, harmonic mean of precision and recall", "2 TP / (2 TP + FP + FN)"),
    "balanced_accuracy": ("balanced accuracy", "(TPR + TNR) / 2"),
    "prevalence": ("prevalence", "(TP + FN) / n"),
}
"""Key of `binary_rates`: its names in words and its formula. `for_`, since `for` is a word of Python."""


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _labels(labels: Sequence[int], name: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1:
        raise LabelError(
            f"{name} has shape {array.shape}; give one label a row (argmax of the probabilities)"
        )
    if array.dtype.kind not in "iub":
        raise LabelError(f"{name} holds {array.dtype}, not whole numbers; map names to labels first")
    return array.astype(np.int64)


def _pair(y_true: Sequence[int], y_pred: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = _labels(y_true, "y_true"), _labels(y_pred, "y_pred")
    if len(truth) != len(predicted):
        raise LabelError(
            f"y_true has {len(truth)} rows and y_pred {len(predicted)}; they must be the same rows"
        )
    return truth, predicted


def _some(count: int) -> None:
    if count == 0:
        raise BadInputError("no rows to judge; check the Usage and the classes that were asked for")


def _matrix(matrix: np.ndarray) -> np.ndarray:
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] < 2:
        raise BadInputError(f"a confusion matrix is square and at least 2×2, got shape {array.shape}")
    if array.dtype.kind not in "iu" or (array < 0).any():
        raise BadInputError("a confusion matrix holds counts: whole numbers, none below 0")
    return array.astype(np.int64)


def confusion_matrix(y_true: Sequence[int], y_pred: Sequence[int], n_classes: int) -> np.ndarray:
    """Counts int64 (n_classes, n_classes): entry [t, p] is how many rows of truth t were predicted as p.

    No rows give a matrix of zeros. Raises LabelError for a label outside 0..n_classes-1, for labels
    that are not whole numbers, and for two lists of different length.
    """
    truth, predicted = _pair(y_true, y_pred)
    for name, labels in (("y_true", truth), ("y_pred", predicted)):
        bad = labels[(labels < 0) | (labels >= n_classes)]
        if bad.size:
            raise LabelError(f"{name} holds label {bad[0]}, outside 0..{n_classes - 1}")
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, float64: of the faces that are t, the share read as p.

    The diagonal holds the recalls. A row of no faces is NaN.
    """
    matrix = _matrix(matrix)
    sums = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, sums, out=np.full(matrix.shape, np.nan), where=sums > 0)


def accuracy(y_true: Sequence[int], y_pred: Sequence[int]) -> float:
    """Share of rows read right. Raises BadInputError for no rows."""
    truth, predicted = _pair(y_true, y_pred)
    _some(len(truth))
    return float((truth == predicted).mean())


def balanced_accuracy(y_true: Sequence[int], y_pred: Sequence[int]) -> float:
    """Mean of the recalls of the classes that have rows: each class counts the same, small or large.

    A guess that ignores the face gets 1 / (classes that have rows). Raises BadInputError for no rows.
    """
    truth, predicted = _pair(y_true, y_pred)
    _some(len(truth))
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def majority_baseline(y: Sequence[int]) -> float:
    """Accuracy of always naming the most frequent label of `y`. Raises BadInputError for no rows."""
    labels = _labels(y, "y")
    _some(len(labels))
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def wilson_interval(right: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Where the true accuracy lies, given `right` of `n` independent rows read right: (low, high).

    Wilson's score interval (1927): unlike p ± 1.96·√(p(1-p)/n) it stays within 0..1 and is not of
    zero width at 0 or n right. Raises BadInputError for n = 0, `right` outside 0..n, or a confidence
    that is not between 0 and 1.
    """
    _some(n)
    if not 0 <= right <= n or not 0 < confidence < 1:
        raise BadInputError(f"right={right} must lie in 0..{n} and confidence={confidence} between 0 and 1")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, scale = right / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # at the two ends the exact values, which rounding would miss by a hair
    return (middle - half if right else 0.0), (middle + half if right < n else 1.0)


def per_class(matrix: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """One row a class: `precision`, `recall`, `f1` (0..1 or NaN), `support`, `predicted` (counts).

    `support` is the row sum (faces of the class), `predicted` the column sum (faces read as it).
    """
    matrix = _matrix(matrix)
    if len(class_names) != len(matrix):
        raise BadInputError(f"{len(class_names)} class names for a confusion matrix of {len(matrix)} classes")
    right, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    rows = zip(right, support, predicted, strict=True)
    return pd.DataFrame(
        [(_share(r, p), _share(r, s), _share(2 * r, s + p), int(s), int(p)) for r, s, p in rows],
        columns=["precision", "recall", "f1", "support", "predicted"],
        index=pd.Index(list(class_names), name="class"),
    )


def one_against_rest(matrix: np.ndarray, label: int) -> np.ndarray:
    """The 2×2 counts of one class against all others: int64 [[TN, FP], [FN, TP]], the class as label 1."""
    matrix = _matrix(matrix)
    if not 0 <= label < len(matrix):
        raise LabelError(f"label {label} is outside 0..{len(matrix) - 1}")
    tp = matrix[label, label]
    fn, fp = matrix[label].sum() - tp, matrix[:, label].sum() - tp
    return np.array([[matrix.sum() - tp - fn - fp, fp], [fn, tp]])


def binary_rates(matrix: np.ndarray, positive: int = 1) -> dict[str, float]:
    """Every rate of a 2×2 matrix by its right name: the keys of `RATES`, each 0..1 or NaN.

    `positive` is the label that counts as "yes"; the other one is "no". Four rates divide by a row
    (what share of a truth was read so: TPR, FNR, FPR, TNR), four by a column (what share of a reading
    was true: precision, FDR, FOR, NPV). Source: Fawcett, An introduction to ROC analysis, 2006.
    """
    matrix = _matrix(matrix)
    if matrix.shape != (2, 2) or positive not in (0, 1):
        raise BadInputError(
            f"binary_rates takes a 2×2 matrix and positive 0 or 1, got {matrix.shape} and {positive}; "
            "one_against_rest makes the 2×2 of one class"
        )
    (tn, fp), (fn, tp) = matrix if positive == 1 else matrix[::-1, ::-1]
    tpr, tnr = _share(tp, tp + fn), _share(tn, fp + tn)
    return {
        "tpr": tpr,
        "fnr": _share(fn, tp + fn),
        "fpr": _share(fp, fp + tn),
        "tnr": tnr,
        "precision": _share(tp, tp + fp),
        "fdr": _share(fp, tp + fp),
        "for_": _share(fn, fn + tn),
        "npv": _share(tn, fn + tn),
        "accuracy": _share(tp + tn, matrix.sum()),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "balanced_accuracy": (tpr + tnr) / 2,
        "prevalence": _share(tp + fn, matrix.sum()),
    }


def which_rate(matrix: np.ndarray, percent: float, positive: int = 1) -> list[str]:
    """Keys of the rates that print as this percentage with two decimals: what a published number *is*."""
    rates = binary_rates(matrix, positive)
    return [key for key, rate in rates.items() if f"{100 * rate:.2f}" == f"{percent:.2f}"]


def summary(matrix: np.ndarray) -> dict[str, float]:
    """The figures of a whole confusion matrix: `n`, `accuracy`, `balanced_accuracy`, `majority_baseline`,
    `macro_f1` (means leave out what is NaN) and `interval` (Wilson, 95 %). BadInputError for no rows.
    """
    matrix = _matrix(matrix)
    n, right = int(matrix.sum()), int(np.trace(matrix))
    _some(n)
    table = per_class(matrix, range(len(matrix)))
    return {
        "n": n,
        "accuracy": right / n,
        "interval": wilson_interval(right, n),
        "balanced_accuracy": float(table["recall"].mean()),
        "majority_baseline": float(matrix.sum(axis=1).max() / n),
        "macro_f1": float(table["f1"].mean()),
    }


def bootstrap(
    matrix: np.ndarray, repeats: int = 2000, seed: int = 7, confidence: float = 0.95
) -> dict[str, Any]:
    """Percentile bootstrap intervals: `accuracy`, `balanced_accuracy`, `macro_f1` as (low, high), and
    `recall`, `precision`, `f1` as float64 (k, 2), a row a class.

    The rows are drawn again with replacement, `repeats` times, and the middle `confidence` of what comes
    out is kept (B. Efron, Bootstrap methods, 1979). A figure of the confusion matrix needs no rows for it:
    drawing n rows is drawing n cells, by their shares. NaN where a figure is never a number.
    """
    matrix = _matrix(matrix)
    n, k = int(matrix.sum()), len(matrix)
    _some(n)
    drawn = np.random.default_rng(seed).multinomial(n, matrix.ravel() / n, size=repeats)
    drawn = drawn.reshape(repeats, k, k).astype(np.float64)
    right, truth, said = np.diagonal(drawn, axis1=1, axis2=2), drawn.sum(axis=2), drawn.sum(axis=1)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of nothing but NaN stays NaN
        recall, precision, f1 = right / truth, right / said, 2 * right / (truth + said)
        figures = {
            "accuracy": right.sum(axis=1) / n,
            "balanced_accuracy": np.nanmean(recall, axis=1),
            "macro_f1": np.nanmean(f1, axis=1),
            "recall": recall,
            "precision": precision,
            "f1": f1,
        }
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        bounds = {key: np.nanquantile(values, ends, axis=0).T for key, values in figures.items()}
    return {key: tuple(map(float, value)) if value.ndim == 1 else value for key, value in bounds.items()}


def confused(matrix: np.ndarray, class_names: Sequence[str], top: int = 5) -> list[dict[str, Any]]:
    """The largest shares off the diagonal, largest first: `truth`, `predicted`, `count`, `n`, `share` (of the row)."""
    matrix = _matrix(matrix)
    shares = np.nan_to_num(row_shares(matrix)) * (1 - np.eye(len(matrix)))
    cells = [divmod(int(cell), len(matrix)) for cell in np.argsort(-shares, axis=None, kind="stable")[:top]]
    return [
        {
            "truth": class_names[t],
            "predicted": class_names[p],
            "count": int(matrix[t, p]),
            "n": int(matrix[t].sum()),
            "share": float(shares[t, p]),
        }
        for t, p in cells
        if t != p and matrix[t, p]
    ]


def in_words(pair: Mapping[str, Any]) -> str:
    """One of `confused` as a sentence: "fear is called sad in 20 % of its pictures (100 of 496)"."""
    return (
        f"{pair['truth']} is called {pair['predicted']} in {100 * pair['share']:.0f} % of its pictures "
        f"({pair['count']:,} of {pair['n']:,})"
    )
