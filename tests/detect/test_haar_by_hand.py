"""The cascade taken apart in numpy, held against OpenCV's own."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.detect import detector, haar_by_hand

grays = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(grays)
def test_the_integral_image_is_opencvs(gray):
    assert (haar_by_hand.integral(gray) == cv2.integral(gray)).all()


@given(grays, st.data())
def test_four_look_ups_sum_any_rectangle(gray, data):
    height, width = gray.shape
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(0, width - x)), data.draw(st.integers(0, height - y))
    assert haar_by_hand.rectangle_sum(haar_by_hand.integral(gray), x, y, w, h) == gray[
        y : y + h, x : x + w
    ].sum(dtype=int)


def test_the_stages_of_the_default_cascade():
    stages = haar_by_hand.read_stages()
    assert len(stages) == 25 and [len(stage.stumps) for stage in stages[:3]] == [9, 16, 27]
    assert sum(len(stage.stumps) for stage in stages) == 2913
    first = stages[0].stumps[0]
    assert first.rectangles.tolist() == [[6, 4, 12, 9], [6, 7, 12, 3]] and first.weights.tolist() == [-1, 3]


@pytest.mark.parametrize("name", ["frontalface_alt2", "nothing", "../../etc/passwd"])
def test_other_cascades_are_refused(name):
    with pytest.raises(BadInputError):
        haar_by_hand.read_stages(name)


def test_what_survives_every_stage_is_what_opencv_finds():
    gray = images.resize(images.to_gray(synth.draw_photo(3).image), (200, 140))
    left = haar_by_hand.all_survivors(gray, haar_by_hand.read_stages(), 1.2, 30)
    ours, theirs = set(left[-1]), set(detector.detect_faces(gray, scale_factor=1.2, min_neighbors=0))
    assert theirs and theirs <= ours
    # OpenCV skips the neighbour of a window that fell in the first stage: a few of ours it never looked at
    assert len(ours - theirs) <= max(3, 0.3 * len(ours))
    counts = [len(boxes) for boxes in left]
    assert counts == sorted(counts, reverse=True) and counts[5] < 0.1 * counts[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(24, 300), st.integers(24, 300), st.floats(1.05, 2))
def test_the_pyramid_shrinks_until_the_window_no_longer_fits(width, height, factor):
    levels = haar_by_hand.pyramid(width, height, factor)
    assert levels[0] == (1.0, width, height)
    assert all(min(w, h) >= 23 for _, w, h in levels)
    assert levels[-1][0] * factor * 24 > min(width, height) - 1


def test_a_picture_smaller_than_the_window_has_no_level():
    assert haar_by_hand.pyramid(23, 400) == []
    assert all(
        boxes == []
        for boxes in haar_by_hand.all_survivors(np.zeros((20, 90), np.uint8), haar_by_hand.read_stages())
    )


@pytest.mark.parametrize("factor", [1, 0.9, float("nan")])
def test_a_pyramid_that_does_not_shrink_is_refused(factor):
    with pytest.raises(BadInputError):
        haar_by_hand.pyramid(100, 100, factor)
