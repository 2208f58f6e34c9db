"""Checks of a downloaded file: is it a complete picture, large enough, and like no other one?"""

import re
import threading
from dataclasses import dataclass
from functools import cache

import imagehash
import numpy as np
from PIL import ExifTags, Image, ImageOps

from ferlib.common.errors import ImageError
from ferlib.common.images import SUFFIX_OF, open_image
from ferlib.crawl.manifest import Row
from ferlib.crawl.settings import CrawlSettings, Rejected
from ferlib.detect.detector import detect_faces, load_cascade

SHAPE = 0.03
"""Relative difference in width by height that near copies may have: a resize rounds to whole pixels."""


class Library:
    """The pictures that are kept, by their bytes and by their looks.

    Args:
        near_bits: Two pictures of one shape are near copies if at most this many of 64 bits differ; -1 finds none.
    """

    def __init__(self, near_bits: int = 4):
        self._near_bits = near_bits
        self._file_of: dict[str, str] = {}
        self._files: list[str] = []
        self._hashes = np.zeros(0, np.uint64)
        self._shapes = np.zeros(0)

    def add(self, row: Row) -> None:
        """Add a picture that is kept.

        Args:
            row: Its row. A row with the `phash` "" is a near copy of none.
        """
        self._file_of[row.sha256] = row.file
        if row.phash and row.height:
            self._files.append(row.file)
            self._hashes = np.append(self._hashes, np.uint64(int(row.phash, 16)))
            self._shapes = np.append(self._shapes, row.width / row.height)

    def find_same(self, row: Row) -> str:
        """Find the picture with the same bytes.

        Args:
            row: The row of a new picture.

        Returns:
            The name of its file, or "".
        """
        return self._file_of.get(row.sha256, "")

    def find_near(self, row: Row) -> str:
        """Find the first picture that looks the same and has the same shape.

        Args:
            row: The row of a new picture.

        Returns:
            The name of its file, or "".
        """
        if not (row.phash and row.height and self._files):
            return ""
        bits = np.bitwise_count(self._hashes ^ np.uint64(int(row.phash, 16))).astype(int)
        shape = row.width / row.height
        near = (bits <= self._near_bits) & (np.abs(self._shapes - shape) <= SHAPE * shape)
        return self._files[int(near.argmax())] if near.any() else ""


HASH_SIZE = (32, 32)
"""Size of the gray picture that a perceptual hash is made of; imagehash's own choice for 64 bits."""
DRAFT = 128
"""Smallest side of a JPEG after decoding: enough for the gray picture above to be the same."""
FLAT = 8
"""Gray levels between the darkest and the brightest part of a picture without structure."""
FACE_SIDE = 1000
"""Faces are looked for in a picture of at most this length, which is enough for any face and fast."""


@dataclass(frozen=True)
class Picture:
    """A checked picture.

    Args:
        suffix: Suffix of its file, by content.
        width: Width in pixels, after the rotation that EXIF asks for.
        height: Height in pixels.
        phash: Perceptual hash, 16 hexadecimal digits; "" for a picture without any structure.
    """

    suffix: str
    width: int
    height: int
    phash: str = ""


def check_picture(data: bytes, settings: CrawlSettings | None = None) -> Picture:
    """Decode a complete file of a format of `images.FORMATS`, by its content, never by a name. Safe in threads.

    The limits of `images.load_image` hold, which bound the time that a file can take: pixels, sides, scans.

    Args:
        data: Content of the file.
        settings: What a picture must be; None for the defaults.

    Returns:
        Its suffix, size and perceptual hash.

    Raises:
        Rejected: A web page or anything else that is no picture, a truncated or damaged file, one over a limit
            (which is not decoded then), a shorter side under `settings.min_side`, or fewer faces than
            `settings.min_faces`.
    """
    settings = settings or CrawlSettings()
    if not data:
        raise Rejected("empty file")
    try:
        picture: Image.Image = open_image(data, settings.max_pixels)
        suffix = SUFFIX_OF[str(picture.format)]
        width, height = picture.size
        if not settings.min_faces:
            # Every byte of a JPEG is still decoded, but only its brightness is computed, and no larger than
            # the hash needs, which takes half of the time. Other formats are not affected.
            picture.draft("L", (DRAFT, DRAFT))
        picture.load()
        # Reading EXIF takes as long as decoding a small file, and most files have none.
        if picture.format in ("PNG", "TIFF") or "exif" in picture.info or "xmp" in picture.info:
            if picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8):  # turned by 90°
                width, height = height, width
            picture = ImageOps.exif_transpose(picture)
        phash = perceptual_hash(picture)
    except ImageError as error:
        reason = str(error).removeprefix("picture: ")
        if kind := re.search(r"not a whole picture \((.*?)(?:; read are .*)?\)$", reason):
            known = kind[1] != "no known picture format"
            reason = "not a picture" + f": {kind[1]}" * known if "not a picture" not in kind[1] else kind[1]
        raise Rejected(reason) from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError …
        raise Rejected("cut off or damaged") from error
    if min(width, height) < settings.min_side:
        raise Rejected(f"a side under {settings.min_side} pixels", width, height)
    if settings.min_faces and count_faces(picture) < settings.min_faces:
        few = "no face found" if settings.min_faces == 1 else f"fewer than {settings.min_faces} faces"
        raise Rejected(few, width, height)
    return Picture(suffix, width, height, phash)


def perceptual_hash(picture: Image.Image) -> str:
    """Describe the looks of a picture in 64 bits, which hardly change with a resize or a new JPEG.

    The signs of the 8×8 lowest frequencies of its 32×32 gray version (`imagehash.phash`, after
    E. Klinger and D. Starkweather, pHash, 2010).

    Args:
        picture: A decoded picture in any mode.

    Returns:
        16 hexadecimal digits; "" for a picture of one colour, whose bits would be noise.
    """
    gray = _gray(picture)
    if np.ptp(np.asarray(gray, np.int16)) < FLAT:
        return ""
    return np.packbits(imagehash.phash(gray).hash).tobytes().hex()


def _gray(picture: Image.Image) -> Image.Image:
    """At HASH_SIZE; transparent pixels become white and 16 bits 8, as in `images.load_image`."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture, dtype=np.float32)
        gray = Image.fromarray(np.clip(values / max(values.max(), 1.0) * 255, 0, 255).astype(np.uint8))
        return gray.resize(HASH_SIZE, Image.Resampling.LANCZOS)
    transparent = "A" in picture.getbands() or "transparency" in picture.info
    if transparent or picture.mode not in ("L", "RGB", "CMYK", "YCbCr"):
        picture = picture.convert("RGBA" if transparent else "RGB")
    small = picture.resize(HASH_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if transparent:
        small = Image.alpha_composite(Image.new("RGBA", HASH_SIZE, "white"), small)
    return small.convert("L")


_cascade = cache(load_cascade)
_detecting = threading.Lock()  # a detector of OpenCV has a state while it runs, and uses all cores anyway


def count_faces(picture: Image.Image) -> int:
    """Count the faces that `ferlib.detect.detector.detect_faces` finds.

    Args:
        picture: A decoded picture.

    Returns:
        The number of faces.
    """
    small = picture.convert("RGB")
    small.thumbnail((FACE_SIDE, FACE_SIDE))
    with _detecting:
        return len(detect_faces(np.asarray(small), _cascade()))
