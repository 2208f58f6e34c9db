"""The audit finds what was planted, and nothing else."""

import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.common import images
from ferlib.dataset import audit, audit_page
from ferlib.dataset.splits import USAGES, Dataset, split


@pytest.fixture(scope="module")
def parts(drawn):
    """140 drawn faces, none a copy of another, in three parts."""
    return split(drawn, seed=5)


def with_row(data, pixels, label, usage):
    """The data set with one more row at its end."""
    return Dataset(
        np.concatenate([data.pixels, pixels[None]]),
        np.append(data.labels, label),
        np.append(data.usage, usage),
        data.class_names,
    )


def first(data, usage):
    return int(np.flatnonzero(data.usage == usage)[0])


CHANGES = {
    "saved as JPEG": lambda face: images.to_gray(images.load_image(images.encode_jpeg(face, 60))),
    "brighter": lambda face: np.clip(face.astype(int) + 25, 0, 255).astype(np.uint8),
    "less contrast": lambda face: (face * 0.6 + 40).astype(np.uint8),
    "half a pixel aside": lambda face: cv2.warpAffine(
        face, np.float32([[1, 0, 0.5], [0, 1, 0]]), (48, 48), borderMode=cv2.BORDER_REPLICATE
    ),
    "shrunk and grown": lambda face: images.resize(images.resize(face, (32, 32)), (48, 48)),
    "with a stamp": lambda face: cv2.putText(face.copy(), "PIC", (14, 46), 0, 0.3, 255),
    "noise": lambda face: np.clip(
        face + np.random.default_rng(0).normal(0, 6, face.shape), 0, 255
    ).astype(np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_near_copy_is_found_and_only_it(parts, change):
    row = first(parts, "Training")
    found = audit.audit_dataset(
        with_row(parts, CHANGES[change](parts.pixels[row]), parts.labels[row], "PublicTest")
    )
    assert found.near.tolist() == [[row, len(parts)]]
    assert not found.copies.any() and not found.blank.any()
    assert np.flatnonzero(found.near_twins("PublicTest")).tolist() == [len(parts)]
    assert not found.twins("PublicTest").any()
    assert np.flatnonzero(found.leaks()).tolist() == [row]


def test_drawn_faces_are_no_copies_of_each_other(parts):
    found = audit.audit_dataset(parts)
    assert len(found.near) == 0 and not found.copies.any() and found.conflicts == []
    assert not found.leaks().any() and len(audit.drop_leaks(found)) == len(parts)


def test_exact_copies_twins_and_disputes(parts):
    train, public = first(parts, "Training"), first(parts, "PublicTest")
    wrong = (parts.labels[train] + 1) % 7
    data = with_row(parts, parts.pixels[train], parts.labels[train], "Training")  # a copy in its own part
    data = with_row(data, parts.pixels[train], wrong, "Training")  # and one with another label
    data = with_row(data, parts.pixels[public], parts.labels[public], "Training")  # a leak
    found = audit.audit_dataset(data)
    n = len(parts)
    assert np.flatnonzero(found.copies).tolist() == [n, n + 1, n + 2]
    assert [group.tolist() for group in found.conflicts] == [[train, n, n + 1]]
    assert np.flatnonzero(found.twins("PublicTest")).tolist() == [public]
    assert np.flatnonzero(found.leaks()).tolist() == [n + 2]
    assert np.flatnonzero(found.disputed()).tolist() == [train, n, n + 1]
    cleaned = audit.drop_leaks(found)
    assert len(cleaned) == n + 3 - 4
    for usage in USAGES[1:]:
        assert np.array_equal(cleaned.part(usage).pixels, data.part(usage).pixels)
    again = audit.audit_dataset(cleaned)
    assert not again.leaks().any() and not again.disputed().any()


def test_a_dispute_between_parts_takes_the_training_row(parts):
    public = first(parts, "PublicTest")
    data = with_row(parts, parts.pixels[public], (parts.labels[public] + 1) % 7, "Training")
    found = audit.audit_dataset(data)
    assert np.flatnonzero(found.disputed()).tolist() == [len(parts)]
    assert (audit.drop_leaks(found).usage == "PublicTest").sum() == (parts.usage == "PublicTest").sum()


@pytest.mark.parametrize(
    ("pixels", "blank"),
    [
        (np.zeros((48, 48)), True),
        (np.full((48, 48), 255), True),
        (np.random.default_rng(0).normal(120, 2, (48, 48)), True),
        (np.random.default_rng(0).normal(120, 9, (48, 48)), False),
        (np.tile(np.linspace(0, 40, 48), (48, 1)), False),
    ],
)
def test_blank_pictures(parts, pixels, blank):
    found = audit.audit_dataset(with_row(parts, pixels.astype(np.uint8), 0, "Training"))
    assert found.blank.tolist() == [False] * len(parts) + [blank]


def test_blank_pictures_are_no_near_copies_of_each_other(parts):
    data = with_row(
        with_row(parts, np.full((48, 48), 9, np.uint8), 0, "Training"), parts.pixels[0] * 0, 1, "Training"
    )
    assert len(audit.audit_dataset(data).near) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_every_pair_is_compared_and_named_once(seed, n):
    """The walk in blocks against all pairs at once."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (max(1, n // 3), 48, 48))
    pixels = np.clip(base[rng.integers(0, len(base), n)] + rng.normal(0, 20, (n, 48, 48)), 0, 255).astype(
        np.uint8
    )
    small = pixels.reshape(n, 16, 3, 16, 3).mean((2, 4)).reshape(n, -1)
    expected = [
        [i, j]
        for i in range(n)
        for j in range(i + 1, n)
        if np.corrcoef(small[i], small[j])[0, 1] >= 0.9 and (pixels[i] != pixels[j]).any()
    ]
    assert sorted(audit.near_copies(pixels, 0.9).tolist()) == expected


def test_pairs_in_different_blocks_of_rows_are_found():
    """More rows than are compared at once; pairs within a block, across blocks and at their ends."""
    pixels = np.random.default_rng(0).integers(0, 256, (2200, 48, 48)).astype(np.uint8)
    expected = [[0, 1], [5, 2199], [1022, 1023], [1024, 2048], [1500, 1600]]
    for first, second in expected:
        pixels[second] = pixels[first]
        pixels[second, 0, 0] ^= 1
    assert sorted(audit.near_copies(pixels).tolist()) == expected


def test_no_face_and_one_face(parts):
    empty = Dataset(np.zeros((0, 48, 48), np.uint8), np.zeros(0, np.int64), np.zeros(0, "<U11"))
    found = audit.audit_dataset(empty)
    assert dict(audit.summary(found))["faces"] == 0 and len(audit.drop_leaks(found)) == 0
    one = parts.part("Training").select(np.arange(1))
    assert audit.imbalance(one)[2] == float("inf")
    assert len(audit.drop_leaks(audit.audit_dataset(one))) == 1


def test_counts_of_classes(parts):
    assert sum(sum(counts) for _, counts in audit.balance(parts)) == 140
    two = parts.with_classes(("happy", "rest"))
    most, least, times = audit.imbalance(two)
    counts = two.part("Training").counts()
    assert (most, least) == ("rest", "happy") and times == counts[1] / counts[0]


def test_the_page_holds_counts_and_pictures_and_loads_nothing(parts, tmp_path):
    train = first(parts, "Training")
    data = with_row(parts, parts.pixels[train], (parts.labels[train] + 1) % 7, "PublicTest")
    data = with_row(data, CHANGES["brighter"](parts.pixels[train + 1]), 0, "PublicTest")
    data = with_row(data, np.zeros((48, 48), np.uint8), 0, "Training")
    audit_page.write_page(audit.audit_dataset(data), tmp_path / "page.html", "<my> data", max_examples=1)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "&lt;my&gt; data" in text and "<my>" not in text
    assert text.count("<img") == 5  # disputed 1, exact twin 1, near pair 2, blank 1
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert f"{train + 1}: " in text and "exact copies of an earlier row" in text


@pytest.mark.real
def test_the_shared_file(real):
    found = audit.audit_dataset(real)
    assert len(found.dataset) == 32_298
    assert found.copies.sum() == 1_530 and len(found.conflicts) == 46
    assert found.twins("PublicTest").sum() == 279
    assert 2_150 < len(found.near) < 2_300 and found.blank.sum() == 14
    cleaned = audit.drop_leaks(found)
    assert (cleaned.usage == "PublicTest").sum() == 3_589
    training = cleaned.usage == "Training"
    assert not np.isin(cleaned.groups[~training], cleaned.groups[training]).any()
