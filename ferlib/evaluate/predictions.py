"""A bundle read against a data set: predictions, one report of every figure, and the two files of them."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.errors import DatasetError, LabelError
from ferlib.common.files import write_text
from ferlib.common.labels import map_labels, parse_classes, pick_probabilities
from ferlib.dataset.splits import Dataset
from ferlib.evaluate import curves, metrics
from ferlib.model import calibration

TEST_USAGE = "PrivateTest"
"""FER2013's part for the last judgement; some copies of the file come without it."""


@dataclass(frozen=True)
class Predictions:
    """What a model said about the rows of one part of a data set.

    `rows` int64 (n,): row of each in the data set, from 0; `y_true` int64 (n,); `y_prob` float64
    (n, k), rows sum to one; k = len(class_names). `note` is one line on a part that was not there, or "".
    """

    class_names: tuple[str, ...]
    usage: str
    note: str
    rows: np.ndarray
    y_true: np.ndarray
    y_prob: np.ndarray

    @property
    def y_pred(self) -> np.ndarray:
        """The likeliest class of each row: int64 (n,)."""
        return self.y_prob.argmax(axis=1).astype(np.int64)


def choose_usage(dataset: Dataset, wanted: str | None = None) -> tuple[str, str]:
    """The part to judge on and a note: PrivateTest, or PublicTest where the file has none (the note says so).

    Raises DatasetError when the part is not there and nothing stands in for it.
    """
    there = sorted(set(dataset.usage.tolist()))
    if wanted and wanted != TEST_USAGE and wanted not in there:
        raise DatasetError(
            f"the data set has no {wanted} rows; its Usage values are: {', '.join(there) or 'none'}"
        )
    usage = wanted if wanted in there else dataset.test_usage
    note = (
        ""
        if usage in (wanted, TEST_USAGE)
        else f"the data set has no {TEST_USAGE} rows: evaluated on {usage}"
    )
    return usage, note


