"""Training on a reduced problem: bright upper or lower halves, and a network of a few hundred weights."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.dataset.splits import Dataset
from ferlib.model import calibration
from ferlib.model.bundle import load_bundle
from ferlib.model.metadata import read_metadata
from ferlib.train import networks, run
from ferlib.train import run as training
from ferlib.train.fit import class_weights, compiled, fast_precision, plateau_rate, targets, train
from ferlib.train.recipes import RECIPES, Settings, kept_epoch, known_as, recipe, with_votes

keras = import_keras()

QUICK = Settings(network="tiny", epochs=3, batch_size=16, learning_rate=0.01, precision="float32")
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


def _tiny(n_classes: int, input_shape: tuple[int, int, int]):
    """Batch normalisation and dropout in it, as they carry a state of their own."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.AveragePooling2D(8),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(n_classes, activation="softmax", dtype="float32"),
        ]
    )


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "tiny", _tiny)


def _problem(count: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces uint8 (n, 48, 48) that are noise, a little brighter in the half that the label 0 or 1 names."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:2] = 0, 1
    faces = rng.integers(0, 200, (count, 48, 48))
    faces[labels == 0, :24] += 40
    faces[labels == 1, 24:] += 40
    return faces.astype(np.uint8), labels.astype(np.int64)


FACES, LABELS = _problem()
VAL_FACES, VAL_LABELS = _problem(40, seed=1)


def _train(settings: Settings = QUICK, folder=None, **changes):
    data = {"faces": FACES, "labels": LABELS, "val_faces": VAL_FACES, "val_labels": VAL_LABELS} | changes
    return train(**data, n_classes=2, settings=settings, checkpoints=folder)


def _figures(history: list[dict]) -> np.ndarray:
    return np.array([[row[name] for name in FIGURES] for row in history])


def _same(first, second) -> None:
    """Two (model, history) that came from the same computation; sums of threads differ in the last digits."""
    np.testing.assert_allclose(_figures(first[1]), _figures(second[1]), rtol=1e-4, atol=1e-5)
    for a, b in zip(first[0].get_weights(), second[0].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def undisturbed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.NETWORKS, "tiny", _tiny)
        return _train()


def test_the_same_settings_give_the_same_training(undisturbed):
    _same(_train(), undisturbed)


def test_another_seed_gives_another_training(undisturbed):
    _, history = _train(replace(QUICK, seed=8))
    assert np.abs(_figures(history) - _figures(undisturbed[1])).max() > 1e-3


@pytest.mark.parametrize("averaging", [True, False])
def test_it_learns_and_returns_the_weights_of_the_best_epoch(averaging):
    model, history = _train(replace(QUICK, epochs=12, averaging=averaging))
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert history[-1]["loss"] < history[0]["loss"]
    best = max(history, key=lambda row: row["val_accuracy"])  # the first of equal ones
    assert best["val_accuracy"] > 0.9
    answers = model.predict(VAL_FACES[..., None].astype(np.float32), verbose=0)
    assert (answers.argmax(axis=1) == VAL_LABELS).mean() == pytest.approx(best["val_accuracy"], abs=1e-6)
    kept = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(np.eye(2)[VAL_LABELS], answers)
    assert float(kept) == pytest.approx(best["val_loss"], abs=1e-3)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _train()
    assert not list(tmp_path.iterdir())


def test_saving_does_not_change_the_training_and_leaves_whole_files(tmp_path, undisturbed):
    folder = tmp_path / "new" / "state"
    _same(_train(folder=folder), undisturbed)
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.npz",
        "history.csv",
        "settings.json",
        "state.keras",
    ]
    with (folder / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_a_finished_run_is_not_trained_again_and_gives_its_best_weights(tmp_path, undisturbed):
    _train(folder=tmp_path)
    before = (tmp_path / "state.keras").stat().st_mtime_ns
    _same(_train(folder=tmp_path), undisturbed)
    assert (tmp_path / "state.keras").stat().st_mtime_ns == before


class _StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch: int):
        super().__init__()
        self.last = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.last:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_run_stopped_within_an_epoch_goes_on_as_if_it_had_not_been(tmp_path, undisturbed, epoch):
    with pytest.raises(KeyboardInterrupt):
        train(FACES, LABELS, VAL_FACES, VAL_LABELS, 2, QUICK, tmp_path, [_StopAfter(epoch)])
    assert (tmp_path / "state.keras").exists() == (epoch > 0)
    _same(_train(folder=tmp_path), undisturbed)


