"""The layers of Keras 1 and 2 as layers of Keras 3, channels last."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ferlib.common.backend import import_keras
from ferlib.common.errors import BundleError

ACTIVATIONS = ("linear", "relu", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "silu")
"""Activations that mean the same in all three versions (hard_sigmoid does not)."""

_TRAINING_ONLY = (
    *("SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"),
    *(
        "RandomFlip",
        "RandomRotation",
        "RandomZoom",
        "RandomTranslation",
        "RandomContrast",
        "RandomBrightness",
    ),
)  # they do nothing at prediction
_CLASSES = {"Convolution2D": "Conv2D", **dict.fromkeys(_TRAINING_ONLY, "Identity")}

_NEW_NAMES = {
    "nb_filter": "filters",
    "border_mode": "padding",
    "subsample": "strides",
    "bias": "use_bias",
    "output_dim": "units",
    "p": "rate",
    "alpha": "negative_slope",
}

_POOLING = ("pool_size", "strides", "padding")
_CONV = ("kernel_size", "strides", "padding", "use_bias", "activation", "dilation_rate")
_KEPT = {
    "Conv2D": ("filters", "groups", *_CONV),
    "SeparableConv2D": ("filters", "depth_multiplier", *_CONV),
    "DepthwiseConv2D": ("depth_multiplier", *_CONV),
    "MaxPooling2D": _POOLING,
    "AveragePooling2D": _POOLING,
    "GlobalAveragePooling2D": ("keepdims",),
    "GlobalMaxPooling2D": ("keepdims",),
    "ZeroPadding2D": ("padding",),
    "BatchNormalization": ("axis", "epsilon", "momentum", "center", "scale"),
    "Flatten": (),
    "Dense": ("units", "use_bias", "activation"),
    "Dropout": ("rate",),
    "Identity": (),
    "Activation": ("activation",),
    "Softmax": ("axis",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "Rescaling": ("scale", "offset"),
    "Add": (),
    "Multiply": (),
    "Concatenate": ("axis",),
}
"""Each known layer, with those of its settings that change its output."""

SPATIAL = frozenset(name for name in (*_KEPT, "Convolution2D") if name.endswith("2D")) - {"SpatialDropout2D"}
"""Layers for which the order of channels matters, by the name in the file."""


@dataclass(frozen=True)
class Layer:
    """A layer as its file describes it.

    Attributes:
        kind: The name of its class.
        name: Its own name, with "_" in place of "/".
        config: Its settings.
        sources: The names of the layers whose outputs it takes.
    """

    kind: str
    name: str
    config: dict[str, Any]
    sources: tuple[str, ...]


def apply_layer(layer: Layer, inputs: Sequence[Any], channels_first: bool, max_weights: int = 2**31) -> Any:
    """Apply a layer of a file to tensors.

    Args:
        layer: The layer.
        inputs: Its inputs, channels last.
        channels_first: Whether the file has channels first.
        max_weights: The most weights that it may have, so that a small file cannot ask for all memory.

    Returns:
        The output tensor, channels last.

    Raises:
        BundleError: Its class or a setting is unknown; the message names the layer.
    """
    layers = import_keras().layers
    kind, rank = _CLASSES.get(layer.kind, layer.kind), len(inputs[0].shape)
    if kind not in _KEPT:
        raise BundleError(
            f"layer {layer.name!r} is of the unknown kind {layer.kind}; known are {', '.join(_KEPT)}"
        )
    try:
        settings = _settings(kind, layer, channels_first and rank == 4)
        if (weights := _weights(settings, inputs[0].shape[-1])) > max_weights:
            raise ValueError(f"about {weights:,} weights are more than the file has")
        x = list(inputs) if kind in ("Add", "Multiply", "Concatenate") else inputs[0]
        if channels_first and rank == 4:
            if kind == "Dense" or settings.get("activation") == "softmax":
                raise ValueError("it works along the width of the image")
            if kind == "Flatten" and layer.config.get("data_format") != "channels_first":
                # the file's weights expect all of the first channel, then all of the second; Keras' own
                # Flatten(data_format="channels_first") turns its input to channels last itself
                x = layers.Permute((3, 1, 2), name=f"{layer.name}_channels_first")(x)
        return getattr(layers, kind)(**settings, name=layer.name)(x)
    except Exception as error:  # of Keras and TensorFlow
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BundleError(f"layer {layer.name!r} ({layer.kind}) cannot be rebuilt: {line}") from error


def _weights(settings: dict[str, Any], channels: int) -> int:
    """About how many weights a layer has, at most."""
    sides = settings.get("kernel_size", 1)
    area = sides**2 if isinstance(sides, int) else math.prod(sides)
    outputs = settings.get("filters", 1) * settings.get("units", 1) * settings.get("depth_multiplier", 1)
    return area * channels * outputs // settings.get("groups", 1)


def _settings(kind: str, layer: Layer, move_axes: bool) -> dict[str, Any]:
    config = dict(layer.config)
    for old, new in _NEW_NAMES.items():
        if old in config and new in _KEPT[kind]:
            config.setdefault(new, config[old])
    if "nb_row" in config:
        config["kernel_size"] = (config["nb_row"], config["nb_col"])
    settings = {name: config[name] for name in _KEPT[kind] if config.get(name) is not None}
    if "activation" in settings:
        name = settings["activation"]
        settings["activation"] = name = "silu" if name == "swish" else name
        if name not in ACTIVATIONS:
            raise ValueError(f"activation {name!r} is not known; known are {', '.join(ACTIVATIONS)}")
    if kind == "ZeroPadding2D":
        settings["padding"] = _padding(settings["padding"])
    elif settings.get("padding", "valid") not in ("valid", "same"):
        raise ValueError(f"padding {settings['padding']!r} is not known")
    if kind == "BatchNormalization" and config.get("mode", 0) == 1:
        raise ValueError("mode 1, which normalises each image by itself, is not known")
    if "axis" in settings:
        axes = settings["axis"] if isinstance(settings["axis"], list) else [settings["axis"]]
        if len(axes) != 1:
            raise ValueError(f"axes {axes} are not known")
        settings["axis"] = (0, 3, 1, 2)[axes[0]] if move_axes else axes[0]
    return settings


def _padding(padding: Any) -> Any:
    """The padding as Keras 3 takes it: Keras 1 also has {"top_pad": …} and [top, bottom, left, right]."""
    if isinstance(padding, dict):
        padding = [padding[f"{side}_pad"] for side in ("top", "bottom", "left", "right")]
    if isinstance(padding, list) and len(padding) == 4:
        return tuple(padding[:2]), tuple(padding[2:])
    return padding
