"""Import models that another version of Keras wrote as bundles.

Keras 3 refuses the architectures of Keras 1 and 2, and a CPU cannot run their channels-first layers. So the network is
rebuilt from the list of layers in the file, always channels last, and the weights are put into it. It reads a `.keras`,
a whole-model `.h5`, and an architecture JSON with a weights file, of Keras 1, 2 and 3.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ferlib.common import labels
from ferlib.common.backend import import_keras
from ferlib.common.errors import BundleError, check_choice, reading
from ferlib.model.bundle import save_bundle
from ferlib.model.keras_import.layers import SPATIAL, Layer, apply_layer
from ferlib.model.keras_import.weights import kind_of, open_h5, read_member, read_weights, text_of
from ferlib.model.metadata import MAX_SIDE, file_hash

SCALINGS = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""The range of values a network was trained on: (factor, offset) that produce it from 0..255."""

_MODELS = ("Sequential", "Model", "Functional")


@dataclass(frozen=True)
class Architecture:
    """The layers of a network.

    Attributes:
        layers: The layers, in the order of the file.
        output: The name of the layer whose output is the prediction.
        input_shape: (height, width, channels), whatever the order in the file.
        channels_first: Whether the file has channels first.
        keras_version: The version of Keras that wrote the file, or "unknown".
    """

    layers: tuple[Layer, ...]
    output: str
    input_shape: tuple[int, int, int]
    channels_first: bool
    keras_version: str


def import_model(
    source: str | os.PathLike,
    out: str | os.PathLike,
    class_names: Sequence[str],
    scaling: str,
    weights: str | os.PathLike | None = None,
    kernels: str | None = None,
) -> Path:
    """Make a bundle of a model that another version of Keras wrote.

    A network with three input channels gets the gray face in each of them. One that ends without an activation gets a
    softmax. One that ends in a sigmoid per class gets a softmax in its place: the probability of a class, given that
    exactly one holds, is proportional to p / (1 - p), which is the softmax of the inputs of the sigmoids.

    Args:
        source: A `.keras`, a whole-model `.h5`, or an architecture JSON.
        out: The folder of the bundle; an earlier bundle is replaced only if the import succeeds.
        class_names: The class names in the order of the outputs.
        scaling: The range of values the network was trained on, one of `SCALINGS`; it becomes a layer in front.
        weights: The file with the weights of an architecture JSON.
        kernels: "theano" or "tensorflow". Theano rotates a kernel by 180° before it uses it, so weights trained with
            it are rotated here. Keras 2 notes in its files which it was; channels-first weights of Keras 1 need this
            argument.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: A file that cannot be read, an unknown layer, weights of another network (naming the first layer
            that does not fit), or Theano's 'same' padding with strides over 1 or even kernels, which differs from
            TensorFlow's.
        BadInputError: An unknown `scaling` or `kernels`, or `kernels` is needed.
        LabelError: The class names are no class set.
    """
    source, names = Path(source), labels.parse_classes(class_names)
    check_choice("scaling", scaling, SCALINGS)
    if kernels is not None:
        check_choice("kernels", kernels, ("theano", "tensorflow"))
    architecture = read_architecture(source)
    if weights is None and kind_of(source) == "json":
        raise BundleError(f"{source.name} holds no weights; give their file with weights")
    stored = Path(weights or source)
    kind_of(stored)
    with reading(source.name, BundleError, "it is no network that the import can rebuild"):
        model = build_model(architecture, scaling, 4 * stored.stat().st_size)
        rotated = read_weights(stored, architecture.layers, model, kernels)
    facts = {
        "files": {file.name: file_hash(file) for file in dict.fromkeys((source, stored))},
        "keras_version": architecture.keras_version,
        "channels_first": architecture.channels_first,
        "scaling": scaling,
        "kernels_turned": rotated,
    }
    data = {"source": f"not known here: imported from {source.name}"}
    return save_bundle(model, out, names, extra={"data": data, "imported": facts})


def read_architecture(path: str | os.PathLike) -> Architecture:
    """Read the layers of a network.

    Args:
        path: An architecture JSON, a whole-model `.h5` or a `.keras`.

    Returns:
        The layers.

    Raises:
        BundleError: The file is neither, or its network has more than one input or output.
    """
    path = Path(path)
    text, version = _read_config(path)
    with reading(path.name, BundleError, "it is no architecture that Keras wrote"):
        content = json.loads(text)
        if "layers" in content and "class_name" not in content:
            raise BundleError(f"{path.name} is of Keras 0; load it there, and save it with Keras 1 or later")
        kind, config = content["class_name"], content["config"]
        if kind not in _MODELS:
            raise BundleError(f"{path.name}: a {kind} is no network; known are {', '.join(_MODELS)}")
        layers = read_layers(content)
        output = layers[-1].name
        if kind != "Sequential":
            output = _single(config["output_layers"], "outputs")
            _single(config["input_layers"], "inputs")
        if output not in [layer.name for layer in layers]:
            raise ValueError(f"its output {output!r} is not there")
        first = _channels_first(layers)
        shape = _input_shape(layers, config, first)
        return Architecture(tuple(layers), output, shape, first, str(content.get("keras_version", version)))


def _read_config(path: Path) -> tuple[str, str]:
    """The JSON of a network, and the version of Keras that the file names."""
    kind = kind_of(path)
    if kind == "keras":
        with reading(path.name, BundleError, "save it with Keras again"):
            facts = json.loads(read_member(path, "metadata.json"))
            return read_member(path, "config.json").decode(), str(facts["keras_version"])
    if kind == "h5":
        with open_h5(path) as file:
            if "model_config" not in file.attrs:
                raise BundleError(
                    f"{path.name} holds weights only; give the architecture JSON and this file as its weights"
                )
            return text_of(file.attrs["model_config"]), text_of(file.attrs.get("keras_version", "unknown"))
    with reading(path.name, BundleError, "it is no architecture that Keras wrote"):
        return path.read_text(encoding="utf-8"), "unknown"


