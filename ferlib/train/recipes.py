"""What a training run is made with, and the named recipes: ours, and the published ones of systems A to E."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ferlib.common.errors import BadInputError


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
    warm_up: float = 0.05  # share of the steps; for the cosine
    votes: float = 0.0  # share of the targets that FER+'s voters have; the rest is FER2013's one label
    averaging: bool = True  # judge and keep the running mean of the weights over about one epoch
    precision: str = "auto"  # "float32", "bfloat16", or what the machine does fast
    seed: int = 7
    optimizer: str = "adamw"  # or "adam", or "sgd" with Nesterov's momentum of 0.9
    schedule: str = "cosine"  # or "constant", "decay" (A's), "plateau" (D's)
    steps: int = 0  # batches an epoch; 0: one pass over the faces
    balanced: bool = False  # rare classes count as much as frequent ones
    start: str = ""  # the recipe whose trained network this run goes on from
    teachers: tuple[str, ...] = ()  # the recipes whose networks' mean answer is a share of the targets
    taught: float = 0.0  # that share; the rest is as it would be without teachers
    keep: str = "best"  # the epoch that reads the held-out rows best, or the "last" one
    blend: float = 0.0  # share of the weights that the run began with in those that it leaves
    corrected: bool = (
        False  # the last layer fitted to the held-out labels: a temperature, and a shift a class
    )
    repeats: str = ""  # the recipe that this one repeats on all Training rows, those split off too


def _published(network: str, epochs: int, batch_size: int, learning_rate: float, **others) -> Settings:
    """A published recipe: none of our additions."""
    plain = {"augmentation": "none", "optimizer": "adam", "schedule": "constant", "averaging": False}
    plain |= {"weight_decay": 0.0, "label_smoothing": 0.0, "warm_up": 0.0, "precision": "float32"}
    return Settings(network, epochs, batch_size, learning_rate=learning_rate, **(plain | others))


_LIKE_A = {"augmentation": "A", "optimizer": "sgd", "schedule": "decay", "steps": 200}

_SECOND = Settings(
    network="medium",
    epochs=64,
    batch_size=128,
    augmentation="strong",
    learning_rate=2e-3,
    weight_decay=0.05,
    label_smoothing=0.0,
    votes=0.5,
)

_THIRD = replace(
    _SECOND,
    epochs=40,
    learning_rate=1e-3,
    start="second",
    teachers=("first", "second"),
    taught=0.5,
    keep="last",
    blend=0.5,
    corrected=True,
)

RECIPES = {
    "light": Settings(),
    "first": Settings(epochs=36),
    "second": _SECOND,
    "third": _THIRD,
    "shipped": replace(_THIRD, repeats="third"),
    "ferplus": replace(_SECOND, epochs=16, learning_rate=1e-3, keep="last"),
    "quick-pair": Settings(
        network="quick",
        epochs=24,
        learning_rate=4e-3,
        weight_decay=0.05,
        label_smoothing=0.0,
        warm_up=0.2,
    ),
    "A": _published("A", 10, 128, 0.01, **_LIKE_A),
    "B": _published("B", 10, 128, 0.01, **_LIKE_A),
    "C": _published("C", 20, 128, 1e-3, augmentation="D"),
    "D": _published("D", 15, 64, 5e-4, augmentation="D", schedule="plateau"),
    "E": _published("E", 10, 32, 1e-3),
    "E-small": _published("E-small", 10, 32, 1e-3),
}
"""Settings by name. In `third` the network of `second` goes on
learning, now also from what it and that of `first` think of each picture together ("Distilling the knowledge
in a neural network", G. Hinton et al. 2015), and what it ends with is the mean of where it began and where it
came ("Robust fine-tuning of zero-shot models", M. Wortsman et al. 2022), corrected on the held-out rows.
`shipped` is how the bundle in `models/` was made: the same once more, on all Training rows, for when all is
chosen the rows that it was chosen on can be learned too; the correction is the one of `third`.
`ferplus` goes on from that bundle under FER+'s labels; its last epoch is kept, because the rows that it
splits off are not new to the network. `quick-pair` reads happy against neutral after few minutes of training.

A, B, D, E and E-small carry their published settings; how C was trained is not published, so its
recipe is ours. Not carried over are their mistakes: all end in a softmax with categorical
cross-entropy (E had a sigmoid a class), a tenth of Training chooses the epoch (D let the test pictures
choose, and mirrored them), and every picture is scaled the same way in training and use (E was not).
"""

PUBLISHED_EPOCHS = {name: RECIPES[name].epochs for name in ("A", "B", "D", "E", "E-small")}
"""How long the published networks were trained, in epochs; an epoch of A and B is 200 batches of 128."""


def recipe(name: str, **changes) -> Settings:
    """The settings of that name with some of them changed; BadInputError for another name, or a value without sense."""
    if name not in RECIPES:
        raise BadInputError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    settings = replace(RECIPES[name], **changes)
    for what, low, high in (
        ("epochs", 1, 10_000),
        ("batch_size", 1, 100_000),
        ("learning_rate", 1e-9, 1e9),
        ("label_smoothing", 0, 0.99),
        ("warm_up", 0, 0.99),
        ("blend", 0, 1),
    ):
        value = getattr(settings, what)
        if not low <= value <= high:
            raise BadInputError(f"{what} must lie between {low:g} and {high:g}, got {value:g}")
    return settings


def known_as(settings: Mapping) -> str | None:
    """The recipe with these settings, as a bundle's metadata have them, whatever their seed; None without one."""
    made = asdict(Settings()) | dict(settings)
    made = made | {"teachers": tuple(made["teachers"]), "seed": Settings.seed}
    return next((name for name, known in RECIPES.items() if asdict(known) == made), None)


def kept_epoch(history: Sequence[Mapping], keep: str) -> int:
    """The epoch, counted from 1, whose weights a run with this `keep` leaves."""
    best = max(history, key=lambda row: row["val_accuracy"]) if keep == "best" else history[-1]
    return int(best["epoch"])


def with_votes(settings: Settings, there: bool) -> Settings:
    """The settings with half of each target for FER+'s voters, where their file is given and they have no share yet."""
    return replace(settings, votes=0.5) if there and not settings.votes else settings
