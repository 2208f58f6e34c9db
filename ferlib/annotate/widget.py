"""The labelling tool as a notebook cell: `jupyter_bbox_widget` draws; the queue, the keys and saving are ours."""

import html
from collections.abc import Callable

import ipywidgets
from jupyter_bbox_widget import BBoxWidget

from ferlib.annotate.formats.fields import emotion_of, numbers, shorten
from ferlib.annotate.session import DONE, EXCLUDED, OPEN, LabelConflict, LabelQueue, Region
from ferlib.annotate.table import BOX
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.common.images import encode_jpeg, resize

NO_LABEL = "?"
"""The drawing widget's first class. When it is drawn it sets its label to the first class by itself, as if a
key had been pressed; so the first one must not be an emotion."""

_MAX_SIDE = 1200  # a larger picture is shown smaller
_MIN_SIDE = 4  # pixels on the screen; a smaller box is a click that drew nothing
_COLORS = ["#de8f05", "#d55e00", "#029e73", "#cc78bc", "#ece133", "#56b4e9", "#ca9161", "#0173b2", "#949494"]

HELP = (
    "Draw a box with the mouse. Keys, after a click on the picture: <b>2 … 9, 0</b> the expressions below, "
    "<b>Tab</b> the next box, <b>Delete</b> removes it, <b>Enter</b> all is right (guesses are accepted), "
    "<b>Space</b> skip."
)
"""The line of help below the picture."""


