"""Draw what was read into the picture: box, label and bars, readable and inside it at any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ferlib.common.colours import (
    _DARK,
    _LIGHT,
    colour_of,
    ink_on,
)
from ferlib.common.errors import ImageError
from ferlib.live.emoji import NAMES, place_emoji

if TYPE_CHECKING:
    from ferlib.model.recognise import FaceReading


Rect = tuple[int, int, int, int]
"""(x, y, width, height) in pixels, like a box."""

_LETTERS = (11, 80)  # height of the letters, smallest and largest, in pixels
_SMALLEST = 7  # letters for a label that would not fit otherwise
_EDGE_OF_FACE = (
    0.08  # bars may cover this share of their own face, so that they do not change sides at each move
)
_MOST_OF_FACE = 0.35  # and this share where there is no other room


def draw_readings(
    image: np.ndarray, readings: Sequence[FaceReading], bars: bool = True, emoji: bool = False
) -> np.ndarray:
    """A copy of a picture, RGB uint8 (h, w, 3), with box, label and bars of each face.

    All of it lies inside the picture. Bars stand beside their face, on no other face and on no
    other bars; with less room only the three largest are shown, and without any the label alone. The
    letters are a thirtieth of the picture's shorter side, but 11 to 80 pixels. A face that is followed through a
    film has its number before its label. With `emoji` each face is covered by the drawing of its expression
    (`ferlib.live.emoji`; a class without one, as "rest", is not covered). The input is not changed.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            f"expected an RGB picture, uint8 (h, w, 3), got {getattr(image, 'shape', type(image))}"
        )
    height, width = image.shape[:2]
    letters = int(np.clip(round(min(width, height) * 0.035), *_LETTERS))
    image = image.copy()
    for reading in reversed(readings) if emoji else ():  # the largest comes first, and shall lie on top
        if reading.emotion in NAMES:
            place_emoji(image, reading.emotion, reading.box)
    canvas = Image.fromarray(image)
    brush = ImageDraw.Draw(canvas)
    labels = _labels(readings, letters, (width, height))
    for reading in readings:
        _draw_box(brush, reading, letters)
    taken = [reading.box for reading in readings] + [rect for rect, _, _ in labels]
    for reading, (rect, text, size) in zip(readings, labels, strict=True):
        if bars:
            for shown in (reading.probabilities, _largest(reading.probabilities, 3)):
                panel = bars_place(reading.box, _panel_size(shown, letters), taken, (width, height))
                if panel is not None:
                    taken.append(panel)
                    _draw_bars(canvas, panel, shown, letters)
                    break
        _draw_label(ImageDraw.Draw(canvas), rect, text, size, colour_of(reading.emotion))
    return np.array(canvas)


def label_place(
    box: Rect, size: tuple[int, int], frame: tuple[int, int], taken: Iterable[Rect] = ()
) -> Rect | None:
    """Where a label of `size` = (width, height) goes: above the box, else below it, else at its top inside.

    Its left or its right end is that of the box. Always inside `frame` = (width, height), if it is not larger than
    that; None where each of these places is on one of `taken`.
    """
    x, y, box_width, box_height = box
    width, height = size
    tops = [y - height] if y >= height else []
    if y + box_height + height <= frame[1]:
        tops.append(y + box_height)
    tops.append(max(y, 0))
    places = [
        _inside((left, top, width, height), frame) for top in tops for left in (x, x + box_width - width)
    ]
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), None)


def bars_place(
    box: Rect, size: tuple[int, int], taken: Iterable[Rect], frame: tuple[int, int]
) -> Rect | None:
    """Where bars of `size` go: right of the box, left, under it, over it, a corner of it; None without room.

    Never on a rectangle of `taken` other than `box` itself, and always inside `frame`.
    """
    x, y, box_width, box_height = box
    width, height = size
    if width > frame[0] or height > frame[1]:
        return None
    others = [rect for rect in taken if rect != box]
    beside = ((x + box_width, y), (x - width, y), (x, y + box_height), (x, y - height))
    for left, top in beside:
        place = _inside((left, top, width, height), frame)
        if _free(place, box, _EDGE_OF_FACE, others):
            return place
    for left, top in ((x + box_width - width, y + box_height - height), (x, y + box_height - height)):
        place = _inside((left, top, width, height), frame)
        if _free(place, box, _MOST_OF_FACE, others):
            return place
    return None


def _free(place: Rect, box: Rect, share: float, others: Iterable[Rect]) -> bool:
    """Whether a place is on none of the others, and on no more than a share of its own box."""
    covered = _overlap(place, box) > share * box[2] * box[3]
    return not covered and not any(_overlap(place, other) for other in others)


