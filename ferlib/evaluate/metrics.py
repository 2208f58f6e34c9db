"""The confusion matrix and the rates computed from it, from labels or from counts.

In every confusion matrix **rows are the truth and columns the predictions**. A ratio whose denominator is zero
(the precision of a class that was never predicted, the recall of a class without rows) is NaN here and
`null` in JSON, and is left out of means; it is never reported as 0.

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
"""Each key of `binary_rates` with its names and its formula; `for_` because `for` is a Python keyword."""


Labels = Sequence[int] | np.ndarray
"""Integers, (n,)."""


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole` element by element, NaN where `whole` is zero."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _check_labels(labels: Labels, name: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1:
        raise LabelError(f"{name} has shape {array.shape}; give one label per row, such as the argmax")
    if array.dtype.kind not in "iub":
        raise LabelError(f"{name} has dtype {array.dtype}, not integers; map names to labels first")
    return array.astype(np.int64)


def _check_pair(y_true: Labels, y_pred: Labels) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = _check_labels(y_true, "y_true"), _check_labels(y_pred, "y_pred")
    if len(truth) != len(predicted):
        raise LabelError(
            f"y_true has {len(truth)} rows and y_pred {len(predicted)}; they must be the same rows"
        )
    return truth, predicted


def _check_rows(count: int) -> None:
    if count == 0:
        raise BadInputError("no rows to evaluate; check the Usage and the classes")


def _check_matrix(matrix: Any) -> np.ndarray:
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] < 2:
        raise BadInputError(f"a confusion matrix is square and at least 2×2, got shape {array.shape}")
    if array.dtype.kind not in "iu" or (array < 0).any():
        raise BadInputError("a confusion matrix holds counts: integers, none below 0")
    return array.astype(np.int64)


def confusion_matrix(y_true: Labels, y_pred: Labels, n_classes: int) -> np.ndarray:
    """Count how often each true class was predicted as each class.

    Args:
        y_true: True labels, integers (n,); n may be zero.
        y_pred: Predicted labels, integers (n,).
        n_classes: The number of classes.

    Returns:
        Counts, int64 (n_classes, n_classes): entry [t, p] is the number of rows of class t predicted as p.

    Raises:
        LabelError: A label is outside 0..n_classes-1 or not an integer, or the lengths differ.
    """
    truth, predicted = _check_pair(y_true, y_pred)
    for name, labels in (("y_true", truth), ("y_pred", predicted)):
        bad = labels[(labels < 0) | (labels >= n_classes)]
        if bad.size:
            raise LabelError(f"{name} holds label {bad[0]}, outside 0..{n_classes - 1}")
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """Divide each row of a confusion matrix by its sum.

    Args:
        matrix: Counts, int (k, k).

    Returns:
        float64 (k, k): of the rows of class t, the share predicted as p. The diagonal holds the recalls;
        the row of a class without rows is NaN.
    """
    matrix = _check_matrix(matrix)
    return _ratio(matrix, matrix.sum(axis=1, keepdims=True))


def accuracy(y_true: Labels, y_pred: Labels) -> float:
    """Compute the share of rows that were predicted correctly.

    Args:
        y_true: True labels, integers (n,).
        y_pred: Predicted labels, integers (n,).

    Returns:
        The accuracy, 0 to 1.

    Raises:
        BadInputError: There are no rows.
    """
    truth, predicted = _check_pair(y_true, y_pred)
    _check_rows(len(truth))
    return float((truth == predicted).mean())


def balanced_accuracy(y_true: Labels, y_pred: Labels) -> float:
    """Compute the mean recall of the classes that have rows, so that rare and frequent classes count equally.

    Args:
        y_true: True labels, integers (n,).
        y_pred: Predicted labels, integers (n,).

    Returns:
        The balanced accuracy, 0 to 1; guessing gives 1 / (number of classes with rows).

    Raises:
        BadInputError: There are no rows.
    """
    truth, predicted = _check_pair(y_true, y_pred)
    _check_rows(len(truth))
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute Wilson's score interval of an accuracy.

    Unlike p ± 1.96·√(p(1-p)/n) it stays within 0 to 1 and has a width even at 0 or n correct rows. Source:
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927.

    Args:
        correct: How many of the `n` independent rows were predicted correctly.
        n: The number of rows.
        confidence: The level of the interval, between 0 and 1.

    Returns:
        The lower and the upper end, 0 to 1.

    Raises:
        BadInputError: `n` is 0, `correct` is outside 0..n, or `confidence` is not between 0 and 1.
    """
    _check_rows(n)
    if not 0 <= correct <= n or not 0 < confidence < 1:
        raise BadInputError(f"correct={correct} must be in 0..{n}, confidence={confidence} between 0 and 1")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, scale = correct / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # at the two ends the exact values, which rounding would miss slightly
    return (middle - half if correct else 0.0), (middle + half if correct < n else 1.0)