def read_layers(content: Mapping[str, Any]) -> list[Layer]:
    """List the layers of a model's JSON.

    Args:
        content: The JSON as `model.to_json` of any version of Keras writes it.

    Returns:
        The layers, in the order of the file.

    Raises:
        BundleError: A layer is used more than once.
    """
    config = content["config"]
    layers: list[Layer] = []
    for entry in config if isinstance(config, list) else config["layers"]:
        name, sources = _valid_name(entry["config"]["name"]), [layer.name for layer in layers[-1:]]
        if content["class_name"] != "Sequential":
            calls = entry["inbound_nodes"]
            if len(calls) > 1:
                raise BundleError(f"layer {name!r} is used {len(calls)} times; the import supports one use")
            sources = [_valid_name(source) for call in calls for source in _source_names(call)]
        layers.append(Layer(entry["class_name"], name, entry["config"], tuple(sources)))
    return layers


def _valid_name(name: str) -> str:
    return str(name).replace("/", "_")  # Keras 3 forbids the slash


def _source_names(call: Any) -> list[str]:
    """The layers that one call takes its inputs from."""
    if isinstance(call, list):  # Keras 1 and 2: [["conv", 0, 0], …]
        return [source[0] for source in call]
    return re.findall(r'"keras_history": \["(.*?)"', json.dumps(call["args"]))


def build_model(architecture: Architecture, scaling: str = "0..255", max_weights: int = 2**31) -> Any:
    """Rebuild a network: gray faces in, a softmax out, channels last.

    Args:
        architecture: Its layers.
        scaling: The range of values it was trained on, one of `SCALINGS`.
        max_weights: The most weights that one of its layers may have.

    Returns:
        The untrained network; it takes float (n, height, width, 1) in 0..255.

    Raises:
        BundleError: A layer that is unknown or cannot be built, or an input or output that does not fit.
        BadInputError: An unknown `scaling`.
    """
    check_choice("scaling", scaling, SCALINGS)
    keras = import_keras()
    height, width, channels = architecture.input_shape
    x = inputs = keras.layers.Input((height, width, 1))
    if channels == 3:
        x = keras.layers.Concatenate(name="ferlib_gray_to_three")([x, x, x])
    elif channels != 1:
        raise BundleError(f"the network takes {channels} channels; a face has 1, or 3 that are the same")
    if scaling != "0..255":
        x = keras.layers.Rescaling(*SCALINGS[scaling], name="ferlib_scaling")(x)
    last = next(layer for layer in architecture.layers if layer.name == architecture.output)
    outputs: dict[str, Any] = {}
    for layer in _sources_first(architecture.layers):
        taken = [outputs[name] for name in layer.sources] or [x]
        if layer is last and layer.config.get("activation") == "sigmoid":
            layer = replace(layer, config=layer.config | {"activation": "linear"})
        if layer.kind == "InputLayer":
            outputs[layer.name] = x
        else:
            outputs[layer.name] = apply_layer(layer, taken, architecture.channels_first, max_weights)
    output = outputs[last.name]
    activation = "softmax" if last.kind == "Softmax" else last.config.get("activation", "linear")
    if len(output.shape) != 2 or output.shape[1] < 2 or activation not in ("softmax", "linear", "sigmoid"):
        raise BundleError(
            f"layer {last.name!r} ends the network with {activation} of shape {output.shape[1:]}; a softmax "
            "over the classes is needed, for probabilities that sum to one"
        )
    if activation != "softmax":
        output = keras.layers.Softmax(name="ferlib_softmax")(output)
    return keras.Model(inputs, output)


def _sources_first(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers in an order in which each comes after its sources, which a file need not have."""
    waiting, done = list(layers), set[str]()
    while waiting:
        layer = next((layer for layer in waiting if done.issuperset(layer.sources)), None)
        if layer is None:
            raise BundleError(f"layer {waiting[0].name!r} takes its input from a layer that is not there")
        waiting.remove(layer)
        done.add(layer.name)
        yield layer


def _single(ends: list, what: str) -> str:
    ends = ends if isinstance(ends[0], list) else [ends]  # Keras 3 writes a single one bare
    if len(ends) != 1:
        raise BundleError(f"the network has {len(ends)} {what}; one is needed")
    return _valid_name(ends[0][0])


def _channels_first(layers: Sequence[Layer]) -> bool:
    spatial = [layer.config for layer in layers if layer.kind in SPATIAL]
    orders = {config.get("data_format") or config.get("dim_ordering") for config in spatial}
    first = {order in ("channels_first", "th") for order in orders}
    if len(first) > 1:
        raise BundleError("some layers of the network have channels first and some last, which cannot be")
    return first == {True}


def _input_shape(layers: Sequence[Layer], config: Any, channels_first: bool) -> tuple[int, int, int]:
    first = layers[0].config
    shape = first.get("batch_input_shape") or first.get("batch_shape")
    if shape is None and isinstance(config, dict):
        shape = config.get("build_input_shape")
    shape = tuple(shape or ())[1:]
    if len(shape) != 3 or not all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in shape):
        raise BundleError(f"the network takes inputs of shape {shape}; an image of a fixed size is needed")
    return (shape[1], shape[2], shape[0]) if channels_first else shape
