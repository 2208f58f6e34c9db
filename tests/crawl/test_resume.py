"""Nothing lost, nothing twice: kills, interrupts, what a folder already has."""

import csv
import io
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib import crawl
from ferlib.common import images
from ferlib.common.errors import BadInputError, CrawlError
from ferlib.common.files import lock_folder
from ferlib.crawl import crawler, engine, manifest
from tests.tools import bench_crawl
from tests.tools.loopback import ListSource, jpeg, noise, send, server

BRISK = crawl.CrawlSettings(pause_s=0.01)
OLD = ("file", "source", "keyword", "url", "page", "licence", "width", "height", "sha256", "state", "reason")


def test_killed_runs_go_on_and_agree_in_the_end():
    """Three SIGKILLs; `python tests/tools/bench_crawl.py kills` does ten."""
    assert bench_crawl.kills(times=3, photos=60, seed=5) == []


@pytest.fixture
def counted():
    with crawl.LocalSite(seed=7, draw=noise, photos=90) as site:
        yield site, bench_crawl.count_visits(site)


def test_a_second_run_fetches_nothing_even_from_a_site_at_another_port(counted, tmp_path):
    site, asked = counted
    first = crawl.collect_pictures(site.source(), "faces", 30, tmp_path, settings=BRISK, quiet=True)
    before, text = dict(asked), (tmp_path / "manifest.csv").read_bytes()
    again = crawl.collect_pictures(site.source(), "faces", 30, tmp_path, settings=BRISK, quiet=True)
    assert asked == before and (tmp_path / "manifest.csv").read_bytes() == text
    pd.testing.assert_frame_equal(again, first)
    with crawl.LocalSite(seed=7, draw=noise, photos=90) as moved:
        asked = bench_crawl.count_visits(moved)
        again = crawl.collect_pictures(moved.source(), "faces", 30, tmp_path, settings=BRISK, quiet=True)
        assert asked == {} and again["url"][0].startswith(moved.url)


def test_more_pictures_are_fetched_only_beyond_those_that_are_there(counted, tmp_path):
    site, asked = counted
    crawl.collect_pictures(site.source(), "faces", 20, tmp_path, settings=BRISK, quiet=True)
    before = dict(asked)
    more = crawl.collect_pictures(site.source(), "faces", 40, tmp_path, settings=BRISK, quiet=True)
    assert all(asked[path] == before[path] for path in before)
    whole = crawl.collect_pictures(
        site.source(), "faces", 40, tmp_path / "at once", settings=BRISK, quiet=True
    )
    pd.testing.assert_frame_equal(more, whole)


def test_the_user_is_told_what_is_there(counted, tmp_path, capsys):
    site, _ = counted
    done = crawl.collect_pictures(site.source(), "faces", 5, tmp_path, settings=BRISK, quiet=True)
    crawl.collect_pictures(site.source(), "faces", 5, tmp_path, settings=BRISK)
    assert f"{len(done)} results are there from an earlier run" in capsys.readouterr().out


def test_rejected_results_are_tried_again_only_when_asked(tmp_path):
    up = [False]

    def answer(handler, path, visit):
        send(handler, jpeg()) if up[0] else send(handler, b"", 403)

    with server(answer) as (url, visits):
        source = ListSource([f"{url}/a"])
        states = []
        for up[0], retry in ((False, False), (True, False), (True, True), (False, True)):
            settings = crawl.CrawlSettings(pause_s=0.01, retry_rejected=retry)
            done = crawl.collect_pictures(source, "x", 1, tmp_path, settings=settings, quiet=True)
            states.append((done["state"][0], visits["/a"]))
    assert states == [("rejected", 1), ("rejected", 1), ("ok", 2), ("ok", 2)]


def test_a_picture_that_was_deleted_is_fetched_again(counted, tmp_path):
    site, asked = counted
    first = crawl.collect_pictures(site.source(), "faces", 5, tmp_path, settings=BRISK, quiet=True)
    (tmp_path / first["file"][0]).unlink()
    pd.testing.assert_frame_equal(
        crawl.collect_pictures(site.source(), "faces", 5, tmp_path, quiet=True), first
    )
    assert (tmp_path / first["file"][0]).is_file() and max(asked.values()) == 2


