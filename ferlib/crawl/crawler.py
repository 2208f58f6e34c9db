"""Pages of results in, a folder of checked pictures and its manifest out."""

import itertools
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pandas as pd
from tqdm import tqdm

from ferlib.common.errors import BadInputError, CrawlError
from ferlib.crawl.check import Library
from ferlib.crawl.engine import Engine
from ferlib.crawl.http import Session, fetch_bytes, fetch_text, open_manners, open_session
from ferlib.crawl.limits import Limits, Rejected
from ferlib.crawl.manifest import ManifestWriter, read_manifest, write_lines
from ferlib.crawl.resume import Earlier
from ferlib.crawl.site.server import LocalSite
from ferlib.crawl.sources.baidu import BaiduListSource, BaiduSource
from ferlib.crawl.sources.base import PictureRecord, ResultPage, Source
from ferlib.crawl.sources.commons import CommonsSource
from ferlib.crawl.sources.local import FolderSource, ListSource
from ferlib.crawl.sources.openverse import OpenverseSource


def progress_bar(total: int, unit: str, quiet: bool = False) -> tqdm:
    """Tqdm's bar: on stderr in a terminal, as one line of output in a notebook, nothing when quiet.

    tqdm's own notebook bar is a live widget, of which nothing is left when the notebook is stored;
    its plain bar leaves a line for each step.
    """
    file = None if quiet else _notebook_line()
    return tqdm(total=total, unit=unit, disable=quiet, file=file, ncols=90 if file else None, mininterval=0.2)


def _notebook_line() -> "_NotebookLine | None":
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return _NotebookLine() if getattr(shell, "kernel", None) is not None else None


class _NotebookLine:
    """A file as tqdm wants it; what is written becomes the text of one output, which is updated."""

    def __init__(self) -> None:
        from IPython.display import display

        self._output = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        line = text.strip("\r\n")
        if line.strip():
            self._output.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        pass


LOCK = ".crawl.lock"


