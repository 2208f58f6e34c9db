"""Pictures in and out: decode, check, turn, convert, resize, crop. The only place where BGR becomes RGB.

An *image* is uint8 (height, width, 3) in RGB order; a *gray* image is uint8 (height, width); values are 0 to 255.
"""

import io
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ferlib.common.boxes import clamp_box, grow_box
from ferlib.common.errors import BadInputError, ImageError, ImageFormatError, ImageLimitError, logger
from ferlib.common.files import disguise, whole

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
_PIXELS_OF_FORMAT = {
    "JPEG2000": 10_000_000,
    "PPM": 500_000,  # as text; its raw form has the general limit
    "WEBP": 20_000_000,
    "AVIF": 20_000_000,
    "HEIF": 25_000_000,
    "TIFF": 40_000_000,
    "progressive JPEG": 30_000_000,
    "more than 8 bits per channel": 18_000_000,
}
"""Lower limits where decoding takes longer: up to 8 MB of any format take at most 2 s of CPU and 400 MB of memory."""
MAX_TILES = 40_000
"""Tiles or strips of a TIFF: each is a step in Python."""
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
        ImageError: The file is missing, empty or truncated.
        ImageFormatError: It is not a picture of a known format.
        ImageLimitError: It is over a limit, which the message names.
    """
    name = "picture" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read_bytes(Path(source))
    if not data:
        raise ImageError(f"{name}: the file is empty")
    if len(data) > MAX_BYTES:
        raise ImageLimitError(
            f"{name}: {len(data):,} bytes, more than the limit of {MAX_BYTES:,}; save it smaller"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused or repaired below
            picture = open_image(data, max_pixels, name)
            picture.load()
            return _to_rgb(picture, data, name)
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
        picture = Image.open(io.BytesIO(data), formats=_formats(data))
    except Image.DecompressionBombError as error:
        raise ImageLimitError(f"{name}: more pixels than the limit of {max_pixels:,}") from error
    except UnidentifiedImageError as error:  # Pillow's own words name a memory address
        known = any(data.startswith(magic) for magic in _SIGNATURES)  # and the rest cannot be read
        message = f"{name}: not a whole picture ({_describe(data)})"
        raise (ImageError if known else ImageFormatError)(message) from error
    _check_limits(picture, data, name, max_pixels)
    return picture


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImageLimitError(
                f"{path}: {size:,} bytes, more than the limit of {MAX_BYTES:,}; save it smaller"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise ImageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats that a file may have: HEIF for HEIC where pillow-heif is installed, else FORMATS."""
    return ("HEIF",) if _is_heic(data) and _register_heic() else FORMATS


def _register_heic() -> bool:
    """Tell Pillow of pillow-heif, if it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _is_heic(data: bytes) -> bool:
    """Whether the file's first box has a brand of HEIF and none of AVIF, which has the same container."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    heif = any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"))
    return data[4:8] == b"ftyp" and heif and b"avif" not in brands and b"avis" not in brands


