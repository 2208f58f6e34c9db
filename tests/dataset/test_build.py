"""Data sets of drawn and cropped faces, and the folder of stage 03."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from ferlib.commands.dataset import dataset as dataset_command
from ferlib.common import images, labels
from ferlib.common.errors import DatasetError
from ferlib.dataset import build
from ferlib.dataset.splits import PARTS, USAGES, split
from tests.dataset.noise_sets import make, same

# --- faces in folders -------------------------------------------------------------------------


def faces_folder(tmp_path):
    folder = tmp_path / "faces"
    rows = [("happy", (60, 50, 3)), ("sad", (30, 30)), ("disgust", (48, 48, 3)), ("Happiness", (96, 80, 3))]
    with_rows = ["face,image,x,y,width,height,emotion,tags,label,source,licence"]
    for number, (emotion, shape) in enumerate(rows):
        (folder / emotion).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8)
        images.write_image(folder / emotion / f"{number}.png", pixels)
        with_rows.append(f"{emotion}/{number}.png,p.jpg,1,2,3,4,{emotion},{emotion},0,local,CC0")
    (folder / "faces.csv").write_text("\n".join(with_rows) + "\n")
    return folder


def test_from_faces(tmp_path):
    folder = faces_folder(tmp_path)
    faces = build.from_faces(folder, labels.SEVEN)
    assert faces.labels.tolist() == [3, 4, 1, 3] and set(faces.usage) == {"Training"}
    expected = images.face_input(images.load_image(folder / "happy" / "0.png"))
    assert np.array_equal(faces.pixels[0], expected)
    assert build.from_faces(folder, labels.SIX).labels.tolist() == [2, 3, 0, 2]
    assert build.from_faces(folder, ("sad", "happy")).labels.tolist() == [1, 0, 1]


def test_from_faces_names_bad_rows(tmp_path, caplog):
    folder = faces_folder(tmp_path)
    (folder / "sad" / "1.png").write_bytes((folder / "sad" / "1.png").read_bytes()[:200])
    text = (folder / "faces.csv").read_text().replace(",disgust,disgust,", ",bored,bored,")
    (folder / "faces.csv").write_text(text + "gone.png,p.jpg,1,2,3,4,sad,sad,4,local,CC0\nshort\n")
    with pytest.raises(DatasetError, match=r"faces\.csv: row 2: "):
        build.from_faces(folder, labels.SEVEN)
    assert caplog.messages == []
    assert len(build.from_faces(folder, labels.SEVEN, skip_bad=True)) == 2
    *rows, others = caplog.messages
    assert [line.split(":")[1] for line in rows] == [" row 2", " row 5", " row 6"]
    assert others.endswith("left out, not of the classes " + ", ".join(labels.SEVEN) + ": 1 of bored")
    assert build.from_faces(folder, skip_bad=True).class_names == ("happy", "sad", "bored")
    (folder / "faces.csv").write_text("face,label\na.png,1\n")
    with pytest.raises(DatasetError, match="no column emotion"):
        build.from_faces(folder, labels.SEVEN)
    (folder / "faces.csv").write_text("face,emotion\n")
    with pytest.raises(DatasetError, match="holds no faces"):
        build.from_faces(folder, labels.SEVEN)
    with pytest.raises(DatasetError, match="run notebook 02"):
        build.from_faces(tmp_path / "none", labels.SEVEN)


def test_from_drawn_is_fixed_by_its_seed():
    faces = build.from_drawn(14, 3, labels.SEVEN)
    assert faces.counts().tolist() == [2] * 7
    assert same(build.from_drawn(7, 3, labels.SEVEN), faces.select(np.arange(7)))
    assert not np.array_equal(build.from_drawn(7, 4, labels.SEVEN).pixels, faces.pixels[:7])
    assert faces.pixels.std(axis=(1, 2)).min() > 10  # pictures, not a flat gray
    assert len(set(faces.groups)) == 14
    assert build.from_drawn(6, 3, ("neutral", "happy")).counts().tolist() == [3, 3]
    assert build.from_drawn(7, 3, ("happy", "rest")).counts().tolist() == [1, 6]
    assert len(build.from_drawn(0, 3, labels.SEVEN)) == 0


# --- the folder of stage 03 -------------------------------------------------------------------


def test_write_and_load_the_folder(tmp_path):
    faces = split(make(60), seed=1)
    build.write_dataset(faces, tmp_path / "dataset")
    assert same(build.load_dataset(tmp_path / "dataset"), faces)
    assert json.loads((tmp_path / "dataset" / "classes.json").read_text()) == {
        "class_names": list(labels.SEVEN)
    }
    for usage, (name, *_) in PARTS.items():
        path = tmp_path / "dataset" / f"{name}.csv"
        assert path.read_bytes().startswith(b"emotion,pixels\n")
        part, table = faces.part(usage), pd.read_csv(path)
        assert table["emotion"].tolist() == part.labels.tolist()
        assert np.array_equal(
            np.stack(table["pixels"].str.split()).astype(np.uint8).reshape(-1, 48, 48), part.pixels
        )
        # every picture of the class folders is the CSV's row of its number, pixel by pixel
        found = sorted((tmp_path / "dataset" / name).glob("*/*.png"), key=lambda p: p.name)
        assert [p.name for p in found] == [f"{row:05}.png" for row in range(len(part))]
        for row, file in enumerate(found):
            assert file.parent.name == labels.SEVEN[part.labels[row]]
            with Image.open(file) as picture:
                assert picture.mode == "L" and np.array_equal(np.asarray(picture), part.pixels[row])


def test_a_second_run_leaves_nothing_of_the_first(tmp_path):
    build.write_dataset(split(make(70), seed=1), tmp_path)
    (tmp_path / "train" / "mine.txt").write_text("a reader's own file")
    small = make(9, 2).with_usage("Training")
    build.write_dataset(small, tmp_path)
    assert same(build.load_dataset(tmp_path), small)
    assert len(list(tmp_path.glob("*/*/*.png"))) == 9
    assert not (tmp_path / "val.csv").exists() and not list((tmp_path / "val").glob("*"))
    assert {p.name for p in (tmp_path / "train").iterdir()} == {"angry", "disgust", "mine.txt"}


def test_folder_of_a_part_without_rows(tmp_path):
    faces = make(30).with_usage("Training")
    build.write_splits(faces, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train", "train.csv"]


def test_folders_of_an_earlier_data_set_do_not_stay(tmp_path):
    faces = make(30)
    build.write_splits(faces.with_usage(np.resize(["Training", "PublicTest"], 30)), tmp_path)
    (tmp_path / "train" / "angry" / "mine.png").write_bytes(b"mine")
    (tmp_path / "mine.csv").write_text("mine")
    few = faces.select(np.arange(5)).with_usage("Training")
    build.write_splits(few, tmp_path)
    pictures = [path for path in tmp_path.rglob("*.png") if path.name != "mine.png"]
    assert len(pictures) == 5 and (tmp_path / "train" / "angry" / "mine.png").is_file()
    assert {path.name for path in tmp_path.glob("*.csv")} == {"train.csv", "mine.csv"}


def test_keras_reads_the_folders_in_alphabetical_order(tmp_path):
    """Keras numbers folders by the alphabet: neutral is its 4, FER2013's 6. `labels` maps between them."""
    keras = pytest.importorskip("keras")
    faces = make(21).with_usage("Training")
    build.write_splits(faces, tmp_path)
    data = keras.utils.image_dataset_from_directory(
        tmp_path / "train", color_mode="grayscale", image_size=(48, 48), shuffle=False, verbose=False
    )
    names = tuple(data.class_names)
    assert names == labels.alphabetical(labels.SEVEN) and names.index("neutral") == 4
    pixels, y = (np.concatenate(column) for column in zip(*data.as_numpy_iterator(), strict=True))
    order = np.argsort([int(Path(p).stem) for p in data.file_paths])
    assert np.array_equal(pixels[order, :, :, 0], faces.pixels)
    assert np.array_equal(labels.map_labels(y, names, labels.SEVEN)[order], faces.labels)


