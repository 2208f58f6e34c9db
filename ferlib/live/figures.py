"""Figures of what was read: a chart of pictures, a timeline of a film."""

import os
from array import array
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ferlib.common.errors import BadInputError
from ferlib.common.plots import save_figure
from ferlib.model.recognise import FaceReading

_PANELS = 4  # faces in one timeline: those that are seen longest


_POINTS = 1500  # of a face in a timeline; more than a picture of it is wide


class _Lines:
    """The probabilities of each face over time, a few numbers a frame."""

    def __init__(self):
        self.seconds: dict[int, array] = defaultdict(lambda: array("d"))
        self._values: dict[int, array] = defaultdict(lambda: array("f"))

    def add(self, seconds: float, readings: Sequence[FaceReading]) -> None:
        for reading in readings:
            self.seconds[reading.track].append(seconds)
            self._values[reading.track].extend(reading.probabilities.values())

    def draw(self, path: str | os.PathLike, class_names: Sequence[str]) -> None:
        from matplotlib.figure import Figure

        from ferlib.common.plots import plot_timeline, save_figure

        if not self.seconds:
            raise BadInputError(f"{path}: no face was found, so there is no timeline to draw")
        longest = sorted(self.seconds, key=lambda number: (-len(self.seconds[number]), number))[:_PANELS]
        figure = Figure(figsize=(10, 0.5 + 2.2 * len(longest)), layout="constrained")
        panels = figure.subplots(len(longest), 1, squeeze=False, sharex=True)[:, 0]
        ends = [self.seconds[number][k] for number in longest for k in (0, -1)]
        for ax, number in zip(panels, sorted(longest), strict=True):
            seconds = np.asarray(self.seconds[number])
            values = np.asarray(self._values[number]).reshape(len(seconds), -1)
            step = -(-len(seconds) // _POINTS)
            plot_timeline(seconds[::step], values[::step], class_names, ax=ax)
            if ax is not panels[0]:
                ax.get_legend().remove()
            ax.set(title=f"face {number}", xlabel="seconds" if ax is panels[-1] else "")
        panels[0].set_xlim(min(ends), max(*ends, min(ends) + 0.1))
        save_figure(figure, path)


def write_chart(table: pd.DataFrame, class_names: Sequence[str], path: str | os.PathLike) -> None:
    """A chart of a `predict_paths` table: faces by expression, and how large the largest probability is.

    The format follows the suffix (.png, .svg, .pdf). Raises BadInputError for a table without a face, and for
    a file that cannot be written.
    """
    from matplotlib.figure import Figure

    from ferlib.common.colours import colour_of
    from ferlib.common.plots import plot_counts

    if not len(table):
        raise BadInputError(f"{path}: no face was found, so there is nothing to draw a chart of")
    figure = Figure(figsize=(9, 0.9 + 0.36 * len(class_names)), layout="constrained")
    left, right = figure.subplots(1, 2)
    counts = [int((table["emotion"] == name).sum()) for name in class_names]
    plot_counts(class_names, counts, left)
    colours = [tuple(value / 255 for value in colour_of(name)) for name in class_names]
    for bar, colour in zip(left.patches, colours, strict=True):
        bar.set(facecolor=colour, edgecolor="#444444", linewidth=0.6)
    left.set(title=f"{len(table)} faces in {table['file'].nunique()} pictures", xlabel="faces")
    values = [table.loc[table["emotion"] == name, "probability"] for name in class_names]
    right.hist(values, bins=10, range=(0, 1), stacked=True, color=colours, edgecolor="#444444", linewidth=0.4)
    right.set(title="how sure the model is", xlabel="largest probability", ylabel="faces", xlim=(0, 1))
    right.yaxis.get_major_locator().set_params(integer=True)
    right.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
