"""Pictures in and out: decode, check, turn, convert, resize, crop. The only place where BGR becomes RGB.

An *image* is uint8 (height, width, 3) in RGB order; a *gray* image is uint8 (height, width); values are 0 to 255.
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
"""Larger pictures are refused before they are decoded. The largest pictures of phones are about this size."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def load_image(source: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture and turn it as its EXIF orientation says.

    Every colour mode becomes RGB: transparent parts become white, 16-bit gray is scaled to 8 bits, and of an
    animation the first frame counts. The whole file is decoded, so a truncated one is found.

    Args:
        source: A path, or the bytes of a file.
        max_pixels: Larger pictures are refused before they are decoded.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        ImageError: The file is missing, empty, not a picture, truncated, or over `max_pixels`.
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
    """Convert to gray with the usual weights (ITU-R BT.601).

    Args:
        image: uint8 (height, width, 3) RGB, or (height, width) gray, which is returned as it is.

    Returns:
        uint8 (height, width).
    """
    check(image)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Convert RGB to OpenCV's BGR.

    Args:
        image: uint8 (height, width, 3), RGB.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    check(image, colour=True)
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def to_rgb(frame: np.ndarray) -> np.ndarray:
    """Convert OpenCV's BGR, as `VideoCapture.read` returns it, to RGB.

    Args:
        frame: uint8 (height, width, 3), BGR.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    check(frame, colour=True)
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def as_rgb(image: np.ndarray, colour: str | None = None) -> np.ndarray:
    """Convert an array to RGB.

    Args:
        image: uint8 (height, width, 3), or (height, width) gray, which gets three equal channels.
        colour: The order of the channels, "rgb" or "bgr" (OpenCV's); not needed for gray.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        BadInputError: The order is missing or unknown.
    """
    check(image)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if colour not in ("rgb", "bgr"):
        raise BadInputError(f"colour={colour!r}: give the array's channel order, 'rgb' or 'bgr' (OpenCV's)")
    return image if colour == "rgb" else to_rgb(image)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a picture: area interpolation when it shrinks, bilinear when it grows.

    Args:
        image: uint8 (height, width, 3) or (height, width).
        size: (width, height) in pixels.

    Returns:
        The picture at that size.
    """
    check(image)
    width, height = size
    smaller = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def face_input(image: np.ndarray, size: int = 48) -> np.ndarray:
    """Convert a cropped face to what a network takes.

    Args:
        image: uint8 (height, width, 3) RGB, or (height, width) gray.
        size: Side of the result in pixels.

    Returns:
        uint8 gray (size, size), 0 to 255, not yet rescaled.
    """
    return resize(to_gray(image), (size, size))


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write a picture through a temporary file; the suffix says the format.

    Args:
        path: The file, with a suffix of SUFFIXES.
        image: uint8 (height, width, 3) RGB, or (height, width) gray.

    Raises:
        ImageError: The suffix is unknown.
    """
    check(image)
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path.name}: unknown suffix for a picture; use one of {', '.join(SUFFIXES)}")
    with whole(path) as part:
        Image.fromarray(image).save(part)


def encode_jpeg(image: np.ndarray, quality: int = 85) -> bytes:
    """Encode a picture as JPEG.

    Args:
        image: uint8 (height, width, 3) RGB, or (height, width) gray.
        quality: 1 to 95.

    Returns:
        The bytes of a JPEG file.
    """
    check(image)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def check(image: np.ndarray, colour: bool = False) -> None:
    """Check that an array is a picture.

    Args:
        image: What should be uint8 (height, width, 3) or (height, width).
        colour: Whether a gray image is refused, too.

    Raises:
        ImageError: It is not a picture; the message has its type and shape.
    """
    shape = getattr(image, "shape", ())
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in shape:
        raise ImageError(f"expected a uint8 picture (h, w, 3) or (h, w), got {type(image).__name__} {shape}")
    if (image.ndim == 3 and image.shape[2] != 3) or (colour and image.ndim == 2):
        raise ImageError(f"expected three colour channels, got shape {shape}")


def crop_face(image: np.ndarray, box: Sequence[int], margin: float = 0.0) -> np.ndarray:
    """Cut a box out of a picture.

    Args:
        image: uint8 (height, width, 3) or (height, width).
        box: (x, y, width, height) in pixels; what reaches outside the picture is clamped.
        margin: The share of the box that is added on each side.

    Returns:
        A copy of that part of the picture.

    Raises:
        ImageError: No pixel of the box is inside the picture.
    """
    height, width = image.shape[:2]
    if 0 in clamp_box(box, width, height)[2:]:
        numbers = tuple(int(value) for value in box)
        raise ImageError(f"box {numbers} has no pixel inside the picture of {width}×{height}")
    x, y, w, h = clamp_box(grow_box(box, margin), width, height)
    return image[y : y + h, x : x + w].copy()
