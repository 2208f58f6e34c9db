"""Draw predictions into a picture: box, label and bars, legible and inside the picture at any size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ferlib.common import images
from ferlib.common.boxes import Box
from ferlib.common.colours import _DARK, _LIGHT, colours_of, ink_on
from ferlib.common.fonts import find_font
from ferlib.live.emoji import NAMES, place_emoji
from ferlib.model.recognise import Face

_LETTERS = (11, 80)  # height of the letters, smallest and largest, in pixels
_SMALLEST = 7  # letters of a label that would not fit otherwise
_EDGE_OF_FACE = 0.08  # share of their own face that bars may cover, so that they stay on one side of it
_MOST_OF_FACE = 0.35  # the same, where there is no other room


@dataclass(frozen=True)
class Label:
    """A label with its place.

    Attributes:
        box: (x, y, width, height) in pixels.
        text: Emotion, with number and probability where there is room; "" where nothing fits.
        size: Height of the letters, in pixels.
    """

    box: Box
    text: str
    size: int


def draw_predictions(
    image: np.ndarray, faces: Sequence[Face], bars: bool = True, emoji: bool = False
) -> np.ndarray:
    """Draw the box, the label and the bars of each face into a copy of a picture.

    Everything is inside the picture. Bars are beside their face, on no other face and no other bars; with less
    room only the three largest are drawn, and without any only the label. The letters are 3.5 % of the picture's
    shorter side, but 11 to 80 pixels. A face that is followed through a video has its number before its label.

    Args:
        image: RGB, uint8 (h, w, 3); it is not changed.
        faces: The faces, largest first, with boxes in pixels of the picture.
        bars: Whether the probabilities are drawn as bars.
        emoji: Whether each face is covered by the emoji of its expression (`ferlib.live.emoji`). A class
            without one, such as "rest", is not covered.

    Returns:
        RGB, uint8 (h, w, 3).

    Raises:
        ImageError: The picture is not an RGB image.
    """
    images.check(image, colour=True)
    height, width = image.shape[:2]
    letters = int(np.clip(round(min(width, height) * 0.035), *_LETTERS))
    canvas = Image.fromarray(image)
    for face in reversed(faces) if emoji else ():  # the largest comes first and is drawn last, on top
        if face.emotion in NAMES:
            place_emoji(canvas, face.emotion, face.box)
    brush = ImageDraw.Draw(canvas)
    labels = place_labels(faces, letters, (width, height))
    palettes = [colours_of(face.probabilities) for face in faces]
    for face, colours in zip(faces, palettes, strict=True):
        _draw_box(brush, face.box, colours[face.emotion], letters)
    taken = [face.box for face in faces] + [label.box for label in labels]
    for face, label, colours in zip(faces, labels, palettes, strict=True):
        for shown in (face.probabilities, _largest(face.probabilities, 3)) if bars else ():
            panel = place_bars(face.box, _panel_size(shown, letters), taken, (width, height))
            if panel is not None:
                taken.append(panel)
                _draw_bars(canvas, panel, shown, colours, letters)
                break
        _draw_label(brush, label, colours[face.emotion])
    return np.array(canvas)


def place_label(
    box: Box, size: tuple[int, int], frame: tuple[int, int], taken: Iterable[Box] = ()
) -> Box | None:
    """Find the place of a label: above its box, else below it, else at its top inside.

    The left or the right end of the label is that of the box.

    Args:
        box: The box of the face.
        size: (width, height) of the label in pixels, at most that of the picture.
        frame: (width, height) of the picture.
        taken: Boxes that the label must not touch.

    Returns:
        The place as a box inside the picture; None where each of these places touches one of `taken`.
    """
    x, y, box_width, box_height = box
    width, height = size
    tops = [y - height] if y >= height else []
    if y + box_height + height <= frame[1]:
        tops.append(y + box_height)
    tops.append(max(y, 0))
    corners = [(left, top) for top in tops for left in (x, x + box_width - width)]
    places = [_inside((left, top, width, height), frame) for left, top in corners]
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), None)


def place_bars(box: Box, size: tuple[int, int], taken: Iterable[Box], frame: tuple[int, int]) -> Box | None:
    """Find the place of bars: right of the box, left of it, below it, above it, or in one of its lower corners.

    Args:
        box: The box of the face.
        size: (width, height) of the bars in pixels.
        taken: Boxes that the bars must not touch; `box` itself may be among them.
        frame: (width, height) of the picture.

    Returns:
        The place as a box inside the picture; None without room.
    """
    x, y, box_width, box_height = box
    width, height = size
    if width > frame[0] or height > frame[1]:
        return None
    others = [other for other in taken if other != box]
    beside = ((x + box_width, y), (x - width, y), (x, y + box_height), (x, y - height))
    corners = ((x + box_width - width, y + box_height - height), (x, y + box_height - height))
    for places, share in ((beside, _EDGE_OF_FACE), (corners, _MOST_OF_FACE)):
        for left, top in places:
            place = _inside((left, top, width, height), frame)
            covered = _overlap(place, box) > share * box_width * box_height
            if not covered and not any(_overlap(place, other) for other in others):
                return place
    return None


def _inside(box: Box, frame: tuple[int, int]) -> Box:
    x, y, width, height = box
    return max(0, min(x, frame[0] - width)), max(0, min(y, frame[1] - height)), width, height


def _overlap(a: Box, b: Box) -> int:
    """Shared area in pixels."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, across) * max(0, down)


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    return cast(ImageFont.FreeTypeFont, font)


