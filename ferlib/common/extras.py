"""The extras of ferlib: packages that only some of its parts need, and what is said where one is missing.

The base install reads expressions, draws and cuts faces, and builds data sets. pyproject.toml has the versions.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ferlib.common.errors import MissingExtraError


@dataclass(frozen=True)
class Extra:
    """Packages that are installed together.

    Attributes:
        modules: The modules of these packages, by the names that are imported.
        brings: What they are needed for.
    """

    modules: tuple[str, ...]
    brings: str


EXTRAS = {
    "plots": Extra(("matplotlib", "seaborn"), "all figures: --chart, --timeline, card, leaderboard"),
    "collect": Extra(("bs4", "imagehash", "protego", "requests", "urllib3"), "crawl: pictures from the web"),
    "heic": Extra(("pillow_heif",), "pictures in HEIC, the format of phones"),
    "train": Extra(
        ("h5py", "keras", "scipy", "sklearn", "tensorflow"), "train, evaluate, import, export; Keras models"
    ),
    "notebooks": Extra(
        (
            *("anywidget", "ipykernel", "IPython", "ipywidgets", "jupyter_bbox_widget", "jupyterlab"),
            *("livelossplot", "nbconvert", "papermill", "pydot"),
        ),
        "the six notebooks, and run, which executes them",
    ),
}


def missing_modules(extra: str) -> list[str]:
    """Look for the packages of an extra, without importing them.

    Args:
        extra: A key of EXTRAS.

    Returns:
        The modules that are not installed.
    """
    return [name for name in EXTRAS[extra].modules if importlib.util.find_spec(name) is None]


def require_extras(*extras: str) -> None:
    """Refuse work that would fail later.

    Args:
        *extras: Keys of EXTRAS.

    Raises:
        MissingExtraError: A package of them is not installed.
    """
    missing = {extra: modules for extra in extras if (modules := missing_modules(extra))}
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
        extra = next((name for name, each in EXTRAS.items() if module in each.modules), None)
        if extra is None:
            raise
        raise _missing(module, extra) from error


def _missing(module: str, extra: str) -> MissingExtraError:
    return MissingExtraError(f"this needs {module}, which is not installed: pip install 'ferlib[{extra}]'")
