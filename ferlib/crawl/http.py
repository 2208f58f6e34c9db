"""Download one file: timeouts, a deadline, a size limit, retries after a pause, checked redirects."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Retry

from ferlib import __version__
from ferlib.common.errors import CrawlError
from ferlib.crawl.robots import AGENT, FORBIDDEN, Robots, is_local
from ferlib.crawl.settings import CrawlSettings, Rejected

CHUNK = 1 << 16
REDIRECTS = 5
BUSY = (429, 500, 502, 503, 504)
ROBOTS_BYTES = 512_000
"""Largest size of a robots.txt; RFC 9309 asks for at least 500 KiB."""

LATE, BAD_ADDRESS = "no answer in time", "address cannot be followed"

_deadline: ContextVar[float] = ContextVar("deadline")


class _Temporary(Rejected):
    """A failure that another attempt may not have; Retry counts `error` or `response`."""

    def __init__(self, reason: str, error: Exception | None = None, response: Any = None):
        super().__init__(reason, status=response.status if response else 0)
        self.error, self.response = error, response


@contextmanager
def _until_deadline(stop: Callable[[], None]) -> Iterator[None]:
    """Stop what a socket receives at the deadline, and raise TimeoutError then.

    The timeout of a socket starts again with every byte: a server that sends its headers or the sizes of its
    chunks byte by byte would hold a worker for hours.
    """
    deadline = _deadline.get()

    def interrupt() -> None:
        with suppress(OSError, RuntimeError, ValueError):  # the connection has just ended
            stop()

    timer = threading.Timer(max(deadline - time.monotonic(), 0.0) + 0.02, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if time.monotonic() > deadline:
            raise TimeoutError(LATE)


class _Connection(HTTPConnection):
    """A connection whose headers arrive before the deadline."""

    def getresponse(self) -> Any:
        sock = self.sock
        with _until_deadline(lambda: sock.shutdown(socket.SHUT_RD)):
            return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over https."""


