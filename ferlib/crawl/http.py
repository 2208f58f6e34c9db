"""Fetch one file: timeouts, a deadline, a size limit, tries after a pause, redirects step by step."""

import io
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ferlib import __version__
from ferlib.common.errors import BadInputError, CrawlError
from ferlib.crawl.limits import Limits, Rejected
from ferlib.crawl.robots import FORBIDDEN, Manners, host_of, is_here


def user_agent(contact: str = "") -> str:
    """Says what this is: a site that wants no such visitor can refuse it, and that is its right.

    `contact`: an e-mail address or a web page of whoever crawls, which Wikimedia asks for
    (https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy). BadInputError for anything else.
    """
    if contact and not re.fullmatch(r"[!-'*-~]+@[!-'*-~]+\.[!-'*-~]+|https?://[!-'*-~]+", contact):
        raise BadInputError(
            f"the contact {contact!r} is neither an e-mail address nor a web page; "
            "give one such as you@example.org, or none"
        )
    about = f"facial expression tutorial; {contact}" if contact else "facial expression tutorial"
    return f"ferlib/{__version__} ({about}) python-requests/{requests.__version__}"


class Session(requests.Session):
    """A session that reads the environment once a host and not once a request, and never a .netrc."""

    def __init__(self, name: str, connections: int):
        super().__init__()
        self.headers["User-Agent"] = name
        self.trust_env = False
        self.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._due = threading.local()  # when the answer that a thread waits for must be whole
        adapter = _Adapter(_pool_classes(self._due), connections)
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        self._proxies: dict[str, Mapping[str, str]] = {}

    def ask(
        self, url: str, params: Mapping[str, str] | None, timeout: tuple[float, float], due: float
    ) -> requests.Response:
        """One GET, its body not yet read: no redirect followed, no cookie sent or kept.

        `timeout`: seconds to connect and between two reads; `due`: when headers and body must have come, in
        `time.monotonic`'s seconds. `requests.Session.get` merges settings at every call, which takes as long
        as a small picture's way.
        """
        request = requests.PreparedRequest()
        request.prepare_method("GET")
        request.prepare_url(url, params)
        request.headers = self.headers.copy()
        request.hooks = {"response": []}
        self._due.time = due
        adapter = self.get_adapter(request.url)
        return adapter.send(
            request, stream=True, timeout=timeout, verify=self.verify, proxies=self.proxies_for(request.url)
        )

    def proxies_for(self, url: str) -> Mapping[str, str]:
        """What the environment names; never a proxy for a site on this machine, whatever it says."""
        host = host_of(url)
        if host not in self._proxies:
            self._proxies[host] = {} if is_here(url) else get_environ_proxies(url)
        return self._proxies[host]


class _Punctual(io.RawIOBase):
    """What comes through a socket, until it is due.

    A socket's own timeout begins anew with each byte: a server that lets its headers, or the lengths of
    its chunks, drip would hold a worker for hours.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, due: float):
        self._raw, self._connection, self._due = raw, connection, due
        self._between = connection.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int | None:
        left = self._due - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer is late")
        self._connection.settimeout(left if self._between is None else min(left, self._between))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _pool_classes(due: threading.local) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools with connections whose answers end in time."""

    class Answer(HTTPResponse):
        def __init__(self, sock, *args, **options):
            super().__init__(sock, *args, **options)
            self.fp = io.BufferedReader(_Punctual(self.fp.detach(), sock, due.time))

    class Plain(HTTPConnection):
        response_class = Answer

    class Safe(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SafePool(HTTPSConnectionPool):
        ConnectionCls = Safe

    return {"http": PlainPool, "https": SafePool}


class _Adapter(HTTPAdapter):
    """requests' adapter with pools of our own, also behind a proxy."""

    def __init__(self, pools: dict[str, type[HTTPConnectionPool]], connections: int):
        self._pools = pools
        super().__init__(max_retries=0, pool_connections=16, pool_maxsize=connections)

    def init_poolmanager(self, *args, **options) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args, **options):
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


CHUNK = 1 << 16
REDIRECTS = 5
BUSY = (429, 500, 502, 503, 504)
ROBOTS_BYTES = 512_000
"""As much of a robots.txt as RFC 9309 wants to be read."""


def open_session(workers: int = 1, contact: str = "") -> Session:
    """A session for `fetch_bytes`: as many open connections as workers, http and https and nothing else.

    `contact`: an e-mail address or a web page that goes into the User-Agent; BadInputError for others.
    """
    return Session(user_agent(contact), max(workers, 1))


def open_manners(session: Session, limits: Limits | None = None, robots: bool = True) -> Manners:
    """The manners of a crawl: robots.txt fetched with this session, or not asked for."""
    limits = limits or Limits()

    def fetch(url: str) -> bytes:
        return fetch_bytes(session, url, limits, at_most=ROBOTS_BYTES)

    return Manners(limits, fetch if robots else None)


