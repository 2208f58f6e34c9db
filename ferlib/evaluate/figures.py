"""Figures of an evaluation, drawn from the numbers of a report; see `ferlib.common.plots`.

Lines that could be confused differ in dash as well as in colour.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ferlib.common.errors import BadInputError, check_choice
from ferlib.common.plots import BLUE, ORANGE, axes_or_new, plot_wall
from ferlib.evaluate.gradcam import blend

_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)))
_COLOURS = [*sns.color_palette("colorblind").as_hex()[:6], "#000000", "#56b4e9"]
_GRAY = "#888888"

_CURVES = {
    "roc": ("auc", "area under it", "false positive rate", "true positive rate"),
    "precision_recall": ("ap", "average precision", "recall", "precision"),
}


def plot_curves(curves: Mapping[str, Mapping], kind: str = "roc", ax: Axes | None = None) -> Axes:
    """Plot one curve per class: true over false positive rate, or precision over recall, both 0 to 1.

    Args:
        curves: The curves of one kind from a report, by class. A class without points is named in the legend.
        kind: "roc" or "precision_recall".
        ax: The axes to draw on; None for new ones.

    Returns:
        The axes. Their legend names each class with its area.

    Raises:
        BadInputError: An unknown kind.
    """
    check_choice("kind", kind, _CURVES)
    area, title, x_label, y_label = _CURVES[kind]
    ax = axes_or_new(ax, 5, 4.2)
    for k, (name, curve) in enumerate(curves.items()):
        value = curve[area]
        label = f"{name}  {value:.3f}" if value is not None and np.isfinite(value) else f"{name}  no rows"
        ax.plot(curve["x"], curve["y"], linestyle=_DASHES[k % 8], color=_COLOURS[k % 8], label=label)
    if kind == "roc":
        ax.plot([0, 1], [0, 1], color=_GRAY, linewidth=1, label="a guess  0.500")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x_label, ylabel=y_label)
    small = {"fontsize": 8, "title_fontsize": 8}
    ax.legend(title=title, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), **small)
    ax.grid(alpha=0.3)
    return ax


def plot_reliability(
    bins: Mapping[str, Sequence[float]],
    after: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a reliability diagram: accuracy (y) over the largest probability (x), both 0 to 1.

    The diagonal is perfect; below it the model is overconfident. A point's size follows its number of rows.

    Args:
        bins: The columns of `ferlib.model.calibration.reliability`.
        after: The same with temperature.
        ax: The axes to draw on; None for new ones.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax, 4.4, 4)
    ax.plot([0, 1], [0, 1], color=_GRAY, linewidth=1, label="as sure as right")
    styles = [(bins, "as it comes", BLUE, "o", "-")]
    if after is not None:
        styles.append((after, "with temperature", ORANGE, "s", "--"))
    for columns, name, colour, marker, dash in styles:
        x, y, n = columns["confidence"], columns["accuracy"], np.asarray(columns["n"], float)
        ax.plot(x, y, dash, color=colour, linewidth=1.2)
        ax.scatter(x, y, 12 + 150 * n / n.sum(), color=colour, marker=marker, label=name)
    ax.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="largest probability", ylabel="share read right")
    ax.legend(frameon=False, fontsize=8, loc="upper left", markerscale=0.8)
    ax.grid(alpha=0.3)
    return ax


def plot_subgroups(rows: Mapping[str, Mapping], ax: Axes | None = None, title: str = "") -> Axes:
    """Plot the accuracy (x, 0 to 1) of each group (y, from the top) with its 95 % interval.

    Args:
        rows: The rows of `ferlib.evaluate.subgroups.accuracy_by`, by group; their `n` is added to the names.
        ax: The axes to draw on; None for new ones.
        title: The title.

    Returns:
        The axes.

    Raises:
        BadInputError: There are no groups.
    """
    if not rows:
        raise BadInputError("plot_subgroups: no groups to show")
    ax = axes_or_new(ax, 5, 0.8 + 0.3 * len(rows))
    places = np.arange(len(rows))
    low, value, high = np.array([[row[key] for row in rows.values()] for key in ("low", "accuracy", "high")])
    ax.errorbar(value, places, xerr=np.abs([value - low, high - value]), fmt="o", color=BLUE, capsize=3)
    ax.set_yticks(places, [f"{name}  ({row['n']:,})" for name, row in rows.items()])
    ax.set(xlim=(0, 1.02), ylim=(len(rows) - 0.5, -0.5), xlabel="share read right", title=title)
    ax.grid(alpha=0.3, axis="x")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_heat_maps(
    faces: Sequence[np.ndarray] | np.ndarray, heats: np.ndarray, titles: Sequence[str], columns: int = 8
) -> Figure:
    """Show faces in rows, each above its Grad-CAM.

    Args:
        faces: uint8 (n, h, w), gray.
        heats: What `ferlib.evaluate.gradcam.heat_maps` returns: float (n, h, w), 0 to 1.
        titles: One title per face.
        columns: How many faces are in one row.

    Returns:
        The figure.

    Raises:
        BadInputError: The lengths differ.
    """
    if len(faces) != len(heats) or len(faces) != len(titles):
        raise BadInputError(f"plot_heat_maps: {len(faces)} faces, {len(heats)} maps, {len(titles)} titles")
    images, texts = [], []
    for start in range(0, len(faces), columns):
        part = slice(start, start + columns)
        blended = [blend(face, heat) for face, heat in zip(faces[part], heats[part], strict=True)]
        missing = columns - len(blended) if start else 0  # a last row that is not full
        blank = [np.full_like(faces[0], 255)] * missing
        images += [*faces[part], *blank, *blended, *blank]
        texts += [*titles[part], *[""] * (2 * missing + len(blended))]
    return plot_wall(images, titles=texts, columns=min(columns, len(faces)), size=1.35)
