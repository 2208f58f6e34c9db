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
import math
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
from ferlib.common.labels import SEVEN, class_key, parse_classes
from ferlib.dataset.classes import own_classes
from ferlib.dataset.csv_source import read_lines
from ferlib.dataset.splits import PIXELS, SIDE, USAGES, Dataset, leave_out

_BATCH_ROWS = 128  # fewer rows cost more calls of pandas, more rows do not fit into a core's cache

EXCEL_CELL = 32_767
"""Characters that a cell of Excel can have: it cuts off what is longer."""


SPELLINGS = {
    **{usage.lower(): usage for usage in USAGES},
    "train": USAGES[0],
    "val": USAGES[1],
    "valid": USAGES[1],
    "validation": USAGES[1],
    "test": USAGES[2],
}
"""Values of the column Usage that are understood, in lower case."""


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
    """
    return _read(Path(path), class_names, skip_bad, quiet=False)


def _read(path: Path, class_names: Sequence[str] | None, skip_bad: bool, quiet: bool) -> Dataset:
    lines = read_lines(path, quiet)
    form = _read_header(path, lines, quiet)
    rows = _Rows(form, path.name)
    while (skip_bad or not rows.problems) and (batch := list(islice(lines, _BATCH_ROWS))):
        rows.add(batch)
    names = _classes_beside(path, class_names)
    labels, names = _parse_labels(rows, names)
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
        text, separator = b"".join(lines), self.form.separator
        if b'"' in text or any(
            line.count(separator.encode()) != len(self.form.columns) - 1 for line in lines
        ):
            return False
        try:
            table = pd.read_csv(BytesIO(text), header=None, dtype=str, na_filter=False, sep=separator)
        except ValueError:  # not UTF-8
            return False
        if len(table) != len(lines):  # a lone \r ends a line for pandas
            return False
        table.columns = self.form.columns
        usage = np.full(len(table), self.form.usage)
        if "usage" in table:
            found = table["usage"].str.strip().str.lower().map(SPELLINGS)
            if found.isna().any():
                return False
            usage = found.to_numpy(str)
        pixels = _parse_pixels(table["pixels"].tolist())
        if pixels is None:
            return False
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
            raise ValueError(f"unknown Usage {_short(usage.strip())}; known are {', '.join(USAGES)}")
        pixels, note = _parse_cell(row["pixels"])
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
                self.notes[
                    f"Usage {_short(value.strip())} is read as {SPELLINGS[value.strip().lower()]}"
                ] += 1

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
            raise DatasetError(f"{path.name}: the header {_short(header)} {state} {name!r}; {advice}{hint}")
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


def _parse_cell(text: str) -> tuple[np.ndarray, str]:
    """The pixels of one row in any form that is accepted, (1, 2304), and a note on the form. ValueError: the reason."""
    inner, note = text.strip(), ""
    if inner.startswith("[") and inner.endswith("]"):
        inner, note = inner[1:-1].replace(",", " "), "pixels in brackets are read as a list"
    numbers = inner.split()
    if len(numbers) != PIXELS:
        side = math.isqrt(len(numbers))
        size = f" (pictures of {side}×{side})" if side > 9 and side * side == len(numbers) else ""
        why = f"{len(numbers)} pixels instead of {PIXELS} ({SIDE}×{SIDE}){size}"
        if len(text) == EXCEL_CELL or len(text.strip()) in (EXCEL_CELL - 1, EXCEL_CELL):
            why += (
                f": the cell has {EXCEL_CELL:,} characters, Excel's limit: Excel cut it off; get the original"
            )
        raise ValueError(why)
    pixels = _parse_pixels([" ".join(numbers)])
    if pixels is not None:
        return pixels, note
    if all(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,30})?", number) for number in numbers):
        values = np.array([float(number) for number in numbers])
        whole = np.round(values)
        if values.max() <= 255 and (whole == values).all():
            dots = any("." in number for number in numbers)
            return whole.astype(np.uint8)[
                None
            ], "pixels with a decimal point are read as whole numbers" * dots or note
        shares = values * 255
        if values.max() <= 1 and np.abs(shares - np.round(shares)).max() < 0.02:
            return np.round(shares).astype(np.uint8)[None], "pixels from 0 to 1 are read as shares of 255"
    for place, number in enumerate(numbers, start=1):
        if not re.fullmatch("[0-9]+", number) or float(number) > 255:
            raise ValueError(f"pixel {place} is {_short(number)}; pixels are whole numbers from 0 to 255")
    return np.array([[float(number) for number in numbers]], np.uint8), note  # with many zeros in front


def _parse_labels(rows: _Rows, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The label of each row, -1 where it is bad, and the class set; what is wrong is added to the rows' problems."""
    texts, inverse = np.unique(np.array([text.strip() for text in rows.labels], str), return_inverse=True)
    filled = [text for text in texts.tolist() if text]
    of_text: dict[str, int | str] = {}
    if filled and not any(re.match(r"[+-]?[0-9]", text) for text in filled):
        classes, of_text = _named_labels(filled, names, rows)
    else:
        classes = names or SEVEN
        of_text = _numbered_labels(filled, classes, names is not None, rows)
    known = f"labels are 0 to {len(classes) - 1} ({', '.join(classes)})"
    found = [of_text.get(text, f"no label; {known}") for text in texts.tolist()]
    for number in np.flatnonzero([isinstance(label, str) for label in found]):
        rows.problems += [
            (*rows.places[row], str(found[number])) for row in np.flatnonzero(inverse == number)
        ]
    labels = np.array([-1 if isinstance(label, str) else label for label in found], np.int64)
    return labels[inverse] if len(texts) else np.empty(0, np.int64), classes


