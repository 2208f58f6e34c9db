"""Sources, checked downloads, the manifest and the local search site, over real sockets on loopback."""

import csv
import hashlib
import json
import socket
import sys
import threading
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ferlib import crawl, synth
from ferlib.common import images
from ferlib.common.errors import BadInputError, CrawlError
from ferlib.crawl import crawler, engine
from ferlib.crawl.check import Picture
from ferlib.crawl.http import Downloader
from ferlib.crawl.manifest import COLUMNS, Row, open_manifest, read_rows
from ferlib.crawl.sources import baidu
from ferlib.crawl.sources.baidu import BaiduSource
from ferlib.crawl.sources.base import ResultPage
from tests.tools.loopback import ListSource, encoded, jpeg, noise, send, server

BRISK = crawl.CrawlSettings(pause_s=0.01)
PATIENT = crawl.CrawlSettings(connect_s=10, read_s=10, deadline_s=60, retries=1, pause_s=0.01)
QUICK = crawl.CrawlSettings(connect_s=1, read_s=0.3, deadline_s=0.5, retries=1, pause_s=0.01)


@pytest.fixture(scope="module")
def site():
    with crawl.LocalSite(seed=7, draw=noise) as running:
        yield running


# Sources


def flip_page(urls, total=112953, related=("老人住院",), pages=None, space=""):
    """A page in the shape of Baidu's flip page as published copies show it (2021)."""
    rows = [
        f'{{"thumbURL":"https://example.org/t.jpg",         "hasLarge" :0,         "pageNum":{k},     \n'
        f'         "objURL"{space}:{space}"{url}",         "fromURL":"{page}",         "width":640,'
        f'         "fromPageTitle":"<strong>face<\\/strong> \\\'{k}\\\'"        }}'
        for k, (url, page) in enumerate(zip(urls, pages or [""] * len(urls), strict=True))
    ]
    links = "".join(f'<a class="pull-rs" href="/search/index?word=x"> {name}</a>' for name in related)
    data = (
        f'    "queryEnc":"x",    "displayNum":{total},    "listNum":1688,"data":[{",".join([*rows, "{}"])}]'
    )
    return (
        "<html><head><title>x_百度图片搜索</title></head><body>"
        '<div id="resultInfo">找到相关图片约112,000张</div>'
        f'<div id="topRS">\n<em class="pull-rs-title">相关搜索：</em>{links}</div><a href="/">home</a>'
        f"<script>flip.setData('imgData', {{{data}}});</script></body></html>"
    )


def test_a_baidu_page_gives_addresses_pages_total_and_related():
    page = "ippr_z2C$qAzdH3FAzdH3Fooo_z&e3Bf5i7_z&e3Bv54AzdH3FwAzdH3Fd0"
    text = flip_page(
        ["https://example.org/a.jpg?x=1&y=2", r"http:\/\/example.org\/b\u00e9.jpg"], pages=[page, ""]
    )
    result = BaiduSource().parse(text)
    assert [record.url for record in result.records] == [
        "https://example.org/a.jpg?x=1&y=2",
        "http://example.org/bé.jpg",
    ]
    assert [record.page for record in result.records] == ["http://www.sohu.com/a/27", ""]
    assert result.records[0].licence == "unknown"
    assert result.total == 112953
    assert result.related == ("老人住院",)


def test_a_page_is_read_with_blanks_around_the_colon_and_odd_escapes():
    result = BaiduSource().parse(flip_page([r"http://example.org/it\'s \"a\".jpg"], space=" "))
    assert [record.url for record in result.records] == ['http://example.org/it\'s "a".jpg']


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<html><head><title>百度安全验证</title></head><body></body></html>", "百度安全验证"),
        ('{"antiFlag":1,"message":"Forbid spider access"}', "Forbid spider access"),
        ("", "''"),
    ],
)
def test_a_page_that_is_none_is_refused_with_its_title(text, told):
    with pytest.raises(CrawlError, match=told):
        BaiduSource().parse(text)


def test_a_page_without_results_is_no_error():
    assert BaiduSource().parse(flip_page([], total=0, related=())) == ResultPage((), 0, ())


