"""The front door: one line loads, one line reads; from a path, bytes or an array."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import ferlib
from ferlib import synth
from ferlib.common import images
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError, BundleError, ImageError

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


def test_a_bundle_is_named_or_given_as_a_folder():
    eight = ferlib.load("ferplus", HAAR, tta="flip")
    assert len(eight.class_names) == 8 and eight.tta == "flip"
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


def test_import_ferlib_is_instant_and_loads_nothing():
    code = (
        "import sys, time; start = time.perf_counter(); import ferlib; taken = time.perf_counter() - start; "
        "print(sorted({'numpy', 'cv2', 'pandas', 'tensorflow', 'keras'} & set(sys.modules)), taken < 0.05)"
    )
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(3)]
    assert "[] True\n" in {each.stdout for each in done}
    assert not hasattr(ferlib, "no_such_name")
