"""The list of what was fetched: `manifest.csv`, one row per result, whether it was kept or not."""

import csv
import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TextIO

import pandas as pd

from ferlib.common import files
from ferlib.common.errors import CrawlError

MANIFEST = "manifest.csv"
_FORMULA = re.compile(
    r"'*\s*[=+\-@＝＋－＠]"
)  # also after apostrophes, so that each text comes back as it was


@dataclass(slots=True)
class Row:
    """A row of the manifest: what became of one result.

    Args:
        file: Name in the folder; of a copy the name of the picture that it repeats; "" if there is none.
        source: Name of the source.
        keyword: The search word.
        url: Address of the picture.
        page: Address of the page that shows it.
        licence: Its licence.
        author: Its author.
        width: Width in pixels, 0 if unknown.
        height: Height in pixels, 0 if unknown.
        sha256: Hash of the file's bytes, 64 hexadecimal digits.
        phash: Perceptual hash, 16 hexadecimal digits.
        state: One of STATES.
        reason: Why the state is not ok, "" if it is.
    """

    file: str = ""
    source: str = ""
    keyword: str = ""
    url: str = ""
    page: str = ""
    licence: str = ""
    author: str = ""
    width: int = 0
    height: int = 0
    sha256: str = ""
    phash: str = ""
    state: str = "ok"
    reason: str = ""

    def line(self) -> str:
        """Write the row as a line of the file.

        Returns:
            The line with its line ending; see `clean` for its cells. A text that a spreadsheet would take for a
            formula begins with an apostrophe, which is left out when the manifest is read.
        """
        buffer = io.StringIO()
        cells = map(clean, astuple(self))
        csv.writer(buffer).writerow(f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells)
        return buffer.getvalue()


COLUMNS = tuple(field.name for field in fields(Row))
LATER = ("author", "phash")
"""Columns that manifests of ferlib 0.1 do not have; they are read as empty."""

STATES = ("ok", "copy", "rejected")
SAME_ADDRESS = "same address as an earlier result"
SAME_BYTES = "same bytes as an earlier picture"
NEAR_COPY = "near copy of an earlier picture"


def read_manifest(folder: str | os.PathLike) -> pd.DataFrame:
    """Read the manifest of a crawled folder.

    Args:
        folder: The folder of the pictures.

    Returns:
        One row per result in the order of the results, columns as in COLUMNS; texts are str ("" if empty),
        `width` and `height` int64. After a crawl that was killed, rows are in the order in which the pictures
        came, and a last row that is not complete is left out.

    Raises:
        CrawlError: The manifest is missing or broken.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise CrawlError(f"no {MANIFEST} in {Path(folder).name!r}; run notebook 01 or `ferlib crawl` first")
    table = _read(path)
    # Until the end of a run, a row that was corrected is there twice.
    keys = table[["source", "keyword"]].assign(key=table["url"].map(address_key))
    keys = keys[table["reason"] != SAME_ADDRESS]
    return table.drop(index=keys.index[keys.duplicated(keep="last")]).reset_index(drop=True)


def _read(path: Path) -> pd.DataFrame:
    try:
        data = io.BytesIO(_complete_rows(path.read_bytes()))
        table = pd.read_csv(data, dtype=str, keep_default_na=False, encoding="utf-8")
        table = table.assign(**{name: "" for name in LATER if name not in table.columns})
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise CrawlError(f"{MANIFEST} lacks the columns {', '.join(missing)}; ferlib did not write it")
        table = table[list(COLUMNS)].replace(f"^'(?={_FORMULA.pattern})", "", regex=True)
        table = table.astype({"width": "int64", "height": "int64"})
    except (ValueError, OverflowError, OSError) as error:
        raise CrawlError(f"{MANIFEST} cannot be read ({error}); delete it and crawl again") from error
    unknown = sorted(set(table["state"]) - set(STATES))
    if unknown:
        raise CrawlError(f"{MANIFEST} has the unknown state {unknown[0]!r}; known are {', '.join(STATES)}")
    if (
        not table["phash"].str.fullmatch("(?:[0-9a-f]{16})?").all()
        or table[["width", "height"]].min(axis=None) < 0
    ):
        raise CrawlError(
            f"{MANIFEST} has a phash that is not 16 digits, or a negative size; delete it and crawl again"
        )
    return table


def read_rows(folder: str | os.PathLike) -> list[Row]:
    """Read all rows of a manifest, also those that a later row corrects.

    Args:
        folder: The folder of the pictures.

    Returns:
        The rows in the order of the file; none if there is no manifest.

    Raises:
        CrawlError: The manifest is broken.
    """
    path = Path(folder) / MANIFEST
    return [Row(**row) for row in _read(path).to_dict("records")] if path.is_file() else []


def _complete_rows(data: bytes) -> bytes:
    """Without half a row at the end, which a run that was killed can leave."""
    rows, newline, last = data.rpartition(b"\n")
    columns = data.partition(b"\n")[0].count(b",") + 1
    with suppress(csv.Error, UnicodeDecodeError):
        if not newline or len(next(csv.reader([last.decode()], strict=True), ())) == columns:
            return data
    return rows + newline


def address_key(url: str) -> str:
    """Give what makes two addresses the same: the local site has another port each time it runs.

    Args:
        url: Address of a picture.

    Returns:
        The path for a picture of the local site, otherwise the address.
    """
    url = clean(url)
    match = re.fullmatch(r"http://127\.0\.0\.1:\d+((?:/\w+)?/photo/\d+\.jpg)", url)
    return match[1] if match else url


def clean(value: object) -> str:
    """Write a value as the manifest holds it.

    Args:
        value: Any text or number.

    Returns:
        One line of valid Unicode without control characters.
    """
    line = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", str(value))
    return line.encode("utf-8", "replace").decode("utf-8")


def write_lines(folder: str | os.PathLike, lines: Iterable[str]) -> None:
    """Write a complete manifest through a temporary file, or nothing if it does not change.

    Args:
        folder: The folder of the pictures.
        lines: What `Row.line` gives.
    """
    path = Path(folder) / MANIFEST
    data = (",".join(COLUMNS) + "\r\n" + "".join(lines)).encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return
    with files.whole(path) as part:
        part.write_bytes(data)


def open_manifest(folder: str | os.PathLike) -> TextIO:
    """Open the manifest for appending rows; each is in the file when `write` returns.

    An older manifest is kept. Half a row at its end, left by a run that was killed, is removed, and columns
    that it lacks are added.

    Args:
        folder: The folder of the pictures.

    Returns:
        The file, which takes what `Row.line` gives.
    """
    write_lines(folder, [row.line() for row in read_rows(folder)])
    return (Path(folder) / MANIFEST).open("a", buffering=1, encoding="utf-8", newline="")
