"""A queue of pictures to label: boxes and expressions proposed for a person to confirm, each change saved at once.

This is the work without any window; `ferlib.annotate.widget` is the notebook cell around it.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ferlib.annotate.formats.vott import asset_ids, asset_notes, read_vott, write_vott
from ferlib.annotate.table import NO_FACE, make_table, picture_name
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import AnnotationError, BadInputError, ImageError, LabelError
from ferlib.common.images import SUFFIXES, crop_face, face_input, load_image
from ferlib.common.labels import SEVEN, label_of
from ferlib.detect.detector import Detector, detect_faces, load_detector

OPEN, DONE, EXCLUDED, UNREADABLE = "open", "done", "excluded", "unreadable"
"""The states of a picture. It is done when each of its boxes has a label, or when a person said that there is no
face; it is excluded when a person said that it is not to be used."""

_NOW, _LABELLED, _WAITING = (222, 143, 5), (1, 115, 178), (255, 255, 255)  # RGB; colour-blind safe


@dataclass(frozen=True)
class Mark:
    """One box of a picture. `emotion` is "" until a person has named it; `guess` is what a network says."""

    box: Box
    emotion: str = ""
    tags: str = ""
    guess: str = ""


class LabelQueue:
    """The pictures of a folder in a row, with `position` at the one that is looked at.

    `pictures`: their names; None for all in the folder, sorted. Labels are read from and written to
    `annotations_folder`, as VoTT JSON, one file a picture, with paths relative to the pictures' folder. A
    picture that has no label file yet gets the boxes that the detector finds (default:
    `faces.load_detector()`, loaded when it is needed), and with a `bundle` an emotion that it guesses for
    each. `names` are the labels to choose from: the class names and "not a face". What cannot be read is named
    in `problems` and passed over.
    """

    def __init__(
        self,
        images_folder: str | os.PathLike,
        annotations_folder: str | os.PathLike,
        pictures: Sequence[str] | None = None,
        class_names: Sequence[str] = SEVEN,
        detector: Detector | None = None,
        bundle: object | None = None,
    ):
        self.images_folder, self.annotations_folder = Path(images_folder), Path(annotations_folder)
        self.class_names, self.names = tuple(class_names), (*class_names, NO_FACE)
        self.pictures = (
            _pictures(self.images_folder) if pictures is None else list(map(picture_name, pictures))
        )
        self.problems: list[str] = []
        self.position = 0
        self._detector, self._bundle = detector, bundle
        self._ids = asset_ids(self.annotations_folder)
        self._notes = asset_notes(self.annotations_folder)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._marks = self._read()  # of the pictures that have a label file
        self._proposed: dict[str, list[Mark]] = {}
        self._unreadable: set[str] = set()
        self.to_open()

    def _read(self) -> dict[str, list[Mark]]:
        marks = {name: [] for name, notes in self._notes.items() if notes}  # ours, be it empty
        try:
            table, problems = read_vott(self.annotations_folder, keep_untagged=True, keep_excluded=True)
        except AnnotationError:
            return marks  # no label file yet
        self.problems += problems
        for row in table.itertuples():
            mark = Mark((row.x, row.y, row.width, row.height), row.emotion, row.tags)
            marks.setdefault(row.image, []).append(mark)
            self._sizes[row.image] = (row.image_width, row.image_height)
        return marks

    # ---- where we are ----

    @property
    def image(self) -> str | None:
        """The name of the picture at `position`; None where there is none to look at."""
        fine = self.pictures and self._open(self.pictures[self.position])
        return self.pictures[self.position] if fine else None

    @property
    def marks(self) -> list[Mark]:
        """The boxes of the picture at `position`: from its label file, else as proposed."""
        name = self.image
        return [] if name is None else self._marks.get(name, self._proposed[name])

    def state(self, name: str) -> str:
        """OPEN, DONE, EXCLUDED or UNREADABLE; see there."""
        notes = self._notes.get(name, {})
        if name in self._unreadable:
            return UNREADABLE
        if notes.get("excluded"):
            return EXCLUDED
        marks = self._marks.get(name)
        finished = (
            marks is not None and all(mark.emotion for mark in marks) and (marks or notes.get("reviewed"))
        )
        return DONE if finished else OPEN

    def finished(self) -> list[str]:
        """The pictures that are done."""
        return [name for name in self.pictures if self.state(name) == DONE]

    def progress(self) -> tuple[pd.Series, pd.Series]:
        """(pictures by state, labelled boxes by class), each a Series of counts."""
        states = Counter(self.state(name) for name in self.pictures)
        boxes = Counter(mark.emotion for _, mark in self._labelled())
        names = [*self.names, *sorted(set(boxes) - set(self.names))]
        return (
            pd.Series(
                {state: states[state] for state in (OPEN, DONE, EXCLUDED, UNREADABLE)}, name="pictures"
            ),
            pd.Series({name: boxes[name] for name in names}, name="boxes"),
        )

    def table(self) -> pd.DataFrame:
        """The labelled boxes so far, without excluded pictures, as a table (see `ferlib.annotate.table`)."""
        return make_table(self._row(name, mark) for name, mark in self._labelled())

    def _labelled(self) -> Iterator[tuple[str, Mark]]:
        for name in self.pictures:
            if self.state(name) in (OPEN, DONE):
                yield from ((name, mark) for mark in self._marks.get(name, ()) if mark.emotion)

    # ---- moving ----

    def next(self) -> None:
        self._go(range(self.position + 1, len(self.pictures)))

    skip = next
    """Leave the picture as it is; it stays open, and `to_open` comes back to it."""

    def previous(self) -> None:
        self._go(range(self.position - 1, -1, -1))

    def to_open(self) -> None:
        """Go to the first picture that is not done; stay where there is none."""
        self._go(k for k, name in enumerate(self.pictures) if self.state(name) == OPEN)

    def _go(self, positions: Iterable[int]) -> None:
        for position in positions:
            if self._open(self.pictures[position]):
                self.position = position
                return

    def _open(self, name: str) -> bool:
        """Look at a picture for the first time: its size, and proposals where it has no label file."""
        if name in self._unreadable or name in self._proposed:
            return name not in self._unreadable
        try:
            image = load_image(self.images_folder / name)
        except ImageError:
            self.problems.append(f"{name}: cannot be read as a picture; passed over")
            self._unreadable.add(name)
            return False
        self._sizes[name] = (image.shape[1], image.shape[0])
        known = self._marks.get(name)
        if known is None and self._detector is None:
            self._detector = load_detector()
        marks = [Mark(box) for box in sorted(detect_faces(image, self._detector))] if known is None else known
        marks = self._guess(image, marks)
        self._proposed[name] = marks
        if known is not None:
            self._marks[name] = marks
        return True

    def _guess(self, image: np.ndarray, marks: list[Mark]) -> list[Mark]:
        waiting = [mark for mark in marks if not mark.emotion]
        if self._bundle is None or not waiting:
            return marks
        size = self._bundle.input_shape[0]
        inputs = np.stack([face_input(crop_face(image, mark.box), size) for mark in waiting])
        best = np.asarray(self._bundle.predict(inputs)).argmax(axis=1)
        guesses = iter([self._named(self._bundle.class_names[k]) for k in best])
        return [mark if mark.emotion else replace(mark, guess=next(guesses)) for mark in marks]

    def _named(self, emotion: str) -> str:
        try:
            label = label_of(emotion, self.class_names)
        except LabelError:
            return ""
        return "" if label is None else self.class_names[label]

    # ---- labelling: each of these is on disk when it returns ----

    def label(self, number: int, name: str) -> None:
        """Give box `number` (0, 1, …) of the picture its label; BadInputError for a name not in `names`."""
        if name not in self.names:
            raise BadInputError(f"{name!r} is no answer here; there are {', '.join(self.names)}")
        marks = self.marks
        if not 0 <= number < len(marks):
            raise BadInputError(
                f"there is no box {number + 1} to label; {self.image or 'no picture'} has {len(marks)}"
            )
        marks = [replace(m, emotion=name, tags=name) if k == number else m for k, m in enumerate(marks)]
        self.set_marks(marks)

    def add(self, box: Sequence[int], name: str = "") -> None:
        """A face that the detector overlooked. BadInputError if nothing of the box lies in the picture."""
        if name and name not in self.names:
            raise BadInputError(f"{name!r} is no answer here; there are {', '.join(self.names)}")
        self.set_marks([*self.marks, Mark(tuple(box), name, name)])

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Put these boxes in the place of the picture's; they are clamped to it."""
        name = self._here()
        width, height = self._sizes[name]
        clamped = [replace(mark, box=clamp_box(mark.box, width, height)) for mark in marks]
        for mark, new in zip(marks, clamped, strict=True):
            if 0 in new.box[2:]:
                raise BadInputError(f"the box {mark.box} has no pixel inside {name} of {width}×{height}")
        if clamped != self.marks:
            self._save(name, clamped, self._notes.get(name, {}))

    def confirm(self) -> None:
        """Accept the guesses of the picture, call it done, and go on. BadInputError where a box has neither label
        nor guess; a picture without boxes is one without a face.
        """
        name = self._here()
        marks = [m if m.emotion else replace(m, emotion=m.guess, tags=m.guess) for m in self.marks]
        bare = [str(k) for k, mark in enumerate(marks, start=1) if not mark.emotion]
        if bare:
            raise BadInputError(f"box {', '.join(bare)} of {name} has no label; give it one, or remove it")
        self._save(name, marks, {"reviewed": True})
        self.next()

    def exclude(self, excluded: bool = True) -> None:
        """Take the picture out of the set (False: back in); its boxes stay in its file. Goes on when excluded."""
        name = self._here()
        self._save(name, self.marks, self._notes.get(name, {}) | {"excluded": excluded})
        if excluded:
            self.next()

    def _here(self) -> str:
        if self.image is None:
            raise BadInputError("there is no picture to label in this queue")
        return self.image

    def _save(self, name: str, marks: list[Mark], notes: dict) -> None:
        """Write one picture's file; what is in memory changes only when it is written."""
        notes = {"reviewed": False} | notes  # a key of ours: nothing is proposed again in this picture
        identity = self._ids.get(name)
        file = self.annotations_folder / f"{identity}-asset.json"
        if identity and any(line.startswith(f"{file.name}:") for line in self.problems):
            kept = file.with_name(f"{file.name}.original")  # it holds more than we could read
            if not kept.exists():
                shutil.copy2(file, kept)
        table = make_table(self._row(name, mark) for mark in marks)
        sizes = {name: self._sizes[name]}
        (written,) = write_vott(table, self.annotations_folder, sizes, self._ids, {name: notes})
        self._ids[name] = written.name.removesuffix("-asset.json")
        self._marks[name], self._notes[name] = marks, notes

    def _row(self, name: str, mark: Mark) -> dict:
        width, height = self._sizes.get(name, (0, 0))
        box = dict(zip(("x", "y", "width", "height"), mark.box, strict=True))
        size = {"image_width": width, "image_height": height}
        return {"image": name, **box, "emotion": mark.emotion, "tags": mark.tags, **size}

    # ---- looking ----

    def photo(self) -> np.ndarray:
        """The picture at `position`, uint8 RGB, turned as its EXIF says; a gray field where there is none."""
        if self.image is None:
            return np.full((120, 320, 3), 235, np.uint8)
        return load_image(self.images_folder / self.image)

    def picture(self) -> np.ndarray:
        """The same with its boxes: labelled ones blue, the first without a label orange, others white."""
        image, now = self.photo().copy(), None
        for mark in self.marks:
            if not mark.emotion and now is None:
                now = mark
            color = _LABELLED if mark.emotion else _NOW if mark is now else _WAITING
            x, y, w, h = mark.box
            cv2.rectangle(image, (x, y), (x + w - 1, y + h - 1), color, 4 if mark is now else 2)
            if mark.emotion or mark.guess:
                _write(image, mark.emotion or f"{mark.guess}?", x, y, color)
        return image


def _write(image: np.ndarray, text: str, x: int, y: int, color: tuple) -> None:
    """Letters on a filled bar above a box, or inside its top edge where there is no room above."""
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    bottom = y if y >= high + 8 else y + high + 8
    ink = (0, 0, 0) if color == _WAITING else (255, 255, 255)
    cv2.rectangle(image, (x, bottom - high - 8), (x + wide + 6, bottom), color, -1)
    cv2.putText(image, text, (x + 3, bottom - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)


def _pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise BadInputError(f"{folder.name}: there is no such folder of pictures")
    names = [file.relative_to(folder) for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES]
    return sorted(n.as_posix() for n in names if not any(part.startswith(".") for part in n.parts))
