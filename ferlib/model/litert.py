"""A model in its LiteRT form (`.tflite`): read faces with it, without TensorFlow.

Made by `ferlib.train.export`; run by the interpreter of the `ai-edge-litert` package.
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ferlib.common.backend import silenced_stderr
from ferlib.common.errors import BundleError, FerlibError, check_choice, reading
from ferlib.model.metadata import FORMS, check_file, check_shapes, read_metadata
from ferlib.model.predictor import Bundle

BATCH = 8
"""Faces per call: the maps of eight still fit into the processor's cache; with 64 a face takes twice as long."""


def load_litert(folder: str | os.PathLike, form: str | None = None, threads: int = 1) -> Bundle:
    """Load the LiteRT form of a bundle and check its hash, input and output.

    Args:
        folder: A bundle, what `ferlib export` wrote, or a `.tflite` file with its metadata next to it.
        form: "litert" or "int8"; None for int8 where it is there, else litert.
        threads: How many threads compute a face.

    Returns:
        The model. It serves one call at a time; other threads wait for their turn.

    Raises:
        BundleError: Something is missing or does not fit.
        BadInputError: An unknown form.
    """
    folder = Path(folder)
    if folder.suffix == ".tflite":
        names = {name: form for form, name in FORMS.items() if form != "keras"}
        check_choice("name of a LiteRT model", folder.name, names)
        form, folder = names[folder.name], folder.parent
    if form is None:
        form = "int8" if (folder / FORMS["int8"]).is_file() else "litert"
    check_choice("LiteRT form", form, ("litert", "int8"))
    metadata, path = read_metadata(folder), folder / FORMS[form]
    option = "litert-int8" if form == "int8" else "litert"
    check_file(
        path,
        metadata.get("forms", {}).get(form, {}).get("sha256"),
        f"make it with `ferlib export {folder} {folder} --format {option}`",
    )
    class_names, shape = tuple(metadata["class_names"]), tuple(metadata["input_shape"])
    with reading(path, BundleError, "export it again"):
        call, input_shape, output_shape = open_model(path.read_bytes(), threads)
        check_shapes(path, input_shape, output_shape, metadata)
    return Bundle(folder.name, class_names, shape, metadata, None, call, BATCH, folder)


def open_model(
    content: bytes, threads: int = 1
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int, ...], tuple[int, ...]]:
    """Open a LiteRT model.

    Args:
        content: The bytes of a `.tflite` file.
        threads: How many threads compute a face.

    Returns:
        The forward pass, which maps uint8 (n, height, width), any n, to float32 (n, classes); the shapes of the
        model's input and output.

    Raises:
        ValueError: The bytes are not such a model.
        FerlibError: The package of the interpreter is missing.
    """
    interpreter = _interpreter(content, threads)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] is not np.float32 or target["dtype"] is not np.float32:
        raise ValueError("it has integer input or output; `ferlib export` keeps them float")
    lock = Lock()
    count = 0

    def forward(faces: np.ndarray) -> np.ndarray:
        nonlocal count
        with lock:
            if len(faces) != count:  # allocating tensors takes longer than reading a face
                count = 0
                interpreter.resize_tensor_input(source["index"], (len(faces), *faces.shape[1:], 1))
                interpreter.allocate_tensors()
                count = len(faces)
            interpreter.set_tensor(source["index"], faces[..., None].astype(np.float32))
            interpreter.invoke()
            return interpreter.get_tensor(target["index"])

    return forward, tuple(source["shape_signature"]), tuple(target["shape_signature"])


def _interpreter(content: bytes, threads: int) -> Any:
    try:
        with silenced_stderr():
            from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise FerlibError(
            "LiteRT models need the package ai-edge-litert: pip install ai-edge-litert (it does not exist for "
            "Intel Macs: there, read in the page that `ferlib export --format page` writes on another machine)"
        ) from error
    with silenced_stderr():
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()  # the first call logs its delegate
    return interpreter
