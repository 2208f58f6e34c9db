"""Baidu's image search, through its plain page or through the listing that its page loads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bs4 import BeautifulSoup

from ferlib.crawl.sources.base import GetText, PictureRecord, ResultPage, Source, make_page, no_results

_STRING = r'"\s*:\s*("(?:[^"\\]|\\.)*")'
_OBJ_URL, _FROM_URL = (re.compile(f'"{name}{_STRING}') for name in ("objURL", "fromURL"))
_TOTAL = re.compile(r'"displayNum"\s*:\s*"?(\d+)')
_RELATED = re.compile(r'<\w+ id="topRS".*?</div>', re.DOTALL)


@dataclass(frozen=True)
class BaiduSource(Source):
    """Baidu's image search through its plain page, `/search/flip`, or a site with the same interface.

    The page is HTML with the results in a script, as `"objURL":"…"`. Its form was taken from published copies
    of such pages.

    Args:
        base_url: Address of the site.
        name: Name in the manifest.
        licence: Licence of all pictures in the manifest, since the page does not name any.
    """

    base_url: str = "https://image.baidu.com"
    name: str = "baidu"
    licence: str = "unknown"

    def address(self, keyword: str, offset: int = 0) -> tuple[str, dict[str, str]]:
        """Give the address of a result page.

        Args:
            keyword: The search word.
            offset: Number of results before the page.

        Returns:
            The address, and its query parameters before URL encoding.
        """
        params = {"tn": "baiduimage", "ie": "utf-8", "word": keyword, "pn": str(offset)}
        return f"{self.base_url}/search/flip", params

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Give pages until one is empty or has no new address (some sites repeat the last one for ever).

        The offset grows by the number of results that came: a fixed step would skip results, or ask for some
        of them twice.

        Args:
            keyword: The search word.
            get: Fetches a page.

        Yields:
            The pages in order.

        Raises:
            CrawlError: An answer is no page of results.
        """
        offset = 0
        seen: set[str] = set()
        while True:
            page = self.parse(get(*self.address(keyword, offset)))
            addresses = {record.url for record in page.records}
            if offset and addresses <= seen:
                return
            yield page
            if not page.records:
                return
            seen |= addresses
            offset += len(page.records)

    def parse(self, text: str) -> ResultPage:
        """Read a page of results.

        Args:
            text: The answer.

        Returns:
            Its results.

        Raises:
            CrawlError: The answer is no page of results.
        """
        found = list(_OBJ_URL.finditer(text))
        if not found and "imgData" not in text:
            raise no_results(self.name, text)
        ends = [match.start() for match in found[1:]] + [len(text)]
        records = []
        for match, end in zip(found, ends, strict=False):
            page = _FROM_URL.search(text, match.end(), end)
            origin = plain_address(_unquote(page[1])) if page else ""
            records.append(PictureRecord(_unquote(match[1]), origin, self.licence))
        total, related = _TOTAL.search(text), _RELATED.search(text)
        # Only this part is parsed: parsing a whole page takes longer than fetching ten pictures.
        links = BeautifulSoup(related[0], "html.parser").select("a") if related else []
        words = tuple(link.get_text(strip=True) for link in links)
        return ResultPage(tuple(records), int(total[1]) if total else None, words)


@dataclass(frozen=True)
class BaiduListSource(BaiduSource):
    """Baidu's image search through the JSON listing that its page loads while one scrolls, `/search/acjson`.

    30 results per page. Not documented by Baidu; its form was taken from published copies. The address of the
    original has exchanged letters (`plain_address`); `replaceUrl`, if it is there, has it in plain text.
    """

    name: str = "baidu-list"

    def address(self, keyword: str, offset: int = 0) -> tuple[str, dict[str, str]]:
        """Give the address of a part of the listing.

        Args:
            keyword: The search word.
            offset: Number of results before the part.

        Returns:
            The address, and its query parameters before URL encoding.
        """
        params = {"tn": "resultjson_com", "ipn": "rj", "fp": "result", "ie": "utf-8", "oe": "utf-8"}
        params |= {"word": keyword, "queryWord": keyword, "pn": str(offset), "rn": "30"}
        return f"{self.base_url}/search/acjson", params

    def parse(self, text: str) -> ResultPage:
        """Read a part of the listing.

        Args:
            text: The answer.

        Returns:
            Its results.

        Raises:
            CrawlError: The answer is no listing.
        """
        try:
            answer = json.loads(_repair(text), strict=False)
        except ValueError:  # such as a title that ends with a backslash: the addresses are found all the same
            page = super().parse(text)
            records = [replace(record, url=plain_address(record.url)) for record in page.records]
            return make_page(records, page.total)
        except RecursionError as error:
            raise no_results(self.name, text) from error
        try:
            records = [self._record(result) for result in answer["data"] if result]
        except (KeyError, TypeError, AttributeError) as error:
            raise no_results(self.name, text) from error
        return make_page(records, answer.get("displayNum"))

    def _record(self, result: dict) -> PictureRecord:
        other = (result.get("replaceUrl") or [{}])[0]
        url = plain_address(result.get("objURL") or "") or other.get("ObjURL") or other.get("ObjUrl") or ""
        page = plain_address(result.get("fromURL") or "") or other.get("FromURL") or ""
        return PictureRecord(url, page, self.licence)


def _unquote(string: str) -> str:
    """The value of a JSON string with its quotes."""
    return json.loads(_repair(string), strict=False)


def _repair(text: str) -> str:
    r"""Replace what a script may escape but JSON does not know, such as `\'`, `\>` and `\x3e`."""

    def valid(escape: re.Match) -> str:
        rest = escape[1] or ""
        return rf"\u00{rest[1:]}" if rest.startswith("x") else escape[0] if rest else ""

    return re.sub(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})?', valid, text)


# Baidu writes some addresses with exchanged letters. The table is its own and was published long ago;
# `ippr` at the start is `http`.
_TOKENS = {"_z2C$q": ":", "_z&e3B": ".", "AzdH3F": "/"}
_LETTERS = str.maketrans("wkv1ju2it3hs4g5rq6fp7eo8dn9cm0bla", "abcdefghijklmnopqrstuvw1234567890")


def plain_address(address: str) -> str:
    """Decode an address of Baidu: `ippr_z2C$q…` becomes `http:…`.

    Args:
        address: An address with exchanged letters, or a plain one.

    Returns:
        The plain address, or "" if it is not http or https.
    """
    if address.startswith("ippr"):
        parts = re.split(r"(_z2C\$q|_z&e3B|AzdH3F)", address)
        address = "".join(_TOKENS.get(part) or part.translate(_LETTERS) for part in parts)
    return address if address.startswith(("http://", "https://")) else ""


def exchanged_address(address: str) -> str:
    """Encode an address as Baidu does, the inverse of `plain_address`.

    Args:
        address: An http or https address.

    Returns:
        The address with exchanged letters.
    """
    back = {value: key for key, value in _LETTERS.items()}
    tokens = {value: key for key, value in _TOKENS.items()}
    return "".join(tokens.get(letter) or letter.translate(back) for letter in address)
