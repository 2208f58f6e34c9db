"""Complete files or none: written to a temporary file and renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file through a temporary one, which replaces it when the block ends without an error.

    Args:
        path: The file to write. An older file stays until the block ends, and stays if the block raises.

    Yields:
        A hidden path in the same folder to write to. It has the same suffix, because many writers choose the
        format by it.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file through a temporary one.

    Args:
        path: The file to write; missing folders are created.
        text: Its content.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
