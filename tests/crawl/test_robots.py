"""Behaviour towards a host: robots.txt, pauses, busy answers, redirects; and what a file must be."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
from PIL import Image

from ferlib import crawl, synth
from ferlib.common import images
from ferlib.common.errors import CrawlError
from ferlib.crawl import http
from ferlib.crawl.http import Downloader
from ferlib.crawl.robots import Robots, is_local
from ferlib.crawl.sources.commons import CommonsSource
from tests.tools.loopback import ListSource, encoded, jpeg, noise, send, server

BRISK = crawl.CrawlSettings(pause_s=0.01, retries=1)


def robots_site(robots, status=200):
    """A site with that robots.txt, whose other addresses are pictures."""

    def answer(handler, path, visit):
        if path == "/robots.txt":
            return send(handler, robots.encode(), status)
        send(handler, jpeg(sum(path.encode())))

    return server(answer, robots=True)


def crawl_paths(url, folder, paths, settings=BRISK, **more):
    source = ListSource([url + path for path in paths])
    return crawl.collect_pictures(source, "x", len(paths), folder, replace(settings, **more), quiet=True)


def test_robots_txt_is_obeyed_and_asked_for_once(tmp_path):
    robots = "User-agent: *\nDisallow: /no/\nAllow: /no/but/this\n"
    with robots_site(robots) as (url, visits):
        paths = ["/no/a", "/yes/b", "/no/but/this", *[f"/yes/{k}" for k in range(9)]]
        manifest = crawl_paths(url, tmp_path, paths, workers=6)
    assert list(manifest["reason"])[:3] == ["robots.txt forbids it", "", ""]
    assert visits["/no/a"] == 0 and visits["/robots.txt"] == 1


def test_a_rule_for_our_name_goes_before_the_general_one(tmp_path):
    with robots_site("User-agent: *\nDisallow: /\n\nUser-agent: ferlib\nDisallow: /b\n") as (url, _):
        assert list(crawl_paths(url, tmp_path, ["/a", "/b"])["state"]) == ["ok", "rejected"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, ""),
        (403, ""),
        (500, "robots.txt cannot be fetched: HTTP status 500"),
        (429, "robots.txt cannot be fetched: HTTP status 429"),
    ],
)
def test_robots_that_are_missing_allow_and_those_that_cannot_be_had_forbid(tmp_path, status, reason):
    with robots_site("", status) as (url, visits):
        assert list(crawl_paths(url, tmp_path, ["/a"])["reason"]) == [reason]
        assert visits["/a"] == (reason == "")


@pytest.mark.parametrize(
    "text", ["\x00\x01<html>", "Disallow", "User-agent *\nDisallow: [", "\ufeffUser-agent: x\n", "a" * 9999]
)
def test_no_robots_txt_crashes_a_crawl(tmp_path, text):
    with robots_site(text) as (url, _):
        assert list(crawl_paths(url, tmp_path, ["/a"])["state"]) == ["ok"]


def test_robots_can_be_left_aside_by_whom_it_was_allowed(tmp_path):
    with robots_site("User-agent: *\nDisallow: /\n") as (url, visits):
        assert list(crawl_paths(url, tmp_path, ["/a"], obey_robots=False)["state"]) == ["ok"]
        assert visits["/robots.txt"] == 0


def test_a_search_page_that_robots_forbid_is_not_asked_but_an_interface_is(tmp_path):
    with robots_site("User-agent: *\nDisallow: /\n") as (url, visits):
        with pytest.raises(CrawlError, match=r"\(robots\.txt forbids it\); take another source"):
            crawl.collect_pictures(crawl.BaiduSource(url), "x", 1, tmp_path, settings=BRISK, quiet=True)
        with pytest.raises(CrawlError, match="not the JSON"):  # it got a picture instead
            crawl.collect_pictures(CommonsSource(url), "x", 1, tmp_path, settings=BRISK, quiet=True)
    assert not [path for path in visits if path.startswith("/search")]


def test_a_redirect_is_asked_of_the_robots_of_where_it_leads(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "is_public", lambda address: True)
    with robots_site("User-agent: *\nDisallow: /a\n") as (other, visits):

        def answer(handler, path, visit):
            send(handler, b"", 302, Location=other + path)

        with server(answer) as (url, _):
            manifest = crawl_paths(url, tmp_path, ["/a", "/b"])
    assert list(manifest["reason"]) == ["robots.txt forbids it", ""] and visits["/a"] == 0


def test_a_crawl_delay_and_a_rate_are_kept(tmp_path):
    with robots_site("User-agent: *\nCrawl-delay: 0.15\n") as (url, _):
        began = time.monotonic()
        crawl_paths(url, tmp_path / "a", ["/a", "/b", "/c"])
        assert time.monotonic() - began >= 0.3
    with robots_site("") as (url, _):
        began = time.monotonic()
        crawl_paths(
            url, tmp_path / "b", list("/" + c for c in "abcde"), settings=crawl.CrawlSettings(per_second=20)
        )
        assert time.monotonic() - began >= 0.2


def test_a_site_that_wants_an_hour_between_visits_is_left_alone(tmp_path):
    with robots_site("User-agent: *\nCrawl-delay: 3600\n") as (url, visits):
        manifest = crawl_paths(url, tmp_path, ["/a"])
    assert manifest["reason"][0] == "robots.txt asks for 3600 s between two visits" and visits["/a"] == 0


def test_hosts_elsewhere_have_a_rate_and_this_machine_none(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    robots = Robots(crawl.CrawlSettings(), fetch=None)
    for _ in range(50):
        robots.wait("http://127.0.0.1:1/a")
    assert slept == []
    for _ in range(3):
        robots.wait("http://example.org/a")
    assert slept == pytest.approx([0.1, 0.2], abs=0.05)
    robots.wait("http://example.com/a")  # another host need not wait
    assert len(slept) == 2


def test_retry_after_holds_the_whole_host_back(tmp_path):
    times, lock = [], threading.Lock()

    def answer(handler, path, visit):
        with lock:
            times.append(time.monotonic())
            first = len(times) == 1
        send(handler, b"", 429, Retry_After="1") if first else send(handler, jpeg(sum(path.encode())))

    with server(answer) as (url, _):
        manifest = crawl_paths(url, tmp_path, ["/a", "/b", "/c"], workers=1)
    assert list(manifest["state"]) == ["ok"] * 3
    assert times[1] - times[0] >= 0.95


def test_a_host_that_asks_for_an_hour_is_not_asked_again(tmp_path):
    def answer(handler, path, visit):
        send(handler, b"", 503, Retry_After="3600")

    with server(answer) as (url, visits):
        began = time.monotonic()
        manifest = crawl_paths(url, tmp_path, ["/a", "/b"], workers=1)
        assert time.monotonic() - began < 5
    assert sum(visits.values()) == 1
    assert manifest["reason"][0] == "HTTP status 503" and "asks to wait" in manifest["reason"][1]


@pytest.mark.parametrize("value", ["0", " 0 ", "soon", "-5", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_that_is_over_or_says_nothing_holds_nobody(value):
    def answer(handler, path, visit):
        send(handler, b"", 503, Retry_After=value) if visit == 1 else send(handler, b"ok")

    with server(answer) as (url, _), Downloader(BRISK) as downloader:
        began = time.monotonic()
        assert downloader.fetch(url) == b"ok" and time.monotonic() - began < 0.9


@pytest.mark.parametrize("later", ["100", "9" * 30, "date"])
def test_a_host_that_asks_for_more_than_the_deadline_is_left_alone(later):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)

    def answer(handler, path, visit):
        send(handler, b"", 503, Retry_After=date if later == "date" else later)

    with server(answer) as (url, visits), Downloader(BRISK) as downloader:
        with pytest.raises(crawl.Rejected, match="HTTP status 503"):
            downloader.fetch(f"{url}/a")
        with pytest.raises(crawl.Rejected, match=r"the site is busy and asks to wait (99|100|21600) s"):
            downloader.fetch(f"{url}/b")
    assert sum(visits.values()) == 1


def test_a_redirect_is_followed_and_keeps_no_cookie(tmp_path):
    cookies = []

    def answer(handler, path, visit):
        cookies.append(handler.headers.get("Cookie"))
        if path.startswith("/old"):
            return send(handler, b"", 301, Location="../new/b", Set_Cookie="who=you")
        send(handler, path.encode())

    with server(answer) as (url, _), Downloader(BRISK) as downloader:
        assert downloader.fetch(f"{url}/old/a") == b"/new/b"
    assert cookies == [None, None]


def test_a_redirect_to_what_only_this_machine_reaches_is_not_followed(tmp_path):
    with robots_site("") as (other, visits):

        def answer(handler, path, visit):
            send(handler, b"", 302, Location=other + "/secret")

        with server(answer) as (url, _):
            manifest = crawl_paths(url, tmp_path, ["/a"])
    assert list(manifest["reason"]) == ["redirect to an address that is not public (127.0.0.1)"]
    assert not visits


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        *(
            (address, False)
            for address in ("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1")
        ),
        *(
            (address, False)
            for address in ("169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "::")
        ),
        *((address, False) for address in ("fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::")),
    ],
)
def test_which_addresses_are_public(address, public):
    assert http.is_public(address) == public


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8/a", True),
        ("http://LOCALHOST/a", True),
        ("http://[::1]:9/", True),
        ("http://127.0.0.1.example.org/", False),
        ("http://example.org/?u=http://127.0.0.1/", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://[::1", False),
    ],
)
def test_which_addresses_are_of_this_machine(url, here):
    assert is_local(url) == here


# What a picture must be


def test_a_perceptual_hash_survives_a_resize_a_new_jpeg_and_a_turn():
    image = synth.draw_photo(5).image
    height, width = image.shape[:2]
    usual = crawl.check_picture(images.encode_jpeg(image))
    smaller = images.resize(image, (width * 2 // 3, height * 2 // 3))
    exif = Image.Exif()
    exif[274] = 6
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(image)))
    others = [images.encode_jpeg(smaller, 60), encoded(turned, "JPEG", quality=90, exif=exif)]
    for data in others:
        apart = int(usual.phash, 16) ^ int(crawl.check_picture(data).phash, 16)
        assert apart.bit_count() <= 4
    assert (int(usual.phash, 16) ^ int(crawl.check_picture(jpeg(1)).phash, 16)).bit_count() > 10


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_has_a_hash_and_one_colour_has_none(mode):
    format = "JPEG" if mode == "CMYK" else "PNG"
    gray = Image.fromarray(noise(3)).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(gray, np.uint16) * 257)
    else:
        picture = gray.convert("RGB").convert(mode)
    # far from equal for mode 1, which is a raster of dots; otherwise the same look
    phash = crawl.check_picture(encoded(picture, format)).phash
    usual = crawl.check_picture(encoded(gray, "PNG")).phash
    assert (int(phash, 16) ^ int(usual, 16)).bit_count() <= (24 if mode == "1" else 6)
    assert crawl.check_picture(encoded(Image.new(mode, (200, 200)), format)).phash == ""


def test_near_copies_are_left_out_unless_asked_for(tmp_path):
    small = images.encode_jpeg(images.resize(noise(1), (240, 180)), 70)
    wide = images.encode_jpeg(images.resize(noise(1), (320, 170)))

    def answer(handler, path, visit):
        send(handler, {"/a": jpeg(1), "/b": small, "/c": wide}[path])

    with server(answer) as (url, _):
        manifest = crawl_paths(url, tmp_path / "a", ["/a", "/b", "/c"])
        both = crawl_paths(url, tmp_path / "b", ["/a", "/b"], settings=crawl.CrawlSettings(near_bits=-1))
    assert list(manifest["state"]) == ["ok", "copy", "ok"]  # another shape is another crop: not a copy
    assert manifest["file"][1] == manifest["file"][0] and manifest["sha256"][1] != manifest["sha256"][0]
    assert list(both["state"]) == ["ok", "ok"]
    assert len(list((tmp_path / "a").glob("*.jpg"))) == 2


def test_a_picture_without_a_face_is_rejected_where_one_is_asked_for(tmp_path):
    photo = images.encode_jpeg(synth.draw_photo(5).image)

    def answer(handler, path, visit):
        send(handler, photo if path == "/face" else jpeg(4))

    with server(answer) as (url, _):
        settings = crawl.CrawlSettings(min_faces=1)
        manifest = crawl_paths(url, tmp_path, ["/face", "/none"], settings=settings)
    assert list(manifest["reason"]) == ["", "no face found"]
    assert manifest["width"][1] > 0
