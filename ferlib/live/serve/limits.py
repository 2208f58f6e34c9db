"""What the server takes, and how it says no: one line of JSON."""

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
"""Sent with every answer. The page may load nothing from elsewhere and stand in nobody's frame."""

_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
}


@dataclass(frozen=True)
class Limits:
    """What one server takes."""

    bytes: int = 8_000_000
    """Of the body of a request."""
    bytes_held: int = 64_000_000
    """Of all bodies in memory at once, also those that are still arriving."""
    pixels: int = 25_000_000
    """Of a picture; looked up in its header before anything is decoded, which takes some 16 bytes a pixel."""
    faces: int = 32
    """Of a picture: the largest are read, the others counted."""
    pictures: int = 16
    """In one request."""
    at_once: int = 32
    """Requests with pictures, worked on or waiting. More are sent away with 503."""
    connections: int = 200
    """Open at once. More wait in the system's queue."""
    wait_seconds: float = 10
    """How long a request waits for its turn before 503."""
    request_seconds: float = 20
    """How long a request may take to arrive, whole, however steadily it drips in; also an idle connection."""


class Refused(FerlibError):
    """A request that is not answered; `status` is HTTP's number, `retry` seconds until a new try makes sense."""

    def __init__(self, status: int, line: str, retry: int | None = None):
        super().__init__(line)
        self.status, self.retry = status, retry


def too_large(limits: Limits) -> Refused:
    """The request has more bytes than are taken."""
    return Refused(413, f"the request is larger than {limits.bytes / 1e6:g} MB; send a smaller picture")


def busy() -> Refused:
    """The server has enough to do."""
    return Refused(503, "the server is busy; try again in a second", retry=1)


def error_body(line: str) -> bytes:
    """A line as the JSON of an error."""
    return json.dumps({"error": " ".join(line.split())}).encode() + b"\n"


def check_picture(data: bytes, limits: Limits) -> None:
    """Look at the first bytes and the header of a picture; raises Refused with 400, 413 or 415.

    Nothing is decoded: a bomb of a few kilobytes that unfolds to gigabytes is refused here.
    """
    if not data:
        raise Refused(400, "no picture was sent: the body is empty")
    kind = next((name for beginning, name in _BEGINNINGS.items() if data.startswith(beginning)), None)
    kind = "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else kind
    if kind is None:
        raise Refused(415, "this is no JPEG, PNG, WebP, GIF or BMP picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures, which are refused below
            width, height = Image.open(io.BytesIO(data), formats=[kind]).size
    except Image.DecompressionBombError:
        raise _too_many_pixels("a picture", limits) from None
    except Exception:  # Pillow's readers raise OSError, SyntaxError, struct.error, ValueError …
        raise Refused(400, f"this {kind} picture is broken: its header cannot be read") from None
    if width * height > limits.pixels:
        raise _too_many_pixels(f"{width}×{height} pixels", limits)


def _too_many_pixels(what: str, limits: Limits) -> Refused:
    return Refused(
        413, f"{what}: more than the limit of {limits.pixels / 1e6:g} million pixels; send a smaller copy"
    )
