"""The crawl itself: one queue of results, workers that fetch and check, one thread that decides and writes.

Pictures come in any order; what they are (good, or a copy of which) is decided in the order of the
results, so that the manifest at the end does not depend on the number of workers, nor on a kill. What a
picture is before its turn has come stands in the manifest too, so that nothing is fetched twice.
"""

import hashlib
import os
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ferlib.crawl.check import Library, check_picture
from ferlib.crawl.limits import Limits, Rejected
from ferlib.crawl.manifest import SAME_ADDRESS, ManifestWriter, address_key, row_line
from ferlib.crawl.sources.base import PictureRecord, ResultPage

SAME_BYTES = "same bytes as an earlier picture"
NEAR_COPY = "near copy of an earlier picture"
AHEAD = 64
"""Results kept in hand, so that workers need not wait for the next page."""

_PART = re.compile(r"\.([0-9a-f]{16}\.(?:jpg|png|webp|bmp|gif))\.[0-9a-f]{8}\.part")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a result: a picture in the folder (or beside it, as `part`), or a reason."""

    file: str = ""
    sha256: str = ""
    phash: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""
    part: Path | None = None

    def row(self, state: str, reason: str, file: str) -> dict[str, object]:
        size = {"width": self.width, "height": self.height, "sha256": self.sha256, "phash": self.phash}
        return {"file": file, **size, "state": state, "reason": reason}


Told = tuple[str, str, str]


@dataclass(slots=True)
class _Result:
    """A result on its way; `told`: the state, reason and file that stand in the manifest so far."""

    record: PictureRecord
    outcome: Outcome | None = None
    told: Told | None = None
    line: str = ""


def fetch_picture(read: Callable[[PictureRecord], bytes], folder: Path, limits: Limits, record) -> Outcome:
    """Runs in a worker: get the bytes, check them, write them beside the folder's files."""
    try:
        data = read(record)
        return stage_picture(data, folder, limits, record.url)
    except Rejected as error:
        return Outcome(width=error.width, height=error.height, reason=str(error))


def stage_picture(data: bytes, folder: Path, limits: Limits, url: str) -> Outcome:
    picture = check_picture(data, limits)
    sha256 = hashlib.sha256(data).hexdigest()
    file = sha256[:16] + picture.suffix
    # the address is in the name too: two workers may hold two copies of one picture at the same time
    part = folder / f".{file}.{hashlib.sha256(url.encode('utf-8', 'replace')).hexdigest()[:8]}.part"
    _write_new(part, data)
    return Outcome(file, sha256, picture.phash, picture.width, picture.height, "", part)


