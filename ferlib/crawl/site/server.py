"""A small picture search on this machine, which answers as the real ones do, and fails as the real web does.

Its pictures are drawn, so the series needs no network and shows no real person. Which of them are broken, and
how, follows from their number alone.
"""

import re
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from ferlib.common import images
from ferlib.common.errors import BadInputError, check_choice
from ferlib.common.html import render
from ferlib.crawl.sources.baidu import BaiduListSource, BaiduSource, exchanged_address
from ferlib.crawl.sources.base import Source
from ferlib.crawl.sources.commons import CommonsSource
from ferlib.crawl.sources.openverse import OpenverseSource

SITES: dict[str, Callable[..., Source]] = {
    "baidu": BaiduSource,
    "baidu-list": BaiduListSource,
    "commons": CommonsSource,
    "openverse": OpenverseSource,
}
"""The sites that can be searched, each with an interface that the local site has too: name to source."""

PAGE_SIZE = 30
"""Pictures on a result page, as on Baidu's."""

MOST = 10_000
"""The largest number of pictures that a keyword can have."""

LICENCE = "drawn by ferlib (MIT)"

# By the picture's place on its page. The others are fine.
KINDS = {
    3: "missing",
    6: "thumbnail",
    9: "web page",
    13: "cut off",
    16: "busy",
    18: "copy",
    21: "broken off",
    24: "private",
    27: "thumbnail",
    29: "near copy",
}
COPY_OF = {18: 1, 29: 11}
THUMBNAIL = (120, 90)
NEAR_SCALE, NEAR_QUALITY = 0.7, 70
FOLDERS = {"copy": "/mirror", "near copy": "/smaller", "private": "/private"}

INTERFACES = {
    "/search/flip": ("search.html", "word", "pn", ""),
    "/search/acjson": ("search_baidu.json", "word", "pn", "rn"),
    "/w/api.php": ("search_commons.json", "gsrsearch", "gsroffset", "gsrlimit"),
    "/v1/images/": ("search_openverse.json", "q", "page", "page_size"),
}
"""For each path its template, and the parameters with the search word, the offset or page, and the size."""

ROBOTS = b"User-agent: *\nDisallow: /private/\n"
WEB_PAGE = b"<!DOCTYPE html>\n<html><title>Sorry</title><body>No pictures for other sites.</body></html>\n"


def photo_kind(seed: int) -> str:
    """Tell what the site makes of a picture.

    Args:
        seed: The seed of the picture.

    Returns:
        `fine`, or one of the values of KINDS.
    """
    return KINDS.get(seed % MOST % PAGE_SIZE, "fine")


def photo_seed(url: str) -> int | None:
    """Give the seed of a picture of the local site; `ferlib.synth.draw_photo(seed)` has its ground truth.

    Args:
        url: Address of the picture.

    Returns:
        The seed; None for any other address, and for a near copy, which is another picture in another size.
    """
    parts = urlsplit(url)
    match = re.fullmatch(r"(?:/mirror|/private)?/photo/(\d+)\.jpg", parts.path)
    return int(match[1]) if match and parts.hostname == "127.0.0.1" else None


Draw = Callable[[int], np.ndarray]


