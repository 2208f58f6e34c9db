"""Complete files and folders or none: written to a temporary place and renamed."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ferlib.common.errors import BadInputError, reading


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file through a temporary one, which replaces it when the block ends without an error.

    Args:
        path: The file to write; missing folders are made. An older file stays until the block ends, and stays if the
            block raises.

    Yields:
        A hidden path in the same folder to write to, another one for each writer. It has the same suffix, because
        many writers choose the format by it.

    Raises:
        BadInputError: The file cannot be written: no right to write, the disk is full.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    with named_errors(path, path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
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
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def read_json(path: str | os.PathLike, kind: type[BadInputError] = BadInputError) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        kind: The error to raise.

    Returns:
        Its content.

    Raises:
        BadInputError: Of the given kind: the file is missing, is not JSON, or is nested too deeply.
    """
    with reading(path, kind, "restore it"):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def disguise(start: bytes) -> str:
    """Say what was downloaded in place of a file.

    Args:
        start: The first bytes of the file.

    Returns:
        A web page or a Git LFS pointer in words, with the remedy; "" for neither.
    """
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: fetch the file itself with `git lfs pull`"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page: download the file itself"
    return ""


def check_targets(*paths: str | os.PathLike | None, folder: bool = False) -> None:
    """Check that files can be written, before the work whose results they take.

    Args:
        *paths: The files; None for one that is not asked for.
        folder: Whether they are folders that files are written into.

    Raises:
        BadInputError: A file is a folder or the other way round, is in no folder that can be made, or two are one.
    """
    given = [Path(path) for path in paths if path is not None]
    for number, path in enumerate(given):
        if path.resolve() in [other.resolve() for other in given[:number]]:
            raise BadInputError(f"{path}: named for two results; name another file for one of them")
        if path.is_dir() and not folder:
            raise BadInputError(f"{path}: cannot be written, this is a folder; name a file in it")
        if folder and path.exists() and not path.is_dir():
            raise BadInputError(f"{path}: cannot be written into, this is a file; name a folder")
        place = path if folder else path.parent
        place = next(each for each in (place, *place.absolute().parents) if each.exists())
        with named_errors(path, place), tempfile.TemporaryFile(dir=place):
            pass


@contextmanager
def lock_folder(folder: str | os.PathLike, work: str, name: str = ".lock") -> Iterator[None]:
    """Keep others out of a folder while the block runs.

    The system frees the lock of a process that has ended, however it ended, so the file need not be removed.

    Args:
        folder: The folder; it is made where it is missing.
        work: What runs in it, for the message: "crawl", "training run".
        name: The name of the lock file.

    Yields:
        Nothing.

    Raises:
        BadInputError: Another process holds the lock; the message names it.
    """
    path = Path(folder) / name
    with named_errors(Path(folder), path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            process = ""
            with suppress(OSError, ValueError):
                process = f" (process {int(path.read_text())})"
            raise BadInputError(
                f"another {work}{process} is running in {str(folder)!r}; wait until it ends, or name another folder"
            ) from error
    try:
        with suppress(OSError):  # Windows does not let others read a locked file
            path.write_text(str(os.getpid()))
        yield
    finally:
        with suppress(OSError):  # Windows keeps an open file, and filelock removes it there
            path.unlink()
        lock.release()


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
