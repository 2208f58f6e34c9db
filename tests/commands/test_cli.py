"""The command line as a person uses it: real files, one line for bad input; a few in processes of their own."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from ferlib import synth
from ferlib.common import images, labels
from ferlib.dataset import build, ferplus
from ferlib.dataset.splits import join, split
from ferlib.live import video
from tests.commands import ferlib, ferlib_process

COMMANDS = [
    "synth",
    "crawl",
    "crop",
    "dataset",
    "audit",
    "train",
    "evaluate",
    "leaderboard",
    "card",
    "import",
    "export",
    "serve",
    "predict",
    "webcam",
    "run",
    "doctor",
]


HAAR = "frontalface_default"  # nothing is fetched


@pytest.fixture(scope="module")
def drawn_csv(tmp_path_factory):
    """140 drawn faces in FER2013's format, all three usages."""
    path = tmp_path_factory.mktemp("drawn") / "faces.csv"
    faces = build.from_drawn(140, 3, labels.SEVEN)
    build.write_fer2013(split(faces, seed=3), path)
    return path


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory, drawn_csv):
    """A bundle of one epoch, made by the command itself."""
    out = tmp_path_factory.mktemp("models") / "tiny"
    done = ferlib("train", "--data", drawn_csv, "--epochs", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "bundle:" in done.stdout
    return out


def test_a_process_ends_with_the_code_and_one_line(tmp_path):
    done = ferlib_process("predict", "a.jpg", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("ferlib: nothing to write")
    assert done.stderr.count("\n") == 1 and done.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_needs(command):
    done = ferlib(command, "--help")
    assert done.returncode == 0 and "Usage:" in done.stdout and len(done.stdout.splitlines()) > 4


def test_synth_writes_faces_and_labels(tmp_path):
    done = ferlib("synth", tmp_path / "a", "--count", 14, "--seed", 5)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(tmp_path / "a" / "labels.csv")
    assert list(rows.columns) == ["file", "emotion"] and len(rows) == 14
    assert set(rows["emotion"]) == set(labels.SEVEN)
    assert all(images.load_image(tmp_path / "a" / name).ndim == 3 for name in rows["file"])
    ferlib("synth", tmp_path / "b", "--count", 14, "--seed", 5)
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in rows["file"])


def test_synth_photos_carry_their_boxes(tmp_path):
    assert ferlib("synth", tmp_path, "--count", 3, "--photos").returncode == 0
    rows = pd.read_csv(tmp_path / "labels.csv")
    assert {"file", "emotion", "x", "y", "width", "height"} <= set(rows.columns)
    for row in rows.itertuples():
        height, width = images.load_image(tmp_path / row.file).shape[:2]
        assert 0 <= row.x < row.x + row.width <= width and 0 <= row.y < row.y + row.height <= height


def test_the_way_from_crawl_to_dataset(tmp_path):
    raw = tmp_path / "raw"
    done = ferlib("crawl", "faces", "--count", 12, "--out", raw)
    assert done.returncode == 0, done.stderr
    manifest = pd.read_csv(raw / "manifest.csv")
    assert (manifest["state"] == "ok").sum() == 12
    from ferlib.annotate import truth
    from ferlib.annotate.formats import vott
    from ferlib.crawl import read_manifest

    vott.write_vott(truth.truth_table(read_manifest(raw)), tmp_path / "annotations")
    done = ferlib(
        "crop", "--annotations", tmp_path / "annotations", "--images", raw, "--out", tmp_path / "faces"
    )
    assert done.returncode == 0, done.stderr
    count = len(pd.read_csv(tmp_path / "faces" / "faces.csv"))
    done = ferlib("dataset", "--faces", tmp_path / "faces", "--extra", 70, "--out", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert len(build.read_fer2013(tmp_path / "set" / "emotion_file.csv")) == count + 70


def test_audit_and_drop_leaks(tmp_path, drawn_csv):
    faces = build.read_data(drawn_csv)
    leak = faces.part("PublicTest").select(np.arange(2)).with_usage("Training")
    build.write_fer2013(join([faces, leak]), tmp_path / "leaky.csv")
    done = ferlib("audit", tmp_path / "leaky.csv", "--html", tmp_path / "page.html")
    assert done.returncode == 0 and done.stderr == ""
    assert "     2  PublicTest rows with an exact twin in Training" in done.stdout
    assert "data:image" in (tmp_path / "page.html").read_text()
    done = ferlib("dataset", "--data", tmp_path / "leaky.csv", "--drop-leaks", "--out", tmp_path / "set")
    assert done.returncode == 0 and "     2  Training rows left out" in done.stdout
    assert len(build.load_dataset(tmp_path / "set")) == len(faces)
    # and the class folders of what was written are a data set too
    (tmp_path / "set" / "emotion_file.csv").unlink()
    done = ferlib("audit", tmp_path / "set")
    assert done.returncode == 0 and f"{len(faces):6}  faces" in done.stdout


def test_train_writes_a_whole_bundle(bundle_folder):
    metadata = json.loads((bundle_folder / "metadata.json").read_text())
    assert metadata["class_names"] == list(labels.SEVEN)
    assert metadata["data"]["source"] == "faces.csv"
    assert len(pd.read_csv(bundle_folder / "history.csv")) == 1


def test_labels_of_the_voters_from_training_to_the_card(tmp_path, bundle_folder, drawn_csv):
    """A bundle of eight classes goes on from one of seven, and is judged under the same labels."""
    faces = build.read_data(drawn_csv)
    columns = np.array([ferplus.VOTES.index(name) for name in ferplus.VOTES[:8]])
    votes = np.zeros((len(faces), 10), int)
    votes[np.arange(len(faces)), columns[np.arange(len(faces)) % 8]] = 8
    votes[:3] = 0
    votes[:3, ferplus.VOTES.index("NF")] = 10  # three rows that are left out
    lines = [",".join([u, "", *map(str, v)]) for u, v in zip(faces.usage, votes, strict=True)]
    table = tmp_path / "fer2013new.csv"
    table.write_text("\n".join(["Usage,Image name," + ",".join(ferplus.VOTES), *lines]))
    given = ("--data", drawn_csv, "--labels", "ferplus")
    out = tmp_path / "plus"
    done = ferlib("train", *given, "--out", out)
    assert done.returncode == 2 and "give it with --votes" in done.stderr and not out.exists()
    recipe = ("--recipe", "ferplus", "--network", "small", "--epochs", 1)
    done = ferlib("train", *given, "--votes", table, *recipe, "--begin", bundle_folder, "--out", out)
    assert done.returncode == 0, done.stderr
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["class_names"] == list(labels.EIGHT)
    assert metadata["began_with"]["name"] == bundle_folder.name
    written = ("--json", out / "metrics.json", "--html", tmp_path / "page.html")
    done = ferlib("evaluate", "--model", out, *given, "--votes", table, *written)
    assert done.returncode == 0, done.stderr
    assert "those that most of FER+'s ten voters gave" in (tmp_path / "page.html").read_text(encoding="utf-8")
    report = json.loads((out / "metrics.json").read_text())
    kept = (faces.usage == "PrivateTest") & (votes[:, ferplus.VOTES.index("NF")] == 0)
    assert report["n"] == kept.sum() and report["labels"] == "ferplus" and "votes" not in report
    assert ferlib("card", out).returncode == 0
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "8 expressions" in text and "what most of ten voters saw" in text and "65 ± 5" not in text
    assert f"--labels ferplus --begin models/{bundle_folder.name}" in text


def test_from_a_baseline_to_the_leaderboard(tmp_path, bundle_folder, drawn_csv):
    svm = tmp_path / "hog-svm"
    assert ferlib("train", "--data", drawn_csv, "--recipe", "hog-svm", "--out", svm).returncode == 0
    done = ferlib("evaluate", "--model", svm, "--data", drawn_csv, "--json", svm / "metrics.json")
    assert done.returncode == 0, done.stderr
    done = ferlib("leaderboard", svm, bundle_folder / "nowhere", "--out", tmp_path / "board")
    assert done.returncode == 0 and "nowhere: no metrics.json" in done.stderr
    table = pd.read_csv(tmp_path / "board" / "leaderboard.csv")
    assert set(table["name"]) == {"hog-svm", "majority"} and "| hog-svm |" in done.stdout
    report = json.loads((svm / "metrics.json").read_text())
    assert table.set_index("name")["accuracy"]["hog-svm"] == pytest.approx(report["accuracy"])


@pytest.mark.parametrize("classes", [None, "happy,neutral"])
def test_evaluate_writes_its_report(tmp_path, bundle_folder, drawn_csv, classes):
    out = tmp_path / "report.json"
    extra = ["--classes", classes] if classes else []
    page = tmp_path / "new" / "report.html"
    done = ferlib(
        "evaluate", "--model", bundle_folder, "--data", drawn_csv, "--json", out, "--html", page, *extra
    )
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    report = json.loads(out.read_text())
    matrix = np.array(report["confusion_matrix"])
    assert report["class_names"] == (classes.split(",") if classes else list(labels.SEVEN))
    assert matrix.sum() == report["n"] > 0
    assert report["accuracy"] == pytest.approx(np.trace(matrix) / report["n"])
    kept = build.read_fer2013(drawn_csv).part("PrivateTest").with_classes(report["class_names"])
    assert matrix.sum(axis=1).tolist() == kept.counts().tolist()


def test_predict_writes_a_row_a_face_and_names_the_unreadable(tmp_path, bundle_folder):
    images.write_image(tmp_path / "photo.PNG", synth.draw_photo(3).image)
    (tmp_path / "broken.jpg").write_bytes(b"<html>not a picture</html>")
    out = tmp_path / "out.csv"
    done = ferlib("predict", tmp_path, "--model", bundle_folder, "--csv", out, "--detector", HAAR)
    assert done.returncode == 0, done.stderr
    assert "broken.jpg" in done.stderr
    rows = list(csv.DictReader(out.open()))
    expected = ["file", "face", "x", "y", "width", "height", "emotion", "probability", *labels.SEVEN, "score"]
    assert list(rows[0]) == expected
    for row in rows:
        probabilities = {name: float(row[name]) for name in labels.SEVEN}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert max(probabilities, key=probabilities.get) == row["emotion"]


def test_predict_writes_copies_and_a_chart(tmp_path, bundle_folder):
    (tmp_path / "in").mkdir()
    images.write_image(tmp_path / "in/photo.png", synth.draw_photo(3).image)
    copies, chart = tmp_path / "copies", tmp_path / "chart.png"
    wanted = ("--annotated", copies, "--chart", chart, "--emoji", "--tta", "flip", "--flat")
    done = ferlib("predict", tmp_path / "in", "--model", bundle_folder, "--detector", HAAR, *wanted)
    assert done.returncode == 0, done.stderr
    assert images.load_image(copies / "photo.png").shape == images.load_image(tmp_path / "in/photo.png").shape
    assert chart.stat().st_size > 1000


def test_predict_reads_a_film(tmp_path, bundle_folder):
    video.write_video(tmp_path / "film.mp4", (i for i, _ in synth.film(7, 1, fps=10, size=(320, 240))), 10)
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "png", "mp4")}
    wanted = ("--csv", out["csv"], "--timeline", out["png"], "--annotated", out["mp4"])
    done = ferlib("predict", tmp_path / "film.mp4", "--model", bundle_folder, "--detector", HAAR, *wanted)
    assert done.returncode == 0, done.stderr
    assert "in 10 frames" in done.stdout and all(file.stat().st_size > 100 for file in out.values())
    assert {row["track"] for row in csv.DictReader(out["csv"].open())} == {"1"}


