"""The list of what was fetched: `manifest.csv`, one row a result, kept or not."""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from ferlib.common import files
from ferlib.common.errors import CrawlError

MANIFEST = "manifest.csv"

COLUMNS = (
    "file",
    "source",
    "keyword",
    "url",
    "page",
    "licence",
    "author",
    "width",
    "height",
    "sha256",
    "phash",
    "state",
    "reason",
)
"""`file`: name in the folder; of a copy the name of the picture it repeats; "" where there is none.
`page`: the page that the picture stands on. `width`, `height`: pixels, 0 where unknown. `phash`:
perceptual hash, 16 hexadecimal digits. `state`: one of STATES. `reason`: why it is not ok, "" where it is."""

LATER = ("author", "phash")
"""Columns that manifests of ferlib 0.1 do not have; they are read as empty."""

STATES = ("ok", "copy", "rejected")
SAME_ADDRESS = "same address as an earlier result"


def read_manifest(folder: str | os.PathLike) -> pd.DataFrame:
    """The manifest of a crawled folder, rows in the order of the results, columns as in `COLUMNS`.

    Texts are str ("" where empty), `width` and `height` int64. Of a crawl that was killed, rows are in
    the order in which the pictures came, and a last row that was not written to its end is left out.
    Raises CrawlError for a missing or broken manifest.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise CrawlError(f"no {MANIFEST} in {Path(folder).name!r}; run notebook 01 or `ferlib crawl` first")
    table = _read(path)
    again = table["reason"] != SAME_ADDRESS
    # A row that was put right later in the run stands twice, until the end of the run.
    keys = table[["source", "keyword"]].assign(key=table["url"].map(address_key))
    old = again & keys[again].duplicated(keep="last").reindex(table.index, fill_value=False)
    return table[~old].reset_index(drop=True) if old.any() else table


def _read(path: Path) -> pd.DataFrame:
    try:
        data = path.read_bytes()
        text = io.BytesIO(data[: whole_length(data)])
        table = pd.read_csv(text, dtype=str, keep_default_na=False, encoding="utf-8")
        for name in LATER:
            if name not in table.columns:
                table[name] = ""
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise CrawlError(
                f"{MANIFEST} lacks the columns {', '.join(missing)}; it was not written by ferlib"
            )
        table = table[list(COLUMNS)].astype({"width": "int64", "height": "int64"})
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CrawlError(f"{MANIFEST} cannot be read ({error}); delete it and crawl again") from error
    odd = sorted(set(table["state"]) - set(STATES))
    if odd:
        raise CrawlError(f"{MANIFEST} has the unknown state {odd[0]!r}; known are {', '.join(STATES)}")
    return table


def read_rows(folder: str | os.PathLike) -> list[dict[str, object]]:
    """All rows as they stand in the file, also those that a later row puts right; none without a manifest."""
    path = Path(folder) / MANIFEST
    return _read(path).to_dict("records") if path.is_file() else []


def whole_length(data: bytes) -> int:
    """How many bytes of a manifest are whole rows: a killed run can leave half a row at the end."""
    end = data.rfind(b"\n") + 1
    tail = data[end:]
    if not tail or not end:
        return len(data)
    columns = next(csv.reader([data[: data.index(b"\n")].decode("utf-8", "replace")]))
    try:
        cells = next(csv.reader([tail.decode("utf-8")], strict=True))
    except (csv.Error, UnicodeDecodeError):
        return end
    return len(data) if len(cells) == len(columns) else end


def address_key(url: str) -> str:
    """What makes two addresses the same. The local site has another port each time it runs."""
    url = clean(url)
    match = re.fullmatch(r"http://127\.0\.0\.1:\d+((?:/\w+)?/photo/\d+\.jpg)", url)
    return match[1] if match else url


def clean(text: object) -> str:
    """A value as the manifest holds it: one line, no control characters, nothing that is not Unicode."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    line = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text)
    return line.encode("utf-8", "replace").decode("utf-8")


def row_line(row: Mapping[str, object]) -> str:
    """A row as a line of the file, with its end."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([clean(row.get(name, "")) for name in COLUMNS])
    return buffer.getvalue()


def write_lines(folder: str | os.PathLike, lines: Iterable[str]) -> None:
    """Write the whole manifest from lines of `row_line`, beside and renamed; not at all if nothing changes."""
    path = Path(folder) / MANIFEST
    text = (",".join(COLUMNS) + "\r\n" + "".join(lines)).encode("utf-8")
    if path.is_file() and path.read_bytes() == text:
        return
    with files.whole(path) as part:
        part.write_bytes(text)


class ManifestWriter:
    """Appends rows: each is in the file, whole, when `write` comes back. A context manager.

    An older manifest is kept; half a row at its end, left by a killed run, is cut off, and columns that it
    lacks are added.
    """

    def __init__(self, folder: str | os.PathLike):
        path = Path(folder) / MANIFEST
        head = (",".join(COLUMNS)).encode()
        data = path.read_bytes() if path.is_file() else b""
        if data.split(b"\n", 1)[0].strip() != head:
            write_lines(folder, (row_line(row) for row in read_rows(folder)))
        elif not data.endswith(b"\n") or whole_length(data) != len(data):
            whole = data[: whole_length(data)]
            with files.whole(path) as part:
                part.write_bytes(whole if whole.endswith(b"\n") else whole + b"\r\n")
        self._file = path.open("ab", buffering=0)

    def write(self, line: str) -> None:
        """A line of `row_line`."""
        self._file.write(line.encode("utf-8"))

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()


def count_reasons(manifest: pd.DataFrame) -> pd.DataFrame:
    """How many rows of each state and reason, most frequent first: columns `state, reason, pictures`."""
    counts = manifest.groupby(["state", "reason"], sort=True).size().rename("pictures").reset_index()
    order = counts["state"].map(STATES.index)
    counts = counts.assign(order=order, less=-counts["pictures"]).sort_values(["order", "less", "reason"])
    return counts[["state", "reason", "pictures"]].reset_index(drop=True)
