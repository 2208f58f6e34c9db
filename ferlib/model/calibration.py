"""Calibration: how far predicted probabilities can be trusted, and temperature scaling.

Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
Throughout, `y_true` is int64 (n,) and `y_prob` float (n, classes) with rows summing to one, n > 0.
"""

import numpy as np
import pandas as pd

from ferlib.common.errors import BadInputError

BINS = 15
"""The number of bins that Guo et al. use."""

_LEAST = 1e-12  # keeps logarithms finite


def reliability(y_true: np.ndarray, y_prob: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Compare confidence with accuracy in bins of the largest probability: the data of a reliability diagram.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).
        bins: The number of bins of equal width.

    Returns:
        One row per bin that has rows: `low` and `high` (its edges, 0 to 1; a value on an edge belongs to the
        lower bin), `n`, `confidence` (mean of the largest probabilities) and `accuracy`.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    y_true, y_prob = check_predictions(y_true, y_prob)
    confidence = y_prob.max(axis=1)
    correct = y_prob.argmax(axis=1) == y_true
    place = (np.ceil(np.minimum(confidence, 1) * bins) - 1).clip(0).astype(int)
    grouped = pd.DataFrame({"place": place, "confidence": confidence, "accuracy": correct}).groupby("place")
    table = grouped.agg(
        n=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    table.insert(0, "low", table.index / bins)
    table.insert(1, "high", (table.index + 1) / bins)
    return table.reset_index(drop=True)


def expected_calibration_error(y_true: np.ndarray, y_prob: np.ndarray, bins: int = BINS) -> float:
    """Compute the mean gap between confidence and accuracy: ECE = Σ n_b / n · |accuracy_b - confidence_b|.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).
        bins: The number of bins of equal width.

    Returns:
        The expected calibration error, 0 to 1; 0 is perfect.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    table = reliability(y_true, y_prob, bins)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((table["n"] * gaps).sum() / table["n"].sum())


def log_loss(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """Compute the mean of -ln(probability of the true class).

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).

    Returns:
        The log loss; 0 is perfect.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    y_true, y_prob = check_predictions(y_true, y_prob)
    return float(-np.log(np.maximum(y_prob[np.arange(len(y_true)), y_true], _LEAST)).mean())


def with_temperature(y_prob: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logarithms of probabilities by a temperature, as if the scores before the softmax were divided.

    Args:
        y_prob: Probabilities, float (n, classes).
        temperature: Above 1 the probabilities become softer, below 1 sharper.

    Returns:
        Probabilities, float64 (n, classes), each row summing to one; the most probable class stays the same.
    """
    from scipy.special import softmax

    return softmax(np.log(np.maximum(np.asarray(y_prob, np.float64), _LEAST)) / temperature, axis=1)


def fit_temperature(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """Find the temperature that minimizes the log loss.

    Fit it on rows that were used neither for training nor for testing; otherwise its effect is overestimated.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).

    Returns:
        The temperature, 0.05 to 20.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    from scipy.optimize import minimize_scalar

    y_true, y_prob = check_predictions(y_true, y_prob)
    found = minimize_scalar(
        lambda power: log_loss(y_true, with_temperature(y_prob, np.exp(power))),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_shift(y_true: np.ndarray, y_prob: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the temperature and the shift of each class's score that minimize the log loss.

    This is bias-corrected temperature scaling (A. Alexandari, A. Kundaje, A. Shrikumar, ICML 2020): the scores
    become log p / temperature + shift. It corrects the class shares that training changed, and may change which
    class is the most probable. A small penalty holds the shifts near zero. Fit it on rows as for
    `fit_temperature`.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).

    Returns:
        The temperature, and the shifts, float64 (classes,), which sum to zero.

    Raises:
        BadInputError: The arrays do not fit together, or there are no rows.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    y_true, y_prob = check_predictions(y_true, y_prob)
    scores = np.log(np.maximum(y_prob, _LEAST))

    def loss(values: np.ndarray) -> float:
        moved = scores / np.exp(values[0]) + values[1:]
        losses = logsumexp(moved, axis=1) - moved[np.arange(len(y_true)), y_true]
        return float(losses.mean() + 1e-3 * (values[1:] ** 2).sum())

    found = minimize(loss, np.zeros(1 + y_prob.shape[1])).x
    return float(np.exp(found[0])), found[1:] - found[1:].mean()


def check_predictions(y_true: np.ndarray, y_prob: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check that labels and probabilities fit together.

    Args:
        y_true: True labels, (n,).
        y_prob: Probabilities, (n, classes).

    Returns:
        Both as arrays, the probabilities as float64.

    Raises:
        BadInputError: The shapes do not fit together, there are no rows, or a probability is not finite.
    """
    y_true, y_prob = np.asarray(y_true), np.asarray(y_prob, dtype=np.float64)
    if y_prob.ndim != 2 or y_true.shape != y_prob.shape[:1] or not len(y_true):
        raise BadInputError(
            f"labels {y_true.shape} and probabilities {y_prob.shape} do not fit; give (n,) and (n, classes), n > 0"
        )
    if not np.isfinite(y_prob).all():
        raise BadInputError("some probabilities are not finite; the model that predicted them is broken")
    return y_true, y_prob
