"""Download one file: timeouts, a deadline, a size limit, retries after a pause, checked redirects."""

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlencode, urljoin, urlsplit

from requests import certs, utils
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, PoolManager, exceptions
from urllib3.util import Retry, Timeout

from ferlib import __version__
from ferlib.common.errors import CrawlError
from ferlib.crawl.robots import AGENT, FORBIDDEN, Robots, host_of, is_local
from ferlib.crawl.settings import CrawlSettings, Rejected

CHUNK = 1 << 16
REDIRECTS = 5
BUSY = (429, 500, 502, 503, 504)
ROBOTS_BYTES = 512_000
"""Largest size of a robots.txt; RFC 9309 asks for at least 500 KiB."""

LATE, BAD_ADDRESS = "no answer in time", "address cannot be followed"


@dataclass(eq=False, slots=True)
class _Attempt:
    """A request under way: `stop` ends what its socket receives."""

    deadline: float
    stop: Callable[[], Any] | None = None


_current: ContextVar[_Attempt] = ContextVar("attempt")


class _Temporary(Rejected):
    """A failure that another attempt may not have; Retry counts `error` or `response`."""

    def __init__(self, reason: str, error: Exception | None = None, response: Any = None):
        super().__init__(reason, status=response.status if response else 0)
        self.error, self.response = error, response


class _InTime:
    """For a class of connections, whose headers arrive before the deadline then."""

    sock: Any

    def getresponse(self) -> Any:
        attempt = _current.get()
        attempt.stop = partial(self.sock.shutdown, socket.SHUT_RD)
        response = super().getresponse()  # type: ignore[misc]
        attempt.stop = None
        if time.monotonic() > attempt.deadline:
            raise TimeoutError(LATE)
        return response


