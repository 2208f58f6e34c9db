"""The commands train, import and export, within this process; most are stopped before the fit."""

import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from ferlib.cli import cli
from ferlib.common.errors import BadInputError
from ferlib.common.images import write_image
from ferlib.common.labels import EIGHT, SEVEN
from ferlib.dataset import build, ferplus
from ferlib.dataset.splits import Dataset
from ferlib.model.bundle import save_bundle
from ferlib.model.metadata import read_metadata
from ferlib.train import baselines, networks, run
from ferlib.train.export import HOW_TO_LOAD
from ferlib.train.recipes import RECIPES
from tests.train.tiny import build_tiny


class Stopped(Exception):
    """The command has come to the fit."""


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """140 faces of noise in FER2013's format; a quarter of the rows is for tests."""
    path = tmp_path_factory.mktemp("noise") / "faces.csv"
    faces = np.random.default_rng(0).integers(0, 256, (140, 48, 48), dtype=np.uint8)
    usage = np.where(np.arange(140) < 105, "Training", "PrivateTest")
    build.write_fer2013(Dataset(faces, np.arange(140) % 7, usage, SEVEN), path)
    return path


@pytest.fixture(scope="module")
def votes(csv):
    """FER+'s votes on these faces, which name one of the eight classes after the other."""
    counts = np.zeros((140, 10), int)
    counts[np.arange(140), np.arange(140) % 8] = 8
    usage = build.read_fer2013(csv).usage
    lines = [",".join([u, "", *map(str, row)]) for u, row in zip(usage, counts, strict=True)]
    path = csv.with_name("fer2013new.csv")
    path.write_text("\n".join(["Usage,Image name," + ",".join(ferplus.VOTES), *lines]))
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The folder of a bundle of seven classes that has learned nothing."""
    return save_bundle(build_tiny(7), tmp_path_factory.mktemp("models") / "tiny", SEVEN)


@pytest.fixture
def started(monkeypatch):
    """The run of each `ferlib train` that comes to the fit, and is stopped there."""
    runs = []

    def stop(self):
        runs.append(self)
        raise Stopped

    monkeypatch.setattr(run.TrainingRun, "run", stop)
    return runs


def ferlib(*args):
    """Run the command within this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def refusal(*args) -> str:
    """The one line with which the command refuses; its exit code is 2."""
    done = ferlib(*args)
    if isinstance(done.exception, SystemExit):  # click itself
        assert done.exit_code == 2
        return done.output
    assert isinstance(done.exception, BadInputError), done.exception
    return str(done.exception)


def test_without_options_it_is_the_light_recipe(started, csv, tmp_path):
    assert isinstance(ferlib("train", "--data", csv, "--out", tmp_path / "m").exception, Stopped)
    (made,) = started
    assert made.settings == RECIPES["light"] and made.out == tmp_path / "m" and made.progress
    assert made.checkpoints is None and made.initial_bundle is None
    assert made.rows.source == "faces.csv" and made.rows.votes is None and made.rows.label_source == "fer2013"
    assert len(made.rows.dataset) == 105 and made.rows.dataset.class_names == SEVEN


