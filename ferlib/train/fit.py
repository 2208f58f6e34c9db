"""The network of a recipe, ready to fit: precision, optimizer, learning rate."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.train import augment, networks
from ferlib.train.checkpoints import fingerprint, resume, savers, weights_fingerprint
from ferlib.train.recipes import Settings


def fast_precision() -> str:
    """`"bfloat16"` on a processor with bfloat16 arithmetic of its own, else `"float32"`.

    Elsewhere bfloat16 is emulated and slow. Only Linux says what the processor has.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.is_file() else ""
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"


def compiled(settings: Settings, n_classes: int, steps_per_epoch: int):
    """The network of `settings`, ready to fit; BadInputError for a name that is not known."""
    keras = import_keras()
    wanted = fast_precision() if settings.precision == "auto" else settings.precision
    known("precision", wanted, ("float32", "bfloat16"))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if wanted == "bfloat16" else "float32")
    try:
        keras.utils.set_random_seed(settings.seed)
        model = networks.build(settings.network, n_classes)
    finally:
        keras.config.set_dtype_policy(before)
    model.compile(
        _optimizer(settings, steps_per_epoch),
        keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
    )
    return model


def _optimizer(settings: Settings, steps_per_epoch: int):
    keras = import_keras()
    known("optimizer", settings.optimizer, ("adamw", "adam", "sgd"))
    rate = _rate(settings, steps_per_epoch)
    momentum = 1 - 1 / max(2, steps_per_epoch)
    averaging = {"use_ema": True, "ema_momentum": momentum} if settings.averaging else {}
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **averaging)
    if settings.optimizer == "adam":
        return keras.optimizers.Adam(rate, **averaging)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **averaging)
    # what scales and shifts has no reason to be small; only the kernels decay
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _rate(settings: Settings, steps_per_epoch: int):
    """The learning rate: a number, or a schedule over the steps."""
    schedules = import_keras().optimizers.schedules
    known("schedule", settings.schedule, ("cosine", "constant", "decay", "plateau"))
    if settings.schedule == "decay":  # Keras 2's `decay=1e-6`: 0.2 % less after 2,000 steps
        return schedules.InverseTimeDecay(settings.learning_rate, decay_steps=1, decay_rate=1e-6)
    if settings.schedule != "cosine":
        return settings.learning_rate
    steps = steps_per_epoch * settings.epochs
    warm_up = max(1, int(settings.warm_up * steps))
    return schedules.CosineDecay(
        settings.learning_rate / 25,
        decay_steps=max(1, steps - warm_up),
        alpha=0.0,
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )


def known(what: str, name: str, names: Sequence[str]) -> None:
    """Raise BadInputError for a name that is none of `names`."""
    if name not in names:
        raise BadInputError(f"unknown {what} {name!r}; known are {', '.join(names)}")


def plateau_rate(rate: float, val_losses: Sequence[float]) -> float:
    """D's learning rate for the next epoch: a tenth whenever two epochs have not improved, at least 1e-5.

    What Keras' `ReduceLROnPlateau(factor=0.1, patience=2, min_lr=1e-5)` would have come to after these
    validation losses; that callback forgets them when a run is stopped.
    """
    best, waited = float("inf"), 0
    for loss in val_losses:
        best, waited = (loss, 0) if loss < best - 1e-4 else (best, waited + 1)
        if waited == 2 and rate > 1e-5:
            rate, waited = max(rate * 0.1, 1e-5), 0
    return rate


