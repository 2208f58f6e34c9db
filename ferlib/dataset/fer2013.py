"""FER2013's CSV, read and written exactly: `emotion,pixels,Usage`, one face of 48×48 gray a row.

`emotion` is a label number, `pixels` are 2304 whole numbers from 0 to 255 with blanks between, row
by row from the top left, `Usage` is Training, PublicTest or PrivateTest. The contest's other file,
`icml_face_data.csv`, has the same columns in another order and blanks in its header.

Nothing wrong is read silently: a row that breaks the format is named with its number. numpy's own
text parser reads 256 as 0 and stops at a word without an error, so the digits are put together here,
for many rows at once; rows that this quick way does not accept are read again, number by number.
"""

import csv
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ferlib.common.errors import DatasetError
from ferlib.common.files import whole

SIDE = 48
PIXELS = SIDE * SIDE
USAGES = ("Training", "PublicTest", "PrivateTest")
"""Train, validation and test, by the names of the contest."""

_READ_BYTES = 1 << 18
_BATCH_ROWS = 32  # 32 rows and what is computed from them fit into a core's cache
_MAX_LINE = 1 << 20  # a row has about 9,300 bytes at most; a longer line is no row of a face
_USAGE_TEXTS = {name.encode(): name for name in USAGES}
_BLANK, _ZERO = 32, 48  # the characters ' ' and '0'


