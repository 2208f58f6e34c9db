"""Finding faces with Haar cascades and with YuNet."""

import hashlib
import json
import os

import cv2
import numpy as np
import pytest

from ferlib import synth
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.common.images import resize
from ferlib.detect import detector as faces
from ferlib.detect import yunet
from ferlib.detect.yunet import YuNet
from tests.tools import loopback

NAN = float("nan")
YUNET = os.environ.get("FERLIB_YUNET")
needs_yunet = pytest.mark.skipif(not YUNET, reason="FERLIB_YUNET names no file")


@pytest.fixture(scope="module")
def photo():
    return next(p for p in map(synth.draw_photo, range(50)) if len(p.faces) == 2)


@pytest.fixture(scope="module", params=["frontalface_default", "yunet"])
def detector(request):
    if request.param == "yunet" and not YUNET:
        pytest.skip("FERLIB_YUNET names no file: YuNet is not tested")
    return faces.load_detector(request.param)


@needs_yunet
@pytest.mark.parametrize("scale", [0.3, 1, 2.5, 5])
def test_yunet_finds_faces_of_any_size_as_haars_squares(scale):
    finder, overlaps = faces.load_detector("yunet"), []
    for photo in map(synth.draw_photo, range(500, 512)):
        size = tuple(round(side * scale) for side in photo.image.shape[1::-1])
        found = faces.detect_faces(resize(photo.image, size), finder, min_size=(20, 20))
        assert len(found) == len(photo.faces)
        for face in photo.faces:
            true = [value * scale for value in face.box]
            overlaps.append(max(iou(true, box) for box in found))
        for x, y, w, h in found:
            assert x >= 0 and y >= 0 and x + w <= size[0] and y + h <= size[1]
    assert np.median(overlaps) > 0.85 and min(overlaps) > 0.6


@needs_yunet
def test_yunet_passes_over_small_faces_and_takes_no_setting_of_haar(photo):
    finder = faces.load_detector("yunet")
    sides = [box[2] for box in faces.detect_faces(photo.image, finder)]
    assert len(sides) == 2
    assert [box[2] for box in faces.detect_faces(photo.image, finder, min_size=(sides[0], 1))] == sides[:1]
    gray = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY)
    assert len(faces.detect_faces(gray, finder)) == 2
    with pytest.raises(BadInputError, match="settings of Haar"):
        faces.detect_faces(photo.image, finder, min_neighbors=3)


@needs_yunet
def test_yunet_is_the_default_where_it_is_there(photo, monkeypatch, caplog):
    haar = faces.detect_faces(photo.image, "frontalface_default")
    yu = faces.detect_faces(photo.image, "yunet")
    assert isinstance(faces.load_detector(), YuNet) and not caplog.records
    assert faces.detect_faces(photo.image) == faces.detect_faces(photo.image, "auto") == yu != haar
    assert faces.detect_faces(photo.image, min_neighbors=5) == haar
    monkeypatch.setattr(yunet, "model_file", None)
    assert faces.detect_faces(photo.image, faces.load_cascade()) == haar  # no look for a file


DOWNLOAD = yunet._download


@pytest.fixture
def without_yunet(monkeypatch, tmp_path):
    """No variable, an empty cache, and no way out."""
    import pooch

    def refuse(*arguments):
        raise OSError("no way out")

    monkeypatch.delenv("FERLIB_YUNET", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(yunet, "_download", refuse)


def test_without_yunet_haar_and_one_line_that_says_so(photo, without_yunet, caplog):
    finder = faces.load_detector()
    (line,) = caplog.messages
    assert isinstance(finder, cv2.CascadeClassifier)
    assert "could not be downloaded (OSError); FERLIB_YUNET may name it" in line and "Haar" in line
    caplog.clear()
    with pytest.raises(FerlibError, match="YuNet's model is not here"):
        faces.load_detector("yunet")
    assert faces.detect_faces(photo.image) == faces.detect_faces(photo.image, finder)
    assert not caplog.records


def test_the_model_is_fetched_once_and_compared(without_yunet, monkeypatch, tmp_path):
    assert yunet.ADDRESS.startswith("https://github.com/opencv/opencv_zoo/")
    monkeypatch.setattr(yunet, "_download", DOWNLOAD)
    with loopback.server(lambda handler, path, visit: loopback.send(handler, b"model")) as (url, visits):
        monkeypatch.setattr(yunet, "ADDRESS", f"{url}/{yunet.NAME}")
        with pytest.raises(FerlibError, match="ValueError"):  # pooch: the hash is another
            yunet.model_file()
        assert yunet.local_model_file() is None and not list(tmp_path.rglob("*.onnx"))
        monkeypatch.setattr(yunet, "SHA256", hashlib.sha256(b"model").hexdigest())
        assert yunet.model_file() == yunet.model_file() == yunet.local_model_file()
    assert visits.total() == 2
    assert yunet.model_file() == tmp_path / "ferlib" / yunet.NAME
    assert yunet.model_file().read_bytes() == b"model"


@pytest.mark.parametrize("content", [None, b"", b"no network at all"])
def test_a_variable_that_names_no_model_is_named(monkeypatch, tmp_path, content):
    file = tmp_path / "yunet.onnx"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("FERLIB_YUNET", str(file))
    for name in ("auto", "yunet"):
        with pytest.raises(BadInputError, match="YuNet"):
            faces.load_detector(name)


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
