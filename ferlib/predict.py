"""Expressions of the faces in a picture, in files and folders, in a film.

The detector and the model are loaded once by the caller and handed in; all faces of a picture go
through the model in one call.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pandas as pd

from ferlib import faces, images
from ferlib.errors import BadInputError, ImageError
from ferlib.files import whole
from ferlib.labels import pick_probabilities
from ferlib.video import Frame, frames

VIEWS = ("one", "three")
"""How often a face is shown to the model: as it is, or in system A's three views."""

_NAMED = 10  # problems named in one message


class Reader(Protocol):
    """What is needed of a model: `ferlib.bundle.Bundle`, or anything with these three."""

    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w), 0 to 255, to probabilities (n, k), rows summing to one."""


@dataclass(frozen=True)
class FaceReading:
    """One face and what the model reads in it."""

    box: tuple[int, int, int, int]
    """(x, y, width, height) in pixels, inside the picture."""
    emotion: str
    """The class with the largest probability: a name for the expression, not for what is felt."""
    probabilities: dict[str, float]
    """Class name to probability, in the model's order; the values sum to one."""

    @property
    def probability(self) -> float:
        """The largest probability, 0 to 1."""
        return self.probabilities[self.emotion]


@dataclass(frozen=True)
class _Narrowed:
    """A model that answers in other classes than it was trained for."""

    model: Reader
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.model.input_shape

    def predict(self, faces: np.ndarray) -> np.ndarray:
        answers = self.model.predict(faces)
        return pick_probabilities(answers, self.model.class_names, self.class_names).astype(np.float32)


def for_classes(bundle: Reader, class_names: Sequence[str]) -> Reader:
    """The model, answering in `class_names`: merged classes are summed, classes left out are dropped.

    What is left is scaled to a sum of one. Raises LabelError where the model cannot tell these apart.
    """
    names = tuple(class_names)
    if names == tuple(bundle.class_names):
        return bundle
    pick_probabilities(
        np.ones((1, len(bundle.class_names))), bundle.class_names, names
    )  # raises what it must
    return _Narrowed(bundle, names)


def face_views(face: np.ndarray) -> np.ndarray:
    """System A's three views of a face, (s, s) in, (3, s, s) out, uint8.

    As it is; mirrored; and without hair and chin: of 48 rows, 2 to 44, stretched to full height.
    """
    size = len(face)
    cut = face[round(size * 2 / 48) : round(size * 45 / 48)]
    return np.stack([face, face[:, ::-1], images.resize(cut, (size, size))])


def probabilities_of(inputs: np.ndarray, bundle: Reader, views: str = "one") -> np.ndarray:
    """Probabilities (n, k), float64, of faces uint8 (n, s, s), in one call of the model.

    With `views="three"` the three answers for each face are summed, as system A does, and divided
    by three, so that a row still sums to one; the order of the classes is the same either way.
    """
    if views not in VIEWS:
        raise BadInputError(f"views {views!r}: known are {', '.join(VIEWS)}")
    if views == "one":
        return np.asarray(bundle.predict(inputs), dtype=np.float64)
    stacked = np.concatenate([face_views(face) for face in inputs])
    answers = np.asarray(bundle.predict(stacked), dtype=np.float64)
    return answers.reshape(len(inputs), 3, -1).sum(axis=1) / 3


def read_faces(
    image: np.ndarray,
    bundle: Reader,
    cascade: cv2.CascadeClassifier | None = None,
    views: str = "one",
    min_size: int = 30,
    longest: int = 1280,
) -> list[FaceReading]:
    """The faces of a picture, RGB uint8 (h, w, 3), largest first; an empty list when there is none.

    `cascade`: a loaded detector; None loads the default one, which takes longer than using it.
    `min_size`: the smallest face, in pixels of the picture. `longest`: the detector works on a copy
    whose longer side is at most this; the faces are cut from the full picture.
    """
    cascade = faces.load_cascade() if cascade is None else cascade
    boxes = _detect(image, cascade, min_size, longest)
    if not boxes:
        return []
    size = bundle.input_shape[0]
    inputs = np.stack([images.face_input(faces.crop_face(image, box), size) for box in boxes])
    return _readings(boxes, probabilities_of(inputs, bundle, views), bundle.class_names)


def _detect(image: np.ndarray, cascade: cv2.CascadeClassifier, min_size: int, longest: int) -> list:
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    small = image
    if scale < 1:
        small = images.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))
    least = max(1, round(min_size * scale))
    boxes = faces.detect_faces(small, cascade, min_size=(least, least))
    return [faces.clamp_box(tuple(round(v / scale) for v in box), width, height) for box in boxes]


def _readings(boxes: Iterable, probabilities: np.ndarray, class_names: Sequence[str]) -> list[FaceReading]:
    readings = []
    for box, row in zip(boxes, probabilities, strict=True):
        named = {name: float(p) for name, p in zip(class_names, row, strict=True)}
        readings.append(FaceReading(tuple(int(v) for v in box), class_names[int(row.argmax())], named))
    return readings


def readings_rows(readings: Iterable[FaceReading], **first: object) -> list[dict]:
    """One flat row a face: the columns of `first`, then `face` (0, 1, …), box, emotion and classes."""
    rows = []
    for number, reading in enumerate(readings):
        box = dict(zip(("x", "y", "width", "height"), reading.box, strict=True))
        found = {"emotion": reading.emotion, "probability": reading.probability}
        rows.append({**first, "face": number, **box, **found, **reading.probabilities})
    return rows


