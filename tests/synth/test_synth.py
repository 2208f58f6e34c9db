"""Drawn faces: the same seed the same bytes, units that move the face, boxes that are true."""

import csv
import dataclasses
import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib import synth
from ferlib.common.errors import BadInputError, LabelError
from ferlib.common.images import load_image, to_gray
from ferlib.common.labels import SEVEN

HASH = """
import hashlib
from ferlib import synth
digest = hashlib.sha256(synth.draw_faces(3, seed=5, size=64)[0].tobytes())
digest.update(synth.draw_photo(11).image.tobytes())
for frame, emotion in synth.film(4, seconds=0.5, fps=4, size=(96, 64)):
    digest.update(frame.tobytes() + emotion.encode())
print(digest.hexdigest())
"""


def _overlap(a, b):
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    tall = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


def _iou(a, b):
    both = _overlap(a, b)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def _inside(box, width, height):
    x, y, w, h = box
    return x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= width and y + h <= height


def test_same_seed_same_bytes_in_a_fresh_process():
    runs = [
        subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True)
        for _ in (0, 1)
    ]
    digest = hashlib.sha256(synth.draw_faces(3, seed=5, size=64)[0].tobytes())
    digest.update(synth.draw_photo(11).image.tobytes())
    for frame, emotion in synth.film(4, seconds=0.5, fps=4, size=(96, 64)):
        digest.update(frame.tobytes() + emotion.encode())
    assert runs[0].stdout == runs[1].stdout == digest.hexdigest() + "\n"


def test_seeds_differ():
    images = [synth.draw_faces(1, seed=seed, size=64)[0].tobytes() for seed in range(5)]
    assert len(set(images)) == 5


def test_a_shorter_set_is_the_beginning_of_a_longer_one():
    long, names = synth.draw_faces(9, seed=2, size=48)
    short, _ = synth.draw_faces(4, seed=2, size=48)
    assert np.array_equal(short, long[:4]) and len(names) == 9


def test_emotions_are_balanced_and_images_have_their_shape():
    images, emotions = synth.draw_faces(21, seed=0, size=40)
    assert images.shape == (21, 40, 40, 3) and images.dtype == np.uint8
    assert {emotions.count(name) for name in SEVEN} == {3}
    assert emotions[:7] != list(SEVEN)  # mixed
    assert synth.draw_faces(0, seed=0)[0].shape == (0, 96, 96, 3)


@pytest.mark.parametrize("unit", synth.AU_NAMES)
def test_each_unit_changes_the_face_and_only_the_face(unit):
    rest = synth.Face(seed=1, noise=0.0)
    moved = dataclasses.replace(rest, aus={unit: 1.0})
    difference = np.abs(synth.draw_face(moved, 160).astype(int) - synth.draw_face(rest, 160)).max(axis=2)
    x, y, w, h = synth.face_box(rest, 160)
    assert (difference[y : y + h, x : x + w] > 12).sum() > 20
    assert difference[:20].max() <= 2  # the background over the head stays


def test_units_grow_with_their_intensity():
    rest = synth.Face(seed=1, noise=0.0)
    frames = [
        synth.draw_face(dataclasses.replace(rest, aus={12: level}), 96).astype(float) for level in (0, 0.5, 1)
    ]
    assert np.abs(frames[2] - frames[0]).mean() > np.abs(frames[1] - frames[0]).mean() > 0


def test_prototypes_are_those_of_facs():
    sets = {name: set(units) for name, units in synth.EMOTION_AUS.items()}
    assert sets == {
        "happy": {6, 12}, "sad": {1, 4, 15}, "surprise": {1, 2, 5, 26}, "fear": {1, 2, 4, 5, 20, 26},
        "angry": {4, 5, 7, 23}, "disgust": {9, 15, 16}, "neutral": set(),
    }  # fmt: skip
    assert set.union(*sets.values()) | {25} == set(synth.AU_NAMES)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(32, 512))
def test_sampled_faces_are_valid_and_their_box_lies_in_the_picture(seed, size):
    face = synth.sample_face(np.random.default_rng(seed))
    assert _inside(synth.face_box(face, size), size, size)
    assert face == synth.sample_face(np.random.default_rng(seed))
    assert set(synth.EMOTION_AUS[face.emotion]) <= set(face.aus) <= set(synth.AU_NAMES)
    assert all(0 <= value <= 1 for value in face.aus.values())
    assert abs(face.yaw) <= 20 and abs(face.pitch) <= 12 and abs(face.roll) <= 10


def test_sampling_covers_tones_lights_and_styles():
    faces = synth.sample_faces(700, seed=0)
    tables = {
        "skin": range(len(synth.SKIN_TONES)), "light": synth.LIGHTS, "hair": synth.HAIR_STYLES,
        "beard": synth.BEARDS, "glasses": synth.GLASSES, "background": synth.BACKGROUNDS,
    }  # fmt: skip
    for key, known in tables.items():
        assert {getattr(face, key) for face in faces} == set(known)