def _in_time(manager: PoolManager) -> PoolManager:
    """Let a manager use such connections."""
    classes: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for scheme, pool in classes.items():
        if not issubclass(pool.ConnectionCls, _InTime):  # one manager serves all hosts behind a proxy
            connection = type("Connection", (_InTime, pool.ConnectionCls), {})
            classes[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = classes
    return manager


class Downloader:
    """Fetches files within limits and as each host allows. A context manager.

    It says who it is, sends and keeps no cookies, reads no .netrc, and uses the proxies and certificates that
    requests would use, except for this machine.

    Args:
        settings: Limits, rate, contact and number of workers; None for the defaults.
    """

    def __init__(self, settings: CrawlSettings | None = None):
        self.settings = settings or CrawlSettings()
        about = "; ".join(filter(None, ("facial expression tutorial", self.settings.contact)))
        agent = f"{AGENT}/{__version__} ({about}) {utils.default_user_agent()}"
        # Asked for by hand and not through a session, which reads the environment again for each request.
        self._headers = dict(utils.default_headers()) | {"User-Agent": agent}
        self._timeout = Timeout(connect=self.settings.connect_s, read=self.settings.read_s)
        self._options: dict[str, Any] = {"ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or certs.where()}
        self._adapter = HTTPAdapter(pool_maxsize=self.settings.workers + 1)
        self._direct = PoolManager(16, maxsize=self.settings.workers + 1, **self._options)
        self._managers: dict[str, PoolManager] = {}
        self._robots = Robots(self.settings, lambda url: self.fetch(url, False, ROBOTS_BYTES))
        self._attempts: set[_Attempt] = set()
        self._closed = threading.Event()
        threading.Thread(target=self._stop_late_ones, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for manager in (self._direct, *self._managers.values()):
            manager.clear()

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
            page = self.fetch(f"{url}?{urlencode(params)}", check_robots)
            return page.decode("utf-8", errors="replace")
        except Rejected as error:
            advice = "check the address and the network connection"
            if str(error) == FORBIDDEN:
                advice = "take another source, or ask the site's owners and crawl with obey_robots=False"
            raise CrawlError(f"{url} gave no page ({error}); {advice}") from error

    def fetch(self, url: str, check_robots: bool = True, max_bytes: int = 0) -> bytes:
        """Fetch a complete file.

        A busy server (429, 5xx) and a broken connection are tried again after a pause, or after the time that
        `Retry-After` asks for. Each address of a chain of redirects must be http or https and allowed by its
        host's robots.txt; another host, or another port, must be public.

        Args:
            url: Its address.
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
            try:
                response, body = self._attempt(url, deadline, max_bytes or self.settings.max_bytes)
                location = response.get_redirect_location()
                if not location:
                    return body
                retry = retry.increment("GET", url, response)
                target = urljoin(url, location.encode("latin1").decode())
            except (exceptions.MaxRetryError, ValueError) as error:
                raise Rejected(BAD_ADDRESS) from error
            except _Temporary as failure:
                retry = self._pause(retry, url, failure, deadline)
                continue
            _check_redirect(url, target)
            url = target

    def _attempt(self, url: str, deadline: float, max_bytes: int) -> tuple[BaseHTTPResponse, bytes]:
        """A response and its body, which is empty for a redirect."""
        attempt, response = _Attempt(deadline), None
        _current.set(attempt)
        self._attempts.add(attempt)
        try:
            options = {"headers": self._headers, "timeout": self._timeout, "preload_content": False}
            manager = self._manager(url)
            response = manager.urlopen("GET", url, redirect=False, retries=False, **options)
            if response.status in BUSY:
                raise _Temporary(f"HTTP status {response.status}", response=response)
            if response.get_redirect_location():
                return response, b""
            if response.status != 200:
                raise Rejected(f"HTTP status {response.status}", status=response.status)
            attempt.stop = response.shutdown
            return response, _read_body(response, deadline, max_bytes)
        except (exceptions.LocationValueError, ValueError) as error:
            raise Rejected(BAD_ADDRESS) from error
        except (exceptions.HTTPError, OSError) as error:
            late = isinstance(error, (exceptions.TimeoutError, TimeoutError)) or time.monotonic() > deadline
            if late and not isinstance(
                error, exceptions.NewConnectionError
            ):  # which counts as a timeout there
                raise _Temporary(LATE, exceptions.ConnectTimeoutError()) from error
            reason = "no connection" if response is None else "connection broke off"
            raise _Temporary(reason, exceptions.ProtocolError()) from error
        finally:
            self._attempts.discard(attempt)
            if response is not None:
                response.close()

    def _manager(self, url: str) -> PoolManager:
        """The connections to a host, through the proxy that the environment has for it."""
        host = host_of(url)
        if host not in self._managers:
            proxy = None if is_local(url) else utils.select_proxy(url, utils.get_environ_proxies(url))
            manager = self._adapter.proxy_manager_for(proxy, **self._options) if proxy else self._direct
            self._managers[host] = _in_time(manager)
        return self._managers[host]

    def _stop_late_ones(self) -> None:
        """In a thread of its own: end what is still received after the deadline.

        The timeout of a socket starts again with every byte: a server that sends its headers or the sizes of
        its chunks byte by byte would hold a worker for hours.
        """
        while not self._closed.wait(0.05):
            for attempt in self._attempts.copy():
                if attempt.stop and time.monotonic() > attempt.deadline:
                    with suppress(OSError, RuntimeError, ValueError):  # the connection has just ended
                        attempt.stop()

    def _pause(self, retry: Retry, url: str, failure: _Temporary, deadline: float) -> Retry:
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
        if time.monotonic() + pause > deadline:
            raise failure
        time.sleep(pause)
        return retry


def _read_body(response: BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """Read in chunks, so that neither a huge file nor a slow one uses up memory or time."""
    body, length = bytearray(), response.headers.get("Content-Length", "")
    too_large = Rejected(f"larger than {max_bytes / 1e6:g} MB")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large
    for chunk in response.stream(CHUNK, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            raise too_large
        if time.monotonic() > deadline:
            break
    if time.monotonic() > deadline:
        raise TimeoutError(LATE)
    return bytes(body)


def _check_redirect(url: str, target: str) -> None:
    """Refuse a redirect to what only this machine or its network can reach, unless it is the same host and port."""
    if not target.lower().startswith(("http://", "https://")) or host_of(target) == host_of(url):
        return
    parts = urlsplit(target)
    with suppress(OSError, UnicodeError):  # without an address here, only a proxy can reach it
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
        if not all(is_public(str(address[4][0])) for address in found):
            raise Rejected(f"redirect to an address that is not public ({parts.hostname})")


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public internet.

    Args:
        address: An IP address.

    Returns:
        False for loopback, private, link-local, shared, multicast and reserved ones, also inside IPv6.
    """
    number = ipaddress.ip_address(address.partition("%")[0])
    inside = getattr(number, "ipv4_mapped", None) or getattr(number, "sixtofour", None) or number
    return inside.is_global and not inside.is_multicast
