"""Read weights files of Keras 1, 2 and 3 into a rebuilt network."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ferlib.common.errors import BadInputError, BundleError
from ferlib.model.keras_import.layers import Layer

_CONVOLUTIONS = ("Conv2D", "Convolution2D")


def read_weights(path: Path, layers: Sequence[Layer], model: Any, kernels: str | None = None) -> bool:
    """Put the weights of a file into a network.

    Layers are matched by their order, as Keras does.

    Args:
        path: A whole-model `.h5`, a weights `.h5` of Keras 1 or 2, or a `.weights.h5` of Keras 2 or 3.
        layers: The layers of the network, in the order of its file.
        model: The network that was rebuilt from them.
        kernels: "theano" or "tensorflow"; see `architecture.import_model`.

    Returns:
        Whether the kernels were rotated by 180°.

    Raises:
        BundleError: The file cannot be read, or a layer does not fit; the model is then changed in part.
        BadInputError: The file does not say whose kernels it has, and `kernels` is None.
    """
    if not path.is_file():
        raise BundleError(f"{path}: no such file; give the file of the weights")
    rebuilt = {layer.name: layer for layer in model.layers}
    weighted = [layer for layer in layers if layer.name in rebuilt and rebuilt[layer.name].weights]
    with open_h5(path) as file:
        root = file.get("model_weights", file)
        backend = text_of(root.attrs.get("backend", file.attrs.get("backend", "")))
        stored = _by_order(root) if "layer_names" in root.attrs else _by_class(root, layers)
    rotate = _must_rotate(kernels or backend, weighted, rebuilt, path)
    for number, layer in enumerate(weighted):
        arrays = stored[number][1] if number < len(stored) else []
        arrays = [_channels_last(array, layer, rotate) for array in arrays]
        target = rebuilt[layer.name]
        expected, found = [tuple(w.shape) for w in target.weights], [array.shape for array in arrays]
        if expected != found:
            raise BundleError(
                f"{path.name} holds the weights of another network: layer {layer.name!r} ({layer.kind}) takes "
                f"{_shapes(expected)}, the file has {_shapes(found)}"
            )
        target.set_weights(arrays)
    if len(stored) > len(weighted):
        extra = stored[len(weighted)][0]
        raise BundleError(f"{path.name} has weights for a layer {extra!r} that the network lacks")
    return rotate


@contextmanager
def open_h5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.

    Yields:
        The open file.

    Raises:
        BundleError: The file is not HDF5, or is truncated.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise BundleError(f"{path.name} cannot be read as HDF5 ({error})") from error


def text_of(value: str | bytes) -> str:
    """Decode an attribute; h5py gives bytes for files of older versions of Keras.

    Args:
        value: The attribute.

    Returns:
        Its text.
    """
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


_Stored = list[tuple[str, list[np.ndarray]]]  # the name of each layer with its arrays


def _by_order(root: Any) -> _Stored:
    """Keras 1 and 2: attributes list layers and weights in their order."""
    names = _names(root, "layer_names")
    arrays = [
        [np.asarray(root[name][weight]) for weight in _names(root[name], "weight_names")] for name in names
    ]
    return [stored for stored in zip(names, arrays, strict=True) if stored[1]]


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; one too long for an attribute is continued in `…0`, `…1`."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [text_of(name) for part in parts for name in group.attrs[part]]


def _by_class(root: Any, layers: Sequence[Layer]) -> _Stored:
    """A `.weights.h5`: one group per layer, named after its class with a number."""
    parent = root.get("layers", root.get("_layer_checkpoint_dependencies"))
    if parent is None:
        raise BundleError(f"{Path(root.file.filename).name} holds no weights of Keras layers")
    groups = {}
    for name, group in parent.items():
        weights = group.get("vars", {})
        if len(weights):
            groups[name] = [np.asarray(weights[str(k)]) for k in range(len(weights))]
    count: Counter[str] = Counter()
    ordered = []
    for layer in layers:
        base = _snake_case(layer.kind)
        ordered.append(f"{base}_{count[base]}" if count[base] else base)
        count[base] += 1
    return [(name, groups.pop(name)) for name in ordered if name in groups] + list(groups.items())


def _snake_case(name: str) -> str:
    """The name of a class as Keras gives it to groups: `SeparableConv2D` is `separable_conv2d`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _must_rotate(backend: str, layers: Sequence[Layer], rebuilt: Mapping[str, Any], path: Path) -> bool:
    """Whether the kernels are Theano's; `backend` is what the caller or the file says."""
    convolutions = [layer for layer in layers if layer.kind in _CONVOLUTIONS]
    convolutions = [layer for layer in convolutions if max(rebuilt[layer.name].kernel_size) > 1]
    if not backend and any(layer.config.get("dim_ordering") == "th" for layer in convolutions):
        raise BadInputError(
            f"{path.name} does not say whether its kernels are Theano's, which are rotated by 180°; "
            "give kernels as theano or tensorflow"
        )
    if backend != "theano":
        return False
    for layer in convolutions:
        target = rebuilt[layer.name]
        even = any(size % 2 == 0 for size in target.kernel_size)
        if target.padding == "same" and (even or max(target.strides) > 1):
            raise BundleError(
                f"layer {layer.name!r} pads to the same size with an even kernel or a stride, which Theano and "
                "TensorFlow do differently; it cannot be imported"
            )
    return True


def _channels_last(array: np.ndarray, layer: Layer, rotate: bool) -> np.ndarray:
    if array.ndim != 4 or layer.kind not in _CONVOLUTIONS:
        return array
    if layer.config.get("dim_ordering") == "th":  # Keras 1: (filters, channels, rows, columns)
        array = array.transpose(2, 3, 1, 0)
    return array[::-1, ::-1] if rotate else array


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) for shape in shapes) or "nothing"
