"""Read weights files of Keras 1, 2 and 3 into a rebuilt network."""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ferlib.common.errors import BadInputError, BundleError, reading
from ferlib.common.files import disguise
from ferlib.model.keras_import.layers import Layer

MAX_RATIO = 20
"""How much larger than a `.keras` the files in it may be; Keras does not compress them."""

_CONVOLUTIONS = ("Conv2D", "Convolution2D")


def read_weights(path: Path, layers: Sequence[Layer], model: Any, kernels: str | None = None) -> bool:
    """Put the weights of a file into a network.

    Layers are matched by their order, as Keras does.

    Args:
        path: A `.keras`, a whole-model `.h5`, a weights `.h5` of Keras 1 or 2, or a `.weights.h5` of Keras 2 or 3.
        layers: The layers of the network, in the order of its file.
        model: The network that was rebuilt from them.
        kernels: "theano" or "tensorflow"; see `architecture.import_model`.

    Returns:
        Whether the kernels were rotated by 180°.

    Raises:
        BundleError: The file cannot be read, or a layer does not fit; the model is then changed in part.
        BadInputError: The file does not say whose kernels it has, and `kernels` is None.
    """
    rebuilt = {layer.name: layer for layer in model.layers}
    weighted = [layer for layer in layers if layer.name in rebuilt and rebuilt[layer.name].weights]
    with open_h5(path) as file:
        root = file.get("model_weights", file)
        backend = text_of(root.attrs.get("backend", file.attrs.get("backend", "")))
        stored = _by_order(root) if "layer_names" in root.attrs else _by_class(root, layers)
        rotate = _must_rotate(kernels or backend, weighted, rebuilt, path)
        for number, layer in enumerate(weighted):
            datasets = stored[number][1] if number < len(stored) else []
            target = rebuilt[layer.name]
            expected, found = (
                [tuple(w.shape) for w in target.weights],
                [_shape(each, layer) for each in datasets],
            )
            if expected != found:  # before anything is read: the shapes in a file may be of any size
                raise BundleError(
                    f"{path.name} holds the weights of another network: layer {layer.name!r} ({layer.kind}) takes "
                    f"{_shapes(expected)}, the file has {_shapes(found)}"
                )
            target.set_weights([_channels_last(np.asarray(each), layer, rotate) for each in datasets])
    if len(stored) > len(weighted):
        extra = stored[len(weighted)][0]
        raise BundleError(f"{path.name} has weights for a layer {extra!r} that the network lacks")
    return rotate


def kind_of(path: Path) -> str:
    """Find out what a file is by its first bytes.

    Args:
        path: The file.

    Returns:
        "h5", "keras" (a zip archive), or "json" for all others.

    Raises:
        BundleError: There is no such file, or a web page or a Git LFS pointer in its place.
    """
    if not path.is_file():
        raise BundleError(f"{path}: no such file; give a whole-model .keras or .h5, or an architecture .json")
    with reading(path, BundleError, "restore it"), path.open("rb") as file:
        start = file.read(256)
    if other := disguise(start):
        raise BundleError(f"{path.name} is {other}")
    return (
        "h5" if start.startswith(b"\x89HDF\r\n\x1a\n") else "keras" if start.startswith(b"PK\3\4") else "json"
    )


def read_member(path: Path, name: str) -> bytes:
    """Read a file out of a `.keras`.

    Args:
        path: The archive.
        name: The file in it.

    Returns:
        Its content.

    Raises:
        BundleError: It cannot be read, or is larger than Keras, which does not compress, would write.
    """
    with reading(path.name, BundleError, "save it with Keras again"), zipfile.ZipFile(path) as archive:
        size = archive.getinfo(name).file_size
        if size > MAX_RATIO * path.stat().st_size:
            raise BundleError(f"{path.name}: {name} would have {size:,} bytes, far more than the archive")
        return archive.read(name)


@contextmanager
def open_h5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading, or that of a `.keras`.

    Args:
        path: The file.

    Yields:
        The open file.

    Raises:
        BundleError: The file is not HDF5, is truncated, or refers to other files.
    """
    import h5py

    source = io.BytesIO(read_member(path, "model.weights.h5")) if kind_of(path) == "keras" else path
    with reading(path.name, BundleError, "it is no HDF5 file that Keras wrote"), h5py.File(source) as file:
        link = file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else name)
        if link is not None:
            raise BundleError(
                f"{path.name}: {link!r} is a link, which Keras never writes; get the file itself"
            )
        yield file


def text_of(value: str | bytes) -> str:
    """Decode an attribute; h5py gives bytes for files of older versions of Keras.

    Args:
        value: The attribute.

    Returns:
        Its text.
    """
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


_Stored = list[tuple[str, list[Any]]]  # the name of each layer with its h5py datasets, which are not read yet


def _by_order(root: Any) -> _Stored:
    """Keras 1 and 2: attributes list layers and weights in their order."""
    names = _names(root, "layer_names")
    found = [
        [_dataset(root[name], weight) for weight in _names(root[name], "weight_names")] for name in names
    ]
    return [stored for stored in zip(names, found, strict=True) if stored[1]]


def _dataset(group: Any, name: str) -> Any:
    dataset = group[name]
    if dataset.is_virtual or dataset.external or dataset.dtype.kind not in "fiu":
        raise ValueError(f"{name} is not stored in the file as numbers")
    return dataset


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
        raise ValueError("it holds no weights of Keras layers")
    groups = {}
    for name, group in parent.items():
        weights = group.get("vars", {})
        if len(weights):
            groups[name] = [_dataset(weights, str(k)) for k in range(len(weights))]
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


def _is_keras_1(shape: tuple[int, ...], layer: Layer) -> bool:
    """Whether a kernel is stored as (filters, channels, rows, columns)."""
    return len(shape) == 4 and layer.kind in _CONVOLUTIONS and layer.config.get("dim_ordering") == "th"


def _shape(dataset: Any, layer: Layer) -> tuple[int, ...]:
    shape = tuple(dataset.shape)
    return (shape[2], shape[3], shape[1], shape[0]) if _is_keras_1(shape, layer) else shape


def _channels_last(array: np.ndarray, layer: Layer, rotate: bool) -> np.ndarray:
    if _is_keras_1(array.shape, layer):
        array = array.transpose(2, 3, 1, 0)
    return array[::-1, ::-1] if rotate and array.ndim == 4 and layer.kind in _CONVOLUTIONS else array


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) for shape in shapes) or "nothing"