class _Adapter(HTTPAdapter):
    """The adapter of requests with these connections, also behind a proxy."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _SecureConnection if pool.scheme == "https" else _Connection
        return pool


class Downloader(requests.Session):
    """A session of requests that fetches files within limits and as each host allows. A context manager.

    It says who it is, sends and keeps no cookies, reads no .netrc, and uses the proxies of the environment
    except for this machine.

    Args:
        settings: Limits, rate, contact and number of workers; None for the defaults.
    """

    def __init__(self, settings: CrawlSettings | None = None):
        super().__init__()
        self.settings = settings or CrawlSettings()
        about = "; ".join(filter(None, ("facial expression tutorial", self.settings.contact)))
        self.headers["User-Agent"] = f"{AGENT}/{__version__} ({about}) {requests.utils.default_user_agent()}"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.auth = lambda request: request  # or requests would look into .netrc
        adapter = _Adapter(pool_connections=16, pool_maxsize=self.settings.workers + 1)
        for scheme in ("http://", "https://"):
            self.mount(scheme, adapter)
        timeout = (self.settings.connect_s, self.settings.read_s)
        self._get = partial(self.get, timeout=timeout, stream=True, allow_redirects=False)
        self._robots = Robots(self.settings, lambda url: self.fetch(url, None, False, ROBOTS_BYTES))

    def fetch_text(self, url: str, params: Mapping[str, str], check_robots: bool = True) -> str:
        """Fetch a page of results.

        Args:
            url: Its address.
            params: Query parameters.
            check_robots: False for an interface that is meant for programs.

        Returns:
            Its text, read as UTF-8.

        Raises:
            CrawlError: The page cannot be fetched.
        """
        try:
            return self.fetch(url, params, check_robots).decode("utf-8", errors="replace")
        except Rejected as error:
            advice = "check the address and the network connection"
            if str(error) == FORBIDDEN:
                advice = "take another source, or ask the site's owners and crawl with obey_robots=False"
            raise CrawlError(f"{url} gave no page ({error}); {advice}") from error

    def fetch(
        self, url: str, params: Mapping[str, str] | None = None, check_robots: bool = True, max_bytes: int = 0
    ) -> bytes:
        """Fetch a complete file.

        A busy server (429, 5xx) and a broken connection are tried again after a pause, or after the time that
        `Retry-After` asks for. Each address of a chain of redirects must be http or https and allowed by its
        host's robots.txt.

        Args:
            url: Its address.
            params: Query parameters.
            check_robots: Check robots.txt, if the settings say so too.
            max_bytes: Largest size; 0 for that of the settings.

        Returns:
            The content, decompressed if it came compressed.

        Raises:
            Rejected: The file cannot be fetched; the message is the reason.
        """
        retries = self.settings.retries
        # Not mounted on the adapter, because a retry there ends with the headers and knows neither the
        # deadline nor the other workers, which must leave a busy host alone.
        counts = {"read": retries, "status": retries, "redirect": REDIRECTS, "connect": min(retries, 1)}
        retry = Retry(None, backoff_factor=self.settings.pause_s).new(**counts)
        deadline = time.monotonic() + self.settings.deadline_s
        while True:
            if not url.lower().startswith(("http://", "https://")):
                raise Rejected("address is not http or https")
            began = time.monotonic()
            if check_robots and self.settings.obey_robots:
                self._robots.check(url)
            self._robots.wait(url)
            deadline += time.monotonic() - began  # waiting for the host's turn is not the file's fault
            _deadline.set(deadline)
            try:
                response, body = self._attempt(url, params, max_bytes or self.settings.max_bytes)
                if not response.is_redirect:
                    return body
                retry = retry.increment("GET", url, response.raw)
                url, params = urljoin(url, response.headers["Location"]), None
            except (exceptions.MaxRetryError, ValueError) as error:
                raise Rejected(BAD_ADDRESS) from error
            except _Temporary as failure:
                retry = self._pause(retry, url, failure)

    def _attempt(self, url: str, params: Mapping | None, max_bytes: int) -> tuple[requests.Response, bytes]:
        """A response and its body, which is empty for a redirect."""
        proxies: dict = dict.fromkeys(("http", "https", "all")) if is_local(url) else {}
        try:
            with self._get(url, params=params, proxies=proxies) as response:
                status = response.status_code
                if status in BUSY:
                    raise _Temporary(f"HTTP status {status}", response=response.raw)
                if status != 200 and not response.is_redirect:
                    raise Rejected(f"HTTP status {status}", status=status)
                return response, b"" if response.is_redirect else _read_body(response, max_bytes)
        except (TimeoutError, requests.Timeout) as error:
            raise _Temporary(LATE, exceptions.ConnectTimeoutError()) from error
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
            raise _Temporary("connection broke off", exceptions.ProtocolError()) from error
        except requests.ConnectionError as error:
            if error.args and isinstance(error.args[0], exceptions.ReadTimeoutError):
                raise _Temporary(LATE, exceptions.ConnectTimeoutError()) from error
            raise _Temporary("no connection", exceptions.ProtocolError()) from error
        except (
            requests.RequestException,
            ValueError,
            exceptions.HTTPError,
        ) as error:  # bad address, bad header, …
            raise Rejected(BAD_ADDRESS) from error

    def _pause(self, retry: Retry, url: str, failure: _Temporary) -> Retry:
        """Wait before the next attempt; raise the failure if there is none, or none before the deadline."""
        asked = None
        if failure.response:
            with suppress(exceptions.InvalidHeader):
                asked = retry.get_retry_after(failure.response)
        if asked:
            self._robots.hold(url, asked)
        try:
            retry = retry.increment("GET", url, failure.response, failure.error)
        except exceptions.MaxRetryError:
            raise failure from None
        pause = retry.get_backoff_time() if asked is None else asked
        if time.monotonic() + pause > _deadline.get():
            raise failure
        time.sleep(pause)
        return retry


def _read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Read in chunks, so that neither a huge file nor a slow one uses up memory or time."""
    body, length = bytearray(), response.headers.get("Content-Length", "")
    too_large = Rejected(f"larger than {max_bytes / 1e6:g} MB")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large
    with _until_deadline(response.raw.shutdown):
        for chunk in response.iter_content(CHUNK):
            body += chunk
            if len(body) > max_bytes:
                raise too_large
    return bytes(body)
