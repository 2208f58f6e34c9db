"""Everything that `ferlib evaluate` measures of a bundle, in one report.

`ferlib.evaluate.predictions` computes what follows from predictions alone. This module adds what needs more:
copies in Training, temperature, size and speed, votes, light, drawn faces, photographs.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import __version__
from ferlib.common.errors import DatasetError, FerlibError, LabelError, logger
from ferlib.common.labels import map_labels
from ferlib.dataset.splits import Dataset, held_out
from ferlib.evaluate import label_errors, metrics, subgroups
from ferlib.evaluate.photographs import photo_figures, read_photographs
from ferlib.evaluate.predictions import (
    Predictions,
    build_report,
    calibration_figures,
    model_entries,
    predict_rows,
)
from ferlib.model import calibration
from ferlib.model.metadata import MODEL_FILE
from ferlib.model.predictor import Predictor
from ferlib.model.timing import ms_per_face
from ferlib.train.baselines import SVM_FILE

PAIR = ("happy", "neutral")
"""The two classes that are always evaluated by themselves, as system A's were."""


@dataclass(frozen=True)
class Extras:
    """What else a model is measured on.

    Attributes:
        votes: FER+'s votes on all rows of the data set, int (n, 10), or None.
        photos: A folder of photographs with legend.csv, or None.
        drawn: How many faces to draw; 0 for none.
    """

    votes: np.ndarray | None = None
    photos: str | os.PathLike | None = None
    drawn: int = 0


def measure_bundle(
    model: Predictor,
    folder: str | os.PathLike,
    dataset: Dataset,
    usage: str | None = None,
    classes: str | Sequence[str] | None = None,
    tta: str = "flip",
    extras: Extras | None = None,
) -> tuple[dict[str, Any], Predictions]:
    """Measure a bundle on a data set; nothing is chosen on the rows that are evaluated.

    A part of the data set that is missing and photographs that cannot be used are logged.

    Args:
        model: The model in `folder`.
        folder: The folder of the bundle.
        dataset: The data set, all parts of it.
        usage: The part to evaluate, as for `ferlib.evaluate.predictions.predict_rows`.
        classes: A class set, as for `predict_rows`.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.
        extras: What else to measure; None for nothing.

    Returns:
        The report and the predictions. To `build_report` and `model_entries` the report adds `model_facts`,
        `ms_per_face`, `light`, and where they can be measured `without_twins` (without rows that have a copy in
        Training), `pair` (happy against neutral), `temperature`, `votes`, `drawn` and `photos`.

    Raises:
        DatasetError: The part is missing or has no rows of the classes.
        LabelError: The model or the data set does not know the classes.
        BadInputError: The folder of photographs cannot be used.
    """
    extras = extras or Extras()
    # first, so that a wrong folder is reported at once
    photographs = None if extras.photos is None else read_photographs(extras.photos, model, tta=tta)
    predictions = predict_rows(model, dataset, usage, classes, tta)
    if predictions.note:
        logger.warning(predictions.note)
    faces = dataset.pixels[predictions.rows]
    report = build_report(predictions) | model_entries(model, tta)
    report |= {
        "model_facts": model_facts(model, folder),
        "ms_per_face": ms_per_face(model, tta),
        "light": _to_dicts(subgroups.accuracy_by_light(faces, predictions.correct)),
    }
    optional = {
        "without_twins": without_twins(predictions, dataset),
        "pair": pair_figures(predictions),
        "temperature": temperature_figures(model, dataset, predictions, tta),
    }
    report |= {key: value for key, value in optional.items() if value is not None}
    if extras.votes is not None:
        report["votes"] = vote_figures(predictions, extras.votes, dataset)
    if extras.drawn:
        report["drawn"] = _to_dicts(subgroups.accuracy_on_drawn_faces(model, extras.drawn, tta=tta))
    if photographs is not None:
        report["photos"] = photo_figures(photographs) | {"detector": "yunet"}
    return report, predictions


def _to_dicts(tables: dict[str, pd.DataFrame]) -> dict[str, dict]:
    return {key: table.round(6).to_dict("index") for key, table in tables.items()}