def fetch_text(
    session: Session,
    url: str,
    params: Mapping[str, str],
    limits: Limits | None = None,
    manners: Manners | None = None,
) -> str:
    """The text of a page as UTF-8; CrawlError where it does not come."""
    try:
        data = fetch_bytes(session, url, limits, params, manners)
    except Rejected as error:
        if str(error) == FORBIDDEN:
            raise CrawlError(
                f"{url}: {error}; take another source, or ask the site's owners and crawl with robots=False"
            ) from error
        raise CrawlError(
            f"{url} gave no page ({error}); is the address right, and the network there?"
        ) from error
    return data.decode("utf-8", errors="replace")


def fetch_bytes(
    session: Session,
    url: str,
    limits: Limits | None = None,
    params: Mapping[str, str] | None = None,
    manners: Manners | None = None,
    at_most: int | None = None,
) -> bytes:
    """The bytes behind an address; raises Rejected with a short reason where they cannot be had whole.

    A busy server (429, 5xx) and a broken connection are tried again after a pause, or after what
    `Retry-After` says; redirects are followed, and each address on the way has to be http or https and
    allowed by its host's robots.txt. `at_most`: bytes, where less than `limits.max_bytes`.
    """
    limits = limits or Limits()
    clock = _Clock(limits.deadline_s)
    for _ in range(REDIRECTS + 1):
        if not url.lower().startswith(("http://", "https://")):
            raise Rejected("address is not http or https")
        if manners is not None:
            clock.end += manners.may_fetch(url)
        body, location = _try_often(session, url, limits, params, manners, clock, at_most)
        if location is None:
            return body
        try:
            url, params = urljoin(url, location), None
        except ValueError as error:
            raise Rejected("address cannot be followed") from error
        if not url.lower().startswith(("http://", "https://")):
            break
    raise Rejected("address cannot be followed")


class _Clock:
    """The deadline of a file. Waiting for a host's turn is not the file's fault and stops the clock."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def over(self, after: float = 0.0) -> bool:
        return time.monotonic() + after > self.end


class _Again(Exception):
    """It may go well at another time: after `wait` seconds, where the server said so."""

    def __init__(self, reason: str, wait: float | None = None, status: int = 0, tries: int | None = None):
        super().__init__(reason)
        self.wait, self.status, self.tries = wait, status, tries


def _try_often(session, url, limits, params, manners, clock, at_most) -> tuple[bytes, str | None]:
    for attempt in range(limits.retries + 1):
        if manners is not None:
            clock.end += manners.wait(url)
        try:
            return _try_once(session, url, limits, params, clock, at_most)
        except _Again as again:
            pause = limits.pause_s * 2**attempt if again.wait is None else again.wait
            if again.wait and manners is not None:
                manners.hold(url, again.wait)
            last = limits.retries if again.tries is None else min(again.tries, limits.retries)
            if attempt >= last or clock.over(pause):
                raise Rejected(str(again), status=again.status) from again
            time.sleep(pause)
    raise AssertionError("unreachable")


def _try_once(session, url, limits, params, clock, at_most) -> tuple[bytes, str | None]:
    """The body, or where a redirect leads."""
    try:
        response = session.ask(url, params, (limits.connect_s, limits.read_s), clock.end)
    except (requests.ConnectTimeout, requests.ReadTimeout) as error:
        raise _Again("no answer in time", tries=1) from error  # a server that let one wait does so again
    except requests.ConnectionError as error:
        # requests hides in it why urllib3 gave up
        why = getattr(error.args[0] if error.args else None, "reason", None)
        late = isinstance(why, ReadTimeoutError)
        raise _Again("no answer in time" if late else "no connection", tries=1 if late else None) from error
    except (requests.RequestException, ValueError, HTTPError) as error:  # bad address, bad header, …
        raise Rejected("address cannot be followed") from error
    with response:
        status = response.status_code
        if response.is_redirect:
            return b"", response.headers["Location"]
        if status in BUSY:
            raise _Again(f"HTTP status {status}", retry_after(response.headers.get("Retry-After")), status)
        if status != 200:
            raise Rejected(f"HTTP status {status}", status=status)
        try:
            return _read_body(response, min(limits.max_bytes, at_most or limits.max_bytes), clock), None
        except ReadTimeoutError as error:
            raise _Again("no answer in time", tries=1) from error
        except (HTTPError, OSError) as error:
            raise _Again("connection broke off") from error


def _read_body(response: requests.Response, max_bytes: int, clock: _Clock) -> bytes:
    """Piece by piece, so that neither a huge file nor a slow one runs away with memory or time."""
    too_large = f"larger than {max_bytes / 1e6:g} MB"
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise Rejected(too_large)
    body = bytearray()
    # read1 returns what is there; read and iter_content would wait for a whole piece from a slow server
    while piece := response.raw.read1(CHUNK, decode_content=True):
        body += piece
        if len(body) > max_bytes:
            raise Rejected(too_large)
        if clock.over():
            raise Rejected("no answer in time")
    return bytes(body)


def retry_after(value: str | None) -> float | None:
    """The seconds of a `Retry-After` header, which gives seconds or a date; None where it says nothing."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max((date - datetime.now(UTC)).total_seconds(), 0.0)
