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
from typing import Self

import numpy as np

from ferlib.common.errors import FerlibError, ImageError
from ferlib.common.images import MAX_PIXELS, load_image


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

    def __enter__(self) -> Self:
        """Start the processes.

        Returns:
            The pool.
        """
        for _ in range(self._workers):
            self._free.put(_start())
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, each as soon as its picture is decoded or the deadline has come."""
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
            ImageError: What `load_image` refuses, or a picture that was not decoded at the deadline.
        """
        try:
            process = self._free.get(timeout=deadline)
        except queue.Empty as error:
            raise PoolBusyError("too many pictures are being decoded; try again in a second") from error
        assert process.stdin and process.stdout
        process.stdout.readline()  # it is ready: what a new process imports does not count
        answer, limit = None, time.monotonic() + deadline
        timer = threading.Timer(deadline, process.kill)
        timer.start()
        try:
            process.stdin.write(b"%d %d\n%b" % (len(data), max_pixels, data))
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            pixels = np.frombuffer(bytearray(process.stdout.read(answer["bytes"])), np.uint8)
            image = pixels.reshape(answer["shape"])
        except (OSError, ValueError) as error:  # it was killed
            answer = None
            in_time = time.monotonic() < limit
            reason = "its decoder has ended" if in_time else f"not decoded within {deadline:g} s"
            raise ImageError(f"picture: {reason}; save it again, smaller and as JPEG or PNG") from error
        finally:
            timer.cancel()
            timer.join()
            if answer is None or time.monotonic() >= limit:
                process.kill()
                process.wait()
                with suppress(OSError):  # no memory now: the next picture tries again
                    process = _start()
            self._free.put(process)
        if answer["error"]:
            raise ImageError(answer["error"])
        return image


def _start() -> subprocess.Popen:
    program = f"import sys; sys.path[:] = {sys.path!r}; from ferlib.common.decode import _serve; _serve()"
    pipe, command = subprocess.PIPE, [sys.executable, "-c", program]
    # A session of its own, or Ctrl-C in a terminal would end it before the program that needs it.
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)


def _serve() -> None:
    """In the process: answer with a line of JSON and the pixels, until the program ends."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    results.write(b"ready\n")
    results.flush()
    while question := sys.stdin.buffer.readline():
        size, max_pixels = map(int, question.split())
        image, error = np.zeros((0, 0, 3), np.uint8), ""
        try:
            image = load_image(sys.stdin.buffer.read(size), max_pixels)
        except ImageError as failure:
            error = str(failure)
        answer = {"shape": image.shape, "bytes": image.nbytes, "error": error}
        results.write(json.dumps(answer).encode() + b"\n" + image.tobytes() + b"ready\n")
        results.flush()
