"""Figures: draws given arrays on given axes and returns the axes; makes axes when none are given.

Colours are told apart by colour-blind readers (seaborn's "colorblind", matplotlib's "Blues") and in
gray print: text stands beside each. In a notebook end the line with `;`, so that the figure shows once.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ferlib.common.colours import colour_of, ink_on
from ferlib.common.errors import BadInputError
from ferlib.common.files import whole

BLUE, ORANGE, GREEN, RED, *_ = sns.color_palette("colorblind").as_hex()
"""The first four of seaborn's "colorblind" palette as `#rrggbb`."""


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def _same_length(what: str, names: Sequence, values: Sequence) -> None:
    if len(names) != len(values):
        raise BadInputError(f"{what}: {len(names)} names for {len(values)} values; give one name each")


def plot_wall(
    images: Sequence[np.ndarray], titles: Sequence[str] | None = None, columns: int = 8, size: float = 1.15
) -> Figure:
    """A wall of pictures, row by row; returns the figure (its axes are `figure.axes`).

    `images`: uint8 (h, w) gray or (h, w, 3) RGB, of any sizes; `titles`: one short text each;
    `size`: inches a picture. Raises BadInputError for no pictures, or titles that do not fit.
    """
    if len(images) == 0:
        raise BadInputError("plot_wall: no pictures to show")
    if titles is not None:
        _same_length("plot_wall", titles, images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max((str(title).count("\n") + 1 for title in titles), default=0) if titles is not None else 0
    tall = min(
        1.0, max(np.shape(image)[0] / np.shape(image)[1] for image in images)
    )  # no gaps under wide ones
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(columns * size, rows * (size * tall + 0.17 * lines)),
        layout="constrained",
        squeeze=False,
    )
    for k, ax in enumerate(grid.flat):
        ax.axis("off")
        if k < len(images):
            image = np.asarray(images[k])
            ax.imshow(
                image, cmap="gray", vmin=0, vmax=255
            )  # gray stays as dark as it is; RGB takes no notice
            if titles is not None:
                ax.set_title(str(titles[k]), fontsize=8, pad=2)
    return figure


def plot_counts(names: Sequence[str], counts: Sequence[int], ax: Axes | None = None) -> Axes:
    """One horizontal bar a name, from the top, with its count written behind it."""
    _same_length("plot_counts", names, counts)
    ax = _axes(ax, 6, 0.6 + 0.32 * len(names))
    places = np.arange(len(names))
    bars = ax.barh(places, counts, color=BLUE)
    ax.set_yticks(places, [str(name) for name in names])
    ax.bar_label(bars, labels=[f"{count:,}" for count in counts], padding=3, fontsize=9)
    ax.margins(x=0.12)
    ax.invert_yaxis()
    ax.set_xlabel("count")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_boxes(
    image: np.ndarray,
    boxes: Sequence[tuple[int, int, int, int]],
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    color: str = ORANGE,
) -> Axes:
    """Boxes (x, y, width, height) in pixels over an image (RGB or gray), with their names."""
    if names is not None:
        _same_length("plot_boxes", names, boxes)
    ax = _axes(ax, 5, 5 * image.shape[0] / image.shape[1])
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    for k, (x, y, width, height) in enumerate(boxes):
        ax.add_patch(
            plt.Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=color, linewidth=2)
        )
        if names is not None:
            ax.text(
                max(x, 0) + 2,
                max(y, 0) + 2,
                str(names[k]),
                va="top",
                fontsize=9,
                color="white",
                bbox={"facecolor": "black", "alpha": 0.7, "pad": 1.5, "edgecolor": "none"},
                clip_on=True,
            )
    ax.axis("off")
    return ax


