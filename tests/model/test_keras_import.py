"""Models of Keras 1 and 2 as bundles: files that tf_keras (Keras 2) writes, and Keras 1's forms by hand."""

import json
import os
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from ferlib.common.backend import import_keras, silenced_stderr
from ferlib.common.errors import BadInputError, BundleError
from ferlib.common.labels import SIX
from ferlib.model import bundle
from ferlib.model.bundle import load_bundle
from ferlib.model.keras_import import architecture as legacy
from ferlib.model.keras_import import layers as legacylayers
from ferlib.model.keras_import import weights as legacyweights
from ferlib.train import networks

keras = import_keras()
THREE = ("happy", "sad", "neutral")
SIDE = 12
LIGHT = np.linspace(0.2, 1, 6)[:, None, None]
FACES = (np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE)) * LIGHT).astype(np.uint8)


@pytest.fixture(scope="module")
def k2():
    with silenced_stderr():
        return pytest.importorskip("tf_keras")


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras 2, on its own .h5
        yield


def _shake(model, seed=1):
    """Other weights than those it starts with, the same in each run; variances are positive."""
    rng = np.random.default_rng(seed)

    def drawn(shape):
        if len(shape) == 1:
            return rng.uniform(0.5, 1.5, shape)
        return rng.normal(0, 1.5 / np.sqrt(np.prod(shape[:-1])), shape)

    model.set_weights([drawn(w.shape) for w in model.get_weights()])
    return model


def _sequential(k2, first: bool, flatten_as="input"):
    """A network of Keras 2, channels first or last, with each layer of the reference systems."""
    layers, order = k2.layers, "channels_first" if first else "channels_last"
    spatial = {"data_format": order}
    # Keras 2's Flatten takes the default order, whatever the network has; both may be met
    flatten = {"data_format": order} if flatten_as == "input" else {}
    shape = (1, SIDE, SIDE) if first else (SIDE, SIDE, 1)
    return _shake(
        k2.Sequential(
            [
                layers.ZeroPadding2D(((1, 0), (2, 1)), input_shape=shape, **spatial),
                layers.Conv2D(3, (3, 2), activation="relu", **spatial),
                layers.BatchNormalization(axis=1 if first else -1),
                layers.Conv2D(4, 3, padding="same", strides=2, **spatial),
                layers.Activation("relu"),
                layers.BatchNormalization(),  # over the width, where channels come first: a common slip
                layers.MaxPooling2D(2, padding="same", **spatial),
                layers.Dropout(0.3),
                layers.Flatten(**flatten),
                layers.Dense(5, activation="tanh"),
                layers.BatchNormalization(),
                layers.Dense(3, activation="softmax"),
            ]
        )
    )


def _residual(k2, first: bool):
    """A network with two ways from layer to layer, without a Dense one, three channels in."""
    layers, spatial = k2.layers, {"data_format": "channels_first" if first else "channels_last"}
    axis = 1 if first else -1
    inputs = k2.Input((3, SIDE, SIDE) if first else (SIDE, SIDE, 3))
    a = layers.Conv2D(3, 3, padding="same", name="a/conv", **spatial)(inputs)
    b = layers.LeakyReLU(0.2)(layers.Conv2D(3, 1, **spatial)(inputs))
    x = layers.Concatenate(axis=axis)([layers.Add()([a, b]), layers.Multiply()([a, b])])
    x = layers.AveragePooling2D(2, **spatial)(x)
    x = layers.Conv2D(3, 3, **spatial)(x)
    if not first:
        x = layers.SeparableConv2D(3, 3, use_bias=False)(x)
    return _shake(k2.Model(inputs, layers.Activation("softmax")(layers.GlobalAveragePooling2D(**spatial)(x))))


def _answers(model, values: np.ndarray, first: bool) -> np.ndarray:
    """What Keras 2 says; compiled by XLA, since TensorFlow's own CPU kernels refuse channels first."""
    import tensorflow as tf

    channels = model.input_shape[1 if first else -1]
    given = np.repeat(values[..., None], channels, axis=-1).astype(np.float32)
    given = given.transpose(0, 3, 1, 2) if first else given
    if not first:
        return model(given, training=False).numpy()
    return tf.function(lambda x: model(x, training=False), jit_compile=True)(given).numpy()


