"""Training settings and the named recipes: ours, and the published ones of systems A to E."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ferlib.common.errors import BadInputError, check_choice


@dataclass(frozen=True)
class Settings:
    """The settings of a training run; stored in the metadata of its bundle."""

    network: str = "small"
    epochs: int = 12
    batch_size: int = 64
    augmentation: str = "ours"
    learning_rate: float = 1e-3  # the largest, after the warm-up
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    warm_up: float = 0.05  # share of the steps; for the cosine schedule
    vote_weight: float = 0.0  # share of FER+'s votes in the targets; the rest is FER2013's label
    ema: bool = True  # validate and keep the moving average of the weights over about one epoch
    precision: str = "auto"  # "float32", "bfloat16", or "auto": what is fast on this machine
    seed: int = 7
    optimizer: str = "adamw"  # or "adam", or "sgd" with a Nesterov momentum of 0.9
    schedule: str = "cosine"  # or "constant", "decay" (A's), "plateau" (D's)
    steps_per_epoch: int = 0  # batches per epoch; 0: one pass over the faces
    balanced: bool = False  # weight the classes so that rare ones count as much as frequent ones
    initial_weights: str = ""  # the recipe whose trained network this run starts from
    teachers: tuple[str, ...] = ()  # the recipes whose mean prediction is mixed into the targets
    distillation_weight: float = 0.0  # share of the teachers in the targets
    keep: str = "best"  # the epoch with the best validation accuracy, or the "last" one
    weight_interpolation: float = 0.0  # share of the initial weights in the final ones
    calibrate: bool = False  # fit a temperature and a bias per class to the held-out rows
    retrain_on_all: str = ""  # the recipe that this one repeats on all Training rows, held-out ones included

    @property
    def prerequisites(self) -> list[str]:
        """The recipes that have to be trained before this one, in order."""
        names = [*sorted({self.initial_weights, *self.teachers}), self.retrain_on_all]
        return [name for name in names if name]


_EARLIER_NAMES = {
    "votes": "vote_weight",
    "averaging": "ema",
    "steps": "steps_per_epoch",
    "start": "initial_weights",
    "taught": "distillation_weight",
    "blend": "weight_interpolation",
    "corrected": "calibrate",
    "repeats": "retrain_on_all",
}
"""Settings under the names that bundles and checkpoints of earlier versions have."""


_PLAIN = Settings(
    augmentation="none",
    optimizer="adam",
    schedule="constant",
    ema=False,
    weight_decay=0.0,
    label_smoothing=0.0,
    warm_up=0.0,
    precision="float32",
)
"""None of our additions; the published recipes have what they say beyond this."""

_A = replace(
    _PLAIN,
    network="A",
    epochs=10,
    batch_size=128,
    learning_rate=0.01,
    augmentation="A",
    optimizer="sgd",
    schedule="decay",
    steps_per_epoch=200,
)

_E = replace(_PLAIN, network="E", epochs=10, batch_size=32)

_SECOND = Settings(
    network="medium",
    epochs=64,
    batch_size=128,
    augmentation="strong",
    learning_rate=2e-3,
    weight_decay=0.05,
    label_smoothing=0.0,
    vote_weight=0.5,
)

_THIRD = replace(
    _SECOND,
    epochs=40,
    learning_rate=1e-3,
    initial_weights="second",
    teachers=("first", "second"),
    distillation_weight=0.5,
    keep="last",
    weight_interpolation=0.5,
    calibrate=True,
)

RECIPES = {
    "light": Settings(),
    "first": Settings(epochs=36),
    "second": _SECOND,
    "third": _THIRD,
    "shipped": replace(_THIRD, retrain_on_all="third"),
    "ferplus": replace(_SECOND, epochs=16, learning_rate=1e-3, keep="last"),
    "quick-pair": Settings(
        network="quick",
        epochs=24,
        learning_rate=4e-3,
        weight_decay=0.05,
        label_smoothing=0.0,
        warm_up=0.2,
    ),
    "A": _A,
    "B": replace(_A, network="B"),
    "C": replace(_PLAIN, network="C", epochs=20, batch_size=128, augmentation="D"),
    "D": replace(_PLAIN, network="D", epochs=15, learning_rate=5e-4, augmentation="D", schedule="plateau"),
    "E": _E,
    "E-small": replace(_E, network="E-small"),
}
"""Settings by name.

