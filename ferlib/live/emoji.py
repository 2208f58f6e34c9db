"""Emoji of the expressions: pictures with transparency that are laid over faces.

System B covers each face with the emoji of its emotion, but has six pictures for seven classes and does not clip
them at the border of the frame. These are our own drawings, one per class; each has the colour of its class
in bars and timelines. The PNG files are in the folder `emoji_images`, RGBA, 384 x 384 pixels.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ferlib.common.errors import BadInputError, check_choice
from ferlib.common.labels import EIGHT

NAMES = EIGHT
"""The expressions that have an emoji: FER2013's seven, and FER+'s contempt."""


def load_emoji(emotion: str, size: int = 96) -> Image.Image:
    """Load the emoji of an expression in a given size.

    Args:
        emotion: One of `NAMES`.
        size: Width and height in pixels, from 1 up.

    Returns:
        An RGBA picture (size, size).

    Raises:
        BadInputError: The expression has no emoji, or the size is below 1.
    """
    check_choice("emoji", emotion, NAMES)
    if size < 1:
        raise BadInputError(f"emoji size {size!r} is below 1 pixel; give a whole number from 1 up")
    return _load_file(emotion).resize((size, size))


@lru_cache(maxsize=len(NAMES))
def _load_file(emotion: str) -> Image.Image:
    with Image.open(Path(__file__).with_name("emoji_images") / f"{emotion}.png") as image:
        return image.convert("RGBA")


def place_emoji(canvas: Image.Image, emotion: str, box: Sequence[int]) -> None:
    """Lay the emoji of an expression over a face, in place.

    The emoji is centred on the box, and its side is 1.1 times the longer side of the box. What reaches over the
    border of the picture is cut off.

    Args:
        canvas: The picture, RGB; it is changed.
        emotion: One of `NAMES`.
        box: The face's (x, y, width, height) in pixels; it may reach over the border.

    Raises:
        BadInputError: The expression has no emoji.
    """
    x, y, width, height = box
    side = max(1, round(1.1 * max(width, height)))
    emoji = load_emoji(emotion, side)
    canvas.paste(emoji, (round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)), emoji)
