"""The slider widget of notebook 01, without a browser: what its controls do to the picture."""

import numpy as np
import pytest

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.synth.widget import ActionUnitSliders


@pytest.fixture
def sliders():
    return ActionUnitSliders(synth.sample_face(np.random.default_rng(5), "happy"), size=96)


def slider(panel, unit):
    return next(child for child in panel.children[1].children if child.description.startswith(f"AU{unit} "))


def test_it_starts_from_the_face_and_shows_what_the_drawing_draws(sliders):
    sliders.set_aus({12: 0.5})
    assert sliders.aus == {12: 0.5}
    assert sliders.image.shape == (96, 96, 3) and sliders.image.dtype == np.uint8
    shown = images.load_image(bytes(sliders.children[0].children[1].value))
    assert np.abs(shown.astype(int) - sliders.image).mean() < 6  # JPEG's loss


def test_moving_a_slider_moves_the_face_and_moving_it_back_restores_it(sliders):
    sliders.set_aus({})
    rest = sliders.image
    slider(sliders, 26).value = 1.0
    difference = np.abs(sliders.image.astype(int) - rest).sum(axis=(1, 2))
    assert difference[48:].sum() > 3 * difference[:32].sum()  # a jaw that drops changes the lower half
    slider(sliders, 26).value = 0.0
    np.testing.assert_array_equal(sliders.image, rest)


def test_a_prototype_from_the_menu_sets_every_slider(sliders):
    menu = sliders.children[0].children[0]
    for emotion, units in synth.EMOTION_AUS.items():
        menu.value = emotion
        assert sliders.aus == units


def test_an_unknown_unit_is_refused(sliders):
    with pytest.raises(BadInputError, match="unknown action unit 99; known are 1, 2"):
        sliders.set_aus({99: 1.0})


def test_a_stored_notebook_keeps_a_sentence_for_it(sliders):
    assert "JupyterLab" in sliders._repr_mimebundle_()["text/plain"]
