"""Sources beside Baidu's page: replies of the documented shapes, and each source whole against the local site."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib import crawl
from ferlib.common import images
from ferlib.common.errors import BadInputError, CrawlError
from ferlib.crawl.sources import baidu
from ferlib.crawl.sources.commons import CommonsSource
from ferlib.crawl.sources.openverse import OpenverseSource
from tests.tools.loopback import jpeg, noise, send, server

BRISK = crawl.CrawlSettings(pause_s=0.01)


# Baidu's listing


def acjson_reply(results, total=112953):
    """A reply in the shape of /search/acjson as published copies show it."""
    data = ",".join([*results, "{}"])
    return (
        '{"queryEnc":"%E7%AC%91","queryExt":"x","listNum":1890,"displayNum":' + str(total) + ',"gsm":"1e",'
        '"bdFmtDispNum":"约112,000","isNeedAsyncRequest":0,"bdIsClustered":"1","data":[' + data + "]}"
    )


def acjson_result(url="", page="", replace=None, title="a face"):
    row = f'{{"thumbURL":"https://example.org/t.jpg","pageNum":0,"objURL":"{url}","fromURL":"{page}",'
    row += f'"width":640,"height":480,"type":"jpg","fromPageTitle":"{title}"'
    return row + (f',"replaceUrl":{json.dumps(replace)}' if replace else "") + "}"


def test_a_listing_gives_plain_addresses_pages_and_total():
    exchanged = baidu.exchanged_address("https://example.org/a.jpg")
    page = baidu.exchanged_address("https://example.org/a.html")
    other = [{"ObjURL": "http://example.org/b.jpg", "FromURL": "http://example.org/b.html"}]
    results = [acjson_result(exchanged, page), acjson_result("", "", other, title=r"it\'s a face")]
    parsed = baidu.BaiduListSource().parse(acjson_reply(results))
    assert [(r.url, r.page) for r in parsed.records] == [
        ("https://example.org/a.jpg", "https://example.org/a.html"),
        ("http://example.org/b.jpg", "http://example.org/b.html"),
    ]
    assert parsed.total == 112953


@pytest.mark.parametrize(
    ("title", "value"),
    [
        (r"it\'s", "it's"),
        (r"a\\'b", "a\\'b"),
        (r"a\>b", "a>b"),
        (r"\x3cb\x3e", "<b>"),
        (r"\u12", "u12"),
        (r"\u4eba\n\"\/", '人\n"/'),
        (r"\\\\\'", "\\\\'"),
        ("a\x01\tb\nc", "a\x01\tb\nc"),
    ],
)
def test_no_escape_in_a_title_loses_a_page(title, value):
    url = "http://example.org/a.jpg"
    assert json.loads(baidu._repair(f'"{title}"'), strict=False) == value
    text = acjson_reply([acjson_result(url, title=title), acjson_result(url.replace("a.", "b."))])
    parsed = baidu.BaiduListSource().parse(text)
    assert [record.url for record in parsed.records] == [url, "http://example.org/b.jpg"]


def test_a_title_that_breaks_the_json_leaves_the_addresses():
    exchanged = baidu.exchanged_address("https://example.org/a.jpg")
    results = [acjson_result(exchanged, exchanged, title="C:\\"), acjson_result("http://example.org/b.jpg")]
    parsed = baidu.BaiduListSource().parse(acjson_reply(results))
    assert [record.url for record in parsed.records] == [
        "https://example.org/a.jpg",
        "http://example.org/b.jpg",
    ]
    assert parsed.total == 112953 and parsed.records[0].page == "https://example.org/a.jpg"


@pytest.mark.parametrize("source", [baidu.BaiduListSource(), CommonsSource(), OpenverseSource()])
def test_an_answer_that_is_too_deep_is_refused(source):
    with pytest.raises(CrawlError):
        source.parse("[" * 100_000)


def test_commons_with_an_odd_index_is_read():
    pages = [
        {"index": index, "imageinfo": [{"url": f"http://a.example/{index}"}]} for index in ("x", 2, None)
    ]
    parsed = CommonsSource().parse(json.dumps({"query": {"pages": pages}}))
    assert len(parsed.records) == 3


@pytest.mark.parametrize(
    "text",
    [
        '{"antiFlag":1,"message":"Forbid spider access"}',
        "<html><title>验证</title>",
        "",
        "[]",
        '{"data":[1]}',
        "null",
    ],
)
def test_a_listing_that_is_none_is_refused(text):
    with pytest.raises(CrawlError, match="no page of results"):
        baidu.BaiduListSource().parse(text)


def test_the_listing_is_asked_for_thirty_at_a_time():
    address, query = baidu.BaiduListSource().address("笑脸", 60)
    assert address == "https://image.baidu.com/search/acjson"
    assert (query["word"], query["queryWord"], query["pn"], query["rn"]) == ("笑脸", "笑脸", "60", "30")


# Wikimedia Commons


def commons_file(number, mime="image/jpeg", licence="CC BY-SA 4.0", artist="Ann", **more):
    """A file as API:Imageinfo documents it, formatversion 2."""
    about = {
        "LicenseShortName": {"value": licence, "source": "commons-desc-page", "hidden": ""},
        "Artist": {"value": artist, "source": "commons-desc-page"},
        "LicenseUrl": {
            "value": "https://creativecommons.org/licenses/by-sa/4.0",
            "source": "commons-desc-page",
        },
    }
    info = {
        "size": 41231,
        "width": 800,
        "height": 600,
        "url": f"https://upload.wikimedia.org/wikipedia/commons/a/ab/Face_{number}.jpg",
        "descriptionurl": f"https://commons.wikimedia.org/wiki/File:Face_{number}.jpg",
        "descriptionshorturl": f"https://commons.wikimedia.org/w/index.php?curid={number}",
        "mime": mime,
        "extmetadata": about,
    }
    return {
        "pageid": number,
        "ns": 6,
        "title": f"File:Face {number}.jpg",
        "index": number,
        "imagerepository": "local",
        "imageinfo": [info | more],
    }


def commons_reply(files, more=None, total=None):
    reply = {"batchcomplete": True, "query": {"pages": files}}
    if total is not None:
        reply["query"]["searchinfo"] = {"totalhits": total, "suggestion": "filetype:bitmap happy face"}
    return json.dumps(reply | ({"continue": more} if more else {}))


def test_commons_gives_licence_author_and_page_in_the_order_of_the_search():
    artist = '<a href="//commons.wikimedia.org/wiki/User:Ann" title="User:Ann">Ann &amp; Bob</a>'
    reply = commons_reply(
        [commons_file(2, licence="Public domain"), commons_file(1, artist=artist)], total=77
    )
    page = CommonsSource().parse(reply)
    first, second = page.records
    assert first.url.endswith("Face_1.jpg") and first.page.endswith("File:Face_1.jpg")
    assert (first.licence, first.author) == ("CC BY-SA 4.0", "Ann & Bob")
    assert (second.licence, second.author) == ("Public domain", "Ann")
    assert (page.total, page.related) == (77, ("happy face",))


def test_commons_leaves_out_what_is_no_usual_picture_and_what_it_does_not_know():
    without = commons_file(3)
    del without["imageinfo"]  # comes with the next page of a property that was too long
    files = [commons_file(1, mime="image/svg+xml"), without, commons_file(4, extmetadata=[]), "?"]
    [record] = CommonsSource().parse(commons_reply(files)).records
    assert (record.licence, record.author) == ("unknown", "")


def test_commons_goes_on_as_continue_says_and_asks_for_the_total_once():
    asked = []

    def get(url, params):
        assert url == "https://commons.wikimedia.org/w/api.php"
        asked.append(params)
        if len(asked) == 1:
            return commons_reply(
                [commons_file(1)], {"gsroffset": 50, "sroffset": 1, "continue": "gsroffset||"}, 2
            )
        # the list beside the generator goes on for ever; that is no reason to ask again
        return commons_reply([commons_file(2)], {"sroffset": 2, "continue": "-||"})

    pages = list(CommonsSource().pages("face", get))
    assert [len(page.records) for page in pages] == [1, 1] and pages[0].total == 2
    assert (
        asked[0]["generator"] == "search" and asked[0]["gsrnamespace"] == "6" and asked[0]["list"] == "search"
    )
    assert "list" not in asked[1] and (asked[1]["gsroffset"], asked[1]["continue"]) == ("50", "gsroffset||")
    assert "sroffset" not in asked[1]


def test_commons_that_repeats_its_place_comes_to_an_end():
    reply = commons_reply([commons_file(1)], {"gsroffset": 50, "continue": "gsroffset||"})
    assert len(list(CommonsSource().pages("face", lambda url, params: reply))) == 2


def test_a_search_without_results_has_no_query_at_all():
    assert CommonsSource().parse('{"batchcomplete":true}').records == ()


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        (
            CommonsSource,
            '{"error":{"code":"maxlag","info":"Waiting for a database server"}}',
            "Waiting for a",
        ),
        (CommonsSource, '{"error":"x"}', "no reason given"),
        (CommonsSource, "<html>", "begins '<html>'"),
        (OpenverseSource, '{"detail":"Request was throttled."}', "Request was throttled"),
        (OpenverseSource, "[]", "not the JSON"),
        (OpenverseSource, "", "not the JSON"),
    ],
)
def test_an_interface_that_refuses_is_quoted(source, text, told):
    with pytest.raises(CrawlError, match=told):
        source().parse(text)


# Openverse


def openverse_result(number, **more):
    """A result as https://api.openverse.org/v1/ documents it."""
    return {
        "id": f"8624ba61-57f1-4f98-8a85-{number:012d}",
        "title": "Wilson's face",
        "indexed_on": "2020-04-25T22:06:27.526043Z",
        "foreign_landing_url": f"https://www.flickr.com/photos/1/{number}",
        "url": f"https://live.staticflickr.com/1/{number}_o.jpg",
        "creator": "mallowmuncher",
        "creator_url": "https://www.flickr.com/photos/1",
        "license": "by-nc-sa",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by-nc-sa/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "category": None,
        "filesize": None,
        "filetype": "jpg",
        "tags": [{"name": "face", "accuracy": None}],
        "height": 480,
        "width": 640,
        "mature": False,
    } | more


