"""The audit finds what was planted, and nothing else."""

import os
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.common import images, labels
from ferlib.dataset import audit, audit_page, build
from ferlib.dataset.splits import Dataset, group_copies, join, split

USAGES = build.USAGES


@pytest.fixture(scope="module")
def drawn():
    """210 drawn faces, none a copy of another, in three parts."""
    return split(build.from_drawn(210, 5, labels.SEVEN), seed=5)


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
def test_a_near_copy_is_found_and_only_it(drawn, change):
    row = first(drawn, "Training")
    found = audit.audit(with_row(drawn, CHANGES[change](drawn.pixels[row]), drawn.labels[row], "PublicTest"))
    assert found.near.tolist() == [[row, len(drawn)]]
    assert not found.copies.any() and not found.blank.any()
    assert np.flatnonzero(found.near_twins("PublicTest")).tolist() == [len(drawn)]
    assert not found.twins("PublicTest").any()
    assert np.flatnonzero(found.leaks()).tolist() == [row]


def test_drawn_faces_are_no_copies_of_each_other(drawn):
    found = audit.audit(drawn)
    assert len(found.near) == 0 and not found.copies.any() and found.conflicts == []
    assert not found.leaks().any() and len(audit.drop_leaks(found)) == len(drawn)


def test_exact_copies_twins_and_disputes(drawn):
    train, public = first(drawn, "Training"), first(drawn, "PublicTest")
    wrong = (drawn.labels[train] + 1) % 7
    data = with_row(drawn, drawn.pixels[train], drawn.labels[train], "Training")  # a copy in its own part
    data = with_row(data, drawn.pixels[train], wrong, "Training")  # and one with another label
    data = with_row(data, drawn.pixels[public], drawn.labels[public], "Training")  # a leak
    found = audit.audit(data)
    n = len(drawn)
    assert np.flatnonzero(found.copies).tolist() == [n, n + 1, n + 2]
    assert [group.tolist() for group in found.conflicts] == [[train, n, n + 1]]
    assert np.flatnonzero(found.twins("PublicTest")).tolist() == [public]
    assert np.flatnonzero(found.leaks()).tolist() == [n + 2]
    assert np.flatnonzero(found.disputed()).tolist() == [train, n, n + 1]
    cleaned = audit.drop_leaks(found)
    assert len(cleaned) == n + 3 - 4
    for usage in USAGES[1:]:
        assert np.array_equal(cleaned.part(usage).pixels, data.part(usage).pixels)
    again = audit.audit(cleaned)
    assert not again.leaks().any() and not again.disputed().any()


def test_a_dispute_between_parts_takes_the_training_row(drawn):
    public = first(drawn, "PublicTest")
    data = with_row(drawn, drawn.pixels[public], (drawn.labels[public] + 1) % 7, "Training")
    found = audit.audit(data)
    assert np.flatnonzero(found.disputed()).tolist() == [len(drawn)]
    assert (audit.drop_leaks(found).usage == "PublicTest").sum() == (drawn.usage == "PublicTest").sum()


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
def test_blank_pictures(drawn, pixels, blank):
    found = audit.audit(with_row(drawn, pixels.astype(np.uint8), 0, "Training"))
    assert found.blank.tolist() == [False] * len(drawn) + [blank]


def test_blank_pictures_are_no_near_copies_of_each_other(drawn):
    data = with_row(
        with_row(drawn, np.full((48, 48), 9, np.uint8), 0, "Training"), drawn.pixels[0] * 0, 1, "Training"
    )
    assert len(audit.audit(data).near) == 0


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


def test_blocks_of_rows_join(monkeypatch, drawn):
    data = join([drawn, drawn.select(np.arange(0, 210, 30))])
    data.pixels[-7:, 0, 0] ^= 1
    whole = audit.near_copies(data.pixels)
    monkeypatch.setattr(audit, "_ROWS", 16)
    assert sorted(audit.near_copies(data.pixels).tolist()) == sorted(whole.tolist())
    assert len(whole) == 7


def test_no_face_and_one_face():
    empty = Dataset(np.zeros((0, 48, 48), np.uint8), np.zeros(0, np.int64), np.zeros(0, "<U11"))
    found = audit.audit(empty)
    assert dict(audit.summary(found))["faces"] == 0 and len(audit.drop_leaks(found)) == 0
    one = build.from_drawn(1, 0, labels.SEVEN)
    assert audit.imbalance(one)[2] == float("inf")
    assert len(audit.drop_leaks(audit.audit(one))) == 1


def test_counts_of_classes(drawn):
    assert sum(sum(counts) for _, counts in audit.balance(drawn)) == 210
    two = drawn.with_classes(("happy", "rest"))
    most, least, times = audit.imbalance(two)
    counts = two.part("Training").counts()
    assert (most, least) == ("rest", "happy") and times == counts[1] / counts[0]


def test_the_page_holds_counts_and_pictures_and_loads_nothing(drawn, tmp_path):
    train = first(drawn, "Training")
    data = with_row(drawn, drawn.pixels[train], (drawn.labels[train] + 1) % 7, "PublicTest")
    data = with_row(data, CHANGES["brighter"](drawn.pixels[train + 1]), 0, "PublicTest")
    data = with_row(data, np.zeros((48, 48), np.uint8), 0, "Training")
    audit_page.write_page(audit.audit(data), tmp_path / "page.html", "<my> data", most=1)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "&lt;my&gt; data" in text and "<my>" not in text
    assert text.count("<img") == 5  # disputed 1, exact twin 1, near pair 2, blank 1
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert f"{train + 1}: " in text and "exact copies of an earlier row" in text


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("FERLIB_FER2013"), reason="FERLIB_FER2013 is not set")
def test_the_shared_file():
    found = audit.audit(build.read_data(os.environ["FERLIB_FER2013"]))
    assert len(found.dataset) == 32_298
    assert found.copies.sum() == 1_530 and len(found.conflicts) == 46
    assert found.twins("PublicTest").sum() == 279
    assert 2_150 < len(found.near) < 2_300 and found.blank.sum() == 14
    cleaned = audit.drop_leaks(found)
    assert (cleaned.usage == "PublicTest").sum() == 3_589
    groups = group_copies(cleaned.pixels)
    training = cleaned.usage == "Training"
    assert not np.isin(groups[~training], groups[training]).any()
