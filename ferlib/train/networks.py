"""The networks of the lessons, by name. Pure Keras 3: the same code trains on every backend.

All take gray faces, float (48, 48, 1) in 0..255, and end in a softmax. Where a system rescales its input, a Rescaling
layer inside the network does it. System E's networks work on colour images of 64×64: layers without weights inside
them resize the face and repeat it three times. `build("E", 7, (64, 64, 3))` is E's as it was published.

Where a published network ends otherwise (E: one sigmoid per class, with binary cross-entropy, whose accuracy counts
the many correct "no" answers), ours still ends in a softmax over all classes.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, check_choice
from ferlib.model.keras_import.architecture import read_layers

Shape = tuple[int, int, int]

INPUT_SHAPE = (48, 48, 1)


def build(name: str, n_classes: int, input_shape: Shape = INPUT_SHAPE) -> Any:
    """Build an untrained network.

    Args:
        name: A name in `NETWORKS`.
        n_classes: The number of classes, at least two.
        input_shape: (height, width, channels).

    Returns:
        A `keras.Model` with random weights, not compiled.

    Raises:
        BadInputError: An unknown name, or fewer than two classes.

    Example:
        >>> build("A", 2).count_params()
        6907330
    """
    check_choice("network", name, NETWORKS)
    if n_classes < 2:
        raise BadInputError(f"a network needs at least two classes, got {n_classes}")
    return NETWORKS[name](n_classes, input_shape)


def output_layer(model: Any) -> Any:
    """Get the last layer of a network.

    Args:
        model: The network.

    Returns:
        The dense layer that it ends in.

    Raises:
        BadInputError: The last layer is of another kind.
    """
    last = model.layers[-1]
    if not isinstance(last, import_keras().layers.Dense):
        raise BadInputError(
            f"the network ends in {type(last).__name__}, not in a dense layer; choose another"
        )
    return last


def _softmax(n_classes: int) -> Any:
    """The last layer; float32, because bfloat16 is too coarse for probabilities."""
    return import_keras().layers.Dense(n_classes, activation="softmax", dtype="float32")


def _wide(name: str, first_kernel: int, n_classes: int, input_shape: Shape) -> Any:
    """The networks of A and B."""
    keras = import_keras()
    layers = keras.layers

    def conv(filters: int, size: int) -> Any:
        return layers.Conv2D(filters, size, padding="same", activation="relu")

    stack = [layers.Input(input_shape), layers.Rescaling(1 / 255), conv(32, first_kernel)]
    for filters, size in ((32, 5), (32, 3), (64, 5)):
        stack += [conv(filters, size), layers.MaxPooling2D(2)]
    stack.append(layers.Flatten())
    for units in (2048, 1024):
        stack += [layers.Dense(units, activation="relu"), layers.Dropout(0.5)]
    return keras.Sequential([*stack, _softmax(n_classes)], name=name)


def _network_c(n_classes: int, input_shape: Shape) -> Any:
    """The network of system C. How its input was scaled was never published; ours is 0 to 1."""
    keras = import_keras()
    layers = keras.layers
    stack = [layers.Input(input_shape), layers.Rescaling(1 / 255)]
    for filters in (32, 64, 128):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(3)]
        stack.append(layers.MaxPooling2D(2))
    stack.append(layers.Flatten())
    for _ in range(2):
        stack += [layers.Dense(256, activation="relu"), layers.Dropout(0.3)]
    return keras.Sequential([*stack, _softmax(n_classes)], name="C")


def _network_d(n_classes: int, input_shape: Shape) -> Any:
    """The network of system D; takes 0 to 255 without rescaling."""
    keras = import_keras()
    layers = keras.layers

    def block(layer: Any) -> list[Any]:
        return [layer, layers.BatchNormalization(), layers.Activation("relu")]

    stack = [layers.Input(input_shape)]
    for filters, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
        stack += block(layers.Conv2D(filters, size, padding="same"))
        stack += [layers.MaxPooling2D(2), layers.Dropout(0.25)]
    stack.append(layers.Flatten())
    for units in (256, 512):
        stack += [*block(layers.Dense(units)), layers.Dropout(0.25)]
    return keras.Sequential([*stack, _softmax(n_classes)], name="D")


def _network_e(n_classes: int, input_shape: Shape) -> Any:
    """The main network of system E."""
    keras = import_keras()
    layers = keras.layers
    inputs = layers.Input(input_shape)
    x = _as_64_in_colour(inputs)
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.Dropout(0.25)(layers.MaxPooling2D(2)(x))
    x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, _softmax(n_classes)(layers.Dropout(0.5)(x)), name="E")


def _network_e_small(n_classes: int, input_shape: Shape) -> Any:
    """The first network of system E."""
    keras = import_keras()
    layers = keras.layers
    inputs = layers.Input(input_shape)
    x = _as_64_in_colour(inputs)
    for filters in (32, 64):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, _softmax(n_classes)(x), name="E-small")


def _as_64_in_colour(x: Any) -> Any:
    """Resize any input to 64×64, repeat gray three times, and rescale it to 0..1."""
    layers = import_keras().layers
    if x.shape[1:3] != (64, 64):
        x = layers.Resizing(64, 64)(x)
    if x.shape[-1] == 1:
        x = layers.Concatenate()([x, x, x])
    return layers.Rescaling(1 / 255)(x)


def _residual(name: str, pairs: Sequence[int], n_classes: int, input_shape: Shape, stride: int = 1) -> Any:
    """Pairs of 3×3 convolutions with batch normalisation, and a shortcut around each pair.

    Each stage halves the side of the maps (48, 24, 12, 6) and widens them; `pairs` has the number of pairs per stage,
    `stride` is that of the first convolution. Global average pooling goes to the softmax, so that there is no large
    dense layer to overfit.
    """
    keras = import_keras()
    layers = keras.layers

    def conv(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
        options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
        x = layers.Conv2D(filters, size, strides, **options)(x)
        return layers.BatchNormalization()(x)

    inputs = layers.Input(input_shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.Activation("relu")(conv(x, 32, strides=stride))
    for stage, count in enumerate(pairs):
        filters = 32 * 2**stage
        if stage:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(count):
            shortcut = x if x.shape[-1] == filters else conv(x, filters, 1)
            x = layers.Activation("relu")(conv(x, filters))
            x = layers.Activation("relu")(layers.add([conv(x, filters), shortcut]))
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, _softmax(n_classes)(x), name=name)


NETWORKS: dict[str, Callable[[int, Shape], Any]] = {
    "A": partial(_wide, "A", 3),  # 6,907,330 parameters for two classes
    "B": partial(_wide, "B", 1),  # 6,912,199 for seven classes
    "C": _network_c,  # 1,727,430 for six classes
    "D": _network_d,  # 4,478,727 for seven classes
    "E": _network_e,  # 2,650,407 for seven classes
    "E-small": _network_e_small,  # 1,626,055 for seven classes
    "small": partial(_residual, "small", (1, 1, 1, 1)),  # 1,230,503 for seven classes
    "medium": partial(_residual, "medium", (1, 1, 2, 1)),  # 1,526,439: one more pair where the maps are 12×12
    "quick": partial(_residual, "quick", (1, 1, 1, 1), stride=2),  # 1,229,218 for two classes, in minutes
}
"""The function that builds each network, called with the number of classes and the input shape.

