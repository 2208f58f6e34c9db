"""Emoji of the expressions, drawn here by code: RGBA pictures, laid over a face with transparency.

System B covers each face with the emoji of its emotion, but has six pictures for seven classes and does not clip
them at the border of the frame. These are our own drawings, one for each class; the face has the colour that
the class has in bars and timelines.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image, ImageDraw

from ferlib.common.errors import BadInputError

_MASTER, _FINER = 384, 2  # pixels of a drawing, and how much larger it is painted to have soft edges
_INK, _WHITE = (52, 32, 30), (255, 255, 255)
_MOUTH, _TONGUE, _BLUSH, _WATER = (96, 24, 34), (238, 104, 116), (255, 110, 90, 110), (226, 244, 255)

Point = tuple[float, float]


class _Paper:
    """A drawing surface of 100 × 100 units, y downwards; all widths in units."""

    def __init__(self, image: Image.Image):
        self.image, self._unit = image, image.width / 100
        self._brush = ImageDraw.Draw(image)

    def _at(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._unit, y * self._unit) for x, y in points]

    def oval(self, x: float, y: float, wide: float, high: float, colour: tuple) -> None:
        """A filled oval around (x, y)."""
        self.shape(_oval(x, y, wide, high), colour)

    def shape(self, points: Sequence[Point], colour: tuple) -> None:
        """A filled outline; a fourth number in the colour is its opacity, 0 to 255."""
        if len(colour) == 3:
            self._brush.polygon(self._at(points), fill=(*colour, 255))
        else:
            self.within(
                points, lambda paper: paper.shape([(0, 0), (100, 0), (100, 100), (0, 100)], colour[:3])
            )

    def within(self, points: Sequence[Point], paint: Callable[["_Paper"], None]) -> None:
        """Paint, but only inside an outline."""
        mask, layer = Image.new("L", self.image.size, 0), self.image.copy()
        ImageDraw.Draw(mask).polygon(self._at(points), fill=255)
        paint(_Paper(layer))
        self.image.paste(layer, mask=mask)

    def stroke(self, points: Sequence[Point], width: float, colour: tuple = _INK) -> None:
        """A line with round ends."""
        path, radius = self._at(points), width * self._unit / 2
        self._brush.line(path, fill=(*colour, 255), width=round(2 * radius), joint="curve")
        for x, y in (path[0], path[-1]):
            self._brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*colour, 255))


def _oval(x: float, y: float, wide: float, high: float) -> list[Point]:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return [(x + wide / 2 * np.cos(a), y + high / 2 * np.sin(a)) for a in angles]


def _curve(*points: Point) -> list[Point]:
    """A Bézier curve (de Casteljau) from the first point to the last, drawn towards those between."""
    t = np.linspace(0, 1, 40)[:, None]
    rows = [np.tile(np.asarray(point, dtype=float), (40, 1)) for point in points]
    while len(rows) > 1:
        rows = [(1 - t) * a + t * b for a, b in pairwise(rows)]
    return [tuple(point) for point in rows[0]]


def _mirrored(points: Sequence[Point]) -> list[Point]:
    return [(100 - x, y) for x, y in points]


def _both(paper: _Paper, points: Sequence[Point], width: float) -> None:
    """A stroke on the left, and its mirror image."""
    paper.stroke(points, width)
    paper.stroke(_mirrored(points), width)


def _dots(paper: _Paper, y: float, wide: float = 11, high: float = 15, apart: float = 36) -> None:
    """Plain dark eyes with a glint."""
    for x in (50 - apart / 2, 50 + apart / 2):
        paper.oval(x, y, wide, high, _INK)
        paper.oval(x - wide * 0.18, y - high * 0.2, wide * 0.32, wide * 0.32, _WHITE)


def _wide_eyes(paper: _Paper, y: float, size: float, pupil: float) -> None:
    for x in (31, 69):
        paper.oval(x, y, size + 3, size * 1.12 + 3, _INK)
        paper.oval(x, y, size, size * 1.12, _WHITE)
        paper.oval(x, y + 1, pupil, pupil, _INK)


def _drop(paper: _Paper, x: float, y: float, size: float) -> None:
    """Water: a tear, or sweat."""
    side = _curve((x, y - size), (x + size * 0.2, y - size * 0.4), (x + size * 0.95, y), (x, y + size * 0.62))
    points = [*side, *[(2 * x - px, py) for px, py in reversed(side)]]
    paper.shape([(x + (px - x) * 1.3, y + (py - y) * 1.18) for px, py in points], (30, 90, 150))
    paper.shape(points, _WATER)


def _happy(paper: _Paper) -> None:
    _both(paper, _curve((21, 45), (31, 26), (41, 45)), 6)
    for x in (19, 81):
        paper.oval(x, 56, 16, 10, _BLUSH)
    mouth = [*_curve((23, 57), (50, 63), (77, 57)), *_curve((77, 57), (73, 89), (50, 89), (50, 89))]
    mouth += _curve((50, 89), (50, 89), (27, 89), (23, 57))
    paper.shape(mouth, _MOUTH)
    paper.within(mouth, lambda p: (p.oval(50, 91, 38, 22, _TONGUE), p.shape(_teeth(), _WHITE)))


def _teeth() -> list[Point]:
    return [*_curve((20, 54), (50, 62), (80, 54)), *_curve((80, 62), (50, 74), (20, 62))]


def _sad(paper: _Paper) -> None:
    _both(paper, _curve((18, 38), (30, 35), (38, 25)), 5)
    _dots(paper, 49)
    paper.stroke(_curve((34, 79), (50, 59), (66, 79)), 5.5)
    _drop(paper, 25, 70, 11)


def _angry(paper: _Paper) -> None:
    _dots(paper, 50, 12, 14)
    _both(paper, [(17, 30), (43, 44)], 8)
    mouth = [*_curve((27, 80), (50, 56), (73, 80)), *_curve((71, 86), (50, 76), (29, 86))]
    paper.shape(mouth, _WHITE)
    for x in (36, 45, 55, 64):
        paper.within(mouth, lambda p, x=x: p.stroke([(x, 60), (x, 90)], 2))
    paper.stroke([*mouth, mouth[0]], 4)


def _disgust(paper: _Paper) -> None:
    _both(paper, [(21, 37), (40, 46), (22, 54)], 5.5)
    _both(paper, _curve((20, 29), (32, 26), (42, 34)), 4.5)
    _both(paper, _curve((45, 50), (43, 55), (46, 59)), 2.6)
    tongue = [(46, 70), (74, 70), *_curve((74, 70), (77, 95), (60, 95), (60, 95))]
    tongue += _curve((60, 95), (60, 95), (44, 95), (46, 70))
    paper.shape(tongue, _TONGUE)
    paper.stroke([(60, 74), (60, 84)], 2.2, (176, 52, 70))
    paper.stroke([*tongue[2:]], 2.2, (140, 36, 52))
    paper.stroke(_curve((24, 76), (36, 60), (48, 76), (60, 66), (78, 70)), 5.5)


def _fear(paper: _Paper) -> None:
    _both(paper, _curve((17, 27), (28, 23), (38, 14)), 4.5)
    _wide_eyes(paper, 43, 23, 8)
    top = _curve((29, 74), (38, 62), (62, 62), (71, 74))
    low = [(71, 84), (64, 79), (57, 85), (50, 79), (43, 85), (36, 79), (29, 84)]
    paper.shape([*top, *low], _MOUTH)
    paper.within(
        [*top, *low], lambda p: p.shape([*_curve((26, 66), (50, 60), (74, 66)), (74, 71), (26, 71)], _WHITE)
    )
    paper.stroke([*top, *low, top[0]], 3.2)
    _drop(paper, 86, 27, 10)


def _surprise(paper: _Paper) -> None:
    _both(paper, _curve((19, 22), (30, 8), (41, 20)), 5)
    _wide_eyes(paper, 42, 21, 12)
    for x in (31, 69):
        paper.oval(x - 2.5, 40, 4, 4, _WHITE)
    paper.oval(50, 76, 27, 33, _INK)
    paper.oval(50, 76, 22, 28, _MOUTH)
    paper.within(_oval(50, 76, 22, 28), lambda p: p.oval(50, 90, 20, 16, _TONGUE))


def _neutral(paper: _Paper) -> None:
    _dots(paper, 44)
    paper.stroke([(32, 71), (68, 71)], 5.5)


def _contempt(paper: _Paper) -> None:
    for x in (31, 69):
        eye = _oval(x, 45, 22, 20)
        lower = [(px, py) for px, py in eye if py >= 44]
        paper.shape(lower, _WHITE)
        paper.within(lower, lambda p, x=x: p.oval(x + 5, 46, 11, 13, _INK))
        paper.stroke([(x - 11.5, 44), (x + 11.5, 44)], 4.5)
    paper.stroke([(19, 34), (42, 34)], 5)
    paper.stroke(_curve((58, 29), (70, 17), (82, 25)), 5)
    paper.stroke(_curve((33, 74), (54, 76), (71, 62)), 5.5)
    paper.stroke(_curve((70, 57), (76, 60), (75, 67)), 3.5)


_FACES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], Callable[[_Paper], None]]] = {
    "angry": ((255, 142, 84), (206, 66, 28), _angry),
    "disgust": ((150, 214, 120), (38, 148, 102), _disgust),
    "fear": ((236, 190, 232), (176, 104, 176), _fear),
    "happy": ((255, 236, 96), (246, 186, 38), _happy),
    "sad": ((110, 180, 230), (28, 112, 184), _sad),
    "surprise": ((190, 232, 255), (92, 182, 236), _surprise),
    "neutral": ((228, 226, 222), (160, 158, 154), _neutral),
    "contempt": ((238, 200, 158), (194, 134, 86), _contempt),
}
"""The light and the dark of a face, RGB, and what is painted on it."""

NAMES = tuple(_FACES)
"""The expressions that have an emoji: FER2013's seven, and FER+'s contempt."""


def draw_emoji(emotion: str, size: int = 96) -> np.ndarray:
    """The emoji of an expression: RGBA uint8 (size, size, 4), opacity 0 to 255 in the last channel.

    Raises BadInputError for an expression without one (`NAMES` lists them) and a size below 1.
    """
    if emotion not in _FACES or size < 1:
        raise BadInputError(f"no emoji of {emotion!r} in {size} pixels; there are {', '.join(NAMES)}")
    master = _master(emotion)
    shrink = size < _MASTER
    return cv2.resize(master, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


@lru_cache(maxsize=len(_FACES))
def _master(emotion: str) -> np.ndarray:
    light, dark, paint = _FACES[emotion]
    ball = _ball(_MASTER * _FINER, light, dark)
    paper = _Paper(Image.fromarray(ball))
    paint(paper)
    picture = np.dstack([np.asarray(paper.image)[..., :3], ball[..., 3]])
    return cv2.resize(picture, (_MASTER, _MASTER), interpolation=cv2.INTER_AREA)


def _ball(side: int, light: Sequence[int], dark: Sequence[int]) -> np.ndarray:
    """A shaded disc with a darker rim, RGBA; outside it is clear, in the colour of the rim, so that no edge shows."""
    along = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    x, y = along[None, :], along[:, None]
    away = np.hypot(x, y)
    shade = np.clip(np.hypot(x + 0.25, y + 0.4) / 1.35, 0, 1)[..., None] ** 1.4
    colour = (1 - shade) * np.float32(light) + shade * np.float32(dark)
    colour = np.where((away > 0.93)[..., None], np.float32(dark) * 0.72, colour)
    return np.dstack([colour, np.where(away < 0.985, 255, 0)]).round().astype(np.uint8)


def place_emoji(image: np.ndarray, emotion: str, box: Sequence[int]) -> None:
    """Lay the emoji of an expression over a box of a picture, RGB uint8 (h, w, 3), which is changed.

    Its side is 1.1 times the longer side of the box, its middle the box's; what reaches over the border
    of the picture is cut off. Raises as `draw_emoji`.
    """
    x, y, width, height = box
    side = max(1, round(1.1 * max(width, height)))
    left, top = round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)
    rows = slice(max(top, 0), min(top + side, image.shape[0]))
    columns = slice(max(left, 0), min(left + side, image.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    emoji = draw_emoji(emotion, side)[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    opacity = emoji[..., 3:].astype(np.uint16)
    under = image[rows, columns]
    image[rows, columns] = (emoji[..., :3] * opacity + under * (255 - opacity) + 127) // 255
