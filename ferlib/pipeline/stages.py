"""The walk from stage to stage: stamps that say what a folder was made from, and the embedded default.

Each notebook leaves a folder with a `stamp.json`. A stage that misses its input calls one of the
`ensure_*` functions, which make it the way the notebook before does, with its default parameters.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferlib import __version__
from ferlib.annotate.crop import crop_regions
from ferlib.common import labels, paths
from ferlib.common.errors import BadInputError
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
"""How many faces notebook 03 draws beside those that were cropped."""
STAMP = "stamp.json"


def write_stamp(
    folder: str | os.PathLike, stage: str, parameters: Mapping, inputs: Sequence[str | os.PathLike]
) -> None:
    """Leave `stamp.json` in a stage's folder: the parameters, and a hash of each input file."""
    stamp = {
        "stage": stage,
        "ferlib": __version__,
        "parameters": dict(parameters),
        "inputs": {str(Path(path).resolve()): _digest(Path(path)) for path in inputs},
    }
    write_text(Path(folder) / STAMP, json.dumps(stamp, indent=1) + "\n")


def read_stamp(folder: str | os.PathLike) -> dict:
    """The stamp of a folder; an empty dict where there is none or it cannot be read."""
    try:
        return json.loads((Path(folder) / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stale(folder: str | os.PathLike) -> str | None:
    """One line that says which input has changed since the folder was made and what to run again, or None."""
    stamp = read_stamp(folder)
    for path, digest in stamp.get("inputs", {}).items():
        if _digest(Path(path)) != digest:
            return (
                f"{paths.shown(folder)} was made from {paths.shown(path)}, which has changed since: "
                f"run notebook {stamp['stage']} again"
            )
    return None


def ensure_raw() -> Path:
    """The folder of crawled pictures; crawled from the local search site where it is missing."""
    folder = paths.data_work() / "raw"
    if not (folder / "manifest.csv").is_file():
        from ferlib import crawl

        print(f"{paths.shown(folder)} is missing: crawling drawn photos from the local site (notebook 01)")
        crawl.crawl_local(folder, count=PICTURES, seed=SEED)
        parameters = {"SOURCE": "local", "KEYWORD": "faces", "COUNT": PICTURES, "SEED": SEED}
        write_stamp(folder, NOTEBOOKS[0], parameters, [])
    return folder


def ensure_faces(classes: str | Sequence[str] = "seven") -> Path:
    """The folder of cropped faces, labelled by the drawing's own truth where it is missing."""
    folder = paths.data_work() / "faces"
    names = labels.parse_classes(classes)
    reason = _missing(folder, folder / "faces.csv", names)
    if reason:
        raw = ensure_raw()
        print(f"{reason}: cropping by the drawing's own boxes and labels (notebook 02)")
        _crop_by_truth(raw, paths.data_work() / "annotations", folder, names)
        write_stamp(folder, NOTEBOOKS[1], {"CLASSES": list(names)}, [raw / "manifest.csv"])
    return _told(folder)


def ensure_dataset(data: str | os.PathLike = "", classes: str | Sequence[str] = "seven") -> Path:
    """The data set's folder: from the FER2013 CSV `data`, or of drawn faces, where it is missing."""
    folder = paths.data_work() / "dataset"
    names = labels.parse_classes(classes)
    reason = _missing(folder, folder / "emotion_file.csv", names)
    source = str(Path(data).resolve()) if data else ""
    if not reason and data and read_stamp(folder).get("parameters", {}).get("DATA") != source:
        reason = f"{paths.shown(folder)} was made from other data"
    if reason:
        from ferlib.dataset import build

        if data and not Path(data).is_file():
            raise BadInputError(f"DATA names {data}, which is no file; give the path of a FER2013 CSV")
        faces = None if data else ensure_faces(names)
        print(f"{reason}: making it from {Path(data).name if data else 'drawn faces'} (notebook 03)")
        build.write_dataset(build.build_dataset(faces, data, names, EXTRA_FACES, SEED), folder)
        inputs = [Path(data)] if data else [faces / "faces.csv"]
        write_stamp(folder, NOTEBOOKS[2], {"DATA": source, "CLASSES": list(names)}, inputs)
    return _told(folder)


def ensure_bundle(model: str | os.PathLike = "") -> Path:
    """The folder of the model to use: `model`, else the one that notebook 04 left, else the shipped one."""
    if model:
        return Path(model)
    folder = paths.models_work() / "faces"
    if not (folder / "metadata.json").is_file():
        folder = paths.shipped_bundle()
        print(f"No model of notebook 04 yet: using the shipped one, {paths.shown(folder)}")
    return _told(folder)


def _crop_by_truth(raw: Path, annotations: Path, out: Path, class_names: tuple[str, ...]) -> None:
    """Label the crawled pictures by what the drawing knows of them, and crop the faces."""
    from ferlib.annotate import truth
    from ferlib.annotate.formats import vott
    from ferlib.crawl import read_manifest

    manifest = read_manifest(raw)
    vott.write_vott(truth.truth_table(manifest), annotations)
    table, problems = vott.read_vott(annotations)
    # Label files of an earlier crawl may lie there too.
    table = table[table["image"].isin(manifest.loc[manifest["state"] == "ok", "file"])]
    crop_regions(table, raw, out, class_names, problems=problems)
    print(*problems, sep="\n", end="\n" if problems else "")


def _missing(folder: Path, file: Path, names: tuple[str, ...]) -> str | None:
    """Why a stage's folder cannot be used for these classes, or None when it can."""
    if not file.is_file():
        return f"{paths.shown(folder)} is missing"
    made_for = read_stamp(folder).get("parameters", {}).get("CLASSES")
    if made_for is not None and labels.parse_classes(made_for) != names:
        return f"{paths.shown(folder)} was made for other classes"
    return None


def _told(folder: Path) -> Path:
    """The folder, after a line about an input that has changed since it was made."""
    line = stale(folder)
    if line:
        print(line)
    return folder


def _digest(path: Path) -> str:
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
