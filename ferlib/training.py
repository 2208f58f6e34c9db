"""Train a network on faces: targets, schedule, precision, checkpoints from which a stopped run goes on."""

import csv
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ferlib import augment, networks
from ferlib.bundle import HISTORY_COLUMNS, save_bundle, write_history
from ferlib.dataset import Dataset
from ferlib.errors import BadInputError
from ferlib.ferplus import label_shares
from ferlib.quiet import import_keras
from ferlib.splits import held_out


@dataclass(frozen=True)
class Settings:
    """What a training run is made with; stored in the bundle's metadata."""

    network: str = "small"
    epochs: int = 12
    batch_size: int = 64
    augmentation: str = "ours"
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    warm_up: float = 0.05  # share of the steps
    votes: float = 0.0  # share of the targets that FER+'s voters have; the rest is FER2013's one label
    averaging: bool = True  # judge and keep the running mean of the weights over about one epoch
    precision: str = "auto"  # "float32", "bfloat16", or what the machine does fast
    seed: int = 7


RECIPES = {
    "light": Settings(),
    "shipped": Settings(
        network="medium",
        epochs=64,
        batch_size=128,
        augmentation="strong",
        learning_rate=2e-3,
        weight_decay=0.05,
        label_smoothing=0.0,
        votes=0.5,
    ),
}
"""Settings by name; `shipped` is how the bundle in `models/` was made."""


