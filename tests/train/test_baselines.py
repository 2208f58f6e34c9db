"""The baseline for a network to beat: HOG with a linear SVM."""

import json

import cv2
import numpy as np
import pytest

from ferlib.common.errors import BadInputError, BundleError, DatasetError, ImageError
from ferlib.dataset.splits import Dataset
from ferlib.model.predictor import TTA
from ferlib.train import baselines


def _stripes(count: int, names=("happy", "neutral", "sad"), seed: int = 0) -> Dataset:
    """Noisy stripes: lying, standing, slanting; a third of the rows are PublicTest."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(names)
    y, x = np.mgrid[:48, :48]
    waves = np.stack([np.sin(y / 2), np.sin(x / 2), np.sin((x + y) / 3)])[labels]
    faces = np.clip(128 + 60 * waves + rng.normal(0, 30, waves.shape), 0, 255).astype(np.uint8)
    usage = np.where(np.arange(count) % 9 < 6, "Training", "PublicTest")
    return Dataset(faces, labels.astype(np.int64), usage, tuple(names))


@pytest.fixture(scope="module")
def svm():
    return baselines.fit_svm(_stripes(180))


def test_hog_is_opencvs_and_takes_no_notice_of_the_light():
    faces = _stripes(4).pixels
    features = baselines.hog(faces)
    assert features.shape == (4, baselines.FEATURES) and features.dtype == np.float32
    assert features.min() >= 0 and features.max() <= 1
    darker = baselines.hog((faces // 2).astype(np.uint8))
    assert np.abs(darker - features).mean() < 0.02 < np.abs(features[0] - features[1]).mean()
    plain = cv2.HOGDescriptor((48, 48), (16, 16), (8, 8), (8, 8), 9).compute(faces[2]).ravel()
    np.testing.assert_array_equal(features[2], plain)
    assert baselines.hog(faces[:0]).shape == (0, baselines.FEATURES)


@pytest.mark.parametrize(
    "faces", [np.zeros((2, 48, 48)), np.zeros((2, 40, 48), np.uint8), np.zeros((48, 48), np.uint8)]
)
def test_hog_refuses_what_is_no_stack_of_faces(faces):
    with pytest.raises(ImageError, match=r"faces must be uint8 \(n, 48, 48\)"):
        baselines.hog(faces)


def test_the_svm_predicts_rows_it_never_saw(svm):
    rows = _stripes(180, seed=5).part("PublicTest")
    assert (svm.predict(rows.pixels).argmax(axis=1) == rows.labels).mean() > 0.9
    assert (svm.name, svm.input_shape, svm.class_names) == ("hog-svm", (48, 48, 1), rows.class_names)


def test_its_rows_sum_to_one_and_their_order_is_that_of_the_scores(svm):
    faces = _stripes(30).pixels
    answers = svm.predict(faces)
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    np.testing.assert_array_equal(answers.argsort(axis=1), svm.scores(faces).argsort(axis=1))
    mirrored = (answers + svm.predict(faces[:, :, ::-1])) / 2
    np.testing.assert_allclose(svm.predict(faces, "flip"), mirrored)
    for tta in TTA:
        assert svm.predict(faces[:0], tta).shape == (0, 3)
        np.testing.assert_allclose(svm.predict(faces[:2], tta).sum(axis=1), 1)
    with pytest.raises(BadInputError, match="unknown tta 'five'"):
        svm.predict(faces, tta="five")


def test_two_classes_have_two_planes_that_mirror_each_other():
    two = _stripes(180).with_classes(("neutral", "happy"))
    svm = baselines.fit_svm(two)
    scores = svm.scores(two.pixels)
    np.testing.assert_allclose(scores[:, 0], -scores[:, 1])
    assert (scores.argmax(axis=1) == two.labels).mean() > 0.9


def test_a_class_without_rows_is_never_chosen():
    rows = _stripes(180).with_classes(("happy", "fear", "sad"))
    svm = baselines.fit_svm(rows)
    assert 1 not in svm.predict(rows.pixels).argmax(axis=1)


@pytest.mark.parametrize("rows", [_stripes(9).with_usage("PublicTest"), _stripes(1)])
def test_fewer_than_two_classes_are_refused(rows):
    with pytest.raises(DatasetError, match="two classes or more"):
        baselines.fit_svm(rows)


def test_what_was_saved_answers_the_same(svm, tmp_path):
    folder = baselines.save_svm(svm, tmp_path / "hog", "stripes", 1.25)
    loaded = baselines.load_model(folder)
    faces = _stripes(20).pixels
    np.testing.assert_array_equal(loaded.predict(faces), svm.predict(faces))
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["parameters"] == 3 * 901 and metadata["data"] == {
        "source": "stripes",
        "training_rows": 120,
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "metadata.json").unlink(),
        lambda folder: (folder / "svm.npz").write_bytes(b"PK"),
        lambda folder: np.savez(folder / "svm.npz", coef=np.zeros((3, 900))),
        lambda folder: np.savez(folder / "svm.npz", coef=np.zeros((2, 900)), intercept=np.zeros(2)),
    ],
    ids=["no metadata", "broken", "half", "other classes"],
)
def test_a_broken_folder_is_refused(svm, tmp_path, spoil):
    folder = baselines.save_svm(svm, tmp_path, "stripes", 1)
    spoil(folder)
    with pytest.raises(BundleError, match="fit it again"):
        baselines.load_model(folder)
