"""Import Keras and TensorFlow without their start-up messages.

Environment variables silence some of them; the rest is written by C++ directly to file descriptor 2, which is
redirected during the import and the first operation.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from ferlib.common.extras import explain_missing


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to the null device; exceptions still reach the caller.

    Yields:
        Nothing; the redirection ends with the block.
    """
    sys.stderr.flush()
    original = os.dup(2)
    null_device = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
        os.close(null_device)


def import_keras() -> ModuleType:
    """Import Keras and its backend, without a message on the terminal.

    Returns:
        The `keras` module, its devices set up.

    Raises:
        MissingExtraError: Keras or TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if "keras" in sys.modules:
        return sys.modules["keras"]
    with explain_missing(), silenced_stderr():
        import keras

        keras.ops.add(1.0, 1.0)  # the first operation sets up the devices, which logs too
    return keras
