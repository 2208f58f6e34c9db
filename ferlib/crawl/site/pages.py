"""What the local search site says: result pages in the shapes of Baidu, Wikimedia Commons and Openverse.

Each writer takes the query of a request, `results(keyword, begin, size)` and the total, and gives the text.
"""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ferlib.crawl.sources.baidu import exchanged_address


@dataclass(frozen=True)
class Result:
    """A picture in the results: its seed, its address and the page that it stands on."""

    seed: int
    url: str
    page: str


Results = Callable[[str, int, int], list[Result]]
ALL_OF_A_PAGE = 1000
LICENCES = (("by", "4.0"), ("by-sa", "4.0"), ("cc0", "1.0"))
"""The drawings are the project's own; the local site says these, so that a table of licences has rows."""


def authors_name(seed: int) -> str:
    """The author that the local site names for a drawing."""
    return f"Drawing machine {seed % 5 + 1}"


def flip_page(query: Mapping[str, str], results: Results, total: int) -> str:
    """Baidu's plain page: HTML with the results in a script."""
    keyword, offset = query.get("word", ""), _number(query, "pn")
    rows = [
        {
            "pageNum": offset + place,
            "objURL": result.url,
            "fromURL": exchanged_address(result.page),
            "fromURLHost": "127.0.0.1",
            "type": "jpg",
            "fromPageTitle": f"Drawn photo {result.seed}",
        }
        for place, result in enumerate(results(keyword, offset, ALL_OF_A_PAGE))
    ]
    total = total if keyword.strip() else 0
    head = {"queryEnc": quote(keyword), "displayNum": total, "listNum": total}
    cells = [json.dumps(row, separators=(",", ":")) for row in rows] + ["{}"]  # Baidu's list ends with {}
    data = json.dumps(head, separators=(",", ":"))[:-1] + ',"data":[' + ",\n".join(cells) + "]}"
    related = "".join(_related(f"{more} {keyword}") for more in ("happy", "surprised", "drawn"))
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
        f"<title>{html.escape(keyword)} - picture search</title></head><body>\n"
        f'<div id="resultInfo">{total} pictures found</div>\n'
        f'<div id="topRS"><em>related: </em>{related}</div>\n'
        f"<script>\nflip.setData('imgData', {data});\n</script>\n</body></html>\n"
    )


def acjson(query: Mapping[str, str], results: Results, total: int) -> str:
    """Baidu's listing: JSON, with the originals' addresses in exchanged letters."""
    keyword, offset = query.get("word", ""), _number(query, "pn")
    rows = [
        {
            "pageNum": offset + place,
            "objURL": exchanged_address(result.url),
            "fromURL": exchanged_address(result.page),
            "fromURLHost": "127.0.0.1",
            "type": "jpg",
            "fromPageTitle": f"Drawn photo {result.seed}",
            "replaceUrl": [{"ObjURL": result.url, "FromURL": result.page}],
        }
        for place, result in enumerate(results(keyword, offset, _number(query, "rn", 30)))
    ]
    total = total if keyword.strip() else 0
    head = {"queryEnc": quote(keyword), "listNum": total, "displayNum": total, "data": [*rows, {}]}
    return json.dumps(head, separators=(",", ":"))


def commons(query: Mapping[str, str], results: Results, total: int) -> str:
    """MediaWiki's API: a search as generator, `imageinfo` as property."""
    keyword = query.get("gsrsearch", "").removeprefix("filetype:bitmap").strip()
    offset, size = _number(query, "gsroffset"), _number(query, "gsrlimit", 10)
    found = results(keyword, offset, size)
    pages = [
        {
            "pageid": result.seed,
            "ns": 6,
            "title": f"File:Drawn photo {result.seed}.jpg",
            "index": offset + place + 1,
            "imagerepository": "local",
            "imageinfo": [
                {
                    "url": result.url,
                    "descriptionurl": result.page,
                    "mime": "image/jpeg",
                    "extmetadata": {
                        "LicenseShortName": {"value": _licence(result.seed), "source": "commons-desc-page"},
                        "Artist": {"value": f'<a href="/about">{authors_name(result.seed)}</a>'},
                    },
                }
            ],
        }
        for place, result in enumerate(found)
    ]
    answer: dict[str, object] = {"batchcomplete": True}
    if offset + len(found) < total and found:
        answer["continue"] = {"gsroffset": offset + len(found), "continue": "gsroffset||"}
    answer["query"] = {
        "pages": pages[::-1]
    }  # MediaWiki orders by page number; `index` has the search's order
    if query.get("list") == "search":
        answer["query"]["searchinfo"] = {"totalhits": total, "suggestion": f"happy {keyword}"}
    return json.dumps(answer)


def openverse(query: Mapping[str, str], results: Results, total: int) -> str:
    """Openverse's API."""
    keyword, page = query.get("q", ""), max(_number(query, "page", 1), 1)
    size = min(max(_number(query, "page_size", 20), 1), 20)
    rows = [
        {
            "id": f"00000000-0000-0000-0000-{result.seed:012d}",
            "title": f"Drawn photo {result.seed}",
            "foreign_landing_url": result.page,
            "url": result.url,
            "creator": authors_name(result.seed),
            "license": LICENCES[result.seed % 3][0],
            "license_version": LICENCES[result.seed % 3][1],
            "source": "local",
        }
        for result in results(keyword, (page - 1) * size, size)
    ]
    total = total if keyword.strip() else 0
    head = {"result_count": total, "page_count": -(-total // size), "page_size": size, "page": page}
    return json.dumps(head | {"results": rows})


PATHS = {
    "/search/flip": ("text/html; charset=utf-8", flip_page),
    "/search/acjson": ("application/json", acjson),
    "/w/api.php": ("application/json; charset=utf-8", commons),
    "/v1/images/": ("application/json", openverse),
}


def _licence(seed: int) -> str:
    code, version = LICENCES[seed % 3]
    return f"CC0 {version}" if code == "cc0" else f"CC {code.upper()} {version}"


def _number(query: Mapping[str, str], name: str, default: int = 0) -> int:
    text = query.get(name, "")
    return int(text) if text.isdecimal() else default


def _related(words: str) -> str:
    address = f"/search/flip?tn=baiduimage&amp;ie=utf-8&amp;word={quote(words)}"
    return f'<a class="pull-rs" href="{address}">{html.escape(words)}</a>'