@pytest.mark.parametrize("sizes", [[30, 30, 12], [30, 25, 30], [1], [30]])
def test_the_offset_advances_by_what_came(sizes):
    starts = np.cumsum([0, *sizes])
    asked = []

    def get(url, params):
        assert url == "https://image.baidu.com/search/flip"
        offset = int(params["pn"])
        asked.append(offset)
        size = sizes[list(starts).index(offset)] if offset < starts[-1] else 0
        return flip_page([f"http://example.org/{offset + k}.jpg" for k in range(size)])

    pages = list(BaiduSource().pages("x", get))
    urls = [record.url for page in pages for record in page.records]
    assert urls == [f"http://example.org/{k}.jpg" for k in range(sum(sizes))]
    assert asked == list(starts)


def test_a_site_that_repeats_its_last_page_for_ever_comes_to_an_end():
    def get(url, params):
        return flip_page([f"http://example.org/{k}.jpg" for k in range(30)])

    assert len(list(islice(BaiduSource().pages("x", get), 10))) == 1


@settings(deadline=None)
@given(st.text(max_size=60))
def test_parse_gives_back_any_address_that_json_can_write(url):
    [record] = BaiduSource().parse(flip_page([json.dumps(url, ensure_ascii=True)[1:-1]])).records
    assert record.url == url


@settings(deadline=None, max_examples=60)
@given(
    st.from_regex(r"https?://[a-z0-9.-]{1,20}(:[0-9]{1,5})?(/[a-zA-Z0-9_.?&=%-]{0,12}){0,3}", fullmatch=True)
)
def test_exchanged_letters_come_back(address):
    exchanged = baidu.exchanged_address(address)
    assert exchanged.startswith("ippr")
    assert baidu.plain_address(exchanged) == address


@pytest.mark.parametrize("address", ["", "ftp://x/a", "javascript:alert(1)", "ipprx"])
def test_a_page_address_that_is_not_http_is_left_out(address):
    assert baidu.plain_address(address) == ""


def test_open_source_knows_its_names():
    with crawl.open_source("local", seed=3) as source:
        assert source.name == "local" and source.base_url.startswith("http://127.0.0.1:")
    with crawl.open_source("baidu") as source:
        assert (source.name, source.base_url) == ("baidu", "https://image.baidu.com")
    with pytest.raises(BadInputError, match="'google'; known are local, baidu"), crawl.open_source("google"):
        pass


# The local site


def test_the_site_pages_by_thirty_with_baidus_names(site):
    source = site.source()
    with Downloader() as downloader:
        pages = list(source.pages("faces", downloader.fetch_text))
    assert [len(page.records) for page in pages] == [30] * 6 + [20]
    assert pages[0].total == 200
    assert pages[0].related == ("happy faces", "surprised faces", "drawn faces")
    records = [record for page in pages for record in page.records]
    assert len({record.url for record in records}) == 200
    assert all(record.page.startswith(site.url + "/page/") for record in records)
    text = requests.get(f"{site.url}/search/flip", {"word": "faces", "pn": "30"}).text
    assert text.count('"objURL":"') == 30


@pytest.mark.parametrize("keyword", ["生气 脸", "a&b=c", 'say "hi" <b>', "100%", "#tag", "é" * 50])
def test_any_keyword_survives_the_way_to_the_site(site, keyword):
    source = site.source()
    with Downloader() as downloader:
        page = next(source.pages(keyword, downloader.fetch_text))
    assert [crawl.photo_seed(record.url) for record in page.records[:3]] == list(site.seeds(keyword))[:3]
    assert page.related[0] == f"happy {keyword}"


def test_keywords_and_seeds_have_pictures_of_their_own(site):
    other = crawl.LocalSite(seed=8)
    assert not set(site.seeds("faces")) & set(site.seeds("people"))
    assert not set(site.seeds("faces")) & set(other.seeds("faces"))


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("fine", 200, "image/jpeg"),
        ("missing", 404, "text/plain"),
        ("web page", 200, "text/html"),
        ("cut off", 200, "image/jpeg"),
        ("thumbnail", 200, "image/jpeg"),
        ("copy", 200, "image/jpeg"),
    ],
)
def test_each_kind_of_picture_is_what_it_is_called(site, kind, status, content):
    seed = next(seed for seed in site.seeds("faces") if crawl.photo_kind(seed) == kind)
    answer = requests.get(site.address(seed))
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content)
    if kind == "copy":
        origin = crawl.photo_seed(site.address(seed))
        assert origin != seed and answer.content == requests.get(site.address(origin)).content
    if kind == "fine":
        assert (images.load_image(answer.content).shape) == (240, 320, 3)


