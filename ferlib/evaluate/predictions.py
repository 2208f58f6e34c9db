"""A model's predictions on a data set, the report of their figures, and the two files of them."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferlib.common.errors import DatasetError, LabelError
from ferlib.common.files import write_text
from ferlib.common.labels import map_labels, parse_classes, pick_probabilities
from ferlib.dataset.classes import warn_left_out
from ferlib.dataset.splits import Dataset
from ferlib.evaluate import curves, metrics
from ferlib.model import calibration
from ferlib.model.predictor import Predictor, fit_input

TEST_USAGE = "PrivateTest"
"""FER2013's part for the final test; some copies of the file lack it."""


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for the rows of one part of a data set.

    Attributes:
        class_names: The k classes of the labels and probabilities.
        usage: The part of the data set: "PrivateTest", "PublicTest" or "Training".
        note: One line about a part that was missing, or "".
        rows: The row of each in the data set, from 0: int64 (n,).
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float64 (n, k), each row summing to one.
    """

    class_names: tuple[str, ...]
    usage: str
    note: str
    rows: np.ndarray
    y_true: np.ndarray
    y_prob: np.ndarray

    @property
    def y_pred(self) -> np.ndarray:
        """The most probable class of each row: int64 (n,)."""
        return self.y_prob.argmax(axis=1).astype(np.int64)

    @property
    def correct(self) -> np.ndarray:
        """Whether each row was predicted correctly: bool (n,)."""
        return self.y_pred == self.y_true

    @property
    def matrix(self) -> np.ndarray:
        """The confusion matrix: int64 (k, k), rows are the truth."""
        return metrics.confusion_matrix(self.y_true, self.y_pred, len(self.class_names))


def choose_usage(dataset: Dataset, usage: str | None = None) -> tuple[str, str]:
    """Choose the part of a data set to evaluate on.

    Args:
        dataset: The data set.
        usage: The part to use; None for PrivateTest.

    Returns:
        The part, which is PublicTest where PrivateTest is missing, and a note that says so, or "".

    Raises:
        DatasetError: The part is missing and there is no other to use.
    """
    present = sorted(set(dataset.usage.tolist()))
    if usage and usage != TEST_USAGE and usage not in present:
        raise DatasetError(
            f"the data set has no {usage} rows; its Usage values are: {', '.join(present) or 'none'}"
        )
    chosen = usage if usage and usage in present else dataset.test_usage
    if chosen in (usage, TEST_USAGE):
        return chosen, ""
    return chosen, f"the data set has no {TEST_USAGE} rows: evaluated on {chosen}"


def common_classes(model_names: Sequence[str], data_names: Sequence[str]) -> tuple[str, ...]:
    """Choose the class set on which a model can be evaluated with a data set: the smaller one that fits both.

    A model of seven classes and data of six (disgust counted as angry) are compared on the six.

    Args:
        model_names: The classes of the model; their order is used where both know the same classes.
        data_names: The classes of the data set.

    Returns:
        The class set.

    Raises:
        LabelError: Neither class set fits both.
    """
    model_names, data_names = tuple(model_names), tuple(data_names)
    for names in sorted((model_names, data_names), key=len):
        try:
            mapped = map_labels(np.arange(len(data_names)), data_names, names)
            pick_probabilities(np.ones((1, len(model_names))), model_names, names)
        except LabelError:
            continue
        if (mapped >= 0).any():
            return names
    raise LabelError(
        f"the model knows {', '.join(model_names)} and the data set {', '.join(data_names)}; "
        "no class set fits both: rename the data's (--names Freude=happy), or name classes of both with --classes"
    )


def predict_rows(
    model: Predictor,
    dataset: Dataset,
    usage: str | None = None,
    classes: str | Sequence[str] | None = None,
    tta: str = "none",
) -> Predictions:
    """Predict one part of a data set.

    Args:
        model: The model.
        dataset: The data set.
        usage: The part of it; None for PrivateTest, or PublicTest where that is missing.
        classes: A class set as `ferlib.common.labels.parse_classes` takes it: only rows of these classes are
            kept and only their probabilities compared. None for the set of `common_classes`.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.

    Returns:
        The predictions. Faces of another size than the model takes are resized; rows of other classes are left out,
        with their counts logged.

    Raises:
        DatasetError: The part is missing or has no rows of the classes.
        LabelError: The model or the data set does not know the classes.
    """
    names = parse_classes(classes) if classes else common_classes(model.class_names, dataset.class_names)
    usage, note = choose_usage(dataset, usage)
    labels = map_labels(dataset.labels, dataset.class_names, names)
    part = dataset.usage == usage
    rows = np.flatnonzero(part & (labels >= 0))
    if not len(rows):
        raise DatasetError(f"no {usage} row of the data set shows {', '.join(names)}; nothing to evaluate")
    warn_left_out(dataset.select(part & (labels < 0)), names)
    faces = fit_input(dataset.pixels[rows], model.input_shape)
    probabilities = pick_probabilities(model.predict(faces, tta), model.class_names, names)
    return Predictions(names, usage, note, rows, labels[rows], probabilities)


def build_report(predictions: Predictions) -> dict[str, Any]:
    """Compute every figure of predictions.

    Args:
        predictions: The predictions.

    Returns:
        The content of metrics.json. Beside the figures of `metrics.summary`: `class_names`, `confusion_matrix`,
        `majority_class`, `per_class` (rates against the rest, support, areas, interval of the recall), `usage`,
        `note`, `bootstrap` (95 % intervals of accuracy, balanced accuracy and macro F1), `top_2`, `confused`
        (the most frequent confusions), `calibration` and `curves` (`roc` and `precision_recall`).
    """
    names, y_true, y_prob = predictions.class_names, predictions.y_true, predictions.y_prob
    matrix = predictions.matrix
    roc = curves.roc_curves(y_true, y_prob, names)
    precision_recall = curves.precision_recall_curves(y_true, y_prob, names)
    bounds = metrics.bootstrap(matrix)
    per_class = {}
    for label, name in enumerate(names):
        rates = metrics.binary_rates(metrics.one_vs_rest(matrix, label))
        per_class[name] = {
            "precision": rates["precision"],
            "recall": rates["tpr"],
            "f1": rates["f1"],
            "support": int(matrix[label].sum()),
            "predicted": int(matrix[:, label].sum()),
            **{key: rates[key] for key in ("fpr", "fnr", "tnr", "fdr", "for_", "npv")},
            "auc": roc[name]["auc"],
            "ap": precision_recall[name]["ap"],
            "recall_interval": bounds["recall"][label],
        }
    return metrics.summary(matrix) | {
        "class_names": list(names),
        "confusion_matrix": matrix.tolist(),
        "majority_class": names[int(matrix.sum(axis=1).argmax())],
        "per_class": per_class,
        "usage": predictions.usage,
        "note": predictions.note,
        "bootstrap": {key: bounds[key] for key in ("accuracy", "balanced_accuracy", "macro_f1")},
        "top_2": curves.top_k_accuracy(y_true, y_prob, 2),
        "confused": metrics.top_confusions(matrix, names),
        "calibration": calibration_figures(y_true, y_prob),
        "curves": {"roc": roc, "precision_recall": precision_recall},
    }


def calibration_figures(y_true: np.ndarray, y_prob: np.ndarray) -> dict[str, Any]:
    """Compute the figures of calibration.

    Args:
        y_true: True labels, int64 (n,).
        y_prob: Probabilities, float (n, classes).

    Returns:
        `ece`, `log_loss`, and `bins`: the columns of `ferlib.model.calibration.reliability` as lists.
    """
    return {
        "ece": calibration.expected_calibration_error(y_true, y_prob),
        "log_loss": calibration.log_loss(y_true, y_prob),
        "bins": calibration.reliability(y_true, y_prob).round(6).to_dict("list"),
    }


def evaluate_bundle(
    model: Predictor,
    dataset: Dataset,
    usage: str | None = None,
    classes: str | Sequence[str] | None = None,
    tta: str = "none",
) -> dict[str, Any]:
    """Predict one part of a data set and compute every figure of the predictions.

    Args:
        model: The model; a bundle, or anything else with `name` and `predict`.
        dataset: The data set.
        usage: The part of it, as for `predict_rows`.
        classes: A class set, as for `predict_rows`.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.

    Returns:
        What `build_report` and `model_entries` return.

    Raises:
        DatasetError: The part is missing or has no rows of the classes.
        LabelError: The model or the data set does not know the classes.
    """
    return build_report(predict_rows(model, dataset, usage, classes, tta)) | model_entries(model, tta)


def model_entries(model: Predictor, tta: str) -> dict[str, Any]:
    """State in a report which model made it, and how.

    Args:
        model: The model.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`.

    Returns:
        `model` (its name), `model_class_names`, `tta`, and `flip`: whether mirror images were averaged.
    """
    names = list(model.class_names)
    return {
        "model": getattr(model, "name", ""),
        "model_class_names": names,
        "flip": tta != "none",
        "tta": tta,
    }


def write_report(report: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a report as a JSON file.

    Args:
        report: The report; NaN becomes `null`.
        path: The file.
    """
    plain = json.dumps(report, default=lambda value: value.tolist())  # NumPy's numbers and arrays
    without_nan = json.loads(plain, parse_constant=lambda _: None)
    text = json.dumps(without_nan, indent=2, ensure_ascii=False)
    # lists of numbers stay on one line, or each curve would take sixty lines
    text = re.sub(r"\[([^\[\]{}\"]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    write_text(path, text + "\n")
