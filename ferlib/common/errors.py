"""The family of errors that a caller may want to tell apart.

Each message says what was wrong, the value, and what to do. The command line prints it on one
line and ends with `exit_code`.
"""


class FerlibError(Exception):
    """A failure of ours, or of the machine."""

    exit_code = 1


class BadInputError(FerlibError):
    """Something the caller handed in cannot be used."""

    exit_code = 2


class LabelError(BadInputError):
    """An emotion, a label number or a set of classes that cannot be mapped."""


class ImageError(BadInputError):
    """A file or array that is not a usable picture."""


class AnnotationError(BadInputError):
    """A label file, or a record in one, that cannot be read."""


class DatasetError(BadInputError):
    """A data set file that breaks FER2013's format, or is too small for what was asked."""


class BundleError(BadInputError):
    """A model folder that is not whole, or does not fit what was asked."""


class CrawlError(BadInputError):
    """A source of pictures that does not answer as it should."""
