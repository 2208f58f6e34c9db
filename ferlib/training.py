"""Train a network on faces: targets, schedule, precision, checkpoints from which a stopped run goes on."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ferlib import augment, calibration, correction, networks
from ferlib.bundle import METADATA_FILE, Bundle, load_bundle, save_bundle
from ferlib.checkpoints import fingerprint, resume, savers, weights_fingerprint
from ferlib.compiling import compiled, fast_precision, known, plateau_rate
from ferlib.dataset import Dataset
from ferlib.errors import BadInputError
from ferlib.ferplus import label_shares
from ferlib.quiet import import_keras
from ferlib.recipes import RECIPES, Settings, known_as, recipe, with_votes
from ferlib.splits import check_classes, held_out

__all__ = [
    "RECIPES",
    "Settings",
    "compiled",
    "fast_precision",
    "plateau_rate",
    "recipe",
    "targets",
    "train",
    "train_bundle",
    "with_votes",
]

FEWEST = 5
"""Training rows that a class needs; of fewer, next to none could be held out to judge it."""


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


def train_bundle(
    rows: Dataset,
    out: Path,
    settings: Settings,
    source: str,
    checkpoints: Path | None = None,
    progress: bool = False,
    votes: np.ndarray | None = None,
    begin: Bundle | None = None,
    labelled: str = "fer2013",
    beside: Path | None = None,
) -> list[dict]:
    """Train on the Training rows of a data set and save the bundle `out`; returns the history.

    A tenth of these rows, split off by groups of copies, chooses the epoch; settings that repeat a recipe
    learn from that tenth too, and take the correction over from the recipe's bundle. `source` names the data
    in the bundle's metadata. `votes`: FER+'s, int (n, 10), a row for each of `rows`; needed where the
    settings give the voters a share. The recipes that the settings begin with or learn from are trained
    first, into the bundles `beside`-NAME (default: `out`-NAME), or taken from there. `begin`: the bundle whose
    network this one goes on from, which the settings must not name themselves; where its classes are others,
    without its last layer. `labelled`: who gave the labels, "fer2013" or "ferplus", for the metadata.
    """
    if begin and settings.start:
        raise BadInputError(
            f"these settings begin with the recipe {settings.start}; choose others, or no bundle"
        )
    if settings.repeats and replace(settings, repeats="") != recipe(settings.repeats, seed=settings.seed):
        raise BadInputError(
            f"these settings repeat the recipe {settings.repeats} and differ from it; change nothing but the seed, "
            f"or train {settings.repeats} with the changes"
        )
    if (votes is None) == (settings.votes > 0):
        raise BadInputError(
            f"the settings give FER+'s voters a share of {settings.votes:g}"
            + ("; give their file" if votes is None else ", so their file would not be used")
        )
    mine = rows.usage == "Training"
    rows = rows.part("Training")
    check_classes(rows, FEWEST)
    votes = None if votes is None else votes[mine]
    beside, before = beside or out, {}
    for name in [*sorted({settings.start, *settings.teachers}), settings.repeats]:
        if name:
            before[name] = _earlier(name, rows, beside, settings.seed, source, checkpoints, progress, votes)
    off = held_out(rows, 0.1, settings.seed)
    learned = np.full(len(rows), True) if settings.repeats else ~off
    fitted, judged = rows.select(learned), rows.select(off)
    n_classes = len(rows.class_names)
    wanted = targets(fitted.labels, n_classes)
    if votes is not None:
        wanted = _mixed(wanted, label_shares(votes[learned], fitted.labels, n_classes), settings.votes)
    if settings.teachers:
        answers = [before[name].predict(fitted.pixels, flip=True) for name in settings.teachers]
        wanted = _mixed(wanted, np.mean(answers, axis=0), settings.taught)
    first = before[settings.start] if settings.start else begin
    keras = import_keras()
    bar = [_progress_bar(keras, settings.epochs)] if progress else []
    model, history = train(
        fitted.pixels,
        fitted.labels,
        *((None, None) if settings.repeats else (judged.pixels, judged.labels)),
        n_classes,
        settings,
        checkpoints,
        bar,
        wanted=wanted,
        start=first.model.get_weights() if first else None,
    )
    again = before.get(settings.repeats)
    by = None
    if settings.corrected:
        by = correction.of_bundle(again) if again else correction.fit(model, judged.pixels, judged.labels)
        correction.apply(model, *by)
    facts = {"source": source, "labels": labelled, "training_rows": len(fitted)}
    if not again:
        right = correction.answers(model, judged.pixels).argmax(axis=1) == judged.labels
        facts |= {"held_out_rows": len(judged), "held_out_accuracy": round(float(right.mean()), 5)}
    effort = _efforts(beside, before)
    # FER2013's faces fill their picture as Haar's boxes do; notebook 02 cuts its own with no margin
    extra = {"detector": "frontalface_default", "margin": 0.0, "data": facts, "settings": asdict(settings)}
    extra |= {"earlier": effort} if effort else {}
    extra |= {"began_with": {"name": begin.name, "sha256": begin.metadata["sha256"]}} if begin else {}
    extra |= {"repeats": _as_judged(settings.repeats, again, judged)} if again else {}
    extra |= {"correction": correction.to_facts(*by, rows.class_names)} if by else {}
    save_bundle(model, out, rows.class_names, history, extra)
    return history


def _earlier(
    name: str,
    rows: Dataset,
    beside: Path,
    seed: int,
    source: str,
    checkpoints: Path | None,
    progress: bool,
    votes: np.ndarray | None,
) -> Bundle:
    """The bundle of a recipe, `beside`-NAME: loaded where it is there, else trained."""
    settings, folder = recipe(name, seed=seed), _named(beside, name)
    if not (folder / METADATA_FILE).is_file():
        train_bundle(
            rows,
            folder,
            settings,
            source,
            checkpoints and _named(checkpoints, name),
            progress,
            votes if settings.votes else None,
            beside=beside,
        )
    bundle = load_bundle(folder)
    made, data = bundle.metadata.get("settings", {}), bundle.metadata.get("data", {})
    counted = data.get("training_rows", 0) + data.get("held_out_rows", 0)
    if known_as(made) != name or made["seed"] != seed or counted != len(rows):
        raise BadInputError(
            f"{folder} was not made by the recipe {name} with seed {seed} from these rows; remove it"
        )
    return bundle


def _efforts(beside: Path, before: dict[str, Bundle]) -> dict[str, dict]:
    """What the earlier networks took, and those before them: name -> epochs and seconds."""
    efforts = {}
    for name, bundle in before.items():
        with (_named(beside, name) / "history.csv").open(newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        own = {"epochs": len(seconds), "seconds": round(sum(seconds), 2)}
        efforts |= bundle.metadata.get("earlier", {}) | {name: own}
    return efforts


def _as_judged(name: str, bundle: Bundle, judged: Dataset) -> dict:
    """What rows that a recipe's bundle did not learn say of it; a run that repeats it has no such rows of its own."""
    answers = bundle.predict(judged.pixels, flip=True)
    return {
        "name": name,
        "held_out_rows": len(judged),
        "held_out_accuracy": bundle.metadata["data"]["held_out_accuracy"],
        "temperature": float(f"{calibration.fit_temperature(judged.labels, answers):.3g}"),
    }


def _named(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}-{name}")


def _mixed(targets: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    return ((1 - share) * targets + share * others).astype(np.float32)


def _progress_bar(keras, epochs: int):
    """One line on stderr: how far, the time left, the figures of the last epoch."""
    from tqdm import tqdm

    class Bar(keras.callbacks.Callback):
        bar = None

        def on_epoch_begin(self, epoch, logs=None):
            steps = self.params["steps"]
            if self.bar is None:
                self.bar = tqdm(total=epochs * steps, initial=epoch * steps, unit="batch", mininterval=1)
            self.bar.set_description(f"epoch {epoch + 1} of {epochs}")

        def on_train_batch_end(self, batch, logs=None):
            self.bar.update()

        def on_epoch_end(self, epoch, logs=None):
            self.bar.set_postfix({k: f"{logs[k]:.3f}" for k in ("loss", "val_accuracy") if k in logs})

        def on_train_end(self, logs=None):
            self.bar.close()

    return Bar()
