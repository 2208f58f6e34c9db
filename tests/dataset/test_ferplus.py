"""FER+'s votes as labels and as shares, and whose rows they are."""

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.common import labels
from ferlib.common.errors import BadInputError, DatasetError, LabelError
from ferlib.common.labels import EIGHT, SEVEN
from ferlib.dataset import build, ferplus
from ferlib.dataset.splits import USAGES

HAPPY, SAD, ANGRY, NEUTRAL, CONTEMPT = (
    EIGHT.index(n) for n in ("happy", "sad", "angry", "neutral", "contempt")
)


def row(**votes):
    """A row of votes by the file's names."""
    return [votes.get(name, 0) for name in ferplus.VOTES]


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        (row(happiness=10), HAPPY),
        (row(neutral=4, sadness=4, anger=2), -1),  # no majority
        (row(happiness=5, sadness=5), -1),  # half is no majority
        (
            row(happiness=5, sadness=1, anger=1, fear=1, disgust=1, surprise=1),
            HAPPY,
        ),  # single votes do not count
        (row(happiness=5, sadness=3, anger=2), -1),
        (row(sadness=6, NF=4), SAD),
        (row(NF=10), -1),
        (row(NF=6, happiness=4), -1),
        (row(unknown=7, neutral=3), -1),
        (row(contempt=6, neutral=4), CONTEMPT),
        (row(neutral=1, sadness=1, anger=1), -1),  # nothing but single votes
        (row(), -1),
    ],
)
def test_the_majority(votes, label):
    got = ferplus.majority_labels(np.array([votes]))
    assert got.tolist() == [label] and got.dtype == np.int64


@pytest.mark.parametrize(
    ("votes", "handling", "label"),
    [
        (row(contempt=6, neutral=4), {"contempt": "drop"}, -1),
        (row(contempt=6, neutral=4), {"contempt": "ignore"}, NEUTRAL),
        (row(contempt=4, neutral=6), {"contempt": "drop"}, NEUTRAL),
        (row(neutral=5, contempt=5), {"contempt": "ignore"}, NEUTRAL),
        (row(unknown=6, anger=4), {"unknown": "drop"}, -1),
        (row(unknown=6, anger=4), {"unknown": "ignore"}, ANGRY),
    ],
)
def test_handling_of_contempt_and_unknown(votes, handling, label):
    assert ferplus.majority_labels(np.array([votes]), **handling).tolist() == [label]


@pytest.mark.parametrize(
    ("votes", "handling", "shares"),
    [
        (row(happiness=10), {}, {"happy": 1}),
        (row(happiness=6, surprise=3, NF=1), {}, {"happy": 2 / 3, "surprise": 1 / 3}),
        (row(happiness=6, surprise=3, fear=1), {}, {"happy": 2 / 3, "surprise": 1 / 3}),
        (row(neutral=4, sadness=4, unknown=2), {}, {"neutral": 0.5, "sad": 0.5}),
        (row(neutral=4, unknown=6), {}, None),
        (row(neutral=4, unknown=6), {"unknown": "ignore"}, {"neutral": 1}),
        (row(neutral=5, NF=5), {}, {"neutral": 1}),
        (row(neutral=2, sadness=2, anger=2, NF=4), {}, None),
        (row(NF=10), {}, None),
        (row(), {}, None),
        (row(contempt=6, neutral=4), {}, {"contempt": 0.6, "neutral": 0.4}),
        (row(contempt=6, neutral=4), {"contempt": "drop"}, None),
        (row(contempt=4, neutral=6), {"contempt": "drop"}, {"neutral": 1}),
        (row(contempt=6, neutral=4), {"contempt": "ignore"}, {"neutral": 1}),
        (row(contempt=6, neutral=4), {"class_names": SEVEN}, {"neutral": 1}),
        (row(anger=5, disgust=3, fear=2), {"class_names": labels.SIX}, {"angry": 0.8, "fear": 0.2}),
        (row(anger=5, happiness=5), {"class_names": ("happy", "rest")}, {"happy": 0.5, "rest": 0.5}),
        (row(anger=10), {"class_names": ("happy", "sad")}, None),
        (row(happiness=4, surprise=4, sadness=2), {"class_names": ("happy+surprise", "sad")},
         {"happy+surprise": 0.8, "sad": 0.2}),
    ],
)  # fmt: skip
def test_soft_labels(votes, handling, shares):
    names = handling.get("class_names", EIGHT)
    got, use = ferplus.soft_labels(np.array([votes]), **handling)
    assert got.dtype == np.float32 and got.shape == (1, len(names))
    assert use.tolist() == [shares is not None]
    assert got[0].tolist() == pytest.approx([(shares or {}).get(name, 0) for name in names])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 10), min_size=10, max_size=10), max_size=8),
    st.sampled_from(ferplus.HANDLING["contempt"]),
    st.sampled_from(ferplus.HANDLING["unknown"]),
)
def test_shares_sum_to_one_and_their_largest_is_the_majority(votes, contempt, unknown):
    votes = np.array(votes, np.int64).reshape(-1, 10)
    before = votes.copy()
    shares, use = ferplus.soft_labels(votes, EIGHT, contempt, unknown)
    majority = ferplus.majority_labels(votes, contempt, unknown)
    assert np.allclose(shares[use].sum(axis=1), 1, atol=1e-6) and (shares[~use] == 0).all()
    clear = majority >= 0
    assert use[clear].all() and (shares[clear].argmax(axis=1) == majority[clear]).all()
    assert np.array_equal(votes, before)


