"""A Keras network in the form that the browser page runs: a list of steps, and the weights in one block.

The page's `static/reader.js` runs it with TensorFlow.js, `run_graph` with TensorFlow. Batch normalisation is folded
into the convolution before it, and large kernels have 8 bits with one scale per output channel, as in LiteRT's
dynamic-range form. A step is `{"op": …, "x": [values], "w": [tensors], …}`: value 0 is the faces, float (n, 48, 48, 1),
0 to 255, and value k the result of step k. A tensor is [shape, offset] for float32, [shape, offset, offset of the
scales] for int8.
"""

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.errors import BundleError

_FUSED = ("relu", "relu6", "sigmoid")  # activations that TensorFlow.js computes with a convolution
_ACTIVATIONS = (*_FUSED, "elu", "leaky_relu", "softmax", "tanh")
_TRAINING_ONLY = ("ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "InputLayer")
_QUANTISED = 20_000
"""Kernels with fewer weights stay float32: for 0.2 MB, the shipped network differs half as much from the original."""


def browser_graph(model: Any) -> dict:
    """Convert a network to the form that the page runs.

    Args:
        model: A `keras.Model` with one input (n, 48, 48, 1) and one output (n, classes).

    Returns:
        `steps`, `outputs` (the value that is the answer), `tensors` and `data` (base64), ready for JSON.

    Raises:
        BundleError: The network has a layer that the page does not know.
    """
    converter = _Converter()
    output = converter.add_model(model, 0)
    return converter.finished(output)


class _Converter:
    """The steps of a network while they are collected; their weights are still arrays."""

    def __init__(self) -> None:
        self.steps: list[dict] = []

    def add(self, op: str, x: list[int], *weights: np.ndarray, **settings: Any) -> int:
        self.steps.append({"op": op, "x": x} | ({"w": list(weights)} if weights else {}) | settings)
        return len(self.steps)

    def add_model(self, model: Any, value: int) -> int:
        if isinstance(model, import_keras().Sequential):
            for layer in model.layers:
                value = self.add_layer(layer, [value], 1)
            return value
        values = {id(model.inputs[0]): value}
        calls = {layer.name: layer._inbound_nodes for layer in model.layers}
        uses = Counter(
            id(tensor) for nodes in calls.values() for node in nodes for tensor in node.input_tensors
        )
        for layer in model.layers:
            if type(layer).__name__ == "InputLayer":
                continue
            if len(calls[layer.name]) != 1 or len(model.inputs) != 1 or len(model.outputs) != 1:
                raise BundleError(f"the page cannot run this network: {layer.name} is used more than once")
            (node,) = calls[layer.name]
            taken = [values[id(tensor)] for tensor in node.input_tensors]
            made = self.add_layer(layer, taken, uses[id(node.input_tensors[0])])
            values[id(node.output_tensors[0])] = made
        return values[id(model.outputs[0])]

    def add_layer(self, layer: Any, x: list[int], uses: int) -> int:
        """Add one layer; `uses` says how many layers take its input."""
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            return self.add_model(layer, x[0])
        if kind in _TRAINING_ONLY:
            return x[0]
        if kind == "BatchNormalization":
            return self._normalise(layer, x, uses)
        if kind not in _LAYERS or getattr(layer, "data_format", "channels_last") != "channels_last":
            raise BundleError(
                f"the page cannot run this network: it has no {kind} layer; use another format, such as litert"
            )
        made = _LAYERS[kind](self, layer, x)
        return self._activate(layer, made)

    def _activate(self, layer: Any, value: int) -> int:
        function = getattr(layer, "activation", None)
        name = "linear" if function is None else getattr(function, "__name__", str(function))
        if name == "linear":
            return value
        if name not in _ACTIVATIONS:
            raise BundleError(
                f"the page cannot run this network: it has no activation {name}; use another format"
            )
        step = self.steps[value - 1] if value else {}
        if name in _FUSED and "w" in step and step["op"] != "affine" and type(layer).__name__ != "Activation":
            step["activation"] = name
            return value
        return self.add(name, [value], **({"slope": 0.2} if name == "leaky_relu" else {}))

    def _normalise(self, layer: Any, x: list[int], uses: int) -> int:
        mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
        scale = (_array(layer.gamma) if layer.scale else 1) / np.sqrt(variance + layer.epsilon)
        offset = (_array(layer.beta) if layer.center else 0) - mean * scale
        step = self.steps[x[0] - 1] if x[0] else {}
        if uses == 1 and step.get("op") in ("conv", "dense") and "activation" not in step:
            kernel, bias = step["w"]
            step["w"] = [kernel * scale, bias * scale + offset]
            return x[0]
        return self.add("affine", x, scale, offset)

    def finished(self, output: int) -> dict:
        """The form for JSON."""
        tensors: list[list] = []
        data = bytearray()

        def store(array: np.ndarray) -> int:
            data.extend(array.tobytes() + bytes(-array.nbytes % 4))
            return len(data) - array.nbytes - (-array.nbytes % 4)

        for step in self.steps:
            for k, array in enumerate(np.asarray(array, np.float32) for array in step.get("w", ())):
                entry: list[Any] = [list(array.shape)]
                if step["op"] in ("conv", "dense") and array.size >= _QUANTISED:
                    scales = np.abs(array).max(axis=tuple(range(array.ndim - 1))) / 127
                    scales = np.where(scales > 0, scales, 1).astype(np.float32)
                    entry += [store(np.rint(array / scales).astype(np.int8)), store(scales)]
                else:
                    entry += [store(array)]
                step["w"][k] = len(tensors)
                tensors.append(entry)
        text = base64.b64encode(bytes(data)).decode()
        return {"steps": self.steps, "outputs": [output], "tensors": tensors, "data": text}


def _array(variable: Any) -> np.ndarray:
    return import_keras().ops.convert_to_numpy(variable)


def _convolution(graph: _Converter, layer: Any, x: list[int]) -> int:
    if tuple(layer.dilation_rate) != (1, 1) or getattr(layer, "groups", 1) != 1:
        raise BundleError(f"the page cannot run this network: {layer.name} is dilated or has groups")
    settings = {"stride": list(layer.strides), "pad": layer.padding}
    bias = _array(layer.bias) if layer.use_bias else 0
    if type(layer).__name__ == "SeparableConv2D":
        first = _array(layer.depthwise_kernel)
        zeros = np.zeros(first.shape[2] * first.shape[3])
        x = [graph.add("depthwise", x, first, zeros, **settings)]
        settings = {"stride": [1, 1], "pad": "valid"}
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    kernel = _array(layer.pointwise_kernel if hasattr(layer, "pointwise_kernel") else layer.kernel)
    channels = kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]
    return graph.add("depthwise" if depthwise else "conv", x, kernel, bias + np.zeros(channels), **settings)