def test_a_busy_picture_comes_at_the_second_try_and_a_broken_one_never():
    with crawl.LocalSite(draw=noise) as site:
        busy, broken = (
            next(s for s in site.seeds("faces") if crawl.photo_kind(s) == k) for k in ("busy", "broken off")
        )
        assert [requests.get(site.address(busy)).status_code for _ in range(2)] == [503, 200]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(site.address(broken))


def test_the_site_answers_in_one_send(site):
    """Two sends would wait for each other: 40 ms an answer on some systems."""
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        first = connection.recv(65536)
    assert first.endswith(b"Disallow: /private/\n")


@pytest.mark.parametrize(
    "path",
    ["/", "/photo/x.jpg", "/photo/-1.jpg", "/../etc/passwd", "/photo/1.jpg/", "/photo/" + "9" * 40 + ".jpg"],
)
def test_the_site_has_nothing_else(site, path):
    assert site.answer(path).status == 404


@pytest.mark.parametrize("offset", ["", "x", "-5", "1e9", "999999999999999999999"])
def test_an_odd_offset_gives_a_page(site, offset):
    answer = site.answer(f"/search/flip?word=faces&pn={offset}")
    assert answer.status == 200 and answer.body.count(b'"objURL"') in (0, 30)


def test_a_drawing_that_fails_is_told():
    def broken(seed):
        raise RuntimeError("no pencil")

    with crawl.LocalSite(draw=broken) as site:
        answer = requests.get(site.address(site.seeds("faces")[0]))
    assert answer.status_code == 500 and "no pencil" in answer.text


def test_the_site_ends_and_says_so():
    site = crawl.LocalSite(draw=noise)
    with site:
        url = site.url
    with pytest.raises(BadInputError, match="not running"):
        _ = site.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=1)
    with pytest.raises(BadInputError, match="10001"):
        crawl.LocalSite(photos=10_001)


@pytest.mark.parametrize(
    ("url", "seed"),
    [
        ("http://127.0.0.1:80/photo/12.jpg", 12),
        ("http://127.0.0.1:80/mirror/photo/12.jpg", 12),
        ("http://example.org/photo/12.jpg", None),
        ("http://127.0.0.1:80/photo/12.png", None),
        ("http://127.0.0.1:80/thumb/12.jpg", None),
        ("", None),
    ],
)
def test_photo_seed(url, seed):
    assert crawl.photo_seed(url) == seed


# One file


def test_a_picture_is_checked_by_its_content():
    picture = crawl.check_picture(encoded(Image.fromarray(noise(1)), "PNG"))
    assert (picture.suffix, picture.width, picture.height) == (".png", 320, 240)


@pytest.mark.parametrize(
    ("mode", "format", "suffix"),
    [
        ("RGB", "JPEG", ".jpg"),
        ("L", "JPEG", ".jpg"),
        ("CMYK", "JPEG", ".jpg"),
        ("RGBA", "PNG", ".png"),
        ("I;16", "PNG", ".png"),
        ("P", "GIF", ".gif"),
        ("RGB", "WEBP", ".webp"),
        ("RGB", "BMP", ".bmp"),
        ("1", "PNG", ".png"),
        ("RGB", "TIFF", ".tif"),
        ("CMYK", "TIFF", ".tif"),
        ("RGB", "AVIF", ".avif"),
        ("RGB", "JPEG2000", ".jp2"),
        ("RGB", "PPM", ".ppm"),
        ("L", "PPM", ".ppm"),
        ("RGB", "DIB", ".dib"),
    ],
)
def test_every_usual_kind_passes_and_loads(mode, format, suffix):
    data = encoded(Image.new(mode, (200, 180)), format)
    assert crawl.check_picture(data) == Picture(suffix, 200, 180)
    assert images.load_image(data).shape == (180, 200, 3)  # the next stage can open what this one takes


def test_a_turned_picture_has_the_size_that_one_sees():
    exif = Image.Exif()
    exif[274] = 6
    picture = crawl.check_picture(encoded(Image.new("RGB", (300, 200)), "JPEG", exif=exif))
    assert (picture.width, picture.height) == (200, 300)


def test_a_camera_file_with_two_pictures_passes():
    data = encoded(
        Image.new("RGB", (200, 200)), "MPO", save_all=True, append_images=[Image.new("RGB", (200, 200))]
    )
    assert crawl.check_picture(data).suffix == ".jpg"


