"""A bundle written in the forms that other programs load, each checked to give the same answers.

json           model.json and model.weights.h5, as the reference systems keep theirs
litert         model.tflite: LiteRT, float32
litert-int8    model.int8.tflite: LiteRT, weights of 8 bits with a scale for each channel

The 8-bit form is LiteRT's "dynamic range": activations are scaled to 8 bits while it runs, batch by
batch, so it needs no calibration. On FER2013 it stays nearer to float32 than the form with scales fixed
beforehand, and is as fast (`tests/tools/bench_litert.py` measures both).
"""

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np

from ferlib.common.backend import import_keras, silenced_stderr
from ferlib.common.errors import BadInputError, BundleError
from ferlib.common.files import whole, write_text
from ferlib.common.images import crop_face
from ferlib.model.bundle import Bundle, load_bundle
from ferlib.model.litert import open_model
from ferlib.model.metadata import FORMS, METADATA_FILE, file_hash, read_metadata, update_metadata

FORMATS = ("json", "litert", "litert-int8")
ARCHITECTURE_FILE, WEIGHTS_FILE = "model.json", "model.weights.h5"

TOLERANCE = 1e-4
"""The largest difference of a probability that a float32 form may show."""

SAME_ANSWER = 0.9
"""The share of faces to which the 8-bit form must give the same class as float32."""

HOW_TO_LOAD = f"""model = keras.models.model_from_json(open("{ARCHITECTURE_FILE}").read())
model.load_weights("{WEIGHTS_FILE}")"""


def export_bundle(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    form: str,
    faces: np.ndarray,
    truth: np.ndarray | None = None,
    source: str = "faces",
) -> dict:
    """Write a bundle's model to the folder `out` in one of FORMATS; returns how it compares.

    `out` may be the bundle itself: then `load_bundle(folder, form="litert")` or "int8" reads it there.
    Elsewhere the metadata go along. `faces`, uint8 (n, h, w), are read by the model and by what was made of
    it; `truth`, int (n,), are their labels if they are known; `source` says what they are.

    Result, also stored in the metadata as `forms[...]`: `sha256`, `faces` (n), `source`,
    `largest_difference` of a probability, `same_answer` (share) and, with truth, `accuracy_change`
    (share, negative where the form is worse). BundleError, and nothing written, where the answers
    differ by more than TOLERANCE (8 bits: agree less than SAME_ANSWER), or `out` holds another model.
    """
    if form not in FORMATS:
        raise BadInputError(f"unknown format {form!r}; known are {', '.join(FORMATS)}")
    if not len(faces):
        raise BadInputError("an export is checked on faces, got none")
    bundle, folder, out = load_bundle(folder), Path(folder), Path(out)
    _same_model(bundle, out)
    wanted = bundle.predict(faces)
    if form == "json":
        facts = _write_json(bundle, out, faces, wanted)
        key = "json"
    else:
        key = "int8" if form == "litert-int8" else "litert"
        content = convert(bundle.model, eight_bits=key == "int8")
        forward, _, _ = open_model(content)
        answers = np.concatenate([forward(faces[k : k + 64]) for k in range(0, len(faces), 64)])
        facts = _compared(wanted, answers, form)
        if truth is not None:
            change = (answers.argmax(axis=1) == truth).mean() - (wanted.argmax(axis=1) == truth).mean()
            facts["accuracy_change"] = round(float(change), 5)
        out.mkdir(parents=True, exist_ok=True)
        with whole(out / FORMS[key]) as part:
            part.write_bytes(content)
        facts["sha256"] = file_hash(out / FORMS[key])
    facts |= {"faces": len(faces), "source": source}
    if not (out / METADATA_FILE).is_file():
        write_text(out / METADATA_FILE, (folder / METADATA_FILE).read_text(encoding="utf-8"))
        update_metadata(out, forms={}, metrics=bundle.metadata["metrics"])
    update_metadata(out, forms=read_metadata(out).get("forms", {}) | {key: facts})
    return facts


def convert(model, eight_bits: bool = False) -> bytes:
    """The bytes of a `.tflite` file for a Keras model: float32 in, float32 out, any number of faces.

    Batch normalisation is folded into the convolutions. With `eight_bits` the kernels are int8.
    """
    with converter_silenced():
        ready = converter(model)
        if eight_bits:
            import tensorflow as tf

            ready.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(ready.convert())


