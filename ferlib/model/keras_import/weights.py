"""Weights files of Keras 1, 2 and 3, read into a rebuilt network."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ferlib.common.errors import BadInputError, BundleError

_KERNELS = ("Conv2D", "Convolution2D")


def read_weights(path: Path, architecture, model, kernels: str | None = None) -> bool:
    """Put the weights of a file into `model`, rebuilt from `architecture`; tells whether kernels were turned.

    `path`: a whole-model `.h5`, a weights `.h5` of Keras 1 or 2, or a `.weights.h5` of Keras 2 or 3;
    layers are matched by their order, as Keras does. `kernels` as in `architecture.import_model`. Raises
    BundleError with the first layer that does not fit, and then leaves the model in parts changed.
    """
    path = Path(path)
    if not path.is_file():
        raise BundleError(f"{path}: no such file; give the file of the weights")
    own = {layer.name: layer for layer in model.layers}
    wanted = [layer for layer in architecture.layers if layer.name in own and own[layer.name].weights]
    with open_h5(path) as file:
        root = file.get("model_weights", file)
        backend = text_of(root.attrs.get("backend", file.attrs.get("backend", "")))
        stored = _by_order(root) if "layer_names" in root.attrs else _by_class(root, architecture.layers)
    turn = _turned(kernels, backend, wanted, own, path)
    for number in range(max(len(wanted), len(stored))):
        if number == len(wanted):
            raise BundleError(
                f"{path.name} has weights for a layer {stored[number][0]!r} that the network lacks"
            )
        layer, arrays = wanted[number], stored[number][1] if number < len(stored) else []
        arrays = [_channels_last(array, layer, turn) for array in arrays]
        target = own[layer.name]
        takes, has = [tuple(w.shape) for w in target.weights], [array.shape for array in arrays]
        if takes != has:
            raise BundleError(
                f"{path.name} holds the weights of another network: layer {layer.name!r} ({layer.kind}) takes "
                f"{_shapes(takes)}, the file has {_shapes(has)}"
            )
        target.set_weights(arrays)
    return turn


@contextmanager
def open_h5(path: Path) -> Iterator:
    """An HDF5 file open for reading; BundleError where it is none, or breaks off."""
    import h5py

    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise BundleError(f"{Path(path).name} cannot be read as HDF5 ({error})") from error


def text_of(value) -> str:
    """An attribute as text: h5py gives bytes for files of older Keras."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _by_order(root) -> list[tuple[str, list[np.ndarray]]]:
    """(layer, its arrays) of Keras 1 and 2's layout: attributes list layers and weights in their order."""
    found = []
    for name in _names(root, "layer_names"):
        arrays = [np.asarray(root[name][weight]) for weight in _names(root[name], "weight_names")]
        if arrays:
            found.append((name, arrays))
    return found


def _names(group, attribute: str) -> list[str]:
    """A list of names; one too long for an attribute goes on in `…0`, `…1`."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [text_of(name) for part in parts for name in group.attrs[part]]


def _by_class(root, layers) -> list[tuple[str, list[np.ndarray]]]:
    """The same of a `.weights.h5`: a group for each layer, named after its class and counted."""
    holder = root.get("layers", root.get("_layer_checkpoint_dependencies"))
    if holder is None:
        raise BundleError(f"{Path(root.file.filename).name} holds no weights of Keras layers")
    groups = {}
    for name, group in holder.items():
        weights = group.get("vars", {})
        if len(weights):
            groups[name] = [np.asarray(weights[str(k)]) for k in range(len(weights))]
    count, found = Counter(), []
    for layer in layers:
        base = _snake_case(layer.kind)
        name = f"{base}_{count[base]}" if count[base] else base
        count[base] += 1
        if name in groups:
            found.append((name, groups.pop(name)))
    return found + list(groups.items())


def _snake_case(name: str) -> str:
    """As Keras names the groups: `SeparableConv2D` is `separable_conv2d`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _turned(kernels: str | None, backend: str, layers, own, path: Path) -> bool:
    """Whether the kernels are Theano's: said by the caller, else by the file."""
    convolutions = [
        layer for layer in layers if layer.kind in _KERNELS and max(own[layer.name].kernel_size) > 1
    ]
    if (
        kernels is None
        and not backend
        and any(layer.config.get("dim_ordering") == "th" for layer in convolutions)
    ):
        raise BadInputError(
            f"{path.name} does not say whether its kernels are Theano's, which turns them by 180°; "
            "give kernels as theano or tensorflow"
        )
    turn = (kernels or backend) == "theano"
    for layer in convolutions if turn else ():
        target = own[layer.name]
        odd = all(size % 2 for size in target.kernel_size)
        if target.padding == "same" and (not odd or max(target.strides) > 1):
            raise BundleError(
                f"layer {layer.name!r} pads to the same size with an even kernel or a stride, which Theano and "
                "TensorFlow do differently; it cannot be imported"
            )
    return turn


def _channels_last(array: np.ndarray, layer, turn: bool) -> np.ndarray:
    if array.ndim != 4 or layer.kind not in _KERNELS:
        return array
    if layer.config.get("dim_ordering") == "th":  # Keras 1: (filters, channels, rows, columns)
        array = array.transpose(2, 3, 1, 0)
    return array[::-1, ::-1] if turn else array


def _shapes(shapes: list[tuple]) -> str:
    return ", ".join("×".join(map(str, shape)) for shape in shapes) or "nothing"
