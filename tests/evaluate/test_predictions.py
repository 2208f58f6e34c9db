"""A model's predictions on a data set: rows, classes, parts, the report and the two files."""

import json

import numpy as np
import pytest
from sklearn.metrics import classification_report, confusion_matrix

from ferlib.common.errors import BadInputError, DatasetError, LabelError
from ferlib.common.images import resize
from ferlib.common.labels import SEVEN, SIX
from ferlib.evaluate import predictions as evaluate
from tests.evaluate.conftest import N, Oracle, oracle_dataset


def test_report_equals_scikit_learn():
    dataset = oracle_dataset()
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
    evaluate.evaluate_bundle(bundle, oracle_dataset(), usage="Training")
    assert bundle.seen == N // 3


def test_tta_reaches_the_model_and_the_report():
    bundle = Oracle()
    for tta, flip in (("ten", True), ("flip", True), ("none", False)):
        report = evaluate.evaluate_bundle(bundle, oracle_dataset(), tta=tta)
        assert (bundle.tta, report["tta"], report["flip"]) == (tta, tta, flip)


def test_a_model_of_64_pixels_gets_faces_of_64_pixels(monkeypatch):
    seen = []
    model = Oracle()
    monkeypatch.setattr(model, "input_shape", (64, 64, 1), raising=False)
    monkeypatch.setattr(
        model, "predict", lambda faces, tta: seen.append(faces) or Oracle().predict(faces, tta)
    )
    dataset = oracle_dataset()
    evaluate.predict_rows(model, dataset)
    assert seen[0].shape == (N // 3, 64, 64)
    for face, original in zip(seen[0][:9], dataset.part("PrivateTest").pixels, strict=False):
        assert np.array_equal(face, resize(original, (64, 64))) and face.any()


def test_rows_that_the_model_has_no_class_for_are_counted(caplog):
    dataset = oracle_dataset((*SEVEN, "contempt"))
    predictions = evaluate.predict_rows(Oracle(), dataset)
    part = dataset.part("PrivateTest")
    out = int((part.labels == 7).sum())
    assert out and len(predictions.rows) == len(part) - out
    (line,) = caplog.messages
    assert line == f"faces left out, not of the classes {', '.join(SEVEN)}: {out} of contempt"


def test_classes_keep_their_rows_and_take_the_larger_of_their_probabilities():
    dataset = oracle_dataset()
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
    dataset = oracle_dataset(usages=("Training", "PublicTest"))
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
    result = evaluate.evaluate_bundle(Oracle(model), oracle_dataset(data))
    assert result["class_names"] == list(expected)
    assert sum(map(sum, result["confusion_matrix"])) == result["n"] > 0


def test_a_model_in_alphabetical_order_is_judged_by_names_not_by_numbers():
    alphabetical = tuple(sorted(SEVEN))
    dataset = oracle_dataset(wrong=0)
    dataset.pixels[:, 0, 0] = [alphabetical.index(SEVEN[label]) for label in dataset.labels]
    result = evaluate.evaluate_bundle(Oracle(alphabetical), dataset)
    assert result["accuracy"] == 1
    assert result["class_names"] == list(alphabetical)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"usage": "Test"}, "no Test rows; its Usage values are: PrivateTest, PublicTest, Training"),
        ({"classes": "happy,joy"}, "the model does not know joy"),
        ({"classes": "happy"}, "at least two classes"),
    ],
)
def test_bad_requests(change, said):
    with pytest.raises(BadInputError, match=said):
        evaluate.evaluate_bundle(Oracle(), oracle_dataset(), **change)


def test_classes_that_are_not_there():
    with pytest.raises(LabelError, match="the model does not know neutral"):
        evaluate.evaluate_bundle(Oracle(("happy", "sad")), oracle_dataset(), classes="happy,neutral")
    with pytest.raises(LabelError, match="nothing in common with fear, sad"):
        evaluate.evaluate_bundle(Oracle(), oracle_dataset(("happy", "neutral")), classes="fear,sad")
    happy = oracle_dataset().select(oracle_dataset().labels == SEVEN.index("happy"))
    with pytest.raises(DatasetError, match="no PrivateTest row of the data set shows fear, sad"):
        evaluate.evaluate_bundle(Oracle(), happy, classes="fear,sad")
    with pytest.raises(LabelError, match="no class set fits both"):
        evaluate.evaluate_bundle(Oracle(("happy", "sad")), oracle_dataset(("fear", "neutral")))
    empty = oracle_dataset().select(np.zeros(N, dtype=bool))
    with pytest.raises(DatasetError, match="neither PrivateTest nor PublicTest"):
        evaluate.choose_usage(empty)
    with pytest.raises(DatasetError, match="Usage values are: none"):
        evaluate.choose_usage(empty, "Training")


def test_report_file_has_null_for_what_is_not_a_number(tmp_path):
    dataset = oracle_dataset(wrong=0)
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
