"""Models that another Keras wrote, as bundles of ours.

Keras 3 refuses the architecture of Keras 1 and 2, and a CPU cannot run their channels-first layers. So the
network is rebuilt from the file's list of layers, always channels last, and the weights are put into it.
Read are a whole-model `.h5`, and an architecture JSON with a weights file, of Keras 1, 2 and 3.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ferlib.common import labels
from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, BundleError
from ferlib.model.bundle import save_bundle
from ferlib.model.keras_import.layers import SPATIAL, apply
from ferlib.model.keras_import.weights import open_h5, read_weights, text_of
from ferlib.model.metadata import file_hash

SCALINGS = {"0..255": None, "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""What values the network was trained on: (factor, offset) that make them of 0 to 255."""

_MODELS = ("Sequential", "Model", "Functional")


@dataclass(frozen=True)
class Layer:
    """A layer as its file describes it: class, name, settings, and the names of the layers it takes from."""

    kind: str
    name: str
    config: dict
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """The layers of a network, in the file's order, and the name of the one whose output is the answer.

    `input_shape` is (h, w, channels), whatever the file's order; `channels_first` says what that was.
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
    """Make the bundle `out` of a model that another Keras wrote; returns its folder.

    `source`: a whole-model `.h5`, or an architecture JSON, whose weights are the file `weights`. What the
    files do not say must be given: `class_names` in the order of the outputs, and `scaling`, one of
    SCALINGS, which becomes a layer in front. A network of three channels gets the gray face in each; one
    that ends without an activation gets a softmax, and one that ends in a sigmoid a class has it replaced by
    one: the chance of a class, where one and only one holds, is in proportion to p / (1 - p), and that is the
    softmax of what the sigmoids take.

    `kernels`: "theano" or "tensorflow". Theano turns a kernel by 180° before it uses it, so weights
    trained with it are turned here. Keras 2 notes in its files which it was; channels-first weights of
    Keras 1 do not say, and are refused without this argument. Theano's 'same' padding with strides over
    1 or even kernels differs from TensorFlow's and is refused.

    Raises BundleError for files that cannot be read, a layer that is not known, and weights of another
    network (with the first layer that does not fit); BadInputError for arguments that make no sense. A
    bundle that was there is replaced only when all is well.
    """
    source, names = Path(source), labels.parse_classes(class_names)
    _choice("scaling", scaling, SCALINGS)
    if kernels is not None:
        _choice("kernels", kernels, ("theano", "tensorflow"))
    architecture = read_architecture(source)
    if weights is None and not _is_h5(source):
        raise BundleError(f"{source.name} holds no weights; give their file with weights")
    model = build_model(architecture, scaling)
    stored = Path(weights or source)
    turned = read_weights(stored, architecture, model, kernels)
    facts = {
        "files": {file.name: file_hash(file) for file in dict.fromkeys((source, stored))},
        "keras_version": architecture.keras_version,
        "channels_first": architecture.channels_first,
        "scaling": scaling,
        "kernels_turned": turned,
    }
    data = {"source": f"not known here: imported from {source.name}"}
    return save_bundle(model, out, names, extra={"data": data, "imported": facts})


def read_architecture(path: str | os.PathLike) -> Architecture:
    """The layers of a network from an architecture JSON or a whole-model `.h5`.

    Raises BundleError for a file that is neither, and for a network that is not one way from one picture
    to one answer.
    """
    path = Path(path)
    if not path.is_file():
        raise BundleError(f"{path}: no such file; give a whole-model .h5 or an architecture .json")
    version = ""
    try:
        if _is_h5(path):
            with open_h5(path) as file:
                if "model_config" not in file.attrs:
                    raise BundleError(
                        f"{path.name} holds weights only; give the architecture JSON and this file as its weights"
                    )
                text, version = (
                    text_of(file.attrs["model_config"]),
                    text_of(file.attrs.get("keras_version", "")),
                )
        else:
            text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        kind, config = content["class_name"], content["config"]
        if kind not in _MODELS:
            raise BundleError(f"{path.name}: a {kind} is no network; known are {', '.join(_MODELS)}")
        entries = config if isinstance(config, list) else config["layers"]
        layers = _chain(entries) if kind == "Sequential" else _graph(entries)
        version = str(content.get("keras_version", version or "unknown"))
        output = layers[-1].name if kind == "Sequential" else _single(config["output_layers"], "answers")
        if kind != "Sequential":
            _single(config["input_layers"], "inputs")
        first = _channels_first(layers)
        return Architecture(tuple(layers), output, _input_shape(layers, config, first), first, version)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BundleError(
            f"{path.name} is no architecture that Keras wrote ({type(error).__name__}: {error})"
        ) from error


def build_model(architecture: Architecture, scaling: str = "0..255"):
    """The untrained network: gray faces (n, h, w, 1), 0 to 255, to a softmax; channels last.

    Raises BundleError naming the layer that is not known or cannot be built.
    """
    _choice("scaling", scaling, SCALINGS)
    keras = import_keras()
    height, width, channels = architecture.input_shape
    x = inputs = keras.layers.Input((height, width, 1))
    if channels == 3:
        x = keras.layers.Concatenate(name="ferlib_gray_to_three")([x, x, x])
    elif channels != 1:
        raise BundleError(f"the network takes {channels} channels; a face has 1, or 3 that are the same")
    if SCALINGS[scaling]:
        factor, offset = SCALINGS[scaling]
        x = keras.layers.Rescaling(factor, offset, name="ferlib_scaling")(x)
    made = {}
    for layer in _sources_first(architecture.layers):
        if layer.kind == "InputLayer":
            made[layer.name] = x
            continue
        taken = [made[name] for name in layer.sources] if layer.sources else [x]
        if layer.name == architecture.output and layer.config.get("activation") == "sigmoid":
            layer = replace(layer, config=layer.config | {"activation": "linear"})
        made[layer.name] = apply(layer, taken, architecture.channels_first)
    answer = made[architecture.output]
    last = next(layer for layer in architecture.layers if layer.name == architecture.output)
    activation = "softmax" if last.kind == "Softmax" else last.config.get("activation", "linear")
    if len(answer.shape) != 2 or answer.shape[1] < 2 or activation not in ("softmax", "linear", "sigmoid"):
        raise BundleError(
            f"layer {last.name!r} ends the network with {activation} of shape {answer.shape[1:]}; a softmax "
            "over the classes is needed, for probabilities that sum to one"
        )
    if activation != "softmax":
        answer = keras.layers.Softmax(name="ferlib_softmax")(answer)
    return keras.Model(inputs, answer)


def _choice(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise BadInputError(f"unknown {what} {value!r}; known are {', '.join(known)}")


def _is_h5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _name(entry: dict) -> str:
    return str(entry["config"]["name"]).replace("/", "_")  # which Keras 3 forbids


def _chain(entries: list[dict]) -> list[Layer]:
    names = [_name(entry) for entry in entries]
    before = [(), *((name,) for name in names[:-1])]
    return [
        Layer(entry["class_name"], name, entry["config"], sources)
        for entry, name, sources in zip(entries, names, before, strict=True)
    ]


def _graph(entries: list[dict]) -> list[Layer]:
    layers = []
    for entry in entries:
        calls = entry["inbound_nodes"]
        if len(calls) > 1:
            raise BundleError(
                f"layer {_name(entry)!r} is used {len(calls)} times, which the import does not know"
            )
        sources = tuple(name.replace("/", "_") for name in _sources(calls[0])) if calls else ()
        layers.append(Layer(entry["class_name"], _name(entry), entry["config"], sources))
    return layers


def _sources_first(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers in an order in which each comes after those it takes from; a file need not have it."""
    waiting, done = list(layers), set()
    while waiting:
        layer = next((layer for layer in waiting if done.issuperset(layer.sources)), None)
        if layer is None:
            raise BundleError(f"layer {waiting[0].name!r} takes from a layer that is not there")
        waiting.remove(layer)
        done.add(layer.name)
        yield layer


