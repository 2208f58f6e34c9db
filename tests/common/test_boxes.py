"""Boxes as geometry: overlap, clamping, turning by EXIF, matching, scoring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ferlib.common.boxes import clamp_box, grow_box, iou, match_boxes, turn_box

whole = st.integers(-60, 60)
boxes = st.tuples(whole, whole, st.integers(1, 60), st.integers(1, 60))


def mask(box, width=240, height=240, shift=80):
    """The box painted into a picture large enough for any box above: the slow, sure way."""
    x, y, w, h = box
    out = np.zeros((height, width), bool)
    out[y + shift : y + shift + h, x + shift : x + shift + w] = True
    return out


@given(boxes, boxes)
def test_iou_is_what_counting_pixels_gives(a, b):
    first, second = mask(a), mask(b)
    assert iou(a, b) == pytest.approx((first & second).sum() / (first | second).sum())
    assert iou(a, b) == iou(b, a) and iou(a, a) == 1.0


@pytest.mark.parametrize("empty", [(5, 5, 0, 0), (5, 5, 0, 9), (5, 5, 9, 0)])
def test_a_box_without_area_overlaps_nothing(empty):
    assert iou(empty, (0, 0, 20, 20)) == 0.0 and iou(empty, empty) == 0.0


@given(boxes, st.integers(1, 80), st.integers(1, 80))
def test_a_clamped_box_is_the_part_inside(box, width, height):
    x, y, w, h = clamp_box(box, width, height)
    assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
    inside = mask(box)[80 : 80 + height, 80 : 80 + width]
    assert w * h == inside.sum()
    if w and h:
        assert inside[y : y + h, x : x + w].all()
    assert clamp_box((x, y, w, h), width, height) == (x, y, w, h)


def test_a_grown_box_keeps_its_middle():
    assert grow_box((10, 20, 40, 60), 0.25) == (0, 5, 60, 90)
    assert grow_box((10, 20, 40, 60), 0) == (10, 20, 40, 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pillow_turns_pictures(orientation):
    stored = np.zeros((40, 60), np.uint8)
    x, y, w, h = box = (7, 11, 20, 5)
    stored[y : y + h, x : x + w] = 255
    picture = Image.fromarray(stored)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.info["exif"] = exif.tobytes()
    turned = np.asarray(ImageOps.exif_transpose(picture))
    tx, ty, tw, th = turn_box(box, orientation, 60, 40)
    expected = np.zeros_like(turned)
    expected[ty : ty + th, tx : tx + tw] = 255
    assert (turned == expected).all() and turned.any()


@pytest.mark.parametrize("orientation", [0, 9, -1, 7000])
def test_an_unknown_orientation_turns_nothing(orientation):
    assert turn_box((1, 2, 3, 4), orientation, 60, 40) == (1, 2, 3, 4)


@given(st.lists(boxes, max_size=6), st.lists(boxes, max_size=6))
def test_each_box_is_matched_once_and_well(truth, found):
    pairs = match_boxes(truth, found, 0.3)
    assert len({i for i, _, _ in pairs}) == len({j for _, j, _ in pairs}) == len(pairs)
    for i, j, overlap in pairs:
        assert overlap == iou(truth[i], found[j]) >= 0.3
    free_truth = set(range(len(truth))) - {i for i, _, _ in pairs}
    free_found = set(range(len(found))) - {j for _, j, _ in pairs}
    assert all(iou(truth[i], found[j]) < 0.3 for i in free_truth for j in free_found)


def test_the_best_overlap_goes_first():
    truth, found = [(0, 0, 10, 10), (4, 0, 10, 10)], [(4, 0, 10, 10)]
    assert match_boxes(truth, found, 0.1) == [(1, 0, 1.0)]
