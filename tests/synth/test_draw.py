"""Drawn faces: the same seed the same bytes, units that move the face, boxes that are true."""

import dataclasses
import hashlib
import inspect
import subprocess
import sys

import cv2
import numpy as np
import pytest

from ferlib import synth
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError
from ferlib.common.images import to_gray
from ferlib.common.labels import SEVEN


def digest():
    pictures = [synth.draw_faces(3, seed=5, size=64)[0], synth.draw_photo(11).image]
    frames, emotions = zip(*synth.film(4, seconds=0.5, fps=4, size=(96, 64)), strict=True)
    parts = [picture.tobytes() for picture in (*pictures, *frames)] + [name.encode() for name in emotions]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_same_seed_same_bytes_in_a_fresh_process():
    code = f"import hashlib\nfrom ferlib import synth\n{inspect.getsource(digest)}\nprint(digest())"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == digest()


@pytest.fixture(scope="module")
def drawn():
    return synth.draw_faces(21, seed=0, size=40)


def test_seeds_differ():
    images = [synth.draw_faces(1, seed=seed, size=64)[0].tobytes() for seed in range(5)]
    assert len(set(images)) == 5


def test_a_shorter_set_is_the_beginning_of_a_longer_one(drawn):
    short, emotions = synth.draw_faces(4, seed=0, size=40)
    assert np.array_equal(short, drawn[0][:4]) and emotions == drawn[1][:4]


def test_emotions_are_balanced_and_images_have_their_shape(drawn):
    images, emotions = drawn
    assert images.shape == (21, 40, 40, 3) and images.dtype == np.uint8
    assert {emotions.count(name) for name in SEVEN} == {3}
    assert emotions[:7] != list(SEVEN)  # mixed
    assert synth.draw_faces(0, seed=0)[0].shape == (0, 96, 96, 3)


@pytest.fixture(scope="module")
def rest():
    """A plain face at rest without camera noise, and its picture."""
    face = synth.Face(seed=1, noise=0.0)
    return face, synth.draw_face(face, 160)


@pytest.mark.parametrize("unit", synth.AU_NAMES)
def test_each_unit_changes_the_face_and_only_the_face(unit, rest):
    face, image = rest
    moved = synth.draw_face(dataclasses.replace(face, aus={unit: 1.0}), 160)
    difference = np.abs(moved.astype(int) - image).max(axis=2)
    x, y, w, h = synth.face_box(face, 160)
    assert (difference[y : y + h, x : x + w] > 12).sum() > 20
    assert difference[:20].max() <= 2  # the background above the head stays


def test_units_grow_with_their_intensity(rest):
    face, image = rest
    half, full = (synth.draw_face(dataclasses.replace(face, aus={12: level}), 160) for level in (0.5, 1))
    assert np.abs(full.astype(float) - image).mean() > np.abs(half.astype(float) - image).mean() > 0


def test_haar_finds_the_drawn_faces_where_they_are():
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    found, shares = [], []
    for face in synth.sample_faces(350, seed=0):
        truth = synth.face_box(face, 160)
        # the smallest true box is 93 px; one of less than 65 px has an IoU below 0.5 with any of them
        boxes = cascade.detectMultiScale(to_gray(synth.draw_face(face, 160)), 1.1, 5, minSize=(60, 60))
        best = max((iou(box, truth) for box in boxes), default=0.0)
        found.append(best > 0.5)
        shares += [best] if best else []
    assert np.mean(found) >= 0.97
    assert np.mean(shares) > 0.8


@pytest.mark.parametrize(
    "call",
    [
        lambda: synth.draw_face(synth.Face(), 8),
        lambda: synth.draw_face(synth.Face(), 96.5),
        lambda: synth.draw_face(synth.Face(), 1025),
        lambda: synth.face_box(synth.Face(), 0),
        lambda: synth.draw_faces(-1, 0),
        lambda: synth.draw_faces(2.0, 0),
        lambda: synth.draw_faces(2, -1),
        lambda: synth.draw_faces(2, True),
    ],
)
def test_bad_numbers_are_refused(call):
    with pytest.raises(BadInputError, match="is not a whole number from"):
        call()
