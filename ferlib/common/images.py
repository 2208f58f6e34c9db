"""Pictures in and out: decode, check, turn, convert, resize, crop. The only place where BGR becomes RGB.

An *image* is uint8 (height, width, 3) in RGB order; a *gray* image is uint8 (height, width); values are 0 to 255.
"""

import io
import os
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ferlib.common.boxes import clamp_box, grow_box
from ferlib.common.errors import BadInputError, ImageError, logger
from ferlib.common.files import whole

SUFFIX_OF = {
    **{
        "JPEG": ".jpg",
        "MPO": ".jpg",
        "PNG": ".png",
        "WEBP": ".webp",
        "GIF": ".gif",
        "BMP": ".bmp",
        "DIB": ".dib",
    },
    **{"TIFF": ".tif", "AVIF": ".avif", "JPEG2000": ".jp2", "PPM": ".ppm", "HEIF": ".heic"},
}
"""The usual suffix of each format, by Pillow's name."""
FORMATS = tuple(name for name in SUFFIX_OF if name not in ("MPO", "HEIF"))
"""Pillow's names of the formats that are read, everywhere the same (MPO is a JPEG). No other decoder is started."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"),
)
"""Suffixes of picture files. Which format a file has is decided by its content."""

WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Suffixes that `write_image` takes."""

MAX_BYTES = 100_000_000
"""Larger files are refused before they are read."""
MAX_PIXELS = 50_000_000
"""Larger pictures are refused before they are decoded. The largest pictures of phones are about this size."""
MAX_SIDE, MAX_ASPECT = 32_000, 64
"""Longest side in pixels, and longest side per shortest: a picture of 1×24,000,000 pixels has no face."""
MAX_SCANS, MAX_SCAN_PIXELS = 200, 1_000_000_000
"""Scans of a progressive JPEG, and scans × pixels: each scan costs time, even an empty one. Usual are 10 scans."""
_SLOW_PIXELS = {
    "JPEG2000": 12_000_000,
    "PPM": 500_000,
}  # of formats whose decoder takes over 0.1 s per megapixel
_MAX_RLE_BYTES = 500_000  # run-length BMPs are decoded in pure Python


