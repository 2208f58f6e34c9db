"""Sources on this machine: a list of addresses, a folder of pictures."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferlib.common.errors import BadInputError
from ferlib.crawl.manifest import MANIFEST
from ferlib.crawl.sources.base import GetText, PictureRecord, ResultPage

PAGE = 100

NAMES = {
    "url": ("url", "image", "image_url", "imageurl", "img", "link", "address", "objurl", "contenturl"),
    "page": ("page", "page_url", "source_page", "foreign_landing_url", "descriptionurl", "landing_url"),
    "licence": ("licence", "license", "rights"),
    "author": ("author", "creator", "artist", "photographer"),
}
"""Column names of a CSV that are understood, for each of ours."""


@dataclass(frozen=True)
class ListSource:
    """A file of addresses: text with one a line (`#` begins a comment), or CSV with a header.

    A CSV needs a column with the address, and may have page, licence and author (see NAMES). The file is
    UTF-8, with or without a mark, or else GB18030. `licence` is what the manifest says where the file
    says nothing. The search word is not looked at; it only names the set.
    """

    path: str | os.PathLike
    name: str = "list"
    licence: str = "unknown"
    for_programs = True

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """The addresses in the order of the file. BadInputError for a file that is missing or has none."""
        yield from _pages(self.read())

    def read(self) -> list[PictureRecord]:
        """All records of the file."""
        lines = _text(Path(self.path)).splitlines()
        told = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not told:
            raise BadInputError(
                f"{Path(self.path).name}: no address in it; give one a line, or a CSV with `url`"
            )
        if told[0].strip().lower().startswith(("http://", "https://")):
            return [PictureRecord(line.strip(), licence=self.licence) for line in told]
        dialect = csv.excel_tab if "\t" in told[0] else csv.excel
        rows = csv.DictReader(told, dialect=dialect)
        columns = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
        place = {
            ours: next((columns[n] for n in theirs if n in columns), None) for ours, theirs in NAMES.items()
        }
        if place["url"] is None:
            raise BadInputError(
                f"{Path(self.path).name}: the first line is neither an address nor a header with a column "
                f"`url` (it begins {told[0][:40]!r})"
            )

        def cell(row: dict, ours: str) -> str:
            return (row.get(place[ours]) or "").strip() if place[ours] is not None else ""

        records = [
            PictureRecord(
                cell(row, "url"), cell(row, "page"), cell(row, "licence") or self.licence, cell(row, "author")
            )
            for row in rows
        ]
        return [record for record in records if record.url]


@dataclass(frozen=True)
class FolderSource:
    """A folder of pictures, with its subfolders, in the order of their names. Nothing in it is changed.

    The address in the manifest is the file's, as `file:///…`. Hidden files and manifests are left out;
    what is no picture is rejected, as from any source. The search word only names the set.
    """

    folder: str | os.PathLike
    name: str = "folder"
    licence: str = "unknown"
    author: str = ""
    for_programs = True

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """BadInputError for a folder that is not there."""
        root = Path(self.folder)
        if not root.is_dir():
            raise BadInputError(f"{root.name}: no such folder; give the folder of the pictures")
        files = sorted(
            path
            for path in root.rglob("*")
            if path.is_file()
            and path.name not in (MANIFEST, "stamp.json")
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
        )
        yield from _pages(
            [
                PictureRecord(path.resolve().as_uri(), licence=self.licence, author=self.author, path=path)
                for path in files
            ]
        )


def _pages(records: list[PictureRecord]) -> Iterator[ResultPage]:
    """Parts of a known whole; one empty page where there is nothing."""
    for begin in range(0, max(len(records), 1), PAGE):
        yield ResultPage(tuple(records[begin : begin + PAGE]), len(records))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{path.name}: cannot be read ({error.strerror}); give a file of addresses"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")