A to E are those of the published systems, small, medium and quick our own.
"""


def mermaid(model: Any) -> str:
    """Draw the layers of a model as a Mermaid flow chart.

    Args:
        model: A Sequential or functional model.

    Returns:
        The text of the chart: one node per layer with its output shape, from top to bottom.
    """
    lines, number = ["flowchart TD"], {}
    for k, layer in enumerate(model.layers):
        number[layer.name] = k
        shape = " × ".join(map(str, layer.output.shape[1:]))
        lines.append(f'    n{k}["{type(layer).__name__}<br/>{shape}"]')
    # from the configuration: the layers themselves also know the models that they were used in later
    for layer in read_layers(json.loads(model.to_json())):
        for name in layer.sources:
            if name in number:  # a Sequential model does not list its input among its layers
                lines.append(f"    n{number[name]} --> n{number[layer.name]}")
    return "\n".join(lines)


def plot_network(model: Any, file: Path, dpi: int = 55) -> Any:
    """Draw the layers of a model for a notebook.

    Args:
        model: A Sequential or functional model.
        file: The PNG file to write.
        dpi: Dots per inch of the image.

    Returns:
        An IPython `Image` that `keras.utils.plot_model` drew with Graphviz' `dot`. Without `dot`, or where it fails,
        an IPython `Markdown` with a Mermaid chart, which JupyterLab draws itself; no file is written then.
    """
    from IPython.display import Markdown

    if shutil.which("dot"):
        # with "ortho", Keras' default for the lines, Graphviz 2.43 aborts on shortcuts; pydot prints, then asserts
        with suppress(AssertionError, OSError), redirect_stdout(StringIO()):
            return import_keras().utils.plot_model(
                model, file, show_shapes=True, show_layer_names=False, dpi=dpi, splines="spline"
            )
    return Markdown(f"```mermaid\n{mermaid(model)}\n```")
