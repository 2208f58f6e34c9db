"""Class sets, their order, and the one mapping between orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferlib.common import labels
from ferlib.common.errors import LabelError
from ferlib.common.labels import (
    EIGHT,
    REST,
    SEVEN,
    SIX,
    alphabetical,
    label_of,
    map_labels,
    parse_classes,
    pick_probabilities,
)

seven_part = st.lists(st.sampled_from(SEVEN), min_size=2, max_size=7, unique=True).map(tuple)
with_rest = st.lists(st.sampled_from(SEVEN), min_size=1, max_size=6, unique=True).map(
    lambda names: (*names, REST)
)


@st.composite
def grouped(draw):
    """Some of the seven in two to four classes, several emotions in one."""
    emotions = draw(st.lists(st.sampled_from(SEVEN), min_size=2, max_size=7, unique=True))
    count = draw(st.integers(2, min(4, len(emotions))))
    return tuple("+".join(sorted(emotions[k::count], key=SEVEN.index)) for k in range(count))


any_set = st.one_of(seven_part, with_rest, st.just(SIX), grouped())


def test_fer2013s_order():
    assert SEVEN == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert alphabetical(SEVEN) == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def test_the_folder_order_of_keras_is_another_one():
    # system D's trap: neutral is 6 in FER2013 and 4 in the folders' order
    assert map_labels([6, 4, 5, 0], SEVEN, alphabetical(SEVEN)).tolist() == [4, 5, 6, 0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("happy", "happy"),
        (" Happiness ", "happy"),
        ("ANGER", "angry"),
        ("sadness", "sad"),
        ("fearful", "fear"),
        ("surprised", "surprise"),
        ("disgusted", "disgust"),
        ("neutrality", None),
        ("", None),
        ("rest", None),
        (None, None),
        (3, None),
        ("happy,sad", None),
    ],
)
def test_other_names_of_an_emotion(name, expected):
    if expected is None:
        with pytest.raises(LabelError, match="unknown emotion"):
            labels.canonical(name)
    else:
        assert labels.canonical(name) == expected


@pytest.mark.parametrize("name", ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"])
def test_system_es_names_are_known(name):
    assert labels.canonical(name) in SEVEN


@pytest.mark.parametrize(
    ("given_classes", "expected"),
    [
        ("seven", SEVEN),
        (" Six ", SIX),
        ("7", SEVEN),
        ("eight", EIGHT),
        ("happy,neutral", ("happy", "neutral")),
        ("surprise+happy, sad+ANGER", ("happy+surprise", "angry+sad")),
        ("happy+surprise,rest", ("happy+surprise", "rest")),
        ("contempt,happy", ("contempt", "happy")),
        ("neutral, happy", ("neutral", "happy")),
        ("Happiness,REST", ("happy", "rest")),
        (["sad", "anger"], ("sad", "angry")),
        (SEVEN, SEVEN),
        ("bored, attentive", ("bored", "attentive")),
        ("高兴,伤心,中性", ("高兴", "伤心", "中性")),
        ("Freude,Trauer,NEUTRAL", ("Freude", "Trauer", "neutral")),
        ("e\u0301mu,calme", ("\u00e9mu", "calme")),
        ("bored+sad,happy", ("sad+bored", "happy")),
    ],
)
def test_what_a_classes_parameter_stands_for(given_classes, expected):
    assert parse_classes(given_classes) == expected


@pytest.mark.parametrize(
    "wrong",
    ["", "happy", "happy,", ",", "happy,happy", "happy,happiness", "rest,rest", "bored,Bored", "nine", "bored, bored ",
     "\u00e9mu,e\u0301mu", "a,b/c", "a,.b", "a,b\\c", "a,b\tc", "a," + 61 * "b", "Straße,STRASSE", "a,b:c",
     "happy+happy,sad", "happy+sad,sad", "happy+rest,sad", "happy+,sad", "happy+surprise", "good=happy,sad",
     [], ["happy"], ("happy", "../../x"), None, 7, ["happy", None]],
)  # fmt: skip
def test_a_classes_parameter_without_sense_is_refused(wrong):
    with pytest.raises(LabelError):
        parse_classes(wrong)


@given(any_set)
def test_parsing_what_was_parsed_changes_nothing(names):
    assert parse_classes(names) == names == parse_classes(",".join(names))


@pytest.mark.parametrize(
    ("emotion", "names", "label"),
    [
        ("neutral", SEVEN, 6),
        ("neutral", SIX, 5),
        ("disgust", SIX, 0),
        ("disgust", ("angry", "happy"), None),
        ("sad", ("happy", REST), 1),
        (REST, ("happy", REST), 1),
        (REST, SEVEN, None),
        ("Happiness", ("happy", REST), 0),
        ("sad", ("happy+surprise", "angry+sad"), 1),
        ("fear", ("happy+surprise", "angry+sad"), None),
        ("contempt", EIGHT, 7),
        ("contempt", SEVEN, None),
        ("contempt", ("happy", REST), 1),
    ],
)
def test_the_label_of_an_emotion(emotion, names, label):
    assert label_of(emotion, names) == label


@pytest.mark.parametrize("emotion", ["bored", "", None, "not a face", 3])
def test_an_unknown_emotion_has_no_label(emotion):
    assert label_of(emotion, SEVEN) is None


@pytest.mark.parametrize(
    ("emotion", "label"), [("BORED", 0), (" bored", 0), ("高兴", 1), ("sad", 2), ("angry", None)]
)
def test_names_of_ones_own_have_labels(emotion, label):
    assert label_of(emotion, ("bored", "高兴", "sad+tired")) == label
    assert label_of("tired", ("bored", "高兴", "sad+tired")) == 2 and label_of("x", ("bored", REST)) == 1


def test_sets_with_nothing_in_common_are_refused():
    with pytest.raises(LabelError, match=r"have nothing in common with angry, .*map the names"):
        map_labels([0, 1], ("bored", "高兴"), SEVEN)
    assert map_labels([0, 1, 2], ("bored", "happy", "sad"), SEVEN).tolist() == [-1, 3, 4]


@given(any_set, st.sampled_from(SEVEN))
def test_labels_point_at_their_name(names, emotion):
    label = label_of(emotion, names)
    if label is None:
        assert not any(emotion in name for name in names) and REST not in names
    elif "+" in names[label]:
        assert emotion in names[label].split("+")
    else:
        merged = (set(names) == set(SIX) and emotion == "disgust" and names[label] == "angry") or names[
            label
        ] == REST
        assert names[label] == emotion or merged


@given(seven_part, st.data())
def test_there_and_back_again_is_the_same(names, data):
    order = tuple(data.draw(st.permutations(names)))
    y = np.array(data.draw(st.lists(st.integers(0, len(names) - 1), max_size=20)), np.int64)
    there = map_labels(y, names, order)
    assert there.dtype == np.int64 and (map_labels(there, order, names) == y).all()


@given(any_set)
def test_mapping_from_seven_is_the_label_of_each_emotion(names):
    expected = [-1 if (k := label_of(name, names)) is None else k for name in SEVEN]
    assert map_labels(np.arange(7), SEVEN, names).tolist() == expected


@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), ()])
def test_labels_keep_their_shape(shape):
    out = map_labels(np.zeros(shape, np.int64), SEVEN, SIX)
    assert out.shape == shape and out.dtype == np.int64


@pytest.mark.parametrize("wrong", [[7], [-1], [0, 9], [10**6]])
def test_a_label_outside_is_named(wrong):
    with pytest.raises(LabelError, match=str(wrong[-1])):
        map_labels(wrong, SEVEN, SIX)


@pytest.mark.parametrize("wrong", [[1.5], ["happy"], [float("nan")], [None]])
def test_labels_that_are_no_whole_numbers_are_refused(wrong):
    with pytest.raises(LabelError):
        map_labels(wrong, SEVEN, SIX)


def test_whole_numbers_in_any_dtype_are_labels():
    for dtype in (np.uint8, np.int32, np.float64):
        assert map_labels(np.array([3, 6], dtype), SEVEN, ("happy", "neutral")).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (("happy", REST), SEVEN),
        (("happy", REST), ("happy", "neutral")),
        (("happy", REST), ("sad", REST)),
        (SIX, SEVEN),
        (SIX, ("disgust", "happy")),
        (("happy+surprise", "sad"), SEVEN),
        (("happy+surprise", "sad"), ("happy", "sad")),
        (("happy+surprise", REST), ("happy", REST)),
        (("happy", REST), ("happy", "angry+sad")),
    ],
)
def test_classes_that_cannot_be_told_apart_again_are_refused(start, end):
    with pytest.raises(LabelError):
        map_labels([0], start, end)


def test_six_in_the_order_of_folders_counts_disgust_as_angry_too():
    assert label_of("disgust", alphabetical(SIX)) == 0
    with pytest.raises(LabelError):
        map_labels([0], alphabetical(SIX), SEVEN)


def test_groups_meet_larger_groups():
    two = ("happy+surprise", "angry+sad")
    assert map_labels([0, 1], two, ("angry+sad", "happy+surprise")).tolist() == [1, 0]
    assert map_labels([0, 1], two, ("happy+surprise", REST)).tolist() == [0, 1]
    assert map_labels([0, 1], two, ("happy+neutral+surprise", "fear")).tolist() == [0, -1]
    assert map_labels([0, 1, 2], ("happy", "sad", REST), ("happy+sad", REST)).tolist() == [0, 0, 1]
    assert map_labels(np.arange(6), SIX, ("angry+disgust", "happy")).tolist() == [0, -1, 1, -1, -1, -1]
    assert map_labels(np.arange(8), EIGHT, SEVEN).tolist() == [*range(7), -1]
    assert pick_probabilities(np.eye(7), SEVEN, two).tolist()[3] == [1, 0]


def test_rest_in_another_order_is_no_loss():
    assert map_labels([0, 1], ("happy", REST), (REST, "happy")).tolist() == [1, 0]


@given(any_set, st.integers(1, 5), st.integers(0, 99))
def test_picked_probabilities_sum_to_one_and_follow_the_labels(names, n, seed):
    rows = np.random.default_rng(seed).dirichlet(np.ones(7), n)
    out = pick_probabilities(rows, SEVEN, names)
    assert out.shape == (n, len(names)) and out.dtype == np.float64
    assert np.allclose(out.sum(axis=1), 1) and (out >= 0).all()
    sure = pick_probabilities(np.eye(7), SEVEN, names)
    for k, emotion in enumerate(SEVEN):
        label = label_of(emotion, names)
        assert label is None or sure[k, label] == 1


def test_merged_classes_get_the_sum_of_their_parts():
    row = np.array([[0.1, 0.2, 0.05, 0.3, 0.05, 0.1, 0.2]])
    assert pick_probabilities(row, SEVEN, SIX)[0].tolist() == pytest.approx([0.3, 0.05, 0.3, 0.05, 0.1, 0.2])
    assert pick_probabilities(row, SEVEN, ("happy", REST))[0].tolist() == pytest.approx([0.3, 0.7])
    assert pick_probabilities(row, SEVEN, ("happy", "neutral"))[0].tolist() == pytest.approx([0.6, 0.4])


def test_a_class_without_source_is_refused():
    with pytest.raises(LabelError, match="disgust"):
        pick_probabilities(np.ones((1, 2)) / 2, ("happy", "sad"), ("happy", "disgust"))


@pytest.mark.parametrize("shape", [(7,), (2, 6), (2, 7, 1)])
def test_probabilities_of_another_shape_are_refused(shape):
    with pytest.raises(LabelError):
        pick_probabilities(np.ones(shape), SEVEN, SIX)


def test_no_row_gives_no_row():
    assert pick_probabilities(np.zeros((0, 7)), SEVEN, SIX).shape == (0, 6)
