"""A small picture search on this machine, which answers as Baidu's page does and breaks as the real web does.

Its pictures are drawn, so the series needs no network and shows no real person; which of them are
broken, and how, follows from their number alone.
"""

import html
import json
import re
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np

from ferlib import images
from ferlib.crawl.sources import BaiduSource, exchanged_address
from ferlib.errors import BadInputError

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
    24: "missing",
    27: "thumbnail",
    29: "copy",
}
COPY_OF = {18: 1, 29: 11}
THUMBNAIL = (120, 90)

ROBOTS = "User-agent: *\nDisallow: /private/\n"
WEB_PAGE = b"<!DOCTYPE html>\n<html><title>Sorry</title><body>No pictures for other sites.</body></html>\n"


def photo_kind(seed: int) -> str:
    """What the site makes of a picture: `fine`, or one of the values of KINDS."""
    return KINDS.get(seed % MOST % PAGE_SIZE, "fine")


def photo_seed(url: str) -> int | None:
    """The seed that draws the picture behind an address of the local site; None for any other address.

    `ferlib.synth.draw_photo(seed)` then gives the truth: boxes, expressions, action units.
    """
    parts = urlsplit(url)
    match = re.fullmatch(r"(?:/mirror)?/photo/(\d+)\.jpg", parts.path)
    return int(match[1]) if match and parts.hostname == "127.0.0.1" else None


def draw(seed: int) -> np.ndarray:
    """The drawn photo of a seed: uint8 (h, w, 3), RGB."""
    from ferlib import synth  # not needed for other sources

    return synth.draw_photo(seed).image


class LocalSite:
    """The site, on 127.0.0.1 at a free port: `with LocalSite(seed=7) as site: … site.url …`.

    `seed`: the same one gives the same pictures; `photos`: results a keyword has (each keyword its
    own); `draw(seed) -> image` RGB uint8 makes a picture when it is first asked for; `delay`: seconds
    that every answer waits. `start()` and `stop()` do what the `with` block does.
    """

    def __init__(
        self, seed: int = 7, photos: int = 200, draw: Callable[[int], np.ndarray] = draw, delay: float = 0.0
    ):
        if not 0 <= photos <= MOST:
            raise BadInputError(f"photos is {photos}; the local site can have 0 to {MOST}")
        self.seed, self.photos, self.delay = seed, photos, delay
        self._draw = draw
        self._cache: dict[tuple[int, str], bytes] = {}
        self._asked: set[int] = set()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`; BadInputError while the site is not running."""
        if self._server is None:
            raise BadInputError("the local site is not running; call start() or use it in a with block")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def source(self) -> BaiduSource:
        """The source that searches this site."""
        return BaiduSource(self.url, name="local", licence=LICENCE)

    def start(self) -> "LocalSite":
        if self._server is None:
            self._server = _Server(("127.0.0.1", 0), _Handler)
            self._server.site = self
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
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

    def address(self, seed: int) -> str:
        """The address of a picture in the results; a copy stands at another address than its picture."""
        place = seed % MOST % PAGE_SIZE
        if place in COPY_OF:
            return f"{self.url}/mirror/photo/{seed - place + COPY_OF[place]}.jpg"
        return f"{self.url}/photo/{seed}.jpg"

    def answer(self, target: str) -> tuple[int, str, bytes, int]:
        """What the site says to `GET target`: status, content type, body, and the length it claims."""
        parts = urlsplit(target)
        if parts.path == "/search/flip":
            query = parse_qs(parts.query)
            offset = query.get("pn", ["0"])[0]
            body = self._result_page(query.get("word", [""])[0], int(offset) if offset.isdecimal() else 0)
            return 200, "text/html; charset=utf-8", body, len(body)
        if parts.path == "/robots.txt":
            return 200, "text/plain", ROBOTS.encode(), len(ROBOTS)
        if match := re.fullmatch(r"/page/(\d+)\.html", parts.path):
            body = f"<!DOCTYPE html><html><body>Drawn photo {match[1]}, {LICENCE}.</body></html>".encode()
            return 200, "text/html; charset=utf-8", body, len(body)
        if match := re.fullmatch(r"(?:/mirror)?/photo/(\d{1,15})\.jpg", parts.path):
            return self._photo(int(match[1]))
        return 404, "text/plain", b"not found\n", 10

    def _result_page(self, keyword: str, offset: int) -> bytes:
        seeds = self.seeds(keyword)[offset : offset + PAGE_SIZE] if keyword.strip() else range(0)
        results = [
            {
                "pageNum": offset + place,
                "objURL": self.address(seed),
                "fromURL": exchanged_address(f"{self.url}/page/{seed}.html"),
                "fromURLHost": "127.0.0.1",
                "type": "jpg",
                "fromPageTitle": f"Drawn photo {seed}",
            }
            for place, seed in enumerate(seeds)
        ]
        rows = [json.dumps(result, separators=(",", ":")) for result in results] + [
            "{}"
        ]  # Baidu's ends with {}
        total = len(self.seeds(keyword)) if keyword.strip() else 0
        head = {"queryEnc": quote(keyword), "displayNum": total, "listNum": total}
        data = json.dumps(head, separators=(",", ":"))[:-1] + ',"data":[' + ",\n".join(rows) + "]}"
        word = html.escape(keyword)
        related = "".join(_related(f"{more} {keyword}") for more in ("happy", "surprised", "drawn"))
        return (
            '<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
            f"<title>{word} - picture search</title></head><body>\n"
            f'<div id="resultInfo">{total} pictures found</div>\n'
            f'<div id="topRS"><em>related: </em>{related}</div>\n'
            f"<script>\nflip.setData('imgData', {data});\n</script>\n</body></html>\n"
        ).encode()

    def _photo(self, seed: int) -> tuple[int, str, bytes, int]:
        kind = photo_kind(seed)
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
            image = self._draw(seed)
            self._cache[seed, kind] = images.encode_jpeg(
                images.resize(image, THUMBNAIL) if kind == "thumbnail" else image
            )
        return self._cache[seed, kind]


def _related(words: str) -> str:
    address = f"/search/flip?tn=baiduimage&amp;ie=utf-8&amp;word={quote(words)}"
    return f'<a class="pull-rs" href="{address}">{html.escape(words)}</a>'


class _Server(ThreadingHTTPServer):
    site: LocalSite
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up early is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def do_GET(self) -> None:
        site = self.server.site
        if site.delay:
            time.sleep(site.delay)
        try:
            status, kind, body, length = site.answer(self.path)
        except Exception as error:  # a drawing that fails is told, not hidden in a dead thread
            body = f"{type(error).__name__}: {error}\n".encode()
            status, kind, length = 500, "text/plain", len(body)
        self.close_connection = self.close_connection or length != len(body)
        head = (
            f"HTTP/1.1 {status} {self.responses[status][0]}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {length}\r\n"
            f"Connection: {'close' if self.close_connection else 'keep-alive'}\r\n\r\n"
        )
        self.wfile.write(head.encode("ascii") + body)  # one send: two would wait for each other's receipt

    def log_message(self, *_) -> None:
        """Nothing on stderr."""
