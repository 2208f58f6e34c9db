"""Files that are whole or not there: written beside and renamed."""

import os
from pathlib import Path


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text; an older file of that name stays until the new one is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