def fast_precision() -> str:
    """`"bfloat16"` on a processor with bfloat16 arithmetic of its own, else `"float32"`.

    Elsewhere bfloat16 is emulated and slow. Only Linux says what the processor has.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.is_file() else ""
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"


def targets(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """One-hot rows: int (n,) to float32 (n, n_classes)."""
    return np.eye(n_classes, dtype=np.float32)[labels]


def compiled(settings: Settings, n_classes: int, steps_per_epoch: int):
    """The network of `settings`, ready to fit: AdamW on a cosine that ends near zero."""
    keras = import_keras()
    wanted = fast_precision() if settings.precision == "auto" else settings.precision
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if wanted == "bfloat16" else "float32")
    try:
        keras.utils.set_random_seed(settings.seed)
        model = networks.build(settings.network, n_classes)
    finally:
        keras.config.set_dtype_policy(before)
    steps = steps_per_epoch * settings.epochs
    warm_up = max(1, int(settings.warm_up * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 25,
        decay_steps=max(1, steps - warm_up),
        alpha=0.0,
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    momentum = 1 - 1 / max(2, steps_per_epoch)
    averaging = {"use_ema": True, "ema_momentum": momentum} if settings.averaging else {}
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **averaging)
    # what scales and shifts has no reason to be small; only the kernels decay
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
    )
    return model


def train(
    faces: np.ndarray,
    labels: np.ndarray,
    val_faces: np.ndarray,
    val_labels: np.ndarray,
    n_classes: int,
    settings: Settings,
    checkpoints: Path | None = None,
    callbacks: Sequence = (),
    verbose: int = 0,
    soft: np.ndarray | None = None,
):
    """Train and return (model with its best weights, history as a list of dicts).

    faces, val_faces: uint8 (n, 48, 48); labels: int (n,). `soft`: float (n, n_classes), rows sum to
    one; with it the targets are `settings.votes` of it and the rest the labels. With a `checkpoints` folder the state
    after each epoch lies there, and a call with the same settings and data goes on from it. The
    weights of the epoch with the best validation accuracy win. Raises BadInputError for too few
    faces, labels outside the classes, a folder that another run has filled, and a loss that is no
    longer a number.
    """
    _check("training", faces, labels, n_classes)
    _check("validation", val_faces, val_labels, n_classes)
    keras = import_keras()
    batch_size = min(settings.batch_size, len(faces))
    steps = len(faces) // batch_size
    folder = None if checkpoints is None else Path(checkpoints)
    wanted = targets(labels, n_classes)
    if soft is not None:
        wanted = ((1 - settings.votes) * wanted + settings.votes * soft).astype(np.float32)
    made_with = asdict(settings) | {"data": _fingerprint(faces, wanted)}
    model = compiled(settings, n_classes, steps)
    history, best = _resume(folder, made_with, model)
    done = len(history)
    saver, keeper = _callbacks(made_with, folder, history, best)
    if done < settings.epochs:
        data = augment.batches(
            faces,
            wanted,
            batch_size,
            augment.by_name(settings.augmentation),
            settings.seed,
            first_epoch=done,
            epochs=settings.epochs - done,
        )
        averaged = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if settings.averaging else []
        model.fit(
            data,
            steps_per_epoch=steps,
            initial_epoch=done,
            epochs=settings.epochs,
            validation_data=(val_faces[..., None].astype(np.float32), targets(val_labels, n_classes)),
            validation_batch_size=256,
            callbacks=[saver, *averaged, keeper, *callbacks],
            shuffle=False,  # the batches come shuffled; True only makes Keras warn
            verbose=verbose,
        )
    if keeper.best is not None:
        model.set_weights(keeper.best)
    return model, history


def _check(part: str, faces: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
    if len(faces) != len(labels):
        raise BadInputError(f"{len(faces)} {part} faces with {len(labels)} labels; give each face one label")
    if len(faces) < (2 * n_classes if part == "training" else 1):
        raise BadInputError(f"{len(faces)} {part} faces are too few for {n_classes} classes; collect more")
    if faces.dtype != np.uint8 or faces.shape[1:] != networks.INPUT_SHAPE[:2]:
        raise BadInputError(f"{part} faces must be uint8 (n, 48, 48), got {faces.dtype} {faces.shape}")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise BadInputError(
            f"{part} labels run from {labels.min()} to {labels.max()}, not 0..{n_classes - 1}"
        )


def _fingerprint(faces: np.ndarray, wanted: np.ndarray) -> str:
    """Stands for the training data in `settings.json`: a run that goes on must see the same faces."""
    digest = hashlib.blake2b(np.ascontiguousarray(faces), digest_size=8)
    digest.update(np.ascontiguousarray(wanted))
    return f"{len(faces)} faces, {wanted.shape[1]} classes, {digest.hexdigest()}"


def _resume(folder: Path | None, made_with: dict, model):
    """(history, best weights) of a stopped run, whose state goes into the model; ([], None) without one."""
    if folder is None:
        return [], None
    if (folder / "history.part.csv").is_file() and not (folder / "state.part.keras").is_file():
        _rename_parts(folder)  # the run was stopped between its renames
    if not (folder / "state.keras").is_file():
        return [], None
    there = json.loads((folder / "settings.json").read_text())
    if there != {key: value for key, value in made_with.items() if key in there}:
        changed = [key for key in made_with if there.get(key) != made_with[key]]
        raise BadInputError(
            f"{folder} holds a run with other settings ({', '.join(changed)}); "
            "finish it with those, or remove the folder"
        )
    with (folder / "history.csv").open(newline="") as file:
        history = [{**row, "epoch": int(row["epoch"])} for row in _numbers(csv.DictReader(file))]
    # into a model compiled anew: a loaded optimizer no longer knows which weights are not to decay
    state = import_keras().models.load_model(folder / "state.keras")
    model.set_weights(state.get_weights())
    model.optimizer.build(model.trainable_variables)
    for variable, saved in zip(model.optimizer.variables, state.optimizer.variables, strict=True):
        variable.assign(saved)
    with np.load(folder / "best.npz") as kept:
        best = [kept[f"w{k}"] for k in range(len(model.weights))]
        for k, state in enumerate(_random_states(model)):
            if f"random{k}" in kept.files:
                state.assign(kept[f"random{k}"])
    return history, best


def _random_states(model) -> list:
    """Where the random numbers of dropout stand; Keras saves them with no model."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def _numbers(rows) -> list[dict]:
    return [{key: float(value) for key, value in row.items()} for row in rows]


