"""The card of a bundle says what its files say."""

import json
import re
import shutil
from dataclasses import asdict, replace

import pandas as pd
import pytest

from ferlib.common import paths
from ferlib.common.errors import BundleError
from ferlib.evaluate import model_card, photographs
from ferlib.evaluate.predictions import write_report
from ferlib.model.metadata import write_history
from ferlib.train.recipes import RECIPES
from tests.evaluate.conftest import HISTORY


@pytest.fixture
def make_card(folder, measured, tmp_path):
    """The text of a card from the shared bundle's files, with some of its metadata changed."""

    def make(history=HISTORY, **metadata):
        made = tmp_path / "bundle"
        shutil.copytree(folder, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.keras"))
        write_history(history, made / "history.csv")
        path = made / "metadata.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | metadata))
        write_report(measured[0], made / "metrics.json")
        return model_card.render_card(made)

    return make


def test_the_card_says_what_the_report_says(folder, measured, tmp_path):
    made = shutil.copytree(folder, tmp_path / "bundle")
    photos = pd.DataFrame({"truth": ["sad"] * 4, "predicted": ["sad", "", "fear", "sad"], "probability": 0.5})
    report = measured[0] | {"photos": photographs.photo_figures(photos)}
    write_report(report, made / "metrics.json")
    text = model_card.write_card(made).read_text(encoding="utf-8")
    for part in (
        f"**{report['accuracy']:.2%}**",
        "1 of the 70 rows have an exact twin",
        "Of 4 whole photographs 50.0% were read right",
        "With temperature",
        "FER+'s ten votes on the same rows (E. Barsoum et al. 2016, MIT licence) have a share of 0.5",
        "By skin: tone",
        "happy against neutral",
        "each face averaged with its mirror image",
        "at work and in schools, but for medical reasons and safety",
    ):
        assert part in text, part
    pictures = re.findall(r"\]\((\w+\.png)\)", text)
    assert pictures == ["curves.png", "confusion.png", "calibration.png"]
    assert all((made / name).is_file() for name in pictures)
    assert model_card.render_card(made) == text


def test_a_report_of_fewer_figures_gives_a_shorter_card(folder, measured, tmp_path):
    made = shutil.copytree(folder, tmp_path / "bundle", ignore=shutil.ignore_patterns("*.keras"))
    kept = (
        "n",
        "accuracy",
        "interval",
        "balanced_accuracy",
        "majority_baseline",
        "macro_f1",
        "majority_class",
    )
    kept += ("class_names", "confusion_matrix", "per_class", "usage")
    write_report({key: measured[0][key] for key in kept}, made / "metrics.json")
    text = model_card.render_card(made)
    assert "###" not in text and "Calibration" not in text and "each face once" in text
    (made / "notes.md").write_text("## What was tried\n\nNothing.\n")
    assert model_card.render_card(made) == text + "\n## What was tried\n\nNothing.\n"
    two = {"class_names": ["happy", "sad"], "accuracy": 0.75, "interval": [0.6, 0.9], "n": 40}
    write_report(two, made / "metrics-happy-sad.json")
    assert "| happy against sad | 75.00% | 60.0% to 90.0%; 40 rows |" in model_card.render_card(made)


@pytest.mark.parametrize("name", ["fer2013", "ferplus"])
def test_the_cards_of_the_shipped_bundles_are_made_of_their_files(name):
    folder = paths.shipped_bundle(name)
    assert model_card.render_card(folder) == (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_names_the_recipe_that_made_the_model(make_card):
    settings = asdict(replace(RECIPES["shipped"], seed=11))
    data = {"source": "fer2013.csv, fer2013new.csv", "training_rows": 63, "held_out_rows": 7}
    command = (
        "ferlib train --data fer2013.csv --votes fer2013new.csv --recipe shipped --seed 11 --out models/faces"
    )
    assert command in make_card(settings=settings, data=data)
    settings["epochs"] += 1
    assert f"--network {settings['network']} --epochs {settings['epochs']}" in make_card(settings=settings)


def test_the_card_names_the_teachers(make_card):
    text = make_card(settings=asdict(RECIPES["third"]), earlier={"first": {"epochs": 36, "seconds": 3600.0}})
    assert "began as that of the recipe `second`" in text
    assert "50% of each target is the mean answer of the networks `first` and `second`" in text
    assert "Before that, the network of `first` took 36 epochs and 60 minutes." in text
    plain = make_card(settings=asdict(RECIPES["light"]), earlier={})
    for part in ("began as", "of each target", "Of the final weights", "Before that"):
        assert part in text and part not in plain


def test_the_card_of_a_repeated_recipe_claims_no_held_out_rows(make_card):
    history = [row | {"val_loss": float("nan"), "val_accuracy": float("nan")} for row in HISTORY]
    again = {"name": "third", "held_out_rows": 2871, "held_out_accuracy": 0.7022, "temperature": 0.96}
    data = {"source": "fer2013.csv", "training_rows": 70}
    text = make_card(history, data=data, settings=asdict(RECIPES["shipped"]), repeats=again)
    for part in (
        "Trained on 70 Training rows of `fer2013.csv`. Nothing was chosen in this run: it repeats the recipe `third`",
        "chosen on 2,871 Training rows, split off",
        "Epoch 2 of 2 was kept, as in `third`, which read 70.2% of the rows split off there right",
        "They are those of `third`, fitted to rows that it had not learned.",
        "--recipe shipped",
    ):
        assert part in text
    assert "nan" not in text


def test_a_card_is_made_of_measured_figures_only(tmp_path):
    write_history(HISTORY, tmp_path / "history.csv")
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(BundleError, match=r"no metrics\.json"):
        model_card.write_card(tmp_path)
