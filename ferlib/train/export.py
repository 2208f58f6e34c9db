"""Export a bundle to the formats that other programs load; each is checked to give the same predictions.

json           model.json and model.weights.h5, as the reference systems have theirs
litert         model.tflite: LiteRT, float32
litert-int8    model.int8.tflite: LiteRT, weights of 8 bits with a scale per channel

The 8-bit format is LiteRT's "dynamic range" quantization: activations are scaled to 8 bits at run time, batch by batch,
so it needs no calibration. On FER2013 it is closer to float32 than the format with fixed scales, and as fast
(`tests/tools/bench_litert.py` measures both).
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras, silenced_stderr
from ferlib.common.errors import BadInputError, BundleError, check_choice
from ferlib.common.files import write_text
from ferlib.common.labels import SEVEN
from ferlib.dataset import build, splits
from ferlib.model.bundle import load_bundle
from ferlib.model.litert import open_model
from ferlib.model.metadata import FORMS, METADATA_FILE, file_hash, read_metadata, update_metadata
from ferlib.model.predictor import fit_input

FORMATS = ("json", "litert", "litert-int8")
ARCHITECTURE_FILE, WEIGHTS_FILE = "model.json", "model.weights.h5"

TOLERANCE = 1e-4
"""The largest difference of a probability that is allowed in a float32 format."""

MIN_AGREEMENT = 0.9
"""The share of faces for which the 8-bit format must predict the same class as float32."""

DRAWN_FACES = 140
"""How many drawn faces an export is checked on where no others are given."""

HOW_TO_LOAD = f"""model = keras.models.model_from_json(open("{ARCHITECTURE_FILE}").read())
model.load_weights("{WEIGHTS_FILE}")"""


@dataclass(frozen=True, eq=False)
class CheckFaces:
    """Faces on which an export is compared with its bundle.

    Attributes:
        pixels: uint8 (n, height, width), sides as the bundle takes them.
        labels: int (n,) in the classes of the bundle; None if unknown.
        source: What the faces are.
    """

    pixels: np.ndarray
    labels: np.ndarray | None = None
    source: str = "faces"


def export_bundle(
    folder: str | os.PathLike, out: str | os.PathLike, form: str, check: CheckFaces
) -> dict[str, Any]:
    """Write the model of a bundle in another format.

    Args:
        folder: The folder of the bundle.
        out: The folder to write to. It may be that of the bundle: then `load_bundle(folder, form="litert")` or "int8"
            finds the model there. Elsewhere the metadata are written too.
        form: One of `FORMATS`.
        check: The faces to compare the predictions on.

    Returns:
        What is stored in the metadata under `forms`: `sha256`, `faces` (their number), `source`, `largest_difference`
        of a probability, `same_answer` (share of faces with the same class) and, with labels, `accuracy_change`
        (negative where the format is worse).

    Raises:
        BadInputError: An unknown format, or no faces.
        BundleError: The predictions differ by more than TOLERANCE (8 bits: agree for less than MIN_AGREEMENT of the
            faces), or `out` holds another model; nothing is written then.
    """
    check_choice("format", form, FORMATS)
    if not len(check.pixels):
        raise BadInputError("an export is checked on faces, got none")
    bundle, folder, out = load_bundle(folder), Path(folder), Path(out)
    if (out / METADATA_FILE).is_file() and read_metadata(out)["sha256"] != bundle.metadata["sha256"]:
        raise BundleError(f"{out} holds another model; export to another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Keras insists on the end of the names, so the incomplete files are in a folder of their own
    with tempfile.TemporaryDirectory(prefix=".export", dir=out if out.is_dir() else out.parent) as name:
        part = Path(name)
        predict = (_write_json if form == "json" else _write_litert)(bundle.model, part, form)
        facts = compare(bundle.predict(check.pixels), predict(check.pixels), check, form)
        hashes = {file.name: file_hash(file) for file in sorted(part.iterdir())}
        out.mkdir(exist_ok=True)
        for file in hashes:
            (part / file).replace(out / file)
    facts["sha256"] = hashes if form == "json" else next(iter(hashes.values()))
    facts |= {"faces": len(check.pixels), "source": check.source}
    if not (out / METADATA_FILE).is_file():
        write_text(out / METADATA_FILE, (folder / METADATA_FILE).read_text(encoding="utf-8"))
        update_metadata(out, forms={}, metrics=bundle.metadata["metrics"])
    forms = read_metadata(out).get("forms", {})
    update_metadata(out, forms=forms | {form.replace("litert-", ""): facts})
    return facts


def _write_json(model: Any, folder: Path, form: str) -> Callable[[np.ndarray], np.ndarray]:
    """Write the files; returns what the model that is loaded from them predicts."""
    keras = import_keras()
    (folder / ARCHITECTURE_FILE).write_text(model.to_json(), encoding="utf-8")
    model.save_weights(folder / WEIGHTS_FILE)
    loaded = keras.models.model_from_json((folder / ARCHITECTURE_FILE).read_text(encoding="utf-8"))
    loaded.load_weights(folder / WEIGHTS_FILE)
    return lambda faces: loaded.predict(faces[..., None].astype(np.float32), verbose=0)


def _write_litert(model: Any, folder: Path, form: str) -> Callable[[np.ndarray], np.ndarray]:
    content = convert(model, form == "litert-int8")
    (folder / FORMS[form.replace("litert-", "")]).write_bytes(content)
    forward, _, _ = open_model(content)
    return lambda faces: np.concatenate([forward(faces[k : k + 64]) for k in range(0, len(faces), 64)])


def compare(expected: np.ndarray, exported: np.ndarray, check: CheckFaces, form: str) -> dict[str, Any]:
    """Compare the predictions of an exported model with those of its bundle.

    Args:
        expected: Probabilities of the bundle, (n, classes).
        exported: Those of the exported model.
        check: The faces that both were given.
        form: One of `FORMATS`, or "page".

    Returns:
        `largest_difference`, `same_answer` and, with labels, `accuracy_change`, as in `export_bundle`.

    Raises:
        BundleError: They differ by more than is allowed.
    """
    difference, classes = float(np.abs(expected - exported).max()), exported.argmax(axis=1)
    same = float((expected.argmax(axis=1) == classes).mean())
    fits = same >= MIN_AGREEMENT if form in ("litert-int8", "page") else difference <= TOLERANCE
    if not fits or not np.isfinite(difference):
        raise BundleError(
            f"the {form} format differs from the model (same class for {same:.1%} of {len(expected)} faces, "
            f"largest difference {difference:.2g}), so it is not written; use another format"
        )
    facts = {"largest_difference": difference, "same_answer": round(same, 5)}
    if check.labels is not None and form != "json":
        change = (classes == check.labels).mean() - (expected.argmax(axis=1) == check.labels).mean()
        facts["accuracy_change"] = round(float(change), 5)
    return facts


def convert(model: Any, eight_bits: bool = False) -> bytes:
    """Convert a Keras model to LiteRT; batch normalisation is folded into the convolutions.

    Args:
        model: The model.
        eight_bits: Whether the kernels are stored as int8.

    Returns:
        The content of a `.tflite` file: float32 in, float32 out, any number of faces.
    """
    with converter_silenced():
        ready = converter(model)
        if eight_bits:
            import tensorflow as tf

            ready.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(ready.convert())


def converter(model: Any) -> Any:
    """Create a LiteRT converter; use it within `converter_silenced`.

    Args:
        model: The Keras model; its weights are frozen in the converter.

    Returns:
        The converter.
    """
    import_keras()
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    forward = tf.function(lambda faces: model(faces, training=False), input_signature=signature)
    # the converter would leave the weights of Keras 3 out if they were still variables
    frozen = convert_variables_to_constants_v2(forward.get_concrete_function())
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())


@contextmanager
def converter_silenced() -> Iterator[None]:
    """Suppress the pages that the converter prints: from Python, from C++, by `warnings` and by `logging`.

    Yields:
        Nothing.
    """
    before, unseen = logging.root.manager.disable, StringIO()
    try:
        with warnings.catch_warnings(action="ignore"), silenced_stderr():
            logging.disable(logging.WARNING)
            with redirect_stdout(unseen), redirect_stderr(unseen):
                yield
    finally:
        logging.disable(before)


def check_faces(folder: str | os.PathLike, data: str | os.PathLike | None = None) -> CheckFaces:
    """Collect faces to check the export of a bundle on.

    Args:
        folder: The folder of the bundle.
        data: A FER2013 CSV, of whose Training rows the tenth is used that `ferlib train` holds out. A bundle that was
            trained on all rows, or started from another bundle, may have learned these. None for drawn faces, without
            labels, because a network need not predict drawings well.

    Returns:
        The faces.
    """
    metadata = read_metadata(folder)
    if data is None:
        kept = build.from_drawn(DRAWN_FACES, seed=7, class_names=SEVEN)
    else:
        rows = build.read_data(data).with_classes(metadata["class_names"]).part("Training")
        kept = rows.select(splits.held_out(rows, 0.1, metadata.get("settings", {}).get("seed", 7)))
    faces = fit_input(kept.pixels, metadata["input_shape"])
    if data is None:
        return CheckFaces(faces, source="drawn faces")
    part = "Training" if {"repeats", "began_with"} & metadata.keys() else "held-out Training"
    return CheckFaces(faces, kept.labels, f"{part} rows of {Path(data).name}")
