"""The connections of a crawl: an honest name, the settings read once, and answers that end in time."""

import io
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from http.client import HTTPResponse

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ferlib import __version__
from ferlib.crawl.manners import host_of, is_here
from ferlib.errors import BadInputError


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
