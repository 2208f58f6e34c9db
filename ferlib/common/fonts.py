"""A font that has the letters of a text: class names may be in any script."""

from functools import lru_cache

from PIL import ImageFont

from ferlib.common.errors import logger

FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "arial.ttf", "Arial Unicode.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "PingFang.ttc"),
    *("NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
)
"""Font files of Linux, Windows and macOS, in the order in which Pillow looks for them in the system's folders."""

_NO_LETTER = "\U000fffff"  # no font has it, so all draw their sign for a missing letter


def find_font(text: str) -> str:
    """Find a font that has all letters of a text.

    Args:
        text: The text. Letters that no font has are logged, once.

    Returns:
        The path of the font's file; "" for the font inside Pillow, which is the same on every machine: where it has the
        letters, or no font of `FONTS` on this machine has them.
    """
    return _find("".join(sorted({letter for letter in text if not letter.isascii()})))


@lru_cache(maxsize=256)
def _find(letters: str) -> str:
    for name in ("", *FONTS):
        try:
            font = ImageFont.truetype(name, 20) if name else ImageFont.load_default(20)
        except OSError:
            continue
        missing = bytes(font.getmask(_NO_LETTER))
        if all(bytes(font.getmask(letter)) != missing for letter in letters):
            return str(getattr(font, "path", "")) if name else ""
    logger.warning(
        "no font on this machine has all of the letters %s, which are drawn as boxes; install one, for example with "
        "apt-get install fonts-noto-cjk",
        letters,
    )
    return ""