@pytest.mark.parametrize("renames", [1, 3, 4, 7])
def test_a_run_stopped_between_the_renames_of_its_state_goes_on(tmp_path, undisturbed, monkeypatch, renames):
    """Four files are renamed after each epoch; the run ends after `renames` of them."""
    done, rename = [], Path.replace

    def stop(path, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            _train(folder=tmp_path)
    _same(_train(folder=tmp_path), undisturbed)
    assert not list(tmp_path.glob("*.part.*"))


KILLED = """
import sys, time
sys.path[:0] = sys.argv[2:]
import test_run as t
t.networks.NETWORKS["tiny"] = t._tiny

class Wait(t.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            print("two epochs are done", flush=True)
            time.sleep(600)

t.train(t.FACES, t.LABELS, t.VAL_FACES, t.VAL_LABELS, 2, t.QUICK, t.Path(sys.argv[1]), [Wait()])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_run_goes_on(tmp_path, undisturbed):
    folder = tmp_path / "state"
    command = [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "two epochs are done\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
    with (folder / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    started = time.time_ns()
    model, history = _train(folder=folder)
    assert (folder / "state.keras").stat().st_mtime_ns > started
    _same((model, history), undisturbed)


@pytest.mark.parametrize(
    "change",
    [{"epochs": 4}, {"learning_rate": 0.02}, {"augmentation": "A"}, {"network": "small"}, {"seed": 1}],
)
def test_a_folder_of_other_settings_is_refused(tmp_path, change):
    _train(replace(QUICK, epochs=1), tmp_path)
    with pytest.raises(BadInputError, match=f"other settings .*{next(iter(change))}.*; finish it with those"):
        _train(replace(QUICK, **{"epochs": 1} | change), tmp_path)


def test_a_folder_of_other_data_is_refused(tmp_path):
    once = replace(QUICK, epochs=1)
    _train(once, tmp_path)
    other = FACES.copy()
    other[0, 0, 0] ^= 1
    with pytest.raises(BadInputError, match=r"other settings \(data\)"):
        _train(once, tmp_path, faces=other)


def test_a_folder_of_another_beginning_is_refused(tmp_path):
    once = replace(QUICK, epochs=1)
    weights = _train(once)[0].get_weights()
    _train(once, tmp_path, start=weights)
    for other in (None, [2 * array for array in weights]):
        with pytest.raises(BadInputError, match=r"other settings \(begun\)"):
            _train(once, tmp_path, start=other)


def test_a_folder_from_before_the_data_was_noted_is_taken(tmp_path, undisturbed):
    with pytest.raises(KeyboardInterrupt):
        train(FACES, LABELS, VAL_FACES, VAL_LABELS, 2, QUICK, tmp_path, [_StopAfter(1)])
    (tmp_path / "settings.json").write_text(json.dumps(asdict(QUICK)))
    _same(_train(folder=tmp_path), undisturbed)


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_good_state(tmp_path):
    with pytest.raises(
        BadInputError, match=r"the loss became nan in epoch 1, batch 2; lower the learning rate"
    ):
        _train(replace(QUICK, learning_rate=1e38), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_state_that_cannot_be_written_leaves_the_one_before_and_says_so(tmp_path, undisturbed, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        train(FACES, LABELS, VAL_FACES, VAL_LABELS, 2, QUICK, tmp_path, [_StopAfter(1)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(file, **arrays):
        Path(file).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        line = r"state after epoch 2 could not be written .*No space left.*after epoch 1 is still there"
        with pytest.raises(FerlibError, match=line):
            _train(folder=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    _same(_train(folder=tmp_path), undisturbed)


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
def test_a_model_that_does_not_fit_on_the_disk_is_one_line(tmp_path):
    """The system itself refuses to write more: files may have 9,000 bytes, a tenth of the state's."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        with pytest.raises(FerlibError, match=r"state after epoch 1 could not .*; there is no earlier state"):
            _train(folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def _other_weights(folder):
    other = keras.Sequential([keras.layers.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    other.compile("adam", "mse")
    other.save(folder / "state.keras")


@pytest.mark.parametrize(
    "spoil",
    [
        _other_weights,
        lambda folder: (folder / "state.keras").write_bytes(b"PK half a file"),
        lambda folder: (folder / "best.npz").write_bytes(b""),
        lambda folder: (folder / "best.npz").unlink(),
        lambda folder: (folder / "history.csv").unlink(),
        lambda folder: (folder / "settings.json").write_text("{"),
    ],
    ids=["other network", "broken state", "empty best", "no best", "no history", "broken settings"],
)
def test_a_state_of_another_network_or_a_broken_one_is_refused_and_left_alone(tmp_path, spoil):
    _train(replace(QUICK, epochs=1), tmp_path)
    spoil(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(BadInputError, match=r"holds no state of this network .*; restore its files"):
        _train(replace(QUICK, epochs=1), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_from_before_a_setting_was_known_was_made_with_its_default(tmp_path, undisturbed):
    with pytest.raises(KeyboardInterrupt):
        train(FACES, LABELS, VAL_FACES, VAL_LABELS, 2, QUICK, tmp_path, [_StopAfter(1)])
    there = json.loads((tmp_path / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(
        json.dumps(
            {k: v for k, v in there.items() if k not in ("optimizer", "schedule", "steps", "balanced")}
        )
    )
    with pytest.raises(BadInputError, match=r"other settings \(balanced\)"):
        _train(replace(QUICK, balanced=True), tmp_path)
    _same(_train(folder=tmp_path), undisturbed)


@pytest.mark.parametrize("steps", [3, 5])
def test_an_epoch_of_any_number_of_batches_goes_on_where_it_was(tmp_path, steps):
    """A pass over the 64 faces is four batches."""
    settings = replace(
        QUICK, steps=steps, schedule="plateau", optimizer="adam", balanced=True, averaging=False
    )
    whole = _train(settings)
    with pytest.raises(KeyboardInterrupt):
        train(FACES, LABELS, VAL_FACES, VAL_LABELS, 2, settings, tmp_path, [_StopAfter(2)])
    _same(_train(settings, tmp_path), whole)


@pytest.mark.parametrize(
    "name", [n for n in RECIPES if n not in ("light", "first", "second", "third", "shipped", "ferplus")]
)
def test_every_recipe_trains(name):
    settings = replace(RECIPES[name], network="tiny", epochs=1, steps=2, precision="float32")
    _, history = _train(settings)
    assert len(history) == 1 and np.isfinite(history[0]["loss"])


@pytest.mark.parametrize(
    "name, optimizer, rate",
    [("A", "SGD", 0.01), ("B", "SGD", 0.01), ("D", "Adam", 5e-4), ("E", "Adam", 1e-3)],
)
def test_the_published_optimizers(name, optimizer, rate):
    settings = replace(RECIPES[name], network="tiny", precision="float32")
    made = compiled(settings, 2, steps_per_epoch=200).optimizer
    assert type(made).__name__ == optimizer and float(made.learning_rate) == pytest.approx(rate)
    if optimizer == "SGD":
        assert made.momentum == 0.9 and made.nesterov
        # Keras 2: rate / (1 + decay * steps)
        assert float(made._learning_rate(2000)) == pytest.approx(0.01 / (1 + 1e-6 * 2000))


def test_the_plateau_is_that_of_keras():
    losses = [3.0, 2.0, 2.1, 2.2, 1.9, 1.95, 1.99, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    keras_own = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=2, min_lr=1e-5)
    model = _tiny(2, (48, 48, 1))
    model.compile(keras.optimizers.Adam(5e-4), "categorical_crossentropy")
    keras_own.set_model(model)
    keras_own.on_train_begin()
    for epoch, loss in enumerate(losses):
        keras_own.on_epoch_end(epoch, {"val_loss": loss})
        ours = plateau_rate(5e-4, losses[: epoch + 1])
        assert ours == pytest.approx(float(model.optimizer.learning_rate), rel=1e-4), epoch


def test_class_weights_make_all_classes_count_alike():
    weights = class_weights(np.array([0] * 6 + [2] * 2), 3)
    assert weights == {0: 8 / (2 * 6), 2: 8 / (2 * 2)}
    assert 6 * weights[0] == pytest.approx(2 * weights[2]) and 6 * weights[0] + 2 * weights[2] == 8


def test_balanced_training_reads_the_rare_class_more_often():
    faces, labels = _problem(200, seed=4)
    keep = (labels == 0) | (np.arange(200) % 10 == 1)
    said = {}
    for balanced in (False, True):
        settings = replace(QUICK, epochs=4, balanced=balanced, averaging=False, learning_rate=1e-3)
        model, _ = _train(settings, faces=faces[keep], labels=labels[keep])
        said[balanced] = model.predict(VAL_FACES[..., None].astype(np.float32), verbose=0)[:, 1].mean()
    assert said[True] > said[False]


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"name": "best"}, "unknown recipe 'best'; known are light, first, second, third, shipped"),
        ({"name": "light", "epochs": 0}, "epochs must lie between 1"),
        ({"name": "A", "batch_size": -1}, "batch_size must lie between 1"),
        ({"name": "A", "learning_rate": 0.0}, "learning_rate must lie"),
        ({"name": "A", "learning_rate": float("nan")}, "learning_rate must lie"),
        ({"name": "A", "label_smoothing": 1.0}, "label_smoothing must lie between 0 and 0.99, got 1"),
        ({"name": "A", "warm_up": 2.0}, "warm_up must lie"),
        ({"name": "A", "blend": 1.5}, "blend must lie between 0 and 1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes, line):
    with pytest.raises(BadInputError, match=line):
        recipe(**changes)


def test_a_recipe_changes_in_single_settings_only():
    assert recipe("D", epochs=3) == replace(RECIPES["D"], epochs=3)
    assert with_votes(RECIPES["light"], True).votes == 0.5
    assert with_votes(RECIPES["shipped"], False) == RECIPES["shipped"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_bundle_knows_the_recipe_it_was_made_by(name):
    settings = json.loads(json.dumps(asdict(replace(RECIPES[name], seed=3))))
    assert known_as(settings) == name
    assert known_as(settings | {"epochs": 999}) is None
    older = {key: value for key, value in settings.items() if value != getattr(Settings(), key)}
    assert known_as(older) == name  # a bundle from before a setting was known


@pytest.fixture
def lessons(monkeypatch):
    """Two recipes, and a third that begins with one of them and learns from both."""
    made = {"one": replace(QUICK, epochs=1), "two": replace(QUICK, epochs=2)}
    made["pupil"] = replace(QUICK, epochs=2, start="two", teachers=("one", "two"), taught=0.5)
    for name, settings in made.items():
        monkeypatch.setitem(RECIPES, name, settings)
    faces, labels = _problem(120)
    return Dataset(faces, labels, np.full(120, "Training"), ("happy", "neutral"))


def test_teachers_are_trained_first_and_only_once(lessons, tmp_path):
    out = tmp_path / "m"
    history = training.train_bundle(lessons, out, RECIPES["pupil"], "drawn", tmp_path / "state")
    for name in ("one", "two"):
        assert known_as(read_metadata(tmp_path / f"m-{name}")["settings"]) == name
        assert (tmp_path / f"state-{name}" / "history.csv").is_file()
    took = read_metadata(out)["earlier"]
    assert {name: each["epochs"] for name, each in took.items()} == {"one": 1, "two": 2}
    assert all(each["seconds"] > 0 for each in took.values())
    before = {name: (tmp_path / f"m-{name}" / "model.keras").stat().st_mtime_ns for name in ("one", "two")}
    assert training.train_bundle(lessons, tmp_path / "m", RECIPES["pupil"], "drawn") == [
        {**row, "seconds": pytest.approx(row["seconds"], abs=1e9)} for row in history
    ]
    after = {name: (tmp_path / f"m-{name}" / "model.keras").stat().st_mtime_ns for name in ("one", "two")}
    assert after == before


def test_a_network_goes_on_from_a_bundle_of_other_classes(lessons, tmp_path):
    """With next to no learning rate all its layers stand where the bundle's did, but for the last, which is new."""
    training.train_bundle(lessons, tmp_path / "m", QUICK, "drawn")
    first, still = load_bundle(tmp_path / "m"), replace(QUICK, epochs=1, learning_rate=1e-9)
    names = ("happy", "neutral", "surprise")
    three = Dataset(lessons.pixels, np.arange(len(lessons.labels)) % 3, lessons.usage, names)
    training.train_bundle(three, tmp_path / "three", still, "drawn", begin=first, labelled="ferplus")
    made = load_bundle(tmp_path / "three")
    dense = len(made.model.layers[-1].weights)
    old, new = first.model.get_weights()[:-dense], made.model.get_weights()[:-dense]
    trained = [weight.trainable for weight in made.model.weights][:-dense]
    assert any(trained)
    for a, b, moved in zip(old, new, trained, strict=True):
        assert not moved or np.allclose(a, b, atol=1e-5)
    assert made.metadata["began_with"] == {"name": "m", "sha256": first.metadata["sha256"]}
    assert made.metadata["data"]["labels"] == "ferplus"


def test_a_run_has_one_network_to_begin_with(lessons, tmp_path):
    training.train_bundle(lessons, tmp_path / "m", QUICK, "drawn")
    first = load_bundle(tmp_path / "m")
    with pytest.raises(BadInputError, match="begin with the recipe two"):
        training.train_bundle(lessons, tmp_path / "p", RECIPES["pupil"], "drawn", begin=first)
    with pytest.raises(BadInputError, match="those of another network than E-small"):
        other = replace(QUICK, network="E-small")
        training.train_bundle(lessons, tmp_path / "p", other, "drawn", begin=first)
    assert not (tmp_path / "p").exists()


def test_a_pupil_begins_where_its_first_teacher_stood(lessons, tmp_path):
    """With a learning rate of next to nothing it still answers as that one does, and not as one made anew."""
    still = replace(RECIPES["pupil"], learning_rate=1e-9, epochs=1)
    training.train_bundle(lessons, tmp_path / "m", still, "drawn")
    pupil, second = (load_bundle(tmp_path / name).model.get_weights() for name in ("m", "m-two"))
    # what is trained hardly moved; the running means of batch normalisation are no such weights
    moved = [np.abs(a - b).max() for a, b in zip(pupil, second, strict=True) if a.ndim > 1]
    assert max(moved) < 1e-6
    first = load_bundle(tmp_path / "m-one").model.get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(pupil, first, strict=True) if a.ndim > 1) > 1e-3


def test_the_teachers_answers_are_their_share_of_the_targets(lessons, tmp_path, monkeypatch):
    seen = {}

    def instead(faces, labels, *others, wanted, **more):
        seen.update(faces=faces, labels=labels, wanted=wanted)
        return train(faces, labels, *others, wanted=wanted, **more)

    training.train_bundle(lessons, tmp_path / "m-one", RECIPES["one"], "drawn")
    training.train_bundle(lessons, tmp_path / "m-two", RECIPES["two"], "drawn")
    monkeypatch.setattr(training, "train", instead)
    training.train_bundle(lessons, tmp_path / "m", RECIPES["pupil"], "drawn")
    answers = [load_bundle(tmp_path / f"m-{n}").predict(seen["faces"], flip=True) for n in ("one", "two")]
    right = 0.5 * targets(seen["labels"], 2) + 0.5 * np.mean(answers, axis=0)
    np.testing.assert_allclose(seen["wanted"], right, atol=1e-6)


@pytest.mark.parametrize("keep, epoch", [("best", 2), ("last", 3)])
def test_the_epoch_that_is_kept(keep, epoch):
    history = [{"epoch": k + 1, "val_accuracy": right} for k, right in enumerate((0.5, 0.7, 0.6))]
    assert kept_epoch(history, keep) == epoch


def test_the_last_epoch_is_kept_and_blended_with_the_beginning(tmp_path):
    settings = replace(QUICK, epochs=3, keep="last")
    begun, _ = _train(replace(QUICK, epochs=1))
    start = begun.get_weights()
    arguments = (FACES, LABELS, VAL_FACES, VAL_LABELS, 2)
    plain, _ = train(*arguments, settings, start=start)
    mixed, _ = train(*arguments, replace(settings, blend=0.25), tmp_path, start=start)
    resumed, _ = train(
        *arguments, replace(settings, blend=0.25), tmp_path, start=start
    )  # nothing is left to do
    for old, new, got, again in zip(
        start, plain.get_weights(), mixed.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(got, 0.25 * old + 0.75 * new, atol=1e-6)
        np.testing.assert_array_equal(got, again)
    with pytest.raises(BadInputError, match="unknown keep 'first'; known are best, last"):
        train(*arguments, replace(settings, keep="first"))


def test_a_correction_brings_the_shares_of_the_classes_back():
    model, _ = _train(replace(QUICK, epochs=2))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([3 * kernel, 3 * bias + [2.0, 0.0]])  # more for the first class
    faces, labels = _problem(400, seed=5)
    before = run.answers(model, faces)
    temperature, shift = run.fit(model, faces, labels)
    run.apply(model, temperature, shift)
    after = run.answers(model, faces)
    assert temperature > 0 and shift[0] < 0 < shift[1] and shift.sum() == pytest.approx(0)
    assert calibration.log_loss(labels, after) < calibration.log_loss(labels, before)
    assert abs(after.mean(axis=0)[0] - (labels == 0).mean()) < 0.03


def test_a_corrected_run_says_by_how_much(lessons, tmp_path):
    training.train_bundle(lessons, tmp_path / "m", replace(QUICK, corrected=True), "drawn")
    facts = read_metadata(tmp_path / "m")["correction"]
    assert facts["temperature"] > 0 and set(facts["shift"]) == {"happy", "neutral"}


@pytest.fixture
def repeated(lessons, monkeypatch):
    """The settings of a recipe that repeats another one, which begins with `two` and is corrected, on all rows."""
    settings = replace(RECIPES["pupil"], keep="last", blend=0.5, corrected=True)
    monkeypatch.setitem(RECIPES, "chosen", settings)
    return replace(settings, repeats="chosen")


def test_a_run_that_repeats_a_recipe_learns_the_held_out_rows_too(lessons, repeated, tmp_path, monkeypatch):
    seen = []

    def instead(faces, labels, val_faces, *others, **more):
        seen.append((len(faces), val_faces is None))
        return train(faces, labels, val_faces, *others, **more)

    monkeypatch.setattr(training, "train", instead)
    history = training.train_bundle(lessons, tmp_path / "m", repeated, "drawn", tmp_path / "state")
    made, chosen = read_metadata(tmp_path / "m"), read_metadata(tmp_path / "m-chosen")
    off = chosen["data"]["held_out_rows"]
    assert seen == [*[(120 - off, False)] * 3, (120, True)]
    assert made["data"]["training_rows"] == 120 and "held_out_accuracy" not in made["data"]
    assert all(np.isfinite(row["loss"]) and np.isnan(row["val_loss"]) for row in history)
    again = made["repeats"]
    assert (again["name"], again["held_out_rows"]) == ("chosen", off) and again["temperature"] > 0
    assert again["held_out_accuracy"] == chosen["data"]["held_out_accuracy"]
    assert made["correction"] == chosen["correction"]
    assert {name: took["epochs"] for name, took in made["earlier"].items()} == {
        "one": 1,
        "two": 2,
        "chosen": 2,
    }
    assert sorted(folder.name for folder in tmp_path.glob("m*")) == ["m", "m-chosen", "m-one", "m-two"]


def test_the_correction_of_the_repeated_recipe_is_built_in(lessons, repeated, tmp_path):
    """Without it the last layer would be the mean of where the run began and where it came to."""
    training.train_bundle(lessons, tmp_path / "m", repeated, "drawn", tmp_path / "state")
    made = load_bundle(tmp_path / "m")
    begun = load_bundle(tmp_path / "m-two").model.get_weights()
    with np.load(tmp_path / "state" / "best.npz") as kept:
        kernel, bias = (
            0.5 * old + 0.5 * kept[f"w{len(begun) - k}"] for k, old in ((2, begun[-2]), (1, begun[-1]))
        )
    by = made.metadata["correction"]
    shift = np.array([by["shift"][name] for name in lessons.class_names])
    got = made.model.layers[-1].get_weights()
    np.testing.assert_allclose(got[0], kernel / by["temperature"], rtol=1e-5)
    np.testing.assert_allclose(got[1], bias / by["temperature"] + shift, rtol=1e-5, atol=1e-6)


def test_what_repeats_a_recipe_changes_nothing_in_it(lessons, repeated, tmp_path):
    """Else its card would call settings chosen that nobody chose."""
    with pytest.raises(BadInputError, match="repeat the recipe chosen and differ from it"):
        training.train_bundle(lessons, tmp_path / "m", replace(repeated, epochs=3), "drawn")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changes", [{"keep": "best"}, {"keep": "last", "schedule": "plateau"}])
def test_without_validation_faces_nothing_can_look_at_them(changes):
    with pytest.raises(BadInputError, match="these settings look at validation faces"):
        train(FACES, LABELS, None, None, 2, replace(QUICK, **changes))


def test_the_shipped_recipe_repeats_one_that_differs_in_nothing_else():
    assert RECIPES["shipped"] == replace(RECIPES["third"], repeats="third")
    assert RECIPES["third"].keep == "last"


def test_weights_of_another_network_are_no_beginning(lessons, tmp_path):
    other = replace(RECIPES["pupil"], network="quick")
    with pytest.raises(BadInputError, match="weights to begin with are those of another network than quick"):
        training.train_bundle(lessons, tmp_path / "m", other, "drawn")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("wrong", [{"seed": 8}, {"epochs": 3}])
def test_a_teacher_of_another_recipe_is_refused(lessons, tmp_path, wrong):
    training.train_bundle(lessons, tmp_path / "m-one", replace(RECIPES["one"], **wrong), "drawn")
    with pytest.raises(BadInputError, match="m-one was not made by the recipe one with seed 7"):
        training.train_bundle(lessons, tmp_path / "m", RECIPES["pupil"], "drawn")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "counts, line",
    [
        ((60, 0), "the data holds only happy of happy, neutral; two classes are needed"),
        ((60, 4), r"too few pictures of a class \(at least 5\): neutral 4; collect more"),
    ],
)
def test_a_class_of_too_few_rows_is_refused_by_its_name(tmp_path, counts, line):
    labels = np.repeat(np.arange(2), counts)
    faces = np.random.default_rng(0).integers(0, 256, (len(labels), 48, 48), dtype=np.uint8)
    rows = Dataset(faces, labels, np.full(len(labels), "Training"), ("happy", "neutral"))
    with pytest.raises(BadInputError, match=line):
        training.train_bundle(rows, tmp_path / "m", QUICK, "two")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "change, line",
    [
        ({"labels": np.where(LABELS == 1, 2, 0)}, r"training labels run from 0 to 2, not 0\.\.1"),
        ({"labels": np.ones_like(LABELS)}, "all training faces have the label 1"),
        ({"labels": LABELS - 1}, r"training labels run from -1 to 0"),
        ({"val_labels": VAL_LABELS + 1}, r"validation labels run from 1 to 2"),
        ({"faces": FACES[:3], "labels": LABELS[:3]}, "3 training faces are too few for 2 classes"),
        ({"faces": FACES[:0], "labels": LABELS[:0]}, "0 training faces are too few"),
        ({"val_faces": FACES[:0], "val_labels": LABELS[:0]}, "0 validation faces are too few"),
        ({"labels": LABELS[:-1]}, "64 training faces with 63 labels"),
        ({"faces": FACES.astype(np.float32)}, r"training faces must be uint8 \(n, 48, 48\), got float32"),
        ({"faces": FACES[:, :40]}, r"got uint8 \(64, 40, 48\)"),
    ],
)
def test_bad_input_is_refused_before_any_training(change, line):
    with pytest.raises(BadInputError, match=line):
        _train(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"network": "vgg"},
        {"augmentation": "most"},
        {"optimizer": "lion"},
        {"schedule": "up"},
        {"precision": "int8"},
    ],
)
def test_unknown_names_in_the_settings_are_refused(change):
    with pytest.raises(BadInputError, match=r"unknown .* known are"):
        _train(replace(QUICK, **change))


@pytest.mark.parametrize("wanted, policy", [("float32", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_precision_is_that_of_the_network_and_not_of_the_session(wanted, policy):
    before = keras.config.dtype_policy().name
    model = compiled(replace(QUICK, precision=wanted), 2, steps_per_epoch=4)
    assert policy in {layer.dtype_policy.name for layer in model.layers}
    assert keras.config.dtype_policy().name == before


def test_fast_precision_is_one_of_two():
    assert fast_precision() in ("float32", "bfloat16")


def test_the_learning_rate_warms_up_and_ends_near_zero():
    settings = replace(QUICK, epochs=10, warm_up=0.1)
    rate = compiled(settings, 2, steps_per_epoch=20).optimizer._learning_rate
    start, top, end = (float(rate(step)) for step in (0, 20, 200))
    assert start < 0.1 * settings.learning_rate < top == pytest.approx(settings.learning_rate, rel=0.02)
    assert end < 1e-3 * settings.learning_rate


def test_targets_are_one_hot():
    np.testing.assert_array_equal(targets(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    assert targets(np.array([2]), 3).dtype == np.float32


def test_no_warning_is_given(recwarn):
    _train(replace(QUICK, epochs=1))
    assert not [str(w.message) for w in recwarn if "shuffle" in str(w.message)]


def test_train_bundle_holds_a_tenth_out_and_saves_what_it_was_made_with(tmp_path):
    from ferlib.dataset.splits import Dataset

    faces, labels = _problem(100, seed=2)
    usage = np.full(100, "Training", dtype="<U12")
    usage[90:] = "PublicTest"
    rows = Dataset(faces, labels, usage, ("happy", "neutral"))
    history = training.train_bundle(rows, tmp_path / "m", replace(QUICK, epochs=2), "two halves")
    loaded = load_bundle(tmp_path / "m")
    facts = loaded.metadata["data"]
    assert facts["source"] == "two halves"
    assert facts["training_rows"] + facts["held_out_rows"] == 90 and 6 <= facts["held_out_rows"] <= 12
    assert loaded.metadata["settings"]["network"] == "tiny" and loaded.class_names == ("happy", "neutral")
    assert len(history) == len((tmp_path / "m" / "history.csv").read_text().splitlines()) - 1 == 2
