"""A notebook cell on the browser's own camera: frames go to the kernel, what the model reads comes back.

The page sends JPEG frames as binary messages, at most two that are not answered yet; the kernel answers each
with boxes and probabilities, a kilobyte instead of a picture, and the page draws them over its own live
picture. `camera.js` is the page's half, `ferlib.live.widgets.film` the cell for a camera at the kernel.
"""

import io
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image

from ferlib import live
from ferlib.common import images, paths
from ferlib.common.boxes import match_boxes
from ferlib.common.colours import colour_of, ink_on
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.common.images import crop_face
from ferlib.detect.detector import load_detector
from ferlib.detect.yunet import local_model_file
from ferlib.live import emoji, personal

DETECTORS = ("yunet", "haar")
"""The detectors that the cell offers; Haar is `frontalface_default`."""

_LONGEST = 320  # the detector's copy of a frame; the faces are cut from the frame itself
_MAX_PIXELS = 2_000_000  # the page sends 640×480
_IDLE = 10.0  # seconds without a frame after which the thread ends: page closed, camera stopped
_PATIENCE = 2.0  # seconds that close() waits for the thread
_EMOJI = 256  # pixels of an emoji; the page scales it
_CALM = 0.25  # seconds after which an old answer counts for 1/e

# A cell that was run again is gone from the page, but its camera and thread would not know.
_CELLS: weakref.WeakSet = weakref.WeakSet()


