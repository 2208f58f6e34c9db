"""A temperature and a bias per class, fitted to held-out faces and built into the last layer."""

import numpy as np
import pytest

from ferlib.common.errors import BadInputError
from ferlib.model import calibration
from ferlib.model.bundle import plain_copy
from ferlib.train.calibrate import Calibration
from ferlib.train.fit import predict_probabilities
from tests.train.tiny import keras, problem


def test_a_calibration_restores_the_shares_of_the_classes(undisturbed):
    model = plain_copy(undisturbed[0])
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([3 * kernel, 3 * bias + [2.0, 0.0]])  # more for the first class
    faces, labels = problem(400, seed=5)
    before = predict_probabilities(model, faces)
    fitted = Calibration.fit(model, faces, labels)
    fitted.apply(model)
    after = predict_probabilities(model, faces)
    assert fitted.temperature > 0 and fitted.bias[0] < 0 < fitted.bias[1]
    assert fitted.bias.sum() == pytest.approx(0)
    assert calibration.log_loss(labels, after) < calibration.log_loss(labels, before)
    assert abs(after.mean(axis=0)[0] - (labels == 0).mean()) < 0.03


def test_metadata_hold_a_calibration():
    names = ("happy", "neutral")
    saved = Calibration(0.92345678, np.array([0.12345, -0.12345])).to_metadata(names)
    assert saved == {"temperature": 0.9235, "shift": {"happy": 0.123, "neutral": -0.123}}
    read = Calibration.from_metadata({"class_names": names[::-1], "correction": saved})
    assert read.temperature == 0.9235 and read.bias.tolist() == [-0.123, 0.123]


def test_a_network_without_a_dense_layer_at_its_end_is_refused():
    layers = keras.layers
    model = keras.Sequential([layers.Input((48, 48, 1)), layers.GlobalAveragePooling2D(), layers.Softmax()])
    with pytest.raises(BadInputError, match="ends in Softmax, not in a dense layer"):
        Calibration(1.0, np.zeros(1)).apply(model)
