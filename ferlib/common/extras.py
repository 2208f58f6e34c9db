"""The extras of ferlib: packages that only some of its parts need, and what is said where one is missing.

The base install reads expressions, draws and cuts faces, and builds data sets. pyproject.toml has the versions.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ferlib.common.errors import MissingExtraError


class Extra(NamedTuple):
    """Packages that are installed together.

    Attributes:
        modules: The modules of these packages, as they are imported, with spaces between.
        brings: What they are needed for.
    """

    modules: str
    brings: str


BASE = "PIL ai_edge_litert click filelock flask jinja2 numpy pandas tqdm waitress"
"""The modules of the base, next to OpenCV."""
EXTRAS = {
    "plots": Extra("matplotlib seaborn", "all figures: --chart, --timeline, card, leaderboard"),
    "collect": Extra("bs4 imagehash protego requests urllib3", "crawl: pictures from the web"),
    "heic": Extra("pillow_heif", "pictures in HEIC, the format of phones"),
    "train": Extra("h5py keras scipy sklearn tensorflow", "train, teach, evaluate, import, export"),
    "notebooks": Extra(
        "IPython anywidget ipykernel ipywidgets jupyter_bbox_widget jupyterlab livelossplot nbconvert papermill pydot",
        "the six notebooks, and run, which executes them",
    ),
}


def missing_modules(modules: str) -> list[str]:
    """Look for modules without importing them.

    Args:
        modules: Their names, with spaces between.

    Returns:
        Those that are not installed.
    """
    return [name for name in modules.split() if importlib.util.find_spec(name) is None]


def require_extras(*extras: str) -> None:
    """Refuse work that would fail later.

    Args:
        *extras: Keys of EXTRAS.

    Raises:
        MissingExtraError: A package of them is not installed.
    """
    missing = {extra: names for extra in extras if (names := missing_modules(EXTRAS[extra].modules))}
    if missing:
        raise _missing(next(iter(missing.values()))[0], ",".join(missing))


@contextmanager
def explain_missing() -> Iterator[None]:
    """Turn the failed import of an extra's package into one line that names the extra; also a decorator.

    Yields:
        Nothing.

    Raises:
        MissingExtraError: A package of EXTRAS is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = next((name for name, each in EXTRAS.items() if module in each.modules.split()), None)
        if extra is None:
            raise
        raise _missing(module, extra) from error


def _missing(module: str, extra: str) -> MissingExtraError:
    return MissingExtraError(f"this needs {module}, which is not installed: pip install 'ferlib[{extra}]'")