BAD_FILES = {
    "empty": (b"", "empty file"),
    "web page": (b"  <!DOCTYPE HTML><html>", "a web page, not a picture"),
    "text": (b"sorry", "not a picture"),
    "cut jpeg": (jpeg()[: len(jpeg()) // 2], "cut off or damaged"),
    "head of a jpeg": (jpeg()[:300], "cut off or damaged|not a picture"),
    "cut png": (encoded(Image.fromarray(noise(0)), "PNG")[:-200], "cut off or damaged"),
    "cut gif": (encoded(Image.fromarray(noise(0)), "GIF")[:2000], "cut off or damaged"),
    "small": (encoded(Image.new("RGB", (159, 400)), "PNG"), "a side under 160 pixels"),
    "bomb": (
        encoded(Image.new("1", (9000, 9000)), "PNG"),
        "9000×9000 pixels, more than the limit of 50,000,000",
    ),
    "huge bomb": (encoded(Image.new("1", (20000, 20000)), "PNG"), "more pixels than the limit of 50,000,000"),
    "postscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 500 500\n%%EndComments\n",
        "not a picture: PostScript",
    ),
    "svg": (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="500" height="500"/>',
        "not a picture: SVG; save it as PNG",
    ),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(40), "not a picture: HEIC, which needs pillow-heif.*"),
    "film": (b"\0\0\0\x18ftypisom" + bytes(40), "a video, not a picture"),
    "line": (encoded(Image.new("L", (1, 30_000)), "PNG"), r"1×30000 pixels; the limits are .*"),
    "scans": (jpeg() + b"\xff\xda" * 300, "a JPEG of 301 scans.*"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_rejected_with_its_reason(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data, reason = BAD_FILES[name]
    with pytest.raises(crawl.Rejected, match=f"^({reason})$"):
        crawl.check_picture(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(jpeg()) - 1), st.binary(max_size=40))
def test_no_bytes_crash_the_check(cut, tail):
    data = jpeg()[:cut] + tail
    try:
        picture = crawl.check_picture(data)
    except crawl.Rejected:
        return
    assert (picture.width, picture.height) == (320, 240) and images.load_image(data).shape == (240, 320, 3)


def test_fetch_sends_an_honest_name_and_gives_the_bytes():
    def answer(handler, path, visit):
        send(handler, handler.headers["User-Agent"].encode())

    with server(answer) as (url, _), Downloader() as downloader:
        assert downloader.fetch(url).startswith(b"ferlib/")
        assert b"@" not in downloader.fetch(url)


@pytest.mark.parametrize("contact", ["you@example.org", "https://example.org/~you?a=b"])
def test_a_contact_is_told_to_the_site(tmp_path, contact):
    told = []

    def answer(handler, path, visit):
        told.append(handler.headers["User-Agent"])
        send(handler, jpeg())

    with server(answer) as (url, _):
        crawl.collect_pictures(
            ListSource([f"{url}/a"]), "x", 1, tmp_path, crawl.CrawlSettings(contact=contact), quiet=True
        )
    assert len(told) == 1 and told[0].startswith("ferlib/") and f"; {contact})" in told[0]


@pytest.mark.parametrize(
    "contact", ["me", "a@b", "a b@c.de", "you@example.org\nX: y", "ftp://a.de", "é@a.de", "a(@b.de"]
)
def test_a_contact_that_is_none_is_refused(tmp_path, contact):
    with pytest.raises(BadInputError, match="neither an e-mail address nor a web page"):
        crawl.collect_pictures(ListSource([]), "x", 1, tmp_path / "new", crawl.CrawlSettings(contact=contact))
    assert not (tmp_path / "new").exists()


def drip(handler, text, seconds=0.1):
    for letter in text:
        handler.wfile.write(letter.encode())
        time.sleep(seconds)


def answer_badly(handler, path, visit):
    name = path.strip("/").split("/")[0]
    if name.isdigit():
        send(handler, b"no", int(name))
    elif name == "loop":
        send(handler, b"", 302, Location=path)
    elif name == "file":
        send(handler, b"", 302, Location="file:///etc/passwd")
    elif name == "huge":
        send(handler, b"x" * 10, length=10**9)
    elif name == "endless":
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    elif name == "bomb":
        import gzip

        send(handler, gzip.compress(b"0" * 30_000_000), Content_Encoding="gzip")
    elif name == "silent":
        time.sleep(2)
    elif name == "drip":
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        drip(handler, "x" * 60)
    elif name == "headers":
        drip(handler, "HTTP/1.1 200 OK\r\n" + "".join(f"X-{k}: y\r\n" for k in range(9)))
    elif name == "status":
        drip(handler, "HTTP/1.1 200 " + "O" * 60)
    elif name == "chunks":
        drip(handler, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0)
        drip(handler, "1;" + "x" * 60)
    elif name == "short":
        send(handler, b"half", length=8)
    elif name == "gone":
        handler.connection.shutdown(socket.SHUT_RDWR)
    elif name == "badgzip":
        send(handler, b"this is not gzip", Content_Encoding="gzip")


@pytest.mark.parametrize(
    ("path", "reason", "visits"),
    [
        ("404", "HTTP status 404", 1),
        ("403", "HTTP status 403", 1),
        ("204", "HTTP status 204", 1),
        ("503", "HTTP status 503", 2),
        ("429", "HTTP status 429", 2),
        ("loop", "address cannot be followed", None),
        ("file", "address is not http or https", 1),
        ("huge", "larger than 20 MB", 1),
        ("endless", "larger than 20 MB", 1),
        ("bomb", "larger than 20 MB", 1),
        ("silent", "no answer in time", None),
        ("drip", "no answer in time", 1),
        ("headers", "no answer in time", 1),
        ("status", "no answer in time", 1),
        ("chunks", "no answer in time", 1),
        ("short", "connection broke off", 2),
        ("badgzip", "connection broke off", 2),
        ("gone", "no connection", 2),
    ],
)
def test_a_bad_answer_is_rejected_in_good_time(path, reason, visits):
    settings = QUICK if reason == "no answer in time" else PATIENT
    with server(answer_badly) as (url, seen), Downloader(settings) as downloader:
        begin = time.monotonic()
        with pytest.raises(crawl.Rejected, match=f"^{reason}$"):
            downloader.fetch(f"{url}/{path}")
        assert time.monotonic() - begin < (3 if reason == "no answer in time" else 10)
        assert visits is None or seen[f"/{path}"] == visits


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "address is not http or https"),
        ("ftp://example.org/a.jpg", "address is not http or https"),
        ("data:image/png;base64,AAAA", "address is not http or https"),
        ("", "address is not http or https"),
        ("/a.jpg", "address is not http or https"),
        ("http://", "address cannot be followed"),
        ("http://[::1", "address cannot be followed"),
        ("http://127.0.0.1:1/a.jpg", "no connection"),
        ("http://127.0.0.1:99999/a.jpg", "address cannot be followed"),
    ],
)
def test_an_address_that_leads_nowhere_is_rejected(url, reason):
    with Downloader(QUICK) as downloader, pytest.raises(crawl.Rejected, match=f"^{reason}$"):
        downloader.fetch(url, check_robots=False)


