"""Data sets that are made or read once for all tests of the package."""

import os

import pytest

from ferlib.common import labels
from ferlib.dataset import build, ferplus


@pytest.fixture(scope="session")
def drawn():
    """140 drawn faces, none a copy of another, all Training. Tests must not change its arrays."""
    return build.from_drawn(140, 5, labels.SEVEN)


@pytest.fixture(scope="session")
def real():
    """The real FER2013."""
    if not os.environ.get("FERLIB_FER2013"):
        pytest.skip("FERLIB_FER2013 is not set")
    return build.read_fer2013(os.environ["FERLIB_FER2013"])


@pytest.fixture(scope="session")
def real_votes(real):
    """The real FER+ votes on the faces of `real`."""
    if not os.environ.get("FERLIB_FERPLUS"):
        pytest.skip("FERLIB_FERPLUS is not set")
    return ferplus.read_votes(os.environ["FERLIB_FERPLUS"], real)