def read_rows(
    path: str | os.PathLike,
    class_names: Sequence[str],
    with_usage: bool = True,
    problems: list[str] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The columns of a FER2013 CSV, gzipped (by its content, whatever its name) or not.

    Returns labels int64 (n,), pixels uint8 (n, 48, 48), and usage str (n,), which is None for
    `with_usage=False`. Labels are numbers from 0 to `len(class_names) - 1`. Also accepted: columns in
    any order and further ones, blanks around header names, a byte order mark, fields in quotes,
    Windows line ends, empty lines, no line end after the last row.

    Raises DatasetError with the row's number for the first bad row; with a list given as `problems`,
    bad rows are left out and each adds one line to it. A file that is missing, empty, cut off, changed
    while it is read, or without a header or a good row raises DatasetError in both cases.
    """
    path = Path(path)
    lines = _lines(path)
    columns, count = _read_header(path, lines, with_usage)
    numbered = enumerate(lines, start=1)
    label_texts = {str(k).encode(): k for k in range(len(class_names))}
    labels, usages, faces = [], [], []

    def report(row: int, line: int, what: str) -> None:
        message = f"{path.name}: row {row} (line {line}): {what}"
        if problems is None:
            raise DatasetError(message)
        problems.append(message)

    while batch := list(islice(numbered, _BATCH_ROWS)):
        rows = []
        for row, (line, text) in batch:
            try:
                fields = _fields(text, count)
                label = label_texts.get(fields[columns[0]])
                label = _label(fields[columns[0]], class_names) if label is None else label
                usage = _usage(fields[columns[2]]) if with_usage else ""
                rows.append((row, line, fields[columns[1]].strip(), label, usage))
            except ValueError as error:
                report(row, line, str(error))
        pixels = _parse_rows([row[2] for row in rows])
        if pixels is None:  # something unusual in the batch: row by row, and exactly what is wrong
            good, found = [], []
            for row in rows:
                try:
                    found.append(_parse_row(row[2]))
                    good.append(row)
                except ValueError as error:
                    report(row[0], row[1], str(error))
            rows, pixels = good, np.array(found, np.uint8).reshape(-1, PIXELS)
        labels += [row[3] for row in rows]
        usages += [row[4] for row in rows]
        faces.append(pixels)
    if not labels:
        raise DatasetError(
            f"{path.name}: no {'good ' if problems else ''}row after the header; nothing to read"
        )
    pixels = np.concatenate(faces).reshape(-1, SIDE, SIDE)
    return np.array(labels, np.int64), pixels, np.array(usages) if with_usage else None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers from 1, without line ends."""
    number, rest = 0, b""
    for chunk in _chunks(path):
        lines = (rest + chunk).split(b"\n") if chunk is not None else [rest, b""]
        rest = lines.pop()
        for text in lines:
            number += 1
            if text and text != b"\r":
                yield number, text
        if len(rest) > _MAX_LINE:
            raise DatasetError(
                f"{path.name}: line {number + 1} is longer than {_MAX_LINE} bytes; this is no CSV of faces"
            )
        if chunk is None:
            return


def _chunks(path: Path) -> Iterator[bytes | None]:
    """The bytes of a file, unpacked where they are gzip's; None after the last."""
    number = 1  # of the line that is being read, for the message about a cut-off file
    try:
        with path.open("rb") as raw:
            before = _state(raw)
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            source = gzip.GzipFile(fileobj=raw) if packed else raw
            while chunk := source.read1(_READ_BYTES):
                number += chunk.count(b"\n") if packed else 0
                yield chunk
            if raw.tell() == 0:
                raise DatasetError(f"{path.name}: the file is empty")
            if _state(raw) != before:
                raise DatasetError(
                    f"{path.name}: changed while it was read; let its writer end, then read it again"
                )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f"{path.name}: the gzip file is cut off or damaged in line {number} ({error}); get it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    yield None


def _state(file: BinaryIO) -> tuple[int, int]:
    """What changes when somebody writes to an open file."""
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


def _read_header(path: Path, lines: Iterator[tuple[int, bytes]], with_usage: bool) -> tuple[list, int]:
    """Positions of emotion, pixels and Usage (None where not asked for), and the number of columns."""
    wanted = ["emotion", "pixels", "Usage"] if with_usage else ["emotion", "pixels"]
    _, text = next(lines, (0, None))
    if text is None:
        raise DatasetError(f"{path.name}: the file is empty")
    advice = f"the first line must name the columns {','.join(wanted)}"
    try:
        if b"\0" in text:
            raise UnicodeError
        header = text.decode("utf-8-sig")
    except UnicodeError:
        raise DatasetError(f"{path.name}: the first line is not UTF-8 text; {advice}") from None
    try:
        names = next(csv.reader([header], skipinitialspace=True), [])
    except csv.Error:  # a lone \r, or one endless field
        names = [header]
    names = [name.strip().lower() for name in names]
    for name in wanted:
        found = names.count(name.lower())
        if found != 1:
            state = "has no column" if found == 0 else "has twice the column"
            raise DatasetError(f"{path.name}: the header {_short(header)} {state} {name!r}; {advice}")
    return [names.index(name.lower()) for name in wanted] + [None] * (3 - len(wanted)), len(names)


def _fields(text: bytes, count: int) -> list[bytes]:
    """The fields of one line of CSV, without quotes; ValueError unless there are `count` of them."""
    if text.endswith(b"\r"):
        text = text[:-1]
    fields = text.split(b",")
    if b'"' in text:
        plain = [field.count(b'"') for field in fields]
        if len(fields) == count and all(
            n == 0 or (n == 2 and field[:1] == field[-1:] == b'"')
            for n, field in zip(plain, fields, strict=True)
        ):
            return [field.strip(b'"') for field in fields]
        try:
            fields = [field.encode() for field in next(csv.reader([text.decode()], strict=True), [])]
        except (UnicodeError, csv.Error) as error:
            raise ValueError(f"not a line of CSV ({error})") from None
    if len(fields) != count:
        raise ValueError(
            f"{len(fields)} field{'s' * (len(fields) != 1)} instead of {count}; the row may be cut off"
        )
    return fields


def _label(field: bytes, class_names: Sequence[str]) -> int:
    text = field.strip()
    known = f"labels are 0 to {len(class_names) - 1} ({', '.join(class_names)})"
    if not text:
        raise ValueError(f"no label; {known}")
    sign, digits = text[:1] in (b"-", b"+"), text.lstrip(b"+-")
    if not digits.isdigit() or len(text) - len(digits) > 1:
        raise ValueError(f"label {_short(text)} is not a whole number; {known}")
    digits = digits.lstrip(b"0") or b"0"
    if (sign and text[:1] == b"-" and digits != b"0") or len(digits) > 3 or int(digits) >= len(class_names):
        raise ValueError(f"label {_short(text)} is out of range; {known}")
    return int(digits)


def _usage(field: bytes) -> str:
    usage = _USAGE_TEXTS.get(field) or _USAGE_TEXTS.get(field.strip())
    if usage is None:
        raise ValueError(f"unknown Usage {_short(field)}; known are {', '.join(USAGES)}")
    return usage


def _parse_rows(texts: list[bytes]) -> np.ndarray | None:
    """Pixel fields of many rows as uint8 (n, 2304), or None where any is not in the plain form.

    The plain form: 2304 numbers of one to three digits up to 255, exactly one blank between two.
    """
    if not texts:
        return np.empty((0, PIXELS), np.uint8)
    # three characters in front, so that every number has three before its blank
    text = np.frombuffer(b"   " + b" ".join(texts) + b" ", np.uint8)
    ends = np.flatnonzero(text[3:] == _BLANK)  # the blank after each number
    row_ends = np.cumsum([len(one) + 1 for one in texts]) - 1
    if len(ends) != len(texts) * PIXELS or not np.array_equal(ends[PIXELS - 1 :: PIXELS], row_ends):
        return None
    ones, tens, hundreds = text[2:].take(ends), text[1:].take(ends), text.take(ends)
    has_tens = tens != _BLANK
    has_hundreds = has_tens & (hundreds != _BLANK)
    # Every character is a digit or one of the counted blanks; and the digits seen as ones, tens and
    # hundreds are all the digits there are, so no number is empty or has a fourth.
    digits = np.count_nonzero(text - np.uint8(_ZERO) < 10)
    seen = len(ends) + np.count_nonzero(has_tens) + np.count_nonzero(has_hundreds)
    if digits + len(ends) + 3 != len(text) or seen != digits or (ones == _BLANK).any():
        return None
    low = (ones & 15) + (tens & 15) * np.uint8(10)  # '0'..'9' are 0x30..0x39, a blank is 0x20
    hundreds = (hundreds & 15) * has_hundreds
    if ((hundreds > 2) | ((hundreds == 2) & (low > 55))).any():  # uint8 would wrap 256 to 0
        return None
    return (low + hundreds * np.uint8(100)).reshape(-1, PIXELS)


def _parse_row(text: bytes) -> list[int]:
    """One pixel field, number by number; any white space between. ValueError says what is wrong."""
    numbers = text.split()
    if len(numbers) != PIXELS:
        raise ValueError(f"{len(numbers)} pixels instead of {PIXELS} ({SIDE}×{SIDE})")
    values = []
    for place, number in enumerate(numbers, start=1):
        digits = number.lstrip(b"0") or b"0"
        if not number.isdigit() or len(digits) > 3 or int(digits) > 255:
            raise ValueError(f"pixel {place} is {_short(number)}; pixels are whole numbers from 0 to 255")
        values.append(int(digits))
    return values


def _short(text: bytes | str) -> str:
    """A value as a message may quote it: one line, at most 40 characters."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return repr(text if len(text) <= 40 else text[:37] + "…")


_TEXTS = [str(value) for value in range(256)]


def format_row(face: np.ndarray) -> str:
    """The pixel field of one face, uint8 (48, 48): `"70 80 82 …"`, 2304 numbers."""
    # bytes give plain ints; str() of a list of NumPy 2 numbers would write 'np.uint8(70)'
    return " ".join([_TEXTS[value] for value in np.ascontiguousarray(face, np.uint8).tobytes()])


def write_rows(
    path: str | os.PathLike, labels: np.ndarray, pixels: np.ndarray, usage: np.ndarray | None = None
) -> None:
    """Write FER2013's CSV; without `usage`, the two columns `emotion,pixels`. Gzipped for a name in .gz.

    The bytes are those of the contest's file: `\\n` line ends, no quotes, plain numbers. A gzip file
    holds neither time nor name, so the same rows give the same bytes. Written beside and renamed.
    """
    path = Path(path)
    try:
        with whole(path) as part, part.open("wb") as raw:
            packed = path.suffix == ".gz"
            out = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if packed else raw
            out.write(b"emotion,pixels\n" if usage is None else b"emotion,pixels,Usage\n")
            for row, label in enumerate(labels.tolist()):
                end = "" if usage is None else f",{usage[row]}"
                out.write(f"{label},{format_row(pixels[row])}{end}\n".encode())
            if packed:
                out.close()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written ({error.strerror or error})") from error
