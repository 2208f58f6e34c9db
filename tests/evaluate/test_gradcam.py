"""Grad-CAM on our networks, on one whose answer is known, and on what it cannot explain."""

import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.labels import SEVEN
from ferlib.evaluate import gradcam
from ferlib.train import networks
from tests.evaluate.conftest import noise_dataset


@pytest.mark.parametrize("name, side", [("A", 12), ("D", 6), ("small", 6), ("quick", 6)])
def test_grad_cam_of_our_networks(name, side):
    model = networks.build(name, 7)
    assert gradcam.last_feature_maps(model).output.shape[1:3] == (side, side)
    faces = noise_dataset(2).pixels
    maps = gradcam.heat_maps(model, faces, np.array([0, 3]))
    assert maps.shape == (2, 48, 48) and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() <= 1
    assert gradcam.blend(faces[0], maps[0]).shape == (48, 48, 3)


def test_grad_cam_points_at_what_the_answer_hangs_on():
    """A network whose first class is the brightness of the upper left quarter, the second of the lower right."""
    keras = import_keras()
    inputs = keras.layers.Input((48, 48, 1))
    maps = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(inputs)
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D(24)(maps))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(flat))
    model.layers[-1].set_weights([np.array([[1.0, 0], [0, 0], [0, 0], [0, 1.0]]), np.zeros(2)])
    model.trainable = False
    face = np.zeros((1, 48, 48), np.uint8)
    face[0, 4:12, 4:12] = 200
    heat = gradcam.heat_maps(model, face, np.array([0]))[0]
    assert heat[4:12, 4:12].min() == 1 and heat.sum() == 64
    assert gradcam.heat_maps(model, np.zeros_like(face), np.array([0])).max() == 0


def test_grad_cam_explains_the_likeliest_part_of_a_merged_class():
    said = np.array([[0.1, 0, 0.2, 0.3, 0.25, 0.05, 0.1]])
    asked = type("Model", (), {"class_names": SEVEN, "predict": lambda self, faces: said})()
    face = noise_dataset(1).pixels
    for names, answer, own in ((("happy", "rest"), 1, 4), (("happy", "rest"), 0, 3), (SEVEN, 6, 6)):
        assert gradcam.own_labels(asked, face, np.array([answer]), names).tolist() == [own]


def test_grad_cam_of_what_it_cannot_explain():
    keras = import_keras()
    flat = keras.Sequential([keras.layers.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(BadInputError, match="no convolutional maps"):
        gradcam.heat_maps(flat, noise_dataset(2).pixels, np.array([0, 1]))
    with pytest.raises(ImageError, match="n labels"):
        gradcam.heat_maps(flat, noise_dataset(2).pixels, np.array([0]))
