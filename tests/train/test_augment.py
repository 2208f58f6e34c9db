import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.train import augment
from ferlib.train.augment import AUGMENTATIONS, Augmentation

import_keras()

NAMES = list(AUGMENTATIONS)


def _faces(count: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def _changed(faces: np.ndarray, augmentation: Augmentation, seed=(7, 0)) -> np.ndarray:
    """The faces after `augment`, float32 (n, 48, 48)."""
    import tensorflow as tf

    given = tf.constant(faces[..., None], tf.float32)
    return augment.augment_batch(given, augmentation, seed).numpy()[..., 0]


def _moves(augmentation: Augmentation, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Where each output pixel comes from, read off two ramps: matrices (n, 2, 2), shifts of the centre (n, 2).

    Only the middle of the picture is used, so that repeated edges do not count.
    """
    ramp = np.broadcast_to(np.arange(48, dtype=np.float32), (count, 48, 48))
    source_x = _changed(ramp, augmentation)
    source_y = _changed(ramp.transpose(0, 2, 1), augmentation)
    middle = slice(18, 30)
    y, x = np.mgrid[middle, middle] - 23.5
    basis = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    sources = np.stack([s[:, middle, middle].reshape(count, -1) - 23.5 for s in (source_x, source_y)], axis=1)
    fit, *_ = np.linalg.lstsq(basis, sources.reshape(-1, x.size).T, rcond=None)
    fit = fit.T.reshape(count, 2, 3)
    return fit[..., :2], fit[..., 2]


@pytest.mark.parametrize("name", NAMES)
def test_gray_values_stay_between_0_and_255(name):
    faces = np.concatenate(
        [_faces(64), np.zeros((32, 48, 48), np.uint8), np.full((32, 48, 48), 255, np.uint8)]
    )
    changed = _changed(faces, AUGMENTATIONS[name])
    assert changed.shape == faces.shape and changed.dtype == np.float32
    assert changed.min() >= 0 and changed.max() <= 255 + 1e-4  # rounding of the interpolation


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_and_batch_give_the_same_pictures(name):
    faces = _faces()
    np.testing.assert_array_equal(
        _changed(faces, AUGMENTATIONS[name], (7, 3)), _changed(faces, AUGMENTATIONS[name], (7, 3))
    )


@pytest.mark.parametrize("other", [(7, 4), (8, 3)])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_another_seed_or_batch_gives_other_pictures(name, other):
    faces = _faces()
    first, second = _changed(faces, AUGMENTATIONS[name], (7, 3)), _changed(faces, AUGMENTATIONS[name], other)
    assert (first != second).any()


def test_none_changes_nothing():
    faces = _faces()
    np.testing.assert_array_equal(_changed(faces, AUGMENTATIONS["none"]), faces)


def test_d_is_an_exact_flip_of_about_half():
    faces = _faces(400)
    changed = _changed(faces, AUGMENTATIONS["D"])
    same = (changed == faces).all(axis=(1, 2))
    flipped = (changed == faces[:, :, ::-1]).all(axis=(1, 2))
    assert (same ^ flipped).all()
    assert 150 < flipped.sum() < 250


def test_a_zooms_by_a_fifth_and_shears_by_a_fifth_of_a_degree():
    matrices, shifts = _moves(AUGMENTATIONS["A"])
    zoom_x, zoom_y = np.abs(matrices[:, 0, 0]), matrices[:, 1, 1]
    for zoom in (zoom_x, zoom_y):
        assert 0.8 - 1e-3 <= zoom.min() < 0.84 and 1.16 < zoom.max() <= 1.2 + 1e-3
    assert np.corrcoef(zoom_x, zoom_y)[0, 1] < 0.3  # each side for itself, as Keras did
    shear = np.degrees(np.arctan(matrices[:, 0, 1] / matrices[:, 1, 1]))
    assert 0.1 < np.abs(shear).max() <= 0.2 + 1e-2
    assert 0.4 < (matrices[:, 0, 0] < 0).mean() < 0.6
    np.testing.assert_allclose(shifts, 0, atol=1e-2)


def test_ours_turns_and_shifts_within_its_limits():
    ours = AUGMENTATIONS["ours"]
    matrices, shifts = _moves(
        Augmentation(rotation=ours.rotation, zoom=ours.zoom, shift=ours.shift, flip=True)
    )
    turn = np.degrees(np.arctan2(matrices[:, 1, 0] * np.sign(matrices[:, 0, 0]), np.abs(matrices[:, 0, 0])))
    assert 0.8 * ours.rotation < np.abs(turn).max() <= ours.rotation + 0.1
    assert 0.8 * ours.shift * 48 < np.abs(shifts).max() <= ours.shift * 48 + 0.05


def test_jitter_changes_mean_and_contrast_within_its_limits():
    faces = np.full((300, 48, 48), 120, np.uint8)
    faces[:, ::2] = 136
    changed = _changed(faces, Augmentation(jitter=0.2))
    brightness, contrast = changed.mean(axis=(1, 2)) - 128, changed.std(axis=(1, 2)) / 8
    assert 0.8 * 25.6 < np.abs(brightness).max() <= 25.6 + 1e-3
    assert 0.16 < np.abs(contrast - 1).max() <= 0.2 + 1e-3


def test_erase_covers_one_rectangle_in_its_share_of_the_pictures():
    changed = _changed(np.zeros((500, 48, 48), np.uint8), Augmentation(erase=0.3))
    assert set(np.unique(changed)) == {0, 127.5}
    covered = changed > 0
    hit = covered.any(axis=(1, 2))
    assert 0.22 < hit.mean() < 0.38
    for face in covered[hit]:
        rows, columns = np.flatnonzero(face.any(axis=1)), np.flatnonzero(face.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 0.34 * 48 + 1
        assert face[np.ix_(rows, columns)].all()  # a full rectangle


def _numbered(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces whose gray value is their row number, and their row number as target."""
    numbers = np.arange(count, dtype=np.uint8)
    return np.broadcast_to(numbers[:, None, None], (count, 48, 48)).copy(), numbers[:, None].astype(
        np.float32
    )


def _rows(count: int, batch_size: int, augmentation="none", **kwargs) -> list[np.ndarray]:
    faces, targets = _numbered(count)
    batches = augment.training_batches(
        faces, targets, batch_size, AUGMENTATIONS[augmentation], seed=5, **kwargs
    )
    rows = []
    for face, target in batches:
        assert face.shape[1:] == (48, 48, 1) and face.dtype == "float32"
        np.testing.assert_allclose(face.numpy()[:, 10, 20, 0], target.numpy()[:, 0], atol=1e-3)
        rows.append(target.numpy()[:, 0].astype(int))
    return rows


@pytest.mark.parametrize("augmentation", ["none", "D", "A"])
def test_a_pass_shows_every_face_once_with_its_own_target(augmentation):
    rows = _rows(64, 16, augmentation)
    assert [len(batch) for batch in rows] == [16] * 4
    assert sorted(np.concatenate(rows)) == list(range(64))


def test_passes_have_orders_of_their_own():
    first, second = np.split(np.concatenate(_rows(60, 20, epochs=2)), 2)
    assert sorted(first) == sorted(second) and (first != second).any()
    assert (first != np.arange(60)).any()


def test_what_does_not_fill_a_batch_is_left_out_of_that_pass_only():
    rows = _rows(50, 16, epochs=6)
    assert len(rows) == 18 and all(len(batch) == 16 for batch in rows)
    assert set(np.concatenate(rows)) == set(range(50))


def test_a_batch_larger_than_the_data_is_all_of_it():
    assert [sorted(batch) for batch in _rows(10, 64, epochs=2)] == [list(range(10))] * 2


@pytest.mark.parametrize("name", ["ours", "A"])
def test_a_run_that_goes_on_sees_what_it_would_have_seen(name):
    faces, targets = _faces(50), np.eye(50, dtype=np.float32)

    def seen(**kwargs):
        return list(
            augment.training_batches(faces, targets, 16, AUGMENTATIONS[name], 7, **kwargs).as_numpy_iterator()
        )

    whole, later = seen(epochs=4), seen(epochs=4, skip=5)
    assert len(whole) == 12 and len(later) == 7
    for (x, y), (later_x, later_y) in zip(whole[5:], later, strict=True):
        np.testing.assert_array_equal(x, later_x)
        np.testing.assert_array_equal(y, later_y)