def test_results_that_a_site_no_longer_shows_stay(tmp_path):
    with server(lambda handler, path, visit: send(handler, jpeg(int(path[1:])))) as (url, _):
        crawl.collect_pictures(ListSource([f"{url}/1", f"{url}/2"]), "x", 2, tmp_path, quiet=True)
        done = crawl.collect_pictures(ListSource([f"{url}/3", f"{url}/2"]), "x", 2, tmp_path, quiet=True)
    assert [url[-1] for url in done["url"]] == ["3", "2", "1"] and len(list(tmp_path.glob("*.jpg"))) == 3


def test_a_killed_run_leaves_parts_that_are_named_or_removed(counted, tmp_path):
    """A kill between the row and the name: the row is believed, and the picture is not fetched again."""
    site, asked = counted
    first = crawl.collect_pictures(site.source(), "faces", 5, tmp_path, settings=BRISK, quiet=True)
    name = first["file"][0]
    (tmp_path / name).rename(tmp_path / f".{name}.01234567.part")
    (tmp_path / f".{'0' * 16}.jpg.01234567.part").write_bytes(b"half")
    (tmp_path / ".manifest.part.csv").write_bytes(b"half")
    (tmp_path / ".mine.part").write_bytes(b"not the crawler's")
    before = dict(asked)
    pd.testing.assert_frame_equal(
        crawl.collect_pictures(site.source(), "faces", 5, tmp_path, quiet=True), first
    )
    assert asked == before
    assert [path.name for path in tmp_path.glob(".*")] == [".mine.part"]
    assert {path.name for path in tmp_path.glob("*.jpg")} == set(first.loc[first["state"] == "ok", "file"])


def test_a_picture_that_a_later_row_made_a_copy_is_removed(tmp_path):
    small = images.encode_jpeg(images.resize(noise(1), (240, 180)), 70)
    with server(lambda handler, path, visit: send(handler, small if path == "/b" else jpeg(1))) as (
        url,
        visits,
    ):
        source = ListSource([f"{url}/a", f"{url}/b"])
        done = crawl.collect_pictures(source, "x", 2, tmp_path, quiet=True)
        # as it is when the small one came first, and the kill after it was found to be a copy
        original, copy = (manifest.Row(**row) for row in done.to_dict("records"))
        name = f"{copy.sha256[:16]}.jpg"
        (tmp_path / name).write_bytes(small)
        early = replace(copy, file=name, state="ok", reason="")
        manifest.write_lines(tmp_path, [row.line() for row in (early, original, copy)])
        assert list(crawl.read_manifest(tmp_path)["state"]) == ["ok", "copy"]
        pd.testing.assert_frame_equal(crawl.collect_pictures(source, "x", 2, tmp_path, quiet=True), done)
        assert visits["/a"] == visits["/b"] == 1
    assert len(list(tmp_path.glob("*.jpg"))) == 1


def test_a_near_copy_that_came_first_gives_way_to_the_earlier_result(tmp_path):
    """Slow first result, quick small copy of it: the order of the results decides, not that of arrival."""
    small = images.encode_jpeg(images.resize(noise(1), (240, 180)), 70)

    def answer(handler, path, visit):
        if path == "/a":
            time.sleep(0.4)
        send(handler, small if path == "/b" else jpeg(1))

    with server(answer) as (url, _):
        done = crawl.collect_pictures(
            ListSource([f"{url}/{name}" for name in "abc"]),
            "x",
            3,
            tmp_path,
            crawl.CrawlSettings(3),
            quiet=True,
        )
    assert list(done["state"]) == ["ok", "copy", "copy"] and set(done["file"]) == {done["file"][0]}
    assert {path.name for path in tmp_path.glob("*.jpg")} == {done["file"][0]}


def test_a_manifest_of_ferlib_0_1_is_read_and_goes_on(counted, tmp_path):
    site, asked = counted
    done = crawl.collect_pictures(site.source(), "faces", 5, tmp_path, settings=BRISK, quiet=True)
    done[list(OLD)].to_csv(tmp_path / "manifest.csv", index=False)
    read = crawl.read_manifest(tmp_path)
    assert list(read.columns) == list(manifest.COLUMNS) and set(read["author"]) == {""}
    before = dict(asked)
    more = crawl.collect_pictures(site.source(), "faces", 8, tmp_path, settings=BRISK, quiet=True)
    assert all(asked[path] == before[path] for path in before) and (more["state"] == "ok").sum() == 8


