"""The figures of an evaluation hold the numbers that they were given, read back from matplotlib's own objects."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from ferlib.common.errors import BadInputError
from ferlib.evaluate import figures

CURVES = {
    "happy": {"auc": 0.875, "x": [0, 0.25, 1], "y": [0, 1, 1]},
    "disgust": {"auc": float("nan"), "x": [], "y": []},
    "sad": {"auc": None, "x": [], "y": []},  # as it comes back from JSON
}
ROWS = {
    "tone 1": {"n": 1200, "accuracy": 0.8, "low": 0.7, "high": 0.85},
    "tone 8": {"n": 7, "accuracy": 0.6, "low": 0.3, "high": 0.9},
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_curve_a_class_and_its_area_in_the_legend():
    ax = figures.plot_curves(CURVES, "roc")
    assert texts(ax) == ["happy  0.875", "disgust  no rows", "sad  no rows", "a guess  0.500"]
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [0.25, 1], [1, 1]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("false positive rate", "true positive rate")


def test_eight_classes_differ_in_dash_and_in_colour():
    eight = {str(k): {"ap": 0.5, "x": [0, 1], "y": [1, 0]} for k in range(8)}
    ax = figures.plot_curves(eight, "precision_recall")
    assert len({line.get_color() for line in ax.lines}) == 8
    assert len({str(line._unscaled_dash_pattern) for line in ax.lines}) == 8


def test_reliability_shows_both_with_sizes_by_rows():
    bins = {"n": [10, 90], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]}
    ax = figures.plot_reliability(bins, {**bins, "confidence": [0.5, 0.8]})
    before, after = ax.collections
    assert before.get_offsets().tolist() == [[0.4, 0.5], [0.9, 0.8]]
    assert after.get_offsets().tolist() == [[0.5, 0.5], [0.8, 0.8]]
    assert before.get_sizes()[1] > 3 * before.get_sizes()[0]
    assert len(figures.plot_reliability(bins).collections) == 1


def test_slices_show_value_interval_and_count():
    ax = figures.plot_subgroups(ROWS, title="skin")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["tone 1  (1,200)", "tone 8  (7)"]
    assert ax.lines[0].get_xydata().tolist() == [[0.8, 0], [0.6, 1]]
    ends = np.array(ax.collections[0].get_segments())[:, :, 0]
    assert ends == pytest.approx(np.array([[0.7, 0.85], [0.3, 0.9]]))
    assert ax.yaxis_inverted()


def test_heat_stands_under_its_face():
    faces = np.full((10, 48, 48), 100, np.uint8)
    heats = np.zeros((10, 48, 48), np.float32)
    heats[9] = 1
    figure = figures.plot_heat_maps(faces, heats, [f"face {k}" for k in range(10)])
    shown = [(ax.get_title(), ax.images[0].get_array()) for ax in figure.axes if ax.images]
    assert [title for title, _ in shown][:8] == [f"face {k}" for k in range(8)]
    assert [title for title, _ in shown][16:18] == ["face 8", "face 9"]
    assert (shown[8][1] == 100).all() and (shown[25][1] != 100).any()  # below face 0 and below face 9


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: figures.plot_curves(CURVES, "lift"), "unknown kind 'lift'"),
        (lambda: figures.plot_subgroups({}), "no groups"),
        (lambda: figures.plot_heat_maps([np.zeros((4, 4))], np.zeros((2, 4, 4)), ["a"]), "1 faces, 2 maps"),
    ],
)
def test_what_does_not_fit_is_refused(call, said):
    with pytest.raises(BadInputError, match=said):
        call()
