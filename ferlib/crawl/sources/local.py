"""Sources on this machine: a list of addresses, a folder of pictures."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferlib.common.errors import BadInputError
from ferlib.crawl.manifest import MANIFEST
from ferlib.crawl.sources.base import GetText, PictureRecord, ResultPage, Source, make_page

PAGE_SIZE = 100

NAMES = {
    "url": ("url", "image", "image_url", "imageurl", "img", "link", "address", "objurl", "contenturl"),
    "page": ("page", "page_url", "source_page", "foreign_landing_url", "descriptionurl", "landing_url"),
    "licence": ("licence", "license", "rights"),
    "author": ("author", "creator", "artist", "photographer"),
}
"""Column names of a CSV that are understood, for each field of a record."""


@dataclass(frozen=True)
class ListSource(Source):
    """A file of addresses: text with one per line (`#` starts a comment), or CSV with a header.

    A CSV needs a column with the address, and may have page, licence and author (see NAMES). The file is
    UTF-8, with or without a byte order mark, or else GB18030. The search word only names the set.

    Args:
        path: The file.
        name: Name in the manifest.
        licence: Licence of pictures for which the file has none.
    """

    path: str | os.PathLike
    name: str = "list"
    licence: str = "unknown"

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Give the addresses in the order of the file.

        Args:
            keyword: Not used.
            get: Not used.

        Yields:
            Pages of PAGE_SIZE addresses.

        Raises:
            BadInputError: The file is missing or has no address.
        """
        yield from _pages(self.read())

    def read(self) -> list[PictureRecord]:
        """Read the file.

        Returns:
            All its records.

        Raises:
            BadInputError: The file is missing or has no address.
        """
        path = Path(self.path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInputError(
                f"{path.name}: cannot be read ({error.strerror}); give a file of addresses"
            ) from error
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("gb18030", errors="replace")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if not lines:
            raise BadInputError(f"{path.name}: no address in it; give one per line, or a CSV with `url`")
        if lines[0].strip().lower().startswith(("http://", "https://")):
            return [PictureRecord(line.strip(), licence=self.licence) for line in lines]
        header, *rows = csv.reader(lines, csv.excel_tab if "\t" in lines[0] else csv.excel)
        columns = [name.strip().lower() for name in header]
        places = {  # the first name that is there, as it comes last
            field: columns.index(name)
            for field, names in NAMES.items()
            for name in reversed(names)
            if name in columns
        }
        if "url" not in places:
            raise BadInputError(
                f"{path.name}: the first line is neither an address nor a header with a column "
                f"`url` (it begins {lines[0][:40]!r})"
            )
        records = []
        for row in rows:
            cells: dict[str, Any] = {"licence": self.licence}
            cells |= {field: row[k].strip() for field, k in places.items() if k < len(row) and row[k].strip()}
            if "url" in cells:
                records.append(PictureRecord(**cells))
        return records


@dataclass(frozen=True)
class FolderSource(Source):
    """A folder of pictures and its subfolders, in the order of their names. Nothing in it is changed.

    The address in the manifest is that of the file, `file:///…`. Hidden files and manifests are left out;
    what is no picture is rejected, as from any source. The search word only names the set.

    Args:
        folder: The folder.
        name: Name in the manifest.
        licence: Licence of the pictures.
        author: Author of the pictures.
    """

    folder: str | os.PathLike
    name: str = "folder"
    licence: str = "unknown"
    author: str = ""

    def pages(self, keyword: str, get: GetText) -> Iterator[ResultPage]:
        """Give the files of the folder.

        Args:
            keyword: Not used.
            get: Not used.

        Yields:
            Pages of PAGE_SIZE files.

        Raises:
            BadInputError: There is no such folder.
        """
        root = Path(self.folder)
        if not root.is_dir():
            raise BadInputError(f"{root.name}: no such folder; give the folder of the pictures")
        yield from _pages(
            [
                PictureRecord(path.resolve().as_uri(), licence=self.licence, author=self.author, path=path)
                for path in sorted(root.rglob("*"))
                if path.is_file()
                and path.name not in (MANIFEST, "stamp.json")
                and not any(part.startswith(".") for part in path.relative_to(root).parts)
            ]
        )


def _pages(records: Sequence[PictureRecord]) -> Iterator[ResultPage]:
    """One empty page if there is no record."""
    for start in range(0, max(len(records), 1), PAGE_SIZE):
        yield make_page(records[start : start + PAGE_SIZE], len(records))
