"""The lines of a CSV: plain, gzipped, or inside a zip or tar archive; in UTF-8 or UTF-16.

Archives are read as a stream: nothing is unpacked to the disk, so no name in an archive can lead out of a folder,
and what an archive unpacks to is limited.
"""

import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from ferlib.common.errors import DatasetError, logger
from ferlib.common.images import SUFFIXES

CSV_NAMES = ("emotion_file.csv", "fer2013.csv", "icml_face_data.csv")
"""Files of a complete data set, as stage 03 and Kaggle name them."""

MAX_LINE = 1 << 20
"""Bytes of a line; a row of FER2013 has at most about 9,300."""

MAX_UNPACKED = 2_000_000_000
"""Bytes that an archive or a gzip file may unpack to; FER2013 has 301,072,766."""

_MAX_FILES = 500_000  # in a tar archive; tarfile keeps about 1 kB for each in memory

_DAMAGED = {
    zipfile.BadZipFile: "zip archive",
    NotImplementedError: "zip archive",
    tarfile.ReadError: "tar archive",
    RecursionError: "tar archive",
}
_KINDS = (
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"BZh", "packed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "packed with xz: unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV UTF-8"),
    (b"SQLite format 3", "an SQLite database: export it as CSV"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"<!doctype html", "a web page: download the file itself"),
    (b"<html", "a web page: download the file itself"),
)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read the lines of a CSV that are not empty.

    Args:
        path: A CSV, gzipped or not, or a .zip, .tar or .tar.gz with one in it; decided by the content.

    Yields:
        (number of the line from 1, its bytes in UTF-8).

    Raises:
        DatasetError: The file cannot be read, is damaged, is none of these, or changes while it is read.
    """
    number, size = 1, 0
    try:
        with ExitStack() as stack, path.open("rb") as raw:
            before = os.fstat(raw.fileno())
            source = _decode(_unpack(path, raw, stack), path)
            while line := source(MAX_LINE):
                if len(line) >= MAX_LINE:
                    raise DatasetError(
                        f"{path.name}: line {number} is longer than {MAX_LINE} bytes; this is not a CSV of faces"
                    )
                size += len(line)
                if size > MAX_UNPACKED:
                    raise DatasetError(f"{path.name}: more than {MAX_UNPACKED:,} bytes; split it")
                if line.strip(b"\r\n"):
                    yield number, line
                number += 1
            after = os.fstat(raw.fileno())
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise DatasetError(
                    f"{path.name}: changed while it was read; let its writer end, then read it again"
                )
    except (*_DAMAGED, EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = _DAMAGED.get(type(error), "gzip file")
        raise DatasetError(
            f"{path.name}: the {what} is cut off or damaged in line {number} ({str(error)[:100]}); get it again"
        ) from error
    except UnicodeError as error:
        raise DatasetError(
            f"{path.name}: line {number} is not UTF-16 text ({error}); save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise DatasetError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _unpack(path: Path, raw: io.BufferedReader, stack: ExitStack) -> io.BufferedReader:
    """The CSV's bytes, out of what it is packed in."""
    start = raw.read(16)
    raw.seek(0)
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return io.BufferedReader(_zip_member(path, stack.enter_context(zipfile.ZipFile(raw))))
    packed = start.startswith(b"\x1f\x8b")
    stream = _Stream(gzip.GzipFile(fileobj=raw) if packed else raw)
    head = stream.peek(512)
    if head[257:262] == b"ustar":
        archive = stack.enter_context(tarfile.TarFile(fileobj=stream))
        return _tar_member(path, archive, stream)
    low = head[:32].lstrip().lower()
    for magic, what in _KINDS:
        if head.startswith(magic) or low.startswith(magic):
            raise DatasetError(f"{path.name}: {what}")
    return stream


class _Stream(io.BufferedReader):
    """A stream that refuses long reads: tarfile reads a header of any length into memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_LINE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _tar_member(path: Path, archive: tarfile.TarFile, stream: io.BufferedReader) -> io.BufferedReader:
    members: dict[str, tarfile.TarInfo] = {}
    total = 0
    for member in archive:
        total += tarfile.BLOCKSIZE + member.size
        if member.size < 0:
            raise tarfile.ReadError("a size below 0")
        if total > MAX_UNPACKED or len(members) >= _MAX_FILES:
            what = f"unpacks to more than {MAX_UNPACKED:,} bytes or {_MAX_FILES:,} files"
            raise DatasetError(f"{path.name}: {what}; unpack it by hand")
        if member.isreg():
            members.setdefault(member.name, member)
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes it as the end
        raise tarfile.ReadError("a damaged header")
    return archive.extractfile(members[_choose(path, list(members))])  # type: ignore[return-value]


def _zip_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipExtFile:
    sizes = {member.filename: member for member in archive.infolist() if not member.is_dir()}
    member = sizes[_choose(path, list(sizes))]
    if member.flag_bits & 1:
        raise DatasetError(f"{path.name}: it is protected by a password; unpack it first")
    if member.file_size > MAX_UNPACKED:
        raise DatasetError(f"{path.name}: unpacks to {member.file_size:,} bytes; unpack it by hand")
    return archive.open(member)  # type: ignore[return-value]


def _choose(path: Path, members: Sequence[str]) -> str:
    """The CSV of faces among the files of an archive."""
    tables = [name for name in members if name.lower().endswith(".csv") and not name.startswith("__MACOSX")]
    for wanted in (*CSV_NAMES, "train.csv", None):
        named = [name for name in tables if name.rpartition("/")[2].lower() == wanted]
        found = named or (tables if wanted is None and len(tables) == 1 else [])
        if found:
            logger.warning("%s: %s in it is read", path.name, found[0])
            return found[0]
    if tables:
        raise DatasetError(
            f"{path.name}: holds {len(tables)} CSVs ({', '.join(tables[:5])}); unpack it and name one"
        )
    if any(name.startswith("xl/") for name in members):
        raise DatasetError(f"{path.name}: an Excel workbook: save it as CSV UTF-8")
    if any(Path(name).suffix.lower() in SUFFIXES for name in members):
        raise DatasetError(f"{path.name}: an archive of pictures: unpack it and give its folder")
    nested = [name for name in members if name.lower().endswith((".gz", ".zip", ".tar"))]
    what = f"{nested[0]}, itself an archive: unpack it and give that file" if nested else "no CSV of faces"
    raise DatasetError(f"{path.name}: an archive with {what}")


def _decode(stream: io.BufferedReader, path: Path) -> Callable[[int], bytes]:
    """A function that reads a line of at most so many characters as UTF-8."""
    start = stream.peek(64)[:64]
    encoding = None
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif len(start) >= 16 and start[0] and not any(start[1:16:2]):
        encoding = "utf-16-le"
    elif len(start) >= 16 and start[1] and not any(start[0:16:2]):
        encoding = "utf-16-be"
    if encoding is None:
        return stream.readline
    logger.warning("%s: read as UTF-16 text", path.name)
    text = io.TextIOWrapper(stream, encoding=encoding, newline="\n")
    return lambda limit: text.readline(limit).encode()