def _text_size(text: str, letters: int) -> tuple[int, int]:
    """Width and height that a text takes, with a little room around it."""
    pad = max(2, letters // 4)
    font = _font(find_font(text), letters)
    ascent, descent = font.getmetrics()
    return round(font.getlength(text)) + 2 * pad, ascent + descent + pad


def place_labels(faces: Sequence[Face], letters: int, frame: tuple[int, int]) -> list[Label]:
    """Find the places of all labels: on no other label, and on no other face where there is room.

    Args:
        faces: The faces.
        letters: Height of the letters, in pixels; a label that does not fit gets smaller ones.
        frame: (width, height) of the picture.

    Returns:
        One label per face.
    """
    labels: list[Label] = []
    for face in faces:
        others = [each.box for each in faces if each is not face]
        before = [label.box for label in labels]
        fitting = _fitting_texts(face, letters, frame)
        found = (
            Label(place, text, size)
            for taken in (before + others, before, ())
            for text, size, area in fitting
            if (place := place_label(face.box, area, frame, taken))
        )
        labels.append(next(found, Label((0, 0, 0, 0), "", _SMALLEST)))  # no letters fit into a few pixels
    return labels


def _fitting_texts(
    face: Face, letters: int, frame: tuple[int, int]
) -> list[tuple[str, int, tuple[int, int]]]:
    """Texts that fit into the picture, with letter size and area: complete, then without numbers, then smaller."""
    number = "" if face.track is None else f"{face.track} · "
    complete = f"{number}{face.emotion} {face.probability:.0%}"
    tries = [(complete, letters), *((face.emotion, size) for size in range(letters, _SMALLEST - 1, -1))]
    areas = ((text, size, _text_size(text, size)) for text, size in tries)
    return [each for each in areas if each[2][0] <= frame[0] and each[2][1] <= frame[1]]


def _largest(probabilities: Mapping[str, float], count: int) -> dict[str, float]:
    """The `count` most probable classes, still in the model's order."""
    names = sorted(probabilities, key=probabilities.__getitem__)[-count:]
    return {name: p for name, p in probabilities.items() if name in names}


def _panel_size(probabilities: Mapping[str, float], letters: int) -> tuple[int, int]:
    size = max(letters - 1, 10)
    names = max(_text_size(name, size)[0] for name in probabilities)
    return names + 4 * size, len(probabilities) * _text_size("".join(probabilities), size)[1] + size // 2


def _draw_box(brush: ImageDraw.ImageDraw, box: Box, colour: tuple[int, int, int], letters: int) -> None:
    x, y, width, height = box
    thick = max(1, letters // 6)
    edge = (x, y, x + width - 1, y + height - 1)
    if min(width, height) > 4 * thick + 4:  # a dark line inside keeps the box visible on any background
        inner = (edge[0] + thick, edge[1] + thick, edge[2] - thick, edge[3] - thick)
        brush.rectangle(inner, outline=_DARK, width=max(1, thick // 2))
    brush.rectangle(edge, outline=colour, width=thick)


def _draw_label(brush: ImageDraw.ImageDraw, label: Label, colour: tuple[int, int, int]) -> None:
    if not label.text:
        return
    x, y, width, height = label.box
    brush.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    middle = (x + width // 2, y + height // 2)
    brush.text(
        middle, label.text, font=_font(find_font(label.text), label.size), fill=ink_on(colour), anchor="mm"
    )


def _draw_bars(
    canvas: Image.Image, panel: Box, probabilities: Mapping[str, float], colours: Mapping, letters: int
) -> None:
    x, y, width, height = panel
    size = max(letters - 1, 10)
    area = (x, y, x + width, y + height)
    canvas.paste(Image.blend(canvas.crop(area), Image.new("RGB", (width, height), _DARK), 0.75), area)
    brush = ImageDraw.Draw(canvas)
    pad, row = max(2, size // 4), _text_size("".join(probabilities), size)[1]
    names = max(_text_size(name, size)[0] for name in probabilities)
    for k, (name, probability) in enumerate(probabilities.items()):
        top = y + size // 4 + k * row
        brush.text(
            (x + names - pad, top + row // 2),
            name,
            font=_font(find_font(name), size),
            fill=_LIGHT,
            anchor="rm",
        )
        left, full = x + names, width - names - pad
        brush.rectangle((left, top + pad, left + full - 1, top + row - pad), outline=(110, 110, 110))
        long = round(full * min(max(probability, 0.0), 1.0))
        if long:
            brush.rectangle((left, top + pad, left + long - 1, top + row - pad), fill=colours[name])
