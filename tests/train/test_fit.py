"""Fitting a network: the same seed gives the same weights, settings do what they say, bad input is refused."""

from dataclasses import replace

import numpy as np
import pytest

from ferlib.common.errors import BadInputError
from ferlib.train.fit import (
    TrainingData,
    build_compiled_model,
    class_weights,
    fast_precision,
    one_hot,
    plateau_rate,
    predict_probabilities,
)
from ferlib.train.recipes import RECIPES
from tests.train.tiny import (
    QUICK,
    ROWS,
    VALIDATION,
    assert_same,
    build_tiny,
    dataset,
    figures,
    fit,
    keras,
)


def test_the_same_seed_gives_the_same_training_and_another_seed_another(
    undisturbed, finished, tmp_path, monkeypatch, recwarn
):
    assert_same(finished[1:], undisturbed)
    monkeypatch.chdir(tmp_path)
    _, history = fit(replace(QUICK, seed=8, epochs=1))
    assert not list(tmp_path.iterdir())  # without a folder nothing is written
    assert not [str(w.message) for w in recwarn if "shuffle" in str(w.message)]
    assert np.abs(figures(history) - figures(undisturbed[1][:1])).max() > 1e-3


@pytest.mark.parametrize("ema", [True, False])
def test_it_learns_and_returns_the_weights_of_the_best_epoch(ema):
    model, history = fit(replace(QUICK, epochs=12, ema=ema))
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert history[-1]["loss"] < history[0]["loss"]
    best = max(history, key=lambda row: row["val_accuracy"])  # the first of equal ones
    assert best["val_accuracy"] > 0.9
    answers = predict_probabilities(model, VALIDATION.pixels)
    assert (answers.argmax(axis=1) == VALIDATION.labels).mean() == pytest.approx(
        best["val_accuracy"], abs=1e-6
    )
    kept = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(np.eye(2)[VALIDATION.labels], answers)
    assert float(kept) == pytest.approx(best["val_loss"], abs=1e-3)


@pytest.mark.parametrize("name", ["A", "D"])
def test_published_recipes_train(name):
    _, history = fit(replace(RECIPES[name], network="tiny", epochs=1, steps_per_epoch=2))
    assert len(history) == 1 and np.isfinite(history[0]["loss"])


@pytest.mark.parametrize(
    "name, optimizer, rate",
    [
        ("A", "SGD", 0.01),
        ("B", "SGD", 0.01),
        ("C", "Adam", 1e-3),
        ("D", "Adam", 5e-4),
        ("E", "Adam", 1e-3),
        ("E-small", "Adam", 1e-3),
    ],
)
def test_the_published_optimizers(name, optimizer, rate):
    settings = replace(RECIPES[name], network="tiny", precision="float32")
    made = build_compiled_model(settings, 2, steps_per_epoch=200).optimizer
    assert type(made).__name__ == optimizer and float(made.learning_rate) == pytest.approx(rate)
    if optimizer == "SGD":
        assert made.momentum == 0.9 and made.nesterov
        # Keras 2: rate / (1 + decay * steps)
        assert float(made._learning_rate(2000)) == pytest.approx(0.01 / (1 + 1e-6 * 2000))