WORDS = st.text(max_size=20)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4), st.integers(1, 60))
def test_half_a_row_at_the_end_is_left_out(tmp_path_factory, texts, cut):
    folder = tmp_path_factory.mktemp("m")
    base = manifest.Row(source="s", keyword="k", width=1, height=2, state="rejected")
    rows = [replace(base, url=f"u{k}", page=page, reason=why) for k, (page, why) in enumerate(texts)]
    lines = [row.line() for row in rows]
    manifest.write_lines(folder, lines)
    path = folder / "manifest.csv"
    data = path.read_bytes()
    last = len(lines[-1].encode())
    path.write_bytes(data[: len(data) - 1 - cut % (last - 1)])
    table = crawl.read_manifest(folder)
    assert len(table) in (len(rows) - 1, len(rows))
    assert list(table["url"])[: len(rows) - 1] == [f"u{k}" for k in range(len(rows) - 1)]
    with manifest.open_manifest(folder) as writer:
        writer.write(replace(base, url="new").line())
    assert crawl.read_manifest(folder)["url"].iloc[-1] == "new"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_one_line_of_the_manifest(text):
    line = manifest.Row(url=text).line()
    [row] = csv.reader(io.StringIO(line, newline=""))
    assert line.count("\n") == 1 and len(row) == len(manifest.COLUMNS)
    # an apostrophe, before what a spreadsheet would take for a formula, is all that may be added
    formula = manifest.clean(text).lstrip("'").lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert row[3] == "'" * formula + manifest.clean(text)


def test_a_broken_manifest_stops_a_crawl_before_anything_is_changed(tmp_path):
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with server(lambda handler, path, visit: send(handler, jpeg())) as (url, visits):
        with pytest.raises(CrawlError, match="lacks the columns"):
            crawl.collect_pictures(ListSource([f"{url}/a"]), "x", 1, tmp_path, quiet=True)
        assert (tmp_path / "manifest.csv").read_text() == "a,b\n1,2\n" and not visits


def test_an_error_of_ours_ends_the_crawl_and_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine, "check_picture", broken)
    with (
        server(lambda handler, path, visit: send(handler, jpeg())) as (url, _),
        pytest.raises(BadInputError, match=rf"{tmp_path.name}: cannot be written \(No space left"),
    ):
        crawl.collect_pictures(ListSource([f"{url}/{k}" for k in range(20)]), "x", 20, tmp_path, quiet=True)


# One crawl at a time in a folder


@contextmanager
def holding(folder):
    """Another process that crawls in the folder; killed at the end, as by SIGKILL."""
    held = bench_crawl.processes.Event()
    process = bench_crawl.processes.Process(target=bench_crawl.hold, args=(folder, held))
    process.start()
    try:
        assert held.wait(60)
        yield process
    finally:
        process.kill()
        process.join()


def test_a_second_crawl_in_a_folder_is_refused_until_the_first_is_gone(counted, tmp_path):
    site, asked = counted
    with holding(tmp_path) as other:
        with pytest.raises(
            BadInputError, match=rf"another crawl \(process {other.pid}\) is running in"
        ) as caught:
            crawl.collect_pictures(site.source(), "faces", 3, tmp_path, settings=BRISK, quiet=True)
        assert "\n" not in str(caught.value) and asked == {}
        assert [path.name for path in tmp_path.iterdir()] == [".crawl.lock"]
        crawl.collect_pictures(site.source(), "faces", 3, tmp_path / "other", settings=BRISK, quiet=True)
    assert (tmp_path / ".crawl.lock").exists()  # the killed one could not tidy up
    done = crawl.collect_pictures(site.source(), "faces", 3, tmp_path, settings=BRISK, quiet=True)
    assert (done["state"] == "ok").sum() == 3 and not (tmp_path / ".crawl.lock").exists()


def test_a_lock_file_of_a_number_that_another_process_has_now_stops_nobody(tmp_path):
    (tmp_path / ".crawl.lock").write_text(str(os.getpid()))
    with lock_folder(tmp_path, "crawl", crawler.LOCK):
        pass


def test_many_that_come_at_once_hold_a_folder_one_after_another(tmp_path):
    inside, most, held = [], [], Counter()

    def visit(number):
        for _ in range(50):
            try:
                with lock_folder(tmp_path, "crawl", crawler.LOCK):
                    inside.append(number)
                    most.append(len(inside))
                    held[number] += 1
                    inside.remove(number)
            except BadInputError:
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(visit, range(4)))
    assert set(most) == {1} and sum(held.values()) == len(most) >= 4
