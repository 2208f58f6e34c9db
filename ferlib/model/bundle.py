"""A bundle: one folder with a model, its labels and its preprocessing, so that they stay together.

model.keras      the network, uncompiled, float32
metadata.json    class names, input shape, colour, scaling, how the faces were cut (detector, margin),
                 data, settings, versions, headline metrics, hash of the model and of its other forms
history.csv      one row per epoch, where it was trained here
metrics.json     what `ferlib evaluate` measured, where it did
model.tflite, model.int8.tflite    the same network for LiteRT, where `ferlib export` put it there

A bundle's hashes detect damage, not an attacker: load only bundles that you trust.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferlib import __version__
from ferlib.common import labels
from ferlib.common.backend import import_keras
from ferlib.common.errors import BundleError, check_choice, reading
from ferlib.common.files import whole_folder
from ferlib.model import metadata as meta
from ferlib.model.litert import load_litert
from ferlib.model.predictor import Bundle


def save_bundle(
    model: Any,
    folder: str | os.PathLike,
    class_names: Sequence[str],
    history: Sequence[dict] = (),
    extra: Mapping | None = None,
) -> Path:
    """Write a bundle; an older one of that name is replaced when everything is written.

    The model is saved as an uncompiled float32 copy: Keras would keep the optimizer's state, twice the size of the
    weights, and mixed precision is slow on other machines.

    Args:
        model: A `keras.Model` that maps float (n, height, width, 1), 0 to 255, to probabilities (n, classes).
        folder: The bundle's folder; its name is the model's name.
        class_names: The names of the classes, in the order of the outputs.
        history: One row per epoch, for history.csv.
        extra: More metadata. `detector` (a name that `load_detector` takes) and `margin` (the share of the box
            added on each side) say how the faces were cut; without them both are "unknown".

    Returns:
        The folder.

    Raises:
        BundleError: The model's output does not fit the class names.
        LabelError: The names are not a class set.
    """
    if model.output_shape[-1] != len(class_names):
        raise BundleError(
            f"the model has {model.output_shape[-1]} outputs for {len(class_names)} class names"
        )
    labels.parse_classes(class_names)
    folder = Path(folder)
    keras = import_keras()
    metadata = {
        "name": folder.name,
        "class_names": list(class_names),
        "input_shape": list(model.input_shape[1:]),
        "colour": "gray",
        "scaling": "values 0 to 255; the network rescales them itself",
        **meta.UNKNOWN_CROP,
        "parameters": int(model.count_params()),
        "versions": {
            "ferlib": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "metrics": meta.NO_METRICS,
        **(extra or {}),
    }
    with whole_folder(folder) as part:
        plain_copy(model).save(part / meta.MODEL_FILE)
        metadata["sha256"] = meta.file_hash(part / meta.MODEL_FILE)
        (part / meta.METADATA_FILE).write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")
        if history:
            meta.write_history(history, part / "history.csv")
    return folder


def plain_copy(model: Any) -> Any:
    """Copy a network with its weights, in float32 and uncompiled (Keras' clone_model would compile it).

    Args:
        model: A `keras.Model`.

    Returns:
        The copy.
    """
    config = model.get_config()
    for layer in config["layers"]:
        layer["config"]["dtype"] = "float32"
    copy = model.__class__.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


def load_bundle(folder: str | os.PathLike, form: str = "keras", threads: int = 1) -> Bundle:
    """Load a bundle and check it: the hash of the model, its input and output, the class names.

    Args:
        folder: The bundle's folder.
        form: `"keras"`; `"litert"` or `"int8"`, which `ferlib export` must have put there and which need no
            TensorFlow; or `"fastest"`, the first of int8, litert and keras that is there, int8 only where it is
            not known to lose more accuracy than INT8_LOSS.
        threads: For LiteRT; TensorFlow has settings of its own.

    Returns:
        The model. Its metadata contain the headline figures of metrics.json as `metrics`.

    Raises:
        BundleError: Something is missing or does not fit.
        BadInputError: An unknown form.
    """
    folder = Path(folder)
    check_choice("form of a model", form, (*meta.FORMS, "fastest"))
    metadata = meta.read_metadata(folder)
    if form == "fastest":
        form = meta.fastest_form(folder, metadata)
    if form != "keras":
        return load_litert(folder, form, threads)
    file = folder / meta.MODEL_FILE
    meta.check_file(file, metadata["sha256"], "train one with `ferlib train`")
    keras = import_keras()
    with reading(file, BundleError, "restore it or train again"):
        model = keras.models.load_model(file, compile=False)
        meta.check_shapes(file, model.input_shape, model.output_shape, metadata)
    names, shape = tuple(metadata["class_names"]), tuple(metadata["input_shape"])
    return Bundle(folder.name, names, shape, metadata, model, _compiled_call(model), folder=folder)


def _compiled_call(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The forward pass as one compiled function of uint8 (n, h, w); `model.predict` is 15 times slower."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None), tf.uint8)])
    def forward(faces: Any) -> Any:
        return model(tf.cast(faces, tf.float32)[..., tf.newaxis], training=False)

    return lambda faces: forward(tf.constant(faces)).numpy()