def per_class(matrix: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """Compute precision, recall and F1 of each class.

    Args:
        matrix: Counts, int (k, k).
        class_names: The k names of the classes.

    Returns:
        One row per class with `precision`, `recall`, `f1` (0 to 1, or NaN), `support` (rows of the class) and
        `predicted` (rows predicted as the class).

    Raises:
        BadInputError: The names do not fit the matrix, or it is not a confusion matrix.
    """
    matrix = _check_matrix(matrix)
    if len(class_names) != len(matrix):
        raise BadInputError(f"{len(class_names)} class names for a confusion matrix of {len(matrix)} classes")
    correct, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    columns = {
        "precision": _ratio(correct, predicted),
        "recall": _ratio(correct, support),
        "f1": _ratio(2 * correct, support + predicted),
        "support": support,
        "predicted": predicted,
    }
    return pd.DataFrame(columns, index=pd.Index(list(class_names), name="class"))


def one_vs_rest(matrix: np.ndarray, label: int) -> np.ndarray:
    """Reduce a confusion matrix to one class against all others.

    Args:
        matrix: Counts, int (k, k).
        label: The class that becomes the positive one.

    Returns:
        int64 [[TN, FP], [FN, TP]].

    Raises:
        LabelError: The label is outside the matrix.
    """
    matrix = _check_matrix(matrix)
    if not 0 <= label < len(matrix):
        raise LabelError(f"label {label} is outside 0..{len(matrix) - 1}")
    tp = matrix[label, label]
    fn, fp = matrix[label].sum() - tp, matrix[:, label].sum() - tp
    return np.array([[matrix.sum() - tp - fn - fp, fp], [fn, tp]])


def binary_rates(matrix: Any, positive: int = 1) -> dict[str, float]:
    """Compute every rate of a 2×2 confusion matrix.

    Four rates divide by a row sum (TPR, FNR, FPR, TNR: what share of a true class was predicted so) and four by
    a column sum (precision, FDR, FOR, NPV: what share of a prediction was true). Source: T. Fawcett, An
    introduction to ROC analysis, Pattern Recognition Letters 27, 2006.

    Args:
        matrix: Counts, int (2, 2).
        positive: The label of the positive class, 0 or 1.

    Returns:
        The keys of `RATES` with values from 0 to 1, or NaN.

    Raises:
        BadInputError: The matrix is not 2×2, or `positive` is neither 0 nor 1.
    """
    matrix = _check_matrix(matrix)
    if matrix.shape != (2, 2) or positive not in (0, 1):
        raise BadInputError(
            f"binary_rates takes a 2×2 matrix and positive 0 or 1, got {matrix.shape} and {positive}; "
            "one_vs_rest makes the 2×2 matrix of one class"
        )
    (tn, fp), (fn, tp) = matrix if positive == 1 else matrix[::-1, ::-1]
    p, n, total = tp + fn, fp + tn, matrix.sum()
    parts = [tp, fn, fp, tn, tp, fp, fn, tn, tp + tn, 2 * tp, p]
    wholes = [p, p, n, n, tp + fp, tp + fp, fn + tn, fn + tn, total, 2 * tp + fp + fn, total]
    names = [key for key in RATES if key != "balanced_accuracy"]
    rates = dict(zip(names, _ratio(np.array(parts), np.array(wholes)).tolist(), strict=True))
    rates["balanced_accuracy"] = (rates["tpr"] + rates["tnr"]) / 2
    return {key: rates[key] for key in RATES}


def summary(matrix: np.ndarray) -> dict[str, Any]:
    """Compute the figures of a whole confusion matrix.

    Args:
        matrix: Counts, int (k, k).

    Returns:
        `n`, `accuracy`, `interval` (Wilson, 95 %), `balanced_accuracy`, `majority_baseline` (the accuracy of
        always predicting the most frequent class) and `macro_f1`; NaN is left out of the means.

    Raises:
        BadInputError: There are no rows, or it is not a confusion matrix.
    """
    matrix = _check_matrix(matrix)
    n, correct = int(matrix.sum()), int(np.trace(matrix))
    _check_rows(n)
    table = per_class(matrix, [str(label) for label in range(len(matrix))])
    return {
        "n": n,
        "accuracy": correct / n,
        "interval": wilson_interval(correct, n),
        "balanced_accuracy": float(table["recall"].mean()),
        "majority_baseline": float(matrix.sum(axis=1).max() / n),
        "macro_f1": float(table["f1"].mean()),
    }


def bootstrap(
    matrix: np.ndarray, repeats: int = 2000, seed: int = 7, confidence: float = 0.95
) -> dict[str, Any]:
    """Compute percentile bootstrap intervals of the figures of a confusion matrix.

    The rows are resampled with replacement and the middle share of the results is the interval (B. Efron,
    Bootstrap methods: another look at the jackknife, 1979). The rows themselves are not needed: drawing n rows
    is drawing n cells of the matrix with their shares as probabilities.

    Args:
        matrix: Counts, int (k, k).
        repeats: How often the rows are resampled.
        seed: The seed of the resampling.
        confidence: The level of the intervals, between 0 and 1.

    Returns:
        `accuracy`, `balanced_accuracy` and `macro_f1` as (low, high), and `recall`, `precision` and `f1` as
        float64 (k, 2), one row per class; NaN for what is never a number.

    Raises:
        BadInputError: There are no rows, or it is not a confusion matrix.
    """
    matrix = _check_matrix(matrix)
    n, k = int(matrix.sum()), len(matrix)
    _check_rows(n)
    drawn = np.random.default_rng(seed).multinomial(n, matrix.ravel() / n, size=repeats)
    drawn = drawn.reshape(repeats, k, k).astype(np.float64)
    correct, support, predicted = np.diagonal(drawn, axis1=1, axis2=2), drawn.sum(axis=2), drawn.sum(axis=1)
    recall, f1 = _ratio(correct, support), _ratio(2 * correct, support + predicted)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of nothing but NaN stays NaN
        figures = {
            "accuracy": correct.sum(axis=1) / n,
            "balanced_accuracy": np.nanmean(recall, axis=1),
            "macro_f1": np.nanmean(f1, axis=1),
            "recall": recall,
            "precision": _ratio(correct, predicted),
            "f1": f1,
        }
        bounds = {key: np.nanquantile(values, ends, axis=0).T for key, values in figures.items()}
    return {key: tuple(map(float, value)) if value.ndim == 1 else value for key, value in bounds.items()}


def top_confusions(matrix: np.ndarray, class_names: Sequence[str], top: int = 5) -> list[dict[str, Any]]:
    """Find the most frequent confusions, as shares of the true class.

    Args:
        matrix: Counts, int (k, k).
        class_names: The k names of the classes.
        top: How many confusions to return at most.

    Returns:
        The largest shares first: `truth`, `predicted`, `count`, `n` (rows of the true class), `share`.
    """
    matrix = _check_matrix(matrix)
    shares = np.nan_to_num(row_shares(matrix)) * (1 - np.eye(len(matrix)))
    found = []
    for cell in np.argsort(-shares, axis=None, kind="stable")[:top]:
        t, p = divmod(int(cell), len(matrix))
        if shares[t, p] > 0:
            counts = {"count": int(matrix[t, p]), "n": int(matrix[t].sum()), "share": float(shares[t, p])}
            found.append({"truth": class_names[t], "predicted": class_names[p], **counts})
    return found


def confusion_in_words(confusion: Mapping[str, Any]) -> str:
    """Describe one of `top_confusions` in a sentence.

    Args:
        confusion: One entry of `top_confusions`.

    Returns:
        For example "fear is called sad in 20 % of its pictures (100 of 496)".
    """
    return (
        f"{confusion['truth']} is called {confusion['predicted']} in {100 * confusion['share']:.0f} % of its "
        f"pictures ({confusion['count']:,} of {confusion['n']:,})"
    )
