"""A bundle: one folder with a model, its labels and its preprocessing, so that they cannot part.

model.keras      the network, uncompiled, float32
metadata.json    class names, input shape, colour, scaling, how the faces were cut (detector, margin),
                 data, settings, versions, headline metrics, hash of the model and of its other forms
history.csv      one row an epoch, where it was trained here
metrics.json     what `ferlib evaluate` measured, where it did
model.tflite, model.int8.tflite    the same network for LiteRT, where `ferlib export` put it there
"""

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ferlib import __version__
from ferlib.common import labels
from ferlib.common.backend import import_keras
from ferlib.common.errors import BundleError, check_choice
from ferlib.model.metadata import (
    _CUT_UNKNOWN,
    _NO_METRICS,
    FORMS,
    METADATA_FILE,
    MODEL_FILE,
    _fastest,
    _whole_file,
    check_fit,
    file_hash,
    read_metadata,
    write_history,
)
from ferlib.model.predictor import Bundle


def save_bundle(
    model,
    folder: str | os.PathLike,
    class_names: Sequence[str],
    history: Sequence[dict] = (),
    extra: Mapping | None = None,
) -> Path:
    """Write a bundle and return its folder; an older bundle of that name is replaced when all is written.

    The model is saved as an uncompiled float32 copy: Keras would keep the optimizer's state, twice
    the size of the weights, and mixed precision would slow other machines down. `extra` joins the
    metadata; its `detector` (a name as `faces.load_detector` takes it) and `margin` (share of the box
    added on each side) say how the faces were cut, and count as unknown without. Raises BundleError
    where the model's output does not fit the class names, LabelError for names that are no class set.
    """
    if model.output_shape[-1] != len(class_names):
        raise BundleError(
            f"the model has {model.output_shape[-1]} outputs for {len(class_names)} class names"
        )
    labels.parse_classes(class_names)
    folder = Path(folder)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    plain_copy(model).save(part / MODEL_FILE)
    keras = import_keras()
    metadata = {
        "name": folder.name,
        "class_names": list(class_names),
        "input_shape": list(model.input_shape[1:]),
        "colour": "gray",
        "scaling": "values 0 to 255; the network rescales them itself",
        **_CUT_UNKNOWN,
        "parameters": int(model.count_params()),
        "versions": {
            "ferlib": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "metrics": _NO_METRICS,
        **(extra or {}),
        "sha256": file_hash(part / MODEL_FILE),
    }
    (part / METADATA_FILE).write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")
    if history:
        write_history(history, part / "history.csv")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def plain_copy(model):
    """The same network with the same weights in float32, uncompiled (Keras' clone_model would compile it)."""
    config = model.get_config()
    for layer in config["layers"]:
        layer["config"]["dtype"] = "float32"
    copy = model.__class__.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


def load_bundle(folder: str | os.PathLike, form: str = "keras", threads: int = 1):
    """Read a bundle and check it: the hash of the model, its input and output, the class names.

    `form`: "keras" gives a `Bundle`; "litert" and "int8" a `ferlib.model.litert.LiteRT`, which `ferlib export`
    must have put there, has the same `predict` and needs no TensorFlow; "fastest" the first of int8,
    litert and keras that is there, int8 only where it is not known to cost more than INT8_LOSS.
    `threads` counts for LiteRT; TensorFlow has settings of its own. The metadata of a bundle with a
    `metrics.json` carry its headline figures as `metrics`. Raises BundleError with what is missing or does not fit.
    """
    folder = Path(folder)
    check_choice("form of a model", form, (*FORMS, "fastest"))
    metadata = read_metadata(folder)
    if form == "fastest":
        form = _fastest(folder, metadata)
    if form != "keras":
        from ferlib.model.litert import load_litert

        return load_litert(folder, form, threads)
    _whole_file(folder, MODEL_FILE, metadata["sha256"])
    keras = import_keras()
    try:
        model = keras.models.load_model(folder / MODEL_FILE, compile=False)
    except Exception as error:  # Keras raises many kinds for a file it cannot use
        raise BundleError(f"{folder / MODEL_FILE} cannot be loaded ({str(error).splitlines()[0]})") from error
    names, shape = tuple(metadata["class_names"]), tuple(metadata["input_shape"])
    check_fit(folder, model.input_shape, model.output_shape, shape, names)
    return Bundle(folder.name, names, shape, metadata, model, _compiled_call(model))


def _compiled_call(model):
    """The forward pass as one compiled function of uint8 (n, h, w); `model.predict` is 15 times slower."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def forward(faces):
        return model(tf.cast(faces, tf.float32)[..., tf.newaxis], training=False)

    return lambda faces: forward(tf.constant(faces)).numpy()
