import re
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError
from ferlib.train import networks

keras = import_keras()


@pytest.mark.parametrize(
    "name, n_classes, parameters",
    [
        ("A", 2, 6_907_330),
        ("B", 7, 6_912_199),
        ("C", 6, 1_727_430),
        ("D", 7, 4_478_727),
        ("D", 2, 4_476_162),
        ("E", 7, 2_650_407),
        ("E-small", 7, 1_626_055),
    ],
)
def test_parameter_counts_of_the_reference_systems(name, n_classes, parameters):
    assert networks.build(name, n_classes).count_params() == parameters


@pytest.mark.parametrize("name", ["E", "E-small"])
def test_e_as_published_takes_64_by_64_in_colour_and_has_the_same_weights(name):
    ours, published = networks.build(name, 7), networks.build(name, 7, (64, 64, 3))
    assert ours.input_shape == (None, 48, 48, 1) and published.input_shape == (None, 64, 64, 3)
    assert [w.shape for w in ours.weights] == [w.shape for w in published.weights]
    published.set_weights(ours.get_weights())
    gray = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)
    large = keras.ops.image.resize(gray, (64, 64), interpolation="bilinear")
    colour = keras.ops.repeat(large, 3, axis=-1)
    np.testing.assert_allclose(ours(gray).numpy(), published(colour).numpy(), atol=1e-5)


def _outline(model) -> list[tuple]:
    """(kind, filters or units, size or rate, padding) of each layer that computes."""
    found = []
    for layer in model.layers:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            found.append(("conv", config["filters"], config["kernel_size"][0], config["padding"]))
        elif isinstance(layer, keras.layers.Dense):
            found.append(("dense", config["units"]))
        elif isinstance(layer, keras.layers.Dropout):
            found.append(("drop", config["rate"]))
        elif isinstance(layer, keras.layers.MaxPooling2D):
            found.append(("pool", config["pool_size"][0]))
    return found


def test_networks_b_c_e_layer_by_layer():
    b = _outline(networks.build("B", 7))
    assert b[0] == ("conv", 32, 1, "same") and b[1:-1] == _outline(networks.build("A", 7))[1:-1]
    block = [[("conv", n, 3, "same")] * 3 + [("pool", 2)] for n in (32, 64, 128)]
    assert _outline(networks.build("C", 6)) == [
        *chain(*block),
        *[("dense", 256), ("drop", 0.3)] * 2,
        ("dense", 6),
    ]
    e = [
        [("conv", n, 3, "same"), ("conv", n, 3, "valid"), ("pool", 2), ("drop", 0.25)] for n in (32, 64, 128)
    ]
    assert _outline(networks.build("E", 7)) == [*chain(*e), ("dense", 512), ("drop", 0.5), ("dense", 7)]
    small = [[("conv", n, 3, "valid"), ("pool", 2)] for n in (32, 64)]
    assert _outline(networks.build("E-small", 7)) == [*chain(*small), ("dense", 128), ("dense", 7)]


def test_no_network_names_a_backend():
    source = Path(networks.__file__).read_text(encoding="utf-8")
    assert not re.search(r"\btf\.|tensorflow", source)


def test_the_light_network_is_light():
    assert networks.build("small", 7).count_params() < 2_000_000


def test_network_a_layer_by_layer():
    model = networks.build("A", 2)
    shapes = [layer.output.shape[1:] for layer in model.layers if layer.weights]
    assert shapes == [(48, 48, 32), (48, 48, 32), (24, 24, 32), (12, 12, 64), (2048,), (1024,), (2,)]
    assert [layer.kernel_size for layer in model.layers if hasattr(layer, "kernel_size")] == [
        (3, 3),
        (5, 5),
        (3, 3),
        (5, 5),
    ]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5, 0.5]


def test_network_d_layer_by_layer():
    model = networks.build("D", 7)
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Dropout"]
    dense = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert kinds == [*block * 4, "Flatten", *dense * 2, "Dense"]
    assert {layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)} == {0.25}


