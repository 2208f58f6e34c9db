"""The one place where requests meet the model: processes that decode, and threads with a detector each."""

import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ferlib.common.decode import DecodingPool, PoolBusyError
from ferlib.common.errors import ImageError, ImageFormatError, ImageLimitError
from ferlib.detect.detector import load_detector
from ferlib.detect.yunet import YuNet
from ferlib.live.serve.limits import Limits, RefusedError
from ferlib.model.predictor import Predictor
from ferlib.model.recognise import Face, Recognizer

_DECODERS = 4
_BUSY = "the server is busy; try again in a second"


@dataclass(frozen=True)
class Result:
    """What was recognised in one picture, turned as its EXIF orientation says.

    Attributes:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        faces: The faces, largest first.
        left_out: Number of faces over the limit, which were found and not recognised.
    """

    width: int
    height: int
    faces: list[Face]
    left_out: int


class _SharedModel:
    """A model that threads use in turn, for at most `limit` faces of a picture; further rows are zeros."""

    def __init__(self, model: Predictor, limit: int):
        self._model, self._limit, self._lock = model, limit, threading.Lock()
        self.class_names, self.input_shape = tuple(model.class_names), model.input_shape

    def predict(self, faces: np.ndarray, tta: str = "none") -> np.ndarray:
        with self._lock:
            answers = np.asarray(self._model.predict(faces[: self._limit], tta))
        return np.pad(answers, ((0, len(faces) - len(answers)), (0, 0)))


class PictureReader:
    """Recognise the faces of pictures for many requests at once. A context manager.

    Pictures are decoded in processes of their own, which are killed at a deadline, and read in a few threads. A
    detector is never used by two threads, and what OpenCV and network hold per thread is held a few times, not once
    per request. YuNet is loaded up to four times; a Haar cascade, which uses all cores by itself,
    is used by one thread.

    Args:
        recognizer: The model and the detector.
        limits: The server's limits.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits):
        self.limits, self.model = limits, recognizer.model
        model = _SharedModel(recognizer.model, limits.faces)
        model.predict(np.zeros((1, *model.input_shape[:2]), np.uint8))  # compiles: not while somebody waits
        more = min(4, os.cpu_count() or 1) - 1 if isinstance(recognizer.detector, YuNet) else 0
        detectors = [recognizer.detector, *(load_detector("yunet") for _ in range(more))]
        self._recognizers: queue.SimpleQueue[Recognizer] = queue.SimpleQueue()
        for detector in detectors:
            self._recognizers.put(replace(recognizer, model=model, detector=detector))
        self._decoders, self._free = DecodingPool(_DECODERS), threading.BoundedSemaphore(_DECODERS)
        self._threads = ThreadPoolExecutor(_DECODERS, "ferlib-read")
        self._places = threading.BoundedSemaphore(limits.requests)

    def __enter__(self) -> Self:
        """Start the decoders.

        Returns:
            The reader.
        """
        self._decoders.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """End the decoders; what is being decoded is refused."""
        self.refuse_more()
        self._decoders.__exit__()

    def refuse_more(self) -> None:
        """Refuse pictures from now on; those that are being read are finished."""
        self._threads.shutdown(wait=False)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places for requests with pictures.

        Yields:
            Nothing.

        Raises:
            RefusedError: With status 503, at once, when all places are taken.
        """
        if not self._places.acquire(blocking=False):
            raise RefusedError(503, _BUSY)
        try:
            yield
        finally:
            self._places.release()

    def read(self, data: bytes) -> Result:
        """Recognise the faces of a picture.

        Args:
            data: The bytes of the file.

        Returns:
            The faces and the size of the picture.

        Raises:
            RefusedError: With status 400 (empty or broken), 413 (over a limit), 415 (another format) or 503 (busy).
        """
        if not data:
            raise RefusedError(400, "no picture was sent: the body is empty")
        if not self._free.acquire(timeout=self.limits.decoding_seconds):
            raise RefusedError(503, _BUSY)
        try:
            future = self._threads.submit(self._read, data)
        except RuntimeError as error:  # of `refuse_more`
            self._free.release()
            raise RefusedError(503, "the server is being stopped") from error
        try:
            return future.result()
        finally:
            self._free.release()

    def _read(self, data: bytes) -> Result:
        try:
            image = self._decoders.load(data, self.limits.decoding_seconds)
        except PoolBusyError as error:
            raise RefusedError(503, _BUSY) from error
        except ImageError as error:
            status = {ImageLimitError: 413, ImageFormatError: 415}.get(type(error), 400)
            raise RefusedError(status, str(error)) from error
        recognizer = self._recognizers.get()
        try:
            faces = recognizer.read(image, "rgb")
        finally:
            self._recognizers.put(recognizer)
        limit = self.limits.faces
        return Result(image.shape[1], image.shape[0], faces[:limit], max(0, len(faces) - limit))
