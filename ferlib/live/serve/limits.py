"""What the server accepts, and its refusals: one line of JSON."""

import json
import re
from dataclasses import dataclass

from werkzeug.datastructures import Headers

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

_LOOPBACK = r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?"


@dataclass(frozen=True)
class Limits:
    """What one server accepts, beside the limits on pictures of `ferlib.common.images`.

    Attributes:
        bytes: Size of a request's body.
        faces: Faces of a picture: the largest are recognised, the others only counted.
        pictures: Pictures in one request.
        requests: Requests with pictures at once, in work or waiting; more are refused with 503.
        connections: Open at once; for one more the longest silent one is closed.
        seconds: How long a request may take to arrive completely; also of an idle connection.
        decoding_seconds: How long decoding a picture may take, and waiting for it before.
    """

    bytes: int = 8_000_000
    faces: int = 32
    pictures: int = 16
    requests: int = 32
    connections: int = 100
    seconds: float = 20
    decoding_seconds: float = 5


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


def body_too_large(limits: Limits) -> str:
    """Describe the limit on the size of a request.

    Args:
        limits: The server's limits.

    Returns:
        The line of a 413 answer.
    """
    return f"the request is larger than the limit of {limits.bytes / 1e6:g} MB; send a smaller picture"


def check_site(headers: Headers) -> None:
    """Refuse what another site's page has a browser send to a server that is for this machine only.

    Under DNS rebinding the name of another site leads to this machine, so `Host` must be a name of this machine.
    A form of another site may be sent here without its consent, so the page that sends must be the server's own:
    browsers say so in `Sec-Fetch-Site`, or its `Origin` is the host that was asked for, which a reverse proxy
    repeats in `X-Forwarded-Host`. A page of another site can set none of these headers.

    Args:
        headers: The headers of the request.

    Raises:
        RefusedError: With status 403; the message names the header and what a proxy has to send.
    """
    host = headers.get("Host", "")
    if not re.fullmatch(_LOOPBACK, host, re.IGNORECASE):
        remedy = "open it as localhost; a proxy in front has to send 'Host: localhost'"
        raise RefusedError(403, f"this server does not answer as {host[:80]!r}: {remedy}")
    origin = headers.get("Origin")
    if origin is None or headers.get("Sec-Fetch-Site") == "same-origin":
        return
    site = origin.partition("://")[2]
    name = _without_port(site)
    asked = headers.get("X-Forwarded-Host", "").split(",")  # of several proxies, the outermost first
    if not re.fullmatch(_LOOPBACK, site, re.IGNORECASE) and (not name or name != _without_port(asked[0])):
        remedy = "a proxy in front has to send 'X-Forwarded-Host'"
        raise RefusedError(403, f"pages of {origin[:80]!r} may not send pictures here; {remedy}")


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host.strip()).lower()
