"""The leaderboard reads reports and nothing else; what it says of a model stands in that model's folder."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.evaluate import leaderboard
from ferlib.evaluate.predictions import Predictions, build_report, write_report
from ferlib.train import baselines

COLUMNS = ["name", "network", "classes", "usage", "faces", "accuracy", "low", "high", "balanced_accuracy"]
COLUMNS += ["parameters", "megabytes", "ms_per_face", "epochs", "seconds", "note"]


def _folder(
    root, name: str, network: str, right: float, epochs: int = 0, classes=SEVEN, file="metrics.json", **more
):
    """A model's folder as `ferlib train` and `ferlib evaluate` leave it, with that share of 700 answers right."""
    folder = root / name
    folder.mkdir(exist_ok=True)
    n = len(classes)
    truth = np.arange(100 * n) % n
    said = np.where(np.arange(100 * n) // n < 100 * right, truth, (truth + 1) % n)
    made = build_report(
        Predictions(tuple(classes), "PublicTest", "", np.arange(100 * n), truth, np.eye(n)[said])
    )
    write_report(made | {"ms_per_face": 1.5} | more, folder / file)
    metadata = {"class_names": list(classes), "parameters": 1234, "settings": {"network": network}}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "model.keras").write_bytes(bytes(2_000_000))
    if epochs:
        history = pd.DataFrame({"epoch": range(1, epochs + 1), "seconds": 30.0})
        history.to_csv(folder / "history.csv", index=False)
    return folder


@pytest.fixture
def folders(tmp_path):
    return [
        _folder(tmp_path, "mine", "small", 0.7, epochs=12),
        _folder(tmp_path, "a-short", "A", 0.4, epochs=6),
        _folder(tmp_path, "d-whole", "D", 0.6, epochs=15),
    ]


def test_every_row_is_what_the_folder_holds_and_the_best_is_first(folders):
    table = leaderboard.build_leaderboard(folders)
    assert list(table.columns) == COLUMNS
    assert list(table["name"]) == ["mine", "d-whole", "a-short", "majority"]
    mine = table.iloc[0]
    assert (mine["accuracy"], mine["faces"], mine["classes"]) == (pytest.approx(0.7), 700, "seven")
    assert mine["low"] < 0.7 < mine["high"] and mine["balanced_accuracy"] == pytest.approx(0.7)
    assert (mine["parameters"], mine["megabytes"], mine["ms_per_face"]) == (1234, 2.0, 1.5)
    assert (mine["epochs"], mine["seconds"]) == (12, 360)
    majority = table.iloc[-1]
    assert majority["accuracy"] == majority["balanced_accuracy"] == pytest.approx(1 / 7)


def test_a_folder_without_its_model_says_as_much(tmp_path):
    _folder(tmp_path, "kept", "A", 0.5, epochs=3, model_facts={"file_bytes": 3_500_000})
    with_model = leaderboard.build_leaderboard([tmp_path / "kept"]).iloc[0]
    (tmp_path / "kept" / "model.keras").unlink()
    without = leaderboard.build_leaderboard([tmp_path / "kept"]).iloc[0]
    assert (with_model["megabytes"], without["megabytes"]) == (2.0, 3.5)
    assert without.drop("megabytes").equals(with_model.drop("megabytes"))


def test_what_earlier_networks_took_counts(tmp_path):
    folder = _folder(tmp_path, "pupil", "medium", 0.7, epochs=4)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["earlier"] = {"first": {"epochs": 3, "seconds": 10.0}, "second": {"epochs": 2, "seconds": 5.5}}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    row = leaderboard.build_leaderboard([folder]).iloc[0]
    assert (row["epochs"], row["seconds"], row["note"]) == (9, 135.5, "with the epochs of 2 earlier networks")


def test_what_was_trained_for_fewer_epochs_than_published_says_so(folders):
    notes = leaderboard.build_leaderboard(folders).set_index("name")["note"]
    assert notes["a-short"] == "6 of 10 published epochs"
    assert notes["d-whole"] == notes["mine"] == ""