def model_facts(model: Predictor, folder: str | os.PathLike) -> dict[str, Any]:
    """Collect what a model costs.

    Args:
        model: The model in `folder`.
        folder: The folder of the bundle.

    Returns:
        `network`, `parameters`, `file_bytes`, `cores` of this machine, `epochs`, `training_seconds`, `sha256` and
        the version of `ferlib`; None for what the bundle does not say.
    """
    metadata = getattr(model, "metadata", {})
    folder = Path(folder)
    files = [folder / name for name in (MODEL_FILE, SVM_FILE) if (folder / name).is_file()]
    history = folder / "history.csv"
    table = pd.read_csv(history) if history.is_file() else pd.DataFrame()
    return {
        "network": metadata.get("settings", {}).get("network"),
        "parameters": metadata.get("parameters"),
        "file_bytes": files[0].stat().st_size if files else None,
        "cores": os.cpu_count(),
        "epochs": len(table) or None,
        "training_seconds": float(table["seconds"].sum()) if "seconds" in table else None,
        "sha256": metadata.get("sha256"),
        "ferlib": __version__,
    }


def without_twins(predictions: Predictions, dataset: Dataset) -> dict[str, Any] | None:
    """Compute the main figures over the rows of which no exact copy is in Training.

    Args:
        predictions: The predictions.
        dataset: The data set that they are of.

    Returns:
        `twins` (the number of rows left out), `n`, `accuracy`, `interval` and `balanced_accuracy`; None without
        Training rows, where these are evaluated, or where every row has a copy.
    """
    training = dataset.usage == "Training"
    if not training.any() or predictions.usage == "Training":
        return None
    groups = dataset.groups
    twin = np.isin(groups[predictions.rows], groups[training])
    if twin.all():
        return None
    y_true, y_pred = predictions.y_true[~twin], predictions.y_pred[~twin]
    return {"twins": int(twin.sum())} | _main(y_true, y_pred, len(predictions.class_names))


