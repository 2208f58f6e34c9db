"""Two people's labels: pairs, confusion, kappa against scikit-learn, and the faces they disagree on."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from ferlib.annotate.agreement import compare_with_truth, crop_disagreements, measure_agreement, pair_labels
from ferlib.annotate.table import NO_FACE, make_table
from ferlib.common.images import write_image
from ferlib.common.labels import SEVEN
from tests.annotate.captured import captured

labels = st.lists(st.tuples(st.sampled_from(SEVEN), st.sampled_from(SEVEN)), min_size=1, max_size=20)


def table(*rows):
    """(image, x, emotion) as boxes of 20×20."""
    return make_table(
        {"image": i, "x": x, "y": 10, "width": 20, "height": 20, "emotion": e} for i, x, e in rows
    )


@settings(max_examples=30)
@given(labels)
def test_kappa_and_confusion_are_scikit_learns(pairs):
    first, second = zip(*pairs, strict=True)
    a = table(*(("a.jpg", 30 * k, name) for k, name in enumerate(first)))
    b = table(*(("a.jpg", 30 * k + 1, name) for k, name in enumerate(second)))
    result = measure_agreement(pair_labels(a, b), SEVEN)
    assert (result.confusion.to_numpy() == confusion_matrix(first, second, labels=list(SEVEN))).all()
    assert result.agreed == pytest.approx(np.mean(np.array(first) == np.array(second)))
    assume(len(set(first) | set(second)) > 1)
    assert result.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[20, 5], [10, 15]], (0.7, 0.5, 0.4)),  # Cohen's own kind of table, worked by hand
        ([[4, 0], [0, 4]], (1, 0.5, 1)),
        ([[0, 5], [5, 0]], (0, 0.5, -1)),
        ([[7, 0], [0, 0]], (1, 1, math.nan)),
        ([[0, 0], [0, 0]], (math.nan, math.nan, math.nan)),
    ],
)
def test_kappa_of_tables_worked_by_hand(counts, expected):
    names = ("happy", "sad")
    rows = [(a, b) for a in (0, 1) for b in (0, 1) for _ in range(counts[a][b])]
    pairs = pd.DataFrame([(names[a], names[b]) for a, b in rows], columns=["first", "second"])
    result = measure_agreement(pairs, names)
    assert result.confusion.to_numpy().tolist() == counts and set(result.confusion.dtypes) == {
        np.dtype("int64")
    }
    assert (result.confusion.index.name, result.confusion.columns.name) == ("first", "second")
    assert (result.agreed, result.by_chance, result.kappa) == pytest.approx(expected, nan_ok=True)


def test_faces_are_matched_by_their_boxes():
    first = table(
        ("a", 0, "happy"), ("a", 50, "sad"), ("a", 100, "fear"), ("b", 0, "sad"), ("mine", 0, "sad")
    )
    second = table(
        ("a", 52, "sad"), ("a", 1, NO_FACE), ("a", 200, "angry"), ("b", 0, "fear"), ("yours", 0, "sad")
    )
    pairs = pair_labels(first, second)
    assert pairs[["image", "x", "first", "second"]].values.tolist() == [
        ["a", 0, "happy", NO_FACE],
        ["a", 50, "sad", "sad"],
        ["a", 100, "fear", ""],
        ["a", 200, "", "angry"],
        ["b", 0, "sad", "fear"],
    ]
    result = measure_agreement(pairs, SEVEN)
    assert (result.faces, result.only_first, result.only_second) == (3, 1, 1)
    assert list(result.confusion.index) == [*SEVEN, NO_FACE] and result.confusion.loc["happy", NO_FACE] == 1
    assert result.agreed == pytest.approx(1 / 3)


def test_nobody_has_labelled_anything():
    result = measure_agreement(pair_labels(table(), table()), SEVEN)
    assert result.faces == 0 and math.isnan(result.kappa) and result.confusion.to_numpy().sum() == 0
    assert crop_disagreements(pair_labels(table(), table()), ".") == ([], [])


def test_the_faces_they_disagree_on(tmp_path):
    picture = np.zeros((60, 120, 3), np.uint8)
    picture[10:30, 50:70] = (200, 100, 0)
    write_image(tmp_path / "a.png", picture)
    first = table(("a.png", 0, "happy"), ("a.png", 50, "sad"), ("gone.png", 0, "sad"))
    second = table(
        ("a.png", 0, "happy"), ("a.png", 50, "fear"), ("a.png", 90, "fear"), ("gone.png", 0, "fear")
    )
    pairs = pair_labels(first, second)
    (crops, titles), left_out = captured(crop_disagreements, pairs, tmp_path, side=40, margin=0)
    assert len(left_out) == 1 and "face of gone.png" in left_out[0] and str(tmp_path) not in left_out[0]
    assert titles == ["sad\nfear", "no box\nfear"]
    assert crops[0].shape == (40, 40, 3) and (crops[0] == (200, 100, 0)).all() and not crops[1].any()


def test_labels_are_compared_with_the_truth():
    truth = table(("a", 0, "happy"), ("a", 50, "sad"), ("a", 100, "fear"), ("b", 0, "angry"))
    labels = table(
        ("a", 52, "sad"), ("a", 1, "surprise"), ("a", 200, "happy"), ("a", 300, NO_FACE), ("c", 0, "sad")
    )
    pairs = compare_with_truth(truth, labels)
    assert set(map(tuple, pairs[["image", "truth", "label"]].values)) == {
        ("a", "sad", "sad"),
        ("a", "happy", "surprise"),
        ("a", NO_FACE, "happy"),
        ("a", NO_FACE, NO_FACE),
        ("a", "fear", ""),
        ("c", NO_FACE, "sad"),
    }
    assert pairs.loc[(pairs.label == "sad") & (pairs.image == "a"), "iou"].item() == pytest.approx(18 / 22)


def test_a_table_compared_with_itself_agrees():
    labels = table(("a", 0, "happy"), ("a", 5, "sad"), ("a", 10, "fear"))
    pairs = compare_with_truth(labels, labels)
    assert (pairs["truth"] == pairs["label"]).all() and (pairs["iou"] == 1).all() and len(pairs) == 3
