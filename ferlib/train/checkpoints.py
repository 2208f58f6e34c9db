"""The state of a training run after each epoch, in a folder from which a stopped run is resumed.

state.keras    the weights that are being trained, and the state of the optimizer
best.npz       the best weights so far, and the state of the random numbers of dropout
settings.json  the settings, and a fingerprint of the data
history.csv    one row per epoch

All four are written under other names and then renamed, so that a complete state is there whenever a run is stopped.
"""

import csv
import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.model.metadata import HISTORY_COLUMNS, write_history
from ferlib.train.recipes import Settings, current_names


def data_fingerprint(faces: np.ndarray, targets: np.ndarray) -> str:
    """Identify training data, because a run can only be resumed with the same faces.

    Args:
        faces: uint8 (n, 48, 48).
        targets: float32 (n, classes).

    Returns:
        The number of faces and classes, and a hash.
    """
    return f"{len(faces)} faces, {targets.shape[1]} classes, {weights_fingerprint([faces, targets])}"


def weights_fingerprint(weights: Sequence[np.ndarray]) -> str:
    """Identify the weights that a run starts from.

    Args:
        weights: As `model.get_weights` returns them.

    Returns:
        A hash of 16 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=8)
    for array in weights:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class Checkpoint:
    """The state of a run, and the folder where it is saved.

    Attributes:
        history: One dict per finished epoch, with the columns of history.csv.
        best_weights: The weights of the epoch to keep so far; None before the first.
    """

    def __init__(self, folder: Path | None, run_facts: dict[str, Any]) -> None:
        """Start a run.

        Args:
            folder: Where the state is saved; None to save nothing.
            run_facts: The settings of the run with a fingerprint of its data; a saved state must have the same.
        """
        self.folder, self.run_facts = folder and Path(folder), run_facts
        self.history: list[dict[str, Any]] = []
        self.best_weights: list[np.ndarray] | None = None

    def restore(self, model: Any) -> None:
        """Continue from the saved state, if there is one.

        Args:
            model: The compiled model; its weights, optimizer and random numbers are set.

        Raises:
            BadInputError: The state is that of a run with other settings or of another network, or cannot be read.
        """
        folder = self.folder
        if folder and (folder / "history.part.csv").is_file() and not (folder / "state.part.keras").is_file():
            _rename_parts(folder)  # the run was stopped between the renames
        if not folder or not (folder / "state.keras").is_file():
            return
        try:
            self._check_settings(folder)
            with (folder / "history.csv").open(newline="") as file:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
            self.best_weights = _restore(folder, model)
            self.history += [row | {"epoch": int(row["epoch"])} for row in rows]
        except BadInputError:
            raise
        except Exception as error:  # a broken file makes Keras, h5py, zipfile and numpy raise many kinds
            raise BadInputError(
                f"{folder} holds no state of this network ({str(error).splitlines()[0] or type(error).__name__}); "
                "restore its files, or remove the folder"
            ) from error

    def _check_settings(self, folder: Path) -> None:
        saved = current_names(json.loads((folder / "settings.json").read_text()))
        expected = json.loads(json.dumps(self.run_facts))  # with lists for tuples, as in the file
        # settings that are not in the file are newer than it, and had their default value
        saved = {"data": expected["data"]} | json.loads(json.dumps(asdict(Settings()))) | saved
        changed = [key for key in saved | expected if expected.get(key) != saved.get(key)]
        if changed:
            raise BadInputError(
                f"{folder} holds a run with other settings ({', '.join(changed)}); "
                "finish it with those, or remove the folder"
            )

    def callback(self) -> Any:
        """Create the Keras callback that fills the history and saves the state after each epoch.

        With `ema` it is also the callback that swaps the averaged weights in for validation: what is saved to resume
        from are the weights that are being trained, and the best ones are the averaged weights that were validated.

        Returns:
            The callback. It raises BadInputError as soon as the loss is not finite, and FerlibError if the state
            cannot be written; the state of the epoch before is then still there.
        """
        callbacks = import_keras().callbacks
        base = callbacks.SwapEMAWeights if self.run_facts["ema"] else callbacks.Callback
        checkpoint = self

        class Save(base):  # type: ignore[misc, valid-type]
            def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
                super().on_epoch_begin(epoch, logs)
                self.epoch, self.started = epoch, time.perf_counter()

            def on_train_batch_end(self, batch: int, logs: dict) -> None:
                if not math.isfinite(logs["loss"]):
                    raise BadInputError(
                        f"the loss became {logs['loss']} in epoch {self.epoch + 1}, batch {batch + 1}; "
                        "lower the learning rate"
                    )

            def on_epoch_end(self, epoch: int, logs: dict) -> None:
                with checkpoint._new_state(epoch) as folder:
                    if folder:
                        self.model.save(folder / "state.part.keras")
                    super().on_epoch_end(epoch, logs)
                    row = {"epoch": epoch + 1, **{k: float(logs.get(k, "nan")) for k in HISTORY_COLUMNS[1:5]}}
                    row["seconds"] = round(time.perf_counter() - self.started, 2)
                    checkpoint._add(row, self.model)

        return Save(swap_on_epoch=True) if self.run_facts["ema"] else Save()

    def _add(self, row: dict[str, Any], model: Any) -> None:
        """Note a finished epoch, whose weights to keep are those that the model has now, and save all but it."""
        before = max((each["val_accuracy"] for each in self.history), default=-1)
        if self.run_facts["keep"] == "last" or row["val_accuracy"] > before:
            self.best_weights = model.get_weights()
        self.history.append(row)
        if self.folder:
            arrays: dict[str, Any] = {f"w{k}": weight for k, weight in enumerate(self.best_weights or [])}
            arrays |= {f"random{k}": state.numpy() for k, state in enumerate(_random_states(model))}
            np.savez(self.folder / "best.part.npz", **arrays)
            (self.folder / "settings.part.json").write_text(json.dumps(self.run_facts, indent=1))
            write_history(self.history, self.folder / "history.part.csv")  # the last one, as when renamed

    @contextmanager
    def _new_state(self, epoch: int) -> Iterator[Path | None]:
        """Rename the files written in the block; if the disk refuses, remove them and say what is still there."""
        if self.folder is None:
            yield None
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "history.part.csv").unlink(missing_ok=True)
            yield self.folder
        except (OSError, RuntimeError) as error:  # h5py raises either
            for part in self.folder.glob("*.part.*"):
                part.unlink(missing_ok=True)
            kept = f"the state after epoch {epoch} is still there" if epoch else "there is no earlier state"
            raise FerlibError(
                f"the state after epoch {epoch + 1} could not be written to {self.folder} ({error}); {kept}; "
                "make room and start again"
            ) from error
        _rename_parts(self.folder)


def _restore(folder: Path, model: Any) -> list[np.ndarray]:
    """Put a state into a model that was just compiled; returns the best weights.

    The saved model itself cannot be used: its optimizer does not know which weights must not decay.
    """
    state = import_keras().models.load_model(folder / "state.keras")
    with np.load(folder / "best.npz") as saved:
        best = [saved[f"w{k}"] for k in range(len(model.weights))]
        for k, variable in enumerate(_random_states(model)):
            variable.assign(saved.get(f"random{k}", variable))  # the files of earlier versions lack them
    model.set_weights(state.get_weights())
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, state.optimizer.variables, strict=True):
        variable.assign(value)
    return best


def _random_states(model: Any) -> list[Any]:
    """The states of the random numbers of dropout, which Keras does not save with a model."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def _rename_parts(folder: Path) -> None:
    for name in ("state.part.keras", "best.part.npz", "settings.part.json", "history.part.csv"):
        if (folder / name).is_file():  # else it was renamed before the run was stopped
            (folder / name).replace(folder / name.replace(".part", ""))
