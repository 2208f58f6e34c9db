"""Pages of results in, a folder of checked pictures and its manifest out."""

import hashlib
import itertools
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import requests

from ferlib.crawl.download import (
    Limits,
    Picture,
    Rejected,
    check_picture,
    fetch_bytes,
    fetch_text,
    open_session,
)
from ferlib.crawl.manifest import MANIFEST, ManifestWriter, read_manifest
from ferlib.crawl.progress import progress_bar
from ferlib.crawl.site import LocalSite
from ferlib.crawl.sources import BaiduSource, PictureRecord, ResultPage, Source
from ferlib.errors import BadInputError, CrawlError

SOURCES = ("local", "baidu")


@contextmanager
def open_source(name: str, seed: int = 7) -> Iterator[Source]:
    """A source by its name: `baidu`, or `local`, the search site on this machine while the block runs."""
    if name == "local":
        with LocalSite(seed=seed) as site:
            yield site.source()
    elif name == "baidu":
        yield BaiduSource()
    else:
        raise BadInputError(f"unknown source {name!r}; known are {', '.join(SOURCES)}")


def crawl_local(
    folder: str | os.PathLike,
    count: int = 120,
    seed: int = 7,
    keyword: str = "faces",
    workers: int = 4,
    quiet: bool = True,
) -> pd.DataFrame:
    """Draw and crawl the local site: what notebook 01 leaves with its default parameters; the manifest."""
    with LocalSite(seed=seed) as site:
        return crawl(site.source(), keyword, count, folder, workers=workers, quiet=quiet)