@pytest.fixture(scope="module")
def known(k2):
    """(make, first) to the model of Keras 2 and what it says of FACES / 255."""
    models = {(make, first): make(k2, first) for make in (_sequential, _residual) for first in (False, True)}
    return {key: (model, _answers(model, FACES / 255, key[1])) for key, model in models.items()}


def _rebuilt(source: Path, weights: Path | None, scaling="0..1", kernels=None) -> np.ndarray:
    """What the network says that `import_model` would save."""
    architecture = legacy.read_architecture(source)
    model = legacy.build_model(architecture, scaling)
    legacyweights.read_weights(weights or source, architecture.layers, model, kernels)
    return model(FACES[..., None].astype(np.float32), training=False).numpy()


def _save(model, folder: Path, how: str) -> tuple[Path, Path | None]:
    """(source, weights) as Keras 2 writes them."""
    if how == "whole":
        model.save(folder / "m.h5")
        return folder / "m.h5", None
    (folder / "m.json").write_text(model.to_json())
    model.save_weights(folder / how)
    return folder / "m.json", folder / how


@pytest.mark.parametrize("how", ["whole", "w.h5", "w.weights.h5"])
@pytest.mark.parametrize("first", [False, True], ids=["last", "first"])
@pytest.mark.parametrize("make", [_sequential, _residual])
def test_a_model_of_keras_2_gives_the_same_answers(known, tmp_path, make, first, how):
    model, wanted = known[make, first]
    assert np.ptp(wanted, axis=0).max() > 1e-2  # else any network would pass
    np.testing.assert_allclose(_rebuilt(*_save(model, tmp_path, how)), wanted, atol=1e-5)


@pytest.mark.parametrize(("how", "first"), [("whole", True), ("w.weights.h5", False)])
def test_the_import_is_a_bundle_like_any_other(known, tmp_path, how, first):
    model, wanted = known[_sequential, first]
    source, weights = _save(model, tmp_path, how)
    folder = legacy.import_model(source, tmp_path / "b", THREE, "0..1", weights)
    loaded = bundle.load_bundle(folder)
    np.testing.assert_allclose(loaded.predict(FACES), wanted, atol=1e-5)
    assert loaded.class_names == THREE and loaded.input_shape == (SIDE, SIDE, 1)
    told = loaded.metadata["imported"]
    assert told["channels_first"] is first and told["scaling"] == "0..1" and not told["kernels_turned"]
    assert list(told["files"]) == (["m.h5"] if weights is None else ["m.json", how])


def test_a_flatten_of_the_other_order(k2, tmp_path):
    model = _sequential(k2, first=True, flatten_as="default")
    wanted = _answers(model, FACES / 255, True)
    np.testing.assert_allclose(_rebuilt(*_save(model, tmp_path, "whole")), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("scaling", "factor", "offset"), [("0..255", 1, 0), ("0..1", 1 / 255, 0), ("-1..1", 1 / 127.5, -1)]
)
def test_scaling_becomes_a_layer_and_logits_get_a_softmax(k2, tmp_path, scaling, factor, offset):
    model = _shake(k2.Sequential([k2.layers.Flatten(input_shape=(SIDE, SIDE, 1)), k2.layers.Dense(3)]))
    values = (FACES * factor + offset) / (255 if scaling == "0..255" else 1)
    kernel, bias = model.get_weights()
    model.set_weights([kernel / (255 if scaling == "0..255" else 1), bias])
    logits = values.reshape(len(FACES), -1) @ kernel.astype(np.float64) + bias
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_rebuilt(*_save(model, tmp_path, "whole"), scaling), wanted, atol=1e-5)


def test_our_own_architecture_and_weights_come_back(tmp_path):
    model = networks.build("small", 7, (SIDE, SIDE, 1))
    (tmp_path / "m.json").write_text(model.to_json())
    model.save_weights(tmp_path / "m.weights.h5")
    wanted = model(FACES[..., None].astype("float32"), training=False)
    answers = _rebuilt(tmp_path / "m.json", tmp_path / "m.weights.h5", "0..255")
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


# Keras 1: no package of it runs today, so its forms are written out here and its answers computed in numpy.


