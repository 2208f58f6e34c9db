"""Training on a reduced problem: bright upper or lower halves, and a network of a few hundred weights."""

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.dataset.splits import Dataset
from ferlib.train import networks
from ferlib.train.fit import TrainingData, fit_network
from ferlib.train.recipes import Settings

keras = import_keras()

QUICK = Settings(network="tiny", epochs=3, batch_size=16, learning_rate=0.01, precision="float32")
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


def build_tiny(n_classes: int, input_shape: tuple[int, int, int] = networks.INPUT_SHAPE):
    """With batch normalisation and dropout, which have a state of their own."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.AveragePooling2D(8),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(n_classes, activation="softmax", dtype="float32"),
        ]
    )


def problem(count: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces uint8 (n, 48, 48) that are noise, a little brighter in the half that the label 0 or 1 names."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:2] = 0, 1
    faces = rng.integers(0, 200, (count, 48, 48))
    faces[labels == 0, :24] += 40
    faces[labels == 1, 24:] += 40
    return faces.astype(np.uint8), labels.astype(np.int64)


def dataset(count: int = 64, seed: int = 0, class_names=("happy", "neutral")) -> Dataset:
    """The problem as a data set of Training rows."""
    return Dataset(*problem(count, seed), np.full(count, "Training"), class_names)


ROWS = dataset()
VALIDATION = dataset(40, seed=1)


def fit(settings: Settings = QUICK, folder=None, callbacks=(), initial_weights=None, data=None):
    """(model, history) of a run on the problem."""
    data = data or TrainingData(ROWS, VALIDATION)
    return fit_network(data, settings, folder, callbacks, initial_weights)


class StopIn(keras.callbacks.Callback):
    """End a run at the beginning of an epoch, counted from 1, as a learner who interrupts it does."""

    def __init__(self, epoch: int):
        super().__init__()
        self.last = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch + 1 == self.last:
            raise KeyboardInterrupt


def figures(history: list[dict]) -> np.ndarray:
    """The figures of a history, (epochs, 4)."""
    return np.array([[row[name] for name in FIGURES] for row in history])


def assert_same(first, second) -> None:
    """Two (model, history) came from the same computation; sums of threads differ in the last digits."""
    np.testing.assert_allclose(figures(first[1]), figures(second[1]), rtol=1e-4, atol=1e-5)
    for a, b in zip(first[0].get_weights(), second[0].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