def _callbacks(made_with: dict, folder: Path | None, history: list[dict], best_before: list | None):
    """Two callbacks: one saves each epoch's state, one fills `history` and keeps the best weights.

    They stand on either side of Keras' SwapEMAWeights: the state wants the weights that are being
    trained, the best ones are the averaged weights that validation has seen.
    """
    keras = import_keras()

    class Saver(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if not math.isfinite(logs["loss"]):
                raise BadInputError(
                    f"the loss became {logs['loss']} in epoch {epoch + 1}; lower the learning rate"
                )
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "history.part.csv").unlink(missing_ok=True)
                self.model.save(folder / "state.part.keras")

    class Keeper(keras.callbacks.Callback):
        best = best_before

        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            row = {"epoch": epoch + 1, **{k: float(logs[k]) for k in HISTORY_COLUMNS[1:5]}}
            row["seconds"] = round(time.perf_counter() - self.started, 2)
            if row["val_accuracy"] > max((r["val_accuracy"] for r in history), default=-1):
                self.best = self.model.get_weights()
            history.append(row)
            if folder is not None:
                _save_state(folder, made_with, history, self.best, _random_states(self.model))

    return Saver(), Keeper()


def _save_state(folder: Path, made_with: dict, history: list[dict], best: list, random: list) -> None:
    """Write the rest of a state beside, then rename all of it; the history is the last of both."""
    arrays = {f"w{k}": weight for k, weight in enumerate(best)}
    arrays |= {f"random{k}": state.numpy() for k, state in enumerate(random)}
    np.savez(folder / "best.part.npz", **arrays)
    (folder / "settings.part.json").write_text(json.dumps(made_with, indent=1))
    write_history(history, folder / "history.part.csv")
    _rename_parts(folder)


def _rename_parts(folder: Path) -> None:
    for name in ("state.keras", "best.npz", "settings.json", "history.csv"):
        stem, suffix = name.split(".")
        part = folder / f"{stem}.part.{suffix}"
        if part.is_file():  # else it was renamed before the run was stopped
            part.replace(folder / name)


def train_bundle(
    rows: Dataset,
    out: Path,
    settings: Settings,
    source: str,
    checkpoints: Path | None = None,
    progress: bool = False,
    votes: np.ndarray | None = None,
) -> list[dict]:
    """Train on the Training rows of a data set and save the bundle `out`; returns the history.

    A tenth of these rows, split off by groups of copies, chooses the epoch. `source` names the data
    in the bundle's metadata. `votes`: FER+'s, int (n, 10), a row for each of `rows`; needed where the
    settings give the voters a share.
    """
    if (votes is None) == (settings.votes > 0):
        raise BadInputError(
            f"the settings give FER+'s voters a share of {settings.votes:g}"
            + ("; give their file" if votes is None else ", so their file would not be used")
        )
    mine = rows.usage == "Training"
    rows = rows.part("Training")
    off = held_out(rows, 0.1, settings.seed)
    fitted, kept = rows.select(~off), rows.select(off)
    n_classes = len(rows.class_names)
    soft = None if votes is None else label_shares(votes[mine][~off], fitted.labels, n_classes)
    keras = import_keras()
    bar = [_progress_bar(keras, settings.epochs)] if progress else []
    model, history = train(
        fitted.pixels,
        fitted.labels,
        kept.pixels,
        kept.labels,
        n_classes,
        settings,
        checkpoints,
        bar,
        soft=soft,
    )
    facts = {"source": source, "training_rows": len(fitted), "held_out_rows": len(kept)}
    save_bundle(model, out, rows.class_names, history, {"data": facts, "settings": asdict(settings)})
    return history


def _progress_bar(keras, epochs: int):
    """A line an epoch with the time left, on stderr."""
    from tqdm import tqdm

    class Bar(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.bar = None

        def on_epoch_begin(self, epoch, logs=None):
            if self.bar is None:
                self.bar = tqdm(total=epochs, initial=epoch, unit="epoch")

        def on_epoch_end(self, epoch, logs=None):
            self.bar.set_postfix({k: f"{v:.3f}" for k, v in logs.items()}, refresh=False)
            self.bar.update()

        def on_train_end(self, logs=None):
            self.bar.close()

    return Bar()
