"""A small labeller: one proposed box after the other, a button a class, every answer saved at once.

`LabelQueue` is the work without any window (tests and scripts use it), `Annotator` the cell around it.
"""

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import ipywidgets
import numpy as np
import pandas as pd

from ferlib.annotations import NO_FACE, asset_ids, make_table, read_vott, write_vott
from ferlib.boxes import Box, clamp_box, iou
from ferlib.errors import BadInputError, ImageError
from ferlib.faces import detect_faces, load_cascade
from ferlib.images import encode_jpeg, load_image
from ferlib.labels import SEVEN

SAME_FACE = 0.4
"""A proposed box that overlaps a saved one by this IoU is the same face."""

_NOW, _DONE, _OPEN = (222, 143, 5), (1, 115, 178), (255, 255, 255)  # RGB; colour-blind safe


@dataclass
class Item:
    """One box of one picture; `emotion` is "" until it is answered, `kept` if the label file had it."""

    image: str
    box: Box
    emotion: str = ""
    tags: str = ""
    kept: bool = False


class LabelQueue:
    """The boxes of some pictures in a row; `position` is the one that waits for its label.

    Saved labels are read from `annotations_folder` (VoTT JSON, one file a picture); further boxes are
    proposed by the face detector. A picture's boxes go from left to right. `names` are the answers to choose
    from, the class names and "not a face". Pictures and label files that cannot be read are named in
    `problems` and passed over.
    """

    def __init__(
        self,
        images_folder: str | os.PathLike,
        annotations_folder: str | os.PathLike,
        pictures: Sequence[str],
        class_names: Sequence[str] = SEVEN,
        cascade: cv2.CascadeClassifier | None = None,
    ):
        self.images_folder, self.annotations_folder = Path(images_folder), Path(annotations_folder)
        self.names = (*class_names, NO_FACE)
        self.problems: list[str] = []
        self.items: list[Item] = []
        self._sizes: dict[str, tuple[int, int]] = {}
        self._ids = asset_ids(self.annotations_folder)
        saved = self._saved()
        cascade = load_cascade() if cascade is None else cascade
        for name in pictures:
            try:
                image = load_image(self.images_folder / name)
            except ImageError:
                self.problems.append(f"{name}: cannot be read as a picture; passed over")
                continue
            self._sizes[name] = (image.shape[1], image.shape[0])
            items = [
                Item(name, (row.x, row.y, row.width, row.height), row.emotion, row.tags, kept=True)
                for row in saved[saved["image"] == name].itertuples()
            ]
            known = [item.box for item in items]
            proposals = [box for box in detect_faces(image, cascade) if _is_new(box, known)]
            self.items += sorted([*items, *(Item(name, box) for box in proposals)], key=lambda item: item.box)
        self.position = 0
        self.to_open()

    def _saved(self) -> pd.DataFrame:
        if not self._ids:
            return make_table()
        table, problems = read_vott(self.annotations_folder, keep_untagged=True)
        self.problems += problems
        return table

    @property
    def item(self) -> Item | None:
        """The box at `position`; None where there is no box at all."""
        return self.items[self.position] if self.items else None

    @property
    def answered(self) -> int:
        """How many boxes have their label."""
        return sum(bool(item.emotion) for item in self.items)

    def answer(self, name: str) -> None:
        """Give the waiting box its label, save its picture's file, go on to the next box.

        Raises BadInputError for a name that is not among `names`, and where there is nothing to label.
        """
        if name not in self.names:
            raise BadInputError(f"{name!r} is no answer here; there are {', '.join(self.names)}")
        if self.item is None:
            raise BadInputError("there is no box to label; the detector found none in these pictures")
        before = self.item.emotion, self.item.tags
        self.item.emotion = self.item.tags = name
        try:
            self._save(self.item.image)
        except OSError:
            self.item.emotion, self.item.tags = before  # what is shown is what is saved
            raise
        self.next()

    def add(self, image: str, box: Sequence[int]) -> None:
        """A box that the detector overlooked; it waits for its label. BadInputError if it lies outside."""
        if image not in self._sizes:
            raise BadInputError(f"{image!r} is none of the pictures in this queue")
        box = clamp_box(box, *self._sizes[image])
        if 0 in box[2:]:
            raise BadInputError(f"the box has no pixel inside {image} of {self._sizes[image]} pixels")
        places = [k for k, item in enumerate(self.items) if item.image == image]
        self.position = places[-1] + 1 if places else len(self.items)
        self.items.insert(self.position, Item(image, box))

    def next(self) -> None:
        self.position = min(self.position + 1, max(len(self.items) - 1, 0))

    def previous(self) -> None:
        self.position = max(self.position - 1, 0)

    def to_open(self) -> None:
        """Go to the first box without a label; stay where all have one."""
        waiting = [k for k, item in enumerate(self.items) if not item.emotion]
        self.position = waiting[0] if waiting else self.position

    def finished(self) -> list[str]:
        """The pictures all of whose boxes have a label."""
        open_ones = {item.image for item in self.items if not item.emotion}
        return [name for name in dict.fromkeys(i.image for i in self.items) if name not in open_ones]

    def table(self) -> pd.DataFrame:
        """The answers so far, as a table of boxes (see `ferlib.boxtable`)."""
        return self._rows([item for item in self.items if item.emotion])

    def _rows(self, items: Sequence[Item]) -> pd.DataFrame:
        return make_table(
            {
                "image": item.image,
                **dict(zip(("x", "y", "width", "height"), item.box, strict=True)),
                "emotion": item.emotion,
                "tags": item.tags,
                "image_width": self._sizes[item.image][0],
                "image_height": self._sizes[item.image][1],
            }
            for item in items
        )

    def _save(self, image: str) -> None:
        """Write one picture's file: its answered boxes, and those without a tag that came from the file."""
        items = [item for item in self.items if item.image == image and (item.emotion or item.kept)]
        write_vott(self._rows(items), self.annotations_folder, ids=self._ids)

    def picture(self) -> np.ndarray:
        """The waiting picture with its boxes, uint8 RGB: the waiting one orange, labelled ones blue."""
        if self.item is None:
            return np.full((120, 320, 3), 235, np.uint8)
        image = load_image(self.images_folder / self.item.image).copy()
        for item in self.items:
            if item.image != self.item.image:
                continue
            now = item is self.item
            color = _NOW if now else _DONE if item.emotion else _OPEN
            x, y, w, h = item.box
            cv2.rectangle(image, (x, y), (x + w - 1, y + h - 1), color, 4 if now else 2)
            if item.emotion:
                _write(image, item.emotion, x, y, color)
        return image


