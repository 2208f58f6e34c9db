"""Class folders in the shapes that mirrors of FER2013 have, and every folder that read_data takes."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from ferlib.common import images, labels
from ferlib.common.errors import DatasetError
from ferlib.dataset import build, folders
from ferlib.dataset.splits import USAGES, Dataset, split

MIRROR = labels.alphabetical(labels.SEVEN)


def noise(seed, shape=(48, 48)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def make(folder, names, parts=("train", "test"), each=2, suffix=".png"):
    """Folders of noise; the picture of (part p, class c, number k) has the seed 1000p + 100c + k."""
    for p, part in enumerate(parts):
        for c, name in enumerate(names):
            (folder / part / name).mkdir(parents=True)
            for k in range(each):
                images.write_image(folder / part / name / f"im{k}{suffix}", noise(1000 * p + 100 * c + k))
    return folder


def test_a_mirror_of_names(tmp_path):
    make(tmp_path, MIRROR)
    faces = build.read_data(tmp_path)
    assert faces.class_names == labels.SEVEN and len(faces) == 28
    assert faces.part("Training").counts().tolist() == [2] * 7 == faces.part("PrivateTest").counts().tolist()
    neutral = faces.pixels[(faces.labels == 6) & (faces.usage == "Training")]
    assert np.array_equal(neutral[1], noise(100 * MIRROR.index("neutral") + 1))
    # Training first, then FER2013's order of classes, then the files' names
    assert faces.usage.tolist() == ["Training"] * 14 + ["PrivateTest"] * 14
    assert faces.labels.tolist() == [k // 2 for k in range(14)] * 2


@pytest.mark.parametrize(
    ("part", "usage"),
    [("train", "Training"), ("Training", "Training"), ("val", "PublicTest"), ("validation", "PublicTest"),
     ("PublicTest", "PublicTest"), ("test", "PrivateTest"), ("PrivateTest", "PrivateTest")],
)  # fmt: skip
def test_names_of_the_parts(tmp_path, part, usage):
    make(tmp_path, ("happy", "sad"), (part,))
    assert set(build.read_data(tmp_path).usage) == {usage}


def test_class_folders_without_parts_are_training(tmp_path):
    make(tmp_path, ("happy", "Sadness"), (".",))
    faces = build.read_data(tmp_path)
    assert set(faces.usage) == {"Training"} and faces.labels.tolist() == [0, 0, 1, 1]
    assert faces.class_names == ("happy", "sad")


def test_numbers_are_fer2013s_own(tmp_path):
    make(tmp_path, "0123456")
    faces = build.read_data(tmp_path)
    assert faces.class_names == labels.SEVEN
    assert np.array_equal(faces.pixels[faces.labels == 4][0], noise(400))


def test_numbers_by_the_alphabet_are_seen_by_their_counts(tmp_path, monkeypatch):
    """A mirror with 4 for neutral has FER2013's counts in another order."""
    monkeypatch.setattr(folders, "COUNTS", (40, 4, 41, 72, 48, 32, 50))
    counts = dict(zip(labels.SEVEN, folders.COUNTS, strict=True))
    monkeypatch.setattr(folders, "COUNT_TOLERANCE", 1)
    for number, name in enumerate(MIRROR):
        make(tmp_path, [str(number)], each=counts[name])
    with pytest.raises(DatasetError, match=r"by the alphabet \(4 is neutral\)"):
        build.read_data(tmp_path)
    (tmp_path / "classes.json").write_text(json.dumps({"class_names": MIRROR}))
    faces = build.read_data(tmp_path)
    assert faces.class_names == MIRROR
    seven = faces.with_classes(labels.SEVEN)
    assert seven.part("Training").counts().tolist() == list(folders.COUNTS)


