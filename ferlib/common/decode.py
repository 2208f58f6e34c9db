"""Decode pictures of strangers in processes of their own, which are killed at a deadline.

Neither a thread nor a signal can end a decoder that is busy in C code; a process can be killed.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Self

import numpy as np

from ferlib.common import errors
from ferlib.common.errors import FerlibError, ImageError, ImageLimitError
from ferlib.common.images import MAX_PIXELS, load_image

_START_SECONDS = 30  # a process that is not ready by then is killed


class PoolBusyError(FerlibError):
    """All processes of a pool are decoding other pictures."""


class DecodingPool:
    """A few processes that decode pictures for all threads of a program. A context manager.

    They are plain interpreters that import this module only, so a script that uses a pool needs no
    `if __name__ == "__main__"`. They end with the block, or when this process ends.

    Args:
        workers: Number of processes.

    Example:
        >>> with DecodingPool() as pool:
        ...     image = pool.load(data, deadline=2.0)
    """

    def __init__(self, workers: int = 2):
        self._workers = workers
        self._free: queue.SimpleQueue[subprocess.Popen] = queue.SimpleQueue()
        self._busy: set[subprocess.Popen] = set()
        self._closed = False

    def __enter__(self) -> Self:
        """Start the processes.

        Returns:
            The pool.
        """
        for _ in range(self._workers):
            self._free.put(_start())
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the processes; a picture that is being decoded in another thread is refused there."""
        self._closed = True
        for process in list(self._busy):
            process.kill()
        for _worker in range(self._workers):
            process = self._free.get()
            process.kill()
            process.wait()

    def load(self, data: bytes, deadline: float, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Decode a picture as `images.load_image` does, in a process that is killed at the deadline.

        What `load_image` logs goes to stderr.

        Args:
            data: The bytes of a file.
            deadline: Seconds that decoding may take. It is waited as long for a free process before.
            max_pixels: Larger pictures are refused before they are decoded.

        Returns:
            uint8 (height, width, 3), RGB.

        Raises:
            PoolBusyError: No process became free within `deadline` seconds.
            ImageError: What `load_image` refuses; ImageLimitError, too, where it was not decoded at the deadline.
        """
        try:
            process = self._free.get(timeout=deadline)
        except queue.Empty as error:
            raise PoolBusyError("too many pictures are being decoded; try again in a second") from error
        assert process.stdin and process.stdout
        self._busy.add(process)
        starting = threading.Timer(_START_SECONDS, process.kill)
        starting.start()
        process.stdout.readline()  # it is ready: what a new process imports does not count
        starting.cancel()
        output: Any = process.stdout  # a BufferedReader, of which Popen's type says less
        answer, limit = None, time.monotonic() + deadline
        timer = threading.Timer(deadline, process.kill)
        timer.start()
        try:
            process.stdin.write(b"%d %d\n%b" % (len(data), max_pixels, data))
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            image = np.empty(answer["shape"], np.uint8)
            if output.readinto(image.reshape(-1)) < image.nbytes:
                raise OSError("the pixels ended early")
        except (OSError, ValueError) as error:  # it was killed
            answer = None
            remedy = "save it again, smaller and as JPEG or PNG"
            if time.monotonic() < limit:
                raise ImageError(f"picture: its decoder has ended; {remedy}") from error
            raise ImageLimitError(f"picture: not decoded within {deadline:g} s; {remedy}") from error
        finally:
            timer.cancel()
            timer.join()
            self._busy.discard(process)
            if answer is None or time.monotonic() >= limit:
                process.kill()
                process.wait()
                with suppress(OSError):  # no memory now: the next picture tries again
                    process = process if self._closed else _start()
            self._free.put(process)
        if answer["error"]:
            raise getattr(errors, answer["kind"])(answer["error"])
        return image


def _start() -> subprocess.Popen:
    program = f"import sys; sys.path[:] = {sys.path!r}; from ferlib.common.decode import _serve; _serve()"
    pipe, command = subprocess.PIPE, [sys.executable, "-c", program]
    # A session of its own, or Ctrl-C in a terminal would end it before the program that needs it.
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "1048576",
    }  # glibc gives large pictures' memory back
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True, env=environment)


def _serve() -> None:
    """In the process: answer with a line of JSON and the pixels, until the program ends."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    with suppress(OSError):  # the program has ended
        results.write(b"ready\n")
        results.flush()
        while question := sys.stdin.buffer.readline():
            size, max_pixels = map(int, question.split())
            image, kind, error = np.zeros((0, 0, 3), np.uint8), "", ""
            try:
                image = load_image(sys.stdin.buffer.read(size), max_pixels)
            except ImageError as failure:
                kind, error = type(failure).__name__, str(failure)
            answer = {"shape": image.shape, "kind": kind, "error": error}
            results.write(json.dumps(answer).encode() + b"\n")
            results.write(image.reshape(-1).data)  # no copy: it may be large
            results.write(b"ready\n")
            results.flush()
            del image
    os._exit(0)
