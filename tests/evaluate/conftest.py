"""One bundle of an untrained network, measured once, for all tests of the package."""

import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.common.labels import SEVEN
from ferlib.dataset.ferplus import VOTES
from ferlib.dataset.splits import Dataset
from ferlib.evaluate.full_report import Extras, measure_bundle
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.train import networks

N = 210
HISTORY = [
    {"epoch": k, "loss": 1, "accuracy": 0.5, "val_loss": 1, "val_accuracy": 0.4 + k / 10, "seconds": 60}
    for k in (1, 2)
]


class Oracle:
    """Replaces a bundle: reads the prediction out of the first pixel, with doubt from the second."""

    input_shape = (48, 48, 1)

    def __init__(self, class_names=SEVEN):
        self.name = "oracle"
        self.class_names = tuple(class_names)
        self.seen = 0

    def predict(self, faces, tta="none"):
        assert faces.dtype == np.uint8
        self.seen += len(faces)
        self.tta = tta
        k = len(self.class_names)
        doubt = (faces[:, 0, 1] / 255.0)[:, None]
        certain = np.eye(k)[faces[:, 0, 0].astype(int) % k]
        return ((1 - doubt) * certain + doubt / k).astype(np.float32)


class AlwaysHappy:
    class_names, input_shape = SEVEN, (48, 48, 1)

    def predict(self, faces, tta="none"):
        return np.eye(7)[np.full(len(faces), 3)]


def oracle_dataset(class_names=SEVEN, usages=("Training", "PublicTest", "PrivateTest"), wrong=0.3):
    """Rows for an `Oracle`, which predicts about the share `wrong` of them wrongly."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, len(class_names), N)
    pixels = np.zeros((N, 48, 48), dtype=np.uint8)
    pixels[:, 0, 0] = np.where(rng.random(N) < wrong, rng.integers(0, len(class_names), N), labels)
    pixels[:, 0, 1] = rng.integers(0, 200, N)
    usage = np.array(usages)[np.arange(N) % len(usages)]
    return Dataset(pixels, labels, usage, tuple(class_names))


def noise_dataset(n=140, usages=("Training", "PublicTest")):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    return Dataset(pixels, np.arange(n) % 7, np.array(usages)[np.arange(n) % len(usages)])


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A bundle with all that a card is made of but the report; tests that write to it take a copy."""
    import_keras().utils.set_random_seed(3)
    extra = {
        "data": {"source": "fer2013.csv", "training_rows": 63, "held_out_rows": 7},
        "settings": {"network": "small", "epochs": 2, "seed": 7, "votes": 0.5},
    }
    folder = tmp_path_factory.mktemp("bundle") / "faces"
    return save_bundle(networks.build("small", 7), folder, SEVEN, HISTORY, extra)


@pytest.fixture(scope="session")
def bundle(folder):
    return load_bundle(folder)


@pytest.fixture(scope="session")
def noise():
    """140 rows without meaning; the first PublicTest row has a copy in Training."""
    dataset = noise_dataset()
    dataset.pixels[1] = dataset.pixels[0]
    return dataset


@pytest.fixture(scope="session")
def measured(bundle, folder, noise):
    """The full report of the bundle on `noise`, with votes that are all for happy, and its predictions."""
    votes = np.zeros((len(noise), 10), int)
    votes[:, VOTES.index("happiness")] = 10
    return measure_bundle(bundle, folder, noise, extras=Extras(votes=votes, drawn=7))