def test_predict_reads_a_part_of_pictures_and_videos(tmp_path, bundle_folder):
    (tmp_path / "in").mkdir()
    video.write_video(tmp_path / "in/a.mp4", (i for i, _ in synth.film(7, 1, fps=10, size=(320, 240))), 10)
    images.write_image(tmp_path / "in/b.png", synth.draw_photo(3).image)
    options = (
        "--every",
        "2",
        "--start",
        "0:00.2",
        "--end",
        "0.7",
        "--region",
        "0,0,320,240",
        "--min-face",
        "40",
    )
    targets = ("--csv", tmp_path / "a.csv", "--annotated", tmp_path / "copies", "--no-bars")
    model = ("--model", bundle_folder, "--detector", HAAR)
    done = ferlib("predict", tmp_path / "in", *model, *options, *targets, "--largest", "--empty")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [(row["frame"], row["seconds"]) for row in rows] == [
        *(("2", "0.200000"), ("4", "0.400000"), ("6", "0.600000"), ("", ""))
    ]
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == ["a.mp4", "b.png"]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["train", "--data", "nowhere.csv", "--out", "x"], "nowhere.csv"),
        (["leaderboard", "--out", "board"], "FOLDERS"),
        (["evaluate", "--model", "nowhere", "--data", "{csv}"], "metadata.json"),
        (["evaluate", "--model", "{bundle}", "--data", "{csv}", "--usage", "Weekend"], "Weekend"),
        (["evaluate", "--model", "{bundle}", "--data", "{csv}", "--classes", "happy"], "two classes"),
        (["evaluate", "--model", "{bundle}", "--data", "{csv}", "--pictures"], "--html"),
        (["evaluate", "--model", "{bundle}", "--data", "{csv}", "--photos", "nowhere"], "legend.csv"),
        (["evaluate", "--model", "{bundle}", "--data", "{csv}", "--votes", "{csv}"], "fer2013new.csv"),
        (
            ["predict", "nothing.jpg", "--model", "{bundle}", "--csv", "o.csv", "--detector", HAAR],
            "nothing.jpg",
        ),
        (["predict", "no.mp4", "--model", "{bundle}", "--csv", "out.csv", "--detector", HAAR], "no.mp4"),
        (["predict", "a.mp4", "--chart", "out.png"], "--timeline"),
        (["predict", "a.mp4", "b.jpg", "--timeline", "out.png"], "one video"),
        (["predict", "a.mp4", "--csv", "out.csv", "--start", "1:xx"], "1:xx"),
        (["predict", "a.mp4", "--csv", "out.csv", "--start", "1:00", "--end", "59.5"], "after the start"),
        (["predict", "a.jpg", "--csv", "out.csv", "--region", "1,2,3"], "1,2,3"),
        (["predict", "a.jpg", "--timeline", "out.png"], "--chart"),
        (["predict", "a.jpg"], "nothing to write"),
        (["predict", "a.jpg", "--csv", "out.csv", "--model", "{bundle}", "--detector", "haarder"], "haarder"),
        (["predict", "a.jpg", "--csv", "out.csv", "--tta", "four"], "four"),
        (["crawl", "faces", "--out", "raw", "--source", "altavista"], "altavista"),
        (["crawl", "faces", "--out", "raw", "--source", "list"], "path"),
        (["crawl", "faces", "--out", "raw", "--count", "0"], "count"),
        (["crop", "--annotations", "nowhere", "--images", ".", "--out", "faces"], "nowhere"),
        (["dataset", "--out", "set"], "--faces"),
        (["dataset", "--data", "nowhere.csv", "--out", "set"], "nowhere.csv"),
        (["dataset", "--data", "{csv}", "--fetch", "mirror", "--out", "set"], "--fetch"),
        (["dataset", "--fetch", "torrent", "--out", "set"], "torrent"),
        (["dataset", "--data", "{csv}", "--votes", "nowhere.csv", "--out", "set"], "nowhere.csv"),
        (["dataset", "--data", "{csv}", "--classes", "good=happy,sad", "--out", "set"], "good=happy"),
        (["dataset", "--data", "{csv}", "--classes", "eight", "--out", "set"], "contempt 0"),
        (["audit", "nowhere"], "nowhere"),
        (["audit", "."], "class folders"),
        (["run", "--data", "nowhere.csv"], "nowhere.csv"),
        (["run", "--classes", "bored,happy"], "bored"),
        (["synth", "faces", "--count", "-3"], "-3"),
        (["synth", "faces", "--count", "many"], "many"),
        (["dance"], "dance"),
    ],
)
def test_bad_input_gets_one_line_and_code_2(tmp_path, bundle_folder, drawn_csv, args, word):
    filled = [arg.format(csv=drawn_csv, bundle=bundle_folder) for arg in args]
    done = ferlib(*filled, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and word in lines[0] and "Traceback" not in done.stderr


def test_tensorflow_says_nothing(bundle_folder, drawn_csv):
    done = ferlib_process("evaluate", "--model", bundle_folder, "--data", drawn_csv, "--no-flip")
    assert done.returncode == 0 and done.stderr == ""
