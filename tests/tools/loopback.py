"""What the crawler's tests share: pictures, a server that answers as a test likes, a source of given addresses."""

import io
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

from ferlib.common import images
from ferlib.common.errors import CrawlError
from ferlib.crawl.sources.base import PictureRecord, ResultPage


def noise(seed: int) -> np.ndarray:
    """A stand-in for a drawn photo: quick, and like no other seed's."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return np.kron(small, np.ones((10, 10, 1), np.uint8))


def jpeg(seed: int = 0) -> bytes:
    return images.encode_jpeg(noise(seed))


def encoded(picture: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


@contextmanager
def server(answer, robots=False):
    """A server where `answer(handler, path, visit)` writes what it likes; gives its address and visits.

    It has no robots.txt, unless `robots` leaves that to `answer` too.
    """
    visits = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self):
            self.close_connection = True
            if self.path == "/robots.txt" and not robots:
                return send(self, b"no", 404)
            visits[self.path] += 1
            answer(self, self.path, visits[self.path])

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass

    httpd = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}", visits
    finally:
        httpd.shutdown()
        httpd.server_close()


def send(handler, body=b"", status=200, length=None, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.send_header("Connection", "close")  # said, or the client may send its next question into the void
    handler.end_headers()
    handler.wfile.write(body)


class ListSource:
    """A source of given addresses, in pages of given length."""

    name = "list"
    is_api = False

    def __init__(self, urls, page=10, fail_at=None):
        self.urls, self.page, self.fail_at = urls, page, fail_at

    def pages(self, keyword, get):
        for number, k in enumerate(range(0, len(self.urls), self.page)):
            if number == self.fail_at:
                raise CrawlError("the list is torn")
            yield ResultPage(tuple(PictureRecord(url, "", "mine") for url in self.urls[k : k + self.page]))
