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
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.common.errors import DatasetError, LabelError, logger
from ferlib.common.files import whole
from ferlib.common.labels import parse_classes
from ferlib.dataset.csv_source import read_lines
from ferlib.dataset.csv_values import parse_column, parse_labels, short
from ferlib.dataset.splits import SIDE, SPELLINGS, USAGES, Dataset, leave_out

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
    return read_rows(Path(path), class_names, skip_bad)[0]


def read_rows(
    path: Path, class_names: Sequence[str] | None = None, skip_bad: bool = False
) -> tuple[Dataset, bool]:
    """Read a CSV as `read_fer2013` does, and say whether it has parts.

    Args:
        path: The CSV.
        class_names: As for `read_fer2013`.
        skip_bad: As for `read_fer2013`.

    Returns:
        (the rows in the order of the file; whether there is a column Usage).

    Raises:
        DatasetError: As for `read_fer2013`.
    """
    lines = read_lines(path)
    rows = _Rows(path.name, *_read_header(path, lines))
    while (skip_bad or not rows.problems) and (batch := list(islice(lines, _BATCH_ROWS))):
        rows.add(batch)
    labels, names = parse_labels(rows.labels, classes_beside(path, class_names), path.name)
    places = zip(rows.places, labels, strict=True)
    rows.problems += [(*place, reason) for place, reason in places if isinstance(reason, str)]
    rows.log()
    leave_out(rows.report(), skip_bad)
    good = np.array([isinstance(label, int) for label in labels], bool)
    if not good.any():
        raise DatasetError(
            f"{path.name}: no {'good ' * bool(rows.problems)}row after the header; nothing to read"
        )
    pixels = np.concatenate(rows.pixels)[good].reshape(-1, SIDE, SIDE)
    known = np.array([label for label in labels if isinstance(label, int)], np.int64)
    has_usage = "usage" in rows.columns
    usage = [SPELLINGS[text.strip().lower()] for text in rows.usage] if has_usage else [_usage_of(path)]
    return Dataset(pixels, known, np.resize(usage, len(good))[good], names), has_usage


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


def classes_beside(path: Path, expected: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """Find the names of a data set's labels in a `classes.json`: `{"class_names": ["angry", …]}` or the list alone.

    Args:
        path: The CSV, or another path in the folder of the `classes.json`.
        expected: The classes that the caller expects.

    Returns:
        The names; without that file `expected`.

    Raises:
        DatasetError: `classes.json` cannot be read, or has other classes than expected.
    """
    beside = path.parent / "classes.json"
    where = f"{beside.name} beside {path.name}"
    if not beside.is_file():
        return None if expected is None else tuple(expected)
    try:
        content = json.loads(beside.read_text("utf-8-sig"))
        names = parse_classes(content["class_names"] if isinstance(content, dict) else content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, LabelError) as error:
        raise DatasetError(f"{where}: not a list of class names ({error})") from error
    if expected is not None and names != tuple(expected):
        raise DatasetError(
            f"{where} says {', '.join(names)}, not {', '.join(expected)}; "
            "read the file as it is and map it with .with_classes()"
        )
    return names


class _Rows:
    """The rows of a CSV that were read, what was understood in another than the usual form, and what is wrong."""

    def __init__(self, name: str, columns: list[str], separator: str) -> None:
        self.name, self.columns, self.separator = name, columns, separator
        self.pixels: list[np.ndarray] = []
        self.usage: list[str] = []
        self.labels: list[str] = []
        self.places: list[tuple[int, int]] = []  # row and line of each
        self.notes: Counter[str] = Counter()
        self.problems: list[tuple[int, int, str]] = []  # row, line, reason
        self.total = 0

    def add(self, batch: list[tuple[int, bytes]]) -> None:
        """Parse some lines."""
        good: list[tuple[tuple[int, int], dict[str, str]]] = []
        for (line, _), fields in zip(batch, self._split([text for _, text in batch]), strict=True):
            self.total += 1
            row = {} if isinstance(fields, str) else dict(zip(self.columns, fields, strict=True))
            usage = row.get("usage", USAGES[0]).strip()
            if isinstance(fields, str):
                self.problems.append((self.total, line, fields))
            elif usage.lower() not in SPELLINGS:
                reason = f"unknown Usage {short(usage)}; known are {', '.join(USAGES)}"
                self.problems.append((self.total, line, reason))
            else:
                good.append(((self.total, line), row))
        pixels, reasons = parse_column([row["pixels"] for _, row in good], self.notes)
        self.pixels.append(pixels)
        for (place, row), reason in zip(good, reasons, strict=True):
            if reason:
                self.problems.append((*place, reason))
                continue
            self.places.append(place)
            self.labels.append(row["emotion"])
            self.usage.append(row.get("usage", ""))

    def _split(self, lines: list[bytes]) -> Sequence[list[str] | str]:
        """The fields of each line, or what is wrong with it."""
        mark = self.separator.encode()
        if not any(b'"' in line or line.count(mark) != len(self.columns) - 1 for line in lines):
            options = {"header": None, "dtype": str, "na_filter": False, "quoting": csv.QUOTE_NONE}
            try:
                table = pd.read_csv(BytesIO(b"".join(lines)), sep=self.separator, **options)
            except ValueError:  # not UTF-8
                table = None
            if table is not None and len(table) == len(lines):  # else a lone \r ended a line for pandas
                return table.to_numpy().tolist()
        return [self._split_line(line.decode(errors="replace")) for line in lines]

    def _split_line(self, line: str) -> list[str] | str:
        try:
            fields = next(csv.reader([line], strict=True, delimiter=self.separator), [])
        except csv.Error as error:
            return f"not a line of CSV ({error})"
        if len(fields) != len(self.columns):
            plural = "s" * (len(fields) != 1)
            return f"{len(fields)} field{plural} instead of {len(self.columns)}; the row may be cut off"
        return fields

    def log(self) -> None:
        """One line per kind of value that was not in the usual form."""
        for text, count in Counter(map(str.strip, self.usage)).items():
            if text and text not in USAGES:
                self.notes[f"Usage {short(text)} is read as {SPELLINGS[text.lower()]}"] += count
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


def _read_header(path: Path, lines: Iterator[tuple[int, bytes]]) -> tuple[list[str], str]:
    """The names of the columns in lower case, and what is between them."""
    advice = "the first line must name the columns emotion,pixels,Usage"
    header = _header_text(path, lines, advice)
    separators = [",", ";", "\t"]
    named = re.fullmatch(r"sep=(.)", header.strip(" "), re.IGNORECASE)
    if named:  # Excel's own line
        header, separators = _header_text(path, lines, advice), [named.group(1)]
        if separators[0] not in ",;\t|":
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
    if named or separator != ",":
        logger.warning("%s: columns separated by %r", path.name, separator)
    if "usage" not in names:
        logger.warning("%s: no column Usage; all rows are %s", path.name, _usage_of(path))
    return names, separator


def _header_text(path: Path, lines: Iterator[tuple[int, bytes]], advice: str) -> str:
    for _, text in lines:
        header = text.decode("utf-8-sig", errors="replace").rstrip("\r\n")
        if "\0" in header or "\ufffd" in header:
            raise DatasetError(f"{path.name}: the first line is not UTF-8 text; {advice}")
        return header
    raise DatasetError(f"{path.name}: the file is empty")


def _column_names(header: str, separator: str) -> list[str]:
    try:
        names = next(csv.reader([header], skipinitialspace=True, delimiter=separator), [])
    except csv.Error:  # a lone \r, or one endless field
        names = [header]
    return [name.strip().lower() for name in names]
