"""Settings and recipes, under the names of this version and of earlier ones."""

import json
from dataclasses import asdict, replace

import pytest

from ferlib.common.errors import BadInputError
from ferlib.train.augment import AUGMENTATIONS
from ferlib.train.networks import NETWORKS
from ferlib.train.recipes import RECIPES, Settings, current_names, get_recipe, kept_epoch, known_as

EARLIER = {
    "vote_weight": "votes",
    "ema": "averaging",
    "steps_per_epoch": "steps",
    "initial_weights": "start",
    "distillation_weight": "taught",
    "weight_interpolation": "blend",
    "calibrate": "corrected",
    "retrain_on_all": "repeats",
}


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"name": "best"}, "unknown recipe 'best'; known are light, first, second, third, shipped"),
        ({"name": "light", "epochs": 0}, "epochs must be between 1"),
        ({"name": "A", "batch_size": -1}, "batch_size must be between 1"),
        ({"name": "A", "learning_rate": 0.0}, "learning_rate must be"),
        ({"name": "A", "learning_rate": float("nan")}, "learning_rate must be"),
        ({"name": "A", "label_smoothing": 1.0}, "label_smoothing must be between 0 and 0.99, got 1"),
        ({"name": "A", "warm_up": 2.0}, "warm_up must be"),
        ({"name": "A", "weight_interpolation": 1.5}, "weight_interpolation must be between 0 and 1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes, line):
    with pytest.raises(BadInputError, match=line):
        get_recipe(**changes)


def test_a_recipe_changes_in_single_settings_only():
    assert get_recipe("D", epochs=3) == replace(RECIPES["D"], epochs=3)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_what_there_is(name):
    settings = RECIPES[name]
    assert settings.network in NETWORKS and settings.augmentation in AUGMENTATIONS
    assert set(settings.prerequisites) <= set(RECIPES)


def test_what_a_recipe_builds_on_comes_first():
    assert RECIPES["shipped"].prerequisites == ["first", "second", "third"]
    assert RECIPES["light"].prerequisites == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_bundle_knows_the_recipe_it_was_made_by(name):
    settings = json.loads(json.dumps(asdict(replace(RECIPES[name], seed=3))))
    assert known_as(settings) == name
    assert known_as(settings | {"epochs": 999}) is None
    older = {key: value for key, value in settings.items() if value != getattr(Settings(), key)}
    assert known_as(older) == name  # a bundle from before a setting was known
    earlier = {EARLIER.get(key, key): value for key, value in settings.items()}
    assert earlier != settings and current_names(earlier) == settings and known_as(earlier) == name


@pytest.mark.parametrize("keep, epoch", [("best", 2), ("last", 3)])
def test_the_epoch_that_is_kept(keep, epoch):
    history = [{"epoch": k + 1, "val_accuracy": right} for k, right in enumerate((0.5, 0.7, 0.6))]
    assert kept_epoch(history, keep) == epoch


def test_the_shipped_recipe_retrains_one_that_differs_in_nothing_else():
    assert RECIPES["shipped"] == replace(RECIPES["third"], retrain_on_all="third")
    assert RECIPES["third"].keep == "last"