def common_classes(model_names: Sequence[str], data_names: Sequence[str]) -> tuple[str, ...]:
    """The class set on which a model can be judged by a data set: the smaller one that both can speak of.

    A model of seven and data of six (disgust counted as angry) meet in six. The model's own order
    wins where both know the same classes. Raises LabelError where they have no set in common.
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
        "no class set fits both: name one with classes"
    )


def predict_rows(
    bundle: Any,
    dataset: Dataset,
    usage: str | None = None,
    classes: str | Sequence[str] | None = None,
    flip: bool = False,
) -> Predictions:
    """Read one part of a data set with a bundle.

    `bundle` has `.class_names` and `.predict(uint8 (n, h, w), flip) -> (n, k)`, as
    `ferlib.model.bundle.Bundle` has; `flip` takes the mean of each face and its mirror image. `usage`: None
    for PrivateTest (PublicTest where there is none). `classes` as in `parse_classes`: keeps the rows of
    those classes, and the largest of *their* probabilities is the answer. Raises DatasetError for a
    part without rows, LabelError for classes that model or data set do not know.
    """
    names = parse_classes(classes) if classes else common_classes(bundle.class_names, dataset.class_names)
    usage, note = choose_usage(dataset, usage)
    labels = map_labels(dataset.labels, dataset.class_names, names)
    rows = np.flatnonzero((dataset.usage == usage) & (labels >= 0))
    if not len(rows):
        raise DatasetError(f"no {usage} row of the data set shows {', '.join(names)}; nothing to evaluate")
    probabilities = pick_probabilities(
        bundle.predict(dataset.pixels[rows], flip=flip), bundle.class_names, names
    )
    return Predictions(names, usage, note, rows, labels[rows], probabilities)


def report(predictions: Predictions) -> dict[str, Any]:
    """Every figure of the predictions, ready for JSON.

    `accuracy`, `n`, `class_names`, `confusion_matrix` (lists, rows = truth), `interval` (Wilson, 95 %),
    `balanced_accuracy`, `majority_baseline`, `majority_class`, `macro_f1`, `usage`, `note`;
    `per_class`: class -> precision, recall, f1, support, predicted, every rate of one against the rest,
    auc, ap and recall_interval; `bootstrap`: 95 % intervals of accuracy, balanced accuracy and macro F1;
    `top_2`; `curves`: roc and precision_recall as of `ferlib.evaluate.curves`; `calibration`: ece, log_loss and the
    bins of `ferlib.model.calibration.reliability`; `confused`: the largest confusions.
    """
    names = predictions.class_names
    matrix = metrics.confusion_matrix(predictions.y_true, predictions.y_pred, len(names))
    table = metrics.per_class(matrix, names)
    y_true, y_prob = predictions.y_true, predictions.y_prob
    lines = {
        "roc": curves.roc(y_true, y_prob, names),
        "precision_recall": curves.precision_recall(y_true, y_prob, names),
    }
    bounds = metrics.bootstrap(matrix)
    classes = {}
    for label, name in enumerate(names):
        counts = {key: int(table.loc[name, key]) for key in ("support", "predicted")}
        rates = metrics.binary_rates(metrics.one_against_rest(matrix, label))
        classes[name] = {"precision": rates["precision"], "recall": rates["tpr"], "f1": rates["f1"], **counts}
        classes[name] |= {key: rates[key] for key in ("fpr", "fnr", "tnr", "fdr", "for_", "npv")}
        classes[name] |= {"auc": lines["roc"][name]["auc"], "ap": lines["precision_recall"][name]["ap"]}
        classes[name]["recall_interval"] = bounds["recall"][label]
    return metrics.summary(matrix) | {
        "class_names": list(names),
        "confusion_matrix": matrix.tolist(),
        "majority_class": names[int(matrix.sum(axis=1).argmax())],
        "per_class": classes,
        "usage": predictions.usage,
        "note": predictions.note,
        "bootstrap": {key: bounds[key] for key in ("accuracy", "balanced_accuracy", "macro_f1")},
        "top_2": curves.top_k(y_true, y_prob, 2),
        "confused": metrics.confused(matrix, names),
        "calibration": calibration_figures(y_true, y_prob),
        "curves": lines,
    }


def calibration_figures(y_true: np.ndarray, y_prob: np.ndarray) -> dict[str, Any]:
    """`ece`, `log_loss`, and `bins`: the columns of `calibration.reliability` as lists."""
    table = calibration.reliability(y_true, y_prob)
    return {
        "ece": calibration.expected_error(y_true, y_prob),
        "log_loss": calibration.log_loss(y_true, y_prob),
        "bins": {column: table[column].round(6).tolist() for column in table},
    }


def evaluate_bundle(
    bundle: Any,
    dataset: Dataset,
    usage: str | None = None,
    classes: str | Sequence[str] | None = None,
    flip: bool = False,
) -> dict[str, Any]:
    """`predict_rows`, then `report`, with the model's `name` and class names, and `flip`."""
    result = report(predict_rows(bundle, dataset, usage, classes, flip))
    return result | {"model": bundle.name, "model_class_names": list(bundle.class_names), "flip": flip}


def write_predictions(predictions: Predictions, path: str | os.PathLike) -> None:
    """A CSV with one line a row: `row`, `truth`, `predicted` (names), then a column a class (0..1)."""
    names = np.array(predictions.class_names)
    table = pd.DataFrame(predictions.y_prob.round(6), columns=list(names))
    table.insert(0, "row", predictions.rows)
    table.insert(1, "truth", names[predictions.y_true])
    table.insert(2, "predicted", names[predictions.y_pred])
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_report(result: Mapping[str, Any], path: str | os.PathLike) -> None:
    """A report as a JSON file; what is not a number becomes `null`."""
    text = json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, _LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n")


# The innermost lists, of numbers only, stay on one line: a curve is not sixty lines long.
_LIST = re.compile(r"\[([^\[\]{}\"]*)\]")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
