"""Everything that `ferlib evaluate` measures about a bundle, in one dictionary.

`ferlib.evaluate.predictions` judges predictions; here is what needs more than those: twins, temperature, size and
speed, votes, light, drawn faces, photographs.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import __version__
from ferlib.common.errors import DatasetError, FerlibError, LabelError
from ferlib.common.labels import map_labels
from ferlib.dataset.splits import Dataset, held_out
from ferlib.evaluate import label_errors, metrics, subgroups
from ferlib.evaluate import predictions as evaluate
from ferlib.evaluate.photographs import detector_name, photo_figures, read_photographs
from ferlib.model import calibration
from ferlib.model.metadata import MODEL_FILE
from ferlib.train.baselines import SVM_FILE

PAIR = ("happy", "neutral")
"""The two classes that are always measured by themselves, as system A's were."""


def measure_bundle(
    bundle: Any,
    folder: str | os.PathLike,
    dataset: Dataset,
    usage: str | None = None,
    classes: str | Sequence[str] | None = None,
    flip: bool = True,
    votes: np.ndarray | None = None,
    photos: str | os.PathLike | None = None,
    drawn: int = 0,
) -> tuple[dict[str, Any], evaluate.Predictions, list[str]]:
    """(report, predictions, problems) of a bundle that lies in `folder`.

    To `evaluate.report` it adds `model`, `model_class_names`, `flip`, `model_facts`, `ms_per_face`,
    `without_twins` where the data set has Training rows, `pair` (happy against neutral), `temperature`
    where there are rows to fit it on, `light`; with `votes`, int (n, 10) of all rows of `dataset`, `votes`;
    with `photos`, a folder with legend.csv, `photos`; with `drawn`, a number of faces, `drawn`.
    Nothing is chosen on the judged rows. Errors as of `evaluate.predict_rows`.
    """
    # first, so that a folder that is none shows at once
    photographs, problems = (None, []) if photos is None else read_photographs(photos, bundle, flip=flip)
    predictions = evaluate.predict_rows(bundle, dataset, usage, classes, flip)
    rows = predictions.rows
    right = predictions.y_pred == predictions.y_true
    report = evaluate.report(predictions) | {
        "model": bundle.name,
        "model_class_names": list(bundle.class_names),
        "flip": flip,
        "model_facts": model_facts(bundle, folder),
        "ms_per_face": ms_per_face(bundle, flip),
        "light": _records(subgroups.by_light(dataset.pixels[rows], right)),
    }
    for key, value in (
        ("without_twins", without_twins(predictions, dataset)),
        ("pair", pair_figures(predictions)),
        ("temperature", temperature_figures(bundle, dataset, predictions, flip)),
        ("votes", None if votes is None else vote_figures(predictions, votes, dataset)),
        ("drawn", _records(subgroups.by_drawing(bundle, drawn, flip=flip)) if drawn else None),
    ):
        if value is not None:
            report[key] = value
    if photographs is not None:
        report["photos"] = photo_figures(photographs) | {"detector": detector_name()}
    return report, predictions, problems


def _records(tables: dict[str, pd.DataFrame]) -> dict[str, dict]:
    return {key: table.round(6).to_dict("index") for key, table in tables.items()}


def model_facts(bundle: Any, folder: str | os.PathLike) -> dict[str, Any]:
    """What a model costs: `network`, `parameters`, `file_bytes`, `cores`, `epochs`, `training_seconds`,
    `sha256`, `ferlib`. None for what the bundle does not tell.
    """
    folder = Path(folder)
    metadata = getattr(bundle, "metadata", {})
    history = folder / "history.csv"
    table = pd.read_csv(history) if history.is_file() else None
    file = folder / (MODEL_FILE if (folder / MODEL_FILE).is_file() else SVM_FILE)
    return {
        "network": metadata.get("settings", {}).get("network"),
        "parameters": metadata.get("parameters"),
        "file_bytes": file.stat().st_size if file.is_file() else None,
        "cores": os.cpu_count(),
        "epochs": None if table is None else len(table),
        "training_seconds": float(table["seconds"].sum())
        if table is not None and "seconds" in table
        else None,
        "sha256": metadata.get("sha256"),
        "ferlib": __version__,
    }


def ms_per_face(bundle: Any, flip: bool = False, calls: int = 60) -> float:
    """Milliseconds for one face in one call: the median of many, after some to warm up."""
    height, width = getattr(bundle, "input_shape", (48, 48, 1))[:2]
    face = np.random.default_rng(7).integers(0, 256, (1, height, width)).astype(np.uint8)
    seconds = []
    for _ in range(calls + 10):
        started = time.perf_counter()
        bundle.predict(face, flip=flip)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[10:]) * 1000)


def without_twins(predictions: evaluate.Predictions, dataset: Dataset) -> dict[str, Any] | None:
    """The figures over the judged rows of which no exact copy is in Training: `twins` (rows left out), `n`,
    `accuracy`, `interval`, `balanced_accuracy`. None without Training rows, or where those are judged.
    """
    training = dataset.usage == "Training"
    if not training.any() or predictions.usage == "Training":
        return None
    groups = dataset.groups
    twin = np.isin(groups[predictions.rows], groups[training])
    facts = _few(predictions, ~twin)
    return None if facts is None else {"twins": int(twin.sum())} | facts


def _few(predictions: evaluate.Predictions, keep: np.ndarray) -> dict[str, Any] | None:
    """The main figures over some of the rows; None when there are none."""
    if not keep.any():
        return None
    names = predictions.class_names
    matrix = metrics.confusion_matrix(predictions.y_true[keep], predictions.y_pred[keep], len(names))
    figures = metrics.summary(matrix)
    return {key: figures[key] for key in ("n", "accuracy", "interval", "balanced_accuracy")}


