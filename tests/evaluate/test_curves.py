"""Curves and top-k accuracy, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as theirs

from ferlib.common.errors import BadInputError
from ferlib.evaluate import curves, metrics
from tests.model.test_calibration import answers

NAMES = ("angry", "happy", "sad")


def test_areas_are_scikit_learns_and_survive_the_thinning():
    y_true, y_prob = answers(3000)
    roc = curves.roc_curves(y_true, y_prob, NAMES)
    pr = curves.precision_recall_curves(y_true, y_prob, NAMES)
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
    roc = curves.roc_curves(np.array([0, 0]), np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]), NAMES)
    assert all(np.isnan(curve["auc"]) and curve["x"] == [] for curve in roc.values())


def test_top_k_grows_to_one():
    y_true, y_prob = answers()
    shares = [curves.top_k_accuracy(y_true, y_prob, k) for k in (1, 2, 3)]
    assert shares[0] == metrics.accuracy(y_true, y_prob.argmax(axis=1))
    assert shares[1] == pytest.approx(theirs.top_k_accuracy_score(y_true, y_prob, k=2))
    assert shares[0] < shares[1] < shares[2] == 1


def test_what_does_not_fit_is_refused():
    for compute in (curves.roc_curves, curves.precision_recall_curves):
        with pytest.raises(BadInputError, match="do not fit"):
            compute(np.array([0, 1]), np.array([[0.5, 0.5]]), NAMES[:2])
    with pytest.raises(BadInputError, match="n > 0"):
        curves.top_k_accuracy(np.array([], int), np.zeros((0, 3)))
