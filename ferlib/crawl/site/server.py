"""A small picture search on this machine: answers as the real ones do, and breaks as the real web does.

Its pictures are drawn, so the series needs no network and shows no real person; which of them are
broken, and how, follows from their number alone.
"""

import re
import socketserver
import threading
import time
import zlib
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import numpy as np

from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.crawl.site import pages
from ferlib.crawl.sources.baidu import BaiduListSource, BaiduSource
from ferlib.crawl.sources.base import Source
from ferlib.crawl.sources.commons import CommonsSource
from ferlib.crawl.sources.openverse import OpenverseSource

PAGE_SIZE = 30
"""Pictures on a result page, as on Baidu's."""

MOST = 10_000
"""The largest number of pictures a keyword can have here."""

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

ROBOTS = "User-agent: *\nDisallow: /private/\n"
WEB_PAGE = b"<!DOCTYPE html>\n<html><title>Sorry</title><body>No pictures for other sites.</body></html>\n"


def photo_kind(seed: int) -> str:
    """What the site makes of a picture: `fine`, or one of the values of KINDS."""
    return KINDS.get(seed % MOST % PAGE_SIZE, "fine")


def photo_seed(url: str) -> int | None:
    """The seed that draws the picture behind an address of the local site; None for any other address.

    A near copy is another picture, in another size, and has none.
    `ferlib.synth.draw_photo(seed)` then gives the truth: boxes, expressions, action units.
    """
    parts = urlsplit(url)
    match = re.fullmatch(r"(?:/mirror|/private)?/photo/(\d+)\.jpg", parts.path)
    return int(match[1]) if match and parts.hostname == "127.0.0.1" else None


def draw(seed: int) -> np.ndarray:
    """The drawn photo of a seed: uint8 (h, w, 3), RGB."""
    from ferlib import synth  # not needed for other sources

    return synth.draw_photo(seed).image