def openverse_reply(results, pages=1, page=1, total=240):
    head = {"result_count": total, "page_count": pages, "page_size": 20, "page": page}
    return json.dumps(head | {"results": results})


def test_openverse_gives_licence_author_and_page():
    page = OpenverseSource().parse(openverse_reply([openverse_result(1), openverse_result(2, creator=None)]))
    first, second = page.records
    assert first.url == "https://live.staticflickr.com/1/1_o.jpg" and first.page.endswith("/photos/1/1")
    assert (first.licence, first.author, second.author) == ("CC BY-NC-SA 2.0", "mallowmuncher", "")
    assert page.total == 240


@pytest.mark.parametrize(
    ("code", "version", "told"),
    [
        ("by", "4.0", "CC BY 4.0"),
        ("cc0", "1.0", "CC0 1.0"),
        ("pdm", "1.0", "Public Domain Mark 1.0"),
        ("by", None, "CC BY"),
        (None, None, "unknown"),
    ],
)
def test_licences_are_written_as_people_write_them(code, version, told):
    [record] = (
        OpenverseSource()
        .parse(openverse_reply([openverse_result(1, license=code, license_version=version)]))
        .records
    )
    assert record.licence == told


@pytest.mark.parametrize(("pages", "asked"), [(3, ["1", "2", "3"]), (0, ["1"])])
def test_openverse_is_asked_for_as_many_pages_as_it_has(pages, asked):
    seen = []

    def get(url, params):
        assert url == "https://api.openverse.org/v1/images/" and params["q"] == "face"
        seen.append(params["page"])
        return openverse_reply([openverse_result(int(params["page"]))] if pages else [], pages)

    list(OpenverseSource().pages("face", get))
    assert seen == asked


