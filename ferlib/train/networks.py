"""The networks of the lessons, by name. Pure Keras 3: the same code trains on every backend.

All take float gray pictures (48, 48, 1) with values 0 to 255 and end in a softmax; where a system
rescales its input, a Rescaling layer inside the network does it, so nobody can forget it. System E's
networks look at colour pictures of 64×64: layers without weights inside them resize the face and
repeat it three times. `build("E", 7, (64, 64, 3))` is E's as it was published.

Where a published network ends otherwise (E: a sigmoid a class, with binary cross-entropy, whose
accuracy counts the many right "no"s), ours still ends in the softmax over all classes.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError

INPUT_SHAPE = (48, 48, 1)


def build(name: str, n_classes: int, input_shape: tuple[int, int, int] = INPUT_SHAPE):
    """An untrained `keras.Model` by its name in NETWORKS; BadInputError for another name."""
    if name not in NETWORKS:
        raise BadInputError(f"unknown network {name!r}; known are {', '.join(NETWORKS)}")
    if n_classes < 2:
        raise BadInputError(f"a network needs at least two classes, got {n_classes}")
    return NETWORKS[name](n_classes, tuple(input_shape))


def _network_a(n_classes: int, input_shape: tuple[int, int, int]):
    """System A's network: 6,907,330 parameters for two classes."""
    return _wide("A", 3, n_classes, input_shape)


def _network_b(n_classes: int, input_shape: tuple[int, int, int]):
    """System B's network, A's with a first convolution of 1×1: 6,912,199 parameters for seven classes."""
    return _wide("B", 1, n_classes, input_shape)


def _wide(name: str, first: int, n_classes: int, input_shape: tuple[int, int, int]):
    keras = import_keras()
    layers = keras.layers

    def conv(filters: int, size: int):
        return layers.Conv2D(filters, size, padding="same", activation="relu")

    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 255),
            conv(32, first),
            conv(32, 5),
            layers.MaxPooling2D(2),
            conv(32, 3),
            layers.MaxPooling2D(2),
            conv(64, 5),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(2048, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax", dtype="float32"),
        ],
        name=name,
    )


def _network_c(n_classes: int, input_shape: tuple[int, int, int]):
    """System C's network: 1,727,430 parameters for six classes. Its scaling was never stated; ours is 0 to 1."""
    keras = import_keras()
    layers = keras.layers
    stack = [layers.Input(input_shape), layers.Rescaling(1 / 255)]
    for filters in (32, 64, 128):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(3)]
        stack.append(layers.MaxPooling2D(2))
    stack.append(layers.Flatten())
    for _ in range(2):
        stack += [layers.Dense(256, activation="relu"), layers.Dropout(0.3)]
    stack.append(layers.Dense(n_classes, activation="softmax", dtype="float32"))
    return keras.Sequential(stack, name="C")


def _network_d(n_classes: int, input_shape: tuple[int, int, int]):
    """System D's network: 4,478,727 parameters for seven classes; takes 0 to 255 as it comes."""
    keras = import_keras()
    layers = keras.layers

    def block(layer) -> list:
        return [layer, layers.BatchNormalization(), layers.Activation("relu")]

    stack = [layers.Input(input_shape)]
    for filters, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
        stack += block(layers.Conv2D(filters, size, padding="same"))
        stack += [layers.MaxPooling2D(2), layers.Dropout(0.25)]
    stack.append(layers.Flatten())
    for units in (256, 512):
        stack += [*block(layers.Dense(units)), layers.Dropout(0.25)]
    stack.append(layers.Dense(n_classes, activation="softmax", dtype="float32"))
    return keras.Sequential(stack, name="D")


def _network_e(n_classes: int, input_shape: tuple[int, int, int]):
    """System E's main network: 2,650,407 parameters for seven classes."""
    keras = import_keras()
    layers = keras.layers
    inputs = layers.Input(input_shape)
    x = _as_64_in_colour(inputs)
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.Dropout(0.25)(layers.MaxPooling2D(2)(x))
    x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, outputs, name="E")


def _network_e_small(n_classes: int, input_shape: tuple[int, int, int]):
    """System E's first network: 1,626,055 parameters for seven classes."""
    keras = import_keras()
    layers = keras.layers
    inputs = layers.Input(input_shape)
    x = _as_64_in_colour(inputs)
    for filters in (32, 64):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="E-small")