def targets(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """One-hot rows: int (n,) to float32 (n, n_classes)."""
    return np.eye(n_classes, dtype=np.float32)[labels]


def class_weights(labels: np.ndarray, n_classes: int) -> dict[int, float]:
    """A weight for each class there is, so that all count alike and the mean weight of a face is 1."""
    counts = np.bincount(labels, minlength=n_classes)
    return {k: len(labels) / (np.count_nonzero(counts) * count) for k, count in enumerate(counts) if count}


def train(
    faces: np.ndarray,
    labels: np.ndarray,
    val_faces: np.ndarray | None,
    val_labels: np.ndarray | None,
    n_classes: int,
    settings: Settings,
    checkpoints: Path | None = None,
    callbacks: Sequence = (),
    verbose: int = 0,
    wanted: np.ndarray | None = None,
    start: Sequence[np.ndarray] | None = None,
):
    """Train and return (model with its best weights, history as a list of dicts).

    faces, val_faces: uint8 (n, 48, 48); labels: int (n,). Without `val_faces` the history has NaN where their
    figures would stand, and the settings must keep the last epoch. `wanted`: the targets, float32 (n, n_classes),
    rows sum to one; without it the labels alone. `start`: weights to begin with, as `model.get_weights` gives
    them; where the classes are others, the last layer begins anew. With a `checkpoints` folder the state after each
    epoch lies there, and a call with the same settings and data goes on from it. The weights of the epoch that
    `settings.keep` names win, blended with `start` as `settings.blend` says. Raises BadInputError for too few
    faces, labels outside the classes or all the same, a folder that another run has filled, and a loss that is
    no longer a number; FerlibError where the state cannot be written.
    """
    _check("training", faces, labels, n_classes)
    if val_faces is not None:
        _check("validation", val_faces, val_labels, n_classes)
    elif settings.keep == "best" or settings.schedule == "plateau":
        raise BadInputError("these settings look at validation faces; give some, or keep the last epoch")
    keras = import_keras()
    batch_size = min(settings.batch_size, len(faces))
    steps = settings.steps or len(faces) // batch_size
    folder = None if checkpoints is None else Path(checkpoints)
    wanted = targets(labels, n_classes) if wanted is None else wanted
    made_with = asdict(settings) | {"data": fingerprint(faces, wanted)}
    model = compiled(settings, n_classes, steps)
    if start is not None:
        made_with["begun"] = weights_fingerprint(start)
        start = _begin_with(model, start, settings)
    history, best = resume(folder, made_with, model)
    done = len(history)
    known("keep", settings.keep, ("best", "last"))
    saver, keeper = savers(made_with, folder, history, best, settings.keep)
    extra = []
    if settings.averaging:
        extra.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if settings.schedule == "plateau":
        extra.append(
            keras.callbacks.LearningRateScheduler(
                lambda epoch: plateau_rate(settings.learning_rate, [row["val_loss"] for row in history])
            )
        )
    if done < settings.epochs:
        model.fit(
            stream(faces, wanted, batch_size, settings, done * steps, settings.epochs * steps),
            steps_per_epoch=steps,
            initial_epoch=done,
            epochs=settings.epochs,
            validation_data=None
            if val_faces is None
            else (val_faces[..., None].astype(np.float32), targets(val_labels, n_classes)),
            validation_batch_size=256,
            callbacks=[saver, *extra, keeper, *callbacks],
            class_weight=class_weights(labels, n_classes) if settings.balanced else None,
            shuffle=False,  # the batches come shuffled; True only makes Keras warn
            verbose=verbose,
        )
    if keeper.best is not None:
        model.set_weights(keeper.best)
    if start is not None and settings.blend:
        pairs = zip(start, model.get_weights(), strict=True)
        model.set_weights([settings.blend * old + (1 - settings.blend) * new for old, new in pairs])
    return model, history


def _begin_with(model, weights: Sequence[np.ndarray], settings: Settings) -> list[np.ndarray]:
    """Give the network these weights, but for a last layer of other classes; returns what it then has."""
    own, last = model.get_weights(), len(model.layers[-1].weights)
    if len(weights) == len(own) and weights[-1].shape != own[-1].shape:
        weights = [*weights[:-last], *own[-last:]]
    try:
        model.set_weights(weights)
    except ValueError as error:
        raise BadInputError(
            f"the weights to begin with are those of another network than {settings.network}"
        ) from error
    return model.get_weights()


def stream(faces, wanted, batch_size: int, settings: Settings, first: int, end: int):
    """The batches numbered `first` to `end`, whatever share of a pass over the faces an epoch takes."""
    a_pass = len(faces) // batch_size
    done, rest = divmod(first, a_pass)
    changes = augment.by_name(settings.augmentation)
    passes = -(-end // a_pass) - done
    batches = augment.batches(
        faces, wanted, batch_size, changes, settings.seed, first_epoch=done, epochs=passes
    )
    return batches.skip(rest) if rest else batches


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
    if part == "training" and labels.min() == labels.max():
        raise BadInputError(
            f"all training faces have the label {labels[0]}; give faces of two classes or more"
        )