def load_image(source: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture and turn it as its EXIF orientation says.

    Every colour mode becomes RGB: transparent parts become white, more than 8 bits per channel are scaled to 8 by
    the range that the values have (with a logged line where that is not the full range), and of an animation or
    a file with several pictures the first one counts. The whole file is decoded, so a truncated one is found.

    Args:
        source: A path, or the bytes of a file.
        max_pixels: Larger pictures are refused before they are decoded.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        ImageError: The file is missing, empty, not a picture of a known format, truncated, or over a limit.
    """
    name = "picture" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read_bytes(Path(source))
    if not data:
        raise ImageError(f"{name}: the file is empty")
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"{name}: {len(data):,} bytes, more than the limit of {MAX_BYTES:,}; save it smaller"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused or repaired below
            picture = open_image(data, max_pixels, name)
            picture.load()
            return _upright(_to_rgb(picture, data, name), picture)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError …
        raise ImageError(f"{name}: not a whole picture ({error})".replace("\n", " ")) from error


def open_image(data: bytes, max_pixels: int = MAX_PIXELS, name: str = "picture") -> ImageFile.ImageFile:
    """Open a picture without decoding it: its format and size, within all limits.

    Args:
        data: The bytes of a file.
        max_pixels: Larger pictures are refused.
        name: What the messages call it.

    Returns:
        Pillow's picture; `load` decodes it and may raise almost any error then.

    Raises:
        ImageError: Not a picture of a known format, or over a limit.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: more pixels than the limit of {max_pixels:,}") from error
    except UnidentifiedImageError as error:  # Pillow's own words name a memory address
        raise ImageError(f"{name}: not a whole picture ({_describe(data)})") from error
    _check_limits(picture, data, name, max_pixels)
    return picture


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImageError(f"{path}: {size:,} bytes, more than the limit of {MAX_BYTES:,}; save it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise ImageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


@cache
def _formats() -> tuple[str, ...]:
    """FORMATS, and HEIC where pillow-heif is installed."""
    try:
        import pillow_heif
    except ImportError:
        return FORMATS
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


_KINDS = (
    (b"%!PS", "PostScript"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
)


def _describe(data: bytes) -> str:
    """What a file is that is not a picture of FORMATS."""
    start = data[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture"
    if b"<svg" in start:
        return "SVG; save it as PNG"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"):
        return "HEIC, which needs pillow-heif: pip install pillow-heif"
    if data[4:8] == b"ftyp" or (data[:4] == b"RIFF" and data[8:12] == b"AVI "):
        return "a video, not a picture"
    kind = next((what for magic, what in _KINDS if data.startswith(magic)), "no known picture format")
    return f"{kind}; read are {', '.join(FORMATS)}"


def _check_limits(picture: ImageFile.ImageFile, data: bytes, name: str, max_pixels: int) -> None:
    width, height = picture.size
    pixels, tiles = width * height, picture.tile
    codec = str(tiles[0][0]) if tiles else ""
    if pixels > max_pixels:
        raise ImageError(f"{name}: {width}×{height} pixels, more than the limit of {max_pixels:,}")
    longest, shortest = max(width, height), max(1, min(width, height))
    if longest > MAX_SIDE or longest > MAX_ASPECT * shortest:
        raise ImageError(
            f"{name}: {width}×{height} pixels; the limits are {MAX_SIDE:,} per side and {MAX_ASPECT} times the other"
        )
    slow = _SLOW_PIXELS.get(picture.format or "", max_pixels)
    if pixels > slow and codec != "raw":
        raise ImageError(
            f"{name}: {width}×{height} pixels, more than the limit of {slow:,} for {picture.format}; save it as PNG"
        )
    if codec == "bmp_rle" and len(data) > _MAX_RLE_BYTES:
        raise ImageError(f"{name}: a run-length encoded BMP of {len(data):,} bytes; save it as PNG")
    if (
        picture.format in ("JPEG", "MPO")
        or codec == "jpeg"
        or "jpeg" in str(picture.info.get("compression", ""))
    ):
        scans = data.count(b"\xff\xda")  # inside coded data every FF is followed by 00 or a restart marker
        if scans > MAX_SCANS + len(tiles) or (scans > 12 and scans * pixels > MAX_SCAN_PIXELS * len(tiles)):
            raise ImageError(
                f"{name}: a JPEG of {scans} scans, far more than any camera writes; save it again"
            )


def _to_rgb(picture: ImageFile.ImageFile, data: bytes, name: str) -> np.ndarray:
    """A decoded picture as RGB, in strips: the whole picture as Python objects would take several times its size."""
    deep = _deep_values(picture, data)
    if deep is not None:
        return _eight_bits(deep, name)
    width, height = picture.size
    transparent = "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info
    rgb = np.empty((height, width, 3), np.uint8)
    step = max(1, 4_000_000 // width)
    for top in range(0, height, step):
        strip = picture.crop((0, top, width, min(height, top + step)))
        if transparent:
            strip.info = picture.info
            strip = strip.convert("RGBA")
            white = Image.new("RGBA", strip.size, (255, 255, 255, 255))
            strip = Image.alpha_composite(white, strip)
        rgb[top : top + step] = np.asarray(strip.convert("RGB"))
    return rgb


def _deep_values(picture: ImageFile.ImageFile, data: bytes) -> np.ndarray | None:
    """The values of a picture with more than 8 bits per channel, (h, w) or (h, w, 3); None for all others."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture)
    bits = getattr(picture, "tag_v2", {}).get(258, (8,))  # BitsPerSample
    if (picture.format == "PNG" and data[24] == 16) or max(np.ravel(bits)) > 8:
        # Pillow keeps the upper byte only, which loses data of 10 or 12 bits
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is not None and values.ndim == 3 and values.dtype != np.uint8:
            return values[:, :, 2::-1] if values.shape[2] == 3 else None
    return None


def _eight_bits(values: np.ndarray, name: str) -> np.ndarray:
    """Scale values to 0..255 by the range that they use: 8, 10, 12, 14 or 16 bits; floats 0..1 or their maximum."""
    most = float(np.nanmax(np.where(np.isfinite(values), values, 0), initial=0))
    if values.dtype.kind == "f":
        top = next((top for top in (1.0, 255.0) if most <= top), most)
        usual = top == 255.0
    else:
        top = next((top for top in (255, 1023, 4095, 16383, 65535) if most <= top), most)
        usual = top == 65535 or (top == 255 and values.dtype.itemsize > 2)  # Pillow reads some as 32 bits
    if not usual:
        logger.warning("%s: its values end at %g; they are scaled as if %g were white", name, most, top)
    scale = {255.0: 1.0, 65535.0: 257.0}.get(float(top), top / 255)
    eight = np.empty((*values.shape[:2], 3), np.uint8)
    for rows in np.array_split(np.arange(len(values)), max(1, values.size // 4_000_000)):
        part = np.nan_to_num(values[rows].astype(np.float64)) / scale
        part = part if part.ndim == 3 else part[:, :, None]
        eight[rows] = np.clip(part, 0, 255).astype(np.uint8)
    return eight


def _upright(image: np.ndarray, picture: Image.Image) -> np.ndarray:
    """A picture turned as its EXIF orientation says (Exif 2.3, tag 0x0112)."""
    turned = {
        2: lambda: image[:, ::-1],
        3: lambda: image[::-1, ::-1],
        4: lambda: image[::-1],
        5: lambda: image.transpose(1, 0, 2),
        6: lambda: image[::-1].transpose(1, 0, 2),
        7: lambda: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda: image[:, ::-1].transpose(1, 0, 2),
    }.get(picture.getexif().get(0x0112, 1))
    return image if turned is None else np.ascontiguousarray(turned())


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
    if path.suffix.lower() not in WRITABLE:
        raise ImageError(f"{path.name}: unknown suffix for a picture; use one of {', '.join(WRITABLE)}")
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
