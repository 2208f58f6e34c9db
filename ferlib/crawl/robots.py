"""How to behave towards a host: ask its robots.txt, and do not ask it for more than it likes at a time."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from urllib.parse import urlsplit

from protego import Protego

from ferlib.crawl.limits import Limits, Rejected

NAME = "ferlib"
"""What robots.txt may call us; the User-Agent begins with it."""

PER_SECOND = 10.0
FORBIDDEN = "robots.txt forbids it"
LONGEST_DELAY = 60.0
"""A site that asks for a longer pause between two visits, in seconds, does not want a crawler."""


class Manners:
    """One per crawl, shared by its workers: the rules of each host and when it may be asked again.

    `fetch(url) -> bytes` gets a robots.txt; None: robots.txt is not asked for.
    """

    def __init__(self, limits: Limits, fetch: Callable[[str], bytes] | None):
        self._limits, self._fetch = limits, fetch
        self._lock = threading.Lock()
        self._rules: dict[str, Future] = {}
        self._free_at: dict[str, float] = {}
        self._held_until: dict[str, float] = {}

    def may_fetch(self, url: str) -> float:
        """Raises Rejected where the host's robots.txt forbids the address, or cannot be asked.

        Gives the seconds that asking took.

        RFC 9309: a robots.txt that is not there (4xx) allows everything, one that cannot be had (5xx, no
        connection) forbids everything. It is fetched once a host; other workers wait for it.
        """
        if self._fetch is None:
            return 0.0
        began = time.monotonic()
        rules = self._rules_of(url)
        if isinstance(rules, Rejected):
            raise Rejected(f"robots.txt cannot be asked: {rules}") from rules
        if rules is not None and not rules.can_fetch(url, NAME):
            raise Rejected(FORBIDDEN)
        return time.monotonic() - began

    def wait(self, url: str) -> float:
        """Waits until the host may be asked, and gives the seconds that took.

        Raises Rejected at once where a busy host asked for more than a file's deadline.
        """
        host, gap = host_of(url), self._gap(url)
        with self._lock:
            now = time.monotonic()
            held = self._held_until.get(host, now) - now
            if held > self._limits.deadline_s:
                raise Rejected(f"the site is busy and asks to wait {held:.0f} s")
            begin = max(now, now + held, self._free_at.get(host, now) if gap else now)
            if gap:
                self._free_at[host] = begin + gap
        if begin > now:
            time.sleep(begin - now)
        return begin - now

    def hold(self, url: str, seconds: float) -> None:
        """A host said `Retry-After`: nobody asks it before that."""
        with self._lock:
            until = time.monotonic() + seconds
            self._held_until[host_of(url)] = max(until, self._held_until.get(host_of(url), 0.0))

    def _gap(self, url: str) -> float:
        """Seconds between two requests to a host."""
        rate = self._limits.per_second
        if rate is None:
            rate = 0.0 if is_here(url) else PER_SECOND
        asked = self._rules.get(host_of(url))
        rules = asked.result() if asked is not None and asked.done() else None
        delay = (rules.crawl_delay(NAME) or 0.0) if isinstance(rules, Protego) else 0.0
        if delay > LONGEST_DELAY:
            raise Rejected(f"robots.txt asks for {delay:.0f} s between two visits")
        return max(1.0 / rate if rate else 0.0, delay)

    def _rules_of(self, url: str) -> Protego | Rejected | None:
        host = host_of(url)
        with self._lock:
            future = self._rules.get(host)
            mine = future is None
            if mine:
                future = self._rules[host] = Future()
        if mine:
            future.set_result(self._ask(host))
        return future.result()

    def _ask(self, host: str) -> Protego | Rejected | None:
        """What robots.txt says; None where it says nothing. Whatever is in it, no exception."""
        try:
            return Protego.parse(self._fetch(f"{host}/robots.txt").decode("utf-8-sig", errors="replace"))
        except Rejected as error:
            allowed = 400 <= error.status < 500 and error.status != 429
            return None if allowed else error
        except (
            Exception
        ) as error:  # a parser that stumbles must not stop the crawl, nor allow what it did not read
            return Rejected(f"cannot be read ({type(error).__name__})")


def is_here(url: str) -> bool:
    """Is it an address of this machine?"""
    return _is_here(_START.match(url)[0])


def host_of(url: str) -> str:
    """`scheme://host:port`, the unit that robots.txt rules; Rejected for an address without a host."""
    return _host(_START.match(url)[0])


_START = re.compile(r"[^/?#]*/*[^/?#]*")  # scheme and host: so few that the answers about them can be kept


@lru_cache(maxsize=1024)
def _is_here(start: str) -> bool:
    try:
        return urlsplit(start).hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _host(start: str) -> str:
    try:
        parts = urlsplit(start)
        parts.port  # noqa: B018 - a number out of range is found here
    except ValueError as error:
        raise Rejected("address cannot be followed") from error
    if not parts.hostname:
        raise Rejected("address cannot be followed")
    return f"{parts.scheme.lower()}://{parts.netloc.lower().rpartition('@')[2]}"
