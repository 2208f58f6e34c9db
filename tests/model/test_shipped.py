"""The model that comes with the repository: whole, honest about itself, and able to read faces it never saw."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from ferlib import synth
from ferlib.common import images, labels, paths
from ferlib.common.images import crop_face
from ferlib.model import bundle
from ferlib.train.recipes import RECIPES, kept_epoch, known_as

FOLDER = paths.shipped_bundle()


@pytest.fixture(scope="module")
def shipped():
    return bundle.load_bundle(FOLDER)


@pytest.fixture(scope="module")
def drawn(shipped):
    """700 drawn faces: their truth and what the model says, each averaged with its mirror image."""
    faces = synth.sample_faces(700, seed=1)
    pictures = [synth.draw_face(face, 160) for face in faces]
    cut = [
        images.face_input(crop_face(picture, synth.face_box(face, 160)))
        for face, picture in zip(faces, pictures, strict=True)
    ]
    truth = np.array([labels.SEVEN.index(face.emotion) for face in faces])
    return truth, shipped.predict(np.stack(cut), "flip").argmax(axis=1)


def test_it_is_small_and_knows_the_seven_classes(shipped):
    assert shipped.class_names == labels.SEVEN
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 20e6
    assert shipped.metadata["parameters"] < 2e6


def test_one_command_makes_it_again(shipped):
    assert known_as(shipped.metadata["settings"]) == "shipped"
    assert "--recipe shipped" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_it_reads_faces_that_were_drawn_and_never_shown_to_it(drawn):
    truth, said = drawn
    assert (truth == said).mean() >= 0.5, "chance is 14 %"


@pytest.mark.parametrize("emotion", ["happy", "surprise"])
def test_it_reads_drawn_smiles_and_surprise(drawn, emotion):
    truth, said = drawn
    rows = truth == labels.SEVEN.index(emotion)
    assert rows.sum() == 100 and (said[rows] == truth[rows]).mean() >= 0.8


def test_the_card_says_what_was_measured():
    report = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))
    matrix = np.array(report["confusion_matrix"])
    assert report["usage"] == "PublicTest" and matrix.sum() == report["n"] == 3_589
    assert report["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum()) and report["accuracy"] >= 0.67
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"**{report['accuracy']:.2%}**" in card
    history = pd.read_csv(FOLDER / "history.csv")
    kept = kept_epoch(history.to_dict("records"), RECIPES["shipped"].keep)
    assert re.search(rf"Epoch {kept} of {len(history)}\b", card)
    for word in ("Limits", "forbidden", "Training rows", "65 ± 5"):
        assert word in card


def test_the_second_bundle_knows_contempt_and_says_what_was_measured():
    folder = paths.shipped_bundle("ferplus")
    second = bundle.load_bundle(folder)
    assert second.class_names == labels.EIGHT and second.metadata["parameters"] < 2e6
    assert known_as(second.metadata["settings"]) == "ferplus"
    first = json.loads((FOLDER / "metadata.json").read_text(encoding="utf-8"))
    assert second.metadata["began_with"] == {"name": FOLDER.name, "sha256": first["sha256"]}
    report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    matrix = np.array(report["confusion_matrix"])
    assert (report["usage"], report["labels"], report["n"]) == ("PublicTest", "ferplus", 3_199)
    assert report["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum()) and report["accuracy"] >= 0.80
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"**{report['accuracy']:.2%}**" in card
    assert "--labels ferplus --begin models/fer2013 --recipe ferplus" in card
    for word in ("Limits", "forbidden", "what most of ten voters saw", "Nothing was chosen on 2,505"):
        assert word in card