def plot_confusion(
    matrix: np.ndarray, class_names: Sequence[str], shares: bool = False, ax: Axes | None = None
) -> Axes:
    """A confusion matrix as a seaborn heat map: rows = truth, columns = predicted.

    Counts, or with `shares` each row divided by its sum (0.00 to 1.00; a row of no faces stays 0).
    Colour always follows the shares: otherwise the largest class would outshine all others.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(class_names), len(class_names)):
        raise BadInputError(f"plot_confusion: matrix {matrix.shape} for {len(class_names)} class names")
    ax = _axes(ax, 1.9 + 0.62 * len(class_names), 1.2 + 0.55 * len(class_names))
    of_truth = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    sns.heatmap(
        of_truth,
        annot=of_truth if shares else matrix,
        fmt=".2f" if shares else ",d" if np.issubdtype(matrix.dtype, np.integer) else "g",
        vmin=0,
        vmax=1,
        cmap="Blues",
        square=True,
        linewidths=0.5,
        xticklabels=list(class_names),
        yticklabels=list(class_names),
        annot_kws={"fontsize": 9},
        cbar_kws={"label": "share of the row", "shrink": 0.8},
        ax=ax,
    )
    ax.set_xlabel("predicted")
    ax.set_ylabel("truth")
    ax.tick_params(length=0)
    plt.setp(ax.get_yticklabels(), rotation=0)
    if max(len(str(name)) for name in class_names) > 3:
        plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    return ax


def plot_history(history: Mapping[str, Sequence[float]], ax: Sequence[Axes] | None = None) -> np.ndarray:
    """Loss and accuracy by epoch, training beside validation; the best validation epoch is marked.

    `history`: columns `loss`, `accuracy`, `val_loss`, `val_accuracy` as Keras' `History.history` has
    them, or a DataFrame of the same; those missing, and validation that is all NaN, are left out.
    `ax`: two axes. Returns the two.
    """
    ax = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")[1] if ax is None else np.asarray(ax)
    for panel, metric, best in zip(ax, ("loss", "accuracy"), (np.nanargmin, np.nanargmax), strict=True):
        for key, name, color, style in (
            (metric, "training", BLUE, "--"),
            (f"val_{metric}", "validation", ORANGE, "-"),
        ):
            if key not in history or len(history[key]) == 0:
                continue
            values = np.asarray(history[key], dtype=float)
            label, marked = name, []
            if key.startswith("val_") and not np.isfinite(values).any():
                continue  # a run that held nothing out
            if key.startswith("val_"):
                marked = [int(best(values))]
                label = f"{name}, best {values[marked[0]]:.3f} in epoch {marked[0] + 1}"
            epochs = np.arange(1, len(values) + 1)
            (line,) = panel.plot(epochs, values, style, color=color, label=label)
            if marked or len(values) == 1:  # one epoch alone is a point, and a line of it would not be seen
                line.set(marker="o", markersize=8, markevery=marked or None)
        panel.set_xlabel("epoch")
        panel.set_ylabel(metric)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(frameon=False)
    return ax


def plot_probabilities(
    class_names: Sequence[str],
    probabilities: Sequence[float],
    truth: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One row of softmax output as bars from 0 to 1; the largest is dark, the true class has a star."""
    _same_length("plot_probabilities", class_names, probabilities)
    ax = _axes(ax, 4.5, 0.6 + 0.28 * len(class_names))
    places, best = np.arange(len(class_names)), int(np.argmax(probabilities))
    bars = ax.barh(places, probabilities, color=[BLUE if k == best else "#b9cfe0" for k in places])
    ax.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    ax.set_yticks(places, [f"{name} ★" if name == truth else str(name) for name in class_names])
    ax.set_xlim(0, 1.15)
    ax.set_xlabel("probability" + (" (★ = the truth)" if truth is not None else ""))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_timeline(
    seconds: Sequence[float],
    probabilities: np.ndarray,
    class_names: Sequence[str],
    truth: Sequence[str | None] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Probabilities of one face over time, stacked to one; above them `truth` as a band with names.

    `seconds`: (n,) rising; `probabilities`: (n, k), 0 to 1; `truth`: (n,) names, None where nobody
    knows. Where the face was lost (a step of more than twice the usual one) there is a gap.
    """
    _same_length("plot_timeline", class_names, np.transpose(probabilities))
    _same_length("plot_timeline", seconds, probabilities)
    if len(seconds) == 0:
        raise BadInputError("plot_timeline: no frames to show")
    ax = _axes(ax, 10, 3.4)
    seconds, probabilities = np.asarray(seconds, dtype=float), np.asarray(probabilities, dtype=float)
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if len(steps) else 1.0
    colours = [np.array(colour_of(name)) / 255 for name in class_names]
    for part in np.split(np.arange(len(seconds)), np.flatnonzero(steps > 2 * usual) + 1):
        # each frame is shown until the next one comes, so that one frame alone is seen, too
        times = np.append(seconds[part], seconds[part[-1]] + usual)
        values = np.concatenate([probabilities[part], probabilities[part[-1:]]])
        areas = ax.stackplot(times, values.T, step="post", colors=colours, edgecolor="white", linewidth=0.3)
    ax.legend(areas[::-1], list(class_names)[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    if truth is not None:
        _truth_band(ax, np.append(seconds, seconds[-1] + usual), list(truth))
    ax.set(xlim=(seconds[0], seconds[-1] + usual), xlabel="seconds", ylabel="probability")
    ax.set_ylim(0, 1 if truth is None else 1.13)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _truth_band(ax: Axes, edges: np.ndarray, truth: list[str | None]) -> None:
    """The true names over the stack: a run of the same name is one piece, named where there is room."""
    starts = [k for k in range(len(truth)) if k == 0 or truth[k] != truth[k - 1]]
    for first, end in zip(starts, [*starts[1:], len(truth)], strict=True):
        name, left, right = truth[first], edges[first], edges[end]
        if name is None:
            continue
        colour = np.array(colour_of(name))
        ax.fill_between([left, right], 1.03, 1.13, color=colour / 255, edgecolor="white", linewidth=1)
        if (right - left) / (edges[-1] - edges[0]) > 0.011 * len(name):
            ink = np.array(ink_on(colour)) / 255
            ax.text((left + right) / 2, 1.08, name, ha="center", va="center", fontsize=8, color=ink)
    ax.text(edges[-1], 1.08, "  truth", ha="left", va="center", fontsize=9)


def save_figure(figure, path: str | os.PathLike) -> None:
    """Write a figure, whole or not at all; BadInputError names a file that cannot be written."""
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in known:
        raise BadInputError(f"{path.name}: a figure's suffix must be one of .{', .'.join(sorted(known))}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            figure.savefig(part, dpi=120)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name another file") from error
