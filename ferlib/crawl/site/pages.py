"""Result pages of the local search site, in the formats of Baidu, Wikimedia Commons and Openverse.

Each function takes the search word, the query of the request, `results(offset, size)` and the total number of
results, and returns the text of the page.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from ferlib.common.html import render
from ferlib.crawl.sources.baidu import exchanged_address


@dataclass(frozen=True)
class Result:
    """A picture in the results.

    Args:
        seed: The seed that draws it.
        url: Its address.
        page: Address of the page that shows it.
    """

    seed: int
    url: str
    page: str

    @property
    def author(self) -> str:
        """The author that the local site names."""
        return f"Drawing machine {self.seed % 5 + 1}"

    @property
    def licence(self) -> tuple[str, str]:
        """Code and version; the drawings are the project's own, but so a table of licences has rows."""
        return (("by", "4.0"), ("by-sa", "4.0"), ("cc0", "1.0"))[self.seed % 3]


Query = Mapping[str, str]
Results = Callable[[int, int], list[Result]]
_compact = partial(json.dumps, separators=(",", ":"))


def _baidu_row(result: Result, number: int) -> dict[str, object]:
    return {
        "pageNum": number,
        "objURL": result.url,
        "fromURL": exchanged_address(result.page),
        "fromURLHost": "127.0.0.1",
        "type": "jpg",
        "fromPageTitle": f"Drawn photo {result.seed}",
    }


def _baidu_page(keyword: str, query: Query, results: Results, total: int) -> str:
    """Baidu's plain page: HTML with the results in a script."""
    offset = _number(query, "pn")
    head = {"queryEnc": quote(keyword), "displayNum": total, "listNum": total}
    rows = [_compact(_baidu_row(result, offset + k)) for k, result in enumerate(results(offset, 1000))]
    data = _compact(head)[:-1] + ',"data":[' + ",\n".join([*rows, "{}"]) + "]}"  # Baidu's list ends with {}
    related = [f"{more} {keyword}" for more in ("happy", "surprised", "drawn")]
    return render("search.html", keyword=keyword, total=total, related=related, data=data)


def _baidu_listing(keyword: str, query: Query, results: Results, total: int) -> str:
    """Baidu's listing: JSON, with the originals' addresses in exchanged letters."""
    offset = _number(query, "pn")
    rows: list[dict[str, object]] = []
    for k, result in enumerate(results(offset, _number(query, "rn", 30))):
        replace = [{"ObjURL": result.url, "FromURL": result.page}]
        row = _baidu_row(result, offset + k) | {"objURL": exchanged_address(result.url)}
        rows.append(row | {"replaceUrl": replace})
    head = {"queryEnc": quote(keyword), "listNum": total, "displayNum": total}
    return _compact(head | {"data": [*rows, {}]})


def _commons(keyword: str, query: Query, results: Results, total: int) -> str:
    """MediaWiki's API: a search as generator, `imageinfo` as property."""
    offset = _number(query, "gsroffset")
    pages = []
    for index, result in enumerate(results(offset, _number(query, "gsrlimit", 10)), start=offset + 1):
        licence = " ".join(("CC", *result.licence)).upper().replace("CC CC0", "CC0")
        about = {
            "LicenseShortName": {"value": licence, "source": "commons-desc-page"},
            "Artist": {"value": f'<a href="/about">{result.author}</a>'},
        }
        info = {"url": result.url, "descriptionurl": result.page, "mime": "image/jpeg", "extmetadata": about}
        page = {"pageid": result.seed, "ns": 6, "title": f"File:Drawn photo {result.seed}.jpg"}
        pages.append(page | {"index": index, "imagerepository": "local", "imageinfo": [info]})
    answer: dict[str, object] = {"batchcomplete": True}
    if pages and offset + len(pages) < total:
        answer["continue"] = {"gsroffset": offset + len(pages), "continue": "gsroffset||"}
    # MediaWiki sorts by page number; `index` has the order of the search.
    found: dict[str, object] = {"pages": pages[::-1]}
    if query.get("list") == "search":
        found["searchinfo"] = {"totalhits": total, "suggestion": f"happy {keyword}"}
    return json.dumps(answer | {"query": found})


def _openverse(keyword: str, query: Query, results: Results, total: int) -> str:
    """Openverse's API."""
    page = max(_number(query, "page", 1), 1)
    size = min(max(_number(query, "page_size", 20), 1), 20)
    rows = [
        {
            "id": f"00000000-0000-0000-0000-{result.seed:012d}",
            "title": f"Drawn photo {result.seed}",
            "foreign_landing_url": result.page,
            "url": result.url,
            "creator": result.author,
            "license": result.licence[0],
            "license_version": result.licence[1],
            "source": "local",
        }
        for result in results((page - 1) * size, size)
    ]
    head = {"result_count": total, "page_count": -(-total // size), "page_size": size, "page": page}
    return json.dumps(head | {"results": rows})


PATHS = {
    "/search/flip": ("text/html; charset=utf-8", "word", _baidu_page),
    "/search/acjson": ("application/json", "word", _baidu_listing),
    "/w/api.php": ("application/json; charset=utf-8", "gsrsearch", _commons),
    "/v1/images/": ("application/json", "q", _openverse),
}
"""For each path its content type, the parameter with the search word, and what writes it."""


def _number(query: Query, name: str, default: int = 0) -> int:
    text = query.get(name, "")
    return int(text) if text.isdecimal() else default
