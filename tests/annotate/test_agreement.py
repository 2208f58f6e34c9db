"""Two people's labels: pairs, confusion, kappa against scikit-learn, and the faces they disagree on."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from ferlib.annotate.agreement import agreement, cohen_kappa, disagreements, pair_labels, show_disagreements
from ferlib.annotate.table import NO_FACE, make_table
from ferlib.common.errors import BadInputError
from ferlib.common.images import write_image
from ferlib.common.labels import SEVEN

labels = st.lists(st.tuples(st.sampled_from(SEVEN), st.sampled_from(SEVEN)), min_size=1, max_size=60)


def table(*rows):
    """(image, x, emotion) as boxes of 20×20."""
    return make_table(
        {"image": i, "x": x, "y": 10, "width": 20, "height": 20, "emotion": e} for i, x, e in rows
    )


@given(labels)
def test_kappa_and_confusion_are_scikit_learns(pairs):
    first, second = zip(*pairs, strict=True)
    a = table(*((f"{k}.jpg", 0, name) for k, name in enumerate(first)))
    b = table(*((f"{k}.jpg", 1, name) for k, name in enumerate(second)))
    result = agreement(pair_labels(a, b), SEVEN)
    assert (result.confusion.to_numpy() == confusion_matrix(first, second, labels=list(SEVEN))).all()
    assert result.agreed == pytest.approx(np.mean(np.array(first) == np.array(second)))
    assume(len(set(first) | set(second)) > 1)
    assert result.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-9)


def test_kappa_of_tables_worked_by_hand():
    assert cohen_kappa([[20, 5], [10, 15]]) == pytest.approx((0.7, 0.5, 0.4))
    assert cohen_kappa(np.eye(3) * 4)[2] == 1
    assert cohen_kappa([[0, 5], [5, 0]])[2] == -1
    assert math.isnan(cohen_kappa([[7, 0], [0, 0]])[2]) and math.isnan(cohen_kappa(np.zeros((2, 2)))[0])


@pytest.mark.parametrize("wrong", [[[1, 2]], [1, 2], [[1, -1], [0, 1]], [[math.nan, 1], [1, 1]]])
def test_what_is_no_table_of_counts_is_refused(wrong):
    with pytest.raises(BadInputError):
        cohen_kappa(wrong)


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
    result = agreement(pairs, SEVEN)
    assert (result.faces, result.only_first, result.only_second) == (3, 1, 1)
    assert list(result.confusion.index) == [*SEVEN, NO_FACE] and result.confusion.loc["happy", NO_FACE] == 1
    assert result.agreed == pytest.approx(1 / 3)
    assert disagreements(pairs)["image"].tolist() == ["a", "a", "a", "b"]


def test_nobody_has_labelled_anything():
    result = agreement(pair_labels(table(), table()), SEVEN)
    assert result.faces == 0 and math.isnan(result.kappa) and result.confusion.to_numpy().sum() == 0
    assert show_disagreements(pair_labels(table(), table()), ".") == ([], [])


def test_the_faces_they_disagree_on(tmp_path):
    picture = np.zeros((60, 120, 3), np.uint8)
    picture[10:30, 50:70] = (200, 100, 0)
    write_image(tmp_path / "a.png", picture)
    first = table(("a.png", 0, "happy"), ("a.png", 50, "sad"), ("gone.png", 0, "sad"))
    second = table(
        ("a.png", 0, "happy"), ("a.png", 50, "fear"), ("a.png", 90, "fear"), ("gone.png", 0, "fear")
    )
    crops, titles = show_disagreements(pair_labels(first, second), tmp_path, side=40, margin=0)
    assert titles == ["sad\nfear", "no box\nfear"]
    assert crops[0].shape == (40, 40, 3) and (crops[0] == (200, 100, 0)).all() and not crops[1].any()
