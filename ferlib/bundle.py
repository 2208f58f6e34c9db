"""A bundle: one folder with a model, its labels and its preprocessing, so that they cannot part.

model.keras      the network, uncompiled, float32
metadata.json    class names, input shape, colour, scaling, settings, versions, hash of the model
history.csv      one row an epoch, where it was trained here
metrics.json     what `ferlib evaluate` measured, where it did
"""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferlib import __version__, labels
from ferlib.errors import BundleError, ImageError, LabelError
from ferlib.quiet import import_keras

MODEL_FILE = "model.keras"
METADATA_FILE = "metadata.json"
HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")


@dataclass(frozen=True)
class Bundle:
    """A loaded model with what it needs to be used rightly."""

    name: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    metadata: dict
    model: object
    _call: object

    def predict(self, faces: np.ndarray, flip: bool = False, batch_size: int = 256) -> np.ndarray:
        """Probabilities of each class, float32 (n, classes); n may be zero.

        faces: uint8 (n, h, w) gray, h and w as in `input_shape`, 0 to 255. With `flip` the mean of
        the face and its mirror image, which reads a little better than the face alone.
        """
        faces = np.asarray(faces)
        height, width, _ = self.input_shape
        if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (height, width):
            raise ImageError(
                f"the model takes uint8 faces (n, {height}, {width}), got {faces.dtype} {faces.shape}"
            )
        if not len(faces):
            return np.zeros((0, len(self.class_names)), np.float32)
        parts = [self._call(faces[k : k + batch_size]) for k in range(0, len(faces), batch_size)]
        probabilities = np.concatenate(parts)
        if flip:
            probabilities = (probabilities + self.predict(faces[:, :, ::-1], batch_size=batch_size)) / 2
        return probabilities


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
    metadata. Raises BundleError where the model's output does not fit the class names, LabelError for
    names that are no class set.
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
        "parameters": int(model.count_params()),
        "versions": {"ferlib": __version__, "keras": keras.__version__, "backend": keras.backend.backend()},
        **(extra or {}),
        "sha256": _sha256(part / MODEL_FILE),
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


def write_history(history: Sequence[dict], path: Path) -> None:
    """`history.csv`: one row an epoch; the columns of HISTORY_COLUMNS, then what else the rows have."""
    others = [key for key in (history[0] if history else ()) if key not in HISTORY_COLUMNS]
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*HISTORY_COLUMNS, *others], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def plain_copy(model):
    """The same network with the same weights in float32, uncompiled (Keras' clone_model would compile it)."""
    config = model.get_config()
    for layer in config["layers"]:
        layer["config"]["dtype"] = "float32"
    copy = model.__class__.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


def load_bundle(folder: str | os.PathLike) -> Bundle:
    """Read a bundle and check it: the hash of the model, its input and output, the class names.

    Raises BundleError with what is missing or does not fit.
    """
    folder = Path(folder)
    for name in (METADATA_FILE, MODEL_FILE):
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder} is no model bundle: {name} is missing; train one with `ferlib train`"
            )
    try:
        metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
        names, shape = tuple(metadata["class_names"]), tuple(metadata["input_shape"])
        wanted_hash = metadata["sha256"]
        labels.parse_classes(names)
    except (ValueError, KeyError, TypeError, LabelError) as error:
        raise BundleError(
            f"{folder / METADATA_FILE} cannot be read ({error}); restore it or train again"
        ) from error
    if _sha256(folder / MODEL_FILE) != wanted_hash:
        raise BundleError(
            f"{folder / MODEL_FILE} is not the file that was saved with its metadata; restore both"
        )
    keras = import_keras()
    try:
        model = keras.models.load_model(folder / MODEL_FILE, compile=False)
    except Exception as error:  # Keras raises many kinds for a file it cannot use
        raise BundleError(f"{folder / MODEL_FILE} cannot be loaded ({str(error).splitlines()[0]})") from error
    if model.output_shape[-1] != len(names) or tuple(model.input_shape[1:]) != shape:
        raise BundleError(
            f"{folder}: the model maps {model.input_shape} to {model.output_shape}, the metadata say "
            f"{shape} and {len(names)} classes"
        )
    return Bundle(folder.name, names, shape, metadata, model, _compiled_call(model))


def _compiled_call(model):
    """The forward pass as one compiled function of uint8 (n, h, w); `model.predict` is 15 times slower."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def forward(faces):
        return model(tf.cast(faces, tf.float32)[..., tf.newaxis], training=False)

    return lambda faces: forward(tf.constant(faces)).numpy()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