class CameraCell(anywidget.AnyWidget):
    """The camera of the browser as a cell: picture, boxes, bars and a timeline; start, stop, save a face.

    `bundle`: a loaded model (`ferlib.live.Predictor`). `detector`: "yunet", "haar", or "auto", which is YuNet
    where its file is there. `folder`: where saved faces go, `myfaces.folder()` without one. Nothing is filmed
    before the start button, nothing is kept unless somebody ticks that they agree. Making a cell closes the
    kernel's other camera cells. `frame_count` and `last` (readings of the newest frame) say how far it came.

    Messages may come in any thread (ipykernel 7 gives widgets one of their own); frames are read in one
    worker thread with a detector of its own. A frame that a newer one overtakes is answered, not read.
    """

    _esm = Path(__file__).with_name("camera.js")
    _css = Path(__file__).with_name("camera.css")
    class_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    """Class name to [colour, colour of letters on it], as CSS."""
    emoji_pictures = traitlets.Dict().tag(sync=True)
    """Class name to PNG bytes; empty where there are no drawings, and then there is no switch."""
    detectors = traitlets.List(traitlets.Unicode(), list(DETECTORS)).tag(sync=True)
    view_choices = traitlets.List(traitlets.Unicode(), list(live.VIEWS)).tag(sync=True)
    place = traitlets.Unicode().tag(sync=True)
    """The folder of saved faces, as the page may show it."""
    saved = traitlets.Dict().tag(sync=True)
    """Class name to the number of saved faces."""
    detector = traitlets.Unicode().tag(sync=True)
    views = traitlets.Unicode().tag(sync=True)
    smoothing = traitlets.Bool(True).tag(sync=True)
    emoji = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        bundle: live.Predictor,
        views: str = "one",
        detector: str = "auto",
        folder: str | os.PathLike | None = None,
    ):
        self._bundle, self._folder = bundle, personal.folder() if folder is None else Path(folder)
        self._wake = threading.Condition(threading.RLock())
        self._waiting: tuple[object, bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._newest: tuple[np.ndarray, list] | None = None
        self.frame_count, self.last = 0, []
        if detector == "auto":
            detector = "haar" if local_model_file() is None else "yunet"
        _known("views", views, live.VIEWS)
        _known("detector", detector, DETECTORS)
        close_all()
        names = tuple(bundle.class_names)
        super().__init__(
            class_names=list(names),
            colours={name: [_css(colour_of(name)), _css(ink_on(colour_of(name)))] for name in names},
            emoji_pictures=_emoji_pictures(names),
            place=paths.shown(self._folder),
            saved=personal.count_faces(self._folder, names),
            detector=detector,
            views=views,
        )
        self.on_msg(self._received)
        _CELLS.add(self)

    def __repr__(self) -> str:
        return "The camera cell: a start button for this browser's camera (run the cell in JupyterLab)."

    @property
    def running(self) -> bool:
        """Whether the worker thread is there; it ends ten seconds after the last frame."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """End the thread, forget the newest frame, and take the cell off the page, which stops its camera."""
        if hasattr(self, "_wake"):  # ipywidgets closes what could not be made, too
            with self._wake:
                self._closed, self._newest, thread = True, None, self._thread
                self._wake.notify_all()
            if thread is not None and thread is not threading.current_thread():
                thread.join(_PATIENCE)
        super().close()

    def _received(self, _: object, content: Mapping, buffers: Sequence) -> None:
        """A message of the page; whatever goes wrong is said there."""
        kind = content.get("kind") if isinstance(content, Mapping) else None
        try:
            if kind == "frame":
                self._take(content.get("id"), buffers)
            elif kind == "stop":
                with self._wake:
                    self._newest = None
            elif kind == "save":
                self._save(content.get("emotion"), content.get("consent"))
            elif kind == "delete":
                self._delete(content.get("sure"))
        except Exception as error:
            self.send({"kind": "notice", "error": True, "text": _words(error)})

    def _take(self, number: object, buffers: Sequence) -> None:
        """Leave a frame to the worker; one that still waits is answered unread."""
        frame = bytes(buffers[0]) if buffers else b""
        with self._wake:
            stale, self._waiting = self._waiting, (number, frame)
            if not self.running and not self._closed:
                self._thread = threading.Thread(target=self._work, name="ferlib-camera", daemon=True)
                self._thread.start()
            self._wake.notify_all()
        if stale is not None:
            self._answer(stale[0], dropped=True)

    def _work(self) -> None:
        detectors, calm = {}, _Calm()  # of this thread: OpenCV's detectors must not be shared
        while True:
            with self._wake:
                woken = self._wake.wait_for(lambda: self._waiting or self._closed, _IDLE)
                if self._closed or not woken:
                    self._thread, self._newest = None, None
                    return
                (number, frame), self._waiting = self._waiting, None
            answer = {}
            try:
                answer = self._read(frame, detectors, calm)
            except Exception as error:
                answer = {"error": _words(error)}
            finally:  # whatever happened: an unanswered frame would hold up the stream
                self._answer(number, **answer)

    def _answer(self, number: object, **answer: object) -> None:
        self.send({"kind": "answer", "id": number, **answer})

    def _read(self, frame: bytes, detectors: dict, calm: "_Calm") -> dict:
        """What the page needs to know of a frame."""
        begin = time.perf_counter()
        image = images.load_image(frame, _MAX_PIXELS)
        name = self.detector
        if name not in detectors:
            _known("detector", name, DETECTORS)
            detectors[name] = load_detector("yunet" if name == "yunet" else "frontalface_default")
        least = min(image.shape[:2]) // 6  # who sits before a camera is larger, and small windows cost time
        readings = live.read_faces(
            image, self._bundle, detectors[name], self.views, min_size=least, longest=_LONGEST
        )
        with self._wake:
            if not self._closed:
                self._newest, self.last = (image, readings), readings
                self.frame_count += 1
        rows = [list(reading.probabilities.values()) for reading in readings]
        boxes = [reading.box for reading in readings]
        if self.smoothing:
            rows = calm.update(boxes, rows, time.monotonic())
        return {
            "size": [image.shape[1], image.shape[0]],
            "faces": [
                {"box": list(box), "probabilities": [round(float(p), 4) for p in row]}
                for box, row in zip(boxes, rows, strict=True)
            ],
            "kernel_ms": round(1000 * (time.perf_counter() - begin), 1),
        }

    def _save(self, emotion: object, consent: object) -> None:
        if consent is not True:
            raise BadInputError("nothing was saved: the person in the picture must agree first; tick the box")
        with self._wake:
            newest = self._newest
        if newest is None or not newest[1]:
            raise BadInputError("nothing was saved: no face in the newest frame; come closer, into the light")
        image, readings = newest
        file = personal.save_face(
            crop_face(image, readings[0].box), str(emotion), tuple(self.class_names), self._folder
        )
        self._count()
        self.send({"kind": "notice", "text": f"Saved as {paths.shown(file)}."})

    def _delete(self, sure: object) -> None:
        if sure is not True:
            raise BadInputError("nothing was deleted: say that you are sure")
        count = personal.delete_faces(self._folder)
        self._count()
        model = personal.delete_model()
        text = f"Deleted {count} saved face{'s' * (count != 1)}"
        self.send({"kind": "notice", "text": text + (" and the model taught on them." if model else ".")})

    def _count(self) -> None:
        self.saved = personal.count_faces(self._folder, tuple(self.class_names))


def close_all() -> None:
    """Close every camera cell of this kernel."""
    for cell in list(_CELLS):
        cell.close()
        _CELLS.discard(cell)


class _Calm:
    """Probabilities of the faces of a stream, smoothed by seconds: a camera's frames do not come evenly."""

    def __init__(self):
        self._boxes, self._rows, self._seconds = [], [], 0.0

    def update(self, boxes: Sequence, rows: Sequence, seconds: float) -> list:
        """The rows of a frame, each mixed with the past of the face whose box overlaps by an IoU of 0.3."""
        weight = 1 - np.exp(-max(seconds - self._seconds, 0) / _CALM)
        mixed = [np.asarray(row, dtype=np.float64) for row in rows]
        for old, new, _ in match_boxes(self._boxes, boxes, 0.3):
            mixed[new] = weight * mixed[new] + (1 - weight) * self._rows[old]
        self._boxes, self._rows, self._seconds = list(boxes), mixed, seconds
        return mixed


def _emoji_pictures(names: Sequence[str]) -> dict[str, bytes]:
    """PNG drawings of the classes that have one."""
    return {name: _png(emoji.draw_emoji(name, _EMOJI)) for name in names if name in emoji.NAMES}


def _png(rgba: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    return buffer.getvalue()


def _known(what: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BadInputError(f"{what} {value!r}: known are {', '.join(choices)}")


def _css(colour: Sequence[int]) -> str:
    return "rgb({}, {}, {})".format(*colour)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, FerlibError) else f"{type(error).__name__}: {error}"