_HEIC = "HEIC, which needs pillow-heif: pip install 'ferlib[heic]'"
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_KINDS = (
    (b"%!PS", "PostScript"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
)


def _describe(data: bytes) -> str:
    """What a file is that is not a picture of FORMATS."""
    start = data[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture"
    if b"<svg" in start:
        return "SVG; save it as PNG"
    if _is_heic(data):
        return "broken HEIC" if _register_heic() else _HEIC
    if data[4:8] == b"ftyp" or (data[:4] == b"RIFF" and data[8:12] == b"AVI "):
        return "a video, not a picture"
    named = (what for magic, what in _KINDS if data.startswith(magic))
    kind = disguise(data) or next(named, "no known picture format")
    return f"{kind}; read are {', '.join(FORMATS)}"


def _check_limits(picture: ImageFile.ImageFile, data: bytes, name: str, max_pixels: int) -> None:
    width, height = picture.size
    pixels, tiles = width * height, picture.tile
    codec = str(tiles[0][0]) if tiles else ""
    if pixels > max_pixels:
        raise ImageLimitError(f"{name}: {width}×{height} pixels, more than the limit of {max_pixels:,}")
    longest, shortest = max(width, height), max(1, min(width, height))
    if longest > MAX_SIDE or longest > MAX_ASPECT * shortest:
        raise ImageLimitError(
            f"{name}: {width}×{height} pixels; the limits are {MAX_SIDE:,} per side and {MAX_ASPECT} times the other"
        )
    kinds = [] if codec == "raw" else [picture.format or ""]
    kinds += ["progressive JPEG"] * bool(picture.info.get("progressive"))
    kinds += ["more than 8 bits per channel"] * _is_deep(picture, data)
    for kind in kinds:
        if pixels > (most := _PIXELS_OF_FORMAT.get(kind, max_pixels)):
            raise ImageLimitError(
                f"{name}: {width}×{height} pixels, more than the limit of {most:,} for {kind}; save it smaller"
            )
    if len(tiles) > MAX_TILES:
        raise ImageLimitError(
            f"{name}: {len(tiles):,} tiles, more than the limit of {MAX_TILES:,}; save it as PNG"
        )
    if codec == "bmp_rle" and len(data) > _MAX_RLE_BYTES:
        raise ImageLimitError(f"{name}: a run-length encoded BMP of {len(data):,} bytes; save it as PNG")
    if (
        picture.format in ("JPEG", "MPO")
        or codec == "jpeg"
        or "jpeg" in str(picture.info.get("compression", ""))
    ):
        scans = data.count(b"\xff\xda")  # inside coded data every FF is followed by 00 or a restart marker
        if scans > MAX_SCANS + len(tiles) or (scans > 12 and scans * pixels > MAX_SCAN_PIXELS * len(tiles)):
            raise ImageLimitError(
                f"{name}: a JPEG of {scans} scans, far more than any camera writes; save it again"
            )


def _to_rgb(picture: ImageFile.ImageFile, data: bytes, name: str) -> np.ndarray:
    """A decoded picture as RGB, turned, in strips: as a whole the steps would take several times its size."""
    deep = _deep_values(picture, data)
    width, height = picture.size
    turn = picture.getexif().get(0x0112, 1)  # the orientation (Exif 2.3)
    rgb = np.empty((width, height, 3) if turn in (5, 6, 7, 8) else (height, width, 3), np.uint8)
    stored = _stored_view(rgb, turn)
    transparent = "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info
    convert = None if deep is None else _eight_bits(deep, name)
    step = max(1, 1_000_000 // width)
    for top in range(0, height, step):
        rows = slice(top, min(height, top + step))
        if deep is not None and convert is not None:
            stored[rows] = convert(deep[rows])
            continue
        strip = picture.crop((0, rows.start, width, rows.stop))
        if transparent:
            strip.info = picture.info
            strip = strip.convert("RGBA")
            white = Image.new("RGBA", strip.size, (255, 255, 255, 255))
            strip = Image.alpha_composite(white, strip)
        stored[rows] = np.asarray(strip.convert("RGB"))
    return rgb


def _stored_view(turned: np.ndarray, orientation: int) -> np.ndarray:
    """A view of a turned picture in the order of its file: what is written to it is turned by the orientation."""
    view = turned.transpose(1, 0, 2) if orientation in (5, 6, 7, 8) else turned
    down = -1 if orientation in (3, 4, 6, 7) else 1
    right = -1 if orientation in (2, 3, 7, 8) else 1
    return view[::down, ::right]


def _is_deep(picture: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether a picture has more than 8 bits per channel."""
    bits = getattr(picture, "tag_v2", {}).get(258, (8,))  # BitsPerSample
    deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
    return deep or (picture.format == "PNG" and data[24] == 16) or int(max(np.ravel(bits))) > 8


def _deep_values(picture: ImageFile.ImageFile, data: bytes) -> np.ndarray | None:
    """The values of a picture with more than 8 bits per channel, (h, w) or (h, w, 3); None for all others."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture)
    if _is_deep(picture, data):
        # Pillow keeps the upper byte only, which loses data of 10 or 12 bits
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is not None and values.ndim == 3 and values.dtype != np.uint8:
            return values[:, :, 2::-1] if values.shape[2] == 3 else None
    return None


def _eight_bits(values: np.ndarray, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """How values become 0..255 by the range that they use: 8, 10, 12, 14 or 16 bits; floats 0..1 or their maximum."""
    floats = values.dtype.kind == "f"
    if floats:
        most = max((float(np.max(row, where=np.isfinite(row), initial=0)) for row in values), default=0.0)
        top = next((top for top in (1.0, 255.0) if most <= top), most)
        usual = top == 255.0
    else:
        most = float(max(values.max(), 0))
        top = next((top for top in (255, 1023, 4095, 16383, 65535) if most <= top), most)
        usual = top == 65535 or (top == 255 and values.dtype.itemsize > 2)  # Pillow reads some as 32 bits
    if not usual:
        logger.warning("%s: its values end at %g; they are scaled as if %g were white", name, most, top)
    divisor = {255.0: 1.0, 65535.0: 257.0}.get(float(top), top / 255)
    whole_numbers = np.uint32 if top <= 65535 else np.uint64

    def convert(part: np.ndarray) -> np.ndarray:
        if floats:
            eight = np.clip(np.nan_to_num(part.astype(np.float64)) / divisor, 0, 255).astype(np.uint8)
        else:
            eight = (np.maximum(part, 0).astype(whole_numbers) * 255 // int(top)).astype(np.uint8)
        return eight if eight.ndim == 3 else eight[:, :, None]

    return convert


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