def crawl(
    source: Source,
    keyword: str,
    count: int,
    folder: str | os.PathLike,
    workers: int = 4,
    limits: Limits | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """Fetch results for a keyword until `count` pictures are good, or the source has no more.

    Every picture lies in `folder`, named by its content (the first 16 digits of its SHA-256 and the
    ending of what it is); `manifest.csv` has a row for every result looked at, in the order of the
    results whatever the number of workers, rejected ones and exact copies with their reason. Returns
    the manifest, as `read_manifest` does. A keyword that the folder has already is crawled anew and
    replaces its rows, another one adds to them; files that no manifest named are never touched.
    With `quiet` nothing is printed. Raises BadInputError for a bad argument, CrawlError where the
    source does not answer.
    """
    if not keyword.strip():
        raise BadInputError("the keyword is empty; give a word to search for")
    for name, value in (("count", count), ("workers", workers)):
        if value < 1:
            raise BadInputError(f"{name} is {value}; it must be at least 1")
    limits, folder = limits or Limits(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    before = read_manifest(folder) if (folder / MANIFEST).is_file() else None
    kept = [] if before is None else _rows_of_others(before, source.name, keyword)
    with warnings.catch_warnings(), open_session(workers, limits) as session:
        # of odd files, which are the point here; set before there are threads, which all share it
        warnings.filterwarnings("ignore", module="PIL")
        pages = source.pages(keyword, lambda url, params: fetch_text(session, url, params, limits))
        records = _records(_first_must_come(_tell(pages, quiet)))
        with ManifestWriter(folder, kept) as manifest, progress_bar(count, " pictures", quiet) as bar:
            fetch = partial(_fetch_one, session, folder, limits)
            known = {row["sha256"]: row["file"] for row in kept if row["state"] == "ok"}
            states = Counter()
            with closing(
                _rows(records, count, fetch, workers, known)
            ) as rows:  # closes after an interrupt too
                for row in rows:
                    manifest.write({"source": source.name, "keyword": keyword} | row)
                    states[row["state"]] += 1
                    bar.set_postfix(copies=states["copy"], rejected=states["rejected"], refresh=False)
                    bar.update(row["state"] == "ok")
    if before is not None:
        _remove_unnamed(folder, before)
    return read_manifest(folder)


@dataclass(frozen=True)
class _Fetched:
    """A picture that lies in the folder."""

    file: str
    sha256: str
    picture: Picture


def _rows(records, count, fetch, workers, known) -> Iterator[dict[str, object]]:
    """The manifest's rows, until `count` are ok. `known`: sha256 to file of the pictures there are.

    Works in rounds, each with as many results as pictures are still wanted: so the same results are
    taken every time, and none is fetched for nothing.
    """
    seen, wanted = set(), count
    pool = ThreadPoolExecutor(workers)
    try:
        while wanted and (batch := list(itertools.islice(records, wanted))):
            futures = []
            for record in batch:
                futures.append(None if record.url in seen else pool.submit(fetch, record.url))
                seen.add(record.url)
            for record, future in zip(batch, futures, strict=True):
                row = _row(record, future, known)
                wanted -= row["state"] == "ok"
                yield row
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # after an interrupt: nothing new, nothing half-written


def _records(pages: Iterator[ResultPage]) -> Iterator[PictureRecord]:
    for page in pages:
        yield from page.records


def _fetch_one(session: requests.Session, folder: Path, limits: Limits, url: str) -> _Fetched | Rejected:
    """Runs in a worker: fetch, check, write beside and rename."""
    try:
        data = fetch_bytes(session, url, limits)
        picture = check_picture(data, limits)
    except Rejected as rejected:
        return rejected
    sha256 = hashlib.sha256(data).hexdigest()
    file = sha256[:16] + picture.suffix
    # the address is in the name too: two workers may hold two copies of one picture at the same time
    part = folder / f".{file}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
    part.write_bytes(data)
    part.replace(folder / file)
    return _Fetched(file, sha256, picture)


def _row(record: PictureRecord, future: Future | None, known: dict[str, str]) -> dict[str, object]:
    """The manifest's row of one result; `known` (sha256 to file) learns of a new picture."""
    row = {"url": record.url, "page": record.page, "licence": record.licence}
    row |= {"file": "", "width": 0, "height": 0, "sha256": "", "state": "rejected", "reason": ""}
    if future is None:
        return row | {"state": "copy", "reason": "same address as an earlier result"}
    fetched = future.result()
    if isinstance(fetched, Rejected):
        return row | {"width": fetched.width, "height": fetched.height, "reason": str(fetched)}
    picture = fetched.picture
    row |= {"file": fetched.file, "width": picture.width, "height": picture.height, "sha256": fetched.sha256}
    if fetched.sha256 in known:
        return row | {
            "file": known[fetched.sha256],
            "state": "copy",
            "reason": "same bytes as an earlier picture",
        }
    known[fetched.sha256] = fetched.file
    return row | {"state": "ok"}


def _tell(pages: Iterator[ResultPage], quiet: bool) -> Iterator[ResultPage]:
    """Prints what the first page says of the whole; a later page that does not come ends the results."""
    for number in itertools.count(1):
        try:
            page = next(pages)
        except StopIteration:
            return
        except CrawlError as error:
            if number == 1:
                raise
            if not quiet:
                print(f"page {number} did not come, going on with what is there: {error}")
            return
        if number == 1 and not quiet:
            total = "an unknown number of" if page.total is None else f"{page.total:,}"
            print(f"found: {total} pictures; related searches: {', '.join(page.related) or 'none'}")
        yield page


def _first_must_come(pages: Iterator[ResultPage]) -> Iterator[ResultPage]:
    """Asks for the first page now: a source that does not answer must not cost an earlier manifest."""
    first = list(itertools.islice(pages, 1))

    def again() -> Iterator[ResultPage]:
        yield from first
        yield from pages

    return again()


def _rows_of_others(manifest: pd.DataFrame, source: str, keyword: str) -> list[dict[str, object]]:
    others = (manifest["source"] != source) | (manifest["keyword"] != keyword)
    return manifest[others].to_dict("records")


def _remove_unnamed(folder: Path, before: pd.DataFrame) -> None:
    """Pictures that only the manifest of before names; the name is checked, a manifest can be edited."""
    now = set(read_manifest(folder)["file"])
    for file in set(before["file"]) - now - {""}:
        if Path(file).name == file:
            (folder / file).unlink(missing_ok=True)
