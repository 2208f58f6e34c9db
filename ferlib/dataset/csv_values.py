"""The values of FER2013's CSV: pixels, labels and Usage, in the usual form and in those that other tools write."""

import math
import re
from collections.abc import Sequence

import numpy as np

from ferlib.common.errors import logger
from ferlib.common.labels import SEVEN, class_key
from ferlib.dataset.classes import own_classes
from ferlib.dataset.splits import PIXELS, SIDE, USAGES

EXCEL_CELL = 32_767
"""Characters that a cell of Excel can have: it cuts off what is longer."""

LIST = "pixels in brackets are read as a list"
DECIMAL = "pixels with a decimal point are read as whole numbers"

SPELLINGS = {
    **{usage.lower(): usage for usage in USAGES},
    "train": USAGES[0],
    "val": USAGES[1],
    "valid": USAGES[1],
    "validation": USAGES[1],
    "test": USAGES[2],
}
"""Values of the column Usage that are understood, in lower case."""


def parse_pixels(fields: list[str]) -> np.ndarray | None:
    """Parse many pixel fields in the usual form: 2304 numbers of one to three digits, with one space between two.

    Args:
        fields: One per row.

    Returns:
        uint8 (n, 2304), or None where any field is in another form or has a number over 255.
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


def parse_cell(text: str) -> tuple[np.ndarray, str]:
    """Parse one pixel field in any form that is accepted.

    Args:
        text: The field.

    Returns:
        (uint8 (1, 2304), how an unusual form was understood or "").

    Raises:
        ValueError: What is wrong with the field.
    """
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
    if all(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,30})?", number) for number in numbers):
        values = np.array([float(number) for number in numbers])
        whole = np.round(values)
        if values.max() <= 255 and (whole == values).all():
            dots = any("." in number for number in numbers)
            return whole.astype(np.uint8)[None], DECIMAL * dots or note
        shares = values * 255
        if values.max() <= 1 and np.abs(shares - np.round(shares)).max() < 0.02:
            return np.round(shares).astype(np.uint8)[None], "pixels from 0 to 1 are read as shares of 255"
    for place, number in enumerate(numbers, start=1):
        if not re.fullmatch("[0-9]+", number) or float(number) > 255:
            raise ValueError(f"pixel {place} is {short(number)}; pixels are whole numbers from 0 to 255")
    return np.array([[float(number) for number in numbers]], np.uint8), note  # with many zeros in front


def parse_labels(
    texts: Sequence[str], names: tuple[str, ...] | None, where: str
) -> tuple[np.ndarray, tuple[str, ...], dict[str, str]]:
    """Parse a column of labels, all numbers or all names, and log how what is unusual was understood.

    Args:
        texts: The labels as they are in the file, one per row.
        names: The class set, if anything names it; else names are their own, and numbers FER2013's seven.
        where: Name of the file, for messages.

    Returns:
        (int64 (n,), -1 where a label is bad; the class set; for each bad text without blanks around it, the reason).

    Raises:
        DatasetError: The names cannot be a class set.
    """
    unique, inverse = np.unique(np.array([text.strip() for text in texts], str), return_inverse=True)
    filled = [text for text in unique.tolist() if text]
    if filled and not any(re.match(r"[+-]?[0-9]", text) for text in filled):
        classes, of_text = _named_labels(filled, names, where)
    else:
        classes = names or SEVEN
        of_text = _numbered_labels(filled, classes, names is not None, where)
    of_text[""] = f"no label; {_known(classes)}"
    found = [of_text[text] for text in unique.tolist()]
    labels = np.array([-1 if isinstance(label, str) else label for label in found], np.int64)
    reasons = {text: label for text, label in of_text.items() if isinstance(label, str)}
    return labels[inverse] if len(unique) else np.empty(0, np.int64), classes, reasons


def _known(classes: Sequence[str]) -> str:
    return f"labels are 0 to {len(classes) - 1} ({', '.join(classes)})"


def _named_labels(
    texts: list[str], names: tuple[str, ...] | None, where: str
) -> tuple[tuple[str, ...], dict[str, int | str]]:
    of_text: dict[str, int | str] = {}
    if names is None:
        classes, place = own_classes(texts, where)
        of_text.update(place)
    else:
        classes = names
        by_key = {name.casefold(): label for label, name in enumerate(names)}
        for text in texts:
            label = by_key.get(class_key(text).casefold())
            of_text[text] = f"label {short(text)} is none of {', '.join(names)}" if label is None else label
    logger.warning("%s: its labels are names, read as the classes %s", where, ", ".join(classes))
    return classes, of_text


def _numbered_labels(
    texts: list[str], classes: tuple[str, ...], named: bool, where: str
) -> dict[str, int | str]:
    known = _known(classes)
    if texts and all(re.fullmatch(r"[0-9]{1,3}\.0+", text) for text in texts):
        logger.warning("%s: labels such as %s are read as whole numbers", where, texts[0])
        whole = {text: text.split(".")[0] for text in texts}
    else:
        whole = {text: text for text in texts}
    of_text: dict[str, int | str] = {}
    for text, number in whole.items():
        if not re.fullmatch("[+-]?[0-9]+", number):
            of_text[text] = f"label {short(text)} is not a whole number; {known}"
        elif not 0 <= float(number) <= len(classes):
            of_text[text] = f"label {short(text)} is out of range; {known}"
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
        logger.warning("%s: no label is 0: labels are read as counted from 1, %s%s", where, order, other)
        return of_text
    if len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1)):
        logger.warning(
            "%s: no label is 0; labels are read as 1 %s to %d %s. If they count from 1, name the %d classes in a "
            "classes.json beside it",
            *(where, classes[1], numbers[-1], classes[numbers[-1]], numbers[-1]),
        )
    for text, label in of_text.items():
        if label == len(classes):
            of_text[text] = f"label {short(text)} is out of range; {known}"
    return of_text


def short(text: str) -> str:
    """Shorten a value for a message.

    Args:
        text: The value.

    Returns:
        It in quotes, on one line, at most 40 characters.
    """
    return repr(text if len(text) <= 40 else text[:37] + "…")