def _dense(graph: _Converter, layer: Any, x: list[int]) -> int:
    kernel = _array(layer.kernel)
    bias = _array(layer.bias) if layer.use_bias else np.zeros(kernel.shape[1])
    if len(layer.input.shape) == 4:  # at every place of a map: a convolution
        return graph.add("conv", x, kernel[None, None], bias, stride=[1, 1], pad="valid")
    return graph.add("dense", x, kernel, bias)


def _pool(op: str) -> Callable[[_Converter, Any, list[int]], int]:
    def convert(graph: _Converter, layer: Any, x: list[int]) -> int:
        return graph.add(op, x, size=list(layer.pool_size), stride=list(layer.strides), pad=layer.padding)

    return convert


def _relu(graph: _Converter, layer: Any, x: list[int]) -> int:
    slope, top = float(layer.negative_slope), getattr(layer, "max_value", None)
    if slope:
        return graph.add("leaky_relu", x, slope=slope)
    if top not in (None, 6.0) or getattr(layer, "threshold", 0):
        raise BundleError(f"the page cannot run this network: {layer.name} has a limit or threshold")
    return graph.add("relu" if top is None else "relu6", x)


def _rescale(graph: _Converter, layer: Any, x: list[int]) -> int:
    return graph.add(
        "affine", x, *(np.ravel(np.asarray(part, float)) for part in (layer.scale, layer.offset))
    )


def _reshape(graph: _Converter, layer: Any, x: list[int]) -> int:
    return graph.add("reshape", x, shape=[int(side) for side in layer.output.shape[1:]])


