"""Curves, calibration, bootstrap and confusions in words, against scikit-learn, by hand, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from ferlib.common.errors import BadInputError
from ferlib.evaluate import curves, metrics
from ferlib.model import calibration

NAMES = ("angry", "happy", "sad")


def answers(n=400, seed=3, sharp=2.0, k=3):
    """Rows whose probabilities are right by construction: the truth is drawn from them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, sharp, (n, k))
    y_prob = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y_true = np.array([rng.choice(k, p=row) for row in y_prob])
    return y_true, y_prob


def test_areas_are_scikit_learns_and_survive_the_thinning():
    y_true, y_prob = answers(3000)
    roc, pr = curves.roc(y_true, y_prob, NAMES), curves.precision_recall(y_true, y_prob, NAMES)
    for label, name in enumerate(NAMES):
        is_it = y_true == label
        assert roc[name]["auc"] == pytest.approx(theirs.roc_auc_score(is_it, y_prob[:, label]))
        assert pr[name]["ap"] == pytest.approx(theirs.average_precision_score(is_it, y_prob[:, label]))
        assert len(roc[name]["x"]) <= curves.POINTS and len(pr[name]["x"]) <= curves.POINTS
        assert np.trapezoid(roc[name]["y"], roc[name]["x"]) == pytest.approx(roc[name]["auc"], abs=0.01)
        assert np.trapezoid(pr[name]["y"], pr[name]["x"]) == pytest.approx(pr[name]["ap"], abs=0.02)
        assert (roc[name]["x"][0], roc[name]["y"][-1], pr[name]["x"][-1]) == (0, 1, 1)
        assert (np.diff(roc[name]["x"]) >= 0).all() and (np.diff(pr[name]["x"]) >= 0).all()


def test_a_class_without_rows_or_without_others_has_no_curve():
    roc = curves.roc(np.array([0, 0]), np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]), NAMES)
    assert all(np.isnan(curve["auc"]) and curve["x"] == [] for curve in roc.values())


def test_top_k_grows_to_one():
    y_true, y_prob = answers()
    shares = [curves.top_k(y_true, y_prob, k) for k in (1, 2, 3)]
    assert shares[0] == metrics.accuracy(y_true, y_prob.argmax(axis=1))
    assert shares[1] == pytest.approx(theirs.top_k_accuracy_score(y_true, y_prob, k=2))
    assert shares[0] < shares[1] < shares[2] == 1


def test_reliability_by_hand():
    y_prob = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [1.0, 0.0]])
    table = calibration.reliability(np.array([0, 1, 1, 0]), y_prob, bins=10)
    assert table["n"].tolist() == [1, 1, 2]  # 0.9 stands on an edge and belongs to the lower bin
    assert table["low"].tolist() == pytest.approx([0.5, 0.8, 0.9])
    assert table["accuracy"].tolist() == [1, 1, 0.5]
    assert table["confidence"].tolist() == pytest.approx([0.6, 0.9, 0.975])
    error = calibration.expected_error(np.array([0, 1, 1, 0]), y_prob, bins=10)
    assert error == pytest.approx((0.4 + 0.1 + 2 * 0.475) / 4)


@pytest.mark.parametrize("bent", [0.4, 1.0, 2.5])
def test_temperature_finds_how_much_the_probabilities_were_bent(bent):
    y_true, y_prob = answers(4000)
    said = calibration.with_temperature(y_prob, bent)
    found = calibration.fit_temperature(y_true, said)
    assert found == pytest.approx(1 / bent, rel=0.08)
    mended = calibration.with_temperature(said, found)
    assert calibration.log_loss(y_true, mended) <= calibration.log_loss(y_true, said) + 1e-9
    assert calibration.expected_error(y_true, mended) < 0.04
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


def test_bootstrap_of_the_matrix_is_the_bootstrap_of_the_rows():
    y_true, y_prob = answers(300)
    y_pred = y_prob.argmax(axis=1)
    bounds = metrics.bootstrap(metrics.confusion_matrix(y_true, y_pred, 3))
    rng = np.random.default_rng(11)
    by_rows = [
        metrics.balanced_accuracy(y_true[rows], y_pred[rows]) for rows in rng.integers(0, 300, (1500, 300))
    ]
    assert bounds["balanced_accuracy"] == pytest.approx(np.quantile(by_rows, [0.025, 0.975]), abs=0.01)
    right = int((y_true == y_pred).sum())
    assert bounds["accuracy"] == pytest.approx(metrics.wilson_interval(right, 300), abs=0.01)
    assert bounds["recall"].shape == (3, 2) and (bounds["recall"][:, 0] < bounds["recall"][:, 1]).all()
    again = metrics.bootstrap(metrics.confusion_matrix(y_true, y_pred, 3))
    assert again["macro_f1"] == bounds["macro_f1"]


def test_bootstrap_of_a_class_without_rows_is_no_number():
    bounds = metrics.bootstrap(np.array([[5, 1, 0], [2, 6, 0], [0, 0, 0]]))
    assert np.isnan(bounds["recall"][2]).all() and np.isfinite(bounds["balanced_accuracy"]).all()


def test_confusions_in_words():
    matrix = np.array([[90, 10, 0], [3, 5, 2], [0, 0, 0]])
    pairs = metrics.confused(matrix, NAMES)
    assert [(pair["truth"], pair["predicted"]) for pair in pairs] == [
        ("happy", "angry"),
        ("happy", "sad"),
        ("angry", "happy"),
    ]
    assert metrics.in_words(pairs[0]) == "happy is called angry in 30 % of its pictures (3 of 10)"
    assert metrics.confused(np.eye(3, dtype=int), NAMES) == []


@pytest.mark.parametrize(
    "y_true, y_prob, said",
    [
        ([], np.zeros((0, 3)), "n > 0"),
        ([0, 1], [[0.5, 0.5]], "do not fit"),
        ([0], [0.5], "do not fit"),
        ([0], [[np.nan, 0.5]], "not numbers"),
    ],
)
def test_what_does_not_fit_is_refused(y_true, y_prob, said):
    for judge in (
        curves.top_k,
        calibration.expected_error,
        calibration.fit_temperature,
        calibration.log_loss,
    ):
        with pytest.raises(BadInputError, match=said):
            judge(np.array(y_true), np.array(y_prob))
