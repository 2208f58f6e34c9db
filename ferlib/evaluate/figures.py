"""Figures of an evaluation, drawn from the numbers of a report; see `ferlib.common.plots` for the rules they keep.

Lines that could be mistaken for each other differ in dash as well as in colour.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ferlib.common.errors import BadInputError
from ferlib.common.plots import BLUE, ORANGE, _axes, plot_wall

_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)))
_COLOURS = [*sns.color_palette("colorblind").as_hex()[:6], "#000000", "#56b4e9"]
_GRAY = "#888888"

HUMAN = (0.60, 0.70)
"""Share of FER2013's labels with which people agree, 65 ± 5 % (Goodfellow et al. 2013)."""


def plot_curves(curves: Mapping[str, Mapping], kind: str = "roc", ax: Axes | None = None) -> Axes:
    """A line a class from a report's `curves`: `kind` is `"roc"` or `"precision_recall"`, and so are its numbers.

    The legend gives each area. A class without points is named in the legend without a line.
    """
    if kind not in ("roc", "precision_recall"):
        raise BadInputError(f"kind {kind!r}: known are roc and precision_recall")
    ax = _axes(ax, 5, 4.2)
    area, x_name, y_name = (
        ("auc", "false positive rate", "true positive rate")
        if kind == "roc"
        else ("ap", "recall", "precision")
    )
    for k, (name, curve) in enumerate(curves.items()):
        value = curve[area]
        text = f"{name}  {value:.3f}" if value is not None and np.isfinite(value) else f"{name}  no rows"
        ax.plot(curve["x"], curve["y"], linestyle=_DASHES[k % 8], color=_COLOURS[k % 8], label=text)
    if kind == "roc":
        ax.plot([0, 1], [0, 1], color=_GRAY, linewidth=1, label="a guess  0.500")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x_name, ylabel=y_name)
    title = "area under it" if kind == "roc" else "average precision"
    ax.legend(
        title=title, frameon=False, fontsize=8, title_fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    ax.grid(alpha=0.3)
    return ax


def plot_reliability(
    bins: Mapping[str, Sequence[float]],
    after: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A reliability diagram from the columns of `calibration.reliability`: accuracy over confidence.

    The diagonal is perfect; below it the network is surer than it is right. A point's size follows its rows.
    `after`: the same with temperature.
    """
    ax = _axes(ax, 4.4, 4)
    ax.plot([0, 1], [0, 1], color=_GRAY, linewidth=1, label="as sure as right")
    for columns, name, colour, mark, dash in (
        (bins, "as it comes", BLUE, "o", "-"),
        (after, "with temperature", ORANGE, "s", "--"),
    ):
        if columns is None:
            continue
        n = np.asarray(columns["n"], float)
        ax.plot(columns["confidence"], columns["accuracy"], dash, color=colour, linewidth=1.2)
        sizes = 12 + 150 * n / n.sum()
        ax.scatter(columns["confidence"], columns["accuracy"], sizes, color=colour, marker=mark, label=name)
    ax.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="largest probability", ylabel="share read right")
    ax.legend(frameon=False, fontsize=8, loc="upper left", markerscale=0.8)
    ax.grid(alpha=0.3)
    return ax


def plot_slices(rows: Mapping[str, Mapping], ax: Axes | None = None, title: str = "") -> Axes:
    """Accuracy of each group with its 95 % interval, from the top; `rows` as of `slices.accuracy_by`, by group.

    The number of faces stands behind each name.
    """
    if not rows:
        raise BadInputError("plot_slices: no groups to show")
    ax = _axes(ax, 5, 0.8 + 0.3 * len(rows))
    places = np.arange(len(rows))
    values = np.array([[row["low"], row["accuracy"], row["high"]] for row in rows.values()], float)
    spread = np.abs(values[:, [1, 1]] - values[:, [0, 2]]).T
    ax.errorbar(values[:, 1], places, xerr=spread, fmt="o", color=BLUE, capsize=3)
    ax.set_yticks(places, [f"{name}  ({row['n']:,})" for name, row in rows.items()])
    ax.set(xlim=(0, 1.02), ylim=(len(rows) - 0.5, -0.5), xlabel="share read right", title=title)
    ax.grid(alpha=0.3, axis="x")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_against(
    rows: Mapping[str, float], interval: Sequence[float] | None = None, ax: Axes | None = None
) -> Axes:
    """Accuracies as bars from the top, the first one dark with its interval, over the band of human agreement."""
    if not rows:
        raise BadInputError("plot_against: nothing to compare")
    ax = _axes(ax, 7, 0.9 + 0.36 * len(rows))
    places, values = np.arange(len(rows)), np.array(list(rows.values()), float)
    ax.axvspan(*HUMAN, color="#dddddd", zorder=0)
    ax.text(np.mean(HUMAN), -0.75, "people\n65 ± 5 %", ha="center", va="bottom", fontsize=8)
    ax.barh(places, values, color=[BLUE, *["#b9cfe0"] * (len(rows) - 1)], height=0.65)
    if interval is not None:
        ax.errorbar(
            values[0], 0, xerr=np.abs(np.array(interval)[:, None] - values[0]), color="black", capsize=3
        )
    for place, value in zip(places, values, strict=True):
        ax.text(
            0.01, place, f"{value:.1%}", va="center", fontsize=9, color="white" if place == 0 else "black"
        )
    ax.set_yticks(places, list(rows))
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="accuracy")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_heat(
    faces: Sequence[np.ndarray], heats: np.ndarray, titles: Sequence[str], columns: int = 8
) -> Figure:
    """Each face above its Grad-CAM (see `gradcam.heat_maps`), `columns` in a row; returns the figure."""
    from ferlib.evaluate.gradcam import blend

    if len(faces) != len(heats) or len(faces) != len(titles):
        raise BadInputError(f"plot_heat: {len(faces)} faces, {len(heats)} maps, {len(titles)} titles")
    images, texts = [], []
    for start in range(0, len(faces), columns):
        part = range(start, min(start + columns, len(faces)))
        blanks = [np.full_like(faces[0], 255)] * (columns - len(part) if start else 0)
        images += [faces[k] for k in part] + blanks + [blend(faces[k], heats[k]) for k in part] + blanks
        texts += [titles[k] for k in part] + [""] * (2 * len(blanks) + len(part))
    return plot_wall(images, titles=texts, columns=min(columns, len(faces)), size=1.35)
