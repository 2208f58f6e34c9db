"""A queue of pictures to label: boxes and expressions are proposed, a person confirms, every change is saved.

This is the part without a user interface; `ferlib.annotate.widget` is the notebook cell on top of it.
"""

import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from ferlib.annotate.formats.vott import asset_id, read_project, write_vott
from ferlib.annotate.pictures import clean_image_name
from ferlib.annotate.table import NO_FACE, Records, join_pictures, make_row, make_table
from ferlib.common.boxes import Box, clamp_box
from ferlib.common.errors import AnnotationError, BadInputError, ImageError, check_choice, logger
from ferlib.common.images import SUFFIXES, crop_face, face_input, load_image
from ferlib.common.labels import SEVEN, label_of, parse_classes
from ferlib.detect.detector import Detector, detect_faces, load_detector
from ferlib.model.predictor import Predictor

OPEN, DONE, EXCLUDED, UNREADABLE = "open", "done", "excluded", "unreadable"
"""The states of a picture. It is done when each of its boxes has a label, or when a person has said that there
is no face; it is excluded when a person has said that it is not to be used."""


@dataclass(frozen=True)
class Region:
    """One box of a picture.

    Attributes:
        box: (x, y, width, height) in pixels.
        emotion: Its label; "" until a person has named it.
        tags: All its tags, joined by `|`.
        guess: The label that a network proposes; "" if there is none.
    """

    box: Box
    emotion: str = ""
    tags: str = ""
    guess: str = ""


@dataclass
class _Picture:
    """What is known of one picture; its regions are on disk if `saved`, and another tool's if `proposed`."""

    regions: list[Region] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    notes: dict[str, bool] = field(default_factory=dict)
    saved: bool = False
    proposed: bool = False
    opened: bool = False
    readable: bool = True

    def state(self) -> str:
        if not self.readable:
            return UNREADABLE
        if self.notes.get("excluded"):
            return EXCLUDED
        complete = self.saved and all(region.emotion for region in self.regions)
        return DONE if complete and (self.regions or self.notes.get("reviewed")) else OPEN

    def rows(self, name: str) -> list[dict]:
        return [make_row(name, each.box, each.emotion, each.tags, self.size) for each in self.regions]


class LabelConflict(AnnotationError):
    """A label file was changed by another session; nothing was saved, and the picture has the labels of that file."""