def _main(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> dict[str, Any]:
    figures = metrics.summary(metrics.confusion_matrix(y_true, y_pred, n_classes))
    return {key: figures[key] for key in ("n", "accuracy", "interval", "balanced_accuracy")}


def pair_figures(predictions: Predictions) -> dict[str, Any] | None:
    """Compute the main figures of happy against neutral: all rows of both, predicted by the larger probability.

    Args:
        predictions: The predictions.

    Returns:
        `class_names` and the main figures; None where the model does not know both classes, or only these.
    """
    pair = _select_pair(predictions)
    return None if pair is None else {"class_names": list(PAIR)} | _main(pair.y_true, pair.y_pred, 2)


def _select_pair(predictions: Predictions) -> Predictions | None:
    names = predictions.class_names
    if len(names) == 2 or not set(PAIR) <= set(names):
        return None
    labels = map_labels(predictions.y_true, names, PAIR)
    keep = labels >= 0
    if not keep.any():
        return None
    y_prob = predictions.y_prob[keep][:, [names.index(name) for name in PAIR]]
    return Predictions(PAIR, predictions.usage, "", predictions.rows[keep], labels[keep], y_prob)


def temperature_figures(
    model: Predictor, dataset: Dataset, predictions: Predictions, tta: str
) -> dict[str, Any] | None:
    """Fit a temperature on rows used neither for training nor for this evaluation, and apply it.

    Where there are no such rows, the temperature is the one in the bundle's metadata of the recipe that the
    bundle repeats; it holds for all its classes and `tta="flip"` only.

    Args:
        model: The model.
        dataset: The data set, all parts of it.
        predictions: The predictions to apply the temperature to.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.

    Returns:
        `value`, `fitted_on` (in words), `n_fitted`, and `calibration` of the predictions afterwards; None where
        there is no temperature.
    """
    rows, words = rows_for_temperature(model, dataset, predictions.usage)
    repeated = getattr(model, "metadata", {}).get("repeats")
    same_task = predictions.usage != "Training" and predictions.class_names == model.class_names
    if len(rows):
        chosen = dataset.select(rows).with_usage("Training")
        try:
            fitted = predict_rows(model, chosen, "Training", predictions.class_names, tta)
        except (DatasetError, LabelError):
            return None
        value, count = calibration.fit_temperature(fitted.y_true, fitted.y_prob), len(fitted.rows)
    elif repeated and tta == "flip" and same_task:
        value, count = repeated["temperature"], repeated["held_out_rows"]
        words = f"the rows that `{repeated['name']}` had split off, with its network"
    else:
        return None
    softened = calibration.with_temperature(predictions.y_prob, value)
    return {
        "value": value,
        "fitted_on": words,
        "n_fitted": count,
        "calibration": calibration_figures(predictions.y_true, softened),
    }


def rows_for_temperature(model: Predictor, dataset: Dataset, usage: str) -> tuple[np.ndarray, str]:
    """Choose rows for fitting a temperature.

    They are the tenth of Training that `ferlib train` holds out, if the bundle's metadata say that its own was as
    large and its network did not start from another bundle, which may have been trained on these rows; else
    PublicTest, where PrivateTest is evaluated.

    Args:
        model: The model.
        dataset: The data set, all parts of it.
        usage: The part that is evaluated.

    Returns:
        The row numbers, int64 (m,), and what they are in words; none and "" where there are none.
    """
    metadata = getattr(model, "metadata", {})
    training = np.flatnonzero(dataset.usage == "Training")
    expected = None if "began_with" in metadata else metadata.get("data", {}).get("held_out_rows")
    if expected and usage != "Training" and len(training) > expected:
        try:
            own = dataset.select(training).with_classes(model.class_names)
            off = held_out(own, 0.1, metadata.get("settings", {}).get("seed", 7))
        except FerlibError:
            off = np.zeros(0, bool)
        if off.sum() == expected and len(off) == len(training):
            return training[off], "the tenth of the Training rows that was split off"
    if usage == "PrivateTest" and (dataset.usage == "PublicTest").any():
        return np.flatnonzero(dataset.usage == "PublicTest"), "the PublicTest rows"
    return np.zeros(0, np.int64), ""


def vote_figures(predictions: Predictions, votes: np.ndarray, dataset: Dataset) -> dict[str, Any]:
    """Compute what FER+'s voters say of the evaluated rows.

    Args:
        predictions: The predictions.
        votes: FER+'s votes on all rows of the data set, int (n, 10).
        dataset: The data set.

    Returns:
        `voters` (how often the voters' label is FER2013's; ties count as wrong), `mistakes` and `label_errors` as
        of `ferlib.evaluate.label_errors`; `pair_mistakes`, those between happy and neutral, where the voters'
        label is that one of the two which more of them saw; and `ceiling`, over the Training rows, where
        there are at least five of each class.
    """
    names, y_true = predictions.class_names, predictions.y_true
    voted = label_errors.voted_labels(votes[predictions.rows], names)
    agreed = int((voted == y_true).sum())
    errors = label_errors.find_label_errors(y_true, predictions.y_prob)
    figures: dict[str, Any] = {
        "voters": {
            "n": len(y_true),
            "accuracy": agreed / len(y_true),
            "interval": metrics.wilson_interval(agreed, len(y_true)),
        },
        "mistakes": label_errors.mistakes_by_votes(y_true, predictions.y_pred, voted),
        "label_errors": label_errors.compare_with_votes(errors, y_true, voted),
    }
    pair = _select_pair(predictions)
    if pair is not None:
        voted = label_errors.voted_pair_labels(votes[pair.rows])
        figures["pair_mistakes"] = label_errors.mistakes_by_votes(pair.y_true, pair.y_pred, voted)
    labels = map_labels(dataset.labels, dataset.class_names, names)
    training = (dataset.usage == "Training") & (labels >= 0)
    if np.bincount(labels[training], minlength=len(names)).min() >= 5:  # the number of folds
        figures["ceiling"] = label_errors.label_noise_ceiling(votes[training], labels[training], names)
    return figures
