"""What the figures hold: pictures, texts, boxes and numbers, read back from matplotlib's own objects."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import Rectangle

from ferlib.common import plots
from ferlib.common.errors import BadInputError

NAMES = ("angry", "disgust", "happy")
MATRIX = np.array([[30, 0, 10], [1, 0, 3], [100, 0, 1900]])


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def cells(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("count, columns, rows", [(1, 1, 1), (8, 8, 1), (9, 8, 2), (19, 8, 3)])
def test_wall_shows_every_picture_in_order(count, columns, rows):
    images = [np.full((48, 48), k, dtype=np.uint8) for k in range(count)]
    figure = plots.plot_wall(images, titles=[f"face {k}" for k in range(count)])
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.ncols, grid.nrows) == (columns, rows)
    shown = [ax for ax in figure.axes if ax.images]
    assert [int(ax.images[0].get_array()[0, 0]) for ax in shown] == list(range(count))
    assert [ax.get_title() for ax in shown] == [f"face {k}" for k in range(count)]
    assert not any(ax.axison for ax in figure.axes)


def test_wall_keeps_grays_and_colours_as_they_are():
    dark = np.full((4, 4), 40, dtype=np.uint8)
    red = np.zeros((6, 5, 3), dtype=np.uint8) + np.array([200, 0, 0], dtype=np.uint8)
    figure = plots.plot_wall([dark, red])
    assert figure.axes[0].images[0].get_clim() == (0, 255)  # not stretched to white
    assert figure.axes[1].images[0].get_array()[0, 0].tolist() == [200, 0, 0]


def test_counts_run_from_the_top_and_are_written():
    ax = plots.plot_counts(NAMES, [3995, 436, 7215])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(NAMES)
    assert cells(ax) == ["3,995", "436", "7,215"]
    assert [bar.get_width() for bar in ax.patches] == [3995, 436, 7215]
    assert ax.yaxis_inverted()


def test_boxes_stand_where_they_should():
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    ax = plots.plot_boxes(image, [(10, 20, 30, 40), (150, 50, 40, 40)], names=["happy", "sad"])
    boxes = [patch.get_bbox().bounds for patch in ax.patches if isinstance(patch, Rectangle)]
    assert boxes == [(9.5, 19.5, 30, 40), (149.5, 49.5, 40, 40)]
    assert cells(ax) == ["happy", "sad"]
    ax.figure.canvas.draw()
    assert ax.get_xlim() == (-0.5, 199.5)  # a box does not move the picture's borders


def test_no_face_is_a_picture_without_boxes():
    ax = plots.plot_boxes(np.zeros((10, 10), dtype=np.uint8), [])
    assert len(ax.patches) == 0
    assert len(ax.images) == 1


def test_confusion_in_counts():
    ax = plots.plot_confusion(MATRIX, NAMES)
    assert cells(ax) == ["30", "0", "10", "1", "0", "3", "100", "0", "1,900"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("truth", "predicted")
    assert [label.get_text() for label in ax.get_yticklabels()] == list(NAMES)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(NAMES)


def test_confusion_in_shares_of_the_row():
    ax = plots.plot_confusion(MATRIX, NAMES, shares=True)
    assert cells(ax) == ["0.75", "0.00", "0.25", "0.25", "0.00", "0.75", "0.05", "0.00", "0.95"]


def test_confusion_colour_follows_the_shares_and_an_empty_row_stays_zero():
    for shares in (False, True):
        ax = plots.plot_confusion([[0, 0], [1, 3]], ["a", "b"], shares=shares)
        assert ax.collections[0].get_array().ravel().tolist() == [0, 0, 0.25, 0.75]
        assert ax.collections[0].get_clim() == (0, 1)


def test_given_axes_are_used_and_returned():
    _, (left, right) = plt.subplots(1, 2)
    assert plots.plot_confusion(MATRIX, NAMES, ax=left) is left
    assert plots.plot_counts(NAMES, [1, 2, 3], ax=right) is right
    assert plots.plot_probabilities(NAMES, [0.1, 0.2, 0.7], ax=right) is right
    assert plots.plot_boxes(np.zeros((9, 9), dtype=np.uint8), [], ax=right) is right


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_history_marks_the_best_validation_epoch(kind):
    history = kind(
        {
            "loss": [2.0, 1.5, 1.0],
            "val_loss": [1.9, 1.6, 1.8],
            "accuracy": [0.2, 0.4, 0.6],
            "val_accuracy": [0.25, 0.35, 0.45],
        }
    )
    panels = plots.plot_history(history)
    assert [panel.get_ylabel() for panel in panels] == ["loss", "accuracy"]
    labels = [[line.get_label() for line in panel.lines] for panel in panels]
    assert labels == [
        ["training", "validation, best 1.600 in epoch 2"],
        ["training", "validation, best 0.450 in epoch 3"],
    ]
    assert panels[0].lines[1].get_xdata().tolist() == [1, 2, 3]


def test_history_without_validation_or_of_one_epoch():
    panels = plots.plot_history({"loss": [1.0], "accuracy": [0.5], "val_loss": [], "lr": [0.1]})
    assert [len(panel.lines) for panel in panels] == [1, 1]
    assert panels[0].lines[0].get_marker() == "o"  # a line of one point would not be seen
    nothing = [float("nan")] * 2
    panels = plots.plot_history({"loss": [1.0, 0.9], "accuracy": [0.5, 0.6], "val_loss": nothing})
    assert [line.get_label() for line in panels[0].lines] == ["training"]


def test_probabilities_mark_the_truth():
    ax = plots.plot_probabilities(NAMES, [0.1, 0.2, 0.7], truth="disgust")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["angry", "disgust ★", "happy"]
    assert cells(ax) == ["0.10", "0.20", "0.70"]
    colors = [bar.get_facecolor() for bar in ax.patches]
    assert colors[0] == colors[1] != colors[2]


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: plots.plot_wall([]), "no pictures"),
        (lambda: plots.plot_wall([np.zeros((4, 4), np.uint8)], titles=["a", "b"]), "2 names for 1 values"),
        (lambda: plots.plot_counts(["a"], [1, 2]), "1 names for 2 values"),
        (
            lambda: plots.plot_boxes(np.zeros((4, 4), np.uint8), [(0, 0, 2, 2)], names=[]),
            "0 names for 1 values",
        ),
        (lambda: plots.plot_confusion(MATRIX, ["a", "b"]), r"matrix \(3, 3\) for 2 class names"),
        (lambda: plots.plot_probabilities(["a"], [0.5, 0.5]), "1 names for 2 values"),
    ],
)
def test_what_does_not_fit_is_refused(call, said):
    with pytest.raises(BadInputError, match=said):
        call()


def test_every_figure_can_be_drawn(tmp_path):
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    figures = [
        plots.plot_wall([image] * 3, titles=["a\nb"] * 3),
        plots.plot_counts(NAMES, [0, 0, 0]).figure,
        plots.plot_boxes(image, [(-10, -10, 200, 200)], names=["over the edge"]).figure,
        plots.plot_confusion(MATRIX, NAMES).figure,
        plots.plot_history({"loss": [float("nan")], "val_loss": [float("nan")]})[0].figure,
        plots.plot_probabilities(NAMES, [0, 0, 1]).figure,
    ]
    for k, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{k}.png", dpi=40)
        assert plt.imread(tmp_path / f"{k}.png").std() > 0