class LocalSite:
    """The site, on 127.0.0.1 at a free port: `with LocalSite(seed=7) as site: … site.url …`.

    `seed`: the same one gives the same pictures; `photos`: results a keyword has (each keyword its
    own); `draw(seed) -> image` RGB uint8 makes a picture when it is first asked for; `delay`: seconds
    that every answer waits; `faults`: False makes every picture a fine one. `start()` and `stop()` do
    what the `with` block does.
    """

    def __init__(
        self,
        seed: int = 7,
        photos: int = 200,
        draw: Callable[[int], np.ndarray] = draw,
        delay: float = 0.0,
        faults: bool = True,
    ):
        if not 0 <= photos <= MOST:
            raise BadInputError(f"photos is {photos}; the local site can have 0 to {MOST}")
        self.seed, self.photos, self.delay, self.faults = seed, photos, delay, faults
        self._draw = draw
        self._cache: dict[tuple[int, str], bytes] = {}
        self._asked: set[int] = set()
        self._lock = threading.Lock()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`; BadInputError while the site is not running."""
        if self._server is None:
            raise BadInputError("the local site is not running; call start() or use it in a with block")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def source(self, kind: str = "baidu") -> Source:
        """The source that searches this site, which speaks as `baidu`, `baidu-list`, `commons` or `openverse`."""
        if kind in ("baidu", "baidu-list"):
            source = BaiduSource if kind == "baidu" else BaiduListSource
            return source(self.url, name="local", licence=LICENCE)
        if kind in ("commons", "openverse"):
            return (CommonsSource if kind == "commons" else OpenverseSource)(self.url, name=f"local-{kind}")
        raise BadInputError(
            f"the local site does not speak as {kind!r}; it knows baidu, baidu-list, commons and openverse"
        )

    def start(self) -> "LocalSite":
        if self._server is None:
            self._server = _Server(("127.0.0.1", 0), _Handler)
            self._server.site = self
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> "LocalSite":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    def seeds(self, keyword: str) -> range:
        """The seeds of a keyword's pictures, in the order of the results."""
        first = MOST * (1000 * self.seed + zlib.crc32(keyword.encode()) % 1000)
        return range(first, first + self.photos)

    def kind(self, seed: int) -> str:
        """`photo_kind`, or `fine` on a site without faults."""
        return photo_kind(seed) if self.faults else "fine"

    def address(self, seed: int) -> str:
        """The address of a picture in the results; a copy stands at another address than its picture."""
        kind, place = self.kind(seed), seed % MOST % PAGE_SIZE
        folder = {"copy": "/mirror", "near copy": "/smaller", "private": "/private"}.get(kind, "")
        return f"{self.url}{folder}/photo/{seed - place + COPY_OF[place] if 'copy' in kind else seed}.jpg"

    def answer(self, target: str) -> tuple[int, str, bytes, int]:
        """What the site says to `GET target`: status, content type, body, and the length it claims."""
        parts = urlsplit(target)
        if match := re.fullmatch(r"(/mirror|/smaller|/private|)/photo/(\d{1,15})\.jpg", parts.path):
            return self._photo(int(match[2]), match[1])
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path in pages.PATHS:
            return self._search(parts.path, query)
        if parts.path == "/robots.txt":
            return 200, "text/plain", ROBOTS.encode(), len(ROBOTS)
        if match := re.fullmatch(r"/page/(\d+)\.html", parts.path):
            body = f"<!DOCTYPE html><html><body>Drawn photo {match[1]}, {LICENCE}.</body></html>".encode()
            return 200, "text/html; charset=utf-8", body, len(body)
        return 404, "text/plain", b"not found\n", 10

    def _search(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes, int]:
        kind, write = pages.PATHS[path]

        def results(keyword: str, begin: int, size: int) -> list[pages.Result]:
            seeds = self.seeds(keyword)[begin : begin + min(size, PAGE_SIZE)] if keyword.strip() else ()
            return [pages.Result(s, self.address(s), f"{self.url}/page/{s}.html") for s in seeds]

        body = write(query, results, self.photos).encode()
        return 200, kind, body, len(body)

    def _photo(self, seed: int, folder: str) -> tuple[int, str, bytes, int]:
        kind = "near copy" if folder == "/smaller" else self.kind(seed)
        if kind == "missing":
            return 404, "text/plain", b"not found\n", 10
        if kind == "web page":
            return 200, "text/html", WEB_PAGE, len(WEB_PAGE)
        if kind == "busy":
            with self._lock:
                first_time = seed not in self._asked
                self._asked.add(seed)
            if first_time:
                return 503, "text/plain", b"busy, come back\n", 16
        body = self._jpeg(seed, kind)
        if kind == "cut off":
            half = body[: len(body) // 2]
            return 200, "image/jpeg", half, len(half)
        if kind == "broken off":
            return 200, "image/jpeg", body[: len(body) // 2], len(body)
        return 200, "image/jpeg", body, len(body)

    def _jpeg(self, seed: int, kind: str) -> bytes:
        """Drawn once and kept; two threads that ask at once may both draw it, to the same bytes."""
        if (seed, kind) not in self._cache:
            self._cache[seed, kind] = self._encoded(self._draw(seed), kind)
        return self._cache[seed, kind]

    def _encoded(self, image: np.ndarray, kind: str) -> bytes:
        if kind == "thumbnail":
            return images.encode_jpeg(images.resize(image, THUMBNAIL))
        if kind == "near copy":
            height, width = (round(side * NEAR_SCALE) for side in image.shape[:2])
            return images.encode_jpeg(images.resize(image, (width, height)), NEAR_QUALITY)
        return images.encode_jpeg(image)


class _Server(socketserver.ThreadingTCPServer):
    site: LocalSite
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = False

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up early is no news."""


class _Handler(socketserver.StreamRequestHandler):
    """HTTP/1.1 as far as a search site for one machine needs it: GET, connections that stay open.

    The standard library's handler parses every header of every request; that alone would make the site
    slower than its visitors.
    """

    disable_nagle_algorithm = True
    timeout = 30

    def handle(self) -> None:
        while self._answer():
            pass

    def _answer(self) -> bool:
        """One request; False where the connection ends."""
        try:
            words = self.rfile.readline(65_537).split()
            lines = 0
            while (line := self.rfile.readline(65_537)) not in (b"\r\n", b"\n", b""):
                lines += 1
                if lines > 100 or line.lower().replace(b" ", b"").startswith(b"connection:close"):
                    words = [*words, b"close"]
        except OSError:
            return False
        if len(words) < 3:
            return False
        keep = words[2] == b"HTTP/1.1" and len(words) == 3
        site = self.server.site
        if site.delay:
            time.sleep(site.delay)
        if words[0] != b"GET":
            status, kind, body, length = 405, "text/plain", b"only GET\n", 9
        else:
            try:
                status, kind, body, length = site.answer(words[1].decode("latin-1"))
            except Exception as error:  # a drawing that fails is told, not hidden in a dead thread
                body = f"{type(error).__name__}: {error}\n".encode()
                status, kind, length = 500, "text/plain", len(body)
        keep = keep and length == len(body)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {length}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        try:
            # One send: two would wait for each other's receipt.
            self.connection.sendall(head.encode("ascii") + body)
        except OSError:
            return False
        return keep
