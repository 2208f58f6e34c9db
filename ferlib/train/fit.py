"""Fit a network with the settings of a recipe: data, precision, optimizer, learning rate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, check_choice
from ferlib.dataset.splits import Dataset
from ferlib.train import networks
from ferlib.train.augment import AUGMENTATIONS, training_batches
from ferlib.train.checkpoints import Checkpoint, data_fingerprint, weights_fingerprint
from ferlib.train.recipes import Settings


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Faces to fit a network to, and faces to validate it on; the usage of the rows is not looked at.

    Attributes:
        rows: The faces to learn from.
        validation: The faces to validate on, with the same classes; None to train without validation.
        soft_targets: float32 (n, n_classes), rows summing to one; None to learn the labels alone.

    Raises:
        BadInputError: Too few faces, or all faces to learn from have the same label.
    """

    rows: Dataset
    validation: Dataset | None = None
    soft_targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        count, n_classes = len(self.rows), len(self.rows.class_names)
        if count < 2 * n_classes:
            raise BadInputError(f"{count} training faces are too few for {n_classes} classes; collect more")
        if len(np.unique(self.rows.labels)) == 1:
            label = self.rows.class_names[self.rows.labels[0]]
            raise BadInputError(
                f"all training faces have the label {label}; give faces of two classes or more"
            )
        if self.validation is not None and not len(self.validation):
            raise BadInputError("there are 0 validation faces; give some, or None")

    @property
    def targets(self) -> np.ndarray:
        """The soft targets, or the labels one-hot encoded: float32 (n, n_classes)."""
        labels_alone = one_hot(self.rows.labels, len(self.rows.class_names))
        return labels_alone if self.soft_targets is None else self.soft_targets