@pytest.mark.parametrize(
    ("names", "classes"), [("", ("伤心", "高兴")), ("高兴=happy,伤心=sad", ("happy", "sad"))]
)
def test_the_datas_own_classes_are_used_or_renamed(started, tmp_path, names, classes):
    for name in ("高兴", "伤心"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for shade in range(12):
            pixels = np.full((48, 48), 20 * shade + len(name), np.uint8)
            pixels[: 4 * shade] = ord(name[0]) % 200
            write_image(tmp_path / "data" / name / f"{shade}.png", pixels)
    ferlib("train", "--data", tmp_path / "data", "--out", tmp_path / "m", "--names", names)
    (made,) = started
    assert made.rows.dataset.class_names == classes


def test_a_recipe_gives_the_settings_and_options_replace_single_ones(started, csv, tmp_path):
    options = [
        "--recipe",
        "quick-pair",
        "--epochs",
        1,
        "--label-smoothing",
        0.2,
        "--balanced",
        "--no-averaging",
    ]
    options += ["--precision", "float32", "--batch-size", 8, "--augmentation", "mild", "--learning-rate", 0.5]
    options += ["--schedule", "constant", "--warm-up", 0.3, "--seed", 3, "--network", "D"]
    ferlib("train", "--data", csv, "--out", tmp_path / "m", "--checkpoints", tmp_path / "state", *options)
    expected = replace(
        RECIPES["quick-pair"],
        epochs=1,
        label_smoothing=0.2,
        balanced=True,
        ema=False,
        precision="float32",
        batch_size=8,
        augmentation="mild",
        learning_rate=0.5,
        schedule="constant",
        warm_up=0.3,
        seed=3,
        network="D",
    )
    (made,) = started
    assert made.settings == expected and made.checkpoints == tmp_path / "state"


@pytest.mark.parametrize(("recipe", "weight"), [("light", 0.5), ("ferplus", 0.5), ("third", 0.5)])
def test_votes_are_half_of_each_target(started, csv, votes, tmp_path, recipe, weight):
    ferlib("train", "--data", csv, "--out", tmp_path / "m", "--votes", votes, "--recipe", recipe)
    (made,) = started
    assert made.settings == replace(RECIPES[recipe], vote_weight=weight)
    assert made.rows.source == "faces.csv, fer2013new.csv" and made.rows.votes.shape == (105, 10)


def test_labels_of_the_voters_have_eight_classes_and_may_start_from_seven(
    started, csv, votes, bundle, tmp_path
):
    options = ("--labels", "ferplus", "--votes", votes, "--begin", bundle)
    ferlib("train", "--data", csv, "--out", tmp_path / "m", *options)
    (made,) = started
    assert made.rows.dataset.class_names == EIGHT and made.rows.label_source == "ferplus"
    assert len(made.rows.votes) == len(made.rows.dataset) and made.initial_bundle.name == "tiny"


def test_classes_may_be_chosen(started, csv, votes, tmp_path):
    options = ("--classes", "happy,neutral", "--votes", votes)
    ferlib("train", "--data", csv, "--out", tmp_path / "m", *options)
    (made,) = started
    assert made.rows.dataset.class_names == ("happy", "neutral")
    assert len(made.rows.dataset) == len(made.rows.votes) == 30


def test_a_run_shows_its_progress_and_its_result(csv, tmp_path, monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "tiny", build_tiny)
    out = tmp_path / "m"
    done = ferlib("train", "--data", csv, "--network", "tiny", "--epochs", 2, "--out", out)
    assert done.exit_code == 0, done.exception
    assert re.search(r"2/2 \[\d\d:\d\d<00:00", done.stderr)  # the epochs, and the time left
    assert "loss=" in done.stderr and "val_accuracy=" in done.stderr
    accuracy = read_metadata(out)["data"]["held_out_accuracy"]
    line = (
        rf"epoch [12] of 2 kept: {accuracy:.1%} right on the held-out tenth\nbundle: {re.escape(str(out))}\n"
    )
    assert re.fullmatch(line, done.stdout)


def test_the_baseline(csv, tmp_path):
    out = tmp_path / "hog-svm"
    done = ferlib("train", "--data", csv, "--recipe", "hog-svm", "--classes", "happy,neutral", "--out", out)
    assert done.exit_code == 0 and done.stdout == f"baseline: {out}\n"
    assert "faces left out, not of the classes happy, neutral: 20 of angry" in done.stderr
    assert baselines.load_svm(out).class_names == ("happy", "neutral")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--data", "nowhere.csv"], "nowhere.csv"),
        (["--network", "Z"], "unknown network"),
        (["--classes", "happy,bored"], "bored"),
        (["--classes", "eight"], "contempt 0"),
        (["--augmentation", "wild"], "unknown augmentation"),
        (["--recipe", "best"], "unknown recipe"),
        (["--epochs", "0"], "epochs must be"),
        (["--epochs", "few"], "few"),
        (["--recipe", "shipped"], "--votes"),
        (["--votes", "nowhere.csv"], "nowhere.csv"),
        (["--labels", "ferplus"], "--votes"),
        (["--begin", "nowhere"], "metadata.json"),
        (["--recipe", "hog-svm", "--epochs", "3"], "hog-svm has no epochs"),
    ],
)
def test_bad_input_is_refused_in_one_line(csv, tmp_path, options, word):
    line = refusal("train", "--data", csv, "--out", tmp_path / "x", *options)
    assert word in line and not (tmp_path / "x").exists()


def test_where_to_write_must_be_given(csv):
    assert "--out" in refusal("train", "--data", csv)


def test_a_bundle_in_place_survives_a_failed_training(bundle, tmp_path):
    before = (bundle / "metadata.json").read_bytes()
    bad = tmp_path / "bad.csv"
    bad.write_text("emotion,pixels,Usage\n3,1 2 3,Training\n")
    assert "2304" in refusal("train", "--data", bad, "--out", bundle)
    assert (bundle / "metadata.json").read_bytes() == before


def test_a_bundle_is_exported_and_imported_again(bundle, csv, tmp_path):
    out = tmp_path / "out"
    done = ferlib("export", bundle, out, "--format", "json", "--check", csv)
    assert done.exit_code == 0 and done.stderr == "", done.exception
    assert re.search(r"same class for 100.00% of 1\d held-out Training rows of faces.csv", done.stdout)
    assert HOW_TO_LOAD in done.stdout
    options = ["--classes", "seven", "--scaling", "0..255", "--weights", out / "model.weights.h5"]
    again = tmp_path / "again"
    done = ferlib("import", out / "model.json", again, *options)
    first, second = done.stdout.splitlines()
    assert (done.exit_code, first, done.stderr) == (0, f"bundle: {again}", "")
    assert "few labelled faces" in second and f"--model {again}" in second
    assert read_metadata(again)["class_names"] == list(SEVEN)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["import", "nowhere.h5", "x", "--classes", "seven", "--scaling", "0..1"], "nowhere.h5"),
        (["import", "nowhere.h5", "x", "--classes", "seven", "--scaling", "0..2"], "unknown scaling"),
        (["import", "nowhere.h5", "x", "--scaling", "0..1"], "--classes"),
        (["export", "nowhere", "x"], "nowhere"),
        (["export", "{bundle}", "x", "--format", "onnx"], "unknown format"),
    ],
)
def test_what_cannot_be_imported_or_exported_is_refused(bundle, tmp_path, monkeypatch, args, word):
    monkeypatch.chdir(tmp_path)
    assert word in refusal(*(arg.format(bundle=bundle) for arg in args))
    assert not (tmp_path / "x").exists()
