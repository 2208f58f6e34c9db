"""A face keeps its number from frame to frame; its probabilities are calmed by its own past alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferlib import live
from ferlib.common.errors import BadInputError
from ferlib.live.tracking import Follower, Tracker
from ferlib.model.recognise import FaceReading


def reading(box, happy):
    return FaceReading(box, "happy" if happy >= 0.5 else "sad", {"happy": happy, "sad": 1 - happy}, score=0.9)


def walk(start, step, count, size=60):
    return [(start[0] + k * step[0], start[1] + k * step[1], size, size) for k in range(count)]


def test_two_faces_that_walk_past_each_other_keep_their_numbers():
    left, right = (
        walk((0, 0), (9, 0), 40),
        walk((360, 30), (-9, 0), 40),
    )  # half of one is hidden at the middle
    tracker = Tracker()
    assert tracker.update([left[0], right[0]]) == [1, 2]
    for k in range(1, 40):
        if k % 3:
            assert tracker.update([left[k], right[k]]) == [1, 2]
        else:  # the order is that of size, and changes
            assert tracker.update([right[k], left[k]]) == [2, 1]
    assert tracker.alive == (1, 2)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_numbers_are_unique_in_a_frame_and_never_come_again(counts):
    """Boxes far apart, of which some are seen in each frame: a number stands for one place only."""
    tracker, place_of = Tracker(patience=2), {}
    for count in counts:
        boxes = [(100 * k, 0, 50, 50) for k in range(count)]
        numbers = tracker.update(boxes)
        assert len(set(numbers)) == len(numbers) == count
        for number, box in zip(numbers, boxes, strict=True):
            assert place_of.setdefault(number, box) == box


@pytest.mark.parametrize(("away", "number"), [(1, 1), (3, 1), (4, 2), (20, 2)])
def test_a_face_is_lost_after_so_many_frames(away, number):
    tracker, box = Tracker(patience=3), (10, 10, 50, 50)
    assert tracker.update([box]) == [1]
    for _ in range(away):
        assert tracker.update([]) == []
    assert tracker.update([box]) == [number]


def test_the_better_overlap_wins_whatever_the_order():
    tracker = Tracker()
    tracker.update([(0, 0, 100, 100)])
    assert tracker.update([(40, 0, 100, 100), (5, 0, 100, 100)]) == [2, 1]


def test_a_jump_without_overlap_is_another_face():
    tracker = Tracker()
    tracker.update([(0, 0, 50, 50)])
    assert tracker.update([(45, 45, 50, 50)]) == [2]


def test_probabilities_are_smoothed_per_face():
    rng = np.random.default_rng(5)
    happy = rng.random((30, 2))
    follower, seen = Follower(weight=0.3), {1: [], 2: []}
    for k in range(30):
        frame = [reading((0, 0, 50, 50), happy[k, 0]), reading((200, 0, 50, 50), happy[k, 1])]
        for each in follower.update(frame):
            seen[each.track].append(each.probabilities["happy"])
            assert each.emotion == max(each.probabilities, key=each.probabilities.get)
            assert sum(each.probabilities.values()) == pytest.approx(1) and each.score == 0.9
    for face in (0, 1):
        alone = live.smooth(np.stack([happy[:, face], 1 - happy[:, face]], axis=1), 0.3)[:, 0]
        assert np.allclose(seen[face + 1], alone)


def test_weight_one_changes_nothing_but_the_number():
    follower = Follower(weight=1)
    for happy in (0.9, 0.1, 0.6):
        given = reading((0, 0, 50, 50), happy)
        (got,) = follower.update([given])
        assert got.track == 1 and (got.emotion, got.probabilities) == (given.emotion, given.probabilities)


def test_a_lost_face_leaves_no_past():
    follower = Follower(weight=0.3, patience=1)
    follower.update([reading((0, 0, 50, 50), 1.0)])
    for _ in range(2):
        follower.update([])
    (back,) = follower.update([reading((0, 0, 50, 50), 0.0)])
    assert back.track == 2 and back.probabilities["happy"] == 0 and len(follower._past) == 1


@pytest.mark.parametrize("least", [0, -0.1, 1.1, float("nan")])
def test_overlaps_that_make_no_sense(least):
    with pytest.raises(BadInputError, match="least"):
        Tracker(least=least)


def test_a_weight_or_patience_that_makes_no_sense():
    with pytest.raises(BadInputError, match="weight"):
        Follower(weight=0)
    with pytest.raises(BadInputError, match="patience"):
        Tracker(patience=-1)
