"""FER2013's CSV, read and written exactly: `emotion,pixels,Usage`, one face of 48×48 gray per row.

`emotion` is a label number, `pixels` are 2304 integers from 0 to 255 separated by spaces, row by row
from the top left, `Usage` is Training, PublicTest or PrivateTest. The contest's other file,
`icml_face_data.csv`, has the same columns in another order and spaces in its header.

pandas reads many rows at once, and numpy turns their digits into pixels. numpy's own text parser reads
256 as 0 and stops at a word without an error, so it is not used. A batch with anything unusual in it is
read again row by row, so that each bad row is named with its number and the reason.
"""

import csv
import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.common.errors import DatasetError, LabelError
from ferlib.common.files import whole
from ferlib.common.labels import SEVEN, parse_classes
from ferlib.dataset.splits import PIXELS, SIDE, USAGES, Dataset, leave_out

_BATCH_ROWS = 128  # fewer rows cost more calls of pandas, more rows do not fit into a core's cache
_MAX_LINE = 1 << 20  # a row of FER2013 has at most about 9,300 bytes


def read_fer2013(
    path: str | os.PathLike, class_names: Sequence[str] | None = None, skip_bad: bool = False
) -> Dataset:
    """Read a FER2013 CSV: `fer2013.csv`, `icml_face_data.csv`, or one written by `write_fer2013`.

    Also accepted: gzip (by content, not by name), columns in any order, further columns, spaces around
    header names, a byte order mark, quoted fields, Windows line ends, empty lines, no line end after
    the last row. DatasetError is raised for a bad row, with its number, unless `skip_bad` is true; and for
    a file that is missing, empty, cut off, changed while it is read, or without a header or a good row.

    Args:
        path: The CSV.
        class_names: The classes that the caller expects. By default those of a `classes.json` in the
            same folder, else FER2013's seven. A `classes.json` with other classes is refused.
        skip_bad: Leave out bad rows and log them, instead of refusing the file.

    Returns:
        The rows in the order of the file.

    Raises:
        DatasetError: The file cannot be read, or has no good row, or (without `skip_bad`) a bad one.
    """
    path = Path(path)
    names = file_classes(path, class_names)
    lines = _lines(path)
    columns = _read_header(path, lines)
    rows: list[_Rows] = []
    problems: list[str] = []
    total = 0
    while (skip_bad or not problems) and (batch := list(islice(lines, _BATCH_ROWS))):
        parsed = _parse_batch([text for _, text in batch], columns, names)
        if parsed is not None:
            rows.append(parsed)
        else:
            for row, (line, text) in enumerate(batch, start=total + 1):
                try:
                    rows.append(_parse_row(text, columns, names))
                except ValueError as error:
                    problems.append(f"{path.name}: row {row} (line {line}): {error}")
        total += len(batch)
    leave_out(problems, skip_bad)
    if not rows:
        raise DatasetError(f"{path.name}: no {'good ' * bool(problems)}row after the header; nothing to read")
    labels, pixels, usage = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Dataset(pixels.reshape(-1, SIDE, SIDE), labels, usage, names)


def write_fer2013(dataset: Dataset, path: str | os.PathLike, with_usage: bool = True) -> None:
    """Write FER2013's CSV, with the bytes of the contest's file: LF line ends, no quotes.

    The file is complete or not there. A gzip file has no time or name in it, so the same rows give the
    same bytes.

    Args:
        dataset: The faces.
        path: The file to write; gzipped for a name in .gz.
        with_usage: Write the column Usage.

    Raises:
        DatasetError: The file cannot be written.
    """
    path = Path(path)
    numbers = [str(value) for value in range(256)]
    try:
        with whole(path) as part, part.open("wb") as raw:
            out = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
            out.write(b"emotion,pixels,Usage\n" if with_usage else b"emotion,pixels\n")
            rows = zip(dataset.labels.tolist(), dataset.pixels, dataset.usage, strict=True)
            for label, face, usage in rows:
                text = " ".join([numbers[value] for value in face.tobytes()])
                out.write(f"{label},{text}{f',{usage}' * with_usage}\n".encode())
            out.close()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written ({error.strerror or error})") from error


def file_classes(path: str | os.PathLike, expected: Sequence[str] | None = None) -> tuple[str, ...]:
    """Find the names of a CSV's labels in `classes.json` in its folder.

    Args:
        path: The CSV.
        expected: The classes that the caller expects.

    Returns:
        The names in `classes.json`, `{"class_names": ["angry", …]}` or the list alone; without that
        file `expected`, else FER2013's seven.

    Raises:
        DatasetError: `classes.json` cannot be read, or has other classes than expected.
    """
    beside = Path(path).parent / "classes.json"
    where = f"{beside.name} beside {Path(path).name}"
    expected = None if expected is None else tuple(expected)
    if not beside.is_file():
        return expected or SEVEN
    try:
        content = json.loads(beside.read_text("utf-8"))
        names = parse_classes(content["class_names"] if isinstance(content, dict) else content)
    except (OSError, ValueError, KeyError, TypeError, LabelError) as error:
        raise DatasetError(f"{where}: not a list of class names ({error})") from error
    if expected is not None and names != expected:
        raise DatasetError(
            f"{where} says {', '.join(names)}, not {', '.join(expected)}; "
            "read the file as it is and map it with .with_classes()"
        )
    return names


