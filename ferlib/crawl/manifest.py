"""The list of what was fetched: `manifest.csv`, one row a result, kept or not."""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from ferlib.errors import CrawlError

MANIFEST = "manifest.csv"

COLUMNS = (
    "file",
    "source",
    "keyword",
    "url",
    "page",
    "licence",
    "width",
    "height",
    "sha256",
    "state",
    "reason",
)
"""`file`: name in the folder; of a copy the name of the picture it repeats; "" where there is none.
`page`: the page that the picture stands on. `width`, `height`: pixels, 0 where unknown. `state`: one of
STATES. `reason`: why it is not ok, "" where it is."""

STATES = ("ok", "copy", "rejected")


def read_manifest(folder: str | os.PathLike) -> pd.DataFrame:
    """The manifest of a crawled folder, rows in the order of the results, columns as in `COLUMNS`.

    Texts are str ("" where empty), `width` and `height` int64. Raises CrawlError for a missing or broken one.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise CrawlError(f"no {MANIFEST} in {Path(folder).name!r}; run notebook 01 or `ferlib crawl` first")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
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


def count_reasons(manifest: pd.DataFrame) -> pd.DataFrame:
    """How many rows of each state and reason, most frequent first: columns `state, reason, pictures`."""
    counts = manifest.groupby(["state", "reason"], sort=True).size().rename("pictures").reset_index()
    order = counts["state"].map(STATES.index)
    counts = counts.assign(order=order, less=-counts["pictures"]).sort_values(["order", "less", "reason"])
    return counts[["state", "reason", "pictures"]].reset_index(drop=True)


class ManifestWriter:
    """Writes a manifest row by row: each is in the file as soon as its picture is.

    Starts the file anew with the rows of `kept`, beside and renamed. A context manager.
    """

    def __init__(self, folder: str | os.PathLike, kept: Iterable[Mapping[str, object]] = ()):
        path = Path(folder) / MANIFEST
        part = path.with_name(f".{MANIFEST}.part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        part.replace(path)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, COLUMNS)

    def write(self, row: Mapping[str, object]) -> None:
        self._writer.writerow(row)
        self._file.flush()

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
