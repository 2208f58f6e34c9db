"""A bundle read against a data set: rows, classes, parts, the report and its two files."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import classification_report, confusion_matrix

from ferlib.common.errors import BadInputError, DatasetError, LabelError
from ferlib.common.labels import SEVEN, SIX
from ferlib.dataset.splits import Dataset
from ferlib.evaluate import predictions as evaluate

N = 210


class Oracle:
    """Stands in for a bundle: reads the answer out of the first pixel, with doubt from the second."""

    def __init__(self, class_names=SEVEN):
        self.name = "oracle"
        self.class_names = tuple(class_names)
        self.seen = 0

    def predict(self, faces, flip=False):
        assert faces.dtype == np.uint8
        self.seen += len(faces)
        self.flipped = flip
        k = len(self.class_names)
        doubt = (faces[:, 0, 1] / 255.0)[:, None]
        said = np.eye(k)[faces[:, 0, 0].astype(int) % k]
        return ((1 - doubt) * said + doubt / k).astype(np.float32)


def make_dataset(class_names=SEVEN, usages=("Training", "PublicTest", "PrivateTest"), wrong=0.3):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, len(class_names), N)
    pixels = np.zeros((N, 48, 48), dtype=np.uint8)
    pixels[:, 0, 0] = np.where(rng.random(N) < wrong, rng.integers(0, len(class_names), N), labels)
    pixels[:, 0, 1] = rng.integers(0, 200, N)
    usage = np.array(usages)[np.arange(N) % len(usages)]
    return Dataset(pixels, labels, usage, tuple(class_names))


def test_report_equals_scikit_learn():
    dataset = make_dataset()
    result = evaluate.evaluate_bundle(Oracle(), dataset)
    mine = dataset.usage == "PrivateTest"
    truth, predicted = dataset.labels[mine], dataset.pixels[mine, 0, 0]
    theirs = classification_report(
        truth, predicted, labels=range(7), target_names=SEVEN, output_dict=True, zero_division=np.nan
    )
    assert result["n"] == N // 3
    assert result["class_names"] == list(SEVEN)
    assert result["confusion_matrix"] == confusion_matrix(truth, predicted, labels=range(7)).tolist()
    assert result["accuracy"] == pytest.approx(np.mean(truth == predicted))
    assert result["balanced_accuracy"] == pytest.approx(theirs["macro avg"]["recall"])
    assert result["macro_f1"] == pytest.approx(theirs["macro avg"]["f1-score"])
    assert result["majority_class"] == SEVEN[np.bincount(truth).argmax()]
    for name in SEVEN:
        ours = result["per_class"][name]
        assert (ours["precision"], ours["recall"], ours["f1"]) == pytest.approx(
            (theirs[name]["precision"], theirs[name]["recall"], theirs[name]["f1-score"])
        )
        assert ours["support"] == theirs[name]["support"]
    assert (result["usage"], result["note"], result["model"]) == ("PrivateTest", "", "oracle")


def test_only_the_rows_of_the_part_are_read():
    bundle = Oracle()
    evaluate.evaluate_bundle(bundle, make_dataset(), usage="Training")
    assert bundle.seen == N // 3


def test_flip_reaches_the_model():
    bundle = Oracle()
    assert evaluate.evaluate_bundle(bundle, make_dataset(), flip=True)["flip"] is True
    assert bundle.flipped
    evaluate.evaluate_bundle(bundle, make_dataset())
    assert not bundle.flipped


def test_classes_keep_their_rows_and_take_the_larger_of_their_probabilities():
    dataset = make_dataset()
    predictions = evaluate.predict_rows(Oracle(), dataset, classes="happy,neutral")
    keep = np.flatnonzero((dataset.usage == "PrivateTest") & np.isin(dataset.labels, [3, 6]))
    assert predictions.rows.tolist() == keep.tolist()
    assert predictions.class_names == ("happy", "neutral")
    probabilities = Oracle().predict(dataset.pixels[keep])
    larger = (probabilities[:, 6] > probabilities[:, 3]).astype(int)
    assert predictions.y_pred.tolist() == larger.tolist()
    assert predictions.y_true.tolist() == (dataset.labels[keep] == 6).astype(int).tolist()
    np.testing.assert_allclose(predictions.y_prob.sum(axis=1), 1)


def test_without_private_rows_the_public_ones_are_read_and_it_says_so():
    dataset = make_dataset(usages=("Training", "PublicTest"))
    result = evaluate.evaluate_bundle(Oracle(), dataset)
    assert result["usage"] == "PublicTest"
    assert result["note"] == "the data set has no PrivateTest rows: evaluated on PublicTest"
    assert result["n"] == N // 2
    assert evaluate.evaluate_bundle(Oracle(), dataset, usage="PublicTest")["note"] == ""


@pytest.mark.parametrize(
    "model, data, expected",
    [
        (SEVEN, SEVEN, SEVEN),
        (SEVEN, SIX, SIX),
        (SIX, SEVEN, SIX),
        (SEVEN, ("happy", "neutral"), ("happy", "neutral")),
        (("happy", "rest"), SEVEN, ("happy", "rest")),
        (SEVEN, ("happy", "rest"), ("happy", "rest")),
        (tuple(sorted(SEVEN)), SEVEN, tuple(sorted(SEVEN))),
    ],
)
def test_common_classes(model, data, expected):
    assert evaluate.common_classes(model, data) == expected
    result = evaluate.evaluate_bundle(Oracle(model), make_dataset(data))
    assert result["class_names"] == list(expected)
    assert sum(map(sum, result["confusion_matrix"])) == result["n"] > 0


def test_a_model_in_alphabetical_order_is_judged_by_names_not_by_numbers():
    alphabetical = tuple(sorted(SEVEN))
    dataset = make_dataset(wrong=0)
    dataset.pixels[:, 0, 0] = [alphabetical.index(SEVEN[label]) for label in dataset.labels]
    result = evaluate.evaluate_bundle(Oracle(alphabetical), dataset)
    assert result["accuracy"] == 1
    assert result["class_names"] == list(alphabetical)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"usage": "Test"}, "no Test rows; its Usage values are: PrivateTest, PublicTest, Training"),
        ({"classes": "happy,joy"}, "unknown emotion 'joy'"),
        ({"classes": "happy"}, "at least two classes"),
    ],
)
def test_bad_requests(change, said):
    with pytest.raises(BadInputError, match=said):
        evaluate.evaluate_bundle(Oracle(), make_dataset(), **change)


def test_classes_that_are_not_there():
    with pytest.raises(LabelError, match="the model does not know neutral"):
        evaluate.evaluate_bundle(Oracle(("happy", "sad")), make_dataset(), classes="happy,neutral")
    with pytest.raises(DatasetError, match="no PrivateTest row of the data set shows fear, sad"):
        evaluate.evaluate_bundle(Oracle(), make_dataset(("happy", "neutral")), classes="fear,sad")
    with pytest.raises(LabelError, match="no class set fits both"):
        evaluate.evaluate_bundle(Oracle(("happy", "sad")), make_dataset(("fear", "neutral")))
    empty = make_dataset().select(np.zeros(N, dtype=bool))
    with pytest.raises(DatasetError, match="neither PrivateTest nor PublicTest"):
        evaluate.choose_usage(empty)
    with pytest.raises(DatasetError, match="Usage values are: none"):
        evaluate.choose_usage(empty, "Training")


def test_predictions_file(tmp_path):
    predictions = evaluate.predict_rows(Oracle(), make_dataset())
    evaluate.write_predictions(predictions, tmp_path / "deep" / "predictions.csv")
    table = pd.read_csv(tmp_path / "deep" / "predictions.csv")
    assert list(table.columns) == ["row", "truth", "predicted", *SEVEN]
    assert table["row"].tolist() == predictions.rows.tolist()
    assert table["truth"].tolist() == [SEVEN[label] for label in predictions.y_true]
    assert (table[list(SEVEN)].idxmax(axis=1) == table["predicted"]).all()
    np.testing.assert_allclose(table[list(SEVEN)], predictions.y_prob, atol=1e-6)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["predictions.csv"]


def test_report_file_has_null_for_what_is_not_a_number(tmp_path):
    dataset = make_dataset(wrong=0)
    dataset.labels[dataset.labels == 1] = 0  # no row shows disgust
    dataset.pixels[:, 0, 0] = 3  # and happy is all that is ever said
    dataset.pixels[:, 0, 1] = 0
    result = evaluate.evaluate_bundle(Oracle(), dataset)
    evaluate.write_report(result, tmp_path / "metrics.json")
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert read["per_class"]["disgust"]["recall"] is None
    assert read["per_class"]["angry"]["precision"] is None
    assert read["per_class"]["angry"]["recall"] == 0
    assert read["n"] == result["n"]
    assert np.array(read["confusion_matrix"]).sum() == read["n"]
    assert "NaN" not in (tmp_path / "metrics.json").read_text(encoding="utf-8")
