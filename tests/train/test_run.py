"""Runs from rows to bundles: held-out rows, the recipes a run builds on, and what the metadata say."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ferlib.common.errors import BadInputError
from ferlib.dataset import splits
from ferlib.dataset.ferplus import VOTES, label_shares
from ferlib.dataset.splits import Dataset
from ferlib.model.bundle import load_bundle
from ferlib.model.metadata import METADATA_FILE, read_metadata
from ferlib.train import run
from ferlib.train.fit import one_hot
from ferlib.train.recipes import RECIPES, known_as
from ferlib.train.run import TrainingRows, TrainingRun
from tests.train.tiny import QUICK, dataset

ONCE = replace(QUICK, epochs=1)
PUPIL = replace(
    QUICK,
    epochs=2,
    initial_weights="two",
    teachers=("one", "two"),
    distillation_weight=0.5,
    keep="last",
    weight_interpolation=0.5,
    calibrate=True,
)


@pytest.fixture(scope="module", autouse=True)
def recipes():
    """Two recipes, a third that starts from one of them and learns from both, and one that retrains it on all rows."""
    made = {"one": ONCE, "two": replace(QUICK, epochs=2), "pupil": PUPIL}
    with pytest.MonkeyPatch.context() as patch:
        for name, settings in made.items():
            patch.setitem(RECIPES, name, settings)
        yield


@pytest.fixture(scope="module")
def rows() -> TrainingRows:
    return TrainingRows(dataset(120), "drawn")


@pytest.fixture(scope="module")
def retrained(rows, tmp_path_factory):
    """(folder, history, the data of each fit): the bundle `m`, retrained on all rows, and those it builds on."""
    folder, fits, fit_network = tmp_path_factory.mktemp("retrained"), [], run.fit_network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            run, "fit_network", lambda data, *args: [fits.append(data), fit_network(data, *args)][1]
        )
        settings = replace(PUPIL, retrain_on_all="pupil")
        history = TrainingRun(rows, settings, folder / "m", folder / "state").run()
    return folder, history, fits


@pytest.fixture(scope="module")
def simple(tmp_path_factory):
    """The folder of a bundle of one epoch, which builds on nothing; not all rows of its data set are for training."""
    out = tmp_path_factory.mktemp("simple") / "m"
    others = dataset(30).with_usage("PublicTest")
    TrainingRun(TrainingRows(splits.join([dataset(120), others]), "two halves"), ONCE, out).run()
    return out


def test_a_run_holds_a_tenth_out_and_saves_what_it_was_made_with(simple):
    loaded = load_bundle(simple)
    facts = loaded.metadata["data"]
    assert facts["source"] == "two halves" and facts["labels"] == "fer2013"
    assert facts["training_rows"] + facts["held_out_rows"] == 120 and 9 <= facts["held_out_rows"] <= 15
    assert loaded.metadata["settings"]["network"] == "tiny" and loaded.class_names == ("happy", "neutral")
    assert len((simple / "history.csv").read_text().splitlines()) == 2


def test_what_a_run_builds_on_is_trained_first(retrained):
    folder, history, _ = retrained
    for name in ("one", "two", "pupil"):
        assert known_as(read_metadata(folder / f"m-{name}")["settings"]) == name
        assert (folder / f"state-{name}" / "history.csv").is_file()
    took = read_metadata(folder / "m")["earlier"]
    assert {name: each["epochs"] for name, each in took.items()} == {"one": 1, "two": 2, "pupil": 2}
    assert all(each["seconds"] > 0 for each in took.values())
    assert set(read_metadata(folder / "m-pupil")["earlier"]) == {"one", "two"}
    assert len(history) == 2
    assert sorted(each.name for each in folder.glob("m*")) == ["m", "m-one", "m-pupil", "m-two"]


def test_what_a_run_builds_on_is_trained_only_once(rows, retrained, tmp_path, monkeypatch):
    folder, _, _ = retrained
    for name in ("m-one", "m-two"):
        shutil.copytree(folder / name, tmp_path / name)
    seen = []
    monkeypatch.setattr(run, "fit_network", lambda data, settings, *args: [seen.append(settings), 1 / 0])
    with pytest.raises(ZeroDivisionError):
        TrainingRun(rows, PUPIL, tmp_path / "m").run()
    assert seen == [PUPIL]


def test_teachers_have_their_share_of_the_targets(retrained):
    folder, _, fits = retrained
    data = fits[2]  # that of the pupil
    answers = [load_bundle(folder / f"m-{n}").predict(data.rows.pixels, tta="flip") for n in ("one", "two")]
    expected = 0.5 * one_hot(data.rows.labels, 2) + 0.5 * np.mean(answers, axis=0)
    np.testing.assert_allclose(data.targets, expected, atol=1e-6)
    np.testing.assert_array_equal(fits[0].targets, one_hot(fits[0].rows.labels, 2))


def test_votes_have_their_share_of_the_targets(tmp_path, monkeypatch):
    all_rows = dataset(120)
    votes = np.random.default_rng(3).integers(0, 5, (120, len(VOTES)))
    seen = []
    monkeypatch.setattr(run, "fit_network", lambda data, *args: [seen.append(data), 1 / 0])
    rows = TrainingRows(all_rows, "drawn", votes)
    with pytest.raises(ZeroDivisionError):
        TrainingRun(rows, replace(ONCE, vote_weight=0.25), tmp_path / "m").run()
    learned = ~splits.held_out(all_rows, 0.1, ONCE.seed)
    shares = label_shares(votes[learned], all_rows.labels[learned], 2)
    expected = 0.75 * one_hot(all_rows.labels[learned], 2) + 0.25 * shares
    np.testing.assert_allclose(seen[0].targets, expected, atol=1e-6)


def test_a_run_that_retrains_a_recipe_learns_the_held_out_rows_too(retrained):
    folder, history, fits = retrained
    made, pupil = read_metadata(folder / "m"), read_metadata(folder / "m-pupil")
    held_out = pupil["data"]["held_out_rows"]
    counts = [(len(data.rows), data.validation is None) for data in fits]
    assert counts == [*[(120 - held_out, False)] * 3, (120, True)]
    assert made["data"]["training_rows"] == 120 and "held_out_accuracy" not in made["data"]
    assert all(np.isfinite(row["loss"]) and np.isnan(row["val_loss"]) for row in history)
    again = made["repeats"]
    assert (again["name"], again["held_out_rows"]) == ("pupil", held_out) and again["temperature"] > 0
    assert again["held_out_accuracy"] == pupil["data"]["held_out_accuracy"]
    assert made["correction"] == pupil["correction"]
    assert pupil["correction"]["temperature"] > 0 and set(pupil["correction"]["shift"]) == {
        "happy",
        "neutral",
    }


def test_the_calibration_of_the_retrained_recipe_is_built_in(retrained):
    """Without it the last layer would be the mean of the initial and the trained one."""
    folder, _, _ = retrained
    made, begun = load_bundle(folder / "m"), load_bundle(folder / "m-two").model.get_weights()
    with np.load(folder / "state" / "best.npz") as kept:
        trained = [kept[f"w{k}"] for k in range(len(begun))]
    kernel, bias = (0.5 * old + 0.5 * new for old, new in zip(begun[-2:], trained[-2:], strict=True))
    saved = made.metadata["correction"]
    shift = np.array([saved["shift"][name] for name in made.class_names])
    got = made.model.layers[-1].get_weights()
    np.testing.assert_allclose(got[0], kernel / saved["temperature"], rtol=1e-5)
    np.testing.assert_allclose(got[1], bias / saved["temperature"] + shift, rtol=1e-5, atol=1e-6)


def test_a_pupil_starts_from_its_first_teacher(rows, retrained, tmp_path):
    """With next to no learning rate it still answers as that one does, and not as one made anew."""
    folder, _, _ = retrained
    for name in ("m-one", "m-two"):
        shutil.copytree(folder / name, tmp_path / name)
    still = replace(PUPIL, learning_rate=1e-9, epochs=1, calibrate=False)
    TrainingRun(rows, still, tmp_path / "m").run()
    pupil, second, first = (
        load_bundle(tmp_path / name).model.get_weights() for name in ("m", "m-two", "m-one")
    )
    # what is trained hardly moved; the running means of batch normalisation are no such weights
    assert max(np.abs(a - b).max() for a, b in zip(pupil, second, strict=True) if a.ndim > 1) < 1e-6
    assert max(np.abs(a - b).max() for a, b in zip(pupil, first, strict=True) if a.ndim > 1) > 1e-3


def test_a_network_starts_from_a_bundle_of_other_classes(simple, tmp_path):
    """With next to no learning rate its layers are those of the bundle, except for the last, which is new."""
    first, two = load_bundle(simple), dataset(120)
    names = ("happy", "neutral", "surprise")
    three = Dataset(two.pixels, np.arange(120) % 3, two.usage, names)
    rows = TrainingRows(three, "drawn", label_source="ferplus")
    still = replace(ONCE, learning_rate=1e-9)
    TrainingRun(rows, still, tmp_path / "three", initial_bundle=first).run()
    made = load_bundle(tmp_path / "three")
    dense = len(made.model.layers[-1].weights)
    old, new = first.model.get_weights()[:-dense], made.model.get_weights()[:-dense]
    trained = [weight.trainable for weight in made.model.weights][:-dense]
    assert any(trained)
    for a, b, moved in zip(old, new, trained, strict=True):
        assert not moved or np.allclose(a, b, atol=1e-5)
    assert made.metadata["began_with"] == {"name": "m", "sha256": first.metadata["sha256"]}
    assert made.metadata["data"]["labels"] == "ferplus"


@pytest.mark.parametrize(
    ("settings", "votes", "line"),
    [
        (PUPIL, False, "start from the recipe two"),
        (replace(ONCE, network="E-small"), False, "those of another network than E-small"),
        (replace(PUPIL, initial_weights="", retrain_on_all="pupil"), False, "retrain the recipe pupil and differ"),
        (replace(ONCE, vote_weight=0.5), False, r"vote_weight of 0.5 needs FER\+'s votes"),
        (ONCE, True, r"with a vote_weight of 0 FER\+'s votes are not used"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_before_any_training(simple, tmp_path, settings, votes, line):
    rows = TrainingRows(dataset(120), "drawn", np.ones((120, len(VOTES)), int) if votes else None)
    with pytest.raises(BadInputError, match=line):
        TrainingRun(rows, settings, tmp_path / "p", initial_bundle=load_bundle(simple)).run()
    assert not list(tmp_path.iterdir())


def test_weights_of_another_network_are_refused(rows, retrained, tmp_path):
    for name in ("m-one", "m-two"):
        shutil.copytree(retrained[0] / name, tmp_path / name)
    with pytest.raises(BadInputError, match="initial weights are those of another network than quick"):
        TrainingRun(rows, replace(PUPIL, network="quick"), tmp_path / "m").run()
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("wrong", ["seed", "epochs", "rows"])
def test_an_earlier_bundle_of_another_recipe_is_refused(rows, retrained, tmp_path, wrong):
    shutil.copytree(retrained[0] / "m-one", tmp_path / "m-one")
    run_rows, settings = rows, PUPIL
    if wrong == "seed":
        settings = replace(PUPIL, seed=8)
    elif wrong == "rows":
        run_rows = TrainingRows(dataset(100), "drawn")
    else:
        path = tmp_path / "m-one" / METADATA_FILE
        path.write_text(path.read_text().replace('"epochs": 1', '"epochs": 3'))
    line = f"m-one was not made by the recipe one with seed {settings.seed}"
    with pytest.raises(BadInputError, match=line):
        TrainingRun(run_rows, settings, tmp_path / "m").run()
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "counts, line",
    [
        ((60, 0), "only happy of happy, neutral; "),
        ((60, 4), r"too few pictures .*\(at least 5\): neutral 4; collect more"),
    ],
)
def test_a_class_of_too_few_rows_is_refused_by_its_name(counts, line):
    labels = np.repeat(np.arange(2), counts)
    faces = np.random.default_rng(0).integers(0, 256, (len(labels), 48, 48), dtype=np.uint8)
    rows = Dataset(faces, labels, np.full(len(labels), "Training"), ("happy", "neutral"))
    with pytest.raises(BadInputError, match=line):
        TrainingRows(rows, "two")