def _keras_1(order="th") -> dict:
    """A small architecture JSON as Keras 1.0 wrote it: a bare list, other names, the order in each layer."""
    shape = [None, 1, SIDE, SIDE] if order == "th" else [None, SIDE, SIDE, 1]

    def layer(kind, name, **config):
        return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}

    conv = {"nb_row": 3, "nb_col": 3, "subsample": [1, 1], "bias": True, "dim_ordering": order}
    return {
        "class_name": "Sequential",
        "keras_version": "1.0.4",
        "loss": "categorical_crossentropy",
        "config": [
            layer("ZeroPadding2D", "zero_1", padding=[1, 1], dim_ordering=order, batch_input_shape=shape),
            layer("Convolution2D", "conv_1", nb_filter=2, border_mode="valid", activation="relu", **conv),
            layer("Convolution2D", "conv_2", nb_filter=3, border_mode="same", activation="linear", **conv),
            layer("BatchNormalization", "bn_1", mode=0, axis=1 if order == "th" else -1, epsilon=1e-5, momentum=0.9),
            layer("Activation", "act_1", activation="relu"),
            layer("MaxPooling2D", "pool_1", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering=order),
            layer("Flatten", "flat_1"),
            layer("Dropout", "drop_1", p=0.3),
            layer("Dense", "dense_1", output_dim=3, bias=True, input_dim=None, activation="softmax"),
        ],
    }  # fmt: skip


def _keras_1_weights(seed=3) -> dict[str, list[np.ndarray]]:
    """Layer to arrays, kernels as th has them: (filters, channels, rows, columns)."""
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return rng.normal(0, 0.5, shape).astype(np.float32)

    return {
        "conv_1": [drawn(2, 1, 3, 3), drawn(2)],
        "conv_2": [drawn(3, 2, 3, 3), drawn(3)],
        "bn_1": [drawn(3), drawn(3), drawn(3), np.abs(drawn(3)) + 0.5],
        "dense_1": [drawn(3 * 36, 3), drawn(3)],
    }


def _write_weights(path: Path, weights: dict, **attributes) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in weights]
        file.attrs.update(attributes)
        for name, arrays in weights.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}_{k}".encode() for k in range(len(arrays))]
            for k, array in enumerate(arrays):
                group[f"{name}_{k}"] = array
    return path


def _convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, theano: bool) -> np.ndarray:
    """Channels first, padded by one: correlation, or with Theano convolution in the strict sense."""
    kernel = kernel[:, :, ::-1, ::-1] if theano else kernel
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, kernel) + bias[:, None, None]


