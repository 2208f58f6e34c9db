"""Two people's labels of the same faces are paired by their boxes."""

import pytest

from ferlib.annotate.agreement import pair_labels
from ferlib.annotate.table import NO_FACE, make_table


def table(*rows):
    """(image, x, emotion) as boxes of 20×20."""
    return make_table(
        {"image": i, "x": x, "y": 10, "width": 20, "height": 20, "emotion": e} for i, x, e in rows
    )


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
    assert pairs["iou"].tolist() == pytest.approx([19 / 21, 18 / 22, 0, 0, 1])


def test_nobody_has_labelled_anything():
    assert len(pair_labels(table(), table())) == 0


def test_a_table_compared_with_itself_agrees():
    labels = table(("a", 0, "happy"), ("a", 5, "sad"), ("a", 10, "fear"))
    pairs = pair_labels(labels, labels)
    assert (pairs["first"] == pairs["second"]).all() and (pairs["iou"] == 1).all() and len(pairs) == 3
