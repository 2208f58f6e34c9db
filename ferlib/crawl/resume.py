"""What a folder has from earlier runs: outcomes that need no fetching, and rows that stay."""

import hashlib
import itertools
from pathlib import Path

from ferlib.crawl.check import Library
from ferlib.crawl.engine import NEAR_COPY, Outcome, Told, find_parts
from ferlib.crawl.manifest import SAME_ADDRESS, address_key, clean, read_rows, row_line

Row = dict[str, object]


class Earlier:
    """Reads a folder's manifest and puts the folder in order after a kill.

    `outcomes`: for this source and keyword, what became of each address, with what the manifest tells of it.
    """

    def __init__(self, folder: Path, source: str, keyword: str, retry: bool = False):
        self._group = (clean(source), clean(keyword))
        self._groups: dict[tuple[str, str], dict[str, Row]] = {self._group: {}}
        self.outcomes: dict[str, tuple[Outcome, Told]] = {}
        rows = read_rows(folder)
        if rows:
            self._groups = {}
        for number, row in enumerate(rows):
            key = address_key(row["url"])
            place = f"{key} {number}" if row["reason"] == SAME_ADDRESS else key
            group = self._groups.setdefault((row["source"], row["keyword"]), {})
            group[place] = row  # a later row puts an earlier one right, at its place
        self._groups.setdefault(self._group, {})
        _put_in_order(folder, rows, [row for group in self._groups.values() for row in group.values()])
        for key, row in self._groups[self._group].items():
            if row["reason"] == SAME_ADDRESS or (retry and row["state"] == "rejected"):
                continue
            if outcome := _outcome(folder, row):
                self.outcomes[key] = outcome, (row["state"], row["reason"], row["file"])

    def fill(self, library: Library) -> None:
        """Adds the pictures of other sources and keywords."""
        for group, rows in self._groups.items():
            for row in rows.values():
                if group != self._group and row["state"] == "ok":
                    library.add(row["file"], row["sha256"], row["phash"], row["width"], row["height"])

    def lines_with(self, lines: list[str], walked: set[str]) -> list[str]:
        """The rows of the whole manifest: this keyword's in the order of its results, others as they were.

        Rows of this keyword that the run did not come to stay, after those that it did.
        """
        whole = []
        for group, rows in self._groups.items():
            if group != self._group:
                whole += [row_line(row) for row in rows.values()]
                continue
            whole += lines
            whole += [row_line(row) for row in rows.values() if address_key(row["url"]) not in walked]
        return whole


def _outcome(folder: Path, row: Row) -> Outcome | None:
    """None for a picture that is not there any more: it has to be fetched again."""
    size = {"width": row["width"], "height": row["height"]}
    if row["state"] == "rejected":
        return Outcome(reason=row["reason"], **size)
    near = row["state"] == "copy" and row["reason"] == NEAR_COPY
    if not near and not _is_there(folder, row["file"]):
        return None
    return Outcome(row["file"], row["sha256"], row["phash"], reason=row["reason"] if near else "", **size)


def _is_there(folder: Path, file: str) -> bool:
    """The name is checked too: a manifest can be edited."""
    return bool(file) and Path(file).name == file and (folder / file).is_file()


def _put_in_order(folder: Path, rows: list[Row], valid: list[Row]) -> None:
    """Give pictures the names that their rows say, and remove what a killed run left beside.

    A picture that only rows name which were put right later is removed as well: the kill came before that.
    """
    parts = find_parts(folder)
    for row in valid:
        if row["state"] == "ok" and not _is_there(folder, row["file"]):
            for part in parts.get(row["file"], ()):
                if part.is_file() and hashlib.sha256(part.read_bytes()).hexdigest() == row["sha256"]:
                    part.replace(folder / row["file"])
    for part in itertools.chain.from_iterable(parts.values()):
        part.unlink(missing_ok=True)
    (folder / ".manifest.part.csv").unlink(missing_ok=True)
    named = {row["file"] for row in valid if row["state"] == "ok"}
    for row in rows:
        if row["state"] == "ok" and row["file"] not in named and _is_there(folder, row["file"]):
            (folder / row["file"]).unlink()
