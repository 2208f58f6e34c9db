"""Openverse: freely licensed pictures of many collections."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ferlib.common.errors import CrawlError
from ferlib.crawl.sources.base import GetText, PictureRecord, ResultPage, Source, make_page, parse_json


@dataclass(frozen=True)
class OpenverseSource(Source):
    """Openverse, a search over freely licensed pictures of many collections, through its API.

    `/v1/images/?q=…&page=…&page_size=…`, see https://api.openverse.org/v1/. Without an account a page
    has at most 20 results, and there are a few hundred in all.

    Args:
        base_url: Address of the site.
        name: Name in the manifest.
        page_size: Results per page.
    """

    base_url: str = "https://api.openverse.org"
    name: str = "openverse"
    page_size: int = 20
    is_api: ClassVar[bool] = True

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Give `page_count` pages, or fewer if one is empty.

        Args:
            keyword: The search word.
            get: Fetches a page.

        Yields:
            The pages in order.

        Raises:
            CrawlError: An answer is no page of results.
        """
        number = last = 1
        while number <= last:
            params = {"q": keyword, "page": str(number), "page_size": str(self.page_size)}
            text = get(f"{self.base_url}/v1/images/", params)
            page = self.parse(text)
            yield page
            pages = parse_json(text, self.name).get("page_count")
            last = pages if isinstance(pages, int) and page.records else 0
            number += 1

    def parse(self, text: str) -> ResultPage:
        """Read a page of results.

        Args:
            text: The answer.

        Returns:
            Its results.

        Raises:
            CrawlError: The answer is no page of results.
        """
        answer = parse_json(text, self.name)
        if not isinstance(answer.get("results"), list):
            raise CrawlError(f"{self.name} refuses: {answer.get('detail') or 'its answer has no results'}")
        records = [
            PictureRecord(
                str(result.get("url") or ""),
                str(result.get("foreign_landing_url") or ""),
                _licence(result.get("license"), result.get("license_version")),
                str(result.get("creator") or ""),
            )
            for result in answer["results"]
            if isinstance(result, dict)
        ]
        return make_page(records, answer.get("result_count"))


def _licence(code: str | None, version: str | None) -> str:
    """Openverse's code of a licence as people write it: `by-sa`, `4.0` is `CC BY-SA 4.0`."""
    if not code:
        return "unknown"
    name = {"pdm": "Public Domain Mark", "cc0": "CC0"}.get(str(code).lower(), f"CC {code}".upper())
    return f"{name} {version}" if version else name