def _named_labels(
    texts: list[str], names: tuple[str, ...] | None, rows: _Rows
) -> tuple[tuple[str, ...], dict[str, int | str]]:
    of_text: dict[str, int | str] = {}
    if names is None:
        classes, place = own_classes(texts, rows.name)
        of_text.update(place)
    else:
        classes = names
        by_key = {name.casefold(): label for label, name in enumerate(names)}
        for text in texts:
            label = by_key.get(class_key(text).casefold())
            of_text[text] = f"label {_short(text)} is none of {', '.join(names)}" if label is None else label
    logger.warning("%s: its labels are names, read as the classes %s", rows.name, ", ".join(classes))
    return classes, of_text


def _numbered_labels(
    texts: list[str], classes: tuple[str, ...], named: bool, rows: _Rows
) -> dict[str, int | str]:
    known = f"labels are 0 to {len(classes) - 1} ({', '.join(classes)})"
    if texts and all(re.fullmatch(r"[0-9]{1,3}\.0+", text) for text in texts):
        logger.warning("%s: labels such as %s are read as whole numbers", rows.name, texts[0])
        whole = {text: text.split(".")[0] for text in texts}
    else:
        whole = {text: text for text in texts}
    of_text: dict[str, int | str] = {}
    for text, number in whole.items():
        if not re.fullmatch("[+-]?[0-9]+", number):
            of_text[text] = f"label {_short(text)} is not a whole number; {known}"
        elif not 0 <= float(number) <= len(classes):
            of_text[text] = f"label {_short(text)} is out of range; {known}"
        else:
            of_text[text] = int(float(number))
    numbers = sorted({label for label in of_text.values() if isinstance(label, int)})
    if numbers and numbers[0] == 1 and numbers[-1] == len(classes):
        of_text = {text: label - 1 if isinstance(label, int) else label for text, label in of_text.items()}
        order = f"1 {classes[0]} to {len(classes)} {classes[-1]}"
        other = (
            ""
            if named
            else "; for another order (RAF-DB's, say) name the classes in a classes.json beside it"
        )
        logger.warning("%s: no label is 0: labels are read as counted from 1, %s%s", rows.name, order, other)
        return of_text
    if len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1)):
        logger.warning(
            "%s: no label is 0; labels are read as 1 %s to %d %s. If they count from 1, name the %d classes in a "
            "classes.json beside it",
            *(rows.name, classes[1], numbers[-1], classes[numbers[-1]], numbers[-1]),
        )
    for text, label in of_text.items():
        if label == len(classes):
            of_text[text] = f"label {_short(text)} is out of range; {known}"
    return of_text


def _short(text: str) -> str:
    """A value as a message may quote it: one line, at most 40 characters."""
    return repr(text if len(text) <= 40 else text[:37] + "…")