def test_build_dataset(tmp_path):
    built = build.build_dataset(faces_folder(tmp_path), "", labels.SEVEN, 28, 7)
    assert len(built) == 32 and set(built.usage) == set(USAGES)
    cropped = build.from_faces(tmp_path / "faces", labels.SEVEN)
    assert np.array_equal(built.pixels[:4], cropped.pixels)
    assert same(build.build_dataset(tmp_path / "faces", "", labels.SEVEN, 28, 7), built)
    # a FER2013 file keeps its own Usage, whatever faces there are
    data = make(30)
    build.write_fer2013(data, tmp_path / "fer2013.csv.gz")
    assert same(build.build_dataset(None, tmp_path / "fer2013.csv.gz", labels.SEVEN, 60, 7), data)
    two = build.build_dataset(None, tmp_path / "fer2013.csv.gz", ("neutral", "happy"))
    assert same(two, data.with_classes(("neutral", "happy")))


def test_load_dataset_needs_the_folder(tmp_path):
    with pytest.raises(DatasetError, match="not there"):
        build.load_dataset(tmp_path)


def test_build_dataset_says_which_class_is_too_small(tmp_path, drawn):
    build.write_fer2013(drawn.select(drawn.labels == 3), tmp_path / "happy.csv")
    for extra, data, words in ((2, "", r"\(at least 3\)"), (0, tmp_path / "happy.csv", "only happy")):
        with pytest.raises(DatasetError, match=words):
            build.build_dataset(None, data, labels.SEVEN, extra, 7)
    with pytest.raises(DatasetError, match="no face of sad, fear"):
        build.build_dataset(None, tmp_path / "happy.csv", ("sad", "fear"))


def test_a_refused_data_set_leaves_what_was_there(tmp_path, drawn):
    build.write_dataset(make(9), tmp_path / "out")
    before = (tmp_path / "out" / "emotion_file.csv").read_bytes()
    build.write_fer2013(drawn.select(drawn.labels == 3), tmp_path / "happy.csv")
    arguments = ["--data", str(tmp_path / "happy.csv"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(dataset_command, arguments)
    assert isinstance(done.exception, DatasetError) and "only happy" in str(done.exception)
    assert (tmp_path / "out" / "emotion_file.csv").read_bytes() == before