def pair_figures(predictions: evaluate.Predictions) -> dict[str, Any] | None:
    """Happy against neutral: all rows of both classes, the larger of the two probabilities being the answer.

    `class_names` beside the main figures; None where the model does not know both, or these two only.
    """
    chosen = _of_pair(predictions)
    return chosen and {"class_names": list(PAIR)} | _few(chosen, np.ones(len(chosen.rows), bool))


def _of_pair(predictions: evaluate.Predictions) -> evaluate.Predictions | None:
    names = predictions.class_names
    if len(names) == 2 or not set(PAIR) <= set(names):
        return None
    columns = [names.index(name) for name in PAIR]
    labels = map_labels(predictions.y_true, names, PAIR)
    keep = labels >= 0
    if not keep.any():
        return None
    prob = predictions.y_prob[keep][:, columns]
    return evaluate.Predictions(PAIR, predictions.usage, "", predictions.rows[keep], labels[keep], prob)


def temperature_figures(
    bundle: Any, dataset: Dataset, predictions: evaluate.Predictions, flip: bool
) -> dict[str, Any] | None:
    """Temperature fitted on rows that neither moved the weights nor are judged, and what it does to the judged.

    `value`, `fitted_on` (words), `n_fitted`, and `calibration` of the judged rows afterwards. Where there are no
    such rows, the one that a bundle's metadata have from the recipe that it repeats, for all its classes and with
    mirror images; else None.
    """
    rows, words = fitting_rows(bundle, dataset, predictions.usage)
    again = getattr(bundle, "metadata", {}).get("repeats")
    if len(rows):
        chosen = dataset.select(rows).with_usage("Training")
        try:
            fitted = evaluate.predict_rows(bundle, chosen, "Training", predictions.class_names, flip)
        except (DatasetError, LabelError):
            return None
        value, count = calibration.fit_temperature(fitted.y_true, fitted.y_prob), len(fitted.rows)
    elif again and flip and predictions.usage != "Training" and predictions.class_names == bundle.class_names:
        value, count = again["temperature"], again["held_out_rows"]
        words = f"the rows that `{again['name']}` had split off, with its network"
    else:
        return None
    softened = calibration.with_temperature(predictions.y_prob, value)
    return {
        "value": value,
        "fitted_on": words,
        "n_fitted": count,
        "calibration": evaluate.calibration_figures(predictions.y_true, softened),
    }


def fitting_rows(bundle: Any, dataset: Dataset, judged: str) -> tuple[np.ndarray, str]:
    """Rows for fitting a temperature, and what they are in words; none and "" where there are none.

    The tenth of Training that `ferlib train` splits off, where the bundle says that its own was as large, and
    did not begin with the network of a bundle, which may have learned these rows; else PublicTest,
    where PrivateTest is judged.
    """
    metadata = getattr(bundle, "metadata", {})
    training = np.flatnonzero(dataset.usage == "Training")
    wanted = None if "began_with" in metadata else metadata.get("data", {}).get("held_out_rows")
    if wanted and judged != "Training" and len(training) > wanted:
        try:
            mine = dataset.select(training).with_classes(bundle.class_names)
            off = held_out(mine, 0.1, metadata.get("settings", {}).get("seed", 7))
        except FerlibError:
            off = np.zeros(0, bool)
        if off.sum() == wanted and len(off) == len(training):
            return training[off], "the tenth of the Training rows that was split off"
    if judged == "PrivateTest" and (dataset.usage == "PublicTest").any():
        return np.flatnonzero(dataset.usage == "PublicTest"), "the PublicTest rows"
    return np.zeros(0, np.int64), ""


def vote_figures(predictions: evaluate.Predictions, votes: np.ndarray, dataset: Dataset) -> dict[str, Any]:
    """What FER+'s voters said of the judged rows: `mistakes` and `label_errors` as of `ferlib.evaluate.label_errors`,
    `voters`: how often the voters' own label is FER2013's, ties and no class being wrong; `pair_mistakes`,
    those of happy against neutral, where the voters' label is that of the two that more of them saw; and
    `ceiling`, over the Training rows, where there are some of each class.
    """
    voted = label_errors.voted_label(votes[predictions.rows], predictions.class_names)
    y_true = predictions.y_true
    suspects = label_errors.find_suspects(y_true, predictions.y_prob)
    figures = {
        "voters": _few_voted(y_true, voted),
        "mistakes": label_errors.mistakes_by_votes(y_true, predictions.y_pred, voted),
        "label_errors": label_errors.second_look(suspects, y_true, voted),
    }
    pair = _of_pair(predictions)
    if pair:
        voted = label_errors.voted_pair(votes[pair.rows])
        figures["pair_mistakes"] = label_errors.mistakes_by_votes(pair.y_true, pair.y_pred, voted)
    names = predictions.class_names
    labels = map_labels(dataset.labels, dataset.class_names, names)
    mine = (dataset.usage == "Training") & (labels >= 0)
    if np.bincount(labels[mine], minlength=len(names)).min() >= 5:  # as many as there are folds
        figures["ceiling"] = label_errors.ceiling(votes[mine], labels[mine], names)
    return figures


def _few_voted(y_true: np.ndarray, voted: np.ndarray) -> dict[str, Any]:
    agreed = voted == y_true
    return {
        "n": len(y_true),
        "accuracy": float(agreed.mean()),
        "interval": metrics.wilson_interval(int(agreed.sum()), len(agreed)),
    }