def _by_hand(weights: dict, values: np.ndarray, theano: bool, order: str) -> np.ndarray:
    x = np.maximum(_convolved(values[:, None].astype(np.float64), *weights["conv_1"], theano), 0)
    x = _convolved(x, *weights["conv_2"], theano)
    gamma, beta, mean, variance = (w[:, None, None] for w in weights["bn_1"])
    x = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    x = x.reshape(len(x), 3, SIDE // 2, 2, SIDE // 2, 2).max(axis=(3, 5))
    x = x if order == "th" else x.transpose(0, 2, 3, 1)
    logits = x.reshape(len(x), -1) @ weights["dense_1"][0] + weights["dense_1"][1]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("order", ["th", "tf"])
@pytest.mark.parametrize("kernels", ["theano", "tensorflow"])
def test_keras_1_gives_the_answers_computed_by_hand(tmp_path, order, kernels):
    weights = _keras_1_weights()
    (tmp_path / "m.json").write_text(json.dumps(_keras_1(order)))
    stored = {
        name: [a.transpose(2, 3, 1, 0) if a.ndim == 4 and order == "tf" else a for a in arrays]
        for name, arrays in weights.items()
    }
    path = _write_weights(tmp_path / "w.h5", stored)
    wanted = _by_hand(weights, FACES / 255, kernels == "theano", order)
    other = _by_hand(weights, FACES / 255, kernels != "theano", order)
    assert np.abs(wanted - other).max() > 0.01  # the two ways can be told apart
    answers = _rebuilt(tmp_path / "m.json", path, kernels=kernels)
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


def test_the_file_may_say_whose_kernels_it_has(tmp_path):
    weights = _keras_1_weights()
    (tmp_path / "m.json").write_text(json.dumps(_keras_1()))
    path = _write_weights(tmp_path / "w.h5", weights, backend=b"theano")
    folder = legacy.import_model(tmp_path / "m.json", tmp_path / "b", THREE, "0..1", path)
    loaded = bundle.load_bundle(folder)
    np.testing.assert_allclose(loaded.predict(FACES), _by_hand(weights, FACES / 255, True, "th"), atol=1e-5)
    assert loaded.metadata["imported"]["kernels_turned"] is True
    assert loaded.metadata["imported"]["keras_version"] == "1.0.4"


def test_unsaid_kernels_must_be_given(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(_keras_1()))
    path = _write_weights(tmp_path / "w.h5", _keras_1_weights())
    with pytest.raises(BadInputError, match=r"w.h5 does not say .* give kernels as theano or tensorflow"):
        legacy.import_model(tmp_path / "m.json", tmp_path / "b", THREE, "0..1", path)
    assert not (tmp_path / "b").exists()


def test_system_c_has_its_parameters():
    """Network C, written in Keras 1's form as its authors' file has it: 1,727,430 parameters."""
    conv = {"nb_row": 3, "nb_col": 3, "border_mode": "same", "dim_ordering": "th", "activation": "relu"}
    entries = []
    for stage, filters in enumerate((32, 64, 128)):
        for k in range(3):
            entries.append(("Convolution2D", f"c{stage}{k}", {"nb_filter": filters, **conv}))
        entries.append(("MaxPooling2D", f"p{stage}", {"pool_size": [2, 2], "dim_ordering": "th"}))
    entries.append(("Flatten", "f", {}))
    for k, units in enumerate((256, 256)):
        entries += [
            ("Dense", f"d{k}", {"output_dim": units, "activation": "relu"}),
            ("Dropout", f"o{k}", {"p": 0.3}),
        ]
    entries.append(("Dense", "d2", {"output_dim": 6, "activation": "softmax"}))
    before = [(), *((name,) for _, name, _ in entries)]
    layers = [legacylayers.Layer(*entry, sources) for entry, sources in zip(entries, before, strict=False)]
    model = legacy.build_model(legacy.Architecture(tuple(layers), "d2", (48, 48, 1), True, "1.0.4"))
    assert model.count_params() == 1_727_430 and model.output_shape == (None, 6)


@pytest.mark.real
@pytest.mark.skipif(
    "FERLIB_MEMEMOJI" not in os.environ, reason="FERLIB_MEMEMOJI names no architecture JSON of 2016"
)
def test_the_file_of_2016_is_rebuilt(tmp_path):
    source = Path(os.environ["FERLIB_MEMEMOJI"])
    architecture = legacy.read_architecture(source)
    assert architecture.channels_first and architecture.keras_version == "1.0.4"
    assert architecture.input_shape == (48, 48, 1)
    assert legacy.build_model(architecture, "0..1").count_params() == 1_727_430
    with pytest.raises(BundleError, match="holds no weights; give their file"):
        legacy.import_model(source, tmp_path / "b", SIX, "0..1")


def test_weights_of_another_network_name_the_first_layer_that_does_not_fit(k2, tmp_path):
    source, _ = _save(_sequential(k2, first=False), tmp_path, "w.h5")
    other = k2.Sequential(
        [
            k2.layers.Conv2D(3, (3, 2), input_shape=(SIDE, SIDE, 1)),
            k2.layers.BatchNormalization(),
            k2.layers.Conv2D(8, 3),
        ]
    )
    for name in ("other.h5", "other.weights.h5"):
        other.save_weights(tmp_path / name)
        with pytest.raises(
            BundleError, match=r"another network: layer 'conv2d\w*' \(Conv2D\) takes 3×3×3×4, 4, "
        ):
            legacy.import_model(source, tmp_path / "b", THREE, "0..1", tmp_path / name)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda w: w.pop("dense_1"), r"layer 'dense_1' \(Dense\) takes 108×3, 3, the file has nothing"),
        (lambda w: w.update(dense_2=[np.zeros((3, 3))]), "weights for a layer 'dense_2' that the network lacks"),
        (lambda w: w["conv_2"].pop(), r"layer 'conv_2' \(Convolution2D\) takes 3×3×2×3, 3, the file has 3×3×2×3$"),
        (lambda w: w.update(conv_1=[np.zeros((2, 1, 5, 5)), np.zeros(2)]), "has 5×5×1×2, 2"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(tmp_path, change, line):
    weights = _keras_1_weights()
    change(weights)
    (tmp_path / "m.json").write_text(json.dumps(_keras_1()))
    path = _write_weights(tmp_path / "w.h5", weights)
    with pytest.raises(BundleError, match=line):
        legacy.import_model(tmp_path / "m.json", tmp_path / "b", THREE, "0..1", path, "tensorflow")


@pytest.mark.parametrize("apart", [False, True], ids=["in the layer", "after it"])
def test_a_sigmoid_a_class_becomes_the_chance_that_this_one_alone_holds(k2, tmp_path, apart):
    """System E's own networks end so."""
    ends = [k2.layers.Dense(3), k2.layers.Activation("sigmoid")] if apart else [k2.layers.Dense(3, "sigmoid")]
    model = _shake(k2.Sequential([k2.layers.Flatten(input_shape=(SIDE, SIDE, 1)), *ends]))
    model.save(tmp_path / "m.h5")
    each = _answers(model, FACES / 255, False).astype(np.float64)
    others = np.stack([np.prod(1 - np.delete(each, k, axis=1), axis=1) for k in range(3)], axis=1)
    alone = each * others
    said = load_bundle(legacy.import_model(tmp_path / "m.h5", tmp_path / "b", THREE, "0..1")).predict(FACES)
    np.testing.assert_allclose(said, alone / alone.sum(axis=1, keepdims=True), atol=1e-4)
    assert np.ptp(said) > 0.1 and (said.argmax(axis=1) == each.argmax(axis=1)).all()


def _changed(layer: int, **config):
    def change(content):
        content["config"][layer]["config"].update(config)

    return change


def _kind(layer: int, kind: str):
    return lambda content: content["config"][layer].update(class_name=kind)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_kind(7, "LSTM"), "layer 'drop_1' is of the unknown kind LSTM; known are"),
        (_kind(7, "Lambda"), "layer 'drop_1' is of the unknown kind Lambda"),
        (_kind(6, "Activation"), "layer 'flat_1' .* cannot be rebuilt"),
        (
            _changed(1, border_mode="full"),
            r"layer 'conv_1' \(Convolution2D\) cannot be rebuilt: padding 'full'",
        ),
        (_changed(1, nb_filter=-2), "layer 'conv_1' .* cannot be rebuilt"),
        (_changed(1, activation="hard_sigmoid"), "activation 'hard_sigmoid' is not known"),
        (_changed(2, dim_ordering="tf"), "some layers of the network have channels first and some last"),
        (_changed(3, mode=1), "mode 1, which normalises each image by itself"),
        (_changed(0, batch_input_shape=[None, 1, None, None]), "an image of a fixed size is needed"),
        (_changed(0, batch_input_shape=[None, 4, SIDE, SIDE]), "takes 4 channels"),
        (_changed(8, activation="tanh"), "layer 'dense_1' ends the network with tanh"),
        (_changed(8, output_dim=1, activation="sigmoid"), r"with sigmoid of shape \(1,\); a softmax"),
        (lambda content: content.update(class_name="Bunch"), "a Bunch is no network"),
        (lambda content: content.update(config=[]), "no architecture that Keras wrote"),
        (lambda content: content.pop("config"), "no architecture that Keras wrote"),
        (lambda content: content["config"][2].pop("config"), "no architecture that Keras wrote"),
        (lambda content: content["config"].insert(2, 7), "no architecture that Keras wrote"),
    ],
)
def test_architectures_that_cannot_be_rebuilt_get_their_line(tmp_path, change, line):
    content = _keras_1()
    change(content)
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=line) as error:
        legacy.build_model(legacy.read_architecture(tmp_path / "m.json"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "no architecture that Keras wrote"),
        (b"[]", "no architecture that Keras wrote"),
        (b"{not json", "no architecture that Keras wrote"),
        (b"\xff\xfe\x00", "no architecture that Keras wrote"),
        (b"[" * 100_000, r"RecursionError.*no architecture that Keras wrote"),
        (b'{"name": "Sequential", "layers": [{"name": "Dense"}]}', "is of Keras 0"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer: fetch"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page: download the file itself"),
        (b"PK\x03\x04 and then nothing", r"m.h5 cannot be read \(BadZipFile"),
        (b"\x89HDF\r\n\x1a\n and then nothing", "it is no HDF5 file that Keras wrote"),
    ],
)
def test_files_that_are_no_models_get_their_line(tmp_path, content, line):
    (tmp_path / "m.h5").write_bytes(content)
    with pytest.raises(BundleError, match=line):
        legacy.import_model(tmp_path / "m.h5", tmp_path / "b", THREE, "0..1")


