"""What the tests of this package share: a detector, recognizers, a face that the detector finds."""

import pytest

from ferlib import synth
from ferlib.detect.detector import detect_faces, load_cascade
from ferlib.model.recognise import Recognizer
from tests.live.fakes import BrightnessModel, HappyModel


@pytest.fixture(scope="session")
def cascade():
    return load_cascade()


@pytest.fixture
def recognizer(cascade):
    """Every face is happy; the model may be changed by a test."""
    return Recognizer(HappyModel(), cascade)


@pytest.fixture(scope="session")
def bright(cascade):
    """The lighter the upper half of a face, the angrier."""
    return Recognizer(BrightnessModel(), cascade)


@pytest.fixture(scope="session")
def drawn_faces(cascade):
    """Three pictures of 160 pixels with one face each, which the detector finds."""
    pictures, _ = synth.draw_faces(20, seed=5, size=160)
    found = (picture for picture in pictures if len(detect_faces(picture, cascade)) == 1)
    return [next(found) for _ in range(3)]
