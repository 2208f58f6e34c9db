"""Sources with an interface for programs, which say who made a picture and how it may be used."""

from collections.abc import Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup

from ferlib.common.errors import CrawlError
from ferlib.crawl.sources.base import (
    GetText,
    PictureRecord,
    ResultPage,
    _get,
    _json_object,
)

USUAL_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/x-ms-bmp")


@dataclass(frozen=True)
class CommonsSource:
    """Wikimedia Commons through MediaWiki's API: free pictures with licence and author.

    A search in the namespace of files (6) as generator, `imageinfo` as property, and `continue` from page
    to page: https://www.mediawiki.org/wiki/API:Search and https://www.mediawiki.org/wiki/API:Imageinfo.
    """

    base_url: str = "https://commons.wikimedia.org"
    name: str = "commons"
    page_size: int = 50
    for_programs = True

    def address(self, keyword: str, more: dict[str, str] | None = None) -> tuple[str, dict[str, str]]:
        """The address of a result page; `more`: what the page before says under `continue`."""
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": f"filetype:bitmap {keyword}",
            "gsrnamespace": "6",
            "gsrlimit": str(self.page_size),
            "prop": "imageinfo",
            "iiprop": "url|size|mime|extmetadata",
            "iiextmetadatafilter": "LicenseShortName|UsageTerms|LicenseUrl|Artist|Credit",
        }
        if more is None:  # a generator tells no total; a list of one result beside it does
            params |= {"list": "search", "srsearch": params["gsrsearch"], "srnamespace": "6"}
            params |= {"srlimit": "1", "srinfo": "totalhits|suggestion", "srprop": ""}
        return f"{self.base_url}/w/api.php", params | (more or {})

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Pages until one says nothing of `continue`."""
        more, asked = None, []
        while more is None or more not in asked:
            asked.append(more)
            answer = self._answer(get(*self.address(keyword, more)))
            yield self._page(answer)
            more = answer.get("continue") or {}
            # The list beside the generator has a place of its own, which is of no use here.
            more = {name: str(value) for name, value in more.items() if not name.startswith("sr")}
            if not set(more) - {"continue"}:
                return

    def parse(self, text: str) -> ResultPage:
        """One page of results; CrawlError where the text is something else."""
        return self._page(self._answer(text))

    def _answer(self, text: str) -> dict:
        answer = _json_object(text, self.name)
        if "error" in answer:
            error = answer["error"] if isinstance(answer["error"], dict) else {}
            raise CrawlError(
                f"{self.name} refuses: {error.get('info') or error.get('code') or 'no reason given'}"
            )
        return answer

    def _page(self, answer: dict) -> ResultPage:
        query = _get(answer, "query", dict)
        files = _get(query, "pages", list)
        files = sorted(
            (file for file in files if isinstance(file, dict)), key=lambda file: file.get("index", 0)
        )
        records = [self._record(info) for file in files for info in _get(file, "imageinfo", list)[:1]]
        about = _get(query, "searchinfo", dict)
        total, suggestion = about.get("totalhits"), about.get("suggestion")
        related = (str(suggestion).removeprefix("filetype:bitmap "),) if suggestion else ()
        return ResultPage(
            tuple(record for record in records if record), total if isinstance(total, int) else None, related
        )

    def _record(self, info: dict) -> PictureRecord | None:
        """None for what is no usual picture: drawings as SVG, scans as TIFF, books as PDF."""
        if (
            not isinstance(info, dict)
            or not info.get("url")
            or info.get("mime", "image/jpeg") not in USUAL_TYPES
        ):
            return None
        about = _get(info, "extmetadata", dict)
        licence = _words(about, "LicenseShortName") or _words(about, "UsageTerms") or "unknown"
        author = _words(about, "Artist") or _words(about, "Credit")
        return PictureRecord(str(info["url"]), str(info.get("descriptionurl") or ""), licence, author)


def _words(about: dict, name: str) -> str:
    """A value of `extmetadata`, which is HTML, as plain words."""
    value = _get(about, name, dict).get("value")
    if not isinstance(value, str):
        return ""
    return (
        " ".join(BeautifulSoup(value, "html.parser").get_text(" ").split())
        if "<" in value or "&" in value
        else value
    )
