"""From pages of results to a folder of checked pictures and its manifest."""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ferlib.common.errors import BadInputError, CrawlError, check_choice, logger
from ferlib.common.files import lock_folder, named_errors
from ferlib.crawl.engine import Engine
from ferlib.crawl.http import Downloader
from ferlib.crawl.manifest import open_manifest, read_manifest, write_lines
from ferlib.crawl.resume import PreviousRuns
from ferlib.crawl.settings import CrawlSettings
from ferlib.crawl.site.server import SITES, LocalSite
from ferlib.crawl.sources.base import ResultPage, Source
from ferlib.crawl.sources.local import FolderSource, ListSource


class _NotebookLine:
    """A file for tqdm, whose text becomes one output of a notebook, which is updated.

    tqdm's own notebook bar is a live widget, of which nothing is left when the notebook is stored, and its
    plain bar leaves a line for each step.
    """

    def __init__(self) -> None:
        from IPython.display import display

        self._output = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        if (line := text.strip("\r\n")).strip():
            self._output.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        """Nothing is buffered."""


def _progress_bar(total: int, quiet: bool) -> tqdm:
    """Tqdm's bar: on stderr in a terminal, as one line of output in a notebook, nothing if quiet."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    file = _NotebookLine() if not quiet and getattr(shell, "kernel", None) is not None else None
    width = 90 if file else None
    return tqdm(total=total, unit=" pictures", disable=quiet, file=file, ncols=width, mininterval=0.2)


LOCK = ".crawl.lock"


SOURCES = ("local", "baidu", "baidu-list", "commons", "openverse", "list", "folder")


@contextmanager
def open_source(name: str, seed: int = 7, path: str | os.PathLike = "") -> Iterator[Source]:
    """Open a source of pictures by its name.

    Args:
        name: One of SOURCES. `local` is the search site of drawn photos on this machine, which runs until the
            block ends; `local-baidu-list`, `local-commons` and `local-openverse` are the same site with the
            interface of those.
        seed: Seed of the local site.
        path: The file of addresses of `list`, or the folder of `folder`.

    Yields:
        The source.

    Raises:
        BadInputError: There is no such source, or it needs a path.
    """
    if name == "local" or name.startswith("local-"):
        with LocalSite(seed=seed) as site:
            yield site.source(name.removeprefix("local").removeprefix("-") or "baidu")
        return
    check_choice("source", name, SOURCES)
    with_path: dict[str, Callable[..., Source]] = {"list": ListSource, "folder": FolderSource}
    if name in with_path and not str(path):
        raise BadInputError(f"the source {name!r} needs a path: a file of addresses, or a folder of pictures")
    yield with_path[name](path) if name in with_path else SITES[name]()


def crawl_local(folder: str | os.PathLike, count: int = 120, seed: int = 7) -> pd.DataFrame:
    """Crawl the local site of drawn photos, as notebook 01 does with its default parameters.

    Args:
        folder: The folder for the pictures and the manifest.
        count: Number of good pictures.
        seed: Seed of the local site.

    Returns:
        The manifest.
    """
    with open_source("local", seed) as source:
        return collect_pictures(source, "faces", count, folder, quiet=True)


def collect_pictures(
    source: Source,
    keyword: str,
    count: int,
    folder: str | os.PathLike,
    settings: CrawlSettings | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """Fetch the results for a keyword until `count` pictures are good, or the source has no more.

    Each picture is in `folder`, named by its content: the first 16 digits of its SHA-256, and a suffix that
    follows from its format. `manifest.csv` has a row for every result; rejected ones and copies (the same
    bytes, or near copies by perceptual hash) are left out with a reason. A row is written as soon as its
    picture is there; at the end the rows are in the order of the results, whatever the number of workers.

    What the folder has is neither fetched again nor removed: a run that was killed goes on where it was, a
    larger `count` adds pictures, and so does another keyword.

    Args:
        source: Where the addresses come from; see `open_source`.
        keyword: The search word.
        count: Number of good pictures, at least 1.
        folder: The folder for the pictures and the manifest.
        settings: Limits, number of workers, and behaviour towards sites; None for the defaults.
        quiet: Print nothing.

    Returns:
        The manifest, as `read_manifest` gives it.

    Raises:
        BadInputError: The keyword is empty, `count` is less than 1, the folder cannot be written, or another crawl is
            running in it.
        CrawlError: The source does not answer, or the folder's manifest is broken.

    Example:
        >>> with open_source("local", seed=7) as source:
        ...     manifest = collect_pictures(source, "faces", 120, "data/work/raw")
    """
    if not keyword.strip():
        raise BadInputError("the keyword is empty; give a word to search for")
    if count < 1:
        raise BadInputError(f"count is {count}; it must be at least 1")
    settings, folder = settings or CrawlSettings(), Path(folder)
    with named_errors(folder, folder):
        folder.mkdir(parents=True, exist_ok=True)
        return _collect(source, keyword, count, folder, settings, quiet)


def _collect(
    source: Source, keyword: str, count: int, folder: Path, settings: CrawlSettings, quiet: bool
) -> pd.DataFrame:
    """With arguments that are checked."""
    with warnings.catch_warnings(), lock_folder(folder, "crawl", LOCK), Downloader(settings) as downloader:
        # about damaged files, which are expected here; set before the threads start, which all share it
        warnings.filterwarnings("ignore", module="PIL")
        previous = PreviousRuns(folder, source.name, keyword, settings.retry_rejected)
        pages = source.pages(keyword, partial(downloader.fetch_text, check_robots=not source.is_api))
        # The first page comes before any change: a source that does not answer leaves everything as it is.
        first = next(pages, ResultPage(()))
        if not quiet:
            total = "an unknown number of" if first.total is None else f"{first.total:,}"
            print(f"found: {total} pictures; related searches: {', '.join(first.related) or 'none'}")
        if previous.known and not quiet:
            print(f"{len(previous.known)} results are there from an earlier run and are not fetched again")
        states: Counter[str] = Counter()
        with open_manifest(folder) as manifest, _progress_bar(count, quiet) as bar:
            engine = Engine(folder, downloader, previous, manifest)
            decided = engine.run(_with_later(first, pages), count)
            with closing(decided):  # after an interrupt too
                for state in decided:
                    states[state] += 1
                    if not quiet:
                        bar.set_postfix(copies=states["copy"], rejected=states["rejected"], refresh=False)
                    bar.update(state == "ok")
        write_lines(folder, previous.merge(engine.lines, engine.seen))
        return read_manifest(folder)


def _with_later(first: ResultPage, later: Iterator[ResultPage]) -> Iterator[ResultPage]:
    """A later page that cannot be fetched ends the results."""
    yield first
    try:
        yield from later
    except CrawlError as error:
        logger.warning("a later page cannot be fetched, using the results before it: %s", error)
