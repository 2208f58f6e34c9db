"""Figures of what was recognised: a chart of pictures, a timeline of a video."""

import os
from array import array
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ferlib.common.colours import colour_of
from ferlib.common.errors import BadInputError
from ferlib.model.recognise import Face

_PANELS = 4  # faces in one timeline: those that are seen longest
_POINTS = 1500  # per face in a timeline; a figure of it has fewer pixels


class Timeline:
    """The probabilities of each face of a video over time; it needs a few numbers per frame."""

    def __init__(self) -> None:
        self._seconds: dict[int, array] = defaultdict(lambda: array("d"))
        self._values: dict[int, array] = defaultdict(lambda: array("f"))

    def __len__(self) -> int:
        return len(self._seconds)

    def add(self, seconds: float, faces: Sequence[Face]) -> None:
        """Add a frame.

        Args:
            seconds: Time of the frame; it rises from call to call.
            faces: The faces of the frame, as `FaceTracker.update` returns them.
        """
        for face in faces:
            assert face.track is not None
            self._seconds[face.track].append(seconds)
            self._values[face.track].extend(face.probabilities.values())

    def write(self, path: str | os.PathLike, class_names: Sequence[str]) -> None:
        """Draw the four faces that are seen longest, each in a panel of its own.

        Args:
            path: The figure; the suffix names the format (.png, .svg, .pdf).
            class_names: The classes of the model, in its order.

        Raises:
            BadInputError: There is no face, or the file cannot be written.
        """
        from matplotlib.figure import Figure

        from ferlib.common.plots import plot_timeline, save_figure

        if not self._seconds:
            raise BadInputError(f"{path}: no face was found, so there is no timeline to draw")
        longest = sorted(self._seconds, key=lambda number: (-len(self._seconds[number]), number))[:_PANELS]
        figure = Figure(figsize=(10, 0.5 + 2.2 * len(longest)), layout="constrained")
        panels = figure.subplots(len(longest), 1, squeeze=False, sharex=True)[:, 0]
        ends = [self._seconds[number][k] for number in longest for k in (0, -1)]
        for ax, number in zip(panels, sorted(longest), strict=True):
            seconds = np.asarray(self._seconds[number])
            values = np.asarray(self._values[number]).reshape(len(seconds), -1)
            step = -(-len(seconds) // _POINTS)
            plot_timeline(list(seconds[::step]), values[::step], class_names, ax=ax)
            if ax is not panels[0]:
                ax.get_legend().remove()
            ax.set(title=f"face {number}", xlabel="seconds" if ax is panels[-1] else "")
        panels[0].set_xlim(min(ends), max(*ends, min(ends) + 0.1))
        save_figure(figure, path)


def write_chart(table: pd.DataFrame, class_names: Sequence[str], path: str | os.PathLike) -> None:
    """Draw how many faces show each expression, and how large the largest probabilities are.

    Args:
        table: The table of `predict_paths`.
        class_names: The classes of the model, in its order.
        path: The figure; the suffix names the format (.png, .svg, .pdf).

    Raises:
        BadInputError: The table has no face, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    from ferlib.common.plots import plot_counts, save_figure

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
