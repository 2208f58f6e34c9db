"""What a bundle says about itself: metadata.json, the files of its forms, their hashes."""

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from ferlib.common import labels
from ferlib.common.errors import BadInputError, BundleError, LabelError, reading
from ferlib.common.files import disguise, read_json, write_text

MODEL_FILE = "model.keras"
METADATA_FILE = "metadata.json"
METRICS_FILE = "metrics.json"

FORMS = {"keras": MODEL_FILE, "litert": "model.tflite", "int8": "model.int8.tflite"}
"""The forms that a model may have in its bundle, and the file of each."""

MAX_SIDE = 1024
"""The longest side of a face that a network may take, in pixels."""

INT8_LOSS = 0.003
"""How much accuracy int8 may lose, as a share of the faces, and still be taken as the fastest form."""

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")

UNKNOWN_CROP = {"detector": "unknown", "margin": None}
"""How the faces were cut, where nobody says."""
NO_METRICS = f"`ferlib evaluate --json` writes them next to it, as {METRICS_FILE}"

_HEADLINES = ("usage", "n", "accuracy", "interval", "balanced_accuracy", "flip", "tta")


def write_history(history: Sequence[dict], path: Path) -> None:
    """Write history.csv.

    Args:
        history: One row per epoch.
        path: The file. Its columns are HISTORY_COLUMNS, then what else the rows have.
    """
    others = [key for key in (history[0] if history else ()) if key not in HISTORY_COLUMNS]
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*HISTORY_COLUMNS, *others], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def read_metadata(folder: str | os.PathLike) -> dict:
    """Read and check the metadata of a bundle; the model's files are not read.

    Args:
        folder: The bundle.

    Returns:
        metadata.json, with "unknown" for fields that an older bundle lacks, and the headline figures of
        metrics.json as `metrics`.

    Raises:
        BundleError: The file is missing, cannot be read, or contradicts itself.
    """
    folder = Path(folder)
    path = folder / METADATA_FILE
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a model bundle: {METADATA_FILE} is missing; train one with `ferlib train`"
        )
    metadata = read_json(path, BundleError)
    with reading(path, BundleError, "restore it or train again"):
        metadata = UNKNOWN_CROP | {"metrics": NO_METRICS} | metadata
        if not isinstance(metadata["class_names"], list):
            raise ValueError("class_names is not a list")
        try:
            labels.parse_classes(metadata["class_names"])
        except LabelError as error:  # it names the class, not the file
            raise ValueError(error) from error
        height, width, channels = metadata["input_shape"]
        sides = isinstance(height, int) and isinstance(width, int) and min(height, width) >= 1
        if (
            not sides
            or max(height, width) > MAX_SIDE
            or channels != 1
            or metadata.get("colour", "gray") != "gray"
        ):
            raise ValueError(
                f"faces are gray (h, w, 1) of at most {MAX_SIDE} pixels, not {metadata['input_shape']}"
            )
        if metadata["margin"] is not None and not 0 <= metadata["margin"] < 10:
            raise ValueError(f"the margin {metadata['margin']} is not a share of a box")
        forms = metadata.get("forms", {})
        if not isinstance(metadata["sha256"], str) or not all(
            isinstance(form, dict) for form in forms.values()
        ):
            raise ValueError("sha256 is not text, or forms is not a table")
    metadata["metrics"] = _headlines(folder) or metadata["metrics"]
    return metadata


def update_metadata(folder: str | os.PathLike, **facts: object) -> dict:
    """Add what is known only after the model was saved: figures, `detector` and `margin`, hashes of other forms.

    Args:
        folder: The bundle.
        **facts: Fields to write, next to the headline figures of metrics.json.

    Returns:
        The new metadata.

    Raises:
        BadInputError: A field says which model it is (`class_names`, `input_shape`, `sha256`).
    """
    fixed = sorted({"class_names", "input_shape", "sha256"} & set(facts))
    if fixed:
        raise BadInputError(f"{', '.join(fixed)} belong to the model; save a new bundle instead")
    metadata = read_metadata(folder) | facts
    write_text(Path(folder) / METADATA_FILE, json.dumps(metadata, indent=1) + "\n")
    return metadata


def check_shapes(path: Path, model_input: Sequence, model_output: Sequence, metadata: dict) -> None:
    """Check that a model fits its metadata.

    Args:
        path: The model's file, for the message.
        model_input: Shape of its input, with the batch first.
        model_output: Shape of its output.
        metadata: The bundle's metadata.

    Raises:
        BundleError: The model has another input or another number of classes.
    """
    shape, n_classes = tuple(metadata["input_shape"]), len(metadata["class_names"])
    if model_output[-1] != n_classes or tuple(model_input[1:]) != shape:
        raise BundleError(
            f"{path}: the model maps {tuple(model_input)} to {tuple(model_output)}, the metadata say "
            f"{shape} and {n_classes} classes"
        )


def check_file(path: Path, sha256: str | None, remedy: str) -> None:
    """Check that a file of a bundle is there and is the one that was saved with its metadata.

    Args:
        path: The file.
        sha256: Its hash in the metadata.
        remedy: What to do, for the messages.

    Raises:
        BundleError: The file is missing, or has another hash.
    """
    if not path.is_file():
        raise BundleError(f"{path} is missing; {remedy}")
    if file_hash(path) != sha256:
        with path.open("rb") as file:
            if other := disguise(file.read(256)):
                raise BundleError(f"{path} is {other}")
        raise BundleError(
            f"{path} is not the file that was saved with its metadata; restore both, or {remedy}"
        )


def fastest_form(folder: Path, metadata: dict) -> str:
    """Choose the fastest form of a bundle.

    Args:
        folder: The bundle.
        metadata: Its metadata.

    Returns:
        The first of "int8" and "litert" that is there and loses at most INT8_LOSS, else "keras".
    """
    for form in ("int8", "litert"):
        facts = metadata.get("forms", {}).get(form, {})
        if (folder / FORMS[form]).is_file() and facts.get("accuracy_change", 0) >= -INT8_LOSS:
            return form
    return "keras"


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _headlines(folder: Path) -> dict | None:
    """The figures of metrics.json that a reader asks for first; None where it is missing or not a report."""
    try:
        report = read_json(folder / METRICS_FILE)
        return {name: report[name] for name in _HEADLINES if name in report} if report["n"] else None
    except (BadInputError, KeyError, TypeError):
        return None
