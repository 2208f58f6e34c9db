"""The parameters of a face: prototypes, sampling, and what is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib import synth
from ferlib.common.boxes import clamp_box
from ferlib.common.errors import BadInputError, LabelError
from ferlib.synth import anatomy


def test_prototypes_are_those_of_facs():
    sets = {name: set(units) for name, units in synth.EMOTION_AUS.items()}
    assert sets == {
        "happy": {6, 12}, "sad": {1, 4, 15}, "surprise": {1, 2, 5, 26}, "fear": {1, 2, 4, 5, 20, 26},
        "angry": {4, 5, 7, 23}, "disgust": {9, 15, 16}, "neutral": set(),
    }  # fmt: skip
    assert set.union(*sets.values()) | {25} == set(synth.AU_NAMES)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(32, 512))
def test_sampled_faces_are_valid_and_their_box_is_inside_the_picture(seed, size):
    face = synth.sample_face(np.random.default_rng(seed))
    box = synth.face_box(face, size)
    assert box[2] > 0 and box[3] > 0 and clamp_box(box, size, size) == box
    assert face == synth.sample_face(np.random.default_rng(seed))
    assert set(synth.EMOTION_AUS[face.emotion]) <= set(face.aus) <= set(synth.AU_NAMES)
    assert all(0 <= value <= 1 for value in face.aus.values())
    assert abs(face.yaw) <= 20 and abs(face.pitch) <= 12 and abs(face.roll) <= 10


def test_sampling_covers_tones_lights_and_styles():
    faces = synth.sample_faces(700, seed=0)
    tables = {
        "skin": range(len(synth.SKIN_TONES)), "light": anatomy.LIGHTS, "hair": anatomy.HAIR_STYLES,
        "beard": anatomy.BEARDS, "glasses": anatomy.GLASSES, "background": anatomy.BACKGROUNDS,
    }  # fmt: skip
    for name, choices in tables.items():
        assert {getattr(face, name) for face in faces} == set(choices)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aus": {3: 1.0}}, "unknown action unit 3; known are 1, 2, 4"),
        ({"aus": {12: 1.5}}, "action unit 12 has intensity 1.5"),
        ({"aus": {12: -0.1}}, "-0.1"),
        ({"aus": {12: float("nan")}}, "nan"),
        ({"light": "moon"}, "unknown light 'moon'; known are front"),
        ({"hair": "green"}, "green"),
        ({"glasses": "blue"}, "blue"),
        ({"beard": "long"}, "long"),
        ({"background": "sea"}, "sea"),
        ({"skin": 99}, "unknown skin 99; known are 0, 1"),
        ({"hair_colour": -1}, "-1"),
    ],
)
def test_a_bad_face_is_refused_in_words(change, words):
    with pytest.raises(BadInputError, match=words.replace(".", r"\.")):
        synth.draw_face(dataclasses.replace(synth.Face(), **change))


def test_an_unknown_emotion_is_refused():
    with pytest.raises(LabelError, match="bored"):
        synth.sample_face(np.random.default_rng(0), "bored")
