"""Pictures in and out: decode, check, turn, gray, resize. The only place where BGR meets RGB.

An *image* is uint8 (height, width, 3) in RGB order, a *gray* uint8 (height, width), 0 to 255.
"""

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ferlib.common.boxes import clamp_box, grow_box
from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.files import whole

MAX_PIXELS = 50_000_000
"""Larger pictures are refused before they are decoded; a phone's largest are about this size."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def load_image(source: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A picture from a path or from bytes, turned as its EXIF says: uint8 (h, w, 3), RGB.

    Any colour mode becomes RGB: transparent parts become white, 16-bit gray is scaled to 8 bits,
    of an animation the first frame counts. The whole file is decoded, so a cut-off one is found.
    Raises ImageError for what is missing, empty, no picture, cut off, or over `max_pixels`.
    """
    name = "picture" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
    if not data:
        raise ImageError(f"{name}: the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused or repaired below
            picture = Image.open(io.BytesIO(data))
            width, height = picture.size
            if width * height > max_pixels:
                raise ImageError(f"{name}: {width}×{height} pixels, more than the limit of {max_pixels}")
            return _to_rgb(ImageOps.exif_transpose(picture))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: more pixels than the limit of {max_pixels}") from error
    except UnidentifiedImageError as error:  # Pillow's own words name a memory address
        raise ImageError(f"{name}: not a whole picture (no known picture format)") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError …
        raise ImageError(f"{name}: not a whole picture ({error})".replace("\n", " ")) from error


def _to_rgb(picture: Image.Image) -> np.ndarray:
    picture.load()
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture, dtype=np.float64)
        # 16 bits unless the values say otherwise; Pillow's own conversion would clip at 255
        scale = 257.0 if picture.mode.startswith("I;16") or values.max(initial=0) > 255 else 1.0
        gray = np.clip(values / scale, 0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(picture.convert("RGB"))


def to_gray(image: np.ndarray) -> np.ndarray:
    """RGB to gray with the usual weights (ITU-R BT.601); a gray comes back as it is."""
    check(image)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def to_bgr(image: np.ndarray) -> np.ndarray:
    """RGB to OpenCV's BGR."""
    check(image, colour=True)
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def to_rgb(frame: np.ndarray) -> np.ndarray:
    """OpenCV's BGR, as `VideoCapture.read` gives it, to RGB."""
    check(frame, colour=True)
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def as_rgb(image: np.ndarray, colour: str | None = None) -> np.ndarray:
    """An array whose colour order is said, "rgb" or "bgr", as RGB; a gray (h, w) needs none and gets three channels.

    Raises ImageError for what is no picture, BadInputError for another order or none.
    """
    check(image)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if colour not in ("rgb", "bgr"):
        raise BadInputError(f"colour {colour!r}: say the array's order, 'rgb' or 'bgr' (OpenCV's)")
    return image if colour == "rgb" else to_rgb(image)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at `size` = (width, height): by area when it shrinks, bilinear when it grows."""
    check(image)
    width, height = size
    smaller = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def face_input(image: np.ndarray, size: int = 48) -> np.ndarray:
    """A cropped face as a network takes it: uint8 gray (size, size), 0 to 255, not yet rescaled."""
    return resize(to_gray(image), (size, size))


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write RGB or gray; the format follows the suffix. Written beside and renamed, never half a file."""
    check(image)
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path.name}: the suffix says no format; use one of {', '.join(SUFFIXES)}")
    with whole(path) as part:
        Image.fromarray(image).save(part)


def encode_jpeg(image: np.ndarray, quality: int = 85) -> bytes:
    """RGB or gray as the bytes of a JPEG file."""
    check(image)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def check(image: np.ndarray, colour: bool = False) -> None:
    """Raise ImageError for what is no image or gray; with `colour` for a gray, too."""
    shape = getattr(image, "shape", None)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in shape:
        raise ImageError(f"expected a uint8 picture (h, w, 3) or (h, w), got {type(image).__name__} {shape}")
    if (image.ndim == 3 and image.shape[2] != 3) or (colour and image.ndim == 2):
        raise ImageError(f"expected three colour channels, got shape {shape}")


def crop_face(image: np.ndarray, box: Sequence[int], margin: float = 0.0) -> np.ndarray:
    """The part of a picture inside a box, as a copy. `margin` adds that share of the box on each side.

    What reaches outside is clamped. Raises ImageError where nothing of the box lies in the picture.
    """
    height, width = image.shape[:2]
    if 0 in clamp_box(box, width, height)[2:]:
        box = tuple(int(value) for value in box)
        raise ImageError(f"box {box} has no pixel inside the picture of {width}×{height}")
    x, y, w, h = clamp_box(grow_box(box, margin), width, height)
    return image[y : y + h, x : x + w].copy()
