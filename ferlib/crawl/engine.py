"""The crawl itself: a queue of results, workers that fetch and check, one thread that decides and writes.

Pictures arrive in any order. What they are (good, or a copy of which one) is decided in the order of the
results, so that the manifest at the end depends neither on the number of workers nor on a kill. What is known
of a picture before its turn is in the manifest too, so that nothing is fetched twice.
"""

import hashlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from ferlib.crawl.check import Library, check_picture
from ferlib.crawl.http import Downloader
from ferlib.crawl.manifest import NEAR_COPY, SAME_ADDRESS, SAME_BYTES, Row, address_key
from ferlib.crawl.resume import PreviousRuns, find_parts
from ferlib.crawl.settings import Rejected
from ferlib.crawl.sources.base import PictureRecord, ResultPage

AHEAD = 64
"""Results in reserve, so that workers need not wait for the next page."""


@dataclass(slots=True)
class _Task:
    """A result on its way into the manifest.

    `row` is None until it is fetched, `part` a file that has not got its name yet, `line` what the manifest
    has for it so far.
    """

    row: Row | None = None
    part: Path | None = None
    line: str = ""


class Engine:
    """One crawl of one keyword; `lines` are its rows, `seen` the addresses that it came to.

    Args:
        folder: The folder of the pictures.
        downloader: Fetches the files; its settings are those of the crawl.
        previous: What the folder has from earlier runs.
        manifest: Takes the rows.
    """

    def __init__(self, folder: Path, downloader: Downloader, previous: PreviousRuns, manifest: TextIO):
        self.lines: list[str] = []
        self.seen: set[str] = set()
        self._folder, self._downloader = folder, downloader
        self._previous, self._manifest = previous, manifest
        self._library = Library(downloader.settings.near_bits)
        previous.add_others(self._library)
        workers = downloader.settings.workers
        self._slots = threading.BoundedSemaphore(workers)
        checkers = min(os.cpu_count() or 1, 4)
        # Fetching holds one of `workers` slots, checking holds none: a picture is checked while others arrive.
        self._pool = ThreadPoolExecutor(workers + checkers + 1)
        self._most = 2 * (workers + checkers)
        self._events: queue.SimpleQueue[tuple[_Task | None, Future]] = queue.SimpleQueue()
        self._saved = {row.sha256 for row, _ in previous.known.values() if row.state == "ok"}
        self._turns: deque[_Task] = deque()  # in the order of the results, until each is decided
        self._good = self._hopeful = self._fetching = 0

    def run(self, pages: Iterator[ResultPage], count: int) -> Generator[str, None, None]:
        """Crawl until `count` pictures are good or the pages end; what a page raises ends the crawl.

        Args:
            pages: The pages of results.
            count: Number of good pictures.

        Yields:
            The state of each result in turn.
        """
        records: deque[PictureRecord] = deque()
        loading = ended = False
        try:
            while True:
                while self._turns and self._turns[0].row is not None:
                    yield self._decide(self._turns.popleft())
                if self._good >= count:
                    return
                # Only what is needed if all before it are good, so that no run fetches more than another.
                while records and self._good + self._hopeful < count and self._fetching < self._most:
                    self._begin(records.popleft())
                if self._turns and self._turns[0].row is not None:
                    continue
                missing = count - self._good - self._hopeful
                if not loading and not ended and len(records) < min(missing, AHEAD):
                    self._submit(None, next, pages, None)
                    loading = True
                if not loading and not self._fetching:
                    return
                task, future = self._events.get()
                if task is not None:
                    self._receive(task, *future.result())
                    continue
                page = future.result()
                loading, ended = False, page is None
                records.extend(page.records if page else ())
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            # What came after the end, or after an interrupt, has no row.
            for part in find_parts(self._folder):
                part.unlink()

    def _submit(self, task: _Task | None, function: Callable, *arguments: Any) -> None:
        future = self._pool.submit(function, *arguments)
        future.add_done_callback(lambda done: self._events.put((task, done)))

    def _begin(self, record: PictureRecord) -> None:
        task, key = _Task(), address_key(record.url)
        origin = {name: getattr(record, name) for name in ("url", "page", "licence", "author")}
        row = Row(source=self._previous.source, keyword=self._previous.keyword, **origin)
        self._turns.append(task)
        if key in self.seen:
            task.row = replace(row, state="copy", reason=SAME_ADDRESS)
        elif key in self._previous.known:
            known, task.line = self._previous.known[key]
            task.row = replace(known, **origin)
        else:
            self._fetching += 1
            self._submit(task, self._fetch, record, row)
        self.seen.add(key)
        self._hopeful += task.row is None or task.row.state == "ok"

    def _fetch(self, record: PictureRecord, row: Row) -> tuple[Row, Path | None]:
        """In a worker: get the bytes, check them, and write them into a temporary file."""
        settings = self._downloader.settings
        try:
            with self._slots:
                data = self._read(record)
            picture = check_picture(data, settings)
        except Rejected as error:
            reason = {"state": "rejected", "reason": str(error)}
            return replace(row, width=error.width, height=error.height, **reason), None
        row.width, row.height, row.phash = picture.width, picture.height, picture.phash
        row.sha256 = hashlib.sha256(data).hexdigest()
        row.file = row.sha256[:16] + picture.suffix
        # The address is in the name, since two workers may have two copies of a picture at the same time.
        address = hashlib.sha256(record.url.encode("utf-8", "replace")).hexdigest()[:8]
        part = self._folder / f".{row.file}.{address}.part"
        part.write_bytes(data)
        return row, part

    def _read(self, record: PictureRecord) -> bytes:
        if record.path is None:
            return self._downloader.fetch(record.url)
        try:
            if record.path.stat().st_size > self._downloader.settings.max_bytes:
                raise Rejected(f"larger than {self._downloader.settings.max_bytes / 1e6:g} MB")
            return record.path.read_bytes()
        except OSError as error:
            raise Rejected(f"cannot be read ({error.strerror})") from error

    def _receive(self, task: _Task, row: Row, part: Path | None) -> None:
        """If it is not its turn yet, the manifest says what is known by now."""
        task.row, task.part = row, part
        self._fetching -= 1
        self._hopeful -= row.state != "ok"
        if task is self._turns[0]:
            return
        if part is None:
            self._write(task, row)
        elif row.sha256 in self._saved:
            self._write(task, replace(row, state="copy", reason=SAME_BYTES))
            part.unlink()
        else:
            self._save(task, row)

    def _decide(self, task: _Task) -> str:
        """All results before it are decided."""
        assert task.row is not None
        row = task.row
        if row.state == "ok":
            self._hopeful -= 1
            same = self._library.find_same(row)
            if original := same or self._library.find_near(row):
                row = replace(row, file=original, state="copy", reason=SAME_BYTES if same else NEAR_COPY)
            else:
                self._library.add(row)
                self._good += 1
                if not task.line or row.sha256 not in self._saved:
                    self._save(task, row)
        self._write(task, row)
        if row.state == "copy" and task.part is not None:
            task.part.unlink(missing_ok=True)
        if row.reason == NEAR_COPY and task.row is not row and row.sha256 in self._saved:
            (self._folder / task.row.file).unlink(missing_ok=True)
            self._saved.discard(row.sha256)
        self.lines.append(task.line)
        return row.state

    def _save(self, task: _Task, row: Row) -> None:
        """The row first, then the name: after a kill between the two, the row says what the part is."""
        assert task.part is not None
        try:
            self._write(task, row)
        finally:  # an interrupt must not come between the two
            task.part.replace(self._folder / row.file)
            self._saved.add(row.sha256)

    def _write(self, task: _Task, row: Row) -> None:
        """Append the row unless the manifest has it."""
        line = row.line()
        if line != task.line:
            self._manifest.write(line)
            task.line = line
