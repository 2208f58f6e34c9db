"""What `ferlib evaluate` measures beyond the predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ferlib.common.labels import SEVEN
from ferlib.dataset.ferplus import VOTES
from ferlib.dataset.splits import Dataset, held_out
from ferlib.evaluate import full_report
from ferlib.evaluate.predictions import (
    Predictions,
    build_report,
    calibration_figures,
    evaluate_bundle,
    predict_rows,
    write_report,
)
from ferlib.evaluate.text import sentences
from ferlib.model import calibration
from tests.evaluate.conftest import Oracle, noise_dataset, oracle_dataset


def test_every_part_is_measured_and_is_json(folder, measured, tmp_path):
    report, predictions = measured
    assert predictions.usage == report["usage"] == "PublicTest"
    assert (report["flip"], report["tta"]) == (True, "flip")
    facts = report["model_facts"]
    assert facts["file_bytes"] == (folder / "model.keras").stat().st_size
    assert (facts["parameters"], facts["epochs"], facts["training_seconds"]) == (1_230_503, 2, 120)
    assert report["ms_per_face"] > 0
    assert report["temperature"]["n_fitted"] == 7 and report["pair"]["n"] == 20
    assert report["votes"]["voters"]["accuracy"] == pytest.approx(1 / 7, abs=0.01)
    assert sum(row["n"] for row in report["drawn"]["skin"].values()) == 7
    assert set(build_report(predictions)) < set(report)
    write_report(report, tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    read = json.loads(text)
    assert list(read) == list(report)
    assert read["confusion_matrix"] == report["confusion_matrix"] and len(text.splitlines()) < 600
    assert read["curves"]["roc"]["sad"]["x"] == report["curves"]["roc"]["sad"]["x"]


def test_a_missing_part_is_logged(folder, bundle, noise, caplog):
    small = noise.select(np.arange(14))
    report, _ = full_report.measure_bundle(bundle, folder, small, "PrivateTest", tta="none")
    assert caplog.messages == ["the data set has no PrivateTest rows: evaluated on PublicTest"]
    assert report["note"] == caplog.messages[0] and (report["flip"], report["tta"]) == (False, "none")


def test_twins_of_training_rows_are_left_out():
    dataset = oracle_dataset(usages=("Training", "PublicTest"))
    rng = np.random.default_rng(0)
    dataset.pixels[:, 20:] = rng.integers(0, 256, (len(dataset), 28, 48))  # all different
    dataset.pixels[1::2][:5] = dataset.pixels[0::2][:5]
    predictions = predict_rows(Oracle(), dataset)
    twins = full_report.without_twins(predictions, dataset)
    assert (twins["twins"], twins["n"]) == (5, len(dataset) // 2 - 5)
    right = (predictions.y_pred == predictions.y_true)[5:]
    assert twins["accuracy"] == pytest.approx(right.mean())
    only = dataset.select(dataset.usage == "PublicTest")
    assert full_report.without_twins(predict_rows(Oracle(), only), only) is None


def test_the_pair_is_all_rows_of_both_and_the_larger_of_the_two():
    dataset = oracle_dataset()
    pair = full_report.pair_figures(predict_rows(Oracle(), dataset))
    asked = evaluate_bundle(Oracle(), dataset, classes="happy,neutral")
    assert (pair["n"], pair["accuracy"]) == (asked["n"], asked["accuracy"])
    assert full_report.pair_figures(predict_rows(Oracle(), dataset, classes="happy,neutral")) is None


def test_what_the_voters_say_of_mistakes_between_the_pair():
    prob = np.full((6, 7), 0.05)
    prob[:4, SEVEN.index("happy")] = 0.4  # read as happy, the fourth rightly; the others as neutral
    prob[4:, SEVEN.index("neutral")] = 0.4
    prob[0, SEVEN.index("sad")] = 0.5  # in all seven classes another answer; between the two still happy
    y_true = np.array(
        [SEVEN.index(name) for name in ("neutral", "neutral", "neutral", "happy", "happy", "fear")]
    )
    predictions = Predictions(SEVEN, "PublicTest", "", np.arange(1, 7), y_true, prob)
    votes = np.zeros((7, 10), int)
    votes[1, [VOTES.index(name) for name in ("happiness", "neutral", "sadness")]] = 3, 2, 5  # the answer
    votes[2, VOTES.index("neutral")] = 10  # the label
    votes[5, VOTES.index("anger")] = 10  # neither
    votes[3, VOTES.index("happiness")] = 10
    dataset = Dataset(np.zeros((7, 48, 48), np.uint8), np.r_[0, y_true], np.full(7, "PublicTest"))
    figures = full_report.vote_figures(predictions, votes, dataset)
    said = {key: figures["pair_mistakes"][key] for key in ("n", "label", "answer", "another", "none")}
    assert said == {"n": 4, "label": 0.25, "answer": 0.5, "another": 0, "none": 0.25}
    lines = sentences({"votes": figures}, "votes")
    line = next(line for line in lines if "between happy and neutral" in line)
    assert line == (
        "Of the 4 mistakes between happy and neutral the voters side with the label in 25.0%, with the answer in "
        "50.0%, with neither in 25.0%; with their label as the truth, 66.7% of the 3 rows on which they have one are "
        "read right."
    )


def test_the_temperature_is_never_fitted_on_judged_rows(bundle):
    dataset = noise_dataset()
    rows, words = full_report.rows_for_temperature(bundle, dataset, "PublicTest")
    training = np.flatnonzero(dataset.usage == "Training")
    assert "split off" in words
    assert rows.tolist() == training[held_out(dataset.select(training), 0.1, 7)].tolist()
    for judged, data in (
        ("Training", dataset),
        ("PublicTest", noise_dataset(280)),
    ):  # another tenth than its own
        assert len(full_report.rows_for_temperature(bundle, data, judged)[0]) == 0
    begun = replace(
        bundle, metadata=bundle.metadata | {"began_with": {"name": "other"}}
    )  # may know that tenth
    assert len(full_report.rows_for_temperature(begun, dataset, "PublicTest")[0]) == 0
    three = noise_dataset(210, usages=("Training", "PublicTest", "PrivateTest"))
    rows, words = full_report.rows_for_temperature(Oracle(), three, "PrivateTest")
    assert words == "the PublicTest rows" and (three.usage[rows] == "PublicTest").all() and len(rows) == 70


def test_a_bundle_that_repeats_a_recipe_has_the_temperature_of_that_one(bundle):
    again = {"name": "third", "held_out_rows": 9, "held_out_accuracy": 0.7, "temperature": 2.0}
    kept = {key: value for key, value in bundle.metadata.items() if key != "data"} | {"repeats": again}
    repeating, dataset = replace(bundle, metadata=kept), noise_dataset()
    predictions = predict_rows(repeating, dataset, "PublicTest", tta="flip")
    figures = full_report.temperature_figures(repeating, dataset, predictions, "flip")
    assert (figures["value"], figures["n_fitted"]) == (2.0, 9) and "`third`" in figures["fitted_on"]
    softened = calibration.with_temperature(predictions.y_prob, 2.0)
    assert figures["calibration"] == calibration_figures(predictions.y_true, softened)
    assert (
        full_report.temperature_figures(repeating, dataset, predictions, "none") is None
    )  # fitted with mirror images
    learned = predict_rows(repeating, dataset, "Training", None, "flip")
    assert full_report.temperature_figures(repeating, dataset, learned, "flip") is None
    two = predict_rows(repeating, dataset, "PublicTest", "happy,neutral", "flip")
    assert full_report.temperature_figures(repeating, dataset, two, "flip") is None
