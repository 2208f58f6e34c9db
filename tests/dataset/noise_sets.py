"""Data sets of noise for the tests, made in no time."""

import numpy as np

from ferlib.common import labels
from ferlib.dataset.splits import USAGES, Dataset


def make(n=40, n_classes=7, seed=0):
    """A data set of noise, classes in turn."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    return Dataset(
        pixels, np.arange(n) % n_classes, np.array(USAGES)[np.arange(n) % 3], labels.SEVEN[:n_classes]
    )


def same(a, b):
    return (
        np.array_equal(a.pixels, b.pixels)
        and np.array_equal(a.labels, b.labels)
        and a.usage.tolist() == b.usage.tolist()
        and a.class_names == b.class_names
    )
