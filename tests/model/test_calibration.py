"""Calibration by hand, against scikit-learn, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from ferlib.common.errors import BadInputError
from ferlib.model import calibration


def answers(n=400, seed=3, sharp=2.0, k=3):
    """Rows whose probabilities are right by construction: the truth is drawn from them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, sharp, (n, k))
    y_prob = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y_true = np.array([rng.choice(k, p=row) for row in y_prob])
    return y_true, y_prob


def test_reliability_by_hand():
    y_prob = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [1.0, 0.0]])
    table = calibration.reliability(np.array([0, 1, 1, 0]), y_prob, bins=10)
    assert table["n"].tolist() == [1, 1, 2]  # 0.9 is on an edge and belongs to the lower bin
    assert table["low"].tolist() == pytest.approx([0.5, 0.8, 0.9])
    assert table["accuracy"].tolist() == [1, 1, 0.5]
    assert table["confidence"].tolist() == pytest.approx([0.6, 0.9, 0.975])
    error = calibration.expected_calibration_error(np.array([0, 1, 1, 0]), y_prob, bins=10)
    assert error == pytest.approx((0.4 + 0.1 + 2 * 0.475) / 4)


@pytest.mark.parametrize("bent", [0.4, 1.0, 2.5])
def test_temperature_finds_how_much_the_probabilities_were_bent(bent):
    y_true, y_prob = answers(4000)
    said = calibration.with_temperature(y_prob, bent)
    found = calibration.fit_temperature(y_true, said)
    assert found == pytest.approx(1 / bent, rel=0.08)
    mended = calibration.with_temperature(said, found)
    assert calibration.log_loss(y_true, mended) <= calibration.log_loss(y_true, said) + 1e-9
    assert calibration.expected_calibration_error(y_true, mended) < 0.04
    assert (mended.argmax(axis=1) == said.argmax(axis=1)).all()


def test_log_loss_is_scikit_learns():
    y_true, y_prob = answers()
    assert calibration.log_loss(y_true, y_prob) == pytest.approx(theirs.log_loss(y_true, y_prob))


@given(st.floats(0.1, 10), st.integers(0, 2**31))
def test_temperature_keeps_rows_summing_to_one_and_their_order(temperature, seed):
    y_prob = np.random.default_rng(seed).dirichlet(np.ones(5), 6)
    bent = calibration.with_temperature(y_prob, temperature)
    assert np.allclose(bent.sum(axis=1), 1) and np.isfinite(bent).all()
    assert (np.argmax(bent, axis=1) == np.argmax(y_prob, axis=1)).all()


@pytest.mark.parametrize(
    "y_true, y_prob, said",
    [
        ([], np.zeros((0, 3)), "n > 0"),
        ([0, 1], [[0.5, 0.5]], "do not fit"),
        ([0], [0.5], "do not fit"),
        ([0], [[np.nan, 0.5]], "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(y_true, y_prob, said):
    for judge in (
        calibration.expected_calibration_error,
        calibration.fit_temperature,
        calibration.log_loss,
    ):
        with pytest.raises(BadInputError, match=said):
            judge(np.array(y_true), np.array(y_prob))
