"""The values of FER2013's CSV: pixels, labels and Usage, in the usual form and in those that other tools write."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ferlib.common.errors import logger
from ferlib.common.labels import SEVEN, class_key
from ferlib.dataset.classes import own_classes
from ferlib.dataset.splits import PIXELS, SIDE

EXCEL_CELL = 32_767
"""Characters that a cell of Excel can have: it cuts off what is longer."""

LIST = "pixels in brackets are read as a list"
DECIMAL = "pixels with a decimal point are read as whole numbers"


def parse_pixels(fields: list[str]) -> np.ndarray | None:
    """Parse many pixel fields in the usual form: 2304 numbers of one to three digits, with one space between two.

    Args:
        fields: One per row.

    Returns:
        uint8 (n, 2304), or None where any field is in another form or has a number over 255.
    """
    text = f"  {' '.join(fields)} ".encode()
    if (
        not fields
        or any(field.count(" ") != PIXELS - 1 for field in fields)
        or text.translate(None, b"0123456789 ")
    ):
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


def parse_column(fields: list[str], notes: Counter[str]) -> tuple[np.ndarray, list[str]]:
    """Parse many pixel fields in any form that is accepted.

    Args:
        fields: One per row.
        notes: Counts how unusual forms were understood.

    Returns:
        (the pixels of the good fields, uint8 (m, 2304); for each field what is wrong with it, or "").
    """
    forms = [_usual_form(field) for field in fields]
    pixels = parse_pixels([text for text, _ in forms])
    if pixels is not None:
        notes.update(note for _, note in forms if note)
        return pixels, [""] * len(fields)
    good, reasons = [np.empty((0, PIXELS), np.uint8)], []
    for field in fields:
        try:
            pixels, note = _parse_cell(field)
        except ValueError as error:
            reasons.append(str(error))
        else:
            notes.update([note] * bool(note))
            good.append(pixels)
            reasons.append("")
    return np.concatenate(good), reasons


def _usual_form(field: str) -> tuple[str, str]:
    """A list or numbers such as 7.0 as numbers with one space between two, and the note on that."""
    if field[:1] == "[" and field[-1:] == "]":
        return " ".join(field[1:-1].replace(",", " ").split()), LIST
    return (re.sub(r"\.0+(?= |$)", "", field), DECIMAL) if "." in field else (field, "")


def _parse_cell(text: str) -> tuple[np.ndarray, str]:
    """One pixel field, uint8 (1, 2304), and the note on an unusual form or ""; ValueError says what is wrong."""
    inner, note = text.strip(), ""
    if inner.startswith("[") and inner.endswith("]"):
        inner, note = inner[1:-1].replace(",", " "), LIST
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
    pixels = parse_pixels([" ".join(numbers)])
    if pixels is not None:
        return pixels, note
    if all(re.fullmatch(r"[0-9]+(\.[0-9]{0,30})?", number) for number in numbers):
        values = np.array([float(number) for number in numbers])
        if values.max() <= 255 and (values == np.round(values)).all():
            return values.astype(np.uint8)[None], DECIMAL if "." in inner else note
        shares = values * 255
        if values.max() <= 1 and np.abs(shares - np.round(shares)).max() < 0.02:
            return np.round(shares).astype(np.uint8)[None], "pixels from 0 to 1 are read as shares of 255"
    place, number = next(
        (place, number)
        for place, number in enumerate(numbers, start=1)
        if not re.fullmatch("[0-9]+", number) or float(number) > 255
    )
    raise ValueError(f"pixel {place} is {short(number)}; pixels are whole numbers from 0 to 255")


def parse_labels(
    texts: Sequence[str], names: tuple[str, ...] | None, where: str
) -> tuple[list[int | str], tuple[str, ...]]:
    """Parse a column of labels, all numbers or all names, and log how what is unusual was understood.

    Args:
        texts: The labels as they are in the file, one per row.
        names: The class set, if anything names it; else names are their own, and numbers FER2013's seven.
        where: Name of the file, for messages.

    Returns:
        (for each row the label, or what is wrong with it; the class set).

    Raises:
        DatasetError: The names cannot be a class set.
    """
    unique = sorted({text.strip() for text in texts} - {""})
    if unique and not any(re.match(r"[+-]?[0-9]", text) for text in unique):
        classes, of_text = _named_labels(unique, names, where)
    else:
        classes = names or SEVEN
        of_text = _numbered_labels(unique, classes, names is not None, where)
    of_text[""] = f"no label; {_known(classes)}"
    return [of_text[text.strip()] for text in texts], classes


def _known(classes: Sequence[str]) -> str:
    return f"labels are 0 to {len(classes) - 1} ({', '.join(classes)})"


def _named_labels(
    texts: list[str], names: tuple[str, ...] | None, where: str
) -> tuple[tuple[str, ...], dict[str, int | str]]:
    of_text: dict[str, int | str] = {}
    if names is None:
        names, place = own_classes(texts, where)
        of_text.update(place)
    else:
        by_key = {name.casefold(): label for label, name in enumerate(names)}
        for text in texts:
            unknown = f"label {short(text)} is none of {', '.join(names)}"
            of_text[text] = by_key.get(class_key(text).casefold(), unknown)
    logger.warning("%s: its labels are names, read as the classes %s", where, ", ".join(names))
    return names, of_text


def _numbered_labels(
    texts: list[str], classes: tuple[str, ...], named: bool, where: str
) -> dict[str, int | str]:
    end = len(classes)
    decimal = bool(texts) and all(re.fullmatch(r"[0-9]{1,3}\.0+", text) for text in texts)
    if decimal:
        logger.warning("%s: labels such as %s are read as whole numbers", where, texts[0])
    of_text: dict[str, int | str] = {}
    for text in texts:
        number = text.split(".")[0] if decimal else text
        whole = re.fullmatch("[+-]?[0-9]+", number)
        wrong = (
            f"label {short(text)} is {'out of range' if whole else 'not a whole number'}; {_known(classes)}"
        )
        of_text[text] = int(float(number)) if whole and 0 <= float(number) <= end else wrong
    numbers = sorted({label for label in of_text.values() if isinstance(label, int)})
    if numbers[:1] == [1] and numbers[-1] == end:
        order = f"1 {classes[0]} to {end} {classes[-1]}"
        other = "; for another order (RAF-DB's, say) name the classes in a classes.json beside it"
        logger.warning(
            "%s: no label is 0: labels are read as counted from 1, %s%s", where, order, "" if named else other
        )
        return {text: label - 1 if isinstance(label, int) else label for text, label in of_text.items()}
    if len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1)):
        logger.warning(
            "%s: no label is 0; labels are read as 1 %s to %d %s. If they count from 1, name the %d classes in a "
            "classes.json beside it",
            *(where, classes[1], numbers[-1], classes[numbers[-1]], numbers[-1]),
        )
    for text, label in of_text.items():
        if label == end:
            of_text[text] = f"label {short(text)} is out of range; {_known(classes)}"
    return of_text


def short(text: str) -> str:
    """Shorten a value for a message.

    Args:
        text: The value.

    Returns:
        It in quotes, on one line, at most 40 characters.
    """
    return repr(text if len(text) <= 40 else text[:37] + "…")