def test_our_optimizer_averages_the_weights_and_decays_kernels_only():
    made = build_compiled_model(replace(RECIPES["quick-pair"], network="tiny"), 2, steps_per_epoch=50)
    assert type(made.optimizer).__name__ == "AdamW" and made.optimizer.use_ema
    assert made.optimizer.ema_momentum == pytest.approx(1 - 1 / 50)
    made.optimizer.build(made.trainable_variables)
    decayed = {v.name for v in made.trainable_variables if made.optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def test_the_plateau_is_that_of_keras():
    losses = [3.0, 2.0, 2.1, 2.2, 1.9, 1.95, 1.99, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    keras_own = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=2, min_lr=1e-5)
    model = build_tiny(2)
    model.compile(keras.optimizers.Adam(5e-4), "categorical_crossentropy")
    keras_own.set_model(model)
    keras_own.on_train_begin()
    for epoch, loss in enumerate(losses):
        keras_own.on_epoch_end(epoch, {"val_loss": loss})
        ours = plateau_rate(5e-4, losses[: epoch + 1])
        assert ours == pytest.approx(float(model.optimizer.learning_rate), rel=1e-4), epoch


def test_class_weights_make_all_classes_count_alike():
    weights = class_weights(np.array([0] * 6 + [2] * 2))
    assert weights == {0: 8 / (2 * 6), 2: 8 / (2 * 2)}
    assert 6 * weights[0] == pytest.approx(2 * weights[2]) and 6 * weights[0] + 2 * weights[2] == 8


def test_balanced_training_predicts_the_rare_class_more_often():
    rows = dataset(200, seed=4)
    rows = rows.select((rows.labels == 0) | (np.arange(200) % 10 == 1))
    said = {}
    for balanced in (False, True):
        settings = replace(QUICK, epochs=4, balanced=balanced, ema=False, learning_rate=1e-3)
        model, _ = fit(settings, data=TrainingData(rows, VALIDATION))
        said[balanced] = predict_probabilities(model, VALIDATION.pixels)[:, 1].mean()
    assert said[True] > said[False]


def test_the_last_epoch_is_kept_and_interpolated_with_the_initial_weights(tmp_path, undisturbed):
    settings = replace(QUICK, epochs=1, keep="last")
    start = undisturbed[0].get_weights()
    plain, _ = fit(settings, initial_weights=start)
    mixed, _ = fit(replace(settings, weight_interpolation=0.25), tmp_path, initial_weights=start)
    again, _ = fit(
        replace(settings, weight_interpolation=0.25), tmp_path, initial_weights=start
    )  # nothing is left to do
    weights = (start, *(model.get_weights() for model in (plain, mixed, again)))
    for old, new, got, resumed in zip(*weights, strict=True):
        np.testing.assert_allclose(got, 0.25 * old + 0.75 * new, atol=1e-6)
        np.testing.assert_array_equal(got, resumed)


@pytest.mark.parametrize("changes", [{"keep": "best"}, {"keep": "last", "schedule": "plateau"}])
def test_settings_that_need_validation_faces_are_refused_without(changes):
    with pytest.raises(BadInputError, match="these settings need validation faces"):
        fit(replace(QUICK, **changes), data=TrainingData(ROWS))


@pytest.mark.parametrize(
    "rows, validation, line",
    [
        (ROWS.select(ROWS.labels == 1), VALIDATION, "all training faces have the label neutral; give faces of two"),
        (ROWS.select(np.arange(3)), VALIDATION, "3 training faces are too few for 2 classes"),
        (ROWS.select(np.arange(0)), VALIDATION, "0 training faces are too few"),
        (ROWS, VALIDATION.select(np.arange(0)), "there are 0 validation faces"),
    ],
)  # fmt: skip
def test_bad_data_are_refused(rows, validation, line):
    with pytest.raises(BadInputError, match=line):
        TrainingData(rows, validation)


@pytest.mark.parametrize(
    "change",
    [
        {"network": "vgg"},
        {"augmentation": "most"},
        {"optimizer": "lion"},
        {"schedule": "up"},
        {"precision": "int8"},
        {"keep": "first"},
    ],
)
def test_unknown_names_in_the_settings_are_refused(change):
    (name,) = change.values()
    with pytest.raises(BadInputError, match=rf"unknown \w+ '{name}'; known are"):
        fit(replace(QUICK, **change))


def test_weights_of_another_network_are_refused():
    weights = [np.zeros((3, 3))]
    with pytest.raises(BadInputError, match="initial weights are those of another network than tiny"):
        fit(initial_weights=weights)


@pytest.mark.parametrize("precision, policy", [("float32", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_precision_is_that_of_the_network_and_not_of_the_session(precision, policy):
    before = keras.config.dtype_policy().name
    model = build_compiled_model(replace(QUICK, precision=precision), 2, steps_per_epoch=4)
    assert policy in {layer.dtype_policy.name for layer in model.layers}
    assert keras.config.dtype_policy().name == before


def test_fast_precision_is_one_of_two():
    assert fast_precision() in ("float32", "bfloat16")


def test_the_learning_rate_warms_up_and_ends_near_zero():
    settings = replace(QUICK, epochs=10, warm_up=0.1)
    rate = build_compiled_model(settings, 2, steps_per_epoch=20).optimizer._learning_rate
    start, top, end = (float(rate(step)) for step in (0, 20, 200))
    assert start < 0.1 * settings.learning_rate < top == pytest.approx(settings.learning_rate, rel=0.02)
    assert end < 1e-3 * settings.learning_rate


def test_one_hot_targets():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    assert one_hot(np.array([2]), 3).dtype == np.float32
