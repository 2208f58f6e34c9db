"""The lines of a CSV: plain, gzipped, or inside a zip or tar archive; in UTF-8 or UTF-16.

Archives are read as a stream: nothing is unpacked to the disk, so no name in an archive can lead out of a folder,
and what an archive unpacks to is limited.
"""

import gzip
import io
import os
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


def read_lines(path: Path, quiet: bool = False) -> Iterator[tuple[int, bytes]]:
    """Read the lines of a CSV that are not empty.

    Args:
        path: A CSV, gzipped or not, or a .zip, .tar or .tar.gz with one in it; decided by the content.
        quiet: Do not log how the file is read.

    Yields:
        (number of the line from 1, its bytes in UTF-8).

    Raises:
        DatasetError: The file cannot be read, is damaged, is none of these, or changes while it is read.
    """
    number, size = 1, 0
    try:
        with ExitStack() as stack, path.open("rb") as raw:
            before = os.fstat(raw.fileno())
            source = _decode(_unpack(path, raw, stack, quiet), path, quiet)
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
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError) as error:
        what = "zip archive" if isinstance(error, (zipfile.BadZipFile, NotImplementedError)) else "gzip file"
        raise DatasetError(
            f"{path.name}: the {what} is cut off or damaged in line {number} ({str(error)[:100]}); get it again"
        ) from error
    except UnicodeError as error:
        raise DatasetError(
            f"{path.name}: line {number} is not UTF-16 text ({error}); save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise DatasetError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _unpack(path: Path, raw: io.BufferedReader, stack: ExitStack, quiet: bool) -> io.BufferedReader:
    """The CSV's bytes, out of what it is packed in."""
    start = raw.read(16)
    raw.seek(0)
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return io.BufferedReader(_zip_member(path, stack.enter_context(zipfile.ZipFile(raw)), quiet))
    stream = _gunzip(raw)
    head = stream.peek(512)
    if head[257:262] == b"ustar":
        chosen = _choose(path, [name for name, _ in _tar_members(path, stream)], quiet)
        raw.seek(0)
        stream = _gunzip(raw)
        size = next(size for name, size in _tar_members(path, stream) if name == chosen)
        return io.BufferedReader(_Part(stream, size))
    low = head[:32].lstrip().lower()
    for magic, what in _KINDS:
        if head.startswith(magic) or low.startswith(magic):
            raise DatasetError(f"{path.name}: {what}")
    return stream


def _gunzip(raw: io.BufferedReader) -> io.BufferedReader:
    packed = raw.peek(2)[:2] == b"\x1f\x8b"
    return io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw


class _Part(io.RawIOBase):
    """The next bytes of a stream, as a stream of its own."""

    def __init__(self, stream: io.BufferedReader, size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        if not data and self._left:
            raise EOFError("the archive ends early")
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _tar_members(path: Path, stream: io.BufferedReader) -> Iterator[tuple[str, int]]:
    """(name, size) of each file of a tar archive; the stream is then at the first byte of that file.

    Python's tarfile reads a header of any length into memory; here headers have 512 bytes.
    """
    read = 0
    while len(header := stream.read(512)) == 512 and header[257:262] == b"ustar":
        digits = header[124:136].strip(b"\0 ")
        if not digits.isdigit() or any(digit > ord("7") for digit in digits):
            raise DatasetError(f"{path.name}: a damaged header in the tar archive; get it again")
        size = int(digits, 8)
        read += size
        if read > MAX_UNPACKED:
            raise DatasetError(f"{path.name}: unpacks to more than {MAX_UNPACKED:,} bytes; unpack it by hand")
        if header[156:157] in (b"0", b"\0"):
            yield header[:100].rstrip(b"\0").decode(errors="replace"), size
        left = size + -size % 512
        while left:
            data = stream.read(min(left, 1 << 16))
            if not data:
                raise EOFError("the archive ends early")
            left -= len(data)


def _zip_member(path: Path, archive: zipfile.ZipFile, quiet: bool) -> zipfile.ZipExtFile:
    sizes = {member.filename: member for member in archive.infolist() if not member.is_dir()}
    member = sizes[_choose(path, list(sizes), quiet)]
    if member.flag_bits & 1:
        raise DatasetError(f"{path.name}: it is protected by a password; unpack it first")
    if member.file_size > MAX_UNPACKED:
        raise DatasetError(f"{path.name}: unpacks to {member.file_size:,} bytes; unpack it by hand")
    return archive.open(member)  # type: ignore[return-value]


def _choose(path: Path, members: Sequence[str], quiet: bool) -> str:
    """The CSV of faces among the files of an archive."""
    tables = [name for name in members if name.lower().endswith(".csv") and not name.startswith("__MACOSX")]
    for wanted in (*CSV_NAMES, "train.csv", None):
        named = [name for name in tables if name.rpartition("/")[2].lower() == wanted]
        found = named or (tables if wanted is None and len(tables) == 1 else [])
        if found:
            if not quiet:
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


def _decode(stream: io.BufferedReader, path: Path, quiet: bool) -> Callable[[int], bytes]:
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
    if not quiet:
        logger.warning("%s: read as UTF-16 text", path.name)
    text = io.TextIOWrapper(stream, encoding=encoding, newline="\n")
    return lambda limit: text.readline(limit).encode()
