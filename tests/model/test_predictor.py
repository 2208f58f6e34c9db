"""Test-time augmentation: which versions of a face are shown, and that their answers are averaged."""

import numpy as np
import pytest

from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.labels import SEVEN
from ferlib.model.predictor import TTA, Bundle, augmented_views, for_classes

FACES = np.random.default_rng(3).integers(0, 256, (5, 48, 48), dtype=np.uint8)


def _answers(faces):
    """An answer that depends on where the bright pixels are, so that every view has another."""
    values = faces.reshape(len(faces), -1).astype(np.float32) @ np.linspace(0, 1, 48 * 48, dtype=np.float32)
    scores = np.outer(values / 1e5, np.arange(7))
    return (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)


BUNDLE = Bundle("fake", SEVEN, (48, 48, 1), {}, None, _answers, 4)


@pytest.mark.parametrize(("tta", "count"), zip(TTA, (1, 2, 3, 10), strict=True))
def test_the_answers_for_all_views_are_averaged(tta, count):
    views = augmented_views(FACES, tta)
    assert len(views) == count and all(view.shape == FACES.shape for view in views)
    np.testing.assert_allclose(
        BUNDLE.predict(FACES, tta), np.mean([_answers(v) for v in views], axis=0), atol=1e-6
    )


def test_ten_views_are_five_shifts_of_two_pixels_each_also_mirrored():
    views = augmented_views(FACES, "ten")
    np.testing.assert_array_equal(views[0], FACES)
    inside = slice(4, -4)
    for view, (down, right) in zip(views[1:5], [(0, 2), (0, -2), (2, 0), (-2, 0)], strict=True):
        moved = np.roll(FACES, (down, right), axis=(1, 2))
        np.testing.assert_array_equal(view[:, inside, inside], moved[:, inside, inside])
    for view, mirrored in zip(views[:5], views[5:], strict=True):
        np.testing.assert_array_equal(mirrored, view[:, :, ::-1])


@pytest.mark.parametrize("tta", TTA)
def test_no_faces_give_no_rows(tta):
    assert BUNDLE.predict(FACES[:0], tta).shape == (0, 7)


@pytest.mark.parametrize("faces", [FACES.astype(float), FACES[:, :40], FACES[0], FACES[..., None]])
def test_other_arrays_are_refused_with_their_shape(faces):
    with pytest.raises(ImageError, match=r"takes uint8 faces \(n, 48, 48\), got"):
        BUNDLE.predict(faces)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(BadInputError, match="unknown tta 'four'; known are none, flip, three, ten"):
        BUNDLE.predict(FACES, "four")


def test_other_classes_get_the_same_augmentation():
    two = for_classes(BUNDLE, ("happy", "rest"))
    answers = two.predict(FACES, "flip")
    np.testing.assert_allclose(answers[:, 0], BUNDLE.predict(FACES, "flip")[:, 3], atol=1e-6)
    assert two.input_shape == (48, 48, 1) and for_classes(BUNDLE, SEVEN) is BUNDLE
