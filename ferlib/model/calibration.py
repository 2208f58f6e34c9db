"""Is a probability to be trusted? Reliability diagram, calibration error, and temperature.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks, ICML 2017.
"""

import numpy as np
import pandas as pd

from ferlib.common.errors import BadInputError

BINS = 15
"""Guo et al.'s number of bins."""


def reliability(y_true: np.ndarray, y_prob: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """What was said beside what came true, one row a bin of the largest probability that has rows.

    Columns `low`, `high` (edges of the bin, 0 to 1), `n`, `confidence` (mean of the largest probabilities),
    `accuracy`. A value on an edge belongs to the lower bin.
    """
    y_true, y_prob = check(y_true, y_prob)
    confidence = y_prob.max(axis=1)
    right = y_prob.argmax(axis=1) == y_true
    place = (np.ceil(np.minimum(confidence, 1) * bins) - 1).clip(0).astype(int)
    grouped = pd.DataFrame({"place": place, "confidence": confidence, "accuracy": right}).groupby("place")
    table = grouped.agg(
        n=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    table.insert(0, "low", table.index / bins)
    table.insert(1, "high", (table.index + 1) / bins)
    return table.reset_index(drop=True)


def expected_error(y_true: np.ndarray, y_prob: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, each bin by its share of rows.

    ECE = Σ n_b / n · |accuracy_b - confidence_b|; 0 is perfect.
    """
    table = reliability(y_true, y_prob, bins)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((table["n"] * gaps).sum() / table["n"].sum())


def log_loss(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """Mean of -ln(probability of the true class): the surprise at the truth, 0 at best."""
    y_true, y_prob = check(y_true, y_prob)
    return float(-np.log(np.maximum(y_prob[np.arange(len(y_true)), y_true], 1e-12)).mean())


def with_temperature(y_prob: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities with their logarithms divided by a temperature: over 1 softer, below 1 sharper.

    The same as dividing the scores before the softmax. The likeliest class stays the likeliest.
    """
    scores = np.log(np.maximum(np.asarray(y_prob, np.float64), 1e-12)) / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def fit_temperature(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    """The temperature (0.05 to 20) that makes the log loss smallest.

    Fit it on rows that neither moved the weights nor will be judged: a temperature that has seen the
    judged rows flatters itself.
    """
    from scipy.optimize import minimize_scalar

    y_true, y_prob = check(y_true, y_prob)
    found = minimize_scalar(
        lambda power: log_loss(y_true, with_temperature(y_prob, np.exp(power))),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_shift(y_true: np.ndarray, y_prob: np.ndarray) -> tuple[float, np.ndarray]:
    """(temperature, a shift of each class's score, float (classes,)) that make the log loss smallest.

    Bias-corrected temperature scaling (A. Alexandari, A. Kundaje, A. Shrikumar, ICML 2020): the scores become
    log p / temperature + shift. It mends what training did to the classes' shares, and may change which class
    is the likeliest. The shifts are held near zero, a little, and sum to zero. Fit it as `fit_temperature` says.
    """
    from scipy.optimize import minimize

    y_true, y_prob = check(y_true, y_prob)
    scores = np.log(np.maximum(y_prob, 1e-12))
    rows = np.arange(len(y_true))

    def loss(values: np.ndarray) -> float:
        moved = scores / np.exp(values[0]) + values[1:]
        moved = moved - moved.max(axis=1, keepdims=True)
        surprise = np.log(np.exp(moved).sum(axis=1)) - moved[rows, y_true]
        return float(surprise.mean() + 1e-3 * (values[1:] ** 2).sum())

    found = minimize(loss, np.zeros(1 + y_prob.shape[1])).x
    return float(np.exp(found[0])), found[1:] - found[1:].mean()


def check(y_true: np.ndarray, y_prob: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays that fit together; BadInputError where they do not, or have no rows."""
    y_true, y_prob = np.asarray(y_true), np.asarray(y_prob, dtype=np.float64)
    if y_prob.ndim != 2 or y_true.shape != y_prob.shape[:1] or not len(y_true):
        raise BadInputError(
            f"labels {y_true.shape} and probabilities {y_prob.shape} do not fit; give (n,) and (n, classes), n > 0"
        )
    if not np.isfinite(y_prob).all():
        raise BadInputError("some probabilities are not numbers; the model that gave them is broken")
    return y_true, y_prob