def _is_new(box: Box, known: Sequence[Box]) -> bool:
    return all(iou(box, other) < SAME_FACE for other in known)


def _write(image: np.ndarray, text: str, x: int, y: int, color: tuple) -> None:
    """White letters on a filled bar above a box, or inside its top edge where there is no room above."""
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    bottom = y if y >= high + 8 else y + high + 8
    cv2.rectangle(image, (x, bottom - high - 8), (x + wide + 6, bottom), color, -1)
    cv2.putText(image, text, (x + 3, bottom - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _OPEN, 1, cv2.LINE_AA)


class Annotator(ipywidgets.VBox):
    """The queue as a notebook cell: the picture, a button a class, back and forth, and how far it came."""

    def __init__(self, queue: LabelQueue):
        self.queue = queue
        self._image = ipywidgets.Image(format="jpeg", layout={"max_width": "640px"})
        self._state = ipywidgets.HTML()
        self.buttons = {
            name: self._button(name, lambda _, name=name: self._do(queue.answer, name))
            for name in queue.names
        }
        self.previous = self._button("previous", lambda _: self._do(queue.previous), icon="arrow-left")
        self.next = self._button("next", lambda _: self._do(queue.next), icon="arrow-right")
        self.to_open = self._button("first open one", lambda _: self._do(queue.to_open))
        answers = ipywidgets.HBox(list(self.buttons.values()), layout={"flex_flow": "row wrap"})
        moves = ipywidgets.HBox([self.previous, self.next, self.to_open])
        super().__init__([self._state, self._image, answers, moves])
        self._show()

    def __repr__(self) -> str:
        return f"Annotator: {len(self.queue.items)} boxes, {self.queue.answered} labelled"

    def _button(self, name: str, clicked, icon: str = "") -> ipywidgets.Button:
        button = ipywidgets.Button(description=name, icon=icon, layout={"width": "auto"})
        button.on_click(clicked)
        return button

    def _do(self, action, *arguments) -> None:
        try:
            action(*arguments)
        except (OSError, BadInputError) as error:
            self._state.value = f"<b>Not done:</b> {html.escape(str(error))}"
        else:
            self._show()

    def _show(self) -> None:
        queue = self.queue
        self._image.value = encode_jpeg(queue.picture())
        for name, button in self.buttons.items():
            button.disabled = queue.item is None
            button.button_style = "info" if queue.item and queue.item.emotion == name else ""
        if queue.item is None:
            self._state.value = "No face was found in these pictures: there is nothing to label."
            return
        place = f"Face {queue.position + 1} of {len(queue.items)}, {queue.answered} labelled."
        self._state.value = place + (" All done, thank you." if queue.answered == len(queue.items) else "")