def _sources(call) -> list[str]:
    """Names of the layers that one call takes from: [["conv", 0, 0], …], or Keras 3's `keras_history`."""
    if isinstance(call, list):
        return [part[0] for part in call]
    names = []

    def walk(part) -> None:
        if isinstance(part, dict) and "keras_history" in part:
            names.append(part["keras_history"][0])
        elif isinstance(part, (dict, list)):
            for inner in part.values() if isinstance(part, dict) else part:
                walk(inner)

    walk(call["args"])
    return names


def _single(ends: list, what: str) -> str:
    ends = ends if isinstance(ends[0], list) else [ends]  # Keras 3 writes a single one bare
    if len(ends) != 1:
        raise BundleError(f"the network has {len(ends)} {what}; one is needed")
    return ends[0][0].replace("/", "_")


def _channels_first(layers: Sequence[Layer]) -> bool:
    orders = {
        layer.config.get("data_format") or layer.config.get("dim_ordering") or "channels_last"
        for layer in layers
        if layer.kind in SPATIAL
    }
    first = {order in ("channels_first", "th") for order in orders}
    if len(first) > 1:
        raise BundleError("some layers of the network have channels first and some last, which cannot be")
    return first == {True}


def _input_shape(layers: Sequence[Layer], config, first: bool) -> tuple[int, int, int]:
    given = layers[0].config
    shape = given.get("batch_input_shape") or given.get("batch_shape")
    if shape is None and isinstance(config, dict):
        shape = config.get("build_input_shape")
    shape = tuple(shape or ())[1:]
    if len(shape) != 3 or None in shape:
        raise BundleError(f"the network takes inputs of shape {shape}; a picture of a fixed size is needed")
    return (shape[1], shape[2], shape[0]) if first else shape
