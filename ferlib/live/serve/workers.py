"""The one place where requests meet the model: so many at once, each with a detector of its own."""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ferlib.common import images
from ferlib.common.errors import ImageError
from ferlib.detect.detector import Detector
from ferlib.live.serve.limits import Limits, Refused, busy, check_picture
from ferlib.model.predictor import Predictor
from ferlib.model.recognise import FaceReading, read_faces


@dataclass(frozen=True)
class Answer:
    """What was read in one picture, turned as its EXIF says."""

    width: int
    height: int
    faces: list[FaceReading]
    """Largest first."""
    left_out: int
    """Faces over the limit that were found and not read."""


class _Shared:
    """A model that threads take turns with, and that reads at most `most` faces of a picture.

    The rows of further faces are zeros; who asks knows how many count. It relies on one row a face, as
    `read_faces` with one view gives.
    """

    def __init__(self, model: Predictor, most: int):
        self._model, self._most, self._turn = model, most, threading.Lock()
        self.class_names, self.input_shape = model.class_names, model.input_shape

    def predict(self, faces: np.ndarray) -> np.ndarray:
        with self._turn:
            answers = np.asarray(self._model.predict(faces[: self._most]))
        return np.concatenate(
            [answers, np.zeros((len(faces) - len(answers), answers.shape[1]), answers.dtype)]
        )


class Desk:
    """Reads pictures for many threads, in a few of its own: as many as there are detectors.

    So a detector is never used by two threads, and what decoder, OpenCV and network hold for each thread that
    calls them is held a few times, not for each request.
    """

    def __init__(self, model: Predictor, detectors: Sequence[Detector], limits: Limits):
        self.limits, self.class_names = limits, tuple(model.class_names)
        self._model = _Shared(model, limits.faces)
        self._places = threading.BoundedSemaphore(limits.at_once)
        self._detectors: queue.SimpleQueue[Detector] = queue.SimpleQueue()
        for detector in detectors:
            self._detectors.put(detector)
        self._workers = ThreadPoolExecutor(len(detectors), "ferlib-read")
        size = model.input_shape[:2]
        model.predict(np.zeros((1, *size), np.uint8))  # the first call compiles: not while somebody waits

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places for requests with pictures; raises Refused (503) at once when all are taken."""
        if not self._places.acquire(blocking=False):
            raise busy()
        try:
            yield
        finally:
            self._places.release()

    def read(self, data: bytes) -> Answer:
        """The faces of a picture from its bytes; raises Refused with 400, 413, 415 or 503."""
        check_picture(data, self.limits)
        job = self._workers.submit(self._read, data)
        try:
            return job.result(self.limits.wait_seconds)
        except TimeoutError:
            if job.cancel():  # its turn had not come
                raise busy() from None
            return job.result()

    def _read(self, data: bytes) -> Answer:
        detector = self._detectors.get()
        try:
            image = images.load_image(data, self.limits.pixels)
            found = read_faces(image, self._model, detector)
        except ImageError as error:
            raise Refused(400, str(error)) from error
        finally:
            self._detectors.put(detector)
        most = self.limits.faces
        return Answer(image.shape[1], image.shape[0], found[:most], max(0, len(found) - most))

    def close(self) -> None:
        """End the threads; what waits is not read."""
        self._workers.shutdown(wait=False, cancel_futures=True)