_Rows = tuple[Sequence[int] | np.ndarray, np.ndarray, Sequence[str] | np.ndarray]  # labels, pixels, usage


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers from 1; unpacked where they are gzip's."""
    number = 1
    try:
        with path.open("rb") as raw:
            before = os.fstat(raw.fileno())
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            source = gzip.GzipFile(fileobj=raw) if packed else raw
            while line := source.readline(_MAX_LINE):
                if len(line) == _MAX_LINE:
                    raise DatasetError(
                        f"{path.name}: line {number} is longer than {_MAX_LINE} bytes; this is not a CSV of faces"
                    )
                if line.strip(b"\r\n"):
                    yield number, line
                number += 1
            after = os.fstat(raw.fileno())
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise DatasetError(
                    f"{path.name}: changed while it was read; let its writer end, then read it again"
                )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f"{path.name}: the gzip file is cut off or damaged in line {number} ({error}); get it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_header(path: Path, lines: Iterator[tuple[int, bytes]]) -> list[str]:
    """The names of the columns in lower case."""
    _, text = next(lines, (0, None))
    if text is None:
        raise DatasetError(f"{path.name}: the file is empty")
    advice = "the first line must name the columns emotion,pixels,Usage"
    header = text.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    if "\0" in header or "\ufffd" in header:
        raise DatasetError(f"{path.name}: the first line is not UTF-8 text; {advice}")
    try:
        names = next(csv.reader([header], skipinitialspace=True), [])
    except csv.Error:  # a lone \r, or one endless field
        names = [header]
    names = [name.strip().lower() for name in names]
    for name in ("emotion", "pixels", "Usage"):
        found = names.count(name.lower())
        if found != 1:
            state = "has twice the column" if found else "has no column"
            raise DatasetError(f"{path.name}: the header {_short(header)} {state} {name!r}; {advice}")
    return names


def _parse_batch(lines: list[bytes], columns: list[str], class_names: Sequence[str]) -> _Rows | None:
    """Many rows at once, or None where any of them is not in the usual form."""
    text = b"".join(lines)
    if b'"' in text or any(line.count(b",") != len(columns) - 1 for line in lines):
        return None
    try:
        table = pd.read_csv(BytesIO(text), header=None, dtype=str, na_filter=False)
    except ValueError:  # not UTF-8
        return None
    if len(table) != len(lines):  # a lone \r ends a line for pandas
        return None
    table.columns = columns
    labels = table["emotion"].map({str(k): k for k in range(len(class_names))})
    usage = table["usage"].to_numpy(str)
    pixels = _parse_pixels(table["pixels"].tolist())
    if pixels is None or labels.isna().any() or not np.isin(usage, USAGES).all():
        return None
    return labels.to_numpy(np.int64), pixels, usage


def _parse_pixels(fields: list[str]) -> np.ndarray | None:
    """Pixel fields as uint8 (n, 2304), or None where any is not in the usual form.

    The usual form: 2304 numbers of one to three digits up to 255, with one space between two.
    """
    text = f"  {' '.join(fields)} ".encode()
    if any(field.count(" ") != PIXELS - 1 for field in fields) or text.translate(None, b"0123456789 "):
        return None
    characters = np.frombuffer(text, np.uint8)
    spaces = np.flatnonzero(characters == ord(" "))[1:]
    ends, lengths = spaces[1:], np.diff(spaces) - 1  # of each number: the space after it, its digits
    if lengths.min() < 1 or lengths.max() > 3:
        return None
    digits = characters & 15  # "0" to "9" are 0x30 to 0x39; a space is 0x20 and counts as 0
    ones, tens, hundreds = (digits.take(ends - place) for place in (1, 2, 3))
    hundreds *= lengths == 3  # else it is a digit of the number before
    values = np.uint16(100) * hundreds + (tens * 10 + ones)
    return None if values.max() > 255 else values.astype(np.uint8).reshape(-1, PIXELS)


def _parse_row(line: bytes, columns: list[str], class_names: Sequence[str]) -> _Rows:
    """One row in any form that is accepted. ValueError says what is wrong."""
    try:
        fields = next(csv.reader([line.decode(errors="replace")], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"not a line of CSV ({error})") from None
    if len(fields) != len(columns):
        plural = "s" * (len(fields) != 1)
        raise ValueError(f"{len(fields)} field{plural} instead of {len(columns)}; the row may be cut off")
    row = dict(zip(columns, fields, strict=True))
    label = _parse_label(row["emotion"].strip(), class_names)
    usage = row["usage"].strip()
    if usage not in USAGES:
        raise ValueError(f"unknown Usage {_short(usage)}; known are {', '.join(USAGES)}")
    numbers = row["pixels"].split()
    if len(numbers) != PIXELS:
        raise ValueError(f"{len(numbers)} pixels instead of {PIXELS} ({SIDE}×{SIDE})")
    pixels = _parse_pixels([" ".join(numbers)])
    if pixels is None:
        for place, number in enumerate(numbers, start=1):
            if not re.fullmatch("[0-9]+", number) or float(number) > 255:
                raise ValueError(f"pixel {place} is {_short(number)}; pixels are whole numbers from 0 to 255")
        pixels = np.array([[float(number) for number in numbers]], np.uint8)  # with zeros in front
    return [label], pixels, [usage]


def _parse_label(text: str, class_names: Sequence[str]) -> int:
    known = f"labels are 0 to {len(class_names) - 1} ({', '.join(class_names)})"
    if not text:
        raise ValueError(f"no label; {known}")
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise ValueError(f"label {_short(text)} is not a whole number; {known}")
    if not 0 <= float(text) < len(class_names):
        raise ValueError(f"label {_short(text)} is out of range; {known}")
    return int(float(text))


def _short(text: str) -> str:
    """A value as a message may quote it: one line, at most 40 characters."""
    return repr(text if len(text) <= 40 else text[:37] + "…")
