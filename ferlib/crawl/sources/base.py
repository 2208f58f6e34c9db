"""What a source of picture addresses is: records, pages, and one protocol."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bs4 import BeautifulSoup

from ferlib.common.errors import CrawlError


def _json_object(text: str, name: str) -> dict:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        start = " ".join(text[:60].split())
        raise CrawlError(f"{name}: the answer is not the JSON that its API documents (it begins {start!r})")
    return answer


def _get(holder: dict, name: str, kind: type) -> dict | list:
    """A part of an answer where it has the right kind, else an empty one."""
    part = holder.get(name)
    return part if isinstance(part, kind) else kind()


GetText = Callable[[str, dict[str, str]], str]
"""Fetches an address with query parameters and returns the text of the answer; raises CrawlError."""


@dataclass(frozen=True)
class PictureRecord:
    """One result: the picture's address, the page it stands on ("" if unknown), its licence and author.

    `path`: where the file lies, for a source whose pictures are on this machine; else None.
    """

    url: str
    page: str = ""
    licence: str = "unknown"
    author: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class ResultPage:
    """One page of results. `total`: pictures the source says it has, None where it does not say."""

    records: tuple[PictureRecord, ...]
    total: int | None = None
    related: tuple[str, ...] = ()


class Source(Protocol):
    """What the crawler needs of a source; `name` goes into the manifest's column `source`.

    `for_programs`: its pages are an interface that is offered to programs, under terms of its own, and
    not pages that robots.txt speaks of. Pictures are always asked for as robots.txt says.
    """

    name: str
    for_programs: bool

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """The pages for a keyword, in the source's order, until there are no more."""
        ...


def no_results(name: str, text: str) -> CrawlError:
    """The error for an answer that is no page of results."""
    title = BeautifulSoup(text[:20_000], "html.parser").title
    told = title.get_text(strip=True) if title else text[:60].strip()
    return CrawlError(
        f"{name}: the answer is no page of results (its title: {told!r}); the site may want "
        "to see a person, or its pages have changed; open it in a browser, or take the source 'local'"
    )
