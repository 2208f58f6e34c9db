"""Wikimedia Commons: free pictures with licence and author."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bs4 import BeautifulSoup

from ferlib.common.errors import CrawlError
from ferlib.crawl.sources.base import GetText, PictureRecord, ResultPage, Source, find, make_page, parse_json

TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/x-ms-bmp")


@dataclass(frozen=True)
class CommonsSource(Source):
    """Wikimedia Commons through MediaWiki's API.

    A search in the namespace of files (6) as generator, `imageinfo` as property, and `continue` from page
    to page: https://www.mediawiki.org/wiki/API:Search and https://www.mediawiki.org/wiki/API:Imageinfo.

    Args:
        base_url: Address of the site.
        name: Name in the manifest.
        page_size: Results per page.
    """

    base_url: str = "https://commons.wikimedia.org"
    name: str = "commons"
    page_size: int = 50
    is_api: ClassVar[bool] = True

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Give pages until one does not say how to `continue`.

        Args:
            keyword: The search word.
            get: Fetches a page.

        Yields:
            The pages in order.

        Raises:
            CrawlError: An answer is no page of results.
        """
        search = f"filetype:bitmap {keyword}"
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": search,
            "gsrnamespace": "6",
            "gsrlimit": str(self.page_size),
            "prop": "imageinfo",
            "iiprop": "url|size|mime|extmetadata",
            "iiextmetadatafilter": "LicenseShortName|UsageTerms|LicenseUrl|Artist|Credit",
        }
        # A generator gives no total. A list of one result beside it does, on the first page.
        more = {"list": "search", "srsearch": search, "srnamespace": "6", "srlimit": "1"}
        more |= {"srinfo": "totalhits|suggestion", "srprop": ""}
        requested: list[dict[str, str]] = []
        while more.keys() - {"continue"} and more not in requested:
            requested.append(more)
            text = get(f"{self.base_url}/w/api.php", params | more)
            yield self.parse(text)
            # The list beside the generator has a place of its own, which is of no use here.
            following = find(parse_json(text, self.name), "continue")
            following = following if isinstance(following, dict) else {}
            more = {name: str(value) for name, value in following.items() if not name.startswith("sr")}

    def parse(self, text: str) -> ResultPage:
        """Read a page of results.

        Args:
            text: The answer.

        Returns:
            Its results, without what is no usual picture: drawings as SVG, scans as TIFF, books as PDF.

        Raises:
            CrawlError: The answer is no page of results.
        """
        answer = parse_json(text, self.name)
        if "error" in answer:
            reason = find(answer, "error", "info") or find(answer, "error", "code") or "no reason given"
            raise CrawlError(f"{self.name} refuses: {reason}")
        pages = find(answer, "query", "pages")
        files = [file for file in pages if isinstance(file, dict)] if isinstance(pages, list) else []
        files.sort(key=lambda file: index if isinstance(index := file.get("index"), int) else 0)
        infos = [find(file, "imageinfo") for file in files]
        records = [_record(info[0]) for info in infos if isinstance(info, list) and info]
        about = find(answer, "query", "searchinfo")
        suggestion = find(about, "suggestion")
        related = (str(suggestion).removeprefix("filetype:bitmap "),) if suggestion else ()
        return make_page(records, find(about, "totalhits"), related)


def _record(info: object) -> PictureRecord:
    """Without an address if it is no usual picture."""
    about = find(info, "extmetadata")
    usual = (find(info, "mime") or "image/jpeg") in TYPES
    return PictureRecord(
        str(find(info, "url") or "") if usual else "",
        str(find(info, "descriptionurl") or ""),
        _plain_text(about, "LicenseShortName") or _plain_text(about, "UsageTerms") or "unknown",
        _plain_text(about, "Artist") or _plain_text(about, "Credit"),
    )


def _plain_text(about: object, name: str) -> str:
    """A value of `extmetadata`, which is HTML."""
    value = find(about, name, "value")
    if not isinstance(value, str) or not {"<", "&"} & set(value):
        return value if isinstance(value, str) else ""
    return " ".join(BeautifulSoup(value, "html.parser").get_text(" ").split())
