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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.common.errors import DatasetError, LabelError, logger
from ferlib.common.files import whole
from ferlib.common.labels import SEVEN, parse_classes
from ferlib.dataset.csv_source import read_lines
from ferlib.dataset.csv_values import DECIMAL, LIST, SPELLINGS, parse_cell, parse_labels, parse_pixels, short
from ferlib.dataset.splits import SIDE, USAGES, Dataset, leave_out

_BATCH_ROWS = 128  # fewer rows cost more calls of pandas, more rows do not fit into a core's cache


def read_fer2013(
    path: str | os.PathLike, class_names: Sequence[str] | None = None, skip_bad: bool = False
) -> Dataset:
    """Read a FER2013 CSV: `fer2013.csv`, `icml_face_data.csv`, `train.csv`, or one written by `write_fer2013`.

    Also accepted: gzip, zip and tar archives (by content, not by name), UTF-16, columns in any order, further columns,
    semicolons or tabs between columns, Excel's line `sep=;`, spaces around header names, a byte order mark, quoted
    fields, Windows line ends, empty lines, no line end after the last row. Labels may be names, or count from 1 where
    the number of classes shows it; pixels may be lists or whole numbers with a decimal point, or shares of 255. One
    logged line per kind says how such values were understood. Without a column Usage, the file's name gives it:
    val.csv is PublicTest, test.csv PrivateTest, all others are Training.

    DatasetError is raised for a bad row, with its number, unless `skip_bad` is true; and for a file that is missing,
    empty, cut off, changed while it is read, or without a header or a good row.

    Args:
        path: The CSV.
        class_names: The classes that the caller expects. By default those of a `classes.json` in the same folder, else
            the names that the labels have, else FER2013's seven. A `classes.json` with other classes is refused.
        skip_bad: Leave out bad rows and log them, instead of refusing the file.

    Returns:
        The rows in the order of the file.

    Raises:
        DatasetError: The file cannot be read, or has no good row, or (without `skip_bad`) a bad one.
    """
    return _read(Path(path), class_names, skip_bad, quiet=False)


def _read(path: Path, class_names: Sequence[str] | None, skip_bad: bool, quiet: bool) -> Dataset:
    lines = read_lines(path, quiet)
    form = _read_header(path, lines, quiet)
    rows = _Rows(form, path.name)
    while (skip_bad or not rows.problems) and (batch := list(islice(lines, _BATCH_ROWS))):
        rows.add(batch)
    names = _classes_beside(path, class_names)
    labels, names, reasons = parse_labels(rows.labels, names, path.name)
    rows.problems += [
        (*place, reasons[text.strip()])
        for place, text, label in zip(rows.places, rows.labels, labels, strict=True)
        if label < 0
    ]
    rows.log()
    leave_out(rows.report(), skip_bad)
    good = labels >= 0
    if not good.any():
        raise DatasetError(
            f"{path.name}: no {'good ' * bool(rows.problems)}row after the header; nothing to read"
        )
    pixels, usage = (np.concatenate(column)[good] for column in (rows.pixels, rows.usage))
    return Dataset(pixels.reshape(-1, SIDE, SIDE), labels[good], usage, names)


def has_usage(path: str | os.PathLike) -> bool:
    """Check whether a CSV has the column Usage.

    Args:
        path: The CSV, as for `read_fer2013`.

    Returns:
        Whether it is in the header.

    Raises:
        DatasetError: The file cannot be read, or its header lacks another column.
    """
    return "usage" in _read_header(Path(path), read_lines(Path(path), quiet=True), quiet=True).columns


def read_split(path: str | os.PathLike) -> Dataset:
    """Read a CSV without `Usage`: train.csv, val.csv or test.csv.

    Args:
        path: The CSV. Its name gives the usage of all rows; any other name means Training.

    Returns:
        The rows in the order of the file.
    """
    return _read(Path(path), None, False, quiet=True).with_usage(_usage_of(Path(path)))


def _usage_of(path: Path) -> str:
    return {"val": USAGES[1], "test": USAGES[2]}.get(path.name.split(".")[0].lower(), USAGES[0])