def test_numbers_of_a_class_set_need_its_names(tmp_path):
    make(tmp_path, "01")
    with pytest.raises(DatasetError, match=r"0, 1 do not say which classes"):
        build.read_data(tmp_path)
    (tmp_path / "classes.json").write_text('{"class_names": ["happy", "disgust"]}')
    faces = build.read_data(tmp_path)
    assert faces.class_names == ("happy", "disgust") and np.array_equal(faces.pixels[0], noise(0))


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("高兴", "伤心", "中性"), ("中性", "伤心", "高兴")),
        (("Freude", "Trauer", "neutral"), ("neutral", "Freude", "Trauer")),
        (("contempt", "neutrality", "Happiness"), ("happy", "contempt", "neutrality")),
        (("1 surprise", "2 fear", "3_disgust"), ("disgust", "fear", "surprise")),
    ],
)
def test_own_names(tmp_path, names, classes):
    make(tmp_path, names, (".",))
    faces = build.read_data(tmp_path)
    assert faces.class_names == classes and faces.counts().tolist() == [2, 2, 2]
    build.write_dataset(faces, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "classes.json").read_text("utf-8"))["class_names"] == list(classes)
    assert build.read_data(tmp_path / "out").class_names == classes


def test_names_that_differ_by_case_or_blanks_are_refused(tmp_path):
    for one, two in (("Bored", "bored"), ("Happy", "happy"), ("a b", "a  b")):
        make(tmp_path / one, (one, two), (".",))
        with pytest.raises(DatasetError, match="differ only by case or blanks"):
            build.read_data(tmp_path / one)


def test_a_misspelled_folder_of_one_part_is_named(tmp_path, caplog):
    make(tmp_path, ("happy", "sad"), ("train",))
    make(tmp_path, ("hapy", "sad"), ("test",))
    assert build.read_data(tmp_path).class_names == ("happy", "sad", "hapy")
    assert any("Training has no picture of hapy" in line for line in caplog.messages)
    assert any("PrivateTest has no picture of happy" in line for line in caplog.messages)


def test_a_classes_json_of_other_names_is_not_used(tmp_path, caplog):
    make(tmp_path, ("高兴", "伤心", "中性"), (".",))
    (tmp_path / "classes.json").write_text('["happy", "sad", "neutral"]')
    assert build.read_data(tmp_path).class_names == ("中性", "伤心", "高兴")
    assert "--names" in caplog.messages[0] and len(caplog.messages) == 1
    (tmp_path / "classes.json").write_text('["高兴", "伤心", "中性"]', "utf-8")
    assert build.read_data(tmp_path).class_names == ("高兴", "伤心", "中性")