def _as_64_in_colour(x):
    """What E's networks look at, 64×64×3 in 0 to 1, from any input: resized, and gray repeated three times."""
    layers = import_keras().layers
    if x.shape[1:3] != (64, 64):
        x = layers.Resizing(64, 64)(x)
    if x.shape[-1] == 1:
        x = layers.Concatenate()([x, x, x])
    return layers.Rescaling(1 / 255)(x)


def _small(n_classes: int, input_shape: tuple[int, int, int]):
    """Our own light network: 1,230,503 parameters for seven classes."""
    return _residual("small", (1, 1, 1, 1), n_classes, input_shape)


def _medium(n_classes: int, input_shape: tuple[int, int, int]):
    """The light network with one more pair where the maps are 12×12: 1,526,439 parameters."""
    return _residual("medium", (1, 1, 2, 1), n_classes, input_shape)


def _quick(n_classes: int, input_shape: tuple[int, int, int]):
    """For two classes in minutes: the light network at half the side, 1,229,218 parameters for two classes."""
    return _residual("quick", (1, 1, 1, 1), n_classes, input_shape, stride=2)


def _residual(
    name: str, pairs: Sequence[int], n_classes: int, input_shape: tuple[int, int, int], stride: int = 1
):
    """3×3 convolutions in pairs with batch normalisation, and a residual way around each pair.

    Each stage halves the side of the maps (48, 24, 12, 6) and widens them; `pairs` says how many pairs
    each has, `stride` whether the first convolution looks at every place or every second. The mean of
    each last map goes to the softmax, so there is no large dense layer to overfit.
    """
    keras = import_keras()
    layers = keras.layers

    def conv(x, filters: int, size: int = 3, strides: int = 1):
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
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


NETWORKS: dict[str, Callable] = {
    "A": _network_a,
    "B": _network_b,
    "C": _network_c,
    "D": _network_d,
    "E": _network_e,
    "E-small": _network_e_small,
    "small": _small,
    "medium": _medium,
    "quick": _quick,
}
"""Every network by its name; adding one is adding a function here."""


def mermaid(model) -> str:
    """The layers of a model as a Mermaid flow chart: one node a layer with its output shape, top down."""
    number = {layer.name: k for k, layer in enumerate(model.layers)}
    lines = ["flowchart TD"]
    for layer in model.layers:
        shape = " × ".join(map(str, layer.output.shape[1:]))
        lines.append(f'    n{number[layer.name]}["{type(layer).__name__}<br/>{shape}"]')
    arrows = [(name, layer.name) for layer in model.layers for name in _sources(model, layer)]
    return "\n".join([*lines, *(f"    n{number[a]} --> n{number[b]}" for a, b in arrows)])


def _sources(model, layer) -> list[str]:
    """Names of the layers whose output a layer takes, read from the model's configuration."""
    if isinstance(model, import_keras().Sequential):
        at = model.layers.index(layer)
        return [model.layers[at - 1].name] if at else []
    names = []

    def walk(part) -> None:
        if isinstance(part, dict) and "keras_history" in part:
            names.append(part["keras_history"][0])
        elif isinstance(part, dict | list | tuple):
            for inner in part.values() if isinstance(part, dict) else part:
                walk(inner)

    configs = {config["name"]: config for config in model.get_config()["layers"]}
    walk(configs[layer.name]["inbound_nodes"])
    return names


def drawing(model, file: Path, dpi: int = 55):
    """A picture of a model's layers to show in a notebook: an IPython `Image`, or `Markdown`.

    With Graphviz' `dot` on the machine `keras.utils.plot_model` draws it into `file` (PNG); without,
    or where `dot` fails, the same layers come as a Mermaid chart, which JupyterLab draws itself.
    """
    from IPython.display import Markdown

    if shutil.which("dot"):
        # Keras' default for the lines, "ortho", makes Graphviz 2.43 abort on shortcuts; pydot prints, then asserts
        with suppress(AssertionError, OSError), redirect_stdout(StringIO()):
            return import_keras().utils.plot_model(
                model, file, show_shapes=True, show_layer_names=False, dpi=dpi, splines="spline"
            )

    return Markdown(f"```mermaid\n{mermaid(model)}\n```")
