"""The timeline shows each class in its colour, gaps where the face was lost, and the truth above."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ferlib.common import plots
from ferlib.common.colours import EMOTION_COLOURS
from ferlib.common.errors import BadInputError

NAMES = ("happy", "sad", "rest")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def colour_at(ax, x, y):
    """The colour that the stack has at (x, y) in data coordinates; None for a gap."""
    for area in ax.collections:
        if any(path.contains_point((x, y)) for path in area.get_paths()):
            return tuple(area.get_facecolor()[0][:3])
    return None


def same(colour, name):
    return colour == pytest.approx(np.array(EMOTION_COLOURS[name]) / 255)


def test_a_stack_in_the_colours_of_the_classes():
    ax = plots.plot_timeline([0, 1, 2], np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.1, 0.1, 0.8]]), NAMES)
    for x, y, name in (
        (0.5, 0.4, "happy"),
        (0.5, 0.6, "sad"),
        (0.5, 0.9, "rest"),
        (1.5, 0.5, "sad"),
        (2.5, 0.9, "rest"),
    ):
        assert same(colour_at(ax, x, y), name), (x, y)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["rest", "sad", "happy"]
    assert ax.get_xlim() == (0, 3) and ax.get_ylim() == (0, 1)


def test_a_lost_face_is_a_gap():
    ax = plots.plot_timeline([0, 1, 2, 7, 8], np.full((5, 3), 1 / 3), NAMES)
    assert colour_at(ax, 2.5, 0.5) is not None and colour_at(ax, 5, 0.5) is None
    assert colour_at(ax, 7.5, 0.5) is not None


def test_the_truth_stands_above():
    truth = ["sad"] * 5 + [None] * 2 + ["happy"] * 5
    ax = plots.plot_timeline(range(12), np.full((12, 3), 1 / 3), NAMES, truth)
    assert same(colour_at(ax, 2.5, 1.08), "sad") and same(colour_at(ax, 9.5, 1.08), "happy")
    assert colour_at(ax, 6, 1.08) is None
    assert [text.get_text().strip() for text in ax.texts] == ["sad", "happy", "truth"]
    assert to_rgb(ax.texts[0].get_color()) == (1, 1, 1)  # light on dark blue
    assert max(to_rgb(ax.texts[1].get_color())) < 0.2  # dark on yellow


def test_one_frame_alone_is_seen():
    ax = plots.plot_timeline([3.0], np.array([[1.0, 0, 0]]), NAMES, ["happy"])
    assert same(colour_at(ax, 3.5, 0.5), "happy")


def test_axes_are_used_when_given():
    _, ax = plt.subplots()
    assert plots.plot_timeline([0, 1], np.full((2, 3), 1 / 3), NAMES, ax=ax) is ax


@pytest.mark.parametrize(("seconds", "names"), [([0, 1, 2], NAMES), ([0, 1], NAMES[:2]), ([], NAMES)])
def test_what_does_not_fit_is_refused(seconds, names):
    with pytest.raises(BadInputError, match="plot_timeline"):
        plots.plot_timeline(seconds, np.full((2, 3), 1 / 3), names)


def test_nothing_to_show_is_refused():
    with pytest.raises(BadInputError, match="no frames"):
        plots.plot_timeline([], np.zeros((0, 3)), NAMES)
