"""A bundle fine-tuned to the faces of one person learns them without forgetting the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.train import finetune

NAMES = ("happy", "sad")


@given(st.lists(st.integers(0, 6), max_size=60), st.floats(0.05, 0.9))
def test_of_each_class_the_last_faces_are_held_out(labels, share):
    labels = np.array(labels, np.int64)
    chosen = finetune.hold_out(labels, share)
    for label in set(labels.tolist()):
        mine = chosen[labels == label]
        assert not mine[0] and (np.diff(mine.astype(int)) >= 0).all()  # kept ones first
        assert mine.any() == (len(mine) > 1)


def test_one_person_is_drawn_in_all_expressions():
    pictures, names = finetune.draw_person(4, ("happy", "rest"), seed=3)
    assert len(pictures) == 4 and set(names) <= {"happy", "rest"} and "rest" in names
    assert all(p.dtype == np.uint8 and p.shape[0] == p.shape[1] >= 40 for p in pictures)
    again, _ = finetune.draw_person(4, ("happy", "rest"), seed=3)
    assert all((a == b).all() for a, b in zip(pictures, again, strict=True))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A small network that has learned nothing."""
    keras = import_keras()
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((48, 48, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.AveragePooling2D(12),
            layers.Flatten(),
            layers.Dense(12, "relu"),
            layers.Dense(2, "softmax"),
        ]
    )
    return load_bundle(save_bundle(model, tmp_path_factory.mktemp("bundle") / "small", NAMES))


def faces_of(rng, count):
    """Noise that is brighter above or below, with the label that the network does not give by chance."""
    below = np.arange(count) % 2
    faces = rng.integers(0, 120, (count, 48, 48))
    for face, half in zip(faces, below, strict=True):
        face[24 * half : 24 * half + 24] += 110
    return faces.astype(np.uint8), 1 - below


def test_it_learns_the_faces_and_stays_as_it_was_for_others(bundle, tmp_path):
    rng = np.random.default_rng(5)
    faces, labels = faces_of(rng, 24)
    others = np.ascontiguousarray(faces_of(rng, 40)[0].transpose(0, 2, 1))  # brighter on the left or right
    before = bundle.model.get_weights()
    model = finetune.finetune_bundle(bundle, faces, labels, others, epochs=25, learning_rate=0.1)
    assert all((a == b).all() for a, b in zip(before, bundle.model.get_weights(), strict=True))
    changed = [
        bool((a != b).any()) for a, b in zip(bundle.model.get_weights(), model.get_weights(), strict=True)
    ]
    assert changed == [False, False, True, True]  # the last layer alone
    after = load_bundle(save_bundle(model, tmp_path / "taught", NAMES))
    new = faces_of(rng, 40)
    table = finetune.compare_bundles(
        bundle, after, {"mine": new, "others": (others, bundle.predict(others).argmax(1))}
    )
    assert table.loc["mine", "after"] >= 38 > table.loc["mine", "before"]
    assert table.loc["others", "before"] == 40
    assert table.loc["others", "after"] == 40 - table.loc["others", "changed"]
    forgetful = finetune.finetune_bundle(bundle, faces, labels, others[:1], epochs=25, learning_rate=0.1)
    kept = np.abs(after.predict(others) - bundle.predict(others)).mean()
    lost = np.abs(np.asarray(forgetful(others[..., None] * 1.0)) - bundle.predict(others)).mean()
    assert kept < lost
    again = finetune.finetune_bundle(bundle, faces, labels, others, epochs=25, learning_rate=0.1)
    assert all(np.allclose(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("count", "labels", "others", "words"),
    [
        (0, [], 4, "at least two faces"),
        (1, [0], 4, "at least two faces"),
        (3, [0, 1], 4, "3 faces with 2 labels"),
        (2, [0, 1], 0, "0 of others"),
        (2, [0, 2], 4, r"not 0\.\.1"),
        (2, [-1, 0], 4, r"not 0\.\.1"),
    ],
)
def test_what_cannot_be_learned_is_refused(bundle, count, labels, others, words):
    with pytest.raises(BadInputError, match=words):
        finetune.finetune_bundle(
            bundle,
            np.zeros((count, 48, 48), np.uint8),
            np.array(labels),
            np.zeros((others, 48, 48), np.uint8),
        )