def converter(model):
    """A `tf.lite.TFLiteConverter` for a Keras model, its weights frozen; use it under `converter_silenced`."""
    import_keras()
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    taken = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    forward = tf.function(lambda faces: model(faces, training=False), input_signature=[taken])
    # with the weights still variables, the converter would leave Keras 3's out
    frozen = convert_variables_to_constants_v2(forward.get_concrete_function())
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())


def check_faces(
    folder: str | os.PathLike, data: str | os.PathLike | None = None
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Faces to check a bundle's export on, their labels in the bundle's classes, and what they are.

    `data`: a FER2013 CSV, of whose Training rows the tenth is taken that `ferlib train` holds out, though a bundle
    that repeats a recipe, or began as another bundle, may have learned these too; None for
    drawn faces, which come without labels, for a network need not read drawings well.
    """
    metadata = read_metadata(folder)
    if data is None:
        return drawn_faces(metadata["input_shape"]), None, "drawn faces"
    from ferlib.common import images
    from ferlib.dataset import build, splits

    rows = build.read_data(data).with_classes(metadata["class_names"]).part("Training")
    kept = rows.select(splits.held_out(rows, 0.1, metadata.get("settings", {}).get("seed", 7)))
    height, width, _ = metadata["input_shape"]
    faces = np.stack([images.resize(face, (width, height)) for face in kept.pixels])
    what = "Training" if {"repeats", "began_with"} & metadata.keys() else "held-out Training"
    return faces, kept.labels, f"{what} rows of {Path(data).name}"


def drawn_faces(input_shape: tuple[int, int, int], count: int = 140, seed: int = 7) -> np.ndarray:
    """Drawn faces to check an export on where there is no data: uint8 (count, h, w), cut to their boxes."""
    from ferlib import synth
    from ferlib.common import images

    height, width = input_shape[:2]
    faces = synth.sample_faces(count, seed=seed)
    cut = (crop_face(synth.draw_face(face, 96), synth.face_box(face, 96)) for face in faces)
    return np.stack([images.resize(images.to_gray(face), (width, height)) for face in cut])


def _write_json(bundle: Bundle, out: Path, faces: np.ndarray, wanted: np.ndarray) -> dict:
    keras = import_keras()
    out.mkdir(parents=True, exist_ok=True)
    # Keras insists on the name's end, so the parts lie in a folder, not under other names
    with tempfile.TemporaryDirectory(prefix=".export", dir=out) as made:
        made = Path(made)
        (made / ARCHITECTURE_FILE).write_text(bundle.model.to_json(), encoding="utf-8")
        bundle.model.save_weights(made / WEIGHTS_FILE)
        again = keras.models.model_from_json((made / ARCHITECTURE_FILE).read_text(encoding="utf-8"))
        again.load_weights(made / WEIGHTS_FILE)
        answers = again.predict(faces[..., None].astype(np.float32), verbose=0)
        facts = _compared(wanted, answers, "json")
        facts["sha256"] = {}
        for name in (ARCHITECTURE_FILE, WEIGHTS_FILE):
            facts["sha256"][name] = file_hash(made / name)
            shutil.move(made / name, out / name)
    return facts


def _compared(wanted: np.ndarray, answers: np.ndarray, form: str) -> dict:
    difference = float(np.abs(wanted - answers).max())
    same = float((wanted.argmax(axis=1) == answers.argmax(axis=1)).mean())
    fits = same >= SAME_ANSWER if form == "litert-int8" else difference <= TOLERANCE
    if not fits or not np.isfinite(difference):
        raise BundleError(
            f"the {form} form answers otherwise than the model (same class for {same:.1%} of {len(wanted)} faces, "
            f"largest difference {difference:.2g}), so it is not written; use another format"
        )
    return {"largest_difference": difference, "same_answer": round(same, 5)}


def _same_model(bundle: Bundle, out: Path) -> None:
    if (out / METADATA_FILE).is_file() and read_metadata(out)["sha256"] != bundle.metadata["sha256"]:
        raise BundleError(f"{out} holds another model; export to a folder of its own")


@contextmanager
def converter_silenced() -> Iterator[None]:
    """The converter prints pages: from Python, from C++, by `warnings` and by `logging`."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), silenced_stderr():
            warnings.simplefilter("ignore")
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                yield
    finally:
        logging.disable(before)
