"""Finding faces with Haar cascades and with YuNet."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from ferlib import synth
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError
from ferlib.common.images import resize
from ferlib.detect import detector as faces
from ferlib.detect import yunet
from ferlib.detect.yunet import YuNet

NAN = float("nan")

SHA256 = (
    "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"  # of the OpenCV zoo's file of May 2026
)


@pytest.fixture(scope="module")
def photo():
    return next(p for p in map(synth.draw_photo, range(50)) if len(p.faces) == 2)


@pytest.fixture(scope="module", params=["frontalface_default", "yunet"])
def detector(request):
    return faces.load_detector(request.param)


@pytest.mark.parametrize(("scale", "photos"), [(0.3, 12), (1, 12), (2.5, 6), (5, 3)])
def test_yunet_finds_faces_of_any_size_as_haars_squares(scale, photos):
    finder, overlaps = faces.load_detector("yunet"), []
    for photo in map(synth.draw_photo, range(500, 500 + photos)):
        size = tuple(round(side * scale) for side in photo.image.shape[1::-1])
        found = faces.detect_faces(resize(photo.image, size), finder, min_size=(20, 20))
        assert len(found) == len(photo.faces)
        for face in photo.faces:
            true = [value * scale for value in face.box]
            overlaps.append(max(iou(true, box) for box in found))
        for x, y, w, h in found:
            assert x >= 0 and y >= 0 and x + w <= size[0] and y + h <= size[1]
    assert np.median(overlaps) > 0.85 and min(overlaps) > 0.6


def test_yunet_passes_over_small_faces_and_takes_no_setting_of_haar(photo):
    finder = faces.load_detector("yunet")
    sides = [box[2] for box in faces.detect_faces(photo.image, finder)]
    assert len(sides) == 2
    assert [box[2] for box in faces.detect_faces(photo.image, finder, min_size=(sides[0], 1))] == sides[:1]
    gray = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY)
    assert len(faces.detect_faces(gray, finder)) == 2
    with pytest.raises(BadInputError, match="settings of Haar"):
        faces.detect_faces(photo.image, finder, min_neighbors=3)


def test_yunet_is_the_default_and_comes_with_ferlib(photo, monkeypatch):
    monkeypatch.delenv("FERLIB_YUNET", raising=False)
    haar = faces.detect_faces(photo.image, "frontalface_default")
    yu = faces.detect_faces(photo.image, "yunet")
    assert isinstance(faces.load_detector(), YuNet)
    assert faces.detect_faces(photo.image) == yu != haar
    assert faces.detect_faces(photo.image, min_neighbors=5) == haar
    assert hashlib.sha256(yunet.model_file().read_bytes()).hexdigest() == SHA256
    assert "MIT License" in yunet.model_file().with_name("face_detection_yunet_LICENSE.txt").read_text()


@pytest.mark.parametrize("content", [None, b"", b"no network at all"])
def test_a_variable_that_names_no_model_is_named(monkeypatch, tmp_path, content):
    file = tmp_path / "yunet.onnx"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("FERLIB_YUNET", str(file))
    with pytest.raises(BadInputError, match="YuNet"):
        faces.load_detector()


def test_faces_are_found_where_they_are_largest_first(photo, detector):
    found = faces.detect_faces(photo.image, detector)
    for face in photo.faces:
        assert max(iou(face.box, box) for box in found) > 0.5
    areas = [w * h for _, _, w, h in found]
    assert areas == sorted(areas, reverse=True)
    assert all(isinstance(value, int) for box in found for value in box)
    json.dumps(found)  # plain numbers


def test_a_gray_picture_and_a_loaded_cascade_give_the_same(photo):
    gray = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY)
    cascade = faces.load_cascade("haarcascade_frontalface_default.xml")
    assert faces.detect_faces(gray, cascade) == faces.detect_faces(photo.image, "frontalface_default")


@pytest.mark.parametrize("shape", [(200, 300, 3), (10, 10), (1, 1, 3), (1, 500), (3000, 2, 3)])
def test_no_face_is_an_empty_list(shape, detector):
    assert faces.detect_faces(np.full(shape, 90, np.uint8), detector) == []


def test_without_neighbours_every_hit_is_given(photo):
    raw, grouped = (faces.detect_faces(photo.image, min_neighbors=n) for n in (0, 5))
    assert len(raw) > 5 * len(grouped) > 0


def test_small_faces_can_be_passed_over(photo):
    least = max(side for _, _, side, _ in faces.detect_faces(photo.image)) + 20
    assert all(box[2] >= least for box in faces.detect_faces(photo.image, min_size=(least, least)))


@pytest.mark.parametrize(
    "wrong", [{"scale_factor": 1.0}, {"scale_factor": NAN}, {"min_neighbors": -1}, {"min_size": (-1, 5)}]
)
def test_settings_without_sense_are_refused(wrong):
    with pytest.raises(BadInputError):
        faces.detect_faces(np.zeros((50, 50), np.uint8), **wrong)


@pytest.mark.parametrize("name", ["", "nobody", "../frontalface_default", "/etc/passwd", None])
def test_an_unknown_cascade_is_named(name):
    with pytest.raises(BadInputError, match="frontalface_alt2"):
        faces.load_cascade(name)
