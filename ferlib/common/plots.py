"""Figures that several notebooks draw. Each function draws on the axes that it is given, or on new ones.

Colours can be told apart by colour-blind readers (seaborn's "colorblind", matplotlib's "Blues"), and everything
is also labelled with text, for gray print. In a notebook, end the line with `;` to show the figure once.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from ferlib.common.colours import colours_of, ink_on
from ferlib.common.errors import BadInputError, check_choice
from ferlib.common.files import whole
from ferlib.common.fonts import find_font

BLUE, ORANGE, GREEN, RED, *_ = sns.color_palette("colorblind").as_hex()
"""The first four colours of seaborn's "colorblind" palette as `#rrggbb`."""

PALE_BLUE = "#b9cfe0"
"""For bars beside the one that counts."""


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """Make axes where none are given.

    Args:
        ax: The axes, or None.
        width: The width of a new figure, in inches.
        height: The height of a new figure, in inches.

    Returns:
        The axes to draw on.
    """
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def _check_lengths(what: str, names: Sequence, values: Sequence | np.ndarray) -> None:
    if len(names) != len(values):
        raise BadInputError(f"{what}: {len(names)} names for {len(values)} values; give one name each")


def plot_wall(
    images: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    size: float = 1.15,
) -> Figure:
    """Show images in a grid, row by row.

    Args:
        images: uint8 (h, w) gray or (h, w, 3) RGB, 0 to 255, of any sizes.
        titles: One short text per image.
        columns: How many images are in one row.
        size: The width of an image, in inches.

    Returns:
        The figure.

    Raises:
        BadInputError: There are no images, or the number of titles differs.
    """
    if len(images) == 0:
        raise BadInputError("plot_wall: no pictures to show")
    if titles is not None:
        _check_lengths("plot_wall", titles, images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max((str(title).count("\n") + 1 for title in titles), default=0) if titles is not None else 0
    tall = min(1.0, max(image.shape[0] / image.shape[1] for image in images))  # no gaps below wide images
    inches = (columns * size, rows * (size * tall + 0.17 * lines))
    figure, grid = plt.subplots(rows, columns, figsize=inches, layout="constrained", squeeze=False)
    for k, ax in enumerate(grid.flat):
        ax.axis("off")
        if k < len(images):
            ax.imshow(images[k], cmap="gray", vmin=0, vmax=255)  # the limits count for gray images only
            if titles is not None:
                ax.set_title(str(titles[k]), fontsize=8, pad=2)
    return figure


def plot_counts(names: Sequence[str], counts: Sequence[int], ax: Axes | None = None) -> Axes:
    """Plot counts (x) as one horizontal bar per name (y, from the top).

    Args:
        names: The names.
        counts: One count per name; it is also written after its bar.
        ax: The axes to draw on; None for new ones.

    Returns:
        The axes.

    Raises:
        BadInputError: The lengths differ.
    """
    _check_lengths("plot_counts", names, counts)
    ax = axes_or_new(ax, 6, 0.6 + 0.32 * len(names))
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
    """Draw boxes over an image; the axes are in pixels and hidden.

    Args:
        image: uint8 (h, w, 3) RGB or (h, w) gray.
        boxes: (x, y, width, height) of each box, in pixels.
        names: One name per box.
        ax: The axes to draw on; None for new ones.
        color: The colour of the boxes, as matplotlib takes it.

    Returns:
        The axes.

    Raises:
        BadInputError: The number of names differs.
    """
    if names is not None:
        _check_lengths("plot_boxes", names, boxes)
    ax = axes_or_new(ax, 5, 5 * image.shape[0] / image.shape[1])
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    for k, (x, y, width, height) in enumerate(boxes):
        corner = (x - 0.5, y - 0.5)  # a pixel's centre is at whole numbers
        ax.add_patch(plt.Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=2))
        if names is not None:
            shade = {"facecolor": "black", "alpha": 0.7, "pad": 1.5, "edgecolor": "none"}
            label = ax.text(max(x, 0) + 2, max(y, 0) + 2, str(names[k]), va="top", bbox=shade)
            label.set(fontsize=9, color="white", clip_on=True)
    ax.axis("off")
    return ax


