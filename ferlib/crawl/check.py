"""Is it a picture, all of it, and large enough? And what does it look like, in 64 bits?"""

import io
import threading
from dataclasses import dataclass
from functools import cache

import cv2
import imagehash
import numpy as np
from PIL import Image, UnidentifiedImageError

from ferlib.crawl.limits import Limits, Rejected

SHAPE = 0.03
"""Width by height of a near copy may differ by this share: a resize rounds to whole pixels."""


class Library:
    """The pictures that are in: about 100 bytes for each."""

    def __init__(self, near_bits: int = 4):
        self._near_bits = near_bits
        self._file_of: dict[str, str] = {}
        self._names: list[str] = []
        self._hashes = np.zeros(256, np.uint64)
        self._shapes = np.zeros(256, np.float32)

    def add(self, file: str, sha256: str, phash: str, width: int, height: int) -> None:
        """A picture that is in. `phash` "" is compared with nothing."""
        self._file_of[sha256] = file
        if not phash or not height:
            return
        count = len(self._names)
        if count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._shapes = np.concatenate([self._shapes, np.zeros_like(self._shapes)])
        self._hashes[count], self._shapes[count] = int(phash, 16), width / height
        self._names.append(file)

    def same(self, sha256: str) -> str | None:
        """The file with these bytes."""
        return self._file_of.get(sha256)

    def near(self, phash: str, width: int, height: int) -> str | None:
        """The first file that looks the same: at most `near_bits` of 64 bits differ, and its shape is equal."""
        count = len(self._names)
        if not phash or not height or not count or self._near_bits < 0:
            return None
        apart = np.bitwise_count(self._hashes[:count] ^ np.uint64(int(phash, 16)))
        shape = width / height
        alike = (apart <= self._near_bits) & (np.abs(self._shapes[:count] - shape) <= SHAPE * shape)
        place = int(alike.argmax())
        return self._names[place] if alike[place] else None


SUFFIX_OF = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}
"""Pillow's name of each format that counts as a picture here, and the ending its file gets."""

EXIF_ORIENTATION = 0x0112
SMALL = 32
"""Side of the gray picture that a perceptual hash is made of; imagehash's own choice for 64 bits."""
DRAFT = 4 * SMALL
"""A JPEG's shorter side after decoding, at least: enough for the gray picture above to be the same."""
FLAT = 8
"""Gray levels between the darkest and the lightest part of a picture that has no structure."""
FACE_SIDE = 1000
"""Faces are looked for in a picture no longer than this: enough for any face, and quick."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A checked picture: its ending by content, its size in pixels after the EXIF turn, how it looks.

    `phash`: perceptual hash as 16 hexadecimal digits, "" for a picture without any structure.
    """

    suffix: str
    width: int
    height: int
    phash: str = ""


def check_picture(data: bytes, limits: Limits | None = None) -> Picture:
    """Decode the whole file: its kind by content, never by name, its size, its perceptual hash.

    Raises Rejected for a web page or other things that are no picture, a cut-off or damaged file, too
    many pixels (before they are decoded), a shorter side under `limits.min_side`, and fewer faces
    than `limits.min_faces`. Safe in threads.
    """
    limits = limits or Limits()
    if not data:
        raise Rejected("empty file")
    many = f"more than {limits.max_pixels / 1e6:g} million pixels"
    try:
        picture = Image.open(io.BytesIO(data), formats=list(SUFFIX_OF.keys() - {"MPO"}))
        suffix = SUFFIX_OF[picture.format]
        width, height = picture.size
        if width * height > limits.max_pixels:
            raise Rejected(many, width, height)
        if not limits.min_faces:
            # Every byte of a JPEG is still decoded, but only its brightness is drawn, and no larger than
            # the hash needs: half of the time. Does nothing to other formats.
            picture.draft("L", (DRAFT, DRAFT))
        picture.load()
        orientation = picture.getexif().get(EXIF_ORIENTATION, 1) if _may_turn(picture) else 1
        if orientation in (5, 6, 7, 8):  # turned by a quarter
            width, height = height, width
        turn = _TURNS.get(orientation)
        phash = perceptual_hash(picture, turn)
    except UnidentifiedImageError as error:
        start = data[:200].lstrip().lower()
        page = start.startswith((b"<!doctype html", b"<html"))
        raise Rejected("a web page, not a picture" if page else "not a picture") from error
    except Image.DecompressionBombError as error:
        raise Rejected(many) from error
    except Rejected:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError …
        raise Rejected("cut off or damaged") from error
    if min(width, height) < limits.min_side:
        raise Rejected(f"a side under {limits.min_side} pixels", width, height)
    if limits.min_faces and count_faces(picture, turn) < limits.min_faces:
        raise Rejected(
            "no face found" if limits.min_faces == 1 else f"fewer than {limits.min_faces} faces",
            width,
            height,
        )
    return Picture(suffix, width, height, phash)


def _may_turn(picture: Image.Image) -> bool:
    """Reading EXIF costs as much as decoding a small file; most files have none."""
    return picture.format == "PNG" or "exif" in picture.info or "xmp" in picture.info


def perceptual_hash(picture: Image.Image, turn: Image.Transpose | None = None) -> str:
    """How a decoded picture looks: 64 bits as 16 hexadecimal digits, nearly the same after a resize or a new JPEG.

    The signs of the 8×8 lowest frequencies of its 32×32 gray version (`imagehash.phash`, after
    E. Klinger and D. Starkweather, pHash, 2010). "" for a picture that is one colour: its bits are noise.
    """
    gray = _gray(picture)
    if turn is not None:
        gray = gray.transpose(turn)
    darkest, lightest = gray.getextrema()
    if lightest - darkest < FLAT:
        return ""
    return np.packbits(imagehash.phash(gray).hash).tobytes().hex()


def _gray(picture: Image.Image) -> Image.Image:
    """At 32×32 pixels; what is transparent is white, 16 bits become 8, as `images.load_image` has it."""
    size = (SMALL, SMALL)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture, dtype=np.float32)
        gray = Image.fromarray(np.clip(values / max(values.max(), 1.0) * 255, 0, 255).astype(np.uint8))
        return gray.resize(size, Image.Resampling.LANCZOS)
    if "A" in picture.getbands() or "transparency" in picture.info:
        small = picture.convert("RGBA").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        white = Image.new("RGBA", size, (255, 255, 255, 255))
        return Image.alpha_composite(white, small).convert("L")
    if picture.mode not in ("L", "RGB", "CMYK", "YCbCr"):
        picture = picture.convert("RGB")
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).convert("L")


_LOOKING = threading.Lock()  # OpenCV's detectors keep a state while they look, and use all cores anyway


def count_faces(picture: Image.Image, turn: Image.Transpose | None = None) -> int:
    """Faces that `ferlib.detect.detector.detect_faces` finds in a decoded picture."""
    from ferlib.detect import detector  # only where asked for

    small = picture.convert("RGB")
    small.thumbnail((FACE_SIDE, FACE_SIDE))
    if turn is not None:
        small = small.transpose(turn)
    with _LOOKING:
        return len(detector.detect_faces(np.asarray(small), _cascade()))


@cache
def _cascade() -> cv2.CascadeClassifier:
    from ferlib.detect import detector

    return detector.load_cascade()