def test_haar_finds_the_drawn_faces_where_they_are():
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    found, shares = 0, []
    for face in synth.sample_faces(700, seed=0):
        boxes = cascade.detectMultiScale(to_gray(synth.draw_face(face, 160)), 1.1, 5)
        true = synth.face_box(face, 160)
        best = max((_iou(box, true) for box in boxes), default=0.0)
        found += best > 0.5
        shares += [best] if best else []
    assert found / 700 >= 0.97
    assert np.mean(shares) > 0.8


@pytest.mark.parametrize("seed", range(12))
def test_photos_hold_one_to_four_faces_with_true_boxes(seed):
    photo = synth.draw_photo(seed)
    height, width, channels = photo.image.shape
    assert channels == 3 and photo.image.dtype == np.uint8 and 320 <= width <= 640
    assert 1 <= len(photo.faces) <= 4
    boxes = [item.box for item in photo.faces]
    assert all(_inside(box, width, height) and 70 <= box[2] <= 200 for box in boxes)
    assert all(_overlap(a, b) == 0 for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(item.emotion == item.face.emotion for item in photo.faces)


def test_haar_agrees_with_the_boxes_of_photos():
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    hits = []
    for seed in range(25):
        photo = synth.draw_photo(seed)
        boxes = cascade.detectMultiScale(to_gray(photo.image), 1.1, 5, minSize=(50, 50))
        for item in photo.faces:
            hits.append(any(_overlap(item.box, box) > 0.5 * item.box[2] * item.box[3] for box in boxes))
    assert np.mean(hits) >= 0.9


def test_a_photo_of_given_faces_shows_them():
    faces = [
        synth.sample_face(np.random.default_rng(k), emotion)
        for k, emotion in enumerate(("happy", "sad", "fear"))
    ]
    assert [item.emotion for item in synth.draw_photo(1, faces).faces] == ["happy", "sad", "fear"]


def test_film_goes_through_the_expressions():
    frames = list(synth.film(seed=0, seconds=15, fps=3, size=(80, 60)))
    assert len(frames) == 45 and frames[0][0].shape == (60, 80, 3) and frames[0][0].dtype == np.uint8
    assert {emotion for _, emotion in frames} == set(SEVEN)
    assert frames[0][1] == "neutral" and not np.array_equal(frames[0][0], frames[4][0])


def test_write_set_of_faces(tmp_path):
    out = synth.write_set(tmp_path / "new" / "set", 8, seed=3, size=48)
    with (out / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "emotion"] and len(rows) == 8
    images, emotions = synth.draw_faces(8, seed=3, size=48)
    for row, image, emotion in zip(rows, images, emotions, strict=True):
        assert np.array_equal(load_image(out / row["file"]), image) and row["emotion"] == emotion
    assert {path.name for path in out.iterdir()} == {row["file"] for row in rows} | {"labels.csv"}


def test_write_set_of_photos(tmp_path):
    out = synth.write_set(tmp_path, 4, seed=3, photos=True)
    with (out / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "emotion", "x", "y", "width", "height"]
    for name in sorted({row["file"] for row in rows}):
        photo = synth.draw_photo(3 + int(name.split(".")[0]))
        assert np.array_equal(load_image(out / name), photo.image)
        told = [
            tuple(int(row[k]) for k in ("x", "y", "width", "height")) for row in rows if row["file"] == name
        ]
        assert told == [item.box for item in photo.faces]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aus": {3: 1.0}}, "action unit 3"),
        ({"aus": {12: 1.5}}, "1.5"),
        ({"aus": {12: -0.1}}, "-0.1"),
        ({"aus": {12: float("nan")}}, "nan"),
        ({"light": "moon"}, "moon"),
        ({"hair": "green"}, "green"),
        ({"glasses": "blue"}, "blue"),
        ({"beard": "long"}, "long"),
        ({"background": "sea"}, "sea"),
        ({"skin": 99}, "99"),
        ({"hair_colour": -1}, "-1"),
    ],
)
def test_a_bad_face_is_refused_in_words(change, words):
    with pytest.raises(BadInputError, match=words.replace(".", r"\.")):
        synth.draw_face(dataclasses.replace(synth.Face(), **change))


@pytest.mark.parametrize(
    "call",
    [
        lambda tmp: synth.draw_face(synth.Face(), 8),
        lambda tmp: synth.draw_face(synth.Face(), 96.5),
        lambda tmp: synth.face_box(synth.Face(), 0),
        lambda tmp: synth.draw_faces(-1, 0),
        lambda tmp: synth.draw_faces(2.0, 0),
        lambda tmp: synth.draw_faces(2, -1),
        lambda tmp: synth.draw_photo("seven"),
        lambda tmp: synth.draw_photo(1, []),
        lambda tmp: synth.draw_photo(1, [synth.Face()] * 5),
        lambda tmp: synth.film(0, 0),
        lambda tmp: synth.film(0, 1, fps=0),
        lambda tmp: synth.film(0, 1, size=(10, 10)),
        lambda tmp: synth.write_set(tmp, 0, 1),
        lambda tmp: synth.write_set(tmp, 2, -5),
        lambda tmp: synth.write_set(tmp / "file", 1, 1),
    ],
)
def test_bad_numbers_are_refused(call, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInputError):
        call(tmp_path)


def test_an_unknown_emotion_is_refused():
    with pytest.raises(LabelError, match="bored"):
        synth.sample_face(np.random.default_rng(0), "bored")
