"""What importing costs and prints; each case in a Python of its own."""

import pkgutil
import subprocess
import sys

import ferlib
from ferlib.common.backend import silenced_stderr


def _python(code: str, *args: str, **environment: str) -> subprocess.CompletedProcess:
    import os

    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=120,
        env={**{k: v for k, v in os.environ.items() if not k.startswith(("TF_", "GRPC_"))}, **environment},
    )


def test_no_module_imports_tensorflow_or_keras():
    names = [module.name for module in pkgutil.walk_packages(ferlib.__path__, "ferlib.")]
    names = [name for name in names if not name.endswith("__main__")]
    assert {
        "ferlib.train.networks",
        "ferlib.train.run",
        "ferlib.model.bundle",
        "ferlib.train.augment",
    } <= set(names)
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    loaded = {'tensorflow', 'keras', 'livelossplot'} & set(sys.modules)\n"
        "    assert not loaded, f'{name} imports {loaded}'\n"
        "print('none of them')"
    )
    done = _python(code, *names)
    assert (done.returncode, done.stdout.strip()) == (0, "none of them"), done.stderr


def test_import_keras_prints_nothing_and_computes():
    code = (
        "from ferlib.common.backend import import_keras\n"
        "keras = import_keras()\n"
        "import numpy as np, tensorflow as tf\n"
        "assert keras is import_keras()\n"
        "model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, kernel_initializer='ones')])\n"
        "print(float(model(np.ones((1, 2)))[0, 0]), keras.backend.backend())"
    )
    done = _python(code)
    assert done.stdout == "2.0 tensorflow\n"
    assert done.stderr == ""


def test_silence_ends_and_errors_come_through():
    code = (
        "import os\n"
        "from ferlib.common.backend import silenced_stderr\n"
        "try:\n"
        "    with silenced_stderr():\n"
        "        os.write(2, b'noise')\n"
        "        raise KeyError('kept')\n"
        "except KeyError as error:\n"
        "    print(error)\n"
        "os.write(2, b'heard')"
    )
    done = _python(code)
    assert (done.stdout, done.stderr) == ("'kept'\n", "heard")


def test_silence_leaves_no_open_files():
    import os

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None  # noqa: PTH208, PTH112
    for _ in range(5):
        with silenced_stderr():
            pass
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