def test_a_weights_file_alone_is_no_model(tmp_path):
    path = _write_weights(tmp_path / "w.h5", _keras_1_weights())
    with pytest.raises(BundleError, match=r"w.h5 holds weights only; give the architecture JSON"):
        legacy.import_model(path, tmp_path / "b", THREE, "0..1")


def test_missing_files_and_arguments_get_their_line(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(_keras_1()))
    weights = _write_weights(tmp_path / "w.h5", _keras_1_weights())
    args = {"class_names": THREE, "scaling": "0..1", "weights": weights, "kernels": "theano"}
    for change, line in (
        ({"scaling": "0..2"}, "unknown scaling '0..2'"),
        ({"kernels": "jax"}, "unknown kernels 'jax'"),
        ({"weights": tmp_path / "none.h5"}, "none.h5: no such file"),
        ({"class_names": SIX}, "3 outputs for 6 class names"),
        ({"class_names": ("happy", "HAPPY", "sad")}, "a class is repeated"),
    ):
        with pytest.raises(BadInputError, match=line):
            legacy.import_model(tmp_path / "m.json", tmp_path / "b", **(args | change))
        assert not (tmp_path / "b").exists()
    with pytest.raises(BundleError, match="no such file"):
        legacy.import_model(tmp_path / "none.json", tmp_path / "b", **args)


