"""What a source of picture addresses is: records, pages, and one base class.

A source turns a keyword into pages of records. It opens no connection itself: it is given
`get(url, params) -> text`, so that a test can give it recorded pages.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bs4 import BeautifulSoup

from ferlib.common.errors import CrawlError

GetText = Callable[[str, dict[str, str]], str]
"""Fetches an address with query parameters and returns the text of the answer; raises CrawlError."""


@dataclass(frozen=True)
class PictureRecord:
    """One result.

    Args:
        url: Address of the picture.
        page: Address of the page that shows it, "" if unknown.
        licence: Its licence.
        author: Its author, "" if unknown.
        path: Its file, for a source whose pictures are on this machine.
    """

    url: str
    page: str = ""
    licence: str = "unknown"
    author: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class ResultPage:
    """One page of results.

    Args:
        records: The results in the order of the page.
        total: How many pictures the source says it has, None if it does not say.
        related: Related search words.
    """

    records: tuple[PictureRecord, ...]
    total: int | None = None
    related: tuple[str, ...] = ()


class Source:
    """What the crawler needs of a source.

    Attributes:
        name: Goes into the manifest's column `source`.
        is_api: Its pages are an interface for programs with terms of its own, not pages that robots.txt is
            about. Pictures are fetched as robots.txt says in any case.
    """

    name: str
    is_api: ClassVar[bool] = False

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Give the pages for a keyword.

        Args:
            keyword: The search word.
            get: Fetches a page.

        Returns:
            The pages in the source's order, until there are no more.

        Raises:
            NotImplementedError: The source does not say how.
        """
        raise NotImplementedError


def find(answer: object, *names: str) -> Any:
    """Find a part of a JSON answer.

    Args:
        answer: The parsed answer.
        *names: The names that lead to the part.

    Returns:
        The part, None if it is missing.
    """
    for name in names:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def parse_json(text: str, name: str) -> dict:
    """Parse the JSON answer of an interface.

    Args:
        text: The answer.
        name: The source's name, for the message.

    Returns:
        The JSON object.

    Raises:
        CrawlError: The answer is not JSON, or not an object.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        start = " ".join(text[:60].split())
        raise CrawlError(f"{name}: the answer is not the JSON that its API documents (it begins {start!r})")
    return answer


def make_page(records: Sequence[PictureRecord], total: object, related: Sequence[str] = ()) -> ResultPage:
    """Build a page from what an answer says.

    Args:
        records: The results; those without an address are left out.
        total: How many pictures there are; anything but an int is unknown.
        related: Related search words.

    Returns:
        The page.
    """
    known = total if isinstance(total, int) else None
    return ResultPage(tuple(record for record in records if record.url), known, tuple(related))


def no_results(name: str, text: str) -> CrawlError:
    """Make the error for an answer that is no page of results.

    Args:
        name: The source's name.
        text: The answer.

    Returns:
        The error, which quotes the title of the page or the start of the text.
    """
    title = BeautifulSoup(text[:20_000], "html.parser").title
    start = title.get_text(strip=True) if title else text[:60].strip()
    return CrawlError(
        f"{name}: the answer is no page of results (its title: {start!r}); the site may ask for a person, "
        "or its pages have changed; open it in a browser, or take the source 'local'"
    )
