"""Where picture addresses come from: one small class a source, all behind one protocol.

A source turns a keyword into pages of records. It never opens a connection itself: it is handed
`get(url, params) -> text`, so that a test can hand it recorded pages.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup

from ferlib.crawl.sources.base import (
    GetText,
    PictureRecord,
    ResultPage,
    no_results,
)

_OBJ_URL = re.compile(r'"objURL"\s*:\s*("(?:[^"\\]|\\.)*")')
_FROM_URL = re.compile(r'"fromURL"\s*:\s*("(?:[^"\\]|\\.)*")')
_TOTAL = re.compile(r'"displayNum"\s*:\s*"?(\d+)')


@dataclass(frozen=True)
class BaiduSource:
    """Baidu's image search through its plain page, `/search/flip`, or a site that speaks the same.

    The page is HTML with the results in a script, as `"objURL":"…"`. Its shape was taken from
    published copies of such pages. `licence` is what the manifest says of every picture: the page
    itself says nothing of licences.
    """

    base_url: str = "https://image.baidu.com"
    name: str = "baidu"
    licence: str = "unknown"
    for_programs = False

    def address(self, keyword: str, offset: int = 0) -> tuple[str, dict[str, str]]:
        """The address of a result page and its query parameters; the caller URL-encodes them."""
        params = {"tn": "baiduimage", "ie": "utf-8", "word": keyword, "pn": str(offset)}
        return f"{self.base_url}/search/flip", params

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Pages until one is empty, or brings no new address (some sites repeat the last for ever).

        The offset `pn` grows by the number of results that came: a step of one's own choosing skips
        results, or asks for some twice. Raises CrawlError for an answer that is no result page.
        """
        offset, seen = 0, set()
        while True:
            page = self.parse(get(*self.address(keyword, offset)))
            addresses = {record.url for record in page.records}
            if not addresses - seen and offset:
                return
            yield page
            if not page.records:
                return
            seen |= addresses
            offset += len(page.records)

    def parse(self, text: str) -> ResultPage:
        """One page of results from the page's text; CrawlError where the text is something else."""
        found = list(_OBJ_URL.finditer(text))
        if not found and "imgData" not in text:
            raise no_results(self.name, text)
        ends = [match.start() for match in found[1:]] + [len(text)]
        records = []
        for match, end in zip(found, ends, strict=False):  # no result, no end
            page = _FROM_URL.search(text, match.end(), end)
            records.append(
                PictureRecord(
                    _unquote(match[1]), plain_address(_unquote(page[1])) if page else "", self.licence
                )
            )
        total = _TOTAL.search(text)
        return ResultPage(tuple(records), int(total[1]) if total else None, _related(text))


def _related(text: str) -> tuple[str, ...]:
    """The links in `<div id="topRS">`. Only that part is parsed: a whole page takes longer than ten pictures."""
    begin = text.find('id="topRS"')
    if begin < 0:
        return ()
    begin = text.rfind("<", 0, begin)
    soup = BeautifulSoup(text[begin : text.find("</div>", begin) + len("</div>")], "html.parser")
    return tuple(link.get_text(strip=True) for link in soup.select("div#topRS a"))


@dataclass(frozen=True)
class BaiduListSource(BaiduSource):
    """Baidu's image search through the JSON listing that its page loads as one scrolls, `/search/acjson`.

    30 results a page. Not documented by Baidu; its shape was taken from published copies. The original's
    address has exchanged letters (`plain_address`); `replaceUrl` holds it plain where it is there.
    """

    name: str = "baidu-list"

    def address(self, keyword: str, offset: int = 0) -> tuple[str, dict[str, str]]:
        """The address of a part of the listing and its query parameters."""
        params = {"tn": "resultjson_com", "ipn": "rj", "fp": "result", "ie": "utf-8", "oe": "utf-8"}
        params |= {"word": keyword, "queryWord": keyword, "pn": str(offset), "rn": "30"}
        return f"{self.base_url}/search/acjson", params

    def parse(self, text: str) -> ResultPage:
        """One part of the listing; CrawlError where the text is something else."""
        try:
            # The titles in it escape the single quote, which JSON does not know.
            answer = json.loads(re.sub(r"\\'", "'", text), strict=False)
            results = answer["data"]
            records = [self._record(result) for result in results if result]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise no_results(self.name, text) from error
        total = answer.get("displayNum")
        return ResultPage(
            tuple(record for record in records if record.url), total if isinstance(total, int) else None
        )

    def _record(self, result: dict) -> PictureRecord:
        other = (result.get("replaceUrl") or [{}])[0]
        url = plain_address(result.get("objURL") or "") or other.get("ObjURL") or other.get("ObjUrl") or ""
        page = plain_address(result.get("fromURL") or "") or other.get("FromURL") or ""
        return PictureRecord(url, page, self.licence)


def _unquote(string: str) -> str:
    """The value of a JSON string with its quotes; a script may escape what JSON does not know."""
    try:
        return json.loads(string, strict=False)
    except json.JSONDecodeError:
        return re.sub(r"\\(.)", r"\1", string[1:-1])


# Baidu writes the address of the page that a picture stands on with exchanged letters. The table is
# its own, long published; `ippr` at the start is `http`.
_TOKENS = {"_z2C$q": ":", "_z&e3B": ".", "AzdH3F": "/"}
_LETTERS = str.maketrans("wkv1ju2it3hs4g5rq6fp7eo8dn9cm0bla", "abcdefghijklmnopqrstuvw1234567890")


def plain_address(address: str) -> str:
    """A page's address as Baidu gives it, made readable: `ippr_z2C$q…` becomes `http:…`.

    Addresses that are plain stay as they are; what is neither gives "".
    """
    if address.startswith("ippr"):
        parts = re.split(r"(_z2C\$q|_z&e3B|AzdH3F)", address)
        address = "".join(_TOKENS.get(part) or part.translate(_LETTERS) for part in parts)
    return address if address.startswith(("http://", "https://")) else ""


def exchanged_address(address: str) -> str:
    """The way back of `plain_address`, for a site that speaks as Baidu does; for http(s) addresses."""
    back = {value: key for key, value in _LETTERS.items()}
    tokens = {value: key for key, value in _TOKENS.items()}
    return "".join(tokens.get(letter) or letter.translate(back) for letter in address)