@pytest.mark.parametrize("name", list(networks.NETWORKS))
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_each_answer_is_a_row_of_float32_probabilities(name, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = networks.build(name, 6)
    finally:
        keras.config.set_dtype_policy(before)
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1)).astype(np.float32)
    answers = model(faces, training=False).numpy()
    assert answers.shape == (3, 6) and answers.dtype == np.float32
    assert (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name, low, high", [("A", 0, 1), ("small", -1, 1)])
def test_networks_rescale_for_themselves(name, low, high):
    rescale = next(
        layer
        for layer in networks.build(name, 2).layers
        if not isinstance(layer, keras.layers.InputLayer)  # Functional models list it, Sequential ones do not
    )
    np.testing.assert_allclose(rescale(np.array([0.0, 255.0])), [low, high], atol=1e-6)


def test_an_unknown_name_is_refused_with_those_known():
    with pytest.raises(
        BadInputError, match=r"unknown network 'vgg'; known are A, B, C, D, E, E-small, small"
    ):
        networks.build("vgg", 7)


@pytest.mark.parametrize("n_classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(n_classes):
    with pytest.raises(BadInputError, match=f"at least two classes, got {n_classes}"):
        networks.build("small", n_classes)


def _nodes_and_arrows(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    nodes = dict(re.findall(r'^    (n\d+)\["(.+)"\]$', text, re.MULTILINE))
    arrows = re.findall(r"^    (n\d+) --> (n\d+)$", text, re.MULTILINE)
    assert len(text.splitlines()) == 1 + len(nodes) + len(arrows)
    return nodes, arrows


def test_mermaid_draws_every_layer_of_a_stack_in_a_chain():
    model = networks.build("A", 2)
    text = networks.mermaid(model)
    nodes, arrows = _nodes_and_arrows(text)
    assert text.startswith("flowchart TD\n")
    assert list(nodes.values())[:3] == [
        "Rescaling<br/>48 × 48 × 1",
        "Conv2D<br/>48 × 48 × 32",
        "Conv2D<br/>48 × 48 × 32",
    ]
    assert arrows == [(f"n{k}", f"n{k + 1}") for k in range(len(model.layers) - 1)]


def test_mermaid_draws_both_ways_into_a_sum():
    model = networks.build("small", 7)
    nodes, arrows = _nodes_and_arrows(networks.mermaid(model))
    assert len(nodes) == len(model.layers)
    into = {name: [a for a, b in arrows if b == name] for name in nodes}
    sums = [name for name, text in nodes.items() if text.startswith("Add<")]
    assert len(sums) == 4 and all(len(set(into[name])) == 2 for name in sums)
    assert [name for name in nodes if not into[name]] == ["n0"]  # only the input comes from nowhere


@pytest.mark.parametrize("name", ["A", "small"])
def test_the_mermaid_of_a_model_that_was_called_again_has_no_foreign_arrows(name):
    part = networks.build(name, 2)
    before = networks.mermaid(part)
    inputs = keras.layers.Input((48, 48, 1))
    keras.Model(inputs, part(inputs))
    rescale = next(layer for layer in part.layers if isinstance(layer, keras.layers.Rescaling))
    keras.Model(part.inputs, rescale(part.inputs[0]))
    assert networks.mermaid(part) == before


@pytest.mark.skipif(not shutil.which("dot"), reason="graphviz' dot is not on this machine")
@pytest.mark.parametrize("name", ["A", "small"])  # the lines of "small" once made dot abort
def test_the_plot_is_a_picture_where_dot_is_there(tmp_path, name):
    shown = networks.plot_network(networks.build(name, 2), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert shown.data == (tmp_path / "a.png").read_bytes()


def test_the_plot_is_mermaid_where_dot_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    model = networks.build("A", 2)
    shown = networks.plot_network(model, tmp_path / "a.png")
    assert shown.data == f"```mermaid\n{networks.mermaid(model)}\n```"
    assert not (tmp_path / "a.png").exists()


def test_the_plot_is_mermaid_where_dot_fails(tmp_path, monkeypatch, capfd):
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    model = networks.build("A", 2)
    assert networks.plot_network(model, tmp_path / "a.png").data.startswith("```mermaid\nflowchart TD\n")
    assert capfd.readouterr() == ("", "")