def test_a_broken_transfer_is_taken_up_again():
    def answer(handler, path, visit):
        send(handler, b"whole" if visit == 3 else b"wh", length=5)

    with server(answer) as (url, visits), Downloader(BRISK) as downloader:
        assert downloader.fetch(url) == b"whole"
        assert visits["/"] == 3


def test_the_local_site_is_reached_past_any_proxy(site, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Downloader(PATIENT) as downloader:
        assert downloader.fetch(f"{site.url}/robots.txt")


# The whole crawl


@pytest.fixture(scope="module")
def crawled(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return folder, crawl.collect_pictures(site.source(), "faces", 60, folder, settings=BRISK, quiet=True)


def test_a_crawl_leaves_as_many_good_pictures_as_asked(crawled):
    folder, manifest = crawled
    assert list(manifest.columns) == list(COLUMNS)
    good = manifest[manifest["state"] == "ok"]
    assert len(good) == 60
    assert {path.name for path in folder.iterdir()} == {*good["file"], "manifest.csv"}
    for row in good.itertuples():
        data = (folder / row.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.sha256 and row.file == row.sha256[:16] + ".jpg"
        assert images.load_image(data).shape == (row.height, row.width, 3)
        assert data == jpeg(crawl.photo_seed(row.url))  # the truth of a file is that of its address


REASONS = {
    "fine": {("ok", "")},
    "busy": {("ok", "")},
    "copy": {("copy", "same bytes as an earlier picture")},
    "near copy": {("copy", "near copy of an earlier picture")},
    "private": {("rejected", "robots.txt forbids it")},
    "missing": {("rejected", "HTTP status 404")},
    "web page": {("rejected", "a web page, not a picture")},
    "cut off": {("rejected", "cut off or damaged")},
    "broken off": {("rejected", "connection broke off")},
    "thumbnail": {("rejected", "a side under 160 pixels")},
}


def test_every_result_has_its_row_and_right_reason(crawled, site):
    _, manifest = crawled
    seeds = list(site.seeds("faces"))[: len(manifest)]
    assert list(manifest["url"]) == [site.address(seed) for seed in seeds]
    found = {}
    for seed, row in zip(seeds, manifest.itertuples(), strict=True):
        found.setdefault(crawl.photo_kind(seed), set()).add((row.state, row.reason))
    assert found == REASONS
    copies = manifest[manifest["reason"] == "same bytes as an earlier picture"]
    originals = manifest[manifest["state"] == "ok"].set_index("sha256")["file"]
    assert list(copies["file"]) == list(originals[copies["sha256"]])
    for row in manifest[manifest["reason"] == "near copy of an earlier picture"].itertuples():
        original = manifest[(manifest["file"] == row.file) & (manifest["state"] == "ok")].iloc[0]
        place = crawl.photo_seed(original["url"])
        assert row.url.endswith(f"/smaller/photo/{place}.jpg") and row.width < original["width"]
    thumbnails = manifest[manifest["reason"] == "a side under 160 pixels"]
    assert set(zip(thumbnails["width"], thumbnails["height"], strict=True)) == {(120, 90)}


def test_the_manifest_is_a_plain_csv_that_comes_back(crawled):
    folder, manifest = crawled
    pd.testing.assert_frame_equal(crawl.read_manifest(folder), manifest)
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["sha256"] for row in rows] == list(manifest["sha256"])
    assert manifest["width"].dtype == np.int64


@pytest.mark.parametrize("workers", [1, 9])
def test_the_manifest_is_the_same_with_any_number_of_workers(site, crawled, tmp_path, workers):
    settings = crawl.CrawlSettings(workers, pause_s=0.01)
    again = crawl.collect_pictures(site.source(), "faces", 60, tmp_path, settings, quiet=True)
    pd.testing.assert_frame_equal(again, crawled[1])


def test_a_source_that_ends_early_gives_what_it_has(site, tmp_path):
    with crawl.LocalSite(draw=noise, photos=20) as small:
        manifest = crawl.collect_pictures(small.source(), "faces", 100, tmp_path, quiet=True)
    assert len(manifest) == 20 and (manifest["state"] == "ok").sum() == 15


def test_a_keyword_without_results_gives_an_empty_manifest(tmp_path):
    with crawl.LocalSite(draw=noise, photos=0) as empty:
        manifest = crawl.collect_pictures(empty.source(), "faces", 5, tmp_path, quiet=True)
    assert len(manifest) == 0 and list(manifest.columns) == list(COLUMNS)


def test_the_same_keyword_again_loses_nothing_and_another_adds(site, tmp_path):
    (tmp_path / "mine.txt").write_text("not a picture of the crawl")
    first = crawl.collect_pictures(site.source(), "faces", 12, tmp_path, quiet=True)
    fewer = crawl.collect_pictures(site.source(), "faces", 5, tmp_path, quiet=True)
    pd.testing.assert_frame_equal(fewer, first)
    both = crawl.collect_pictures(site.source(), "people", 6, tmp_path, quiet=True)
    assert list(both["keyword"]) == ["faces"] * len(first) + ["people"] * (len(both) - len(first))
    assert {p.name for p in tmp_path.glob("*.jpg")} == set(both[both["state"] == "ok"]["file"])
    more = crawl.collect_pictures(site.source(), "faces", 14, tmp_path, quiet=True)
    faces = more[more["keyword"] == "faces"].reset_index(drop=True)
    pd.testing.assert_frame_equal(faces.head(len(first)), first)
    assert (faces["state"] == "ok").sum() == 14 and (tmp_path / "mine.txt").exists()


def test_a_picture_found_under_another_keyword_is_a_copy(tmp_path):
    with server(lambda handler, path, visit: send(handler, jpeg())) as (url, _):
        crawl.collect_pictures(ListSource([f"{url}/a"]), "one", 1, tmp_path, quiet=True)
        both = crawl.collect_pictures(ListSource([f"{url}/b"]), "two", 1, tmp_path, quiet=True)
        assert list(both["state"]) == ["ok", "copy"]
        # and the file stays when the keyword that brought it is crawled again with another result
        crawl.collect_pictures(ListSource([f"{url}/b"]), "two", 1, tmp_path, quiet=True)
        assert len(list(tmp_path.glob("*.jpg"))) == 1


def test_an_address_that_comes_twice_is_fetched_once(tmp_path):
    with server(lambda handler, path, visit: send(handler, jpeg())) as (url, visits):
        manifest = crawl.collect_pictures(ListSource([f"{url}/a"] * 3), "x", 3, tmp_path, quiet=True)
    assert visits["/a"] == 1
    assert list(manifest["reason"]) == ["", *["same address as an earlier result"] * 2]


def test_the_ending_follows_the_content_and_licence_is_kept(tmp_path):
    data = encoded(Image.fromarray(noise(5)), "PNG")
    with server(lambda handler, path, visit: send(handler, data)) as (url, _):
        manifest = crawl.collect_pictures(ListSource([f"{url}/a.jpg"]), "x", 1, tmp_path, quiet=True)
    assert manifest["file"][0].endswith(".png") and manifest["licence"][0] == "mine"


def test_bad_addresses_do_not_stop_the_good_ones(tmp_path):
    with server(lambda handler, path, visit: send(handler, jpeg())) as (url, _):
        urls = ["file:///etc/passwd", "http://[::1", "", f"{url}/a", "nonsense"]
        manifest = crawl.collect_pictures(ListSource(urls), "x", 5, tmp_path, settings=QUICK, quiet=True)
    assert list(manifest["state"]) == ["rejected", "rejected", "rejected", "ok", "rejected"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"keyword": " "}, "keyword is empty"),
        ({"count": 0}, "count is 0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, arguments, told):
    with pytest.raises(BadInputError, match=told):
        crawl.collect_pictures(
            ListSource([]), **({"keyword": "x", "count": 1, "folder": tmp_path / "new"} | arguments)
        )
    assert not (tmp_path / "new").exists()


def test_a_crawl_without_workers_is_refused():
    with pytest.raises(BadInputError, match="workers is -1"):
        crawl.CrawlSettings(workers=-1)


def test_a_source_that_does_not_answer_leaves_the_earlier_manifest(crawled, site, tmp_path):
    before = crawl.collect_pictures(site.source(), "faces", 3, tmp_path, quiet=True)
    away = BaiduSource("http://127.0.0.1:1", name="local")
    with pytest.raises(CrawlError, match="gave no page"):
        crawl.collect_pictures(away, "faces", 3, tmp_path, settings=QUICK, quiet=True)
    pd.testing.assert_frame_equal(crawl.read_manifest(tmp_path), before)


def test_a_later_page_that_cannot_be_fetched_ends_the_results(tmp_path, caplog):
    with server(lambda handler, path, visit: send(handler, jpeg(int(path[1:])))) as (url, _):
        source = ListSource([f"{url}/{k}" for k in range(30)], fail_at=2)
        manifest = crawl.collect_pictures(source, "x", 30, tmp_path)
    assert (manifest["state"] == "ok").sum() == 20
    assert "a later page cannot be fetched" in caplog.text and "the list is torn" in caplog.text


def test_a_crawl_tells_what_was_found_and_is_silent_when_asked(site, tmp_path, capfd):
    crawl.collect_pictures(site.source(), "faces", 2, tmp_path)
    said = capfd.readouterr()
    assert "found: 200 pictures; related searches: happy faces, surprised faces, drawn faces" in said.out
    assert "2/2" in said.err
    crawl.collect_pictures(site.source(), "faces", 2, tmp_path, quiet=True)
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_leaves_only_whole_files_and_their_rows(site, tmp_path, monkeypatch):
    class Interrupting:
        written = 0

        def __init__(self, folder):
            self.file = open_manifest(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, line):
            self.file.write(line)
            self.written += 1
            if self.written == 10:
                raise KeyboardInterrupt

    monkeypatch.setattr(crawler, "open_manifest", Interrupting)
    with pytest.raises(KeyboardInterrupt):
        crawl.collect_pictures(site.source(), "faces", 60, tmp_path, settings=BRISK, quiet=True)
    manifest = crawl.read_manifest(tmp_path)
    assert len(manifest) == 10
    assert not list(tmp_path.glob("*.part"))
    for row in manifest[manifest["state"] == "ok"].itertuples():
        images.load_image(tmp_path / row.file)
    for path in tmp_path.glob("*.jpg"):
        images.load_image(path)


def test_workers_work_at_the_same_time_and_no_more_than_asked(tmp_path):
    lock, now, most = threading.Lock(), [0], [0]

    def answer(handler, path, visit):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.1)
        with lock:
            now[0] -= 1
        send(handler, jpeg(int(path[1:])))

    with server(answer) as (url, _):
        source = ListSource([f"{url}/{k}" for k in range(24)], page=24)
        crawl.collect_pictures(source, "x", 24, tmp_path, crawl.CrawlSettings(workers=6), quiet=True)
    assert 3 <= most[0] <= 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "run notebook 01"),
        ("", "cannot be read"),
        ("a,b\n1,2\n", "lacks the columns file, source"),
        (",".join(COLUMNS) + "\na,b,c,d,e,f,g,wide,2,h,p,ok,\n", "cannot be read"),
        (",".join(COLUMNS) + "\na,b,c,d,e,f,g,1,2,h,p,great,\n", "unknown state 'great'"),
        (",".join(COLUMNS) + "\na,b,c,d,e,f,g,1\n", "cannot be read"),
        (",".join(COLUMNS) + f"\na,b,c,d,e,f,g,{'9' * 30},2,h,,ok,\n", "cannot be read"),
        (",".join(COLUMNS) + "\na,b,c,d,e,f,g,1,2,h,hash,ok,\n", "phash"),
        (",".join(COLUMNS) + "\na,b,c,d,e,f,g,1,-2,h,,ok,\n", "negative size"),
        ("\x00\x01\x02", "lacks the columns|cannot be read"),
    ],
)
def test_a_broken_manifest_is_refused_in_one_line(tmp_path, text, told):
    if text is not None:
        (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(CrawlError, match=told) as caught:
        crawl.read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1", "-1", "@a", "\t=1", "'=1", "''", "'a", "a=1", "＝1", "'", ""]
)
def test_no_text_is_a_formula_and_each_comes_back(tmp_path, text):
    row = Row(author=text, page=text, width=1, height=1)
    with open_manifest(tmp_path) as manifest:
        manifest.write(row.line())
    assert read_rows(tmp_path) == [replace(row, author=text.replace("\t", " "), page=text.replace("\t", " "))]
    assert crawl.read_manifest(tmp_path)["author"][0] == text.replace("\t", " ")
    cell = pd.read_csv(tmp_path / "manifest.csv", dtype=str, keep_default_na=False)["author"][0]
    assert not cell.strip().startswith(("=", "+", "-", "@", "＝"))


