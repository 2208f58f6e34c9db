"""Whole photos with several drawn faces, a film of one face, and sets of files."""

import csv
import dataclasses
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ferlib.common.errors import BadInputError
from ferlib.common.files import whole
from ferlib.common.images import write_image
from ferlib.common.labels import SEVEN, canonical
from ferlib.synth.anatomy import BACKGROUNDS, Face, check_face, check_seed, sample_face, sample_units
from ferlib.synth.backdrop import background, shoulders
from ferlib.synth.draw import camera, draw_face, metering, sample_faces
from ferlib.synth.render import BOX_MM, paint_head


@dataclasses.dataclass(frozen=True)
class PhotoFace:
    """One face of a photo: its true box (x, y, width, height) in pixels, its emotion, how it was drawn."""

    box: tuple[int, int, int, int]
    emotion: str
    face: Face


@dataclasses.dataclass(frozen=True)
class Photo:
    """A drawn photo: `image` uint8 (h, w, 3) RGB, and its faces from left to right."""

    image: np.ndarray
    faces: list[PhotoFace]


def _places(rng: np.random.Generator, count: int, width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Boxes of 70 to 200 px side by side, none over another: each in its own column of the picture."""
    edges = np.linspace(0, width, count + 1)
    boxes = []
    for left, right in pairwise(edges):
        room = min(right - left, height * 0.75)
        side = int(np.clip(rng.uniform(0.6, 0.78) * room, 70, 200))
        x = int(left + rng.uniform(0.25, 0.75) * (right - left - side))
        y = int(0.12 * height + rng.uniform(0.1, 0.8) * (0.8 * height - side))
        boxes.append((x, y, side, side))
    return boxes


def draw_photo(seed: int, faces: Sequence[Face] | None = None) -> Photo:
    """A photo of one to four faces, 320 to 640 px wide, wholly determined by its arguments.

    `faces` gives the faces to draw (their own scale, shift and background are not used); without it they
    are drawn by lot. True boxes lie inside the picture and do not overlap. BadInputError for no or too many faces.
    """
    rng = np.random.default_rng([check_seed(seed), 3])
    count = len(faces) if faces is not None else int(rng.choice((1, 2, 3, 4), p=(0.45, 0.3, 0.15, 0.1)))
    if not 1 <= count <= 4:
        raise BadInputError(f"a photo holds one to four faces, not {count}")
    width = int(rng.integers(*((320, 481) if count == 1 else (400, 561) if count == 2 else (520, 641))))
    height = int(width * rng.uniform(0.66, 0.8))
    if faces is None:
        faces = [sample_face(rng) for _ in range(count)]
    for face in faces:
        check_face(face)
    canvas = background(rng, BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))], width, height) / np.float32(
        metering(faces)
    )
    light = faces[0].light  # one light for all
    placed = []
    for face, box in zip(faces, _places(rng, count, width, height), strict=True):
        placed.append(PhotoFace(box, face.emotion, dataclasses.replace(face, light=light)))
    for item in sorted(placed, key=lambda item: item.box[2]):  # the nearer, larger ones last
        x, y, side, _ = item.box
        centre = (x + side / 2, y + side / 2)
        shoulders(canvas, rng, item.face, centre, side / BOX_MM)
        paint_head(canvas, item.face, centre, side)
    first = faces[0]
    image = camera(
        canvas,
        rng,
        first.exposure * metering(faces),
        first.contrast,
        float(rng.uniform(0.3, 0.9)),
        first.noise * 0.7,
    )
    return Photo(image, placed)


def film(seed: int, seconds: float, fps: float = 12,
         size: tuple[int, int] = (320, 240)) -> Iterator[tuple[np.ndarray, str]]:  # fmt: skip
    """A film of one face that goes through the expressions: pairs (frame uint8 (h, w, 3) RGB, emotion).

    `size` is (width, height). Each expression rises, stays and falls in about two seconds; between two of them
    the face is neutral, and the emotion of a frame is "neutral" until the units stand at half their strength.
    Fully determined by its arguments. BadInputError for a length, rate or size that is not above zero.
    """
    seed, (width, height) = check_seed(seed), size
    if not (seconds > 0 and fps > 0 and min(width, height) >= 32):
        raise BadInputError(
            f"film of {seconds!r} s at {fps!r} frames a second and {size!r} px cannot be drawn"
        )
    return _frames(seed, seconds, fps, width, height)


def _frames(seed, seconds, fps, width, height):
    rng = np.random.default_rng([seed, 5])
    face = dataclasses.replace(sample_face(rng, "neutral"), glasses="none", yaw=0.0, pitch=0.0, roll=0.0)
    order = [e for e in (SEVEN[k] for k in rng.permutation(7)) if e != "neutral"]
    units = [sample_units(rng, emotion) for emotion in order]
    phase = rng.uniform(0, 6.3, 3)
    exposure = metering([face])
    scene = background(rng, face.background, width, height) / np.float32(exposure)
    box = 0.62 * min(width, height)
    for frame in range(round(seconds * fps)):
        t = frame / fps
        turn, at = divmod(t, 2.4)
        emotion, aus = order[int(turn) % len(order)], units[int(turn) % len(order)]
        rise = float(np.clip(min((at - 0.3) / 0.5, (2.3 - at) / 0.5), 0, 1))
        rise = rise * rise * (3 - 2 * rise)
        sway = np.sin(t * np.array([0.9, 0.7, 0.5]) + phase)
        now = dataclasses.replace(
            face, aus={unit: value * rise for unit, value in aus.items()},
            yaw=6 * sway[0], pitch=3 * sway[1], roll=2.5 * sway[2],
        )  # fmt: skip
        canvas = scene.copy()
        centre = (width * (0.5 + 0.02 * sway[2]), height * (0.52 + 0.015 * sway[1]))
        shoulders(canvas, np.random.default_rng([seed, 6]), now, centre, box / BOX_MM)
        paint_head(canvas, now, centre, box)
        noise = np.random.default_rng([seed, 8, frame])
        image = camera(canvas, noise, face.exposure * exposure, face.contrast, 0.5, face.noise * 0.6)
        yield image, (emotion if rise >= 0.5 else "neutral")


def write_set(out: str | os.PathLike, count: int, seed: int, photos: bool = False, size: int = 96) -> Path:
    """Write `count` pictures as PNG files and `labels.csv` beside them; returns the folder.

    Faces: columns `file,emotion`. Photos: `file,emotion,x,y,width,height`, one row a face, boxes in pixels.
    Raises BadInputError for a count below 1 or a folder that cannot be made.
    """
    if not isinstance(count, int | np.integer) or count < 1:
        raise BadInputError(f"count {count!r} is not a whole number from 1 up")
    seed, out = check_seed(seed), Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{out}: cannot be used as a folder ({error.strerror})") from error
    rows = []
    faces = None if photos else sample_faces(count, seed)
    for k in range(count):
        name = f"{k:05d}.png"
        if photos:
            photo = draw_photo(seed + k)
            write_image(out / name, photo.image)
            rows += [(name, item.emotion, *item.box) for item in photo.faces]
        else:
            write_image(out / name, draw_face(faces[k], size))
            rows.append((name, canonical(faces[k].emotion)))
    with whole(out / "labels.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "emotion", "x", "y", "width", "height") if photos else ("file", "emotion"))
        writer.writerows(rows)
    return out