def one_hot(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Encode labels as targets.

    Args:
        labels: int (n,), 0 to n_classes - 1.
        n_classes: The number of classes.

    Returns:
        float32 (n, n_classes): 1 in the column of the label, else 0.
    """
    return np.eye(n_classes, dtype=np.float32)[labels]


def predict_probabilities(model: Any, faces: np.ndarray) -> np.ndarray:
    """Predict with a network that is not a bundle yet.

    Args:
        model: A network of ours.
        faces: uint8 (n, 48, 48).

    Returns:
        float32 (n, n_classes), rows summing to one.
    """
    return model.predict(faces[..., None].astype(np.float32), batch_size=256, verbose=0)


def fast_precision() -> str:
    """Find the precision that is fast on this machine.

    Returns:
        `"bfloat16"` on a processor with bfloat16 arithmetic of its own, else `"float32"`: elsewhere bfloat16 is
        emulated and slow. Only Linux says what the processor has.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.is_file() else ""
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"


def build_compiled_model(settings: Settings, n_classes: int, steps_per_epoch: int) -> Any:
    """Build the network of a recipe with its loss and optimizer.

    Args:
        settings: The settings of the run.
        n_classes: The number of classes.
        steps_per_epoch: Batches per epoch, for the schedule of the learning rate.

    Returns:
        A compiled network whose weights are initialised from the seed.

    Raises:
        BadInputError: An unknown network, precision, optimizer or schedule.
    """
    keras = import_keras()
    precision = fast_precision() if settings.precision == "auto" else settings.precision
    check_choice("precision", precision, ("float32", "bfloat16"))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
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


def _optimizer(settings: Settings, steps_per_epoch: int) -> Any:
    optimizers = import_keras().optimizers
    check_choice("optimizer", settings.optimizer, ("adamw", "adam", "sgd"))
    options: dict[str, Any] = {"learning_rate": _learning_rate(settings, steps_per_epoch)}
    if settings.ema:
        options |= {"use_ema": True, "ema_momentum": 1 - 1 / max(2, steps_per_epoch)}
    if settings.optimizer == "sgd":
        return optimizers.SGD(momentum=0.9, nesterov=True, **options)
    if settings.optimizer == "adam":
        return optimizers.Adam(**options)
    optimizer = optimizers.AdamW(weight_decay=settings.weight_decay, **options)
    # biases and the scales of batch normalisation need not be small; only the kernels decay
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _learning_rate(settings: Settings, steps_per_epoch: int) -> Any:
    """A number, or a schedule over the steps; `plateau_rate` changes the number after an epoch."""
    schedules = import_keras().optimizers.schedules
    check_choice("schedule", settings.schedule, ("cosine", "constant", "decay", "plateau"))
    if settings.schedule == "decay":  # Keras 2's `decay=1e-6`: 0.2 % less after 2,000 steps
        return schedules.InverseTimeDecay(settings.learning_rate, decay_steps=1, decay_rate=1e-6)
    if settings.schedule != "cosine":
        return settings.learning_rate
    steps = steps_per_epoch * settings.epochs
    warm_up = max(1, int(settings.warm_up * steps))
    return schedules.CosineDecay(
        settings.learning_rate / 25,
        decay_steps=max(1, steps - warm_up),
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )


def plateau_rate(rate: float, val_losses: Sequence[float]) -> float:
    """Compute D's learning rate for the next epoch: a tenth after every two epochs without improvement.

    It equals that of `keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=2, min_lr=1e-5)`, which cannot be used
    here because it forgets the earlier losses when a run is resumed.

    Args:
        rate: The learning rate of the first epoch.
        val_losses: The validation losses so far.

    Returns:
        The learning rate, at least 1e-5.
    """
    best, waited = float("inf"), 0
    for loss in val_losses:
        best, waited = (loss, 0) if loss < best - 1e-4 else (best, waited + 1)
        if waited == 2 and rate > 1e-5:
            rate, waited = max(rate * 0.1, 1e-5), 0
    return rate


def class_weights(labels: np.ndarray) -> dict[int, float]:
    """Compute weights with which all classes count alike; the mean weight of a face is 1.

    Args:
        labels: int (n,).

    Returns:
        The weight of each class that occurs.
    """
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(labels)
    weights = compute_class_weight("balanced", classes=present, y=labels)
    return dict(zip(present.tolist(), weights.tolist(), strict=True))


def fit_network(
    data: TrainingData,
    settings: Settings,
    checkpoints: Path | None = None,
    callbacks: Sequence[Any] = (),
    initial_weights: Sequence[np.ndarray] | None = None,
) -> tuple[Any, list[dict[str, Any]]]:
    """Train a network.

    Args:
        data: The faces. Without validation the history has NaN for its figures, and the settings must keep the last
            epoch.
        settings: The settings of the run.
        checkpoints: A folder for the state after each epoch; a call with the same settings and data resumes from it.
        callbacks: Further Keras callbacks.
        initial_weights: Weights to start from, in the order of `model.get_weights`; with other classes the last layer
            is initialised anew. Default: random weights.

    Returns:
        The model with the weights of the epoch that `settings.keep` names, interpolated with `initial_weights` if
        `settings.weight_interpolation` says so; and the history, one dict per epoch.

    Raises:
        BadInputError: Settings that make no sense or need validation faces, weights of another network, a folder
            with another run, or a loss that is not finite.
        FerlibError: The state cannot be written.

    Example:
        >>> train, val = split_off(read_fer2013("fer2013.csv").part("Training"))
        >>> model, history = fit_network(TrainingData(train, val), get_recipe("light", epochs=3))
    """
    if data.validation is None and (settings.keep == "best" or settings.schedule == "plateau"):
        raise BadInputError("these settings need validation faces; give some, or keep the last epoch")
    check_choice("keep", settings.keep, ("best", "last"))
    count = len(data.rows)
    steps = settings.steps_per_epoch or count // min(settings.batch_size, count)
    model = build_compiled_model(settings, len(data.rows.class_names), steps)
    run_facts = asdict(settings) | {"data": data_fingerprint(data.rows.pixels, data.targets)}
    if initial_weights is not None:
        run_facts["begun"] = weights_fingerprint(initial_weights)
        initial_weights = _set_initial_weights(model, initial_weights, settings.network)
    checkpoint = Checkpoint(checkpoints, run_facts)
    checkpoint.restore(model)
    if len(checkpoint.history) < settings.epochs:
        _fit(model, data, settings, steps, checkpoint, list(callbacks))
    if checkpoint.best_weights is not None:
        model.set_weights(checkpoint.best_weights)
    if initial_weights is not None and settings.weight_interpolation:
        share, pairs = settings.weight_interpolation, zip(initial_weights, model.get_weights(), strict=True)
        model.set_weights([share * old + (1 - share) * new for old, new in pairs])
    return model, checkpoint.history


def _fit(
    model: Any,
    data: TrainingData,
    settings: Settings,
    steps: int,
    checkpoint: Checkpoint,
    callbacks: list[Any],
) -> None:
    """Train the epochs that are left."""
    history, faces, validation = checkpoint.history, data.rows.pixels, None
    check_choice("augmentation", settings.augmentation, AUGMENTATIONS)
    callbacks = [checkpoint.callback(), *callbacks]
    if settings.schedule == "plateau":

        def rate(epoch: int) -> float:
            return plateau_rate(settings.learning_rate, [row["val_loss"] for row in history])

        callbacks.insert(1, import_keras().callbacks.LearningRateScheduler(rate))
    if data.validation is not None:
        targets = one_hot(data.validation.labels, len(data.validation.class_names))
        validation = data.validation.pixels[..., None].astype(np.float32), targets
    steps_per_pass = len(faces) // min(settings.batch_size, len(faces))
    batches = training_batches(
        faces,
        data.targets,
        settings.batch_size,
        AUGMENTATIONS[settings.augmentation],
        settings.seed,
        epochs=-(-settings.epochs * steps // steps_per_pass),
        skip=len(history) * steps,
    )
    model.fit(
        batches,
        steps_per_epoch=steps,
        initial_epoch=len(history),
        epochs=settings.epochs,
        validation_data=validation,
        validation_batch_size=256,
        callbacks=callbacks,
        class_weight=class_weights(data.rows.labels) if settings.balanced else None,
        shuffle=False,  # the batches are shuffled already; Keras warns about True
        verbose=0,
    )


def _set_initial_weights(model: Any, weights: Sequence[np.ndarray], network: str) -> list[np.ndarray]:
    """Start from these weights, except for a last layer with other classes; returns the weights of the model."""
    own, last = model.get_weights(), len(model.layers[-1].weights)
    if len(weights) == len(own) and weights[-1].shape != own[-1].shape:
        weights = [*weights[:-last], *own[-last:]]
    try:
        model.set_weights(weights)
    except ValueError as error:
        raise BadInputError(f"the initial weights are those of another network than {network}") from error
    return model.get_weights()
