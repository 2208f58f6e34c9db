"""Complete files and folders or none: written to a temporary place and renamed."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferlib.common.errors import BadInputError


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file through a temporary one, which replaces it when the block ends without an error.

    Args:
        path: The file to write. An older file stays until the block ends, and stays if the block raises.

    Yields:
        A hidden path in the same folder to write to, another one for each writer. It has the same suffix, because
        many writers choose the format by it.

    Raises:
        BadInputError: The file cannot be written: no such folder, no right to write, the disk is full.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with named_errors(path, part):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Build a folder in a temporary one, which replaces it when the block ends without an error.

    Args:
        folder: The folder to build. An older one stays until the block ends, and stays if the block raises.

    Yields:
        A new empty hidden folder next to it, another one for each writer.

    Raises:
        BadInputError: The folder cannot be written.
    """
    folder = Path(folder)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    old = part.with_suffix(".old")
    try:
        with named_errors(folder, part):
            part.mkdir(parents=True)
            yield part
            if folder.exists():
                folder.rename(old)
            try:
                part.rename(folder)
            except OSError:
                old.rename(folder)
                raise
    finally:
        if old.exists() and not folder.exists():  # interrupted between the two
            old.rename(folder)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file through a temporary one.

    Args:
        path: The file to write; missing folders are created.
        text: Its content.

    Raises:
        BadInputError: The file cannot be written.
    """
    path = Path(path)
    with named_errors(path, path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def named_errors(target: Path, part: Path) -> Iterator[None]:
    """Say which file cannot be written: the system's error names a temporary one, or none (a full disk).

    Args:
        target: The file or folder for the message.
        part: The temporary file or folder; errors about others pass.

    Yields:
        Nothing.

    Raises:
        BadInputError: Something in the block could not be written.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and part not in (Path(error.filename), *Path(error.filename).parents):
            raise  # about another file
        reason = error.strerror or str(error)
        raise BadInputError(
            f"{target}: cannot be written ({reason}); name another place or make room"
        ) from error
