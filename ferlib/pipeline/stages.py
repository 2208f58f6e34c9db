"""From stage to stage: stamps that record what a folder was made from, and the built-in default.

Each notebook leaves a folder with a `stamp.json`. A stage whose input is missing calls one of the `ensure_*`
functions, which make it as the notebook before does, with its default parameters.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferlib import __version__
from ferlib.annotate.crop import crop_regions
from ferlib.common import labels, paths
from ferlib.common.errors import BadInputError, LabelError
from ferlib.common.files import write_text

NOTEBOOKS = (
    "01_crawl",
    "02_annotate_crop",
    "03_dataset",
    "04_cnn_train",
    "05_evaluate_confusion",
    "06_webcam",
)
SEED = 7
PICTURES = 120
"""How many pictures notebook 01 asks for."""
EXTRA_FACES = 2400
"""How many faces notebook 03 draws in addition to those that were cropped."""
STAMP = "stamp.json"


def write_stamp(
    folder: str | os.PathLike, stage: str, parameters: Mapping, inputs: Sequence[str | os.PathLike]
) -> None:
    """Write `stamp.json` into a stage's folder.

    Args:
        folder: The folder that the stage leaves.
        stage: The notebook's name.
        parameters: What it was made with.
        inputs: The files it was made from; their hashes are kept.
    """
    stamp = {
        "stage": stage,
        "ferlib": __version__,
        "parameters": dict(parameters),
        "inputs": {str(Path(path).resolve()): _digest(Path(path)) for path in inputs},
    }
    write_text(Path(folder) / STAMP, json.dumps(stamp, indent=1) + "\n")


def read_stamp(folder: str | os.PathLike) -> dict:
    """Read the stamp of a folder.

    Args:
        folder: A stage's folder.

    Returns:
        The stamp; an empty dict where there is none or it cannot be read.
    """
    try:
        return json.loads((Path(folder) / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stale_input(folder: str | os.PathLike) -> str | None:
    """Check whether the inputs of a folder have changed since it was made.

    Args:
        folder: A stage's folder.

    Returns:
        One line with the input that has changed and the notebook to run again; None where nothing has.
    """
    stamp = read_stamp(folder)
    for path, digest in stamp.get("inputs", {}).items():
        if _digest(Path(path)) != digest:
            return (
                f"{paths.shown(folder)} was made from {paths.shown(path)}, which has changed since: "
                f"run notebook {stamp['stage']} again"
            )
    return None


def ensure_raw() -> Path:
    """Find the crawled pictures; where they are missing, crawl the local search site.

    Returns:
        The folder with the pictures and manifest.csv.
    """
    folder = paths.data_work() / "raw"
    if not (folder / "manifest.csv").is_file():
        from ferlib import crawl

        print(f"{paths.shown(folder)} is missing: crawling drawn photos from the local site (notebook 01)")
        crawl.crawl_local(folder, count=PICTURES, seed=SEED)
        parameters = {"SOURCE": "local", "KEYWORD": "faces", "COUNT": PICTURES, "SEED": SEED}
        write_stamp(folder, NOTEBOOKS[0], parameters, [])
    return folder


def ensure_faces(classes: str | Sequence[str] = "seven") -> Path:
    """Find the cropped faces; where they are missing, crop and label them by the drawing's ground truth.

    Args:
        classes: The class set, as `labels.parse_classes` takes it.

    Returns:
        The folder with faces.csv and one folder per class.

    Raises:
        LabelError: The drawn faces do not show one of the classes.
    """
    folder = paths.data_work() / "faces"
    names = labels.parse_classes(classes)
    reason = _missing(folder, folder / "faces.csv", names)
    if reason:
        undrawn = [
            name for name in names if not set(labels.emotions_of(name) or labels.SEVEN) & set(labels.SEVEN)
        ]
        if undrawn:
            raise LabelError(
                f"{reason}, and no drawn face shows {', '.join(undrawn)}; crop faces of your own"
            )
        raw = ensure_raw()
        print(f"{reason}: cropping by the drawing's own boxes and labels (notebook 02)")
        _crop_by_truth(raw, paths.data_work() / "annotations", folder, names)
        write_stamp(folder, NOTEBOOKS[1], {"CLASSES": list(names)}, [raw / "manifest.csv"])
    return _with_note(folder)


def ensure_dataset(data: str | os.PathLike = "", classes: str | Sequence[str] = "seven") -> Path:
    """Find the data set; where it is missing, make it.

    Args:
        data: A FER2013 CSV to make it from; "" for drawn faces.
        classes: The class set, as `labels.parse_classes` takes it.

    Returns:
        The folder with emotion_file.csv, train.csv, val.csv, test.csv and the class folders.

    Raises:
        BadInputError: `data` is not a file.
    """
    folder = paths.data_work() / "dataset"
    names = labels.parse_classes(classes)
    reason = _missing(folder, folder / "emotion_file.csv", names)
    source = str(Path(data).resolve()) if data else ""
    if not reason and data and read_stamp(folder).get("parameters", {}).get("DATA") != source:
        reason = f"{paths.shown(folder)} was made from other data"
    if reason:
        from ferlib.dataset import build

        if data and not Path(data).is_file():
            raise BadInputError(f"DATA names {data}, which is not a file; give the path of a FER2013 CSV")
        faces = Path() if data else ensure_faces(names)
        print(f"{reason}: making it from {Path(data).name if data else 'drawn faces'} (notebook 03)")
        build.write_dataset(build.build_dataset(faces, data, names, EXTRA_FACES, SEED), folder)
        inputs = [Path(data)] if data else [faces / "faces.csv"]
        write_stamp(folder, NOTEBOOKS[2], {"DATA": source, "CLASSES": list(names)}, inputs)
    return _with_note(folder)


def ensure_bundle(model: str | os.PathLike = "") -> Path:
    """Find the model to use.

    Args:
        model: A bundle's folder; "" for the one that notebook 04 left, or else the shipped one.

    Returns:
        The bundle's folder.
    """
    if model:
        return Path(model)
    folder = paths.models_work() / "faces"
    if not (folder / "metadata.json").is_file():
        folder = paths.shipped_bundle()
        print(f"No model of notebook 04 yet: using the shipped one, {paths.shown(folder)}")
    return _with_note(folder)


def _crop_by_truth(raw: Path, annotations: Path, out: Path, class_names: tuple[str, ...]) -> None:
    """Label the crawled pictures by their ground truth, and crop the faces."""
    from ferlib.annotate import truth
    from ferlib.annotate.formats import vott
    from ferlib.crawl import read_manifest

    manifest = read_manifest(raw)
    vott.write_vott(truth.truth_table(manifest), annotations)
    table = vott.read_vott(annotations)
    # label files of an earlier crawl may be there, too
    table = table[table["image"].isin(manifest.loc[manifest["state"] == "ok", "file"])]
    crop_regions(table, raw, out, class_names)


def _missing(folder: Path, file: Path, names: tuple[str, ...]) -> str | None:
    """Why a stage's folder cannot be used for these classes, or None when it can."""
    if not file.is_file():
        return f"{paths.shown(folder)} is missing"
    made_for = read_stamp(folder).get("parameters", {}).get("CLASSES")
    if made_for is not None and labels.parse_classes(made_for) != names:
        return f"{paths.shown(folder)} was made for other classes"
    return None


def _with_note(folder: Path) -> Path:
    """The folder, after a printed line about an input that has changed since it was made."""
    line = stale_input(folder)
    if line:
        print(line)
    return folder


def _digest(path: Path) -> str:
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