@pytest.mark.parametrize(
    ("votes", "handling"),
    [
        (np.zeros((2, 9)), {}),
        (np.zeros(10), {}),
        (np.array([["x"] * 10]), {}),
        (np.array([row(happiness=-1)]), {}),
        (np.zeros((1, 10)), {"contempt": "maybe"}),
        (np.zeros((1, 10)), {"unknown": "keep"}),
    ],
)
def test_votes_and_words_without_sense(votes, handling):
    for function in (ferplus.majority_labels, ferplus.soft_labels):
        with pytest.raises(BadInputError):
            function(votes, **handling)


def test_classes_that_nobody_could_vote_for():
    with pytest.raises(LabelError):
        ferplus.soft_labels(np.zeros((1, 10)), ("happy", "joy"))


def write_votes(path, usage, votes):
    lines = [
        ",".join([u, f"fer{k:07}.png", *map(str, v)])
        for k, (u, v) in enumerate(zip(usage, votes, strict=True))
    ]
    path.write_text("\n".join(["Usage,Image name," + ",".join(ferplus.VOTES), *lines]) + "\n")


def test_faces_under_their_majority(tmp_path, drawn):
    faces = drawn.select(np.arange(6)).with_usage(np.array(["Training"] * 4 + ["PublicTest"] * 2))
    build.write_fer2013(faces, tmp_path / "fer2013.csv")
    votes = [
        row(happiness=9),
        row(NF=10),
        row(contempt=8),
        row(neutral=4, sadness=4),
        row(anger=7),
        row(unknown=8),
    ]
    write_votes(tmp_path / "votes.csv", faces.usage, votes)
    same, counted = ferplus.read_voted(tmp_path / "fer2013.csv", tmp_path / "votes.csv")
    assert np.array_equal(same.pixels, faces.pixels) and counted.tolist() == votes
    made = ferplus.relabel(same, counted)
    assert made.class_names == EIGHT and made.labels.tolist() == [HAPPY, CONTEMPT, ANGRY]
    assert np.array_equal(made.pixels, faces.pixels[[0, 2, 4]])
    assert made.usage.tolist() == ["Training", "Training", "PublicTest"]
    seven = ferplus.relabel(*ferplus.read_voted(tmp_path, tmp_path / "votes.csv"), contempt="drop")
    assert seven.class_names == SEVEN and seven.labels.tolist() == [HAPPY, ANGRY]
    with pytest.raises(DatasetError, match="5 rows of votes"):
        ferplus.relabel(faces, np.array(votes[:5]))


def test_votes_do_not_go_with_class_folders(tmp_path, drawn):
    faces = drawn.select(np.arange(7))
    build.write_splits(faces, tmp_path)
    write_votes(tmp_path / "votes.csv", faces.usage, [row(happiness=9)] * 7)
    with pytest.raises(DatasetError, match="not with class folders"):
        ferplus.read_voted(tmp_path, tmp_path / "votes.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("contempt", "pride"), "no column contempt"),
        (lambda text: text.replace(",9,", ",many,", 1), "cannot be read"),
        (lambda text: "\n".join(text.splitlines()[:3]), "2 rows of votes do not go with the 4 faces"),
        (lambda text: text.replace("PublicTest", "Training"), "do not go with"),
        (lambda text: "", "no column"),
    ],
)
def test_bad_files_of_votes(tmp_path, drawn, change, words):
    faces = drawn.select(np.arange(4)).with_usage(np.array(["Training"] * 2 + ["PublicTest"] * 2))
    write_votes(tmp_path / "votes.csv", faces.usage, [row(happiness=9)] * 4)
    assert len(ferplus.read_votes(tmp_path / "votes.csv", faces)) == 4
    (tmp_path / "votes.csv").write_text(change((tmp_path / "votes.csv").read_text()))
    with pytest.raises(DatasetError, match=words):
        ferplus.read_votes(tmp_path / "votes.csv", faces)
    with pytest.raises(DatasetError, match="cannot be read"):
        ferplus.read_votes(tmp_path / "none.csv", faces)


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("FERLIB_FERPLUS"), reason="FERLIB_FERPLUS is not set")
def test_the_real_votes():
    table = pd.read_csv(os.environ["FERLIB_FERPLUS"])
    usage, votes = table["Usage"].to_numpy(), table[list(ferplus.VOTES)].to_numpy()
    assert (votes[:, -1] == 10).sum() == 176
    emotions, total = votes[:, :8].max(axis=1), votes.sum(axis=1)
    assert (2 * emotions > total).mean() == pytest.approx(0.76, abs=0.005)
    assert (emotions == total).mean() == pytest.approx(0.22, abs=0.005)
    # the counts that papers on FER+ give for its majority rule
    found = ferplus.majority_labels(votes)
    assert [(found[usage == u] >= 0).sum() for u in USAGES] == [25_060, 3_199, 3_153]
    assert ferplus.majority_labels(votes, contempt="drop").max() == 6
    shares, use = ferplus.soft_labels(votes)
    assert not use[votes[:, -1] == 10].any() and use.mean() > 0.98
    assert np.allclose(shares[use].sum(axis=1), 1, atol=1e-6)


@pytest.mark.real
def test_the_real_faces_under_their_votes(real, real_votes):
    made = ferplus.relabel(real, real_votes, contempt="drop")
    assert made.part("PublicTest").counts().sum() == 3_186
    # the same faces: most labels agree, which they would not if a row had slipped
    codes = {face.tobytes(): label for face, label in zip(real.pixels, real.labels, strict=True)}
    same = [
        codes[face.tobytes()] == label for face, label in zip(made.pixels[::9], made.labels[::9], strict=True)
    ]
    assert 0.6 < np.mean(same) < 0.9
