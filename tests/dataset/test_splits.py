"""The data set in memory, its class sets, and splits that keep copies together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.common import labels
from ferlib.common.errors import BadInputError, DatasetError, LabelError
from ferlib.dataset.splits import USAGES, Dataset, check_classes, held_out, join, split, split_off
from tests.dataset.noise_sets import make, same


def test_with_classes():
    faces = make(70)
    six = faces.with_classes(labels.SIX)
    assert len(six) == 70 and six.counts().tolist() == [20, 10, 10, 10, 10, 10]
    two = faces.with_classes(("neutral", "happy"))
    assert two.counts().tolist() == [10, 10]
    assert np.array_equal(two.pixels[two.labels == 1], faces.pixels[faces.labels == 3])
    rest = faces.with_classes(("happy", "rest"))
    assert rest.counts().tolist() == [10, 60]
    with pytest.raises(LabelError):
        rest.with_classes(labels.SEVEN)


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": np.zeros((3, 48, 48), np.float32)},
        {"pixels": np.zeros((2, 48, 48), np.uint8)},
        {"pixels": np.zeros((3, 48, 48, 1), np.uint8)},
        {"labels": np.array([0, 1, 7])},
        {"labels": np.array([0, -1, 1])},
        {"labels": np.array([0.0, 1.0, 2.0])},
        {"usage": np.array(["Training", "Test", "Training"])},
        {"usage": np.array(["Training"])},
    ],
)
def test_dataset_refuses_what_does_not_fit(change):
    good = {
        "pixels": np.zeros((3, 48, 48), np.uint8),
        "labels": np.arange(3),
        "usage": np.full(3, "Training"),
    }
    Dataset(**good)
    with pytest.raises(DatasetError):
        Dataset(**{**good, **change})


# --- copies and splits ------------------------------------------------------------------------


def test_groups_of_copies():
    faces = make(5).select(np.array([0, 1, 0, 2, 1, 3]))
    assert faces.groups.tolist() == [0, 1, 0, 2, 1, 3] and faces.groups.dtype == np.int64
    pixels = faces.pixels.copy()
    pixels[2, 47, 47] ^= 1
    assert Dataset(pixels, faces.labels, faces.usage).groups.tolist() == [0, 1, 2, 3, 1, 4]
    assert make(0).groups.shape == (0,)
    # computed once per data set, and again for other rows
    assert faces.groups is faces.groups is faces.with_usage("Training").groups
    assert faces.select(np.array([5, 1, 4])).groups.tolist() == [0, 1, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=30, max_size=150),
    st.integers(0, 2**31),
)
def test_split_keeps_groups_together_and_shares_true(rows, seed):
    y, groups = (np.array(column) for column in zip(*rows, strict=True))
    pixels = np.zeros((len(y), 48, 48), np.uint8)
    pixels[:, 0, 0] = groups  # the same group, the same picture
    faces = Dataset(pixels, y.astype(np.int64), np.full(len(y), "Training"))
    try:
        parts = split(faces, seed=seed)
    except DatasetError:
        assert len(set(groups)) < 12
        return
    assert np.array_equal(parts.labels, faces.labels)
    for group in set(groups):
        assert len(set(parts.usage[groups == group])) == 1
    assert same(parts, split(faces, seed=seed))


@pytest.mark.parametrize("seed", range(5))
def test_split_is_stratified(seed):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(7), [400, 44, 410, 720, 480, 317, 496])
    pixels = rng.integers(0, 256, (len(y), 48, 48)).astype(np.uint8)
    copies = rng.choice(len(y), 150, replace=False)
    pixels[copies] = pixels[rng.choice(len(y), 150)]
    faces = Dataset(pixels, y, np.full(len(y), "Training"))
    parts = split(faces, seed=seed)
    for usage, share in zip(USAGES, (0.7, 0.1, 0.2), strict=True):
        # copies whose labels differ pull a class's share a little
        assert np.allclose(parts.part(usage).counts(), share * faces.counts(), atol=12)
    groups = faces.groups
    train, test = set(groups[parts.usage == "Training"]), set(groups[parts.usage != "Training"])
    assert not train & test
    assert parts.usage.tolist() != split(faces, seed=seed + 1).usage.tolist()


def test_split_gives_each_part_a_face_of_a_rare_class():
    y = np.array([0] * 50 + [1] * 3 + [2] * 2)
    faces = Dataset(
        np.random.default_rng(0).integers(0, 256, (55, 48, 48)).astype(np.uint8), y, np.full(55, "Training")
    )
    for seed in range(10):
        parts = split(faces, seed=seed)
        assert [(parts.labels[parts.usage == u] == 1).sum() for u in USAGES] == [1, 1, 1]
        assert (parts.labels[parts.usage == "Training"] == 2).sum() >= 1


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (0, 0, 0)])
def test_split_refuses_shares(shares):
    with pytest.raises(DatasetError, match="shares"):
        split(make(30), shares=shares)


def test_split_refuses_too_few():
    with pytest.raises(DatasetError, match="too few"):
        split(make(2))
    assert (split(make(14), shares=(1, 0, 0)).usage == "Training").all()


def test_split_off():
    faces = make(700)
    faces = faces.select(np.r_[np.arange(700), np.arange(0, 700, 10)])  # with copies
    rest, off = split_off(faces, 0.1, seed=3)
    assert len(rest) + len(off) == 770
    assert np.allclose(off.counts(), 11, atol=2)
    assert not set(p.tobytes() for p in rest.pixels) & set(p.tobytes() for p in off.pixels)
    assert same(off, split_off(faces, 0.1, seed=3)[1])
    assert same(off, faces.select(held_out(faces, 0.1, seed=3)))
    for share in (0, 1, -0.2, 7):
        with pytest.raises(DatasetError, match="between 0 and 1"):
            split_off(faces, share)
    with pytest.raises(DatasetError, match="two classes are needed"):
        split_off(make(1), 0.1)


def test_usage_to_test_on():
    faces = make(9)
    assert faces.test_usage == "PrivateTest"
    assert faces.select(faces.usage != "PrivateTest").test_usage == "PublicTest"
    with pytest.raises(DatasetError, match="neither"):
        _ = faces.part("Training").test_usage
    with pytest.raises(BadInputError, match="unknown usage"):
        faces.part("Test")


def test_join():
    a, b = make(4), make(5, seed=1)
    assert len(join([a, b])) == 9 and np.array_equal(join([a, b]).pixels[4:], b.pixels)
    with pytest.raises(DatasetError, match="joined"):
        join([a, make(4, 2)])


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([0] * 7, "no face of angry"),
        ([9, 0, 0, 0, 0, 0, 0], "only angry of"),
        ([9, 1, 9, 9, 9, 9, 0], r"\(at least 2\): disgust 1, neutral 0"),
    ],
)
def test_too_small_classes_are_named(counts, words):
    y = np.repeat(np.arange(7), counts)
    data = Dataset(make(len(y)).pixels, y, np.full(len(y), "Training"))
    with pytest.raises(DatasetError, match=words):
        check_classes(data, 2)
    with pytest.raises(DatasetError, match=words):
        split_off(data, 0.1)


def test_copies_of_one_picture_are_one_picture():
    y = np.repeat(np.arange(2), 6)
    pixels = make(7).pixels[[0, 1, 2, 3, 4, 5, *[6] * 6]]
    data = Dataset(pixels, y, np.full(12, "Training"), ("happy", "sad"))
    with pytest.raises(DatasetError, match="sad 1"):
        split_off(data, 0.2)