def plot_confusion(
    matrix: np.ndarray, class_names: Sequence[str], shares: bool = False, ax: Axes | None = None
) -> Axes:
    """Plot a confusion matrix as a heat map: the truth from the top (y), the predictions from the left (x).

    The colour always follows the shares of the rows; otherwise the largest class would outshine all others.

    Args:
        matrix: Counts, (k, k); rows are the truth.
        class_names: The k names of the classes.
        shares: Write each row divided by its sum (0.00 to 1.00; 0 for a row without faces) instead of counts.
        ax: The axes to draw on; None for new ones.

    Returns:
        The axes.

    Raises:
        BadInputError: The names do not fit the matrix.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(class_names), len(class_names)):
        raise BadInputError(f"plot_confusion: matrix {matrix.shape} for {len(class_names)} class names")
    ax = axes_or_new(ax, 1.9 + 0.62 * len(class_names), 1.2 + 0.55 * len(class_names))
    of_truth = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    with fonts_for(ax.figure):  # seaborn draws the figure to see whether labels overlap
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
    """Plot loss and accuracy (y) by epoch (x, from 1) for training and validation, with the best epoch marked.

    Args:
        history: `loss`, `accuracy`, `val_loss` and `val_accuracy` by epoch, as Keras' `History.history` or as a
            DataFrame; those missing, and validation that is all NaN, are left out.
        ax: Two axes to draw on; None for new ones.

    Returns:
        The two axes.
    """
    panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")[1] if ax is None else np.asarray(ax)
    for panel, metric, best in zip(panels, ("loss", "accuracy"), (np.nanargmin, np.nanargmax), strict=True):
        for key, name, color, style in (
            (metric, "training", BLUE, "--"),
            (f"val_{metric}", "validation", ORANGE, "-"),
        ):
            if key not in history or len(history[key]) == 0:
                continue
            values = np.asarray(history[key], dtype=float)
            if key.startswith("val_") and not np.isfinite(values).any():
                continue  # a run that held nothing out
            (line,) = panel.plot(np.arange(1, len(values) + 1), values, style, color=color, label=name)
            if key.startswith("val_"):
                k = int(best(values))
                line.set(label=f"{name}, best {values[k]:.3f} in epoch {k + 1}", markevery=[k])
            if key.startswith("val_") or len(values) == 1:  # the line of a single epoch would be invisible
                line.set(marker="o", markersize=8)
        panel.set_xlabel("epoch")
        panel.set_ylabel(metric)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(frameon=False)
    return panels


def plot_probabilities(
    class_names: Sequence[str],
    probabilities: Sequence[float],
    truth: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the probabilities of one face (x, 0 to 1) as one bar per class (y, from the top); the largest is dark.

    Args:
        class_names: The names of the classes.
        probabilities: One per class.
        truth: The true class, which gets a star.
        ax: The axes to draw on; None for new ones.

    Returns:
        The axes.

    Raises:
        BadInputError: The lengths differ.
    """
    _check_lengths("plot_probabilities", class_names, probabilities)
    ax = axes_or_new(ax, 4.5, 0.6 + 0.28 * len(class_names))
    places, best = np.arange(len(class_names)), int(np.argmax(probabilities))
    bars = ax.barh(places, probabilities, color=[BLUE if k == best else PALE_BLUE for k in places])
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
    """Plot the probabilities of one face (y, stacked to one) over time (x, in seconds).

    Where the face was lost (a step of more than twice the median one) there is a gap.

    Args:
        seconds: The times, (n,), increasing.
        probabilities: float (n, k), 0 to 1.
        class_names: The k names of the classes.
        truth: The true class at each time, None where it is unknown; drawn as a band above.
        ax: The axes to draw on; None for new ones.

    Returns:
        The axes.

    Raises:
        BadInputError: The lengths differ, or there are no frames.
    """
    _check_lengths("plot_timeline", class_names, np.transpose(probabilities))
    _check_lengths("plot_timeline", seconds, probabilities)
    if len(seconds) == 0:
        raise BadInputError("plot_timeline: no frames to show")
    ax = axes_or_new(ax, 10, 3.4)
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if len(steps) else 1.0
    # each frame is shown until the next one, so that a single frame is visible, too
    edges = np.append(seconds, np.max(seconds) + usual)
    palette = colours_of(dict.fromkeys([*class_names, *filter(None, truth or ())]))
    colours = [np.array(palette[name]) / 255 for name in class_names]
    for part in np.split(np.arange(len(seconds)), np.flatnonzero(steps > 2 * usual) + 1):
        times = np.append(edges[part], edges[part[-1]] + usual)
        values = np.asarray(probabilities, dtype=float)[[*part, part[-1]]].T
        areas = ax.stackplot(times, values, step="post", colors=colours, edgecolor="white", linewidth=0.3)
    ax.legend(areas[::-1], list(class_names)[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    if truth is not None:
        _draw_truth(ax, edges, truth, palette)
    ax.set(xlim=(edges[0], edges[-1]), xlabel="seconds", ylabel="probability")
    ax.set_ylim(0, 1 if truth is None else 1.13)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _draw_truth(
    ax: Axes, edges: np.ndarray, truth: Sequence[str | None], palette: dict[str, tuple[int, int, int]]
) -> None:
    """Draw the true classes above the stack; a run of one class is one piece, named where there is room."""
    first = 0
    for name, run in groupby(truth):
        left, right = edges[first], edges[first := first + len(list(run))]
        if name is None:
            continue
        colour = palette[name]
        ax.fill_between(
            [left, right], 1.03, 1.13, color=np.array(colour) / 255, edgecolor="white", linewidth=1
        )
        if (right - left) / (edges[-1] - edges[0]) > 0.011 * len(name):
            ink = np.array(ink_on(colour)) / 255
            ax.text((left + right) / 2, 1.08, name, ha="center", va="center", fontsize=8, color=ink)
    ax.text(edges[-1], 1.08, "  truth", ha="left", va="center", fontsize=9)


@contextmanager
def fonts_for(figure: Figure) -> Iterator[None]:
    """Draw a figure with a second font for letters that matplotlib's own lacks, where this machine has one.

    Args:
        figure: The figure; its texts are changed.

    Yields:
        Nothing; draw or write the figure in the block.
    """
    texts = figure.findobj(Text)
    if path := find_font("".join(text.get_text() for text in texts)):
        font_manager.fontManager.addfont(path)
        family = font_manager.FontProperties(fname=path).get_name()
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), family])
    with warnings.catch_warnings():
        # find_font says which letters are missing, and what to do
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield


def save_figure(figure: Figure, path: str | os.PathLike, dpi: int = 120) -> None:
    """Write a figure to a file, completely or not at all, and close it.

    Args:
        figure: The figure.
        path: The file; its suffix chooses the format.
        dpi: Dots per inch of a bitmap.

    Raises:
        BadInputError: The suffix is unknown, or the file cannot be written.
    """
    path = Path(path)
    check_choice(
        "suffix of a figure", path.suffix.lower().lstrip("."), figure.canvas.get_supported_filetypes()
    )
    with whole(path) as part, fonts_for(figure):
        figure.savefig(part, dpi=dpi)
    plt.close(figure)