KEYS = ["query", "pages", "imageinfo", "url", "extmetadata", "results", "data", "continue", "error"]


def _nested(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)


@settings(deadline=None, max_examples=100)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), _nested, max_leaves=12))
def test_no_json_crashes_a_source(answer):
    for source in (CommonsSource(), OpenverseSource(), baidu.BaiduListSource()):
        try:
            page = source.parse(json.dumps(answer))
        except CrawlError:
            continue
        assert all(isinstance(record.url, str) and record.url for record in page.records)


# Lists and folders


ONE, TWO = ("http://a/1.jpg", "unknown", ""), ("https://a/2.jpg", "unknown", "")


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("http://a/1.jpg\n\n# no\n  https://a/2.jpg \n", [ONE, TWO]),
        (
            "\ufeffURL,License,Creator\nhttp://a/1.jpg,CC0,Ann\n,CC0,x\nhttps://a/2.jpg\n",
            [("http://a/1.jpg", "CC0", "Ann"), TWO],
        ),
        ("name\timage_url\nx\thttp://a/1.jpg\n", [ONE]),
        ('author,url\n"Ann, Bob","http://a/1,2.jpg"\r\n', [("http://a/1,2.jpg", "unknown", "Ann, Bob")]),
    ],
)
def test_a_list_is_read_as_text_or_csv(tmp_path, text, records):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    assert [(r.url, r.licence, r.author) for r in crawl.ListSource(path).read()] == records