def _inside(rect: Rect, frame: tuple[int, int]) -> Rect:
    x, y, width, height = rect
    return max(0, min(x, frame[0] - width)), max(0, min(y, frame[1] - height)), width, height


def _overlap(a: Rect, b: Rect) -> int:
    """Shared area in pixels."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, across) * max(0, down)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # Pillow's own font file: the same on every machine


def _text_size(text: str, letters: int) -> tuple[int, int]:
    """Width and height that a text takes, with a little room around it."""
    pad = max(2, letters // 4)
    ascent, descent = _font(letters).getmetrics()
    return round(_font(letters).getlength(text)) + 2 * pad, ascent + descent + pad


def _labels(
    readings: Sequence[FaceReading], letters: int, frame: tuple[int, int]
) -> list[tuple[Rect, str, int]]:
    """Place, text and letter size of each label: on no other label, and on no other face where there is room."""
    labels = []
    for reading in readings:
        others = [each.box for each in readings if each is not reading]
        before = [rect for rect, _, _ in labels]
        tries = _fitting(reading, letters, frame)
        labels.append(
            next(
                (
                    (place, text, size)
                    for taken in (before + others, before, ())
                    for text, size, area in tries
                    if (place := label_place(reading.box, area, frame, taken))
                ),
                ((0, 0, 0, 0), "", _SMALLEST),  # a picture of a few pixels: no letters fit into it
            )
        )
    return labels


def _fitting(
    reading: FaceReading, letters: int, frame: tuple[int, int]
) -> list[tuple[str, int, tuple[int, int]]]:
    """Texts that fit into the picture, with letter size and area: the whole one, without the number, smaller."""
    number = "" if reading.track is None else f"{reading.track} · "
    full = f"{number}{reading.emotion} {reading.probability:.0%}"
    tries = [(full, letters), *((reading.emotion, size) for size in range(letters, _SMALLEST - 1, -1))]
    areas = ((text, size, _text_size(text, size)) for text, size in tries)
    return [each for each in areas if each[2][0] <= frame[0] and each[2][1] <= frame[1]]


def _largest(probabilities: Mapping[str, float], count: int) -> dict[str, float]:
    """The `count` most probable classes, still in the model's order."""
    names = sorted(probabilities, key=probabilities.get)[-count:]
    return {name: p for name, p in probabilities.items() if name in names}


def _panel_size(probabilities: Mapping[str, float], letters: int) -> tuple[int, int]:
    size = max(letters - 1, 10)
    names = max(_text_size(name, size)[0] for name in probabilities)
    return names + 4 * size, len(probabilities) * _text_size("x", size)[1] + size // 2


def _draw_box(brush: ImageDraw.ImageDraw, reading: FaceReading, letters: int) -> None:
    x, y, width, height = reading.box
    thick = max(1, letters // 6)
    edge = (x, y, x + width - 1, y + height - 1)
    if min(width, height) > 4 * thick + 4:  # a dark line inside keeps the box seen on any background
        inner = (edge[0] + thick, edge[1] + thick, edge[2] - thick, edge[3] - thick)
        brush.rectangle(inner, outline=_DARK, width=max(1, thick // 2))
    brush.rectangle(edge, outline=colour_of(reading.emotion), width=thick)


def _draw_label(brush: ImageDraw.ImageDraw, rect: Rect, text: str, size: int, colour: tuple) -> None:
    if not text:
        return
    x, y, width, height = rect
    brush.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    brush.text((x + width // 2, y + height // 2), text, font=_font(size), fill=ink_on(colour), anchor="mm")


def _draw_bars(canvas: Image.Image, panel: Rect, probabilities: Mapping[str, float], letters: int) -> None:
    x, y, width, height = panel
    size = max(letters - 1, 10)
    area = (x, y, x + width, y + height)
    canvas.paste(Image.blend(canvas.crop(area), Image.new("RGB", (width, height), _DARK), 0.75), area)
    brush = ImageDraw.Draw(canvas)
    pad, row = max(2, size // 4), _text_size("x", size)[1]
    names = max(_text_size(name, size)[0] for name in probabilities)
    for k, (name, probability) in enumerate(probabilities.items()):
        top = y + size // 4 + k * row
        brush.text((x + names - pad, top + row // 2), name, font=_font(size), fill=_LIGHT, anchor="rm")
        left, full = x + names, width - names - pad
        brush.rectangle((left, top + pad, left + full - 1, top + row - pad), outline=(110, 110, 110))
        long = round(full * min(max(probability, 0.0), 1.0))
        if long:
            brush.rectangle((left, top + pad, left + long - 1, top + row - pad), fill=colour_of(name))