@contextmanager
def only_crawl(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file while the block runs. CrawlError where another crawl holds it.

    The system frees the lock of a process that is gone, whatever ended it, so nobody need remove the file.
    """
    path = folder / LOCK
    with _open_locked(path, folder) as file:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()).encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps what is open; the next crawl takes it over
                path.unlink()


def _open_locked(path: Path, folder: Path) -> BinaryIO:
    while True:
        file = path.open("a+b")
        try:
            _lock(file)
            if _is_at(file, path):
                return file
        except OSError as error:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace").strip()
            file.close()
            process = f" (process {holder})" if holder else ""
            raise CrawlError(
                f"another crawl{process} is at work in {str(folder)!r}; wait for its end, or take another folder"
            ) from error
        file.close()  # the one before us removed it between our opening and our locking: begin again


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO) -> None:
    """OSError where another holds it."""
    try:
        import fcntl
    except ImportError:  # Windows, where a locked part cannot be read: one far behind what is written
        import msvcrt

        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


SOURCES = ("local", "baidu", "baidu-list", "commons", "openverse", "list", "folder")


@contextmanager
def open_source(name: str, seed: int = 7, path: str | os.PathLike = "") -> Iterator[Source]:
    """A source by its name, one of SOURCES.

    `local` is the search site on this machine while the block runs; `local-baidu-list`,
    `local-commons` and `local-openverse` are the same site when it speaks as those do. `list` and
    `folder` need the `path` of a file of addresses or of a folder. BadInputError for another name.
    """
    if name == "local" or name.startswith("local-"):
        with LocalSite(seed=seed) as site:
            yield site.source(name.removeprefix("local").removeprefix("-") or "baidu")
        return
    if name in ("list", "folder") and not str(path):
        raise BadInputError(
            f"the source {name!r} needs a path: of a file of addresses, or of a folder of pictures"
        )
    known = {
        "baidu": BaiduSource,
        "baidu-list": BaiduListSource,
        "commons": CommonsSource,
        "openverse": OpenverseSource,
        "list": lambda: ListSource(path),
        "folder": lambda: FolderSource(path),
    }
    if name not in known:
        raise BadInputError(f"unknown source {name!r}; known are {', '.join(SOURCES)}")
    yield known[name]()


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
    robots: bool = True,
    retry: bool = False,
    contact: str = "",
) -> pd.DataFrame:
    """Fetch results for a keyword until `count` pictures are good, or the source has no more.

    Every picture lies in `folder`, named by its content (the first 16 digits of its SHA-256 and the
    ending of what it is); `manifest.csv` has a row for every result looked at: rejected ones and copies
    (equal bytes, or near copies by perceptual hash) are left out, with their reason. Each row is there
    as soon as its picture is; at the end the rows are in the order of the results, whatever the number of
    workers. Returns the manifest, as `read_manifest` does.

    What the folder has is never fetched again nor thrown away: a run that was killed goes on where it
    was, a larger `count` adds, another keyword adds. With `retry` results that were rejected are tried
    again. `robots`: obey each host's robots.txt; the interfaces that Commons and Openverse offer to
    programs are asked in any case. At most `workers` pictures are fetched at a time. `contact`: an e-mail
    address or a web page that goes into the User-Agent, as Wikimedia asks. With `quiet` nothing is
    printed. Raises BadInputError for a bad argument, CrawlError where the source does not answer, or
    another crawl is at work in the folder.
    """
    if not keyword.strip():
        raise BadInputError("the keyword is empty; give a word to search for")
    for name, value in (("count", count), ("workers", workers)):
        if value < 1:
            raise BadInputError(f"{name} is {value}; it must be at least 1")
    limits, folder = limits or Limits(), Path(folder)
    with warnings.catch_warnings(), open_session(workers + 1, contact) as session:
        # of odd files, which are the point here; set before there are threads, which all share it
        warnings.filterwarnings("ignore", module="PIL")
        folder.mkdir(parents=True, exist_ok=True)
        with only_crawl(folder):
            earlier = Earlier(folder, source.name, keyword, retry)
            engine = _run(session, source, keyword, count, folder, workers, limits, quiet, robots, earlier)
            write_lines(folder, earlier.lines_with(engine.lines, engine.walked))
            return read_manifest(folder)


def _run(session, source, keyword, count, folder, workers, limits, quiet, robots, earlier) -> Engine:
    """The crawl between the manifest that was there and the one that will be; its engine, at rest."""
    manners = open_manners(session, limits, robots)
    asked = None if getattr(source, "for_programs", False) else manners
    pages = source.pages(keyword, lambda url, params: fetch_text(session, url, params, limits, asked))
    pages = _first_must_come(_tell(pages, quiet))
    library = Library(limits.near_bits)
    earlier.fill(library)
    if earlier.outcomes and not quiet:
        print(f"{len(earlier.outcomes)} results are there from an earlier run and are not fetched again")
    with ManifestWriter(folder) as manifest, progress_bar(count, " pictures", quiet) as bar:
        engine = Engine(
            folder,
            {"source": source.name, "keyword": keyword},
            _reader(session, limits, manners),
            limits,
            workers,
            library,
            earlier.outcomes,
            manifest,
        )
        states = Counter()
        with closing(engine.run(pages, count)) as decided:  # closes after an interrupt too
            for state in decided:
                states[state] += 1
                if not quiet:
                    bar.set_postfix(copies=states["copy"], rejected=states["rejected"], refresh=False)
                bar.update(state == "ok")
    return engine


def _reader(session: Session, limits: Limits, manners):
    def read(record: PictureRecord) -> bytes:
        if record.path is None:
            return fetch_bytes(session, record.url, limits, manners=manners)
        return _read_file(record.path, limits)

    return read


def _read_file(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise Rejected(f"cannot be read ({error.strerror})") from error
    if len(data) > limits.max_bytes:
        raise Rejected(f"larger than {limits.max_bytes / 1e6:g} MB")
    return data


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
    """Asks for the first page now: a source that does not answer must leave everything as it is."""
    first = list(itertools.islice(pages, 1))
    return itertools.chain(first, pages)