def test_a_list_in_gb18030_is_read(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes("url,author\nhttp://a/1.jpg,王小明\n".encode("gb18030"))
    assert crawl.ListSource(path).read()[0].author == "王小明"


@pytest.mark.parametrize(
    ("text", "told"), [(None, "cannot be read"), ("\n#x\n", "no address"), ("a,b\n1,2", "`url`")]
)
def test_a_list_that_is_none_is_refused(tmp_path, text, told):
    path = tmp_path / "list.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInputError, match=told):
        crawl.collect_pictures(crawl.ListSource(path), "x", 1, tmp_path / "raw", quiet=True)


def test_a_folder_is_taken_in_with_its_faults(tmp_path):
    album = tmp_path / "album"
    (album / "sub").mkdir(parents=True)
    (album / "b.jpg").write_bytes(jpeg(1))
    (album / "sub" / "a.jpg").write_bytes(jpeg(2))
    (album / "c.txt").write_text("no picture")
    (album / ".hidden.jpg").write_bytes(jpeg(3))
    before = {path: path.read_bytes() for path in album.rglob("*") if path.is_file()}
    source = crawl.FolderSource(album, licence="CC0", author="Ann")
    manifest = crawl.collect_pictures(source, "album", 10, tmp_path / "raw", quiet=True)
    assert list(manifest["state"]) == ["ok", "rejected", "ok"]
    assert set(manifest["licence"]) == {"CC0"} and set(manifest["author"]) == {"Ann"}
    assert manifest["url"][0] == (album / "b.jpg").resolve().as_uri()
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(BadInputError, match="no such folder"):
        crawl.collect_pictures(crawl.FolderSource(tmp_path / "none"), "x", 1, tmp_path / "raw", quiet=True)


def test_an_empty_folder_gives_an_empty_manifest(tmp_path):
    (tmp_path / "album").mkdir()
    assert (
        len(
            crawl.collect_pictures(
                crawl.FolderSource(tmp_path / "album"), "x", 1, tmp_path / "raw", quiet=True
            )
        )
        == 0
    )


def test_no_file_of_this_machine_is_reached_by_an_address(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "list.txt").write_text(f"http://127.0.0.1:1/x.jpg\n{(tmp_path / 'a.jpg').as_uri()}\n")
    manifest = crawl.collect_pictures(
        crawl.ListSource(tmp_path / "list.txt"),
        "x",
        2,
        tmp_path / "raw",
        settings=crawl.CrawlSettings(retries=0),
        quiet=True,
    )
    assert list(manifest["reason"])[1] == "address is not http or https"


# Whole, against the local site


@pytest.fixture(scope="module")
def site():
    with crawl.LocalSite(seed=7, draw=noise, photos=70) as running:
        yield running


@pytest.fixture(scope="module")
def usual(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("usual")
    return crawl.collect_pictures(site.source(), "faces", 70, folder, settings=BRISK, quiet=True)


@pytest.mark.parametrize("kind", ["baidu-list", "commons", "openverse"])
def test_every_source_brings_the_same_pictures(site, usual, tmp_path, kind):
    other = crawl.collect_pictures(site.source(kind), "faces", 70, tmp_path / "b", settings=BRISK, quiet=True)
    same = ["file", "url", "page", "width", "height", "sha256", "phash", "state", "reason"]
    pd.testing.assert_frame_equal(other[same], usual[same])
    if kind != "baidu-list":
        assert set(other["licence"]) == {"CC BY 4.0", "CC BY-SA 4.0", "CC0 1.0"}
        assert set(other["author"]) == {f"Drawing machine {k}" for k in range(1, 6)}


@pytest.mark.parametrize(
    ("kind", "related"), [("baidu-list", "none"), ("commons", "happy faces"), ("openverse", "none")]
)
def test_every_source_tells_its_total(site, tmp_path, kind, related, capsys):
    crawl.collect_pictures(site.source(kind), "faces", 1, tmp_path)
    assert f"found: 70 pictures; related searches: {related}" in capsys.readouterr().out


def test_a_list_of_the_sites_addresses_runs_whole(site, tmp_path):
    with (tmp_path / "list.csv").open("w") as file:
        file.write("url,page,licence,author\n")
        for seed in site.seeds("faces"):
            file.write(f"{site.address(seed)},{site.url}/page/{seed}.html,CC0,Machine\n")
    manifest = crawl.collect_pictures(
        crawl.ListSource(tmp_path / "list.csv"), "faces", 20, tmp_path / "raw", settings=BRISK, quiet=True
    )
    assert (manifest["state"] == "ok").sum() == 20 and set(manifest["author"]) == {"Machine"}
    crawled = crawl.FolderSource(tmp_path / "raw")
    again = crawl.collect_pictures(crawled, "faces", 20, tmp_path / "again", quiet=True)
    assert set(again["sha256"]) == set(manifest.loc[manifest["state"] == "ok", "sha256"])


def test_open_source_knows_lists_and_folders(tmp_path):
    for name in ("local-commons", "local-openverse", "local-baidu-list"):
        with crawl.open_source(name) as source:
            assert source.base_url.startswith("http://127.0.0.1")
    for name, path in (("list", tmp_path / "l.txt"), ("folder", tmp_path)):
        with crawl.open_source(name, path=path) as source:
            assert source.name == name
        with pytest.raises(BadInputError, match="needs a path"), crawl.open_source(name):
            pass
    with (
        pytest.raises(BadInputError, match="unknown interface of the local site"),
        crawl.open_source("local-bing"),
    ):
        pass


def test_the_licence_of_a_source_is_that_of_its_pictures(tmp_path):
    with server(lambda handler, path, visit: send(handler, images.encode_jpeg(noise(1)))) as (url, _):
        (tmp_path / "list.txt").write_text(f"{url}/a.jpg\n")
        source = crawl.ListSource(tmp_path / "list.txt", licence="mine")
        assert crawl.collect_pictures(source, "x", 1, tmp_path / "raw", quiet=True)["licence"][0] == "mine"