def _resize(graph: _Converter, layer: Any, x: list[int]) -> int:
    if layer.interpolation != "bilinear" or layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio:
        raise BundleError(f"the page cannot run this network: {layer.name} does not resize bilinearly")
    return graph.add("resize", x, size=[layer.height, layer.width])


_LAYERS: dict[str, Callable[[_Converter, Any, list[int]], int]] = {
    "Activation": lambda graph, layer, x: x[0],
    "Add": lambda graph, layer, x: graph.add("add", x),
    "AveragePooling2D": _pool("average_pool"),
    "Concatenate": lambda graph, layer, x: graph.add("concat", x),
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Flatten": _reshape,
    "GlobalAveragePooling2D": lambda graph, layer, x: graph.add("mean", x, keep=layer.keepdims),
    "GlobalMaxPooling2D": lambda graph, layer, x: graph.add("max", x, keep=layer.keepdims),
    "LeakyReLU": _relu,
    "MaxPooling2D": _pool("max_pool"),
    "Multiply": lambda graph, layer, x: graph.add("multiply", x),
    "ReLU": _relu,
    "Rescaling": _rescale,
    "Reshape": _reshape,
    "Resizing": _resize,
    "SeparableConv2D": _convolution,
    "Softmax": lambda graph, layer, x: graph.add("softmax", x),
    "ZeroPadding2D": lambda graph, layer, x: graph.add("pad", x, pad=[list(side) for side in layer.padding]),
}


def run_graph(graph: dict, faces: np.ndarray) -> np.ndarray:
    """Run what `browser_graph` made, with TensorFlow, to compare its answers with the model's.

    Args:
        graph: The graph.
        faces: uint8 (n, 48, 48) gray, 0 to 255.

    Returns:
        Probabilities, float32 (n, classes).
    """
    import_keras()  # quietly, before TensorFlow's own import logs
    import tensorflow as tf

    data = base64.b64decode(graph["data"])
    weights = [_tensor(data, *entry) for entry in graph["tensors"]]
    operations: dict[str, Callable] = {
        "conv": lambda s, x, k, b: tf.nn.conv2d(x, k, s["stride"], s["pad"].upper()) + b,
        "depthwise": lambda s, x, k, b: (
            tf.nn.depthwise_conv2d(x, k, [1, *s["stride"], 1], s["pad"].upper()) + b
        ),
        "dense": lambda s, x, k, b: x @ k + b,
        "affine": lambda s, x, scale, offset: x * scale + offset,
        "max_pool": lambda s, x: tf.nn.max_pool2d(x, s["size"], s["stride"], s["pad"].upper()),
        "average_pool": lambda s, x: tf.nn.avg_pool2d(x, s["size"], s["stride"], s["pad"].upper()),
        "mean": lambda s, x: tf.reduce_mean(x, [1, 2], s["keep"]),
        "max": lambda s, x: tf.reduce_max(x, [1, 2], s["keep"]),
        "reshape": lambda s, x: tf.reshape(x, [-1, *s["shape"]]),
        "pad": lambda s, x: tf.pad(x, [[0, 0], *s["pad"], [0, 0]]),
        "resize": lambda s, x: tf.image.resize(x, s["size"]),
        "add": lambda s, *x: tf.add_n(x),
        "multiply": lambda s, first, second: first * second,
        "concat": lambda s, *x: tf.concat(x, -1),
        "leaky_relu": lambda s, x: tf.nn.leaky_relu(x, s["slope"]),
    }
    activations = {name: getattr(tf.nn, name) for name in _ACTIVATIONS}
    values = [tf.constant(faces[..., None].astype(np.float32))]
    for step in graph["steps"]:
        given = [*(values[k] for k in step["x"]), *(weights[k] for k in step.get("w", ()))]
        operation = operations.get(step["op"])
        made = operation(step, *given) if operation else activations[step["op"]](*given)
        values.append(activations[step["activation"]](made) if "activation" in step else made)
    return values[graph["outputs"][0]].numpy()


def _tensor(data: bytes, shape: list[int], at: int, scales_at: int | None = None) -> np.ndarray:
    count = int(np.prod(shape))
    if scales_at is None:
        return np.frombuffer(data, np.float32, count, at).reshape(shape)
    scales = np.frombuffer(data, np.float32, shape[-1], scales_at)
    return np.frombuffer(data, np.int8, count, at).reshape(shape) * scales