def write_fer2013(dataset: Dataset, path: str | os.PathLike, with_usage: bool = True) -> None:
    """Write FER2013's CSV, with the bytes of the contest's file: LF line ends, no quotes.

    The file is complete or not there. A gzip file has no time or name in it, so the same rows give the
    same bytes.

    Args:
        dataset: The faces.
        path: The file to write; gzipped for a name in .gz.
        with_usage: Write the column Usage.

    Raises:
        BadInputError: The file cannot be written.
    """
    path = Path(path)
    numbers = [str(value) for value in range(256)]
    with whole(path) as part, part.open("wb") as raw:
        out = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        out.write(b"emotion,pixels,Usage\n" if with_usage else b"emotion,pixels\n")
        rows = zip(dataset.labels.tolist(), dataset.pixels, dataset.usage, strict=True)
        for label, face, usage in rows:
            text = " ".join([numbers[value] for value in face.tobytes()])
            out.write(f"{label},{text}{f',{usage}' * with_usage}\n".encode())
        out.close()


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
    return _classes_beside(Path(path), expected) or SEVEN


def _classes_beside(path: Path, expected: Sequence[str] | None) -> tuple[str, ...] | None:
    """As `file_classes`; None where nothing names the classes."""
    beside = path.parent / "classes.json"
    where = f"{beside.name} beside {path.name}"
    expected = None if expected is None else tuple(expected)
    if not beside.is_file():
        return expected
    try:
        content = json.loads(beside.read_text("utf-8-sig"))
        names = parse_classes(content["class_names"] if isinstance(content, dict) else content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, LabelError) as error:
        raise DatasetError(f"{where}: not a list of class names ({error})") from error
    if expected is not None and names != expected:
        raise DatasetError(
            f"{where} says {', '.join(names)}, not {', '.join(expected)}; "
            "read the file as it is and map it with .with_classes()"
        )
    return names


@dataclass(frozen=True)
class _Form:
    """What the header of a CSV says."""

    columns: list[str]
    separator: str
    usage: str  # of all rows, where there is no such column


class _Rows:
    """The rows of a CSV that were read, what was understood in another than the usual form, and what is wrong."""

    def __init__(self, form: _Form, name: str) -> None:
        self.form, self.name = form, name
        self.pixels: list[np.ndarray] = []
        self.usage: list[np.ndarray] = []
        self.labels: list[str] = []
        self.places: list[tuple[int, int]] = []  # row and line of each
        self.notes: Counter[str] = Counter()
        self.problems: list[tuple[int, int, str]] = []  # row, line, reason
        self.total = 0

    def add(self, batch: list[tuple[int, bytes]]) -> None:
        """Parse some lines."""
        places = [(row, line) for row, (line, _) in enumerate(batch, start=self.total + 1)]
        self.total += len(batch)
        if self._add_batch([text for _, text in batch]):
            self.places += places
            return
        for place, (_, text) in zip(places, batch, strict=True):
            try:
                self._add_row(text)
            except ValueError as error:
                self.problems.append((*place, str(error)))
            else:
                self.places.append(place)

    def _add_batch(self, lines: list[bytes]) -> bool:
        """Many rows at once; False where any of them is not in the usual form."""
        separator, columns = self.form.separator, self.form.columns
        text = b"".join(lines)
        if b'"' in text:
            mark = separator.encode()
            for line in lines:  # quotes around fields only
                padded = mark + line.rstrip(b"\r\n") + mark
                if b'"' in padded.replace(mark + b'"', mark).replace(b'"' + mark, mark):
                    return False
        elif any(line.count(separator.encode()) != len(columns) - 1 for line in lines):
            return False
        try:
            table = pd.read_csv(BytesIO(text), header=None, dtype=str, na_filter=False, sep=separator)
        except ValueError:  # not UTF-8, or an open quote
            return False
        # a lone \r ends a line for pandas, and what a short line lacks is not a number
        if table.shape != (len(lines), len(columns)) or table.isna().to_numpy().any():
            return False
        table.columns = self.form.columns
        usage = np.full(len(table), self.form.usage)
        if "usage" in table:
            found = table["usage"].str.strip().str.lower().map(SPELLINGS)
            if found.isna().any():
                return False
            usage = found.to_numpy(str)
        fields, note = table["pixels"].tolist(), ""
        if all(field[:1] == "[" and field[-1:] == "]" for field in fields):
            fields, note = [" ".join(field[1:-1].replace(",", " ").split()) for field in fields], LIST
        elif all("." in field for field in fields):
            fields, note = [re.sub(r"\.0+(?![0-9])", "", field) for field in fields], DECIMAL
        pixels = parse_pixels(fields)
        if pixels is None:
            return False
        if note:
            self.notes[note] += len(fields)
        if "usage" in table:
            self._note_usage(table["usage"][table["usage"].to_numpy(str) != usage])
        self.pixels.append(pixels)
        self.usage.append(usage)
        self.labels += table["emotion"].tolist()
        return True

    def _add_row(self, line: bytes) -> None:
        """One row in any form that is accepted. ValueError says what is wrong."""
        columns = self.form.columns
        try:
            text = line.decode(errors="replace")
            fields = next(csv.reader([text], strict=True, delimiter=self.form.separator), [])
        except csv.Error as error:
            raise ValueError(f"not a line of CSV ({error})") from None
        if len(fields) != len(columns):
            plural = "s" * (len(fields) != 1)
            raise ValueError(f"{len(fields)} field{plural} instead of {len(columns)}; the row may be cut off")
        row = dict(zip(columns, fields, strict=True))
        usage = row.get("usage", self.form.usage)
        meant = SPELLINGS.get(usage.strip().lower())
        if meant is None:
            raise ValueError(f"unknown Usage {short(usage.strip())}; known are {', '.join(USAGES)}")
        pixels, note = parse_cell(row["pixels"])
        if note:
            self.notes[note] += 1
        if usage != meant:
            self._note_usage([usage])
        self.pixels.append(pixels)
        self.usage.append(np.array([meant]))
        self.labels.append(row["emotion"])

    def _note_usage(self, values: Iterable[str]) -> None:
        for value in values:
            if value.strip() not in USAGES:
                self.notes[f"Usage {short(value.strip())} is read as {SPELLINGS[value.strip().lower()]}"] += 1

    def log(self) -> None:
        """One line per kind of value that was not in the usual form."""
        for note, count in self.notes.items():
            logger.warning("%s: %s row%s: %s", self.name, f"{count:,}", "s" * (count != 1), note)

    def report(self) -> list[str]:
        """One line per kind of problem."""
        kinds: dict[str, list[tuple[int, int]]] = {}
        for row, line, reason in sorted(self.problems):
            kinds.setdefault(reason, []).append((row, line))
        return [
            f"{self.name}: row {places[0][0]} (line {places[0][1]})"
            + (f" and {len(places) - 1:,} more rows" if len(places) > 1 else "")
            + f": {reason}"
            for reason, places in kinds.items()
        ]


