"""What a bundle says of itself: metadata.json, the files of its forms, their hashes."""

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from ferlib.common import labels
from ferlib.common.errors import BadInputError, BundleError, LabelError
from ferlib.common.files import write_text

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


def write_history(history: Sequence[dict], path: Path) -> None:
    """`history.csv`: one row an epoch; the columns of HISTORY_COLUMNS, then what else the rows have."""
    others = [key for key in (history[0] if history else ()) if key not in HISTORY_COLUMNS]
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*HISTORY_COLUMNS, *others], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


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


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
