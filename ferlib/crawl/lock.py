"""One crawl at a time in a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ferlib.errors import CrawlError

LOCK = ".crawl.lock"


@contextmanager
def only_crawl(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file while the block runs. CrawlError where another crawl holds it.

    The system frees the lock of a process that is gone, whatever ended it, so nobody need remove the file.
    """
    path = folder / LOCK
    with _open_locked(path, folder) as file:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()).encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps what is open; the next crawl takes it over
                path.unlink()


def _open_locked(path: Path, folder: Path) -> BinaryIO:
    while True:
        file = path.open("a+b")
        try:
            _lock(file)
            if _is_at(file, path):
                return file
        except OSError as error:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace").strip()
            file.close()
            process = f" (process {holder})" if holder else ""
            raise CrawlError(
                f"another crawl{process} is at work in {str(folder)!r}; wait for its end, or take another folder"
            ) from error
        file.close()  # the one before us removed it between our opening and our locking: begin again


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO) -> None:
    """OSError where another holds it."""
    try:
        import fcntl
    except ImportError:  # Windows, where a locked part cannot be read: one far behind what is written
        import msvcrt

        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
