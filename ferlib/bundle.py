"""A bundle: one folder with a model, its labels and its preprocessing, so that they cannot part.

model.keras      the network, uncompiled, float32
metadata.json    class names, input shape, colour, scaling, how the faces were cut (detector, margin),
                 data, settings, versions, headline metrics, hash of the model and of its other forms
history.csv      one row an epoch, where it was trained here
metrics.json     what `ferlib evaluate` measured, where it did
model.tflite, model.int8.tflite    the same network for LiteRT, where `ferlib export` put it there
"""

import csv
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferlib import __version__, labels
from ferlib.errors import BadInputError, BundleError, ImageError, LabelError
from ferlib.files import write_text
from ferlib.quiet import import_keras

MODEL_FILE = "model.keras"
METADATA_FILE = "metadata.json"
METRICS_FILE = "metrics.json"
FORMS = {"keras": MODEL_FILE, "litert": "model.tflite", "int8": "model.int8.tflite"}
"""The file of each form in which a model may lie in its bundle."""

INT8_LOSS = 0.003
"""How much accuracy int8 may cost and still be taken as the fastest form; a share of the faces."""

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")

_CUT_UNKNOWN = {"detector": "unknown", "margin": None}
_NO_METRICS = f"`ferlib evaluate --json` writes them beside, as {METRICS_FILE}"
_HEADLINES = ("usage", "n", "accuracy", "interval", "balanced_accuracy", "flip")


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
        return averaged(self._call, faces, self.input_shape, len(self.class_names), flip, batch_size)


def averaged(
    call: Callable[[np.ndarray], np.ndarray],
    faces: np.ndarray,
    input_shape: Sequence[int],
    n_classes: int,
    flip: bool,
    batch_size: int,
) -> np.ndarray:
    """`Bundle.predict` with the forward pass given as `call`: uint8 (n, h, w) to float32 (n, classes).

    A face and its mirror image go through the network in one call. Raises ImageError for other faces.
    """
    faces = np.asarray(faces)
    height, width = input_shape[:2]
    if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (height, width):
        raise ImageError(
            f"the model takes uint8 faces (n, {height}, {width}), got {faces.dtype} {faces.shape}"
        )
    if not len(faces):
        return np.zeros((0, n_classes), np.float32)
    given = np.concatenate([faces, faces[:, :, ::-1]]) if flip else np.ascontiguousarray(faces)
    parts = [call(given[k : k + batch_size]) for k in range(0, len(given), batch_size)]
    probabilities = np.concatenate(parts)
    return (probabilities[: len(faces)] + probabilities[len(faces) :]) / 2 if flip else probabilities


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


def load_bundle(folder: str | os.PathLike, form: str = "keras", threads: int = 1):
    """Read a bundle and check it: the hash of the model, its input and output, the class names.

    `form`: "keras" gives a `Bundle`; "litert" and "int8" a `ferlib.litert.LiteRT`, which `ferlib export`
    must have put there, has the same `predict` and needs no TensorFlow; "fastest" the first of int8,
    litert and keras that is there, int8 only where it is not known to cost more than INT8_LOSS.
    `threads` counts for LiteRT; TensorFlow has settings of its own. The metadata of a bundle with a
    `metrics.json` carry its headline figures as `metrics`. Raises BundleError with what is missing or does not fit.
    """
    folder = Path(folder)
    if form not in (*FORMS, "fastest"):
        raise BadInputError(f"unknown form {form!r} of a model; known are {', '.join(FORMS)} and fastest")
    metadata = read_metadata(folder)
    if form == "fastest":
        form = _fastest(folder, metadata)
    if form != "keras":
        from ferlib.litert import load_litert

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


def read_metadata(folder: str | os.PathLike) -> dict:
    """The metadata of a bundle, checked and completed; the model's files are not looked at.

    Fields that an older bundle lacks get their "unknown"; `metrics` the figures of the `metrics.json`
    beside. Raises BundleError where the file is missing, cannot be read or contradicts itself.
    """
    folder = Path(folder)
    path = folder / METADATA_FILE
    if not path.is_file():
        raise BundleError(
            f"{folder} is no model bundle: {METADATA_FILE} is missing; train one with `ferlib train`"
        )
    try:
        metadata = _CUT_UNKNOWN | {"metrics": _NO_METRICS} | json.loads(path.read_text(encoding="utf-8"))
        labels.parse_classes(metadata["class_names"])
        height, width, channels = metadata["input_shape"]
        if min(height, width) < 1 or channels != 1 or metadata.get("colour", "gray") != "gray":
            raise ValueError(f"faces are gray (h, w, 1), not {metadata['input_shape']}")
        if metadata["margin"] is not None and not 0 <= metadata["margin"] < 10:
            raise ValueError(f"the margin {metadata['margin']} is no share of a box")
        if not isinstance(metadata["sha256"], str) or not isinstance(metadata.get("forms", {}), dict):
            raise ValueError("sha256 is no text, or forms is no table")
    except (ValueError, KeyError, TypeError, LabelError) as error:
        raise BundleError(f"{path} cannot be read ({error}); restore it or train again") from error
    metadata["metrics"] = _headlines(folder) or metadata["metrics"]
    return metadata


def update_metadata(folder: str | os.PathLike, **facts) -> dict:
    """Write `facts`, and the headline figures of `metrics.json`, into a bundle's metadata; returns them.

    For what is known only after the model was saved: measured figures, `detector` and `margin`, the
    hashes of other forms. What says which model it is cannot be changed so: BadInputError.
    """
    fixed = sorted({"class_names", "input_shape", "sha256"} & set(facts))
    if fixed:
        raise BadInputError(f"{', '.join(fixed)} belong to the model; save a new bundle instead")
    metadata = read_metadata(folder) | facts
    write_text(Path(folder) / METADATA_FILE, json.dumps(metadata, indent=1) + "\n")
    return metadata


def check_fit(folder: Path, takes, gives, shape: tuple, names: tuple) -> None:
    """Raise BundleError unless a model that maps shape `takes` to `gives` fits the metadata."""
    if gives[-1] != len(names) or tuple(takes[1:]) != shape:
        raise BundleError(
            f"{folder}: the model maps {tuple(takes)} to {tuple(gives)}, the metadata say "
            f"{shape} and {len(names)} classes"
        )


def _headlines(folder: Path) -> dict | None:
    """The figures of `metrics.json` that a reader asks for first; None where it is not there or no report."""
    try:
        report = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
        return {name: report[name] for name in _HEADLINES if name in report} if report["n"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fastest(folder: Path, metadata: dict) -> str:
    for form in ("int8", "litert"):
        facts = metadata.get("forms", {}).get(form, {})
        if (folder / FORMS[form]).is_file() and facts.get("accuracy_change", 0) >= -INT8_LOSS:
            return form
    return "keras"


def _whole_file(folder: Path, name: str, wanted_hash: str) -> None:
    if not (folder / name).is_file():
        raise BundleError(f"{folder} is no model bundle: {name} is missing; train one with `ferlib train`")
    if file_hash(folder / name) != wanted_hash:
        raise BundleError(f"{folder / name} is not the file that was saved with its metadata; restore both")


def _compiled_call(model):
    """The forward pass as one compiled function of uint8 (n, h, w); `model.predict` is 15 times slower."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def forward(faces):
        return model(tf.cast(faces, tf.float32)[..., tf.newaxis], training=False)

    return lambda faces: forward(tf.constant(faces)).numpy()


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
