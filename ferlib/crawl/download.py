"""Fetch one file and make sure that it is a picture: timeouts, retries, limits, a full decode."""

import io
import re
import time
from dataclasses import dataclass

import requests
from PIL import Image, UnidentifiedImageError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Retry

from ferlib import __version__
from ferlib.errors import CrawlError, FerlibError
from ferlib.images import MAX_PIXELS

USER_AGENT = f"ferlib/{__version__} (facial expression tutorial; python-requests/{requests.__version__})"
"""Says what this is. A site that wants no such visitor can refuse it, and that is its right."""

SUFFIX_OF = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}
"""Pillow's name of each format that counts as a picture here, and the ending its file gets."""

CHUNK = 1 << 16
EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Limits:
    """What one file may cost, and what it must be.

    Seconds to connect, between two reads, and for the whole file; bytes at most; pixels of the shorter
    side at least, pixels in all at most; tries after the first, and the pause before the second of
    them in seconds (it doubles).
    """

    connect_s: float = 5.0
    read_s: float = 15.0
    deadline_s: float = 60.0
    max_bytes: int = 20_000_000
    min_side: int = 160
    max_pixels: int = MAX_PIXELS
    retries: int = 3
    pause_s: float = 0.2


@dataclass(frozen=True)
class Picture:
    """A checked picture: its ending by content, and its size in pixels after the EXIF turn."""

    suffix: str
    width: int
    height: int


class Rejected(FerlibError):
    """A file that is not taken. The message is the manifest's `reason`; sizes are 0 where unknown."""

    def __init__(self, reason: str, width: int = 0, height: int = 0):
        super().__init__(reason)
        self.width, self.height = width, height


def open_session(
    workers: int = 1, limits: Limits | None = None, user_agent: str = USER_AGENT
) -> requests.Session:
    """A session that tries again, after a pause, when a server is busy (429, 5xx) or does not answer.

    It knows http and https and nothing else, so that a redirect cannot lead to a file of this machine.
    """
    limits = limits or Limits()
    retry = Retry(
        total=limits.retries,
        read=min(limits.retries, 1),  # a server that let one wait does so again
        backoff_factor=limits.pause_s,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods={"GET"},
        respect_retry_after_header=True,
        retry_after_max=30,  # a server may ask for hours; the picture is not worth them
        raise_on_status=False,
    )
    session = requests.Session()
    adapter = HTTPAdapter(max_retries=retry, pool_connections=16, pool_maxsize=max(workers, 1))
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.headers["User-Agent"] = user_agent
    session.max_redirects = 5
    return session


def fetch_text(
    session: requests.Session, url: str, params: dict[str, str], limits: Limits | None = None
) -> str:
    """The text of a page as UTF-8; CrawlError where it does not come."""
    try:
        data = fetch_bytes(session, url, limits, params)
    except Rejected as error:
        raise CrawlError(
            f"{url} gave no page ({error}); is the address right, and the network there?"
        ) from error
    return data.decode("utf-8", errors="replace")


def fetch_bytes(
    session: requests.Session, url: str, limits: Limits | None = None, params: dict[str, str] | None = None
) -> bytes:
    """The bytes behind an address; raises Rejected with a short reason where they cannot be had whole."""
    limits = limits or Limits()
    if not url.lower().startswith(("http://", "https://")):
        raise Rejected("address is not http or https")
    end = time.monotonic() + limits.deadline_s
    for attempt in range(limits.retries + 1):
        try:
            return _fetch_once(session, url, limits, params, end)
        except (HTTPError, ConnectionError) as error:  # the body broke off; the session retried all before it
            pause = limits.pause_s * 2**attempt
            if attempt == limits.retries or time.monotonic() + pause > end:
                raise Rejected("connection broke off") from error
            time.sleep(pause)
    raise AssertionError("unreachable")


def _fetch_once(session, url, limits, params, end) -> bytes:
    try:
        response = session.get(
            url,
            params=params,
            timeout=(limits.connect_s, limits.read_s),
            stream=True,
            proxies=_proxies(url),
        )
    except (requests.ConnectTimeout, requests.ReadTimeout) as error:
        raise Rejected("no answer in time") from error
    except (requests.ConnectionError, requests.exceptions.RetryError) as error:
        # requests hides in it why urllib3 gave up
        why = getattr(error.args[0] if error.args else None, "reason", None)
        raise Rejected(
            "no answer in time" if isinstance(why, ReadTimeoutError) else "no connection"
        ) from error
    except (requests.RequestException, ValueError, HTTPError) as error:  # bad address, too many redirects, …
        raise Rejected("address cannot be followed") from error
    with response:
        if response.status_code != 200:
            raise Rejected(f"HTTP status {response.status_code}")
        return _read_body(response, limits, end)


def _read_body(response: requests.Response, limits: Limits, end: float) -> bytes:
    """Piece by piece, so that neither a huge file nor a slow one runs away with memory or time."""
    too_large = f"larger than {limits.max_bytes / 1e6:g} MB"
    if int(response.headers.get("Content-Length", 0) or 0) > limits.max_bytes:
        raise Rejected(too_large)
    body = bytearray()
    # read1 returns what is there; read and iter_content would wait for a whole piece from a slow server
    while piece := response.raw.read1(CHUNK, decode_content=True):
        body += piece
        if len(body) > limits.max_bytes:
            raise Rejected(too_large)
        if time.monotonic() > end:
            raise Rejected("no answer in time")
    return bytes(body)


def _proxies(url: str) -> dict[str, str] | None:
    """Never a proxy for a site on this machine, whatever the environment says."""
    here = re.match(r"https?://(127\.0\.0\.1|localhost)[:/]", url)
    return {"no_proxy": "127.0.0.1,localhost"} if here else None


def check_picture(data: bytes, limits: Limits | None = None) -> Picture:
    """Decode the whole file: its kind by content, never by name, and its size.

    Raises Rejected for a web page or other things that are no picture, a cut-off or damaged file, too
    many pixels (before they are decoded), and a shorter side under `limits.min_side`.
    """
    limits = limits or Limits()
    if not data:
        raise Rejected("empty file")
    many = f"more than {limits.max_pixels / 1e6:g} million pixels"
    try:
        picture = Image.open(io.BytesIO(data), formats=list(SUFFIX_OF.keys() - {"MPO"}))
        suffix = SUFFIX_OF[picture.format]
        if picture.width * picture.height > limits.max_pixels:
            raise Rejected(many, picture.width, picture.height)
        picture.load()
        width, height = picture.size
        if picture.getexif().get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8):  # turned by a quarter
            width, height = height, width
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
    return Picture(suffix, width, height)