def _keras_3():
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 1))
    x = layers.RandomFlip()(layers.Rescaling(1 / 255)(inputs))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="relu")(x))
    x = layers.Dropout(0.5)(layers.Flatten()(layers.GaussianNoise(0.1)(x)))
    return _shake(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


def test_a_whole_model_of_keras_3_is_imported(tmp_path):
    model = _keras_3()
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        folder = legacy.import_model(tmp_path / name, tmp_path / "b", THREE, "0..255")
        expected = model(FACES[..., None].astype(np.float32), training=False)
        np.testing.assert_allclose(load_bundle(folder).predict(FACES), expected, atol=1e-5)
        assert load_bundle(folder).metadata["imported"]["keras_version"] == keras.__version__


def _huge(file):
    path = next(name for name in _datasets(file) if file[name].ndim == 2)
    del file[path]
    file.create_dataset(path, (50_000, 50_000), "f4", chunks=(1000, 1000), fillvalue=0.0)


def _external(file):
    path = next(name for name in _datasets(file) if file[name].ndim == 2)
    del file[path]
    file[path] = h5py.ExternalLink("/etc/passwd", "/x")


def _elsewhere(file):
    path = next(name for name in _datasets(file) if file[name].ndim == 2)
    shape = file[path].shape
    del file[path]
    file.create_dataset(path, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _many_units(file):
    content = json.loads(file.attrs["model_config"])
    content["config"]["layers"][-1]["config"]["units"] = 10**9
    file.attrs["model_config"] = json.dumps(content)


def _datasets(file):
    names = []
    file["model_weights"].visititems(
        lambda _, each: names.append(each.name) if isinstance(each, h5py.Dataset) else None
    )
    return names


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_huge, "the file has 50000×50000, 3"),
        (_external, "is a link, which Keras never writes"),
        (_elsewhere, "is not stored in the file as numbers"),
        (_many_units, "weights are more than the file has"),
    ],
)
def test_hostile_h5_files_are_refused_before_memory_is_taken(tmp_path, change, line):
    _keras_3().save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        change(file)
    tracemalloc.start()
    with pytest.raises(BundleError, match=line):
        legacy.import_model(tmp_path / "m.h5", tmp_path / "b", THREE, "0..255")
    assert tracemalloc.get_traced_memory()[1] < 50e6  # NumPy tells tracemalloc of its arrays
    tracemalloc.stop()
    assert not (tmp_path / "b").exists()


def test_a_packed_member_of_a_keras_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", " " * 10_000_000)
    with pytest.raises(BundleError, match=r"m.keras: metadata.json would have 10,000,000 bytes"):
        legacy.import_model(tmp_path / "m.keras", tmp_path / "b", THREE, "0..255")
