"""Models that can be computed by hand, for the tests of this package."""

import time

import numpy as np

from ferlib.common.labels import SEVEN

HAPPY_ROW = np.float32([0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05])


class HappyModel:
    """Recognises every face as happy; `pause` seconds slow, or failing. Notes threads and batch sizes."""

    class_names, input_shape = SEVEN, (48, 48, 1)

    def __init__(self, pause=0.0, row=HAPPY_ROW, name=""):
        self.pause, self.row, self.name = pause, row, name
        self.error, self.batches = None, []
        self.inside, self.together = 0, False

    def predict(self, faces, tta="none"):
        self.inside += 1
        self.together |= self.inside > 1
        self.batches.append(len(faces))
        time.sleep(self.pause)
        self.inside -= 1
        if self.error:
            raise self.error
        return np.tile(self.row, (len(faces), 1))


class BrightnessModel:
    """The lighter the upper half, the more likely the first class."""

    def __init__(self, class_names=SEVEN, size=48):
        self.class_names, self.input_shape = class_names, (size, size, 1)

    def predict(self, faces, tta="none"):
        first = faces[:, : faces.shape[1] // 2].mean(axis=(1, 2)) / 255
        others = (1 - first) / (len(self.class_names) - 1)
        return np.stack([first, *[others] * (len(self.class_names) - 1)], axis=1).astype(np.float32)


def wait_until(condition, seconds=20.0):
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False
