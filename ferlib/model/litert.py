"""A model in its LiteRT form (`.tflite`): read faces with it, without TensorFlow.

Made by `ferlib.train.export`; run by the interpreter of the `ai-edge-litert` package.
"""

import os
from pathlib import Path
from threading import Lock

import numpy as np

from ferlib.common.backend import silenced_stderr
from ferlib.common.errors import BadInputError, BundleError, FerlibError
from ferlib.model.metadata import FORMS, check_fit, file_hash, read_metadata
from ferlib.model.predictor import Bundle

BATCH = 8
"""Faces per call: the maps of eight still fit into the processor's cache; with 64 a face takes twice as long."""


def load_litert(folder: str | os.PathLike, form: str | None = None, threads: int = 1) -> Bundle:
    """Read the LiteRT form of a bundle and check its hash, input and output.

    `folder`: of a bundle, or of what `ferlib export` left; `form`: "litert", "int8", or None for int8
    where it is there and else litert. The path of a `.tflite` file will do too; its metadata are
    looked for beside it. Raises BundleError with what is missing or does not fit.
    """
    folder = Path(folder)
    if folder.suffix == ".tflite":
        form = {name: form for form, name in FORMS.items()}.get(folder.name)
        if form is None:
            raise BundleError(
                f"{folder}: the name is none of {', '.join(_FILES)}; keep the name it was given"
            )
        folder = folder.parent
    if form is None:
        form = "int8" if (folder / FORMS["int8"]).is_file() else "litert"
    if form not in ("litert", "int8"):
        raise BadInputError(f"unknown LiteRT form {form!r}; known are litert and int8")
    if threads < 1:
        raise BadInputError(f"LiteRT needs at least one thread, got {threads}")
    metadata, path = read_metadata(folder), folder / FORMS[form]
    if not path.is_file():
        option = "litert-int8" if form == "int8" else "litert"
        raise BundleError(
            f"{path} is missing; make it with `ferlib export {folder} {folder} --format {option}`"
        )
    if file_hash(path) != metadata.get("forms", {}).get(form, {}).get("sha256"):
        raise BundleError(f"{path} is not the file that was exported with its metadata; export it again")
    names, shape = tuple(metadata["class_names"]), tuple(metadata["input_shape"])
    call, takes, gives = open_model(path.read_bytes(), threads)
    check_fit(path, takes, gives, shape, names)
    return Bundle(folder.name, names, shape, metadata, None, call, BATCH)


_FILES = (FORMS["litert"], FORMS["int8"])


def open_model(content: bytes, threads: int = 1):
    """(forward pass, input shape, output shape) of the bytes of a `.tflite` file.

    The forward pass maps uint8 (n, h, w), any n, to float32 (n, classes). Raises BundleError for
    bytes that are no such model.
    """
    interpreter = _interpreter(content, threads)
    takes, gives = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if takes["dtype"] is not np.float32 or gives["dtype"] is not np.float32:
        raise BundleError("the LiteRT model takes and gives whole numbers; export it with `ferlib export`")
    lock = Lock()
    count = 0

    def forward(faces: np.ndarray) -> np.ndarray:
        nonlocal count
        with lock:
            if len(faces) != count:  # making room anew costs more than reading a face
                count = 0
                interpreter.resize_tensor_input(takes["index"], (len(faces), *faces.shape[1:], 1))
                interpreter.allocate_tensors()
                count = len(faces)
            interpreter.set_tensor(takes["index"], faces[..., None].astype(np.float32))
            interpreter.invoke()
            return interpreter.get_tensor(gives["index"])

    return forward, tuple(takes["shape_signature"]), tuple(gives["shape_signature"])


def _interpreter(content: bytes, threads: int):
    try:
        with silenced_stderr():
            from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise FerlibError(
            "LiteRT models need the package ai-edge-litert: pip install ai-edge-litert"
        ) from error
    try:
        with silenced_stderr():
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()  # the first time it speaks of its delegate
            return interpreter
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"no LiteRT model ({str(error).splitlines()[0]})") from error
