"""Metrics against scikit-learn and scipy, against system A's published table, and at their edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk

from ferlib.common.errors import BadInputError, LabelError
from ferlib.evaluate import metrics


@st.composite
def labelled_rows(draw, classes=(2, 8), min_size=1):
    k = draw(st.integers(*classes))
    rows = draw(st.lists(st.tuples(*[st.integers(0, k - 1)] * 2), min_size=min_size, max_size=60))
    truth, predicted = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return k, truth, predicted


def test_confusion_matrix_has_rows_of_truth():
    matrix = metrics.confusion_matrix([0, 0, 1, 2], [1, 1, 1, 0], 3)
    assert matrix.tolist() == [[0, 2, 0], [0, 1, 0], [1, 0, 0]]
    assert matrix.dtype == np.int64


@settings(deadline=None)
@given(labelled_rows(min_size=0))
def test_confusion_matrix_equals_scikit_learn(rows):
    k, truth, predicted = rows
    ours = metrics.confusion_matrix(truth, predicted, k)
    theirs = (
        sk.confusion_matrix(truth, predicted, labels=range(k)) if len(truth) else np.zeros((k, k), dtype=int)
    )
    assert ours.tolist() == theirs.tolist()


@settings(deadline=None)
@given(labelled_rows())
def test_figures_of_a_whole_matrix_equal_scikit_learn(rows):
    k, truth, predicted = rows
    matrix = metrics.confusion_matrix(truth, predicted, k)
    summary = metrics.summary(matrix)
    present = np.unique(truth)
    # scikit-learn's balanced_accuracy_score warns about, and drops, classes without a true row
    balanced = sk.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    most = sk.accuracy_score(truth, np.full_like(truth, np.bincount(truth).argmax()))
    assert summary["n"] == len(truth)
    assert summary["accuracy"] == metrics.accuracy(truth, predicted)
    assert summary["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert summary["balanced_accuracy"] == pytest.approx(balanced)
    assert metrics.balanced_accuracy(truth, predicted) == pytest.approx(balanced)
    assert summary["majority_baseline"] == pytest.approx(most)
    assert summary["macro_f1"] == pytest.approx(
        sk.f1_score(truth, predicted, labels=np.union1d(truth, predicted), average="macro", zero_division=0)
    )


@settings(deadline=None)
@given(labelled_rows())
def test_per_class_equals_scikit_learn(rows):
    k, truth, predicted = rows
    names = [f"class {label}" for label in range(k)]
    table = metrics.per_class(metrics.confusion_matrix(truth, predicted, k), names)
    theirs = sk.precision_recall_fscore_support(truth, predicted, labels=range(k), zero_division=np.nan)
    for column, values in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        np.testing.assert_allclose(table[column], values, err_msg=column)
    assert table["predicted"].tolist() == np.bincount(predicted, minlength=k).tolist()
    assert list(table.index) == names


@settings(deadline=None)
@given(labelled_rows(classes=(2, 2)), st.integers(0, 1))
def test_binary_rates_equal_scikit_learn_and_add_up(rows, positive):
    _, truth, predicted = rows
    rates = metrics.binary_rates(metrics.confusion_matrix(truth, predicted, 2), positive)
    assert set(rates) == set(metrics.RATES)
    nan = {"zero_division": np.nan}
    expected = {
        "tpr": sk.recall_score(truth, predicted, pos_label=positive, **nan),
        "tnr": sk.recall_score(truth, predicted, pos_label=1 - positive, **nan),
        "precision": sk.precision_score(truth, predicted, pos_label=positive, **nan),
        "npv": sk.precision_score(truth, predicted, pos_label=1 - positive, **nan),
        "f1": sk.f1_score(truth, predicted, pos_label=positive, **nan),
        "accuracy": sk.accuracy_score(truth, predicted),
        "prevalence": np.mean(truth == positive),
    }
    for key, value in expected.items():
        np.testing.assert_allclose(rates[key], value, err_msg=key)
    for one, other in (("tpr", "fnr"), ("tnr", "fpr"), ("precision", "fdr"), ("npv", "for_")):
        total = rates[one] + rates[other]
        assert math.isnan(total) or total == pytest.approx(1)


@settings(deadline=None)
@given(labelled_rows())
def test_one_vs_rest_is_the_matrix_of_two_classes(rows):
    k, truth, predicted = rows
    matrix = metrics.confusion_matrix(truth, predicted, k)
    table = metrics.per_class(matrix, range(k))
    for label in range(k):
        two = metrics.one_vs_rest(matrix, label)
        assert two.tolist() == metrics.confusion_matrix(truth == label, predicted == label, 2).tolist()
        rates = metrics.binary_rates(two)
        np.testing.assert_allclose(
            [rates["precision"], rates["tpr"]], table.loc[label, ["precision", "recall"]]
        )


@settings(deadline=None)
@given(
    st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999)
)
def test_wilson_interval_equals_scipy(counts, confidence):
    right, n = counts
    theirs = binomtest(right, n).proportion_ci(confidence, method="wilson")
    low, high = metrics.wilson_interval(right, n, confidence)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= low <= right / n <= high <= 1


# System A's tables, rows = truth 0/1 (neutral, happy), columns = predicted, and every number it prints.
TRAIN = [[4749, 216], [283, 6933]]
TEST = [[562, 64], [76, 803]]
PUBLISHED = [  # its name, what the number is, as published (train, test), the true value of that name
    ("tpr", "precision", (96.98, 92.62), (96.08, 91.35)),
    ("fpr", "fdr", (3.02, 7.38), (4.35, 10.22)),
    ("tnr", "for_", (5.62, 11.91), (95.65, 89.78)),
    ("fnr", "npv", (94.38, 88.09), (3.92, 8.65)),
    ("tpr", "tpr", (96.08, 91.35), (96.08, 91.35)),  # "recall": the one right name
]


@pytest.mark.parametrize("its_name, what_it_is, published, true_value", PUBLISHED)
@pytest.mark.parametrize("column, matrix", [(0, TRAIN), (1, TEST)], ids=["train", "test"])
def test_system_a_numbers(its_name, what_it_is, published, true_value, column, matrix):
    rates = metrics.binary_rates(np.array(matrix), positive=1)
    assert f"{100 * rates[what_it_is]:.2f}" == f"{published[column]:.2f}"
    assert f"{100 * rates[its_name]:.2f}" == f"{true_value[column]:.2f}"
    # no other rate prints as this number
    same = [name for name, rate in rates.items() if f"{100 * rate:.2f}" == f"{published[column]:.2f}"]
    assert same == [what_it_is]


@pytest.mark.parametrize(
    "matrix, accuracy, majority, rows",
    [(TRAIN, 95.90, 59.24, [4965, 7216]), (TEST, 90.70, 58.41, [626, 879])],
    ids=["train", "test"],
)
def test_system_a_accuracy_which_it_does_not_give(matrix, accuracy, majority, rows):
    summary = metrics.summary(np.array(matrix))
    assert f"{100 * summary['accuracy']:.2f}" == f"{accuracy:.2f}"
    assert f"{100 * summary['majority_baseline']:.2f}" == f"{majority:.2f}"
    assert metrics.per_class(np.array(matrix), ["neutral", "happy"])["support"].tolist() == rows


def test_system_a_names_are_wrong_in_four_of_five():
    assert [name == number for name, number, *_ in PUBLISHED] == [False, False, False, False, True]


def test_never_predicted_class_has_no_precision():
    table = metrics.per_class(metrics.confusion_matrix([0, 0, 1], [0, 0, 0], 2), ["happy", "neutral"])
    assert math.isnan(table.loc["neutral", "precision"])
    assert table.loc["neutral", "recall"] == 0
    assert table.loc["neutral", "f1"] == 0
    assert table.loc["neutral", "predicted"] == 0


def test_absent_class_has_no_recall_and_is_left_out_of_means():
    matrix = metrics.confusion_matrix([0, 0, 1], [0, 1, 1], 3)
    table = metrics.per_class(matrix, ["angry", "disgust", "fear"])
    assert table.loc["fear"].isna().tolist() == [True, True, True, False, False]
    summary = metrics.summary(matrix)
    assert summary["balanced_accuracy"] == 0.75 == metrics.balanced_accuracy([0, 0, 1], [0, 1, 1])
    assert summary["macro_f1"] == pytest.approx(2 / 3)
    assert np.isnan(metrics.row_shares(matrix)[2]).all()


def test_row_shares_sum_to_one_and_hold_the_recalls():
    matrix = np.array([[3, 1], [0, 4]])
    shares = metrics.row_shares(matrix)
    assert shares.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert np.diag(shares).tolist() == metrics.per_class(matrix, "ab")["recall"].tolist()


def test_no_rows():
    assert metrics.confusion_matrix([], [], 3).tolist() == [[0] * 3] * 3
    for judge in (lambda: metrics.accuracy([], []), lambda: metrics.balanced_accuracy([], [])):
        with pytest.raises(BadInputError, match="no rows to evaluate"):
            judge()
    with pytest.raises(BadInputError, match="no rows to evaluate"):
        metrics.summary(np.zeros((2, 2), dtype=int))
    assert all(math.isnan(rate) for rate in metrics.binary_rates(np.zeros((2, 2), dtype=int)).values())


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: metrics.confusion_matrix([0, 7], [0, 1], 7), r"y_true holds label 7, outside 0\.\.6"),
        (lambda: metrics.confusion_matrix([0, 1], [0, -1], 7), r"y_pred holds label -1, outside 0\.\.6"),
        (lambda: metrics.confusion_matrix([2**64 - 1], [0], 7), "outside"),
        (lambda: metrics.confusion_matrix([0, 1], [0], 2), "y_true has 2 rows and y_pred 1"),
        (lambda: metrics.confusion_matrix([0.5], [0], 2), "not integers"),
        (lambda: metrics.confusion_matrix(["happy"], [0], 2), "map names to labels first"),
        (lambda: metrics.confusion_matrix([0, 1], [[0.2, 0.8], [0.4, 0.6]], 2), "argmax"),
        (lambda: metrics.accuracy([0, 1], [0]), "must be the same rows"),
        (
            lambda: metrics.per_class(np.eye(3, dtype=int), ["a", "b"]),
            "2 class names for a confusion matrix of 3",
        ),
        (lambda: metrics.per_class(np.zeros((2, 3), dtype=int), ["a", "b"]), r"shape \(2, 3\)"),
        (lambda: metrics.summary(np.array([[1, -1], [0, 1]])), "none below 0"),
        (lambda: metrics.summary(np.array([[0.5, 0.5], [0, 1]])), "integers"),
        (lambda: metrics.binary_rates(np.eye(3, dtype=int)), "one_vs_rest makes the 2×2"),
        (lambda: metrics.binary_rates(np.eye(2, dtype=int), positive=2), "positive 0 or 1"),
        (lambda: metrics.one_vs_rest(np.eye(3, dtype=int), 3), r"label 3 is outside 0\.\.2"),
        (lambda: metrics.wilson_interval(0, 0), "no rows"),
        (lambda: metrics.wilson_interval(5, 4), r"correct=5 must be in 0\.\.4"),
        (lambda: metrics.wilson_interval(1, 4, confidence=95), "confidence=95"),
    ],
)
def test_bad_input_gets_one_line(call, said):
    with pytest.raises(BadInputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_label_outside_is_a_label_error():
    with pytest.raises(LabelError):
        metrics.confusion_matrix([3], [0], 2)


def test_bootstrap_of_the_matrix_is_the_bootstrap_of_the_rows():
    rng = np.random.default_rng(3)
    y_true = rng.integers(0, 3, 300)
    y_pred = np.where(rng.random(300) < 0.6, y_true, rng.integers(0, 3, 300))
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


def test_confusions_confusion_in_words():
    matrix = np.array([[90, 10, 0], [3, 5, 2], [0, 0, 0]])
    pairs = metrics.top_confusions(matrix, ("angry", "happy", "sad"))
    assert [(pair["truth"], pair["predicted"]) for pair in pairs] == [
        ("happy", "angry"),
        ("happy", "sad"),
        ("angry", "happy"),
    ]
    assert metrics.confusion_in_words(pairs[0]) == "happy is called angry in 30 % of its pictures (3 of 10)"
    assert metrics.top_confusions(np.eye(3, dtype=int), ("angry", "happy", "sad")) == []
