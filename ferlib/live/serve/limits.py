"""What the server accepts, and its refusals: one line of JSON."""

import io
import json
import warnings
from dataclasses import dataclass

from PIL import Image

from ferlib.common.errors import FerlibError

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer. The page may load nothing from elsewhere and be framed by nobody."""

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
}


@dataclass(frozen=True)
class Limits:
    """What one server accepts.

    Attributes:
        bytes: Size of a request's body.
        pixels: Size of a picture; read from its header before anything is decoded.
        faces: Faces of a picture: the largest are recognised, the others only counted.
        pictures: Pictures in one request.
        requests: Requests with pictures at once, in work or waiting; more are refused with 503.
        connections: Open at once; more wait in the system's queue.
        seconds: How long a request may take to arrive completely; also of an idle connection.
    """

    bytes: int = 8_000_000
    pixels: int = 25_000_000
    faces: int = 32
    pictures: int = 16
    requests: int = 32
    connections: int = 100
    seconds: float = 20


class RefusedError(FerlibError):
    """A request that is refused.

    Args:
        status: The HTTP status.
        message: What was wrong, in one line.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def error_body(message: str) -> bytes:
    """Encode an error as JSON.

    Args:
        message: What was wrong.

    Returns:
        `{"error": "one line"}` as UTF-8.
    """
    return json.dumps({"error": " ".join(message.split())}).encode() + b"\n"


def too_large(limits: Limits) -> str:
    """Describe the limit on a request's size.

    Args:
        limits: The server's limits.

    Returns:
        The line of a 413 answer.
    """
    return f"the request is larger than {limits.bytes / 1e6:g} MB; send a smaller picture"


def check_picture(data: bytes, limits: Limits) -> None:
    """Check the signature and the header of a picture. Nothing is decoded, so that a bomb cannot unfold.

    Args:
        data: The bytes of the file.
        limits: The server's limits.

    Raises:
        RefusedError: With status 400 (empty or broken), 413 (too many pixels) or 415 (another format).
    """
    if not data:
        raise RefusedError(400, "no picture was sent: the body is empty")
    kind = next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), None)
    kind = "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else kind
    if kind is None:
        raise RefusedError(415, "this is no JPEG, PNG, WebP, GIF or BMP picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures, which are refused below
            width, height = Image.open(io.BytesIO(data), formats=[kind]).size
            size, too_many = f"{width}×{height} pixels", width * height > limits.pixels
    except Image.DecompressionBombError:
        size, too_many = "a picture", True
    except Exception:  # Pillow's readers raise OSError, SyntaxError, struct.error, ValueError …
        raise RefusedError(400, f"this {kind} picture is broken: its header cannot be read") from None
    if too_many:
        limit = f"{limits.pixels / 1e6:g} million pixels"
        raise RefusedError(413, f"{size}: more than the limit of {limit}; send a smaller copy")