def _read_header(path: Path, lines: Iterator[tuple[int, bytes]], quiet: bool = False) -> _Form:
    """The names of the columns in lower case, and what is between them."""
    advice = "the first line must name the columns emotion,pixels,Usage"
    header = _header_text(path, next(lines, (0, None))[1], advice)
    named = re.fullmatch(r"sep=(.)", header.strip(" "), re.IGNORECASE)
    if named:  # Excel's own line
        header = _header_text(path, next(lines, (0, None))[1], advice)
    separators = [named.group(1)] if named else [",", ";", "\t"]
    if not set(separators) <= {",", ";", "\t", "|"}:
        raise DatasetError(
            f"{path.name}: the first line names the separator {separators[0]!r}; save it with commas"
        )
    found = [(_column_names(header, separator), separator) for separator in separators]
    names, separator = next((pair for pair in found if {"emotion", "pixels"} <= set(pair[0])), found[0])
    for name in ("emotion", "pixels", "Usage"):
        count = names.count(name.lower())
        if count > 1 or (count == 0 and name != "Usage"):
            state = "has twice the column" if count else "has no column"
            hint = "; Kaggle's test.csv has no labels" * (names == ["pixels"])
            raise DatasetError(f"{path.name}: the header {short(header)} {state} {name!r}; {advice}{hint}")
    usage = _usage_of(path)
    if not quiet and (named or separator != ","):
        logger.warning("%s: columns separated by %r", path.name, separator)
    if not quiet and "usage" not in names:
        logger.warning("%s: no column Usage; all rows are %s", path.name, usage)
    return _Form(names, separator, usage)


def _header_text(path: Path, text: bytes | None, advice: str) -> str:
    if text is None:
        raise DatasetError(f"{path.name}: the file is empty")
    header = text.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    if "\0" in header or "\ufffd" in header:
        raise DatasetError(f"{path.name}: the first line is not UTF-8 text; {advice}")
    return header


def _column_names(header: str, separator: str) -> list[str]:
    try:
        names = next(csv.reader([header], skipinitialspace=True, delimiter=separator), [])
    except csv.Error:  # a lone \r, or one endless field
        names = [header]
    return [name.strip().lower() for name in names]
