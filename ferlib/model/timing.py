"""The stopwatch: how long a model takes for one face."""

import time

import numpy as np

from ferlib.model.predictor import Predictor


def ms_per_face(model: Predictor, tta: str = "none", calls: int = 60) -> float:
    """Measure how long one call of `model.predict` with one face takes on this machine.

    Args:
        model: The model.
        tta: Test-time augmentation, a name of `ferlib.model.predictor.TTA`; its views are included.
        calls: How many calls are measured, after ten to warm up.

    Returns:
        The median, in milliseconds.
    """
    height, width = getattr(model, "input_shape", (48, 48, 1))[:2]
    face = np.random.default_rng(7).integers(0, 256, (1, height, width), dtype=np.uint8)
    seconds = []
    for _ in range(calls + 10):
        started = time.perf_counter()
        model.predict(face, tta)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[10:]) * 1000)