def picture_files(paths: Iterable[str | os.PathLike]) -> tuple[list[Path], list[str]]:
    """The pictures that paths stand for, and one line for each path that stands for none.

    A file counts whatever its name; a folder is walked, with the folders in it, for names ending in
    .jpg, .jpeg, .png, .bmp or .webp in any case, sorted. Hidden files are left out, and no file
    comes twice.
    """
    found: dict[Path, Path] = {}
    problems = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if _is_picture(p.relative_to(path)) and p.is_file())
            if not inside:
                problems.append(f"{path}: no pictures in this folder ({', '.join(images.SUFFIXES)})")
        else:
            inside = [path]  # one that is not there is named when it is opened
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values()), problems


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES and not any(part.startswith(".") for part in path.parts)


def predict_paths(
    paths: Iterable[str | os.PathLike],
    bundle: Reader,
    cascade: cv2.CascadeClassifier | None = None,
    views: str = "one",
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> tuple[pd.DataFrame, list[str]]:
    """Read the faces in files and folders: (table, problems).

    The table has a row a face: `file` (as given, or folder/name), `face` (0 is the largest of its
    picture), `x, y, width, height` (pixels of the picture turned as its EXIF says), `emotion`,
    `probability`, and a column a class. `problems`: one line for each file that gave no row, because it
    cannot be read or because no face was found. `progress` wraps the list of files (tqdm, for one).
    Raises BadInputError if no file could be read at all.
    """
    files, problems = picture_files(paths)
    cascade = faces.load_cascade() if cascade is None else cascade
    rows, read = [], 0
    for file in progress(files):
        try:
            image = images.load_image(file)
        except ImageError as error:
            problems.append(str(error))
            continue
        read += 1
        readings = read_faces(image, bundle, cascade, views)
        rows += readings_rows(readings, file=file.as_posix())
        if not readings:
            problems.append(f"{file}: no face found")
    if not read:
        raise BadInputError(f"nothing could be read: {_shortened(problems) or 'no paths were given'}")
    return _table(rows, ("file",), bundle.class_names), problems


def _shortened(problems: list[str]) -> str:
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return "; ".join(problems[:_NAMED]) + more


def _table(rows: list[dict], first: Sequence[str], class_names: Sequence[str]) -> pd.DataFrame:
    columns = [*first, "face", "x", "y", "width", "height", "emotion", "probability", *class_names]
    return pd.DataFrame(rows, columns=columns)


def write_table(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a table as CSV, UTF-8, six decimals; written beside and renamed, never half a file."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            # a file name that is not UTF-8 is written with backslashes instead of ending the run
            table.to_csv(
                part, index=False, float_format="%.6f", lineterminator="\n", errors="backslashreplace"
            )
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror}); name another file") from error


def read_frames(
    stream: Iterable[Frame],
    bundle: Reader,
    cascade: cv2.CascadeClassifier | None = None,
    views: str = "one",
) -> Iterator[tuple[Frame, list[FaceReading]]]:
    """Each frame with its faces; the detector is loaded once.

    Faces smaller than a sixth of the frame's shorter side are passed over: that is quick, and somebody
    who sits before a camera is larger.
    """
    cascade = faces.load_cascade() if cascade is None else cascade
    for frame in stream:
        yield frame, read_faces(frame.image, bundle, cascade, views, min_size=min(frame.image.shape[:2]) // 6)


def video_table(read: Iterable[tuple[Frame, list[FaceReading]]], class_names: Sequence[str]) -> pd.DataFrame:
    """What `read_frames` yields as a table with a row a face and frame.

    Columns `frame`, `seconds`, `truth` (the expression that was drawn; None for cameras and files),
    `face`, `x, y, width, height`, `emotion`, `probability`, and a column a class. A frame without a
    face has no row.
    """
    rows = []
    for frame, readings in read:
        rows += readings_rows(readings, frame=frame.index, seconds=frame.seconds, truth=frame.emotion)
    return _table(rows, ("frame", "seconds", "truth"), class_names)


def read_video(
    source: str | int | os.PathLike,
    bundle: Reader,
    cascade: cv2.CascadeClassifier | None = None,
    views: str = "one",
    seconds: float | None = None,
    seed: int = 7,
) -> pd.DataFrame:
    """The `video_table` of a source as in `ferlib.video.frames`; film and camera end by `seconds` only."""
    with closing(frames(source, seconds, seed)) as stream:
        return video_table(read_frames(stream, bundle, cascade, views), bundle.class_names)


def smooth(probabilities: np.ndarray, weight: float = 0.3) -> np.ndarray:
    """Rows of probabilities over time, (n, k), made calmer: each row is `weight` new and the rest old.

    The exponential moving average; the first row stays, rows still sum to one. `weight` in (0, 1],
    1 changes nothing. Raises BadInputError for another weight.
    """
    if not 0 < weight <= 1:
        raise BadInputError(f"weight {weight}: must lie above 0 and at most at 1")
    calm = np.array(probabilities, dtype=np.float64)
    for k in range(1, len(calm)):
        calm[k] = weight * calm[k] + (1 - weight) * calm[k - 1]
    return calm
