"""Convert YuNet's ONNX file to ferlib/train/page/static/yunet.json, the form that reader.js runs.

    python tests/tools/page/yunet.py ferlib/detect/face_detection_yunet_2026may.onnx

ONNX files are protocol buffers (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). The few fields that
are needed are read by hand: the package `onnx` would be needed for this step alone. The landmarks are left out.
"""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OUTPUTS = [f"{head}_{stride}" for head in ("cls", "obj", "bbox") for stride in (8, 16, 32)]
ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid"}


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each field of a protocol buffer."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            yield number, varint()
            continue
        length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        yield number, message[at : at + length]
        at += length


def convert(content: bytes) -> dict:
    """Convert the bytes of YuNet's ONNX file to the graph that reader.js runs."""
    graph = list(fields(next(value for number, value in fields(content) if number == 7)))
    stored = {}
    for initial in (list(fields(value)) for number, value in graph if number == 5):
        shape = [value for number, value in initial if number == 1]
        raw = dict(initial).get(9, b"")
        if dict(initial)[2] == 1:  # float32
            stored[dict(initial)[8].decode()] = np.frombuffer(raw, "<f4").reshape(shape)
    steps: list[dict[str, Any]] = []
    tensors: list[list] = []
    values, data = {"input": 0}, bytearray()

    def tensor(array: np.ndarray) -> int:
        tensors.append([list(array.shape), len(data)])
        data.extend(np.ascontiguousarray(array, "<f4").tobytes())
        return len(tensors) - 1

    nodes = [list(fields(value)) for number, value in graph if number == 1]
    for node in nodes:
        takes, (makes,) = ([value.decode() for number, value in node if number == k] for k in (1, 2))
        kind = dict(node)[4].decode()
        settings = {}
        for attribute in (list(fields(value)) for number, value in node if number == 5):
            settings[dict(attribute)[1].decode()] = [value for number, value in attribute if number in (3, 8)]
        if "kps" in makes or any("kps" in name for name in takes) or takes[0] not in values:
            continue
        step: dict[str, Any] = {"x": [values[name] for name in takes if name in values]}
        if kind == "Conv":
            kernel, bias = (stored[name] for name in takes[1:])
            depthwise = settings["group"][0] > 1 or kernel.shape[:2] == (1, 1)
            order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            step |= {"op": "depthwise" if depthwise else "conv", "stride": settings["strides"][0]}
            step |= {"pad": settings["pads"][0], "w": [tensor(kernel.transpose(order)), tensor(bias)]}
        elif kind == "MaxPool":
            step |= {"op": "max_pool", "size": 2, "stride": 2, "pad": "valid"}
        elif kind in ACTIVATIONS and steps[step["x"][0] - 1]["op"] in ("conv", "depthwise"):
            steps[step["x"][0] - 1]["activation"] = ACTIVATIONS[kind]  # its input has no other use
            values[makes] = step["x"][0]
            continue
        elif kind in ("Transpose", "Reshape"):  # channels are last already
            values[makes] = step["x"][0]
            continue
        else:
            step["op"] = {"Resize": "double", "Add": "add"}[kind]
        steps.append(step)
        values[makes] = len(steps)
    outputs = [values[name] for name in OUTPUTS]
    return {
        "steps": steps,
        "outputs": outputs,
        "tensors": tensors,
        "data": base64.b64encode(bytes(data)).decode(),
    }


if __name__ == "__main__":
    target = Path(__file__).parents[3] / "ferlib" / "train" / "page" / "static" / "yunet.json"
    target.write_text(json.dumps(convert(Path(sys.argv[1]).read_bytes()), separators=(",", ":")) + "\n")