class LabelQueue:
    """The pictures of a folder in a row; labels are read from VoTT JSON files and saved to them at once.

    A picture without a label file gets the boxes that the detector finds and, with a bundle, a guess for each.
    Pictures and records that cannot be read are left out, with a warning, and are listed in `problems`. A label
    file with a record that cannot be read is copied to `<file>.original` before it is replaced. Several sessions may
    label one folder: a change to a picture that another session has changed meanwhile is refused.

    Example:
        >>> queue = LabelQueue("raw", "annotations")
        >>> [region.box for region in queue.regions]
        [(55, 192, 130, 130), (329, 84, 118, 118)]
        >>> for number, emotion in enumerate(("happy", "sad")):
        ...     queue.label(number, emotion)
        >>> queue.confirm()

    Args:
        images_folder: The folder of the pictures.
        annotations_folder: The folder of the label files, one per picture, with relative paths.
        pictures: The names of the pictures; by default all in the folder, sorted.
        class_names: The class set, as `ferlib.common.labels.parse_classes` takes it; any names.
        detector: A face detector; by default `load_detector()` when it is first needed.
        bundle: A trained network that proposes labels.
        boxes: A table of boxes (see `ferlib.annotate.table`), such as another tool's that
            `ferlib.annotate.formats.read_boxes` has read: proposals for the pictures that have no label file.

    Attributes:
        pictures: The names of the pictures.
        position: The index of the current picture.
        choices: The labels to choose from: the class names and "not a face".
        problems: One line per picture or record that could not be read.

    Raises:
        BadInputError: The folder of pictures is missing.
        AnnotationError: The name of a picture leads outside the folder.
    """

    def __init__(
        self,
        images_folder: str | os.PathLike,
        annotations_folder: str | os.PathLike,
        pictures: Sequence[str] | None = None,
        class_names: str | Sequence[str] = SEVEN,
        detector: Detector | None = None,
        bundle: Predictor | None = None,
        boxes: pd.DataFrame | None = None,
    ):
        self.images_folder, self.annotations_folder = Path(images_folder), Path(annotations_folder)
        self.class_names = parse_classes(class_names)
        self.choices = (*self.class_names, NO_FACE)
        names = _list_pictures(self.images_folder) if pictures is None else map(clean_image_name, pictures)
        self.pictures = list(names)
        self.position = 0
        self.problems: list[str] = []
        self._detector, self._bundle = detector, bundle
        self._ids: dict[str, str] = {}
        self._entries: dict[str, _Picture] = defaultdict(_Picture)
        # of each label file as this session knows it; taken before reading, so that no change is missed
        self._digests = {file.name: _digest(file) for file in self.annotations_folder.glob("*-asset.json")}
        with suppress(AnnotationError):  # no label file yet
            self._read(self.annotations_folder)
        # once there are label files per picture, VoTT's export is not read any more
        self._in_export = self._entries.keys() - self._ids.keys()
        if boxes is not None:
            self._propose(boxes)
        self.to_first_open()

    def _read(self, path: Path) -> None:
        """Take over what a label file, or those of a folder, hold."""
        project = read_project(path, True, self.images_folder)
        self._report(project)
        self._ids |= project.ids
        for name, notes in project.asset_notes.items():  # a file of ours has notes, even without a region
            self._entries[name] = _Picture(notes=notes, saved=bool(notes))
        for row in make_table(project.rows).itertuples():
            entry = self._entries[row.image]
            entry.regions.append(Region((row.x, row.y, row.width, row.height), row.emotion, row.tags))
            entry.size, entry.saved = (row.image_width, row.image_height), True

    def _propose(self, boxes: pd.DataFrame) -> None:
        """Take over the boxes of another tool for the pictures that have no label file."""
        records = Records()
        for row in join_pictures(boxes, self.images_folder, records).itertuples():
            entry = self._entries[row.image]
            if not entry.saved:
                guess = self._as_choice(row.emotion)
                entry.regions.append(Region((row.x, row.y, row.width, row.height), guess=guess))
                entry.proposed = True
        self._report(records)

    def _report(self, records: Records) -> None:
        records.warn()
        self.problems += [*records.problems, *records.notes]

    @property
    def image_name(self) -> str | None:
        """The name of the current picture; None if there is none to look at."""
        name = self.pictures[self.position] if self.pictures else None
        return name if name is not None and self._open(name) else None

    @property
    def regions(self) -> list[Region]:
        """The boxes of the current picture: those of its label file, else those proposed."""
        return [] if self.image_name is None else self._entries[self.image_name].regions

    def state(self, name: str) -> str:
        """Get the state of a picture.

        Args:
            name: The name of the picture.

        Returns:
            `OPEN`, `DONE`, `EXCLUDED` or `UNREADABLE`.
        """
        return self._entries[name].state()

    def finished(self) -> list[str]:
        """List the pictures that are done.

        Returns:
            Their names, in the order of the queue.
        """
        return [name for name in self.pictures if self.state(name) == DONE]

    def progress(self) -> tuple[pd.Series, pd.Series]:
        """Count the pictures by state and the labelled boxes by class.

        Returns:
            Pictures per state, and labelled boxes per label: those of `choices`, then others, sorted.
        """
        states = pd.Series(map(self.state, self.pictures), dtype=str).value_counts()
        boxes = self.table()["emotion"].value_counts()
        states = states.reindex([OPEN, DONE, EXCLUDED, UNREADABLE], fill_value=0).rename("pictures")
        names = [*self.choices, *sorted(set(boxes.index) - set(self.choices))]
        return states, boxes.reindex(names, fill_value=0).rename("boxes")

    def table(self) -> pd.DataFrame:
        """Make a table of the labelled boxes, without excluded pictures.

        Returns:
            A table of boxes (see `ferlib.annotate.table`), in the order of the queue.
        """
        names = [name for name in self.pictures if self.state(name) in (OPEN, DONE)]
        rows = [row for name in names for row in self._entries[name].rows(name)]
        return make_table(row for row in rows if row["emotion"])

    def next(self) -> None:
        """Go to the next picture; the current one stays as it is."""
        self._go(range(self.position + 1, len(self.pictures)))

    def previous(self) -> None:
        """Go to the previous picture."""
        self._go(range(self.position - 1, -1, -1))

    def to_first_open(self) -> None:
        """Go to the first picture that is not done, if there is one."""
        self._go(k for k, name in enumerate(self.pictures) if self.state(name) == OPEN)

    def _go(self, positions: Iterable[int]) -> None:
        """Go to the first of these positions whose picture can be read."""
        self.position = next((k for k in positions if self._open(self.pictures[k])), self.position)

    def _open(self, name: str) -> bool:
        """Load a picture for the first time: its size and, if it has no label file, proposals."""
        if self._entries[name].opened:
            return self._entries[name].readable
        self._reload_if_changed(name)
        entry = self._entries[name]
        entry.opened = True
        try:
            image = load_image(self.images_folder / name)
        except ImageError:
            entry.readable = False
            self.problems.append(f"{name}: cannot be read as a picture; left out")
            logger.warning(self.problems[-1])
            return False
        entry.size = (image.shape[1], image.shape[0])
        if not entry.saved and not entry.proposed:
            self._detector = self._detector or load_detector()
            entry.regions = [Region(box) for box in sorted(detect_faces(image, self._detector))]
        self._guess(image, entry.regions)
        return True

    def _guess(self, image: np.ndarray, regions: list[Region]) -> None:
        """Let the network propose a label for each region that has none."""
        waiting = [k for k, region in enumerate(regions) if not region.emotion]
        if self._bundle is None or not waiting:
            return
        size = self._bundle.input_shape[0]
        faces = np.stack([face_input(crop_face(image, regions[k].box), size) for k in waiting])
        for k, best in zip(waiting, self._bundle.predict(faces).argmax(axis=1), strict=True):
            regions[k] = replace(regions[k], guess=self._as_choice(self._bundle.class_names[best]))

    def _as_choice(self, emotion: str) -> str:
        """Return the class of the set that an emotion belongs to, "" if there is none."""
        label = label_of(emotion, self.class_names)
        return "" if label is None else self.class_names[label]

    def label(self, number: int, emotion: str) -> None:
        """Give a box of the current picture its label, and save it.

        Args:
            number: The index of the box in `regions`.
            emotion: The label, one of `choices`.

        Raises:
            BadInputError: There is no such box, or no such label.
        """
        check_choice("label", emotion, self.choices)
        regions = list(self.regions)
        if not 0 <= number < len(regions):
            raise BadInputError(f"there is no box {number} to label; the picture has {len(regions)} boxes")
        regions[number] = replace(regions[number], emotion=emotion, tags=emotion)
        self.set_regions(regions)

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Replace the boxes of the current picture, and save them.

        Args:
            regions: The boxes; they are clamped to the picture.

        Raises:
            BadInputError: There is no picture, or a box has no pixel inside it.
        """
        name, entry = self._current()
        width, height = entry.size
        clamped = [replace(region, box=clamp_box(region.box, width, height)) for region in regions]
        for region, new in zip(regions, clamped, strict=True):
            if 0 in new.box[2:]:
                raise BadInputError(f"the box {region.box} has no pixel inside {name} of {width}×{height}")
        if clamped != entry.regions:
            self._save(name, clamped, entry.notes)

    def confirm(self) -> None:
        """Accept the guesses of the current picture, mark it as done, save it, and go to the next one.

        A picture without boxes is one without a face.

        Raises:
            BadInputError: There is no picture, or a box has neither a label nor a guess.
        """
        name, entry = self._current()
        regions = [r if r.emotion else replace(r, emotion=r.guess, tags=r.guess) for r in entry.regions]
        unnamed = [str(k) for k, region in enumerate(regions, start=1) if not region.emotion]
        if unnamed:
            raise BadInputError(f"box {', '.join(unnamed)} of {name} has no label; give it one, or remove it")
        self._save(name, regions, {"reviewed": True})
        self.next()

    def exclude(self, excluded: bool = True) -> None:
        """Exclude the current picture, save that, and go to the next one; its boxes stay in its file.

        Args:
            excluded: False takes the picture back in, and stays at it.

        Raises:
            BadInputError: There is no picture.
        """
        name, entry = self._current()
        self._save(name, entry.regions, entry.notes | {"excluded": excluded})
        if excluded:
            self.next()

    def _current(self) -> tuple[str, _Picture]:
        if self.image_name is None:
            raise BadInputError("there is no picture to label in this queue")
        return self.image_name, self._entries[self.image_name]

    def _save(self, name: str, regions: list[Region], notes: dict[str, bool]) -> None:
        """Write the label file of a picture; what is in memory changes only when it is written."""
        notes = {"reviewed": False} | notes  # a file of ours: nothing is proposed again for this picture
        new = replace(self._entries[name], regions=regions, notes=notes, saved=True)
        try:
            self.annotations_folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.annotations_folder / ".lock", timeout=10):
                self._write(name, new)
        except OSError as error:
            raise BadInputError(
                f"{self.annotations_folder.name}: the labels of {name} cannot be saved "
                f"({error.strerror or error}); make room, or name another folder"
            ) from error

    def _write(self, name: str, new: _Picture) -> None:
        file = self._file(name)
        if self._reload_if_changed(name):
            self._open(name)
            raise LabelConflict(
                f"{name} was labelled by another session meanwhile; your last change is not saved: "
                "look at the labels that are there now, and change them if they are wrong"
            )
        if any(line.startswith(f"{file.name}:") for line in self.problems):
            original = file.with_name(f"{file.name}.original")  # it holds more than we could read
            if not original.exists():
                shutil.copy2(file, original)
        for other in self._in_export.intersection(self.pictures) - {name, *self._ids}:
            self._write_entry(other, self._entries[other])
        self._in_export.clear()
        self._write_entry(name, new)
        self._entries[name] = new

    def _write_entry(self, name: str, entry: _Picture) -> None:
        table, sizes = make_table(entry.rows(name)), {name: entry.size}
        (written,) = write_vott(table, self.annotations_folder, sizes, self._ids, {name: entry.notes})
        self._ids[name] = written.name.removesuffix("-asset.json")
        self._digests[written.name] = _digest(written)

    def _file(self, name: str) -> Path:
        return self.annotations_folder / f"{self._ids.get(name) or asset_id(name)}-asset.json"

    def _reload_if_changed(self, name: str) -> bool:
        """Read the label file of a picture again if another session has changed or removed it."""
        file = self._file(name)
        digest = _digest(file)
        if digest == self._digests.get(file.name, ""):
            return False
        self._digests[file.name] = digest
        self._entries[name] = _Picture()
        if file.is_file():
            self._read(file)
        return True

    def load_image(self) -> np.ndarray:
        """Load the current picture.

        Returns:
            uint8 RGB (height, width, 3), turned as its EXIF says; a gray field if there is no picture.
        """
        if self.image_name is None:
            return np.full((120, 320, 3), 235, np.uint8)
        return load_image(self.images_folder / self.image_name)


def _list_pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise BadInputError(f"{folder.name}: there is no such folder of pictures")
    names = [file.relative_to(folder) for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES]
    return sorted(n.as_posix() for n in names if not any(part.startswith(".") for part in n.parts))


def _digest(file: Path) -> str:
    """Return a hash of a file's content; "" if there is no such file."""
    try:
        return hashlib.md5(file.read_bytes()).hexdigest()
    except OSError:
        return ""
