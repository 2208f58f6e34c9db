"""Polite behaviour towards a host: its robots.txt, and the pause between two requests."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from protego import Protego

from ferlib.crawl.settings import CrawlSettings, Rejected

AGENT = "ferlib"
"""The name that rules in a robots.txt are for; the User-Agent begins with it."""

PER_SECOND = 10.0
FORBIDDEN = "robots.txt forbids it"
LONGEST_DELAY = 60.0
"""A site that asks for a longer pause between two visits, in seconds, is not crawled."""


@dataclass
class _Host:
    """What is known about a host; times are those of `time.monotonic`."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | Rejected | None = None  # None until robots.txt was asked for
    free_at: float = 0.0
    busy_until: float = 0.0


class Robots:
    """The rules of each host and the time of its next request, shared by all workers of a crawl.

    Args:
        settings: Rate and deadline.
        fetch: Downloads a robots.txt, given its address.
    """

    def __init__(self, settings: CrawlSettings, fetch: Callable[[str], bytes]):
        self._settings, self._fetch = settings, fetch
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def check(self, url: str) -> None:
        """Check an address against its host's robots.txt, which is fetched once per host.

        As RFC 9309 says, a robots.txt that does not exist (4xx) allows everything, and one that cannot be
        reached (5xx, no connection) forbids everything.

        Args:
            url: The address to fetch.

        Raises:
            Rejected: robots.txt forbids the address or cannot be read, or the address has no host.
        """
        host = self._host(url)
        with host.loading:
            if host.rules is None:
                host.rules = self._load(f"{host_of(url)}/robots.txt")
        if isinstance(host.rules, Rejected):
            raise Rejected(f"robots.txt cannot be fetched: {host.rules}") from host.rules
        if not host.rules.can_fetch(url, AGENT):
            raise Rejected(FORBIDDEN)

    def wait(self, url: str) -> None:
        """Wait until the host may be asked again.

        Args:
            url: The address to fetch.

        Raises:
            Rejected: The host wants a longer pause than a crawl can wait for, or the address has no host.
        """
        host, pause = self._host(url), self._pause(url)
        with self._lock:
            now = time.monotonic()
            if host.busy_until - now > self._settings.deadline_s:
                raise Rejected(f"the site is busy and asks to wait {host.busy_until - now:.0f} s")
            start = max(now, host.busy_until, host.free_at)
            host.free_at = start + pause
        if start > now:
            time.sleep(start - now)

    def hold(self, url: str, seconds: float) -> None:
        """Let no worker ask a host that answered with `Retry-After`.

        Args:
            url: An address of the host.
            seconds: How long.
        """
        host = self._host(url)
        with self._lock:
            host.busy_until = max(host.busy_until, time.monotonic() + seconds)

    def _host(self, url: str) -> _Host:
        return self._hosts.setdefault(host_of(url), _Host())

    def _pause(self, url: str) -> float:
        """Seconds between two requests to a host."""
        rate = self._settings.per_second
        if rate is None:
            rate = 0.0 if is_local(url) else PER_SECOND
        rules = self._host(url).rules
        delay = (rules.crawl_delay(AGENT) or 0.0) if isinstance(rules, Protego) else 0.0
        if delay > LONGEST_DELAY:
            raise Rejected(f"robots.txt asks for {delay:.0f} s between two visits")
        return max(1.0 / rate if rate else 0.0, delay)

    def _load(self, url: str) -> Protego | Rejected:
        try:
            return Protego.parse(self._fetch(url).decode("utf-8-sig", errors="replace"))
        except Rejected as error:
            return Protego.parse("") if 400 <= error.status < 500 and error.status != 429 else error
        except (
            Exception
        ) as error:  # a parser that fails must neither stop the crawl nor allow what it did not read
            return Rejected(f"cannot be parsed ({type(error).__name__})")


def is_local(url: str) -> bool:
    """Tell whether an address is on this machine.

    Args:
        url: The address.

    Returns:
        True for the loopback addresses.
    """
    with suppress(ValueError):
        return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return False


def host_of(url: str) -> str:
    """Give the part of an address that one robots.txt is for.

    Args:
        url: The address.

    Returns:
        `scheme://host:port` in lower case.

    Raises:
        Rejected: The address has no host, or a port that does not exist.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a number out of range
    except ValueError as error:
        raise Rejected("address cannot be followed") from error
    if not parts.hostname:
        raise Rejected("address cannot be followed")
    return f"{parts.scheme}://{parts.netloc.lower().rpartition('@')[2]}"
