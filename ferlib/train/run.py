"""Train a network on faces: targets, schedule, precision, checkpoints from which a stopped run goes on."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.dataset.ferplus import label_shares
from ferlib.dataset.splits import Dataset, check_classes, held_out
from ferlib.model import calibration
from ferlib.model.bundle import Bundle, load_bundle, save_bundle
from ferlib.model.metadata import METADATA_FILE
from ferlib.train import run
from ferlib.train.fit import (
    compiled,
    fast_precision,
    plateau_rate,
    targets,
    train,
)
from ferlib.train.recipes import RECIPES, Settings, known_as, recipe, with_votes


def fit(model, faces: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """A temperature and a shift of each class's score, float64 (n_classes,), fitted to faces it did not learn from.

    faces: uint8 (n, 48, 48), each also mirrored; labels: int (n,). Targets that people's votes have a share in move
    the answers towards what the votes name more often than the labels do, here neutral; this moves them back.
    See `calibration.fit_shift`.
    """
    both = np.concatenate([faces, faces[:, :, ::-1]])
    return calibration.fit_shift(np.concatenate([labels, labels]), answers(model, both))


def apply(model, temperature: float, shift: np.ndarray) -> None:
    """Build a correction into the last layer; BadInputError for a network that does not end in a dense layer."""
    last = model.layers[-1]
    if not isinstance(last, import_keras().layers.Dense):
        raise BadInputError(
            f"the network ends in {type(last).__name__}, not in a dense layer; choose another"
        )
    kernel, bias = last.get_weights()
    last.set_weights([kernel / temperature, bias / temperature + shift])


def to_facts(temperature: float, shift: np.ndarray, class_names: Sequence[str]) -> dict:
    """A correction as a bundle's metadata have it."""
    moved = {name: round(float(by), 3) for name, by in zip(class_names, shift, strict=True)}
    return {"temperature": float(f"{temperature:.4g}"), "shift": moved}


def of_bundle(bundle: Bundle) -> tuple[float, np.ndarray]:
    """The correction that a bundle's metadata have."""
    facts = bundle.metadata["correction"]
    return facts["temperature"], np.array([facts["shift"][name] for name in bundle.class_names])


def answers(model, faces: np.ndarray) -> np.ndarray:
    """What a network says to faces, uint8 (n, 48, 48): float32 (n, n_classes)."""
    return model.predict(faces[..., None].astype(np.float32), batch_size=256, verbose=0)


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
        by = run.of_bundle(again) if again else run.fit(model, judged.pixels, judged.labels)
        run.apply(model, *by)
    facts = {"source": source, "labels": labelled, "training_rows": len(fitted)}
    if not again:
        right = run.answers(model, judged.pixels).argmax(axis=1) == judged.labels
        facts |= {"held_out_rows": len(judged), "held_out_accuracy": round(float(right.mean()), 5)}
    effort = _efforts(beside, before)
    # FER2013's faces fill their picture as Haar's boxes do; notebook 02 cuts its own with no margin
    extra = {"detector": "frontalface_default", "margin": 0.0, "data": facts, "settings": asdict(settings)}
    extra |= {"earlier": effort} if effort else {}
    extra |= {"began_with": {"name": begin.name, "sha256": begin.metadata["sha256"]}} if begin else {}
    extra |= {"repeats": _as_judged(settings.repeats, again, judged)} if again else {}
    extra |= {"correction": run.to_facts(*by, rows.class_names)} if by else {}
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