def test_what_is_left_out_is_counted(tmp_path, caplog):
    make(tmp_path, ("happy", "sad"), (".",))
    (tmp_path / "happy" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    for place in ("happy/a", "happy/a/b", "happy/a/b/c", "."):
        images.write_image(tmp_path / place / "deep.png", noise(place.count("/") + 500))
    for name in ("happy/a.mp4", "happy/b.MP4", "sad/c", "sad/d.txt", "sad/.hidden", "sad/Thumbs.db"):
        (tmp_path / name).write_text("x")
    faces = build.read_data(tmp_path)
    assert faces.counts().tolist() == [3, 2]  # one level deeper is read
    assert caplog.messages == [
        f"{tmp_path.name}: 1 pictures in no class folder are left out",
        f"{tmp_path.name}: folders without a picture (count 0): notes",
        f"{tmp_path.name}: files left out: 2 pictures in deeper folders, 2 .mp4, 1 without a suffix, 1 .txt",
    ]


def test_every_format_is_read_and_heic_is_named_in_one_line(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "happy").mkdir()
    make(tmp_path, ("sad",), (".",))
    for suffix in (".gif", ".tif", ".TIFF", ".jfif", ".avif", ".jp2", ".ppm", ".webp"):
        kind = {".jfif": "JPEG", ".jp2": "JPEG2000"}.get(suffix)
        Image.fromarray(noise(1)).convert("RGB").save(tmp_path / "happy" / f"a{suffix}", kind)
    for number in range(3):
        (tmp_path / "happy" / f"IMG_{number}.HEIC").write_bytes(
            b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(99)
        )
    faces = build.read_data(tmp_path, skip_bad=True)
    assert faces.counts().tolist() == [8, 2]
    (line,) = caplog.messages
    assert "IMG_0.HEIC and 2 more pictures are HEIC" in line and "pip install 'ferlib[heic]'" in line


def test_what_write_splits_writes_is_read_back(tmp_path):
    faces = Dataset(
        np.array([noise(k) for k in range(60)]), np.arange(60) % 2, np.array(USAGES)[np.arange(60) % 3],
        ("happy+surprise", "rest"),
    )  # fmt: skip
    build.write_dataset(faces, tmp_path)
    (tmp_path / "emotion_file.csv").unlink()
    again = build.read_data(tmp_path)
    assert again.class_names == faces.class_names
    for usage in USAGES:
        for label in (0, 1):
            one, two = (d.part(usage).pixels[d.part(usage).labels == label] for d in (faces, again))
            assert np.array_equal(one, two)


def test_any_picture_becomes_48_gray(tmp_path):
    (tmp_path / "train" / "happy").mkdir(parents=True)
    big = noise(1, (90, 70, 3))
    images.write_image(tmp_path / "train" / "happy" / "a.bmp", big)
    images.write_image(tmp_path / "train" / "happy" / "b.jpg", noise(2))
    (tmp_path / "train" / "happy" / "notes.txt").write_text("no picture")
    (tmp_path / "train" / "happy" / "._b.jpg").write_bytes(b"a Mac leaves these")
    faces = build.read_data(tmp_path)
    assert len(faces) == 2 and np.array_equal(faces.pixels[0], images.face_input(big))


def test_bad_pictures_are_named_and_stop_no_other(tmp_path, caplog):
    make(tmp_path, ("happy", "sad"), each=3)
    whole = (tmp_path / "train" / "sad" / "im1.png").read_bytes()
    (tmp_path / "train" / "sad" / "im1.png").write_bytes(whole[:300])
    (tmp_path / "test" / "happy" / "im0.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"train/sad/im1\.png"):
        build.read_data(tmp_path)
    assert caplog.messages == []
    assert len(build.read_data(tmp_path, skip_bad=True)) == 10
    assert [line.split(":")[0] for line in caplog.messages] == ["train/sad/im1.png", "test/happy/im0.png"]
    caplog.clear()
    for file in tmp_path.glob("*/*/*.png"):
        file.write_bytes(b"x")
    with pytest.raises(DatasetError, match="no picture in it can be read"):
        build.read_data(tmp_path, skip_bad=True)
    # what was left out is logged before the refusal, many of a kind in one line
    assert len(caplog.messages) == 11 and "2 more" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("happy", "3"), "names and of numbers"),
        ("0123457", "do not say which"),
        ((), "no pictures"),
    ],
)
def test_bad_folders(tmp_path, names, words):
    make(tmp_path, names, each=1)
    with pytest.raises(DatasetError, match=words) as caught:
        build.read_data(tmp_path)
    assert "\n" not in str(caught.value)


def test_classes_json_too_short_for_the_numbers(tmp_path):
    make(tmp_path, "012")
    (tmp_path / "classes.json").write_text('["happy", "sad"]')
    with pytest.raises(DatasetError, match="class folder 2, but there are 2 classes"):
        build.read_data(tmp_path)


@pytest.mark.parametrize(
    "name", ["emotion_file.csv", "fer2013.csv.gz", "icml_face_data.csv", "fer2013/fer2013.csv"]
)
def test_a_folder_with_a_csv(tmp_path, drawn, name):
    make(tmp_path, ("happy", "sad"))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    faces = drawn.select(np.arange(7))
    build.write_fer2013(faces, tmp_path / name)
    assert np.array_equal(build.read_data(tmp_path).pixels, faces.pixels)
    assert np.array_equal(build.read_data(tmp_path / name).pixels, faces.pixels)


def test_a_folder_of_stage_02(tmp_path):
    make(tmp_path, ("happy",), (".",))
    (tmp_path / "faces.csv").write_text("face,emotion\nhappy/im1.png,happy\n")
    assert np.array_equal(build.read_data(tmp_path).pixels, [noise(1)])


def test_both_ways_give_the_same_data_set(tmp_path, drawn):
    """FER2013 as CSV, and as the folders that it was turned into."""
    faces = split(drawn, seed=1)
    build.write_fer2013(faces, tmp_path / "fer2013.csv")
    build.write_splits(faces, tmp_path / "folders")
    one, two = build.read_data(tmp_path / "fer2013.csv"), build.read_data(tmp_path / "folders")
    order = np.lexsort((one.labels, [USAGES.index(u) for u in one.usage]))
    assert np.array_equal(one.pixels[order], two.pixels) and np.array_equal(one.labels[order], two.labels)
