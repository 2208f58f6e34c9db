"""The family of errors, and how everything that is left out is named.

Each message says what was wrong, the value, and what to do. The command line prints it on one line
and ends with `exit_code`. What is left out but does not end the work is logged as a warning of the
logger "ferlib": one line each, many of a kind in one line. The command line prints these lines on stderr.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

logger = logging.getLogger("ferlib")


class FerlibError(Exception):
    """A failure of ferlib, or of the machine."""

    exit_code = 1


class BadInputError(FerlibError):
    """Something the caller handed in cannot be used."""

    exit_code = 2


class MissingExtraError(FerlibError, ImportError):
    """A package is not installed that ferlib's base does without; the message names the extra that has it."""

    exit_code = 2


class LabelError(BadInputError):
    """An emotion, a label number or a set of classes that cannot be mapped."""


class ImageError(BadInputError):
    """A file or array that is not a usable picture."""


class ImageFormatError(ImageError):
    """A file of a format that is not read."""


class ImageLimitError(ImageError):
    """A picture over one of the limits on size or decoding time; the message names the limit."""


class AnnotationError(BadInputError):
    """A label file, or a record in one, that cannot be read."""


class DatasetError(BadInputError):
    """A data set file that breaks FER2013's format, or is too small for what was asked."""


class BundleError(BadInputError):
    """A model folder that is not complete, or does not fit what was asked."""


class CrawlError(BadInputError):
    """A source of pictures that does not answer as it should."""


def check_choice(what: str, value: object, choices: Iterable[object]) -> None:
    """Check that a value is one of the known ones.

    Args:
        what: What the value names, for the message: "network", "detector".
        value: The value to check.
        choices: The values that are allowed, in the order of the message.

    Raises:
        BadInputError: The value is none of the choices; the message lists them.
    """
    known = list(choices)
    if value not in known:
        raise BadInputError(f"unknown {what} {value!r}; known are {', '.join(map(str, known))}")


def warn_each(lines: Sequence[str], most: int = 10) -> None:
    """Log what was left out, one warning per line, with the count of the lines beyond the first ones.

    Args:
        lines: One line per problem, each with the file or row and the reason.
        most: How many lines are logged before the rest is only counted.
    """
    for line in lines[:most]:
        printable = line.encode(
            "utf-8", "backslashreplace"
        ).decode()  # names of files can hold half characters
        logger.warning("%s", " ".join(printable.split()))
    if len(lines) > most:
        logger.warning("… and %d more like these", len(lines) - most)


@contextmanager
def reading(what: object, kind: type[BadInputError], remedy: str) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into one error that names the file.

    Libraries raise almost anything for the files of strangers: RecursionError, MemoryError, IndexError …

    Args:
        what: The file, for the message.
        kind: The error to raise.
        remedy: What to do, for the message.

    Yields:
        Nothing.

    Raises:
        BadInputError: Of the given kind; errors of the family pass as they are.
    """
    try:
        yield
    except FerlibError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise kind(f"{what} cannot be read ({type(error).__name__}: {reason}); {remedy}") from error
