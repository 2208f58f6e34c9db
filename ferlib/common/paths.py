"""Where things lie: the repository, its shipped bundles, and the work folders of a run."""

import os
from pathlib import Path


def repository() -> Path:
    """The checkout: the first folder with notebooks/ and pyproject.toml above the current one, or above ferlib."""
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return here


def data_work() -> Path:
    """The data folder of a run: `$FERLIB_WORK/data`, else `data/work` of the repository."""
    root = os.environ.get("FERLIB_WORK")
    return Path(root) / "data" if root else repository() / "data" / "work"


def models_work() -> Path:
    """The models folder of a run: `$FERLIB_WORK/models`, else `models/work` of the repository."""
    root = os.environ.get("FERLIB_WORK")
    return Path(root) / "models" if root else repository() / "models" / "work"


def shipped_bundle(name: str = "fer2013") -> Path:
    """A model that comes with the repository."""
    return repository() / "models" / name


def leaderboard_folders() -> list[Path]:
    """Folders of the models on this repository's leaderboard: what was measured of them, not the models."""
    return [
        shipped_bundle(),
        *sorted(path for path in shipped_bundle("leaderboard").iterdir() if path.is_dir()),
    ]


def shown(path: str | os.PathLike) -> str:
    """A path as a notebook may print it: relative to the work or repository folder, never a machine's own."""
    path = Path(path).resolve()
    for root, prefix in ((data_work(), "data/work"), (models_work(), "models/work"), (repository(), "")):
        root = root.resolve()
        if path == root or root in path.parents:
            return (Path(prefix) / path.relative_to(root)).as_posix()
    return path.name
