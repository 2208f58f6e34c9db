"""Paths: the repository, the shipped bundles, and the work folders of a run.

Where ferlib is installed from a wheel, outside a checkout, the current folder takes the place of the repository.
"""

import os
from pathlib import Path


def repository() -> Path:
    """Find the checkout.

    Returns:
        The first folder with notebooks/ and pyproject.toml above the current one, or above ferlib; else the
        current one.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return here


def data_work() -> Path:
    """Find the data folder of a run.

    Returns:
        `$FERLIB_WORK/data`, else `data/work` of the repository.
    """
    root = os.environ.get("FERLIB_WORK")
    return Path(root) / "data" if root else repository() / "data" / "work"


def models_work() -> Path:
    """Find the models folder of a run.

    Returns:
        `$FERLIB_WORK/models`, else `models/work` of the repository.
    """
    root = os.environ.get("FERLIB_WORK")
    return Path(root) / "models" if root else repository() / "models" / "work"


def shipped_bundle(name: str = "fer2013") -> Path:
    """Find a model that ships with ferlib: inside an installed package, or in models/ of the repository.

    Args:
        name: The bundle's name.

    Returns:
        Its folder, whether or not it exists.
    """
    installed = Path(__file__).parents[1] / "bundles" / name
    return installed if installed.is_dir() else repository() / "models" / name


def shown(path: str | os.PathLike) -> str:
    """Shorten a path to what a notebook may print.

    Args:
        path: Any path.

    Returns:
        The path relative to the work folders or the repository, never with the folders of this machine.
    """
    path = Path(path).resolve()
    for root, prefix in ((data_work(), "data/work"), (models_work(), "models/work"), (repository(), "")):
        root = root.resolve()
        if path == root or root in path.parents:
            return (Path(prefix) / path.relative_to(root)).as_posix()
    return path.name
