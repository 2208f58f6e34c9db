"""Photos and films with their truth, and sets of files."""

import csv
from functools import cache

import cv2
import numpy as np
import pytest

from ferlib import synth
from ferlib.common.boxes import clamp_box, iou
from ferlib.common.errors import BadInputError
from ferlib.common.images import load_image, to_gray
from ferlib.common.labels import SEVEN

photo_of = cache(synth.draw_photo)


def overlap(a, b):
    """Area in both boxes, in pixels."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    tall = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


@pytest.mark.parametrize("seed", range(12))
def test_photos_have_one_to_four_faces_with_true_boxes(seed):
    photo = photo_of(seed)
    height, width, channels = photo.image.shape
    assert channels == 3 and photo.image.dtype == np.uint8 and 320 <= width <= 640
    assert 1 <= len(photo.faces) <= 4
    boxes = [item.box for item in photo.faces]
    assert all(clamp_box(box, width, height) == box and 70 <= box[2] <= 200 for box in boxes)
    assert all(iou(a, b) == 0 for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(item.emotion == item.face.emotion for item in photo.faces)


def test_haar_agrees_with_the_boxes_of_photos():
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    hits = []
    for seed in range(25):
        photo = photo_of(seed)
        boxes = cascade.detectMultiScale(to_gray(photo.image), 1.1, 5, minSize=(50, 50))
        for item in photo.faces:
            hits.append(any(overlap(item.box, box) > 0.5 * item.box[2] * item.box[3] for box in boxes))
    assert np.mean(hits) >= 0.9


def test_a_photo_of_chosen_faces_shows_them():
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


def labels_in(folder):
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_write_set_of_faces(tmp_path):
    out = synth.write_set(tmp_path / "new" / "set", 8, seed=3, size=48)
    rows = labels_in(out)
    assert list(rows[0]) == ["file", "emotion"] and len(rows) == 8
    images, emotions = synth.draw_faces(8, seed=3, size=48)
    for row, image, emotion in zip(rows, images, emotions, strict=True):
        assert np.array_equal(load_image(out / row["file"]), image) and row["emotion"] == emotion
    assert {path.name for path in out.iterdir()} == {row["file"] for row in rows} | {"labels.csv"}


def test_write_set_of_photos(tmp_path):
    out = synth.write_set(tmp_path, 4, seed=3, photos=True)
    rows = labels_in(out)
    assert list(rows[0]) == ["file", "emotion", "x", "y", "width", "height"]
    for k in range(4):
        name, photo = f"{k:05d}.png", photo_of(3 + k)
        assert np.array_equal(load_image(out / name), photo.image)
        boxes = [
            tuple(int(row[key]) for key in ("x", "y", "width", "height"))
            for row in rows
            if row["file"] == name
        ]
        assert boxes == [item.box for item in photo.faces]
    assert {row["file"] for row in rows} == {f"{k:05d}.png" for k in range(4)}


@pytest.mark.parametrize(
    "call",
    [
        lambda tmp: synth.draw_photo("seven"),
        lambda tmp: synth.draw_photo(1, []),
        lambda tmp: synth.draw_photo(1, [synth.Face()] * 5),
        lambda tmp: synth.draw_photo(1, [synth.Face(light="moon")]),
        lambda tmp: synth.film(0, 0),
        lambda tmp: synth.film(0, 1, fps=0),
        lambda tmp: synth.film(0, float("inf")),
        lambda tmp: synth.film(0, 1, size=(10, 10)),
        lambda tmp: synth.film(-1, 1),
        lambda tmp: synth.write_set(tmp, 0, 1),
        lambda tmp: synth.write_set(tmp, 2, -5),
        lambda tmp: synth.write_set(tmp / "file", 1, 1),
    ],
)
def test_bad_numbers_are_refused(call, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInputError):
        call(tmp_path)