class Annotator(ipywidgets.VBox):
    """The current picture of a queue with its boxes, keys for the classes, buttons to move, and the progress.

    A box in the colour of "?" has no label yet; `happy?` is a guess, which Enter confirms. Whatever is drawn,
    moved, named or removed is saved before the next key.

    Args:
        queue: The pictures to label.
    """

    def __init__(self, queue: LabelQueue):
        self.queue = queue
        self._scale, self._updating = 1.0, False
        classes = [NO_LABEL, *queue.choices]
        colors = [_COLORS[k % len(_COLORS)] for k in range(len(classes))]
        self.canvas = BBoxWidget(classes=classes, colors=colors)
        self.canvas.observe(self._save_boxes, "bboxes")
        self.canvas.observe(self._name_selected, "label")
        self.canvas.on_submit(lambda: self._run(queue.confirm))
        self.canvas.on_skip(lambda: self._run(queue.next))
        self.state, self.counts = ipywidgets.HTML(), ipywidgets.HTML()
        self.previous = self._button("previous", queue.previous, "arrow-left")
        self.next = self._button("next", queue.next, "arrow-right")
        self.to_first_open = self._button("first unlabelled", queue.to_first_open, "fast-forward")
        self.exclude = self._button("exclude", self._toggle_excluded, "ban")
        buttons = ipywidgets.HBox([self.previous, self.next, self.to_first_open, self.exclude])
        super().__init__([self.state, self.canvas, buttons, self.counts, ipywidgets.HTML(HELP)])
        self.add_class("ferlib-annotator")
        self._show()

    def __repr__(self) -> str:
        states, boxes = self.queue.progress()
        return f"Annotator: {len(self.queue.pictures)} pictures, {states[DONE]} done, {boxes.sum()} boxes labelled"

    def _button(self, name: str, action: Callable[[], None], icon: str) -> ipywidgets.Button:
        button = ipywidgets.Button(description=name, icon=icon, layout={"width": "auto"})
        button.on_click(lambda _: self._run(action))
        return button

    def _toggle_excluded(self) -> None:
        name = self.queue.image_name
        self.queue.exclude(name is None or self.queue.state(name) != EXCLUDED)

    def _run(self, action: Callable[[], None], then: Callable[[], None] | None = None) -> None:
        """Run a step of the queue, then show the picture it has come to, or what went wrong."""
        try:
            action()
        except LabelConflict as error:
            self._show()  # the labels of the other session, so that the next change does not replace them
            self.state.value = f"<b>Not saved:</b> {html.escape(str(error))}"
        except (OSError, FerlibError) as error:
            self.state.value = f"<b>Not done:</b> {html.escape(str(error))}"
        else:
            (then or self._show)()

    def _show(self) -> None:
        """Show the queue's current picture with its boxes."""
        image = self.queue.load_image()
        self._scale = min(1.0, _MAX_SIDE / max(image.shape[:2]))
        if self._scale < 1:
            height, width = (max(1, round(side * self._scale)) for side in image.shape[:2])
            image = resize(image, (width, height))
        self._updating = True
        try:
            with self.canvas.hold_sync():
                self.canvas.image_bytes = encode_jpeg(image, quality=90)
                self.canvas.bboxes = [self._to_canvas(region) for region in self.queue.regions]
                self.canvas.selected_index = self._first_unlabelled()
                self.canvas.label = NO_LABEL
        finally:
            self._updating = False
        self._show_progress()

    def _show_progress(self) -> None:
        queue, name = self.queue, self.queue.image_name
        states, boxes = queue.progress()
        state = OPEN if name is None else queue.state(name)
        place = f"Picture {queue.position + 1} of {len(queue.pictures)}: {html.escape(name or '')}"
        place += "." if state == OPEN else f" ({state})."
        place += "" if states[OPEN] else " All done, thank you."
        self.state.value = "There is no picture to label." if name is None else place
        self.exclude.description = "take back in" if state == EXCLUDED else "exclude"
        counts = [f"{states[DONE]} of {len(queue.pictures)} pictures done, {states[EXCLUDED]} excluded"]
        counts += [f"{html.escape(name)} {count}" for name, count in boxes.items()]
        self.counts.value = " · ".join(counts)

    def _to_canvas(self, region: Region) -> dict:
        """Return a box as the drawing widget holds it, with keys of our own (tags, guess) added."""
        place = dict(zip(("x", "y", "width", "height"), (v * self._scale for v in region.box), strict=True))
        label = region.emotion or f"{region.guess}{NO_LABEL}"
        return {**place, "label": label, "tags": region.tags, "guess": region.guess}

    def _from_canvas(self, box: dict) -> Region:
        """Return a box of the drawing widget in the pixels of the picture."""
        edges = [box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]
        left, top, right, bottom = (round(value / self._scale) for value in edges)
        label = "" if box["label"].endswith(NO_LABEL) else box["label"]
        tags = box.get("tags") or ""
        tags = tags if label and label == emotion_of(tags.split("|")) else label
        return Region((left, top, right - left, bottom - top), label, tags, box.get("guess") or "")

    def _first_unlabelled(self) -> int:
        return next((k for k, box in enumerate(self.canvas.bboxes) if box["label"].endswith(NO_LABEL)), -1)

    def _save_boxes(self, change: dict) -> None:
        """Save the boxes after one was drawn, moved, named or removed."""
        if self._updating or self.queue.image_name is None:
            return
        self._run(
            lambda: self.queue.set_regions(list(map(self._from_canvas, _drawn(change["new"])))),
            self._show_progress,
        )

    def _name_selected(self, change: dict) -> None:
        """Name the selected box after a key was pressed for a class, or the class was clicked."""
        name, chosen = change["new"], self.canvas.selected_index
        if self._updating or name not in self.queue.choices:
            return
        boxes = [dict(box) for box in self.canvas.bboxes]
        if 0 <= chosen < len(boxes):
            boxes[chosen] |= {"label": name, "tags": name}
            self.canvas.bboxes = boxes  # `_save_boxes` is called
            unlabelled = self._first_unlabelled()
            self.canvas.selected_index = chosen if unlabelled < 0 else unlabelled
        self.canvas.label = NO_LABEL  # so that the same key works again, and a new box starts without a label


def _drawn(boxes: list) -> list[dict]:
    """Check the boxes that the page sent; one that is still being drawn begins without a size, and is left out.

    Raises BadInputError for a box that is not four numbers and a label.
    """
    for box in boxes:
        if not isinstance(box, dict) or not isinstance(box.get("label"), str):
            raise BadInputError(f"the page sent {shorten(box)} instead of a box; reload it")
        numbers(box, BOX)
    return [box for box in boxes if min(box["width"], box["height"]) >= _MIN_SIDE]
