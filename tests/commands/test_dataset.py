"""`ferlib dataset` and `ferlib audit`: class names of any kind, splits, and what a refusal leaves as it was."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from ferlib import cli
from ferlib.common import images
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.dataset import build
from ferlib.dataset.fer2013 import write_fer2013
from tests.dataset.noise_sets import make as noise_set
from tests.dataset.test_folders import make, noise


def ferlib(*arguments):
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


def run(*arguments):
    """The output of a command that must work."""
    done = ferlib(*arguments)
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


def refused(*arguments):
    """The message of a command that must be refused, on one line."""
    done = ferlib(*arguments)
    assert isinstance(done.exception, FerlibError), done.output + repr(done.exception)
    assert done.exception.exit_code == 2 and "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize(
    "names", [("高兴", "伤心", "中性"), ("Freude", "Trauer", "neutral"), ("bored", "a b+c", "x")]
)
def test_class_folders_under_their_own_names_are_split(tmp_path, out, names):
    data = make(tmp_path / "data", names, (".",), each=10)
    images.write_image(data / names[0] / "copy.png", noise(3))  # of im3
    text = run("dataset", "--data", data, "--out", out)
    built = build.read_data(out)
    assert set(built.class_names) == set(names) and len(built) == 31
    counts = [len(built.part(usage)) for usage in build.USAGES]
    assert 20 <= counts[0] <= 23 and min(min(built.part(usage).counts()) for usage in build.USAGES) >= 1
    copies = [row for row in range(31) if np.array_equal(built.pixels[row], noise(3))]
    assert len(copies) == 2 and len({built.usage[row] for row in copies}) == 1
    said = (
        "it was split by class and by groups of copies (seed 7): {} Training, {} PublicTest, {} PrivateTest"
    )
    assert said.format(*counts) in text
    run("dataset", "--data", data, "--out", tmp_path / "again", "--seed", 7)
    for name in ("emotion_file.csv", "classes.json", "train.csv"):
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    for command in (("audit", out), ("audit", data), ("dataset", "--data", out, "--out", tmp_path / "third")):
        assert all(name in run(*command) for name in built.class_names)


def test_names_are_mapped(tmp_path, out):
    data = make(tmp_path / "data", ("Freude", "Lachen", "Trauer"), (".",), each=5)
    text = run("dataset", "--data", data, "--out", out, "--names", "freude=happy, Lachen=happy,Traurer=sad")
    assert build.read_data(out).class_names == ("happy", "Trauer")
    assert "no class is called Traurer; the data has Freude, Lachen, Trauer" in text
    assert "happy: " in run("audit", data, "--names", "Freude=happy")
    assert "give each old name once" in refused("audit", data, "--names", "Freude")
    run(
        "dataset",
        "--data",
        data,
        "--out",
        out,
        "--names",
        "Freude=happy,Trauer=sad",
        "--classes",
        "happy,sad",
    )
    assert build.read_data(out).class_names == ("happy", "sad") and len(build.read_data(out)) == 10


def test_a_misspelled_class_is_named_with_its_count(tmp_path, out):
    data = make(tmp_path / "data", ("happy", "sad", "bored"), (".",), each=5)
    assert "hapy 0" in refused("dataset", "--data", data, "--out", out, "--classes", "hapy,sad,bored")
    text = run("dataset", "--data", data, "--out", out, "--classes", "sad,bored")
    assert "left out, not of the classes sad, bored: 5 of happy" in text
    assert "nothing in common" in refused("dataset", "--data", data, "--out", out, "--classes", "a,b")


def test_bad_folders_are_one_line_and_nothing_is_lost(tmp_path, out):
    run("dataset", "--data", make(tmp_path / "good", ("a", "b"), (".",), each=5), "--out", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    cases = {
        "one": (make(tmp_path / "one", ("happy",), (".",)), "only happy; at least two classes"),
        "two": (make(tmp_path / "two", ("happy", "sad"), (".",), each=1), "too few pictures per class"),
        "case": (make(tmp_path / "case", ("Bored", "bored"), (".",)), "differ only by case or blanks"),
        "blank": (make(tmp_path / "blank", ("a b", "a  b"), (".",)), "differ only by case or blanks"),
        "colon": (make(tmp_path / "colon", ("a:b", "c"), (".",)), "cannot be the name of a class"),
        "none": (tmp_path / "none", "cannot be read"),
        "same": (out, "is the data itself"),
    }
    broken = make(tmp_path / "broken", ("happy", "sad"), (".",))
    for file in broken.glob("*/*"):
        file.write_bytes(b"x")
    cases["broken"] = (broken, "no picture in it can be read")
    for data, words in cases.values():
        assert words in refused("dataset", "--data", data, "--out", out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_mirror_without_a_validation_part(tmp_path, out):
    data = make(tmp_path / "data", ("happy", "sad"), ("train", "test"), each=16)
    text = run("dataset", "--data", data, "--out", out)
    built = build.read_data(out)
    assert [len(built.part(usage)) for usage in build.USAGES] == [28, 4, 32]
    assert "a validation part was split off Training" in text and "28 Training, 4 PublicTest, 32" in text


def test_a_csv_without_usage_is_split_or_said_to_be_too_small(tmp_path, out):
    write_fer2013(noise_set(70), tmp_path / "train.csv", with_usage=False)
    assert "49 Training, 7 PublicTest, 14 PrivateTest" in run(
        "dataset", "--data", tmp_path / "train.csv", "--out", out
    )
    write_fer2013(noise_set(7), tmp_path / "train.csv", with_usage=False)
    assert "not split: too few" in run("dataset", "--data", tmp_path / "train.csv", "--out", out)
    assert len(build.read_data(out).part("Training")) == 7


def test_faces_csv_under_its_own_names(tmp_path, out):
    data = make(tmp_path / "faces", ("bored", "高兴"), (".",), each=6)
    with (data / "faces.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [
            ("face", "emotion"),
            *((f.relative_to(data), f.parent.name) for f in sorted(data.glob("*/*.png"))),
        ]
        csv.writer(file).writerows(rows)
    text = run("dataset", "--faces", data, "--out", out, "--extra", 5)
    assert build.read_data(out).class_names == ("bored", "高兴")
    assert "no drawn faces are added: none shows bored, 高兴" in text


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_fails_while_it_writes_leaves_the_old_data_set(tmp_path, out, monkeypatch, failure):
    first = noise_set(30)
    build.write_dataset(first, out)
    (out / "mine.txt").write_text("a reader's own file")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def fail(*arguments, **options):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(build, "write_fer2013", fail)
        with pytest.raises((KeyboardInterrupt, BadInputError)) as caught:
            build.write_dataset(noise_set(9, 2), out)
    if isinstance(failure, OSError):
        assert str(out) in str(caught.value) and ".part" not in str(caught.value)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    build.write_dataset(noise_set(9, 2), out)
    assert (out / "mine.txt").is_file() and len(build.read_data(out)) == 9
    assert json.loads((out / "classes.json").read_text())["class_names"] == ["angry", "disgust"]


def test_places_that_cannot_be_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInputError, match="is a file"):
        build.write_dataset(noise_set(9), tmp_path / "file")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    build.write_dataset(noise_set(9), tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(build.read_data(tmp_path / "real")) == 9
    monkeypatch.chdir(tmp_path / "real")
    with pytest.raises(BadInputError, match="the current folder"):
        build.write_dataset(noise_set(9), ".")
    assert len(build.read_data(tmp_path / "real")) == 9
