"""The labeller as a notebook cell: `jupyter_bbox_widget` draws, the queue, the keys' meaning and saving are ours."""

import html
from collections.abc import Sequence

import ipywidgets
from jupyter_bbox_widget import BBoxWidget

from ferlib.annotate.formats.fields import emotion_of
from ferlib.annotate.session import DONE, EXCLUDED, OPEN, LabelQueue, Mark
from ferlib.common.errors import FerlibError
from ferlib.common.images import encode_jpeg, resize

__all__ = ["Annotator", "LabelQueue"]

NO_LABEL = "?"
"""The drawing widget's first class. When it is drawn it sets its label to the first class by itself, as if a
key had been pressed; so the first one must not be an emotion."""

_LONGEST = 1200  # a larger picture is shown smaller
_LEAST = 4  # pixels on the screen; a smaller box is a click that drew nothing
_COLORS = ["#de8f05", "#d55e00", "#029e73", "#cc78bc", "#ece133", "#56b4e9", "#ca9161", "#0173b2", "#949494"]

HELP = (
    "Draw a box with the mouse. Keys, after a click on the picture: <b>2 … 9, 0</b> the expressions below, "
    "<b>Tab</b> the next box, <b>Delete</b> removes it, <b>Enter</b> all is right (guesses are accepted), "
    "<b>Space</b> skip."
)


class Annotator(ipywidgets.VBox):
    """The queue as a cell: the picture with its boxes, keys for classes, back and forth, and how far it came.

    A box in the colour of "?" has no label yet; `happy?` is a guess, which Enter confirms. Whatever is drawn,
    moved, named or removed is saved before the next key.
    """

    def __init__(self, queue: LabelQueue):
        self.queue = queue
        self._scale, self._quiet = 1.0, False
        classes = [NO_LABEL, *queue.names]
        self.canvas = BBoxWidget(
            classes=classes, colors=[_COLORS[k % len(_COLORS)] for k in range(len(classes))]
        )
        self.canvas.observe(self._drawn, "bboxes")
        self.canvas.observe(self._named, "label")
        self.canvas.on_submit(lambda: self._do(queue.confirm))
        self.canvas.on_skip(lambda: self._do(queue.skip))
        self.state, self.counts = ipywidgets.HTML(), ipywidgets.HTML()
        self.previous = self._button("previous", queue.previous, "arrow-left")
        self.next = self._button("next", queue.next, "arrow-right")
        self.to_open = self._button("first unlabelled", queue.to_open, "fast-forward")
        self.exclude = self._button("exclude", self._exclude, "ban")
        moves = ipywidgets.HBox([self.previous, self.next, self.to_open, self.exclude])
        super().__init__([self.state, self.canvas, moves, self.counts, ipywidgets.HTML(HELP)])
        self.add_class("ferlib-annotator")
        self._show()

    def __repr__(self) -> str:
        states, boxes = self.queue.progress()
        return f"Annotator: {len(self.queue.pictures)} pictures, {states[DONE]} done, {boxes.sum()} boxes labelled"

    def _button(self, name: str, action, icon: str) -> ipywidgets.Button:
        button = ipywidgets.Button(description=name, icon=icon, layout={"width": "auto"})
        button.on_click(lambda _: self._do(action))
        return button

    def _exclude(self) -> None:
        self.queue.exclude(self.queue.state(self.queue.image) != EXCLUDED if self.queue.image else True)

    def _do(self, action) -> None:
        """A step of the queue, then the picture it has come to; what went wrong is said above it."""
        try:
            action()
        except (OSError, FerlibError) as error:
            self._tell(error)
        else:
            self._show()

    def _tell(self, error: Exception) -> None:
        self.state.value = f"<b>Not done:</b> {html.escape(str(error))}"

    # ---- from the queue to the screen ----

    def _show(self) -> None:
        queue, photo = self.queue, self.queue.photo()
        self._scale = min(1.0, _LONGEST / max(photo.shape[:2]))
        size = tuple(max(1, round(side * self._scale)) for side in photo.shape[1::-1])
        self._quiet = True
        try:
            with self.canvas.hold_sync():
                self.canvas.image_bytes = encode_jpeg(
                    resize(photo, size) if self._scale < 1 else photo, quality=90
                )
                self.canvas.bboxes = [self._entry(mark) for mark in queue.marks]
                self.canvas.selected_index = self._first_open()
                self.canvas.label = NO_LABEL
        finally:
            self._quiet = False
        self._count()

    def _count(self) -> None:
        queue = self.queue
        states, boxes = queue.progress()
        if queue.image is None:
            self.state.value = "There is no picture to label."
        else:
            here = {OPEN: "", DONE: " (done)", EXCLUDED: " (excluded)"}[queue.state(queue.image)]
            place = (
                f"Picture {queue.position + 1} of {len(queue.pictures)}: {html.escape(queue.image)}{here}."
            )
            self.state.value = place + (" All done, thank you." if not states[OPEN] else "")
        self.exclude.description = "take back in" if "(excluded)" in self.state.value else "exclude"
        said = [f"{states[DONE]} of {len(queue.pictures)} pictures done, {states[EXCLUDED]} excluded"]
        said += [f"{html.escape(name)} {count}" for name, count in boxes.items()]
        self.counts.value = " · ".join(said)

    def _entry(self, mark: Mark) -> dict:
        """A box as the drawing widget holds it; keys of our own (tags, guess) travel along."""
        x, y, w, h = (value * self._scale for value in mark.box)
        label = mark.emotion or f"{mark.guess}{NO_LABEL}"
        return {
            "x": x,
            "y": y,
            "width": w,
            "height": h,
            "label": label,
            "tags": mark.tags,
            "guess": mark.guess,
        }

    def _first_open(self) -> int:
        waiting = [k for k, box in enumerate(self.canvas.bboxes) if box["label"].endswith(NO_LABEL)]
        return waiting[0] if waiting else -1

    # ---- from the screen to the queue ----

    def _drawn(self, change) -> None:
        """Boxes were drawn, moved, named or removed: the queue saves them."""
        if self._quiet or self.queue.image is None:
            return
        try:
            self.queue.set_marks(self._marks(change["new"]))
        except (OSError, FerlibError) as error:
            self._tell(error)
        else:
            self._count()

    def _marks(self, entries: Sequence[dict]) -> list[Mark]:
        marks = []
        for entry in entries:
            edges = [entry["x"], entry["y"], entry["x"] + entry["width"], entry["y"] + entry["height"]]
            if min(entry["width"], entry["height"]) < _LEAST:
                continue  # a box that is still being drawn begins without a size
            left, top, right, bottom = (round(value / self._scale) for value in edges)
            label = "" if entry["label"].endswith(NO_LABEL) else entry["label"]
            tags = entry.get("tags") or ""
            tags = tags if label and label == emotion_of(tags.split("|")[0]) else label
            marks.append(Mark((left, top, right - left, bottom - top), label, tags, entry.get("guess") or ""))
        return marks

    def _named(self, change) -> None:
        """A key for a class was pressed, or the class was clicked: it names the box that is selected."""
        name, chosen = change["new"], self.canvas.selected_index
        if self._quiet or name not in self.queue.names:
            return
        boxes = [dict(box) for box in self.canvas.bboxes]
        if 0 <= chosen < len(boxes):
            boxes[chosen] |= {"label": name, "tags": name}
            self.canvas.bboxes = boxes  # `_drawn` saves
            waiting = self._first_open()
            self.canvas.selected_index = chosen if waiting < 0 else waiting
        self.canvas.label = NO_LABEL  # so that the same key works again, and a new box starts without a label
