"""Openverse: freely licensed pictures of many collections."""

from collections.abc import Iterator
from dataclasses import dataclass

from ferlib.common.errors import CrawlError
from ferlib.crawl.sources.base import GetText, PictureRecord, ResultPage, _json_object


@dataclass(frozen=True)
class OpenverseSource:
    """Openverse, a search over freely licensed pictures of many collections, through its API.

    `/v1/images/?q=…&page=…&page_size=…`, see https://api.openverse.org/v1/. Without an account a page
    has at most 20 results, and there are a few hundred in all.
    """

    base_url: str = "https://api.openverse.org"
    name: str = "openverse"
    page_size: int = 20
    for_programs = True

    def address(self, keyword: str, page: int = 1) -> tuple[str, dict[str, str]]:
        """The address of a result page, the first being 1."""
        params = {"q": keyword, "page": str(page), "page_size": str(self.page_size)}
        return f"{self.base_url}/v1/images/", params

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Pages until `page_count` of them, or an empty one."""
        number, last = 1, 1
        while number <= last:
            answer = self._answer(get(*self.address(keyword, number)))
            page = self._page(answer)
            yield page
            pages = answer.get("page_count")
            last = pages if isinstance(pages, int) and page.records else 0
            number += 1

    def parse(self, text: str) -> ResultPage:
        """One page of results; CrawlError where the text is something else."""
        return self._page(self._answer(text))

    def _answer(self, text: str) -> dict:
        answer = _json_object(text, self.name)
        if not isinstance(answer.get("results"), list):
            raise CrawlError(f"{self.name} refuses: {answer.get('detail') or 'its answer has no results'}")
        return answer

    def _page(self, answer: dict) -> ResultPage:
        records = tuple(
            PictureRecord(
                str(result["url"]),
                str(result.get("foreign_landing_url") or ""),
                openverse_licence(result.get("license"), result.get("license_version")),
                str(result.get("creator") or ""),
            )
            for result in answer["results"]
            if isinstance(result, dict) and result.get("url")
        )
        total = answer.get("result_count")
        return ResultPage(records, total if isinstance(total, int) else None)


def openverse_licence(licence: str | None, version: str | None) -> str:
    """Openverse's code of a licence as people write it: `by-sa`, `4.0` is `CC BY-SA 4.0`."""
    if not licence:
        return "unknown"
    code = str(licence).upper()
    name = {"PDM": "Public Domain Mark", "CC0": "CC0"}.get(code, f"CC {code}")
    return f"{name} {version}" if version else name
