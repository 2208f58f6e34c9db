"""The layouts of published data sets, drawn with noise."""

import numpy as np
import pytest

from ferlib.common import images
from ferlib.common.errors import DatasetError
from ferlib.common.labels import SEVEN
from ferlib.dataset import build, layouts
from tests.dataset.test_folders import make, noise


def picture(path, seed, size=48):
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write_image(path, noise(seed, (size, size, 3)))


def named(faces):
    """The class of each picture, by the picture."""
    return {face.tobytes(): faces.class_names[k] for face, k in zip(faces.pixels, faces.labels, strict=True)}


def expected(seeds):
    return {images.face_input(noise(seed, (48, 48, 3))).tobytes(): name for seed, name in seeds.items()}


@pytest.mark.parametrize("numbers", [range(1, 8), (1, 7)])
def test_raf_db_folders(tmp_path, caplog, numbers):
    for number in numbers:
        for part in ("train", "test"):
            picture(
                tmp_path / part / str(number) / f"{part}_0000{number}_aligned.png", number * 10 + len(part)
            )
    faces = build.read_data(tmp_path)
    seeds = {n * 10 + extra: layouts.RAF_DB[n - 1] for n in numbers for extra in (4, 5)}
    assert named(faces) == expected(seeds)
    assert any("RAF-DB's numbers (1 surprise to 7 neutral)" in line for line in caplog.messages)


def test_numbers_with_a_classes_json_may_count_from_1(tmp_path, caplog):
    make(tmp_path, "1234567", ("train",), each=1)
    (tmp_path / "classes.json").write_text('["a", "b", "c", "d", "e", "f", "g"]')
    faces = build.read_data(tmp_path)
    assert faces.class_names == tuple("abcdefg") and faces.labels.tolist() == list(range(7))
    assert "counted from 1, 1 a to 7 g" in caplog.messages[0]


@pytest.mark.parametrize("place", ["", "EmoLabel"])
def test_raf_db_list(tmp_path, caplog, place):
    picture(tmp_path / "aligned" / "train_00001_aligned.png", 1)
    picture(tmp_path / "aligned" / "test_0001_aligned.png", 2)
    (tmp_path / place).mkdir(exist_ok=True)
    lines = "train_00001.png 5\ntest_0001.png 1\ntrain_00009.png 2\n../x.png 3\ntrain_1.png 9\n"
    (tmp_path / place / "list_patition_label.txt").write_text(lines)
    faces = build.read_data(tmp_path)
    assert named(faces) == expected({1: "sad", 2: "surprise"})
    assert sorted(faces.usage) == ["PrivateTest", "Training"]
    assert "2 lines are not" in caplog.messages[0] and "1 pictures are not there" in caplog.messages[1]


def test_affectnet_folders(tmp_path, caplog):
    make(tmp_path, [str(k) for k in range(11)], ("train", "val"), each=1)
    faces = build.read_data(tmp_path)
    assert faces.class_names == (*SEVEN, "contempt") and len(faces) == 16
    by_picture = named(faces)
    assert by_picture[noise(0).tobytes()] == "neutral" and by_picture[noise(700).tobytes()] == "contempt"
    assert any("6 pictures in 10, 8, 9 have no expression" in line for line in caplog.messages)


def test_affectnet_list(tmp_path, caplog):
    for name in ("training", "validation"):
        head = (
            "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence\n"
        )
        rows = "1/a.png,10,10,60,60,1;2,1,0\n1/b.png,0,0,48,48,1;2,6,0\n1/c.png,0,0,4,4,1,10,0\n"
        rows += "../../x.png,0,0,4,4,1,1,0\n"
        (tmp_path / f"{name}.csv").write_text(
            head + (rows if name == "training" else rows.replace("/a", "/d"))
        )
    for seed, name in enumerate("abd"):
        picture(tmp_path / "Manually_Annotated_Images" / "1" / f"{name}.png", seed, 300)
    faces = build.read_data(tmp_path)
    assert len(faces) == 4 and faces.class_names == ("angry", "happy")
    a = images.face_input(noise(0, (300, 300, 3))[10:70, 10:70])
    assert np.array_equal(faces.pixels[(faces.labels == 1) & (faces.usage == "Training")][0], a)
    assert "1 rows without an expression" in " ".join(caplog.messages)


def test_jaffe_and_kdef(tmp_path, caplog):
    codes = {
        "AN": "angry",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happy",
        "NE": "neutral",
        "SA": "sad",
        "SU": "surprise",
    }
    for seed, code in enumerate(codes):
        picture(tmp_path / "jaffe" / f"KA.{code}1.{39 + seed}.png", seed)
        person = tmp_path / "kdef" / f"AF0{seed + 1}"
        picture(person / f"AF0{seed + 1}{code.replace('FE', 'AF')}{('S', 'HL', 'FR')[seed % 3]}.png", seed)
    (tmp_path / "jaffe" / "README").write_text("x")
    for name in ("jaffe", "kdef"):
        assert named(build.read_data(tmp_path / name)) == expected(dict(enumerate(codes.values())))
        assert any(f"{name}: file names are read as {name.upper()}'s" in line for line in caplog.messages)


def test_ck_and_an_archives_own_folder(tmp_path):
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    make(tmp_path / "archive" / "CK+48", names, ("train", "test"), each=1)
    faces = build.read_data(tmp_path)
    assert faces.class_names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "contempt")
    assert set(faces.usage) == {"Training", "PrivateTest"}


def test_lists_without_their_pictures(tmp_path):
    (tmp_path / "list_patition_label.txt").write_text("train_00001.jpg 5\n")
    with pytest.raises(DatasetError, match="no picture of this list is there"):
        build.read_data(tmp_path)