`third` starts from the network of `second` and also learns from the mean prediction of `first` and `second`
(distillation; G. Hinton et al., "Distilling the knowledge in a neural network", 2015). Its final weights are the
mean of the initial and the trained ones (M. Wortsman et al., "Robust fine-tuning of zero-shot models", 2022), and
its last layer is calibrated on the held-out rows. `shipped` is how the bundle in `models/` was made: `third` again,
on all Training rows, since nothing remains to be chosen on the held-out ones; it takes over the calibration of
`third`. `ferplus` starts from that bundle and uses FER+'s labels; it keeps the last epoch, because the network has
already seen the rows that it holds out. `quick-pair` tells happy from neutral after a few minutes of training.

A, B, D, E and E-small have their published settings; how C was trained is not published, so its recipe is ours.
The mistakes of the published systems are not repeated: all networks end in a softmax with categorical cross-entropy
(E had one sigmoid per class), a tenth of Training selects the epoch (D used the test images, and mirrored them), and
images are scaled in the same way in training and in use (E's were not).
"""

PUBLISHED_EPOCHS = {name: RECIPES[name].epochs for name in ("A", "B", "D", "E", "E-small")}
"""How many epochs the published networks were trained; an epoch of A and B has 200 batches of 128."""

_BOUNDS = {
    "epochs": (1, 10_000),
    "batch_size": (1, 100_000),
    "learning_rate": (1e-9, 1e9),
    "label_smoothing": (0, 0.99),
    "warm_up": (0, 0.99),
    "weight_interpolation": (0, 1),
}


def get_recipe(name: str, **changes: Any) -> Settings:
    """Get the settings of a recipe.

    Args:
        name: A name in `RECIPES`.
        **changes: Settings that replace those of the recipe.

    Returns:
        The settings.

    Raises:
        BadInputError: An unknown recipe, or a value outside its range.
    """
    check_choice("recipe", name, RECIPES)
    settings = replace(RECIPES[name], **changes)
    for setting, (low, high) in _BOUNDS.items():
        value = getattr(settings, setting)
        if not low <= value <= high:
            raise BadInputError(f"{setting} must be between {low:g} and {high:g}, got {value:g}")
    return settings


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Rename settings that an earlier version wrote.

    Args:
        settings: Settings as the metadata of a bundle or the folder of a checkpoint have them.

    Returns:
        The same settings under the names of the fields of `Settings`.
    """
    return {_EARLIER_NAMES.get(name, name): value for name, value in settings.items()}


def known_as(settings: Mapping[str, Any]) -> str | None:
    """Find the recipe that has these settings, with any seed.

    Args:
        settings: Settings as the metadata of a bundle have them, of this or an earlier version.

    Returns:
        The name of the recipe; None if none of `RECIPES` has these settings.
    """
    complete = asdict(Settings()) | current_names(settings) | {"seed": Settings.seed}
    complete["teachers"] = tuple(complete["teachers"])
    return next((name for name, recipe in RECIPES.items() if asdict(recipe) == complete), None)


def kept_epoch(history: Sequence[Mapping[str, Any]], keep: str) -> int:
    """Find the epoch whose weights a run keeps.

    Args:
        history: One mapping per epoch with `epoch` and `val_accuracy`.
        keep: "best" (the first with the highest validation accuracy) or "last".

    Returns:
        The number of the epoch, from 1.
    """
    best = max(history, key=lambda row: row["val_accuracy"]) if keep == "best" else history[-1]
    return int(best["epoch"])
