"""What a folder has from earlier runs: results that need not be fetched again, and rows that stay."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ferlib.crawl.check import Library
from ferlib.crawl.manifest import NEAR_COPY, SAME_ADDRESS, Row, address_key, clean, read_rows

_PART = re.compile(r"\.[0-9a-f]{16}\.[a-z0-9]+\.[0-9a-f]{8}\.part")


class PreviousRuns:
    """The manifest of a folder, which is put in order if an earlier run was killed.

    `known` has, for each address of this source and keyword that need not be fetched, its row and the line
    that the manifest has for it. A picture with the same bytes as another one has the state `ok` there, since
    a run may meet the two in another order.

    Args:
        folder: The folder of the pictures.
        source: Name of the source.
        keyword: The search word.
        retry_rejected: Leave out results that were rejected, so that they are fetched again.

    Raises:
        CrawlError: The manifest is broken.
    """

    def __init__(self, folder: Path, source: str, keyword: str, retry_rejected: bool = False):
        self.source, self.keyword = source, keyword
        rows = read_rows(folder)
        self._groups: dict[tuple[str, str], dict[str, Row]] = {}
        for number, row in enumerate(rows):
            key = address_key(row.url)
            place = f"{key} {number}" if row.reason == SAME_ADDRESS else key
            # a later row corrects an earlier one, at its place
            self._groups.setdefault((row.source, row.keyword), {})[place] = row
        self._own = self._groups.setdefault((clean(source), clean(keyword)), {})
        _repair(folder, rows, [row for group in self._groups.values() for row in group.values()])
        self.known: dict[str, tuple[Row, str]] = {}
        for key, row in self._own.items():
            if row.reason == SAME_ADDRESS or (retry_rejected and row.state == "rejected"):
                continue
            if row.state == "rejected" or row.reason == NEAR_COPY:
                self.known[key] = row, row.line()
            elif _has_file(folder, row.file):  # else it was deleted
                self.known[key] = replace(row, state="ok", reason=""), row.line()

    def add_others(self, library: Library) -> None:
        """Add the pictures of other sources and keywords to a library.

        Args:
            library: The pictures that new ones are compared with.
        """
        for group in self._groups.values():
            for row in group.values():
                if group is not self._own and row.state == "ok":
                    library.add(row)

    def merge(self, lines: list[str], seen: set[str]) -> Iterator[str]:
        """Put the rows of this run and of earlier ones together.

        Args:
            lines: This run's rows in the order of the results.
            seen: The addresses that this run came to, as `address_key` gives them.

        Yields:
            The lines of the complete manifest. Rows of this keyword that the run did not come to follow those
            that it did; the rows of other keywords stay where they are.
        """
        for group in self._groups.values():
            if group is self._own:
                yield from lines
            for row in group.values():
                if group is not self._own or address_key(row.url) not in seen:
                    yield row.line()


def _has_file(folder: Path, file: str) -> bool:
    """The name is checked too: a manifest can be edited."""
    return bool(file) and Path(file).name == file and (folder / file).is_file()


def find_parts(folder: Path) -> list[Path]:
    """Find the temporary files of pictures that have not got their names yet.

    Args:
        folder: The folder of the pictures.

    Returns:
        Their paths; the name of a picture is between the first dot and the last two.
    """
    return [path for path in folder.iterdir() if _PART.fullmatch(path.name)]


def _repair(folder: Path, rows: list[Row], valid: list[Row]) -> None:
    """Give pictures the names that their rows say, and remove what a killed run left.

    A picture that only corrected rows name is removed too: the run was killed before it could do that.
    """
    named = {row.file: row.sha256 for row in valid if row.state == "ok"}
    for part in find_parts(folder):
        file = part.name[1:].rsplit(".", 2)[0]
        complete = file in named and hashlib.sha256(part.read_bytes()).hexdigest() == named[file]
        if complete and not _has_file(folder, file):
            part.replace(folder / file)
        else:
            part.unlink()
    (folder / ".manifest.part.csv").unlink(missing_ok=True)
    for row in rows:
        if row.state == "ok" and row.file not in named and _has_file(folder, row.file):
            (folder / row.file).unlink()