def test_class_sets_are_apart_and_each_has_its_majority(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "FER2013_PARTS", (700,))
    _folder(tmp_path, "mine", "small", 0.9, 12, ("happy", "neutral"), "metrics-happy-neutral.json")
    table = leaderboard.build_leaderboard(folders)
    assert list(table["classes"]) == ["seven"] * 4 + ["happy, neutral"] * 2
    assert list(table["name"][4:]) == ["mine", "majority"] and table["accuracy"].iloc[5] == 0.5
    text = leaderboard.to_markdown(table)
    assert text.count("| model | network |") == 2 and "Goodfellow" in text
    assert (
        "| a-short | A | 40.0% (36.4% to 43.7%) | 40.0% | 1,234 | 2.0 | 1.5 | 6 | 3.0 | 6 of 10 published epochs |"
        in text
    )


def test_the_human_band_is_only_behind_the_seven_of_fer2013(folders, tmp_path, monkeypatch):
    table = leaderboard.build_leaderboard(folders)
    assert not [
        p for p in leaderboard.plot_leaderboard(table).axes[0].patches if p.get_label().startswith("people")
    ]
    assert "Goodfellow" not in leaderboard.to_markdown(table)
    monkeypatch.setattr(leaderboard, "FER2013_PARTS", (700,))
    _folder(tmp_path, "mine", "small", 0.9, 12, ("happy", "neutral"), "metrics-happy-neutral.json")
    figure = leaderboard.plot_leaderboard(leaderboard.build_leaderboard(folders))
    bands = [[patch for patch in ax.patches if patch.get_label().startswith("people")] for ax in figure.axes]
    assert [len(band) for band in bands] == [1, 0]
    assert bands[0][0].get_x() == pytest.approx(0.6) and bands[0][0].get_width() == pytest.approx(0.1)
    bars = [patch.get_width() for patch in figure.axes[0].patches if patch not in bands[0]]
    np.testing.assert_allclose(bars, [0.7, 0.6, 0.4, 1 / 7])


def test_it_writes_a_table_for_programs_and_one_for_people(folders, tmp_path):
    table = leaderboard.build_leaderboard(folders)
    out = leaderboard.write_leaderboard(table, tmp_path / "board")
    again = pd.read_csv(out / "leaderboard.csv")
    assert list(again["name"]) == list(table["name"])
    np.testing.assert_allclose(again["accuracy"], table["accuracy"])
    assert (out / "leaderboard.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "leaderboard.md").read_text() == leaderboard.to_markdown(table)


@pytest.mark.parametrize(
    "spoil, line",
    [
        (lambda folder: (folder / "metrics.json").unlink(), "no metrics.json; run `ferlib evaluate"),
        (lambda folder: (folder / "metrics.json").write_text("{"), "cannot be read .*evaluate it again"),
        (lambda folder: (folder / "metrics.json").write_text("{}"), "KeyError: 'class_names'"),
        (lambda folder: (folder / "metadata.json").unlink(), "cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named_and_the_others_still_count(folders, spoil, line, caplog):
    spoil(folders[1])
    assert "a-short" not in set(leaderboard.build_leaderboard(folders)["name"])
    assert len(caplog.messages) == 1 and re.search(line, caplog.messages[0])
    with pytest.raises(BadInputError, match="no model to compare"):
        leaderboard.build_leaderboard([folders[1]])
    assert len(caplog.messages) == 2  # why there is none


def test_a_report_without_a_time_is_measured_here(tmp_path):
    svm = baselines.Svm("hog", SEVEN, np.zeros((7, 900)), np.zeros(7), {"training_rows": 9, "settings": {}})
    folder = _folder(tmp_path, "hog", "", 0.4)
    (folder / "model.keras").unlink()
    baselines.save_svm(svm, folder, "drawn", 4.0)
    made = json.loads((folder / "metrics.json").read_text())
    del made["ms_per_face"]
    write_report(made, folder / "metrics.json")
    row = leaderboard.build_leaderboard([folder]).iloc[0]
    assert 0 < row["ms_per_face"] < 1000 and row["seconds"] == 4 and np.isnan(row["epochs"])
    assert row["parameters"] == 7 * 901 and row["megabytes"] == pytest.approx(0.051, abs=0.002)
