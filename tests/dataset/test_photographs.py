"""Class folders of whole photographs: the largest face is cut out, and what has none is counted."""

import numpy as np
import pytest

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import DatasetError
from ferlib.dataset import build
from ferlib.detect.detector import detect_faces, load_detector


@pytest.fixture(scope="module")
def faces():
    """Three drawn faces, 200×200."""
    drawn = [synth.sample_face(np.random.default_rng(k), "happy") for k in range(3)]
    return [synth.draw_face(face, 200, np.random.default_rng(k)) for k, face in enumerate(drawn)]


@pytest.fixture(scope="module")
def photographs(faces, tmp_path_factory):
    """A folder of class folders, in each a face, two faces, none, and a small picture that is not square."""
    folder = tmp_path_factory.mktemp("photographs")
    gray = np.full((400, 700, 3), 128, np.uint8)
    two = gray.copy()
    two[:200, :200], two[100:400, 300:600] = faces[1], images.resize(faces[2], (300, 300))
    one = gray.copy()
    one[150:350, 50:250] = faces[0]
    for name in ("高兴", "伤心"):
        (folder / name).mkdir()
        for file, image in (("a", one), ("b", two), ("c", gray), ("d", faces[0][:100, :70])):
            images.write_image(folder / name / f"{file}.png", image)
    return folder, one, two


def test_the_largest_face_is_cut_out(photographs, caplog):
    folder, one, two = photographs
    found = build.read_data(folder)
    assert found.class_names == ("伤心", "高兴") and found.counts().tolist() == [3, 3]
    for row, image in enumerate((one, two)):
        box = detect_faces(image, load_detector())[0]
        assert np.array_equal(found.pixels[row], images.face_input(images.crop_face(image, box)))
    assert box[0] > 250  # the larger of two
    lines = [line.removeprefix(f"{folder.name}: ") for line in caplog.messages]
    assert lines[0].startswith("the face was cut out of 4 of 8 pictures")
    assert lines[1].startswith("no face was found in 2 of 8 pictures") and "--as-is" in lines[1]
    assert lines[2:] == [
        "several faces were found in 2 of 8 pictures; the largest is taken",
        "2 of 8 faces are not square and are stretched to 48×48",
    ]


def test_as_is(photographs, caplog):
    folder, one, _ = photographs
    found = build.read_data(folder, as_is=True)
    assert len(found) == 8 and np.array_equal(found.pixels[0], images.face_input(one))
    assert [line.split(": ")[1] for line in caplog.messages] == [
        "8 of 8 faces are not square and are stretched to 48×48"
    ]


def test_no_face_at_all(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        images.write_image(tmp_path / name / "x.png", np.full((200, 300), 128, np.uint8))
    with pytest.raises(DatasetError, match=r"no face was found in any of 2 pictures; --as-is"):
        build.read_data(tmp_path, skip_bad=True)
