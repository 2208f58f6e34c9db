"""A face keeps its number from frame to frame; its probabilities are smoothed by its own past alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferlib.common.errors import BadInputError
from ferlib.live.tracking import FaceTracker
from ferlib.model.recognise import Face


def face(box, happy=0.5):
    return Face(box, "happy" if happy >= 0.5 else "sad", {"happy": happy, "sad": 1 - happy}, score=0.9)


def numbers(tracker, boxes):
    return [each.track for each in tracker.update([face(box) for box in boxes])]


def walk(start, step, count, size=60):
    return [(start[0] + k * step[0], start[1] + k * step[1], size, size) for k in range(count)]


def test_two_faces_that_walk_past_each_other_keep_their_numbers():
    # half of one is hidden at the middle
    left, right = walk((0, 0), (9, 0), 40), walk((360, 30), (-9, 0), 40)
    tracker = FaceTracker()
    assert numbers(tracker, [left[0], right[0]]) == [1, 2]
    for k in range(1, 40):
        if k % 3:
            assert numbers(tracker, [left[k], right[k]]) == [1, 2]
        else:  # the order is that of size, and changes
            assert numbers(tracker, [right[k], left[k]]) == [2, 1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_numbers_are_unique_in_a_frame_and_never_used_again(counts):
    """Boxes far apart, of which some are seen in each frame: a number belongs to one place only."""
    tracker, place_of = FaceTracker(patience=2), {}
    for count in counts:
        boxes = [(100 * k, 0, 50, 50) for k in range(count)]
        tracks = numbers(tracker, boxes)
        assert len(set(tracks)) == len(tracks) == count
        for number, box in zip(tracks, boxes, strict=True):
            assert place_of.setdefault(number, box) == box


@pytest.mark.parametrize(("away", "number"), [(1, 1), (3, 1), (4, 2), (20, 2)])
def test_a_face_is_lost_after_so_many_frames_and_leaves_no_past(away, number):
    tracker, box = FaceTracker(patience=3), (10, 10, 50, 50)
    assert tracker.update([face(box, 1.0)])[0].track == 1
    for _ in range(away):
        assert tracker.update([]) == []
    (back,) = tracker.update([face(box, 0.0)])
    assert back.track == number and back.probabilities["happy"] == pytest.approx(0.7 if number == 1 else 0)


def test_the_better_overlap_wins_whatever_the_order():
    tracker = FaceTracker()
    numbers(tracker, [(0, 0, 100, 100)])
    assert numbers(tracker, [(40, 0, 100, 100), (5, 0, 100, 100)]) == [2, 1]


def test_a_jump_without_overlap_is_another_face():
    tracker = FaceTracker()
    numbers(tracker, [(0, 0, 50, 50)])
    assert numbers(tracker, [(45, 45, 50, 50)]) == [2]


@pytest.mark.parametrize("weight", [0.05, 0.3, 1])
def test_probabilities_are_smoothed_per_face_as_pandas_smooths_them(weight):
    happy = np.random.default_rng(5).random((30, 2))
    tracker, seen = FaceTracker(weight), {1: [], 2: []}
    for k in range(30):
        frame = [face((0, 0, 50, 50), happy[k, 0]), face((200, 0, 50, 50), happy[k, 1])]
        for each in tracker.update(frame):
            seen[each.track].append(each.probabilities["happy"])
            assert each.emotion == max(each.probabilities, key=each.probabilities.get)
            assert sum(each.probabilities.values()) == pytest.approx(1) and each.score == 0.9
    expected = pd.DataFrame(happy).ewm(alpha=weight, adjust=False).mean()
    assert np.allclose(seen[1], expected[0]) and np.allclose(seen[2], expected[1])


def test_weight_one_changes_nothing_but_the_number():
    tracker = FaceTracker(weight=1)
    for happy in (0.9, 0.1, 0.6):
        given = face((0, 0, 50, 50), happy)
        (got,) = tracker.update([given])
        assert got.track == 1 and (got.emotion, got.probabilities) == (given.emotion, given.probabilities)


@given(
    st.lists(st.tuples(st.floats(0.001, 2), st.integers(0, 1)), min_size=1, max_size=30),
    st.integers(1, 9),
)
def test_smoothing_by_time_does_not_depend_on_the_rate(steps, parts):
    fast, slow, now = FaceTracker(time_constant=0.25), FaceTracker(time_constant=0.25), 100.0
    faces = [face((10, 10, 50, 50), 1.0), face((10, 10, 50, 50), 0.2)]
    fast.update(faces[:1], now), slow.update(faces[:1], now)
    for seconds, which in steps:
        for k in range(parts):
            (often,) = fast.update([faces[which]], now + seconds * (k + 1) / parts)
        now += seconds
        (once,) = slow.update([faces[which]], now)
        assert sum(once.probabilities.values()) == pytest.approx(1) and min(once.probabilities.values()) >= 0
        assert often.probabilities["happy"] == pytest.approx(once.probabilities["happy"], abs=1e-6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        *[({"weight": value}, "weight") for value in (0, -0.1, 1.1, float("nan"))],
        *[({"min_iou": value}, "min_iou") for value in (0, -0.1, 1.1, float("nan"))],
        ({"patience": -1}, "patience"),
    ],
)
def test_values_outside_their_range_are_refused(values, words):
    with pytest.raises(BadInputError, match=words):
        FaceTracker(**values)


def test_after_a_reset_a_face_in_the_same_place_is_another_one():
    tracker, box = FaceTracker(), (10, 10, 50, 50)
    tracker.update([face(box, 1.0)])
    tracker.reset()
    (new,) = tracker.update([face(box, 0.0)])
    assert new.track == 2 and new.probabilities["happy"] == 0
