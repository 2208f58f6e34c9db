"""Runs that are stopped, killed or refused by the disk are resumed as if nothing had happened."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ferlib.common.errors import BadInputError, FerlibError
from ferlib.train.fit import TrainingData
from ferlib.train.recipes import Settings
from tests.train.test_recipes import EARLIER
from tests.train.tiny import QUICK, ROWS, VALIDATION, StopIn, assert_same, fit, keras


@pytest.fixture
def state(stopped, tmp_path):
    """A copy of the folder of the run that was stopped within its second epoch."""
    return shutil.copytree(stopped, tmp_path / "state")


@pytest.fixture
def complete(finished, tmp_path):
    """A copy of the folder of the finished run."""
    return shutil.copytree(finished[0], tmp_path / "state")


def test_saving_does_not_change_the_training_and_leaves_whole_files(finished, undisturbed):
    folder, *result = finished
    assert_same(result, undisturbed)
    files = ["best.npz", "history.csv", "settings.json", "state.keras"]
    assert sorted(path.name for path in folder.iterdir()) == files
    with (folder / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_a_finished_run_is_not_trained_again_and_gives_its_best_weights(complete, undisturbed):
    before = (complete / "state.keras").stat().st_mtime_ns
    assert_same(fit(folder=complete), undisturbed)
    assert (complete / "state.keras").stat().st_mtime_ns == before


def test_a_run_stopped_in_its_first_epoch_has_no_state(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(folder=tmp_path, callbacks=[StopIn(1)])
    assert not (tmp_path / "state.keras").exists()


def test_a_run_stopped_within_an_epoch_is_resumed_as_if_it_had_not_been(state, undisturbed):
    assert_same(fit(folder=state), undisturbed)


@pytest.mark.parametrize("renames", [1, 7])
def test_a_run_stopped_between_the_renames_of_its_state_is_resumed(
    tmp_path, undisturbed, monkeypatch, renames
):
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
            fit(folder=tmp_path)
    assert_same(fit(folder=tmp_path), undisturbed)
    assert not list(tmp_path.glob("*.part.*"))


KILLED = """
import sys, time
from pathlib import Path
from tests.train import tiny as t
t.networks.NETWORKS["tiny"] = t.build_tiny

class Wait(t.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            print("two epochs are done", flush=True)
            time.sleep(600)

t.fit(folder=Path(sys.argv[1]), callbacks=[Wait()])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_run_is_resumed(tmp_path, undisturbed):
    folder = tmp_path / "state"
    command = [sys.executable, "-c", KILLED, str(folder)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout.readline() == "two epochs are done\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
    with (folder / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    started = time.time_ns()
    assert_same(fit(folder=folder), undisturbed)
    assert (folder / "state.keras").stat().st_mtime_ns > started


def test_an_epoch_of_any_number_of_batches_is_resumed_where_it_was(tmp_path):
    """A pass over the 64 faces is four batches, an epoch here five."""
    options = {"schedule": "plateau", "optimizer": "adam", "balanced": True, "ema": False}
    settings = replace(QUICK, steps_per_epoch=5, **options)
    whole = fit(settings)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, tmp_path, [StopIn(3)])
    assert_same(fit(settings, tmp_path), whole)


@pytest.mark.parametrize(
    "change",
    [{"epochs": 4}, {"learning_rate": 0.02}, {"augmentation": "A"}, {"network": "small"}, {"seed": 1}],
)
def test_a_folder_of_other_settings_is_refused(finished, change):
    name = next(iter(change))
    with pytest.raises(BadInputError, match=f"other settings .*{name}.*; finish it with those"):
        fit(replace(QUICK, **change), finished[0])


def test_a_folder_of_other_data_is_refused(finished):
    other = ROWS.pixels.copy()
    other[0, 0, 0] ^= 1
    data = TrainingData(replace(ROWS, pixels=other), VALIDATION)
    with pytest.raises(BadInputError, match=r"other settings \(data\)"):
        fit(folder=finished[0], data=data)


def test_a_folder_of_other_initial_weights_is_refused(tmp_path, undisturbed):
    once, weights = replace(QUICK, epochs=1), undisturbed[0].get_weights()
    fit(once, tmp_path, initial_weights=weights)
    for other in (None, [2 * array for array in weights]):
        with pytest.raises(BadInputError, match=r"other settings \(begun\)"):
            fit(once, tmp_path, initial_weights=other)


def test_a_folder_of_an_earlier_version_is_resumed(state, undisturbed):
    """Its settings had other names, some did not exist yet, and the data were not noted."""
    saved = {EARLIER.get(name, name): value for name, value in asdict(QUICK).items()}
    newer = {name for name, value in asdict(Settings()).items() if saved.get(name) == value}
    saved = {name: value for name, value in saved.items() if name not in newer - {"seed"}}
    assert "averaging" in saved and "optimizer" not in saved
    (state / "settings.json").write_text(json.dumps(saved))
    with pytest.raises(BadInputError, match=r"other settings \(balanced\)"):
        fit(replace(QUICK, balanced=True), state)
    assert_same(fit(folder=state), undisturbed)


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_state(tmp_path):
    line = r"the loss became nan in epoch 1, batch 2; lower the learning rate"
    with pytest.raises(BadInputError, match=line):
        fit(replace(QUICK, learning_rate=1e38), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_state_that_cannot_be_written_leaves_the_one_before(state, undisturbed, monkeypatch):
    before = {path.name: path.read_bytes() for path in state.iterdir()}

    def full(file, **arrays):
        Path(file).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        line = r"state after epoch 2 could not be written .*No space left.*after epoch 1 is still there"
        with pytest.raises(FerlibError, match=line):
            fit(folder=state)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before
    assert_same(fit(folder=state), undisturbed)


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
def test_a_model_that_does_not_fit_on_the_disk_is_one_line(tmp_path):
    """The system itself refuses to write more: files may have 9,000 bytes, a tenth of the state's."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        with pytest.raises(FerlibError, match=r"state after epoch 1 could not .*; there is no earlier state"):
            fit(folder=tmp_path)
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
def test_a_state_of_another_network_or_a_broken_one_is_refused_and_left_alone(complete, spoil):
    spoil(complete)
    before = {path.name: path.read_bytes() for path in complete.iterdir()}
    with pytest.raises(BadInputError, match=r"holds no state of this network .*; restore its files"):
        fit(folder=complete)
    assert {path.name: path.read_bytes() for path in complete.iterdir()} == before