def draw_image(seed: int) -> np.ndarray:
    """Draw the photo of a seed.

    Args:
        seed: The seed.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    from ferlib import synth  # other sources do not need it

    return synth.draw_photo(seed).image


@dataclass(frozen=True)
class Answer:
    """An answer of the site.

    Args:
        body: Its content.
        content_type: Its media type.
        status: HTTP status.
        length: The length that its header says, None for that of the body.
    """

    body: bytes
    content_type: str = "text/plain"
    status: int = 200
    length: int | None = None


NOT_FOUND = Answer(b"not found\n", status=404)


class LocalSite:
    """The site, on 127.0.0.1 at a free port while a `with` block runs.

    Args:
        seed: Seed of the pictures.
        photos: Number of results of a keyword; each keyword has its own.
        draw: Draws the picture of a seed, uint8 (height, width, 3), RGB, when it is first requested.
        delay: Seconds that every answer waits.
        faults: False makes every picture a fine one.

    Raises:
        BadInputError: `photos` is negative or more than MOST.

    Example:
        >>> with LocalSite(seed=7) as site:
        ...     print(site.url)
    """

    def __init__(
        self,
        seed: int = 7,
        photos: int = 200,
        draw: Draw = draw_image,
        delay: float = 0.0,
        faults: bool = True,
    ):
        if not 0 <= photos <= MOST:
            raise BadInputError(f"photos is {photos}; the local site can have 0 to {MOST}")
        self.seed, self.photos, self.delay, self.faults = seed, photos, delay, faults
        self._draw = draw
        self._cache: dict[tuple[int, str], bytes] = {}
        self._requested: set[int] = set()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`; BadInputError while the site is not running."""
        if self._server is None:
            raise BadInputError("the local site is not running; use it in a with block")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def source(self, kind: str = "baidu") -> Source:
        """Give the source that searches this site.

        Args:
            kind: The interface: `baidu`, `baidu-list`, `commons` or `openverse`.

        Returns:
            The source.

        Raises:
            BadInputError: There is no such interface.
        """
        check_choice("interface of the local site", kind, SITES)
        own = {"name": "local", "licence": LICENCE} if kind.startswith("baidu") else {"name": f"local-{kind}"}
        return SITES[kind](self.url, **own)

    def __enter__(self) -> "LocalSite":
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.site = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def seeds(self, keyword: str) -> range:
        """Give the seeds of a keyword's pictures.

        Args:
            keyword: The search word.

        Returns:
            The seeds in the order of the results.
        """
        first = MOST * (1000 * self.seed + zlib.crc32(keyword.encode()) % 1000)
        return range(first, first + self.photos)

    def kind(self, seed: int) -> str:
        """Tell what this site makes of a picture.

        Args:
            seed: The seed of the picture.

        Returns:
            What `photo_kind` says, or `fine` on a site without faults.
        """
        return photo_kind(seed) if self.faults else "fine"

    def address(self, seed: int) -> str:
        """Give the address of a picture in the results; a copy has another address than its original.

        Args:
            seed: The seed of the picture.

        Returns:
            The address.
        """
        kind, place = self.kind(seed), seed % MOST % PAGE_SIZE
        number = seed - place + COPY_OF[place] if "copy" in kind else seed
        return f"{self.url}{FOLDERS.get(kind, '')}/photo/{number}.jpg"

    def answer(self, target: str) -> Answer:
        """Answer a GET request.

        Args:
            target: Path and query.

        Returns:
            The answer.
        """
        parts = urlsplit(target)
        if match := re.fullmatch(r"(/mirror|/smaller|/private|)/photo/(\d{1,15})\.jpg", parts.path):
            return self._photo(int(match[2]), match[1])
        if parts.path in INTERFACES:
            return self._search(parts.path, dict(parse_qsl(parts.query)))
        if parts.path == "/robots.txt":
            return Answer(ROBOTS)
        if match := re.fullmatch(r"/page/(\d+)\.html", parts.path):
            text = f"<!DOCTYPE html><html><body>Drawn photo {match[1]}, {LICENCE}.</body></html>"
            return Answer(text.encode(), "text/html; charset=utf-8")
        return NOT_FOUND

    def _search(self, path: str, query: dict[str, str]) -> Answer:
        template, *parameters = INTERFACES[path]
        word, place, number = (query.get(name, "") for name in parameters)
        keyword = word.removeprefix("filetype:bitmap ")
        seeds = self.seeds(keyword) if keyword.strip() else range(0)
        most = 20 if "page" in parameters else PAGE_SIZE  # without an account at Openverse
        size = min(int(number), most) if number.isdecimal() and int(number) else most
        offset = int(place) if place.isdecimal() else 0
        if "page" in parameters:
            offset = max(offset - 1, 0) * size
        found = [(seed, self.address(seed)) for seed in seeds[offset : offset + size]]
        results = [{"seed": s, "url": url, "page": f"{self.url}/page/{s}.html"} for s, url in found]
        values = {"keyword": keyword, "query": query, "offset": offset, "size": size, "results": results}
        text = render(template, exchange=exchanged_address, total=len(seeds), **values)
        kind = "text/html" if template.endswith(".html") else "application/json"
        return Answer(text.encode(), f"{kind}; charset=utf-8")

    def _photo(self, seed: int, folder: str) -> Answer:
        kind = "near copy" if folder == FOLDERS["near copy"] else self.kind(seed)
        if kind == "missing":
            return NOT_FOUND
        if kind == "web page":
            return Answer(WEB_PAGE, "text/html")
        if kind == "busy" and seed not in self._requested:
            self._requested.add(seed)
            return Answer(b"busy, come back\n", status=503)
        if (seed, kind) not in self._cache:  # two threads may both draw it, with the same result
            self._cache[seed, kind] = self._encode(self._draw(seed), kind)
        body = self._cache[seed, kind]
        if kind in ("cut off", "broken off"):
            length = len(body) if kind == "broken off" else None
            return Answer(body[: len(body) // 2], "image/jpeg", length=length)
        return Answer(body, "image/jpeg")

    def _encode(self, image: np.ndarray, kind: str) -> bytes:
        if kind == "thumbnail":
            return images.encode_jpeg(images.resize(image, THUMBNAIL))
        if kind == "near copy":
            height, width = (round(side * NEAR_SCALE) for side in image.shape[:2])
            return images.encode_jpeg(images.resize(image, (width, height)), NEAR_QUALITY)
        return images.encode_jpeg(image)


class _Server(ThreadingHTTPServer):
    site: LocalSite
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client may hang up early."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    wbufsize = 1 << 20  # headers and body in one send: two would wait for each other's receipt

    def do_GET(self) -> None:
        site = self.server.site
        time.sleep(site.delay)
        try:
            answer = site.answer(self.path)
        except Exception as error:  # a drawing that fails is reported, not hidden in a thread
            answer = Answer(f"{type(error).__name__}: {error}\n".encode(), status=500)
        length = len(answer.body) if answer.length is None else answer.length
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(length))
        if length != len(answer.body):
            self.send_header("Connection", "close")  # which also makes the handler close it
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """The site has no log."""
