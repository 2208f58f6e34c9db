"""The state of a training run after each epoch, in a folder from which a stopped run goes on.

state.keras    the weights that are being trained, and the optimizer's state
best.npz       the best weights so far, and where dropout's random numbers stand
settings.json  the settings, and a fingerprint of the data
history.csv    one row an epoch

All four are written beside and renamed together; whatever stops a run, one whole state is there.
"""

import csv
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.model.metadata import HISTORY_COLUMNS, write_history
from ferlib.train.recipes import Settings


def fingerprint(faces: np.ndarray, wanted: np.ndarray) -> str:
    """Stands for the training data in `settings.json`: a run that goes on must see the same faces."""
    digest = hashlib.blake2b(np.ascontiguousarray(faces), digest_size=8)
    digest.update(np.ascontiguousarray(wanted))
    return f"{len(faces)} faces, {wanted.shape[1]} classes, {digest.hexdigest()}"


def weights_fingerprint(weights: Sequence[np.ndarray]) -> str:
    """Stands for the weights that a run began with in `settings.json`."""
    digest = hashlib.blake2b(digest_size=8)
    for array in weights:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def resume(folder: Path | None, made_with: dict, model):
    """(history, best weights) of a stopped run, whose state goes into the model; ([], None) without one.

    Raises BadInputError for a run with other settings, and for a state that cannot be read or is that
    of another network.
    """
    if folder is None:
        return [], None
    if (folder / "history.part.csv").is_file() and not (folder / "state.part.keras").is_file():
        _rename_parts(folder)  # the run was stopped between its renames
    if not (folder / "state.keras").is_file():
        return [], None
    try:
        _check_settings(folder, made_with)
        with (folder / "history.csv").open(newline="") as file:
            history = [{**row, "epoch": int(row["epoch"])} for row in _numbers(csv.DictReader(file))]
        return history, _restore(folder, model)
    except BadInputError:
        raise
    except Exception as error:  # a broken file makes Keras, h5py, zipfile and numpy raise many kinds
        raise BadInputError(
            f"{folder} holds no state of this network ({str(error).splitlines()[0] or type(error).__name__}); "
            "restore its files, or remove the folder"
        ) from error


def _check_settings(folder: Path, made_with: dict) -> None:
    there = json.loads((folder / "settings.json").read_text())
    made_with = json.loads(json.dumps(made_with))  # as the file has it: lists, no tuples
    # a folder from before a setting was known was made with its default
    there = {"data": made_with["data"]} | json.loads(json.dumps(asdict(Settings()))) | there
    changed = [key for key in there | made_with if made_with.get(key) != there.get(key)]
    if changed:
        raise BadInputError(
            f"{folder} holds a run with other settings ({', '.join(changed)}); "
            "finish it with those, or remove the folder"
        )


def _restore(folder: Path, model) -> list[np.ndarray]:
    # into a model compiled anew: a loaded optimizer no longer knows which weights are not to decay
    state = import_keras().models.load_model(folder / "state.keras")
    with np.load(folder / "best.npz") as kept:
        best = [kept[f"w{k}"] for k in range(len(model.weights))]
        random = [kept.get(f"random{k}") for k in range(len(_random_states(model)))]
    model.set_weights(state.get_weights())
    model.optimizer.build(model.trainable_variables)
    for variable, saved in zip(model.optimizer.variables, state.optimizer.variables, strict=True):
        variable.assign(saved)
    for variable, saved in zip(_random_states(model), random, strict=True):
        if saved is not None:
            variable.assign(saved)
    return best


def _random_states(model) -> list:
    """Where the random numbers of dropout stand; Keras saves them with no model."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def _numbers(rows) -> list[dict]:
    return [{key: float(value) for key, value in row.items()} for row in rows]


def savers(made_with: dict, folder: Path | None, history: list[dict], best_before: list | None, keep: str):
    """Two callbacks: one saves each epoch's state, one fills `history` and keeps the best weights.

    They stand on either side of Keras' SwapEMAWeights: the state wants the weights that are being
    trained, the best ones are the averaged weights that validation has seen. With `keep` "last" each epoch counts
    as better than those before. The first raises
    BadInputError as soon as the loss is no number; both raise FerlibError where the state cannot be
    written, and leave the one of the epoch before.
    """
    keras = import_keras()

    class Saver(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if not math.isfinite(logs["loss"]):
                raise BadInputError(
                    f"the loss became {logs['loss']} in epoch {self.epoch + 1}, batch {batch + 1}; "
                    "lower the learning rate"
                )

        def on_epoch_end(self, epoch, logs=None):
            if folder is not None:
                _written(folder, epoch, lambda: _save_model(folder, self.model))

    class Keeper(keras.callbacks.Callback):
        best = best_before

        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            row = {"epoch": epoch + 1, **{k: float(logs.get(k, "nan")) for k in HISTORY_COLUMNS[1:5]}}
            row["seconds"] = round(time.perf_counter() - self.started, 2)
            if keep == "last" or row["val_accuracy"] > max((r["val_accuracy"] for r in history), default=-1):
                self.best = self.model.get_weights()
            history.append(row)
            if folder is not None:
                random = _random_states(self.model)
                _written(folder, epoch, lambda: _save_rest(folder, made_with, history, self.best, random))
                _rename_parts(folder)

    return Saver(), Keeper()


def _written(folder: Path, epoch: int, write) -> None:
    """Call `write`; where the disk refuses, take the half-written files away and say what is still there."""
    try:
        write()
    except (OSError, RuntimeError) as error:  # h5py raises either
        for part in folder.glob("*.part.*"):
            part.unlink(missing_ok=True)
        kept = f"the state after epoch {epoch} is still there" if epoch else "there is no earlier state"
        raise FerlibError(
            f"the state after epoch {epoch + 1} could not be written to {folder} ({error}); {kept}; "
            "make room and start again"
        ) from error


def _save_model(folder: Path, model) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.part.csv").unlink(missing_ok=True)
    model.save(folder / "state.part.keras")


def _save_rest(folder: Path, made_with: dict, history: list[dict], best: list, random: list) -> None:
    """Write the rest of a state beside; the history is the last, here and when all is renamed."""
    arrays = {f"w{k}": weight for k, weight in enumerate(best)}
    arrays |= {f"random{k}": state.numpy() for k, state in enumerate(random)}
    np.savez(folder / "best.part.npz", **arrays)
    (folder / "settings.part.json").write_text(json.dumps(made_with, indent=1))
    write_history(history, folder / "history.part.csv")


def _rename_parts(folder: Path) -> None:
    for name in ("state.keras", "best.npz", "settings.json", "history.csv"):
        stem, suffix = name.split(".")
        part = folder / f"{stem}.part.{suffix}"
        if part.is_file():  # else it was renamed before the run was stopped
            part.replace(folder / name)
