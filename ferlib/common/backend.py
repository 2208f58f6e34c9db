"""Import Keras and TensorFlow without their start-up noise.

Environment variables silence a part of it; the rest is written by C++ straight to file
descriptor 2, so that is led away during the import and the first operation.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Lead file descriptor 2 to nowhere; Python's own errors still reach the caller as exceptions."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def import_keras() -> ModuleType:
    """The `keras` module, its backend loaded and used once, without a word on the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if "keras" in sys.modules:
        return sys.modules["keras"]
    with silenced_stderr():
        import keras

        keras.ops.add(1.0, 1.0)  # the first operation sets the devices up, which logs too
    return keras
