"""A training run: from the Training rows of a data set to a saved bundle, with the recipes it builds on."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.dataset.ferplus import label_shares
from ferlib.dataset.splits import Dataset, check_classes, held_out
from ferlib.model.bundle import Bundle, load_bundle, save_bundle
from ferlib.model.calibration import fit_temperature
from ferlib.model.metadata import METADATA_FILE
from ferlib.train.calibrate import Calibration
from ferlib.train.fit import TrainingData, fit_network, one_hot, predict_probabilities
from ferlib.train.recipes import Settings, get_recipe, known_as

MIN_ROWS_PER_CLASS = 5
"""Training rows that a class needs; of fewer, next to none could be held out to validate on."""


@dataclass(eq=False)
class TrainingRows:
    """The Training rows of a data set; the runs of one command share them.

    Attributes:
        dataset: A data set; its other rows are dropped.
        source: Where the data come from, for the metadata of the bundles.
        votes: FER+'s votes, int (n, 10), one row per row of `dataset`; None without them.
        label_source: Who gave the labels, "fer2013" or "ferplus", for the metadata of the bundles.

    Raises:
        DatasetError: Fewer than two classes, or a class with fewer than MIN_ROWS_PER_CLASS different images.
    """

    dataset: Dataset
    source: str
    votes: np.ndarray | None = None
    label_source: str = "fer2013"

    def __post_init__(self) -> None:
        training = self.dataset.usage == "Training"
        self.dataset = self.dataset.select(training)
        self.votes = None if self.votes is None else self.votes[training]
        check_classes(self.dataset, MIN_ROWS_PER_CLASS)


@dataclass(eq=False)
class TrainingRun:
    """One run: train the network of a recipe and save it as a bundle.

    A tenth of the rows, split off by groups of copies, is held out to select the epoch. Settings that retrain a
    recipe on all rows learn that tenth too, and take the calibration over from the bundle of that recipe. The recipes
    that the settings build on are trained first, into the bundles OUT-NAME, unless they are there already.

    Attributes:
        rows: The rows to learn from.
        settings: The settings of the run.
        out: Folder of the bundle to write.
        checkpoints: Folder from which a stopped run is resumed; those of the earlier recipes are beside it.
        initial_bundle: A bundle whose network this one starts from, if the settings do not name a recipe to start
            from; if its classes are others, without its last layer.
        progress: Whether to show a progress bar on stderr.

    Example:
        >>> rows = TrainingRows(read_fer2013("fer2013.csv"), "fer2013.csv")
        >>> history = TrainingRun(rows, get_recipe("light", epochs=3), Path("models/mine")).run()
    """

    rows: TrainingRows
    settings: Settings
    out: Path
    checkpoints: Path | None = None
    initial_bundle: Bundle | None = None
    progress: bool = False
    _recipe: str = ""  # the name of the recipe, in a run that another one builds on

    def run(self) -> list[dict[str, Any]]:
        """Train the recipes that this one builds on, then its network, and save the bundle.

        Returns:
            The history, one dict per epoch.

        Raises:
            BadInputError: Settings that contradict each other, the votes or `initial_bundle`; an earlier bundle of
                another recipe, seed or data set; and the errors of `fit_network`.
        """
        self._check()
        earlier = {name: self._load_or_train(name) for name in self.settings.prerequisites}
        callbacks = []
        if self.progress:
            import_keras()  # silences the import that tqdm makes
            from tqdm.keras import TqdmCallback

            callbacks.append(TqdmCallback())
        start = earlier.get(self.settings.initial_weights, self.initial_bundle)
        model, history = fit_network(
            self._data(earlier),
            self.settings,
            self.checkpoints and _named(self.checkpoints, self._recipe),
            callbacks,
            start.model.get_weights() if start else None,
        )
        calibration = self._calibrate(model, earlier)
        metadata = self._metadata(model, earlier, calibration)
        save_bundle(model, _named(self.out, self._recipe), self.rows.dataset.class_names, history, metadata)
        return history

    def _check(self) -> None:
        """Refuse settings that contradict each other or what they are given, before anything is trained."""
        settings, has_votes = self.settings, self.rows.votes is not None
        if self.initial_bundle and settings.initial_weights:
            raise BadInputError(
                f"these settings start from the recipe {settings.initial_weights}; choose others, or no bundle"
            )
        again = settings.retrain_on_all
        if again and replace(settings, retrain_on_all="") != get_recipe(again, seed=settings.seed):
            raise BadInputError(
                f"these settings retrain the recipe {again} and differ from it; change nothing but the seed, "
                f"or train {again} with the changes"
            )
        if settings.vote_weight and not has_votes:
            raise BadInputError(
                f"a vote_weight of {settings.vote_weight:g} needs FER+'s votes; give their file (--votes)"
            )
        if has_votes and not settings.vote_weight and not self._recipe:
            raise BadInputError(
                "with a vote_weight of 0 FER+'s votes are not used; give a weight, or no votes"
            )

    def _load_or_train(self, name: str) -> Bundle:
        """Load the bundle of an earlier recipe, or train it where it is not there."""
        settings, folder = get_recipe(name, seed=self.settings.seed), _named(self.out, name)
        if not (folder / METADATA_FILE).is_file():
            replace(self, settings=settings, initial_bundle=None, _recipe=name).run()
        bundle = load_bundle(folder)
        made_with, data = bundle.metadata.get("settings", {}), bundle.metadata.get("data", {})
        count = data.get("training_rows", 0) + data.get("held_out_rows", 0)
        expected = (name, settings.seed, len(self.rows.dataset))
        if (known_as(made_with), made_with.get("seed"), count) != expected:
            raise BadInputError(
                f"{folder} was not made by the recipe {name} with seed {settings.seed} from these rows; remove it"
            )
        return bundle

    @cached_property
    def _held_out(self) -> np.ndarray:
        return held_out(self.rows.dataset, 0.1, self.settings.seed)

    @cached_property
    def _validation(self) -> Dataset:
        return self.rows.dataset.select(self._held_out)

    def _data(self, earlier: dict[str, Bundle]) -> TrainingData:
        """The rows to learn, with their targets: the labels mixed with the votes and the teachers' predictions."""
        settings, n_classes = self.settings, len(self.rows.dataset.class_names)
        learned = np.full(len(self._held_out), True) if settings.retrain_on_all else ~self._held_out
        rows = self.rows.dataset.select(learned)
        targets = one_hot(rows.labels, n_classes)
        if settings.vote_weight and self.rows.votes is not None:
            shares = label_shares(self.rows.votes[learned], rows.labels, n_classes)
            targets = _mix(targets, shares, settings.vote_weight)
        if settings.teachers:
            predictions = [earlier[name].predict(rows.pixels, tta="flip") for name in settings.teachers]
            targets = _mix(targets, np.mean(predictions, axis=0), settings.distillation_weight)
        return TrainingData(rows, None if settings.retrain_on_all else self._validation, targets)

    def _calibrate(self, model: Any, earlier: dict[str, Bundle]) -> Calibration | None:
        """Build the calibration into the network, if the settings ask for one."""
        if not self.settings.calibrate:
            return None
        if self.settings.retrain_on_all:  # no rows are left that the network has not learned
            calibration = Calibration.from_metadata(earlier[self.settings.retrain_on_all].metadata)
        else:
            calibration = Calibration.fit(model, self._validation.pixels, self._validation.labels)
        calibration.apply(model)
        return calibration

    def _metadata(
        self, model: Any, earlier: dict[str, Bundle], calibration: Calibration | None
    ) -> dict[str, Any]:
        """What the bundle says about how it was made."""
        again, val = earlier.get(self.settings.retrain_on_all), self._validation
        data: dict[str, Any] = {"source": self.rows.source, "labels": self.rows.label_source}
        data["training_rows"] = len(self._held_out) - (0 if again else len(val))
        if not again:
            right = predict_probabilities(model, val.pixels).argmax(axis=1) == val.labels
            data |= {"held_out_rows": len(val), "held_out_accuracy": round(float(right.mean()), 5)}
        # FER2013's faces fill their image as the boxes of Haar do; notebook 02 crops its own without a margin
        metadata = {"detector": "frontalface_default", "margin": 0.0, "data": data}
        metadata["settings"] = asdict(self.settings)
        if earlier:
            metadata["earlier"] = self._costs(earlier)
        if self.initial_bundle:
            began = self.initial_bundle
            metadata["began_with"] = {"name": began.name, "sha256": began.metadata["sha256"]}
        if again:
            temperature = fit_temperature(val.labels, again.predict(val.pixels, tta="flip"))
            metadata["repeats"] = {
                "name": self.settings.retrain_on_all,
                "held_out_rows": len(val),
                "held_out_accuracy": again.metadata["data"]["held_out_accuracy"],
                "temperature": float(f"{temperature:.3g}"),
            }
        if calibration:
            metadata["correction"] = calibration.to_metadata(self.rows.dataset.class_names)
        return metadata

    def _costs(self, earlier: dict[str, Bundle]) -> dict[str, dict[str, float]]:
        """The epochs and seconds of the earlier networks, and of those before them, by recipe."""
        costs: dict[str, dict[str, float]] = {}
        for name, bundle in earlier.items():
            seconds = pd.read_csv(_named(self.out, name) / "history.csv")["seconds"]
            own = {"epochs": len(seconds), "seconds": round(float(seconds.sum()), 2)}
            costs |= bundle.metadata.get("earlier", {}) | {name: own}
        return costs


def _named(path: Path, recipe: str) -> Path:
    return path.with_name(f"{path.name}-{recipe}") if recipe else path


def _mix(targets: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    return ((1 - share) * targets + share * others).astype(np.float32)