def test_a_full_disk_is_named_and_keeps_what_was_there(site, tmp_path, monkeypatch):
    first = crawl.collect_pictures(site.source(), "faces", 3, tmp_path, BRISK, quiet=True)

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine.Path, "write_bytes", full)
    with pytest.raises(BadInputError, match="No space left on device"):
        crawl.collect_pictures(site.source(), "faces", 9, tmp_path, BRISK, quiet=True)
    monkeypatch.undo()
    again = crawl.read_manifest(tmp_path)
    assert set(first["file"]) <= set(again["file"]) and all(
        (tmp_path / name).is_file() for name in first["file"] if name
    )


def test_a_manifest_cannot_have_files_elsewhere_removed(site, tmp_path):
    folder = tmp_path / "raw"
    (tmp_path / "precious.jpg").write_bytes(b"x")
    crawl.collect_pictures(site.source(), "faces", 1, folder, quiet=True)
    path = folder / "manifest.csv"
    path.write_text(path.read_text() + "../precious.jpg,local,faces,u,p,l,a,1,1,h,,ok,\n" * 2)
    crawl.collect_pictures(site.source(), "faces", 1, folder, quiet=True)
    assert (tmp_path / "precious.jpg").exists()


def test_the_default_crawl_brings_drawn_photos_whose_truth_is_known(tmp_path):
    manifest = crawl.crawl_local(tmp_path, count=4, seed=7)
    good = manifest[manifest["state"] == "ok"]
    assert len(good) == 4 and set(good["licence"]) == {"drawn by ferlib (MIT)"}
    for row in good.itertuples():
        photo = synth.draw_photo(crawl.photo_seed(row.url))
        assert photo.image.shape == (row.height, row.width, 3)
        assert np.abs(images.load_image(tmp_path / row.file).astype(int) - photo.image).mean() < 6
    assert list(crawl.crawl_local(tmp_path / "b", count=2, seed=7)["sha256"]) == list(manifest["sha256"])[:2]
