"""The front door: one line loads, one line reads; from a path, bytes or an array."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

import ferlib
from ferlib import synth
from ferlib.common import images
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError, BundleError, ImageError
from ferlib.common.labels import SEVEN
from ferlib.detect.detector import detect_faces, load_cascade
from ferlib.detect.yunet import YuNet
from ferlib.model.recognise import Recognizer, system_a_faces

HAAR = "frontalface_default"


@pytest.fixture(scope="module")
def recognizer():
    return ferlib.load(detector=HAAR)


@pytest.fixture(scope="module")
def photo(recognizer):
    drawn = (synth.draw_photo(seed) for seed in range(20))
    return next(photo for photo in drawn if len(recognizer.read(photo.image, "rgb")) == len(photo.faces) == 2)


def test_path_bytes_and_arrays_give_the_same_faces(recognizer, photo, tmp_path):
    file = tmp_path / "photo.png"
    images.write_image(file, photo.image)
    faces = recognizer.read(photo.image, colour="rgb")
    assert recognizer.read(file) == recognizer.read(str(file)) == recognizer.read(file.read_bytes()) == faces
    assert recognizer.read(images.to_bgr(photo.image), "bgr") == faces
    assert [max(iou(face.box, true.box) for true in photo.faces) > 0.5 for face in faces] == [True, True]
    first, second = faces
    assert first.box[2] * first.box[3] >= second.box[2] * second.box[3]
    assert (
        tuple(first.probabilities) == recognizer.class_names and first.score is None and first.track is None
    )
    assert first.probability == max(first.probabilities.values()) == first.probabilities[first.emotion]
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_no_face_is_an_empty_list_but_the_whole_picture_by_system_as_rules(recognizer):
    empty = np.full((120, 160, 3), 90, np.uint8)
    assert recognizer.read(empty, "rgb") == []
    (whole,) = replace(recognizer, rules="A").read(empty, "rgb")
    assert whole.box == (0, 0, 160, 120) and whole.score is None


def test_faces_are_also_read_mirrored_unless_one_view_is_asked_for(recognizer, photo):
    single = replace(recognizer, tta="none")
    assert recognizer.tta == "flip" and ferlib.load(detector=HAAR, tta="none").tta == "none"
    face = recognizer.read(photo.image, "rgb")[0]
    crop = images.face_input(images.crop_face(photo.image, face.box))
    views = np.stack([crop, crop[:, ::-1]])
    expected = recognizer.model.predict(views).mean(axis=0)
    assert list(face.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert single.read(photo.image, "rgb")[0].probabilities != face.probabilities


def test_a_bundle_is_named_or_given_as_a_folder():
    eight = ferlib.load("ferplus", HAAR, tta="three")
    assert len(eight.class_names) == 8 and eight.tta == "three"
    folder = ferlib.load("models/fer2013", HAAR)
    assert folder.model.metadata["sha256"] == ferlib.load(detector=HAAR).model.metadata["sha256"]


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        ({"bundle": "no-such"}, BundleError, "no-such is not a model bundle"),
        ({"detector": "haarder"}, BadInputError, "unknown face detector 'haarder'; known are yunet, "),
        (
            {"detector": HAAR, "tta": "all"},
            BadInputError,
            "unknown tta 'all'; known are none, flip, three, ten",
        ),
        ({"detector": HAAR, "rules": "B"}, BadInputError, "unknown rules 'B'; known are ours, A"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_one_line(arguments, error, line):
    with pytest.raises(error, match=line):
        ferlib.load(**arguments)


@pytest.mark.parametrize(
    ("source", "colour", "error", "line"),
    [
        (np.zeros((9, 9, 3), np.uint8), None, BadInputError, "'rgb' or 'bgr'"),
        (np.zeros((9, 9, 3), np.uint8), "hsv", BadInputError, "'rgb' or 'bgr'"),
        (np.zeros((9, 9, 3)), "rgb", ImageError, "expected a uint8 picture"),
        (b"", None, ImageError, "the file is empty"),
        (b"no picture", None, ImageError, "not a whole picture"),
        ("nowhere.jpg", None, ImageError, "nowhere.jpg: cannot be read"),
    ],
)
def test_what_is_no_picture_is_refused_with_one_line(recognizer, source, colour, error, line):
    with pytest.raises(error, match=line):
        recognizer.read(source, colour)


class BrightnessModel:
    """A model that can be computed by hand: the lighter the upper half, the more likely the first class."""

    def __init__(self, class_names=SEVEN, size=48):
        self.class_names, self.input_shape = class_names, (size, size, 1)
        self.batches = []

    def predict(self, faces, tta="none"):
        assert faces.dtype == np.uint8 and faces.shape[1:] == self.input_shape[:2]
        self.batches.append((len(faces), tta))
        first = faces[:, : faces.shape[1] // 2].mean(axis=(1, 2)) / 255
        others = (1 - first) / (len(self.class_names) - 1)
        return np.stack([first, *[others] * (len(self.class_names) - 1)], axis=1).astype(np.float32)


@pytest.fixture
def by_hand(recognizer):
    return replace(recognizer, model=BrightnessModel())


@pytest.fixture(scope="module")
def face(recognizer):
    """One drawn face of 160 pixels which the detector finds."""
    pictures = [synth.draw_face(face, 160) for face in synth.sample_faces(20, seed=5)]
    return next(p for p in pictures if detect_faces(p, recognizer.detector))


def test_all_faces_of_a_picture_are_one_call(photo, by_hand):
    faces = replace(by_hand, tta="three").read(photo.image, "rgb")
    assert by_hand.model.batches == [(2, "three")]
    assert [face.box for face in faces] == detect_faces(photo.image, by_hand.detector)
    for each in faces:
        assert each.emotion == max(each.probabilities, key=each.probabilities.get)


def test_the_model_gets_the_gray_face(face, by_hand):
    (read,) = by_hand.read(face, "rgb")
    x, y, w, h = read.box
    gray = cv2.cvtColor(face[y : y + h, x : x + w], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)
    assert read.probabilities["angry"] == pytest.approx(small[:24].mean() / 255, abs=1e-6)
    gray_picture = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    assert [each.box for each in by_hand.read(gray_picture)] == [read.box]


def test_two_classes_and_another_input_size(face, recognizer):
    model = BrightnessModel(("happy", "rest"), size=64)
    assert tuple(replace(recognizer, model=model).read(face, "rgb")[0].probabilities) == ("happy", "rest")


@pytest.mark.parametrize("shape", [(1, 1, 3), (20, 20, 3), (48, 48, 3), (1, 400, 3), (300, 400, 3)])
def test_no_face_is_no_call_of_the_model(shape, by_hand):
    assert by_hand.read(np.full(shape, 128, np.uint8), "rgb") == [] and by_hand.model.batches == []


def test_a_large_picture_is_searched_in_a_smaller_copy(face, by_hand):
    large = np.full((2000, 2600, 3), 128, np.uint8)
    large[500:1300, 700:1500] = cv2.resize(face, (800, 800))
    (coarse,) = replace(by_hand, longest=650).read(large, "rgb")
    x, y, w, h = coarse.box
    assert x > 650 and y > 450 and x + w < 1550 and y + h < 1350 and w > 400


def test_faces_under_the_smallest_size_are_left_out(photo, by_hand):
    limit = by_hand.read(photo.image, "rgb")[0].box[2]
    large = by_hand.read(photo.image, "rgb", min_size=limit)
    assert large and all(face.box[2] >= limit for face in large)


def test_system_a_keeps_wide_faces_and_reads_the_whole_picture_without_one(photo, by_hand):
    found = [((0, 0, 100, 50), 0.9), ((0, 0, 80, 80), None), ((0, 0, 79, 79), 0.8)]
    assert system_a_faces(found, 300, 200) == found[:2]
    assert system_a_faces([], 300, 200) == [((0, 0, 300, 200), None)]
    ours, theirs = (replace(by_hand, rules=rules).read(photo.image, "rgb") for rules in ("ours", "A"))
    assert theirs == [face for face in ours if face.box[2] >= 0.8 * max(face.box[2] for face in ours)]


def test_a_face_has_the_score_of_its_detector():
    class Network(YuNet):
        """As YuNet, but what it finds is given: x, y, width, height, five points, score."""

        def __init__(self):
            pass

        def detect_landmarks(self, image, smallest=30):
            found = np.zeros((2, 15), np.float32)
            found[:, :4], found[:, 14] = [[-20, 5, 40, 50], [60, 30, 60, 80]], [0.75, 0.9]
            return found

    recognizer = Recognizer(BrightnessModel(), Network())
    faces = recognizer.read(np.full((120, 130, 3), 90, np.uint8), "rgb", min_size=5)
    assert [face.score for face in faces] == pytest.approx([0.9, 0.75])  # the largest first, each its own
    for x, y, w, h in (face.box for face in faces):
        assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 130 and y + h <= 120


def test_detectors_in_two_threads_agree(photo, by_hand):
    expected = by_hand.read(photo.image, "rgb")

    def read(_):
        own = Recognizer(BrightnessModel(), load_cascade())
        return [own.read(photo.image, "rgb") == expected for _ in range(3)]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(read, range(2))) == [[True] * 3] * 2


def test_import_ferlib_is_instant_and_loads_nothing():
    code = (
        "import sys, time; start = time.perf_counter(); import ferlib; taken = time.perf_counter() - start; "
        "print(sorted({'numpy', 'cv2', 'pandas', 'tensorflow', 'keras'} & set(sys.modules)), taken < 0.05)"
    )
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(3)]
    assert "[] True\n" in {each.stdout for each in done}
    assert not hasattr(ferlib, "no_such_name")