def _write_new(path: Path, data: bytes) -> None:
    """`Path.write_bytes` without the questions that opening a buffered file asks the system."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)


def find_parts(folder: Path) -> dict[str, list[Path]]:
    """Files that an earlier run left beside, by the name that they were to have."""
    parts: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        if match := _PART.fullmatch(path.name):
            parts.setdefault(match[1], []).append(path)
    return parts


class Engine:
    """One crawl of one keyword. `run` yields a state for each result in turn; `lines` are its rows.

    `read(record) -> bytes` runs in at most `workers` threads at a time; `before`: outcomes of earlier
    runs by `address_key`, with what was told of each; `library`: the pictures of other keywords.
    """

    def __init__(
        self,
        folder: Path,
        head: dict[str, str],
        read: Callable[[PictureRecord], bytes],
        limits: Limits,
        workers: int,
        library: Library,
        before: dict[str, tuple[Outcome, Told]],
        manifest: ManifestWriter,
    ):
        self.lines: list[str] = []
        self.walked: set[str] = set()
        self._folder, self._head, self._limits = folder, head, limits
        self._library, self._before, self._manifest = library, before, manifest
        self._read, self._slots = read, threading.BoundedSemaphore(workers)
        checkers = min(os.cpu_count() or 1, 4)
        # Fetching holds one of `workers` slots, checking holds none: a picture is checked while others come.
        self._pool = ThreadPoolExecutor(workers + checkers + 1)
        self._most = 2 * (workers + checkers)
        self._events: queue.SimpleQueue = queue.SimpleQueue()
        self._saved = {outcome.sha256 for outcome, _ in before.values() if outcome.sha256}
        self._turns: deque[_Result] = deque()  # in the order of the results, until each is decided
        self._good = self._hopeful = self._flying = 0

    def run(self, pages: Iterator[ResultPage], count: int) -> Iterator[str]:
        """Until `count` are good or the pages end. Raises what a page raises."""
        records: deque[PictureRecord] = deque()
        asked = ended = False
        try:
            while True:
                while self._turns and self._turns[0].outcome is not None:
                    yield self._decide(self._turns.popleft())
                if self._good >= count:
                    return
                # Only what is needed even if all before it are good: so no run fetches more than another.
                while records and self._good + self._hopeful < count and self._flying < self._most:
                    self._begin(records.popleft())
                if self._turns and self._turns[0].outcome is not None:
                    continue
                missing = count - self._good - self._hopeful
                if not asked and not ended and len(records) < min(missing, AHEAD):
                    self._pool.submit(self._next_page, pages)
                    asked = True
                if not asked and not self._flying:
                    return
                result, answer = self._events.get()
                if result is not None:
                    self._come(result, answer)
                    continue
                asked = False
                if isinstance(answer, BaseException):
                    raise answer
                ended = answer is None
                records.extend(answer.records if answer else ())
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)  # after an interrupt: nothing new
            self._drop_rest()

    def _next_page(self, pages: Iterator[ResultPage]) -> None:
        try:
            self._events.put((None, next(pages, None)))
        except BaseException as error:
            self._events.put((None, error))

    def _begin(self, record: PictureRecord) -> None:
        key = address_key(record.url)
        result = _Result(record)
        self._turns.append(result)
        if key in self.walked:
            result.outcome = Outcome(reason=SAME_ADDRESS)
        elif key in self._before:
            result.outcome, result.told = self._before[key]
        else:
            self._flying += 1
            self._pool.submit(self._work, result)
        self.walked.add(key)
        self._hopeful += result.outcome is None or not result.outcome.reason

    def _work(self, result: _Result) -> None:
        try:
            outcome = fetch_picture(self._fetch, self._folder, self._limits, result.record)
        except BaseException as error:  # our own mistake, or a full disk: the crawl ends with it
            outcome = error
        self._events.put((result, outcome))

    def _fetch(self, record: PictureRecord) -> bytes:
        with self._slots:
            return self._read(record)

    def _come(self, result: _Result, outcome: Outcome | BaseException) -> None:
        """A result has come in; where its turn has not, the manifest says what is known by now."""
        self._flying -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        result.outcome = outcome
        self._hopeful -= bool(outcome.reason)
        if result is self._turns[0]:
            return
        if outcome.reason:
            self._write(result, "rejected", outcome.reason, "")
        elif outcome.sha256 in self._saved:
            self._write(result, "copy", SAME_BYTES, outcome.file)
            outcome.part.unlink()
        else:
            self._keep(result)

    def _decide(self, result: _Result) -> str:
        """Its turn: all results before it are decided."""
        outcome = result.outcome
        if outcome.reason == SAME_ADDRESS:
            return self._end(result, "copy", SAME_ADDRESS, "")
        if outcome.reason == NEAR_COPY:
            return self._end(result, "copy", NEAR_COPY, outcome.file)
        if outcome.reason:
            return self._end(result, "rejected", outcome.reason, "")
        self._hopeful -= 1
        same = self._library.same(outcome.sha256)
        near = same or self._library.near(outcome.phash, outcome.width, outcome.height)
        if near:
            state = self._end(result, "copy", SAME_BYTES if same else NEAR_COPY, near)
            if outcome.part is not None:
                outcome.part.unlink(missing_ok=True)
            if not same and outcome.sha256 in self._saved:
                (self._folder / outcome.file).unlink(missing_ok=True)
                self._saved.discard(outcome.sha256)
            return state
        self._library.add(outcome.file, outcome.sha256, outcome.phash, outcome.width, outcome.height)
        self._good += 1
        if result.told is None or outcome.sha256 not in self._saved:
            self._keep(result)
        return self._end(result, "ok", "", outcome.file)

    def _keep(self, result: _Result) -> None:
        """The row first, then the name: a kill between the two leaves a part that the row tells what it is."""
        outcome = result.outcome
        try:
            self._write(result, "ok", "", outcome.file)
        finally:  # an interrupt must not come between the two
            outcome.part.replace(self._folder / outcome.file)
            self._saved.add(outcome.sha256)

    def _end(self, result: _Result, state: str, reason: str, file: str) -> str:
        self.lines.append(self._write(result, state, reason, file))
        return state

    def _write(self, result: _Result, state: str, reason: str, file: str) -> str:
        """The row as a line, which goes into the manifest's file where it says something new."""
        if result.line and result.told == (state, reason, file):
            return result.line
        record = result.record
        origin = {name: getattr(record, name) for name in ("url", "page", "licence", "author")}
        line = row_line(self._head | origin | result.outcome.row(state, reason, file))
        if result.told != (state, reason, file):
            self._manifest.write(line)
            result.told = (state, reason, file)
        result.line = line
        return line

    def _drop_rest(self) -> None:
        """Pictures that came after the end, or after an interrupt, and have no row."""
        while True:
            try:
                result, outcome = self._events.get_nowait()
            except queue.Empty:
                break
            if result is not None and isinstance(outcome, Outcome) and outcome.part is not None:
                outcome.part.unlink(missing_ok=True)
        for result in self._turns:
            if result.outcome is not None and result.outcome.part is not None:
                result.outcome.part.unlink(missing_ok=True)
