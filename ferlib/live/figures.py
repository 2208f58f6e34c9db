"""Figures of what was recognised: a chart of pictures, a timeline of a video."""

import os
from array import array
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ferlib.common.colours import colours_of
from ferlib.common.errors import BadInputError
from ferlib.model.recognise import Face

_PANELS = 4  # faces in one timeline: those that are seen longest
_BINS = 10  # of probabilities, in a chart
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


class Chart:
    """How many faces show each expression, and how large the largest probabilities are; only counts are kept.

    Args:
        class_names: The classes of the model, in its order.
    """

    def __init__(self, class_names: Sequence[str]):
        self._counts = {name: np.zeros(_BINS, int) for name in class_names}
        self._pictures = 0

    def add(self, faces: Sequence[Face]) -> None:
        """Add a picture.

        Args:
            faces: Its faces.
        """
        self._pictures += bool(faces)
        for face in faces:
            self._counts[face.emotion][min(int(face.probability * _BINS), _BINS - 1)] += 1

    def write(self, path: str | os.PathLike) -> None:
        """Draw the chart.

        Args:
            path: The figure; the suffix names the format (.png, .svg, .pdf).

        Raises:
            BadInputError: There is no face, or the file cannot be written.
        """
        from matplotlib.figure import Figure

        from ferlib.common.plots import plot_counts, save_figure

        names, counts = list(self._counts), [int(each.sum()) for each in self._counts.values()]
        if not sum(counts):
            raise BadInputError(f"{path}: no face was found, so there is nothing to draw a chart of")
        figure = Figure(figsize=(9, 0.9 + 0.36 * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2)
        plot_counts(names, counts, left)
        colours = [tuple(value / 255 for value in colour) for colour in colours_of(names).values()]
        for bar, colour in zip(left.patches, colours, strict=True):
            bar.set(facecolor=colour, edgecolor="#444444", linewidth=0.6)
        left.set(title=f"{sum(counts)} faces in {self._pictures} pictures", xlabel="faces")
        middles = (np.arange(_BINS) + 0.5) / _BINS
        style = {"color": colours, "edgecolor": "#444444", "linewidth": 0.4}
        weights = list(self._counts.values())
        right.hist([middles] * len(names), _BINS, range=(0, 1), weights=weights, stacked=True, **style)
        right.set(title="how sure the model is", xlabel="largest probability", ylabel="faces", xlim=(0, 1))
        right.yaxis.get_major_locator().set_params(integer=True)
        right.spines[["top", "right"]].set_visible(False)
        save_figure(figure, path)
