"""The network of a recipe, ready to fit: precision, optimizer, learning rate."""

from collections.abc import Sequence
from pathlib import Path

from ferlib import networks
from ferlib.errors import BadInputError
from ferlib.quiet import import_keras
from ferlib.recipes import Settings


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
