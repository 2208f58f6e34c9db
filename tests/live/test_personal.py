"""Faces of one's own: saved, counted, read, deleted."""

import numpy as np
import pytest

from ferlib.common.errors import BadInputError
from ferlib.live import personal

NAMES = ("happy", "sad")


def picture(value, size=60):
    return np.full((size, size, 3), value, np.uint8)


def test_faces_are_saved_numbered_read_and_counted(tmp_path):
    for value in (10, 20, 30):
        file = personal.save_face(picture(value), "sad", NAMES, tmp_path)
    assert file == tmp_path / "sad" / "00002.png"
    (tmp_path / "sad" / "00000.png").unlink()
    assert (
        personal.save_face(picture(40), "sad", NAMES, tmp_path).name == "00003.png"
    )  # no number comes twice
    personal.save_face(picture(50, 90), "happy", NAMES, tmp_path)
    faces, labels = personal.load_faces(tmp_path, NAMES)
    assert faces.shape == (4, 48, 48) and faces.dtype == np.uint8 and labels.tolist() == [0, 1, 1, 1]
    assert faces[:, 0, 0].tolist() == [50, 20, 30, 40]
    assert personal.count_faces(tmp_path, NAMES) == {"happy": 1, "sad": 3}
    assert personal.delete_faces(tmp_path) == 4 and not tmp_path.exists()


@pytest.mark.parametrize("name", ["angry", "", ".", "..", "happy/../sad", "/tmp", "HAPPY"])
def test_a_class_that_is_not_known_makes_no_folder(tmp_path, name):
    with pytest.raises(BadInputError, match="known are happy, sad"):
        personal.save_face(picture(1), name, NAMES, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_no_faces(tmp_path):
    faces, labels = personal.load_faces(tmp_path / "none", NAMES)
    assert faces.shape == (0, 48, 48) and len(labels) == 0
    assert personal.delete_faces(tmp_path / "none") == 0


def test_a_broken_file_is_logged_and_does_not_stop_the_others(tmp_path, caplog):
    personal.save_face(picture(9), "happy", NAMES, tmp_path)
    (tmp_path / "happy" / "00001.png").write_bytes(b"no picture")
    faces, _ = personal.load_faces(tmp_path, NAMES)
    assert len(faces) == 1 and len(caplog.messages) == 1 and "00001.png" in caplog.text


def test_one_person_is_drawn_in_all_expressions():
    pictures, names = personal.draw_person(4, ("happy", "rest"), seed=3)
    assert len(pictures) == 4 and set(names) <= {"happy", "rest"} and "rest" in names
    assert all(p.dtype == np.uint8 and p.shape[0] == p.shape[1] >= 40 for p in pictures)
    again, _ = personal.draw_person(4, ("happy", "rest"), seed=3)
    assert all((a == b).all() for a, b in zip(pictures, again, strict=True))
