"""Accuracy by other attributes than the class: light, and what is known of drawn faces."""

from dataclasses import replace

import numpy as np
import pytest

from ferlib import synth
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.evaluate import subgroups
from tests.evaluate.conftest import AlwaysHappy


def test_accuracy_by_group_counts_every_row_once():
    table = subgroups.accuracy_by(["b", "a", "b", "b"], np.array([True, False, True, False]))
    assert table["n"].to_dict() == {"a": 1, "b": 3}
    assert table["accuracy"].to_dict() == pytest.approx({"a": 0, "b": 2 / 3})
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()


def test_light_of_faces_and_its_quarters():
    faces = np.stack([np.full((48, 48), level, np.uint8) for level in range(0, 200, 10)])
    faces[0, :, ::2] = 10
    brightness, contrast = subgroups.brightness_and_contrast(faces)
    assert (brightness[0], contrast[0], contrast[1]) == (5, 5, 0)
    tables = subgroups.accuracy_by_light(faces, np.arange(20) >= 10)
    assert [len(table) for table in tables.values()] == [4, 2]  # equal contrasts stay together
    assert tables["brightness"]["n"].tolist() == [5] * 4 and tables["brightness"]["accuracy"].iloc[-1] == 1
    assert tables["brightness"].index[0].startswith("1: ")


def test_attributes_of_drawn_faces():
    faces = [
        synth.Face(skin=7, light="lamp", yaw=-3, glasses="thin"),
        synth.Face(yaw=2, pitch=-7),
        synth.Face(yaw=15),
    ]
    facts = subgroups.drawn_attributes(faces)
    assert facts["skin"] == ["tone 8", "tone 3", "tone 3"]
    assert facts["pose"] == ["turned 0–5°", "turned 5–10°", "turned over 10°"]
    assert (facts["light"][0], facts["glasses"][0]) == ("lamp", "thin")


def test_a_darker_face_gives_a_darker_input():
    face = synth.sample_faces(1, seed=2)[0]
    cut = subgroups.draw_inputs([replace(face, skin=0), replace(face, skin=7)])
    assert cut.shape == (2, 48, 48) and cut[0].mean() > cut[1].mean() + 20


def test_accuracy_on_drawn_faces_counts_each_face_once_per_attribute():
    tables = subgroups.accuracy_on_drawn_faces(AlwaysHappy(), 14, seed=1)
    assert list(tables) == ["emotion", "skin", "light", "pose", "glasses"]
    assert tables["emotion"]["accuracy"].to_dict() == {name: float(name == "happy") for name in SEVEN}
    assert all(table["n"].sum() == 14 for table in tables.values())


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: subgroups.accuracy_by(["a"], np.array([True, False])), "1 groups for 2 answers"),
        (lambda: subgroups.accuracy_by([], np.array([], bool)), "at least one"),
        (lambda: subgroups.accuracy_on_drawn_faces(AlwaysHappy(), 0), "at least 1"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(BadInputError, match=said):
        call()
