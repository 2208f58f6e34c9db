"""Photos with several drawn faces, a film of one face, and sets of files."""

import csv
import dataclasses
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ferlib.common.boxes import Box
from ferlib.common.errors import BadInputError
from ferlib.common.files import whole
from ferlib.common.images import write_image
from ferlib.common.labels import SEVEN, canonical
from ferlib.synth.anatomy import BACKGROUNDS, Face, check_face, check_whole, sample_face, sample_units
from ferlib.synth.backdrop import background
from ferlib.synth.draw import camera, draw_face, metering, sample_faces
from ferlib.synth.render import paint_person


@dataclasses.dataclass(frozen=True)
class PhotoFace:
    """One face of a photo.

    Attributes:
        box: The true (x, y, width, height) in pixels, inside the photo.
        emotion: Name of the expression.
        face: The parameters that it was drawn with.
    """

    box: Box
    emotion: str
    face: Face


@dataclasses.dataclass(frozen=True)
class Photo:
    """A drawn photo.

    Attributes:
        image: RGB, uint8 (h, w, 3).
        faces: Its faces from left to right.
    """

    image: np.ndarray
    faces: list[PhotoFace]


def _places(rng: np.random.Generator, count: int, width: int, height: int) -> list[Box]:
    """Boxes of 70 to 200 px side by side without overlap: each in its own column of the picture."""
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
    """Draw a photo of one to four faces, 320 to 640 px wide. The same arguments give the same photo.

    Args:
        seed: Seed of the random numbers.
        faces: The faces to draw; None samples them. Their scale, shift and background are not used, and all have
            the light of the first.

    Returns:
        The photo. The true boxes are inside the picture and do not overlap.

    Raises:
        BadInputError: No faces or more than four, a bad face, or a seed that is not a whole number from 0 up.
    """
    rng = np.random.default_rng([check_whole("seed", seed), 3])
    count = len(faces) if faces is not None else int(rng.choice((1, 2, 3, 4), p=(0.45, 0.3, 0.15, 0.1)))
    if not 1 <= count <= 4:
        raise BadInputError(f"a photo has one to four faces, not {count}")
    width = int(rng.integers(*((320, 481) if count == 1 else (400, 561) if count == 2 else (520, 641))))
    height = int(width * rng.uniform(0.66, 0.8))
    if faces is None:
        faces = [sample_face(rng) for _ in range(count)]
    for face in faces:
        check_face(face)
    kind, metered = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))], metering(faces)
    canvas = background(rng, kind, width, height) / np.float32(metered)
    first = faces[0]
    placed = [
        PhotoFace(box, face.emotion, dataclasses.replace(face, light=first.light))
        for face, box in zip(faces, _places(rng, count, width, height), strict=True)
    ]
    for item in sorted(placed, key=lambda item: item.box[2]):  # the nearer, larger ones last
        x, y, side, _ = item.box
        paint_person(canvas, rng, item.face, (x + side / 2, y + side / 2), side)
    return Photo(camera(canvas, rng, first, metered, rng.uniform(0.3, 0.9), first.noise * 0.7), placed)


def film(
    seed: int, seconds: float, fps: float = 12, size: tuple[int, int] = (320, 240)
) -> Iterator[tuple[np.ndarray, str]]:
    """Draw a film of one face that goes through the expressions. The same arguments give the same film.

    Each expression rises, stays and falls in about two seconds; between two of them the face is neutral.

    Args:
        seed: Seed of the random numbers.
        seconds: Length of the film.
        fps: Frames per second.
        size: (width, height) in pixels, at least 32 each.

    Returns:
        An iterator over (frame, emotion): the frame is RGB, uint8 (h, w, 3), and the emotion is "neutral" until
        the action units have half their intensity.

    Raises:
        BadInputError: The length or rate is not above zero, the size is below 32, or the seed is not a whole
            number from 0 up.
    """
    check_whole("seed", seed)
    if not (0 < seconds < np.inf and 0 < fps < np.inf and min(size) >= 32):
        raise BadInputError(
            f"film of {seconds!r} s at {fps!r} frames per second and {size!r} px: give a length and a rate above 0 "
            "and at least 32 px"
        )
    return _frames(seed, round(seconds * fps), fps, *size)


def _frames(seed: int, count: int, fps: float, width: int, height: int) -> Iterator[tuple[np.ndarray, str]]:
    rng = np.random.default_rng([seed, 5])
    face = dataclasses.replace(sample_face(rng, "neutral"), glasses="none", yaw=0.0, pitch=0.0, roll=0.0)
    order = [e for e in (SEVEN[k] for k in rng.permutation(7)) if e != "neutral"]
    units = [sample_units(rng, emotion) for emotion in order]
    phase = rng.uniform(0, 6.3, 3)
    metered = metering([face])
    scene = background(rng, face.background, width, height) / np.float32(metered)
    box = 0.62 * min(width, height)
    for frame in range(count):
        t = frame / fps
        turn, at = divmod(t, 2.4)
        emotion, aus = order[int(turn) % len(order)], units[int(turn) % len(order)]
        rise = float(np.clip(min((at - 0.3) / 0.5, (2.3 - at) / 0.5), 0, 1))
        rise = rise * rise * (3 - 2 * rise)
        sway = np.sin(t * np.array([0.9, 0.7, 0.5]) + phase)
        moved = {unit: value * rise for unit, value in aus.items()}
        now = dataclasses.replace(face, aus=moved, yaw=6 * sway[0], pitch=3 * sway[1], roll=2.5 * sway[2])
        canvas = scene.copy()
        centre = (width * (0.5 + 0.02 * sway[2]), height * (0.52 + 0.015 * sway[1]))
        paint_person(canvas, np.random.default_rng([seed, 6]), now, centre, box)
        noise = np.random.default_rng([seed, 8, frame])
        image = camera(canvas, noise, face, metered, 0.5, face.noise * 0.6)
        yield image, (emotion if rise >= 0.5 else "neutral")


def write_set(out: str | os.PathLike, count: int, seed: int, photos: bool = False, size: int = 96) -> Path:
    """Write drawn faces or photos as PNG files, with `labels.csv` beside them.

    `labels.csv` has the columns `file,emotion`; for photos `file,emotion,x,y,width,height` with one row per face,
    boxes in pixels.

    Args:
        out: The folder; it is made if it does not exist.
        count: How many pictures.
        seed: Seed of the random numbers.
        photos: Photos with one to four faces instead of single faces.
        size: Width and height of single faces in pixels, 32 to 1024.

    Returns:
        The folder.

    Raises:
        BadInputError: The count is below 1, the seed below 0, the size outside 32 to 1024, or the folder cannot be
            made.
    """
    count, seed, out = check_whole("count", count, 1), check_whole("seed", seed), Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{out}: cannot be used as a folder ({error.strerror})") from error
    rows: list[tuple] = [("file", "emotion", "x", "y", "width", "height") if photos else ("file", "emotion")]
    for k, face in enumerate([None] * count if photos else sample_faces(count, seed)):
        name = f"{k:05d}.png"
        if face is None:
            photo = draw_photo(seed + k)
            write_image(out / name, photo.image)
            rows += [(name, item.emotion, *item.box) for item in photo.faces]
        else:
            write_image(out / name, draw_face(face, size))
            rows.append((name, canonical(face.emotion)))
    with whole(out / "labels.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return out
