"""The camera cell of a notebook: live predictions on the browser's camera, a camera of the kernel, a video or a film.

The browser's camera: the page sends JPEG frames as binary messages, at most two that are not answered yet. The
kernel answers each with boxes and probabilities, a kilobyte instead of a picture, and the page draws them over
its own live picture. Any other source is read at the kernel, which sends each picture with its answer.
`camera.js` is the page's half.
"""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from ferlib.common import images, paths
from ferlib.common.colours import colours_of, ink_on
from ferlib.common.errors import BadInputError, FerlibError, check_choice
from ferlib.detect.detector import Detector, load_detector
from ferlib.detect.yunet import YuNet
from ferlib.live import emoji, personal
from ferlib.live.tracking import FaceTracker
from ferlib.live.video import Frame, FrameClock, camera_number, frames
from ferlib.model.predictor import TTA
from ferlib.model.recognise import Face, Recognizer

BROWSER = "browser"
"""The source that is the camera of the browser which shows the cell."""

DETECTORS = {"yunet": "yunet", "haar": "frontalface_default"}
"""The detectors that the cell offers, with their names for `load_detector`."""

_LONGEST = 320  # the detector's copy of a frame; the faces are cut from the frame itself
_MAX_PIXELS = 2_000_000  # the page sends 640×480
_IDLE = 10.0  # seconds without a frame after which the newest is forgotten: page closed or hidden
_PATIENCE = 5.0  # seconds that stop() waits for a source that does not answer
_TIME_CONSTANT = 0.25  # of the smoothing, in seconds

_Stream = Generator[tuple[object, bytes | Frame], None, None]  # number and JPEG or frame

# A camera opens only once, and a cell that was run again is gone from the page: so the cells of a
# kernel must know of each other. Messages and code may call from several threads.
_CELLS: weakref.WeakSet["CameraCell"] = weakref.WeakSet()
_LOCK = threading.RLock()


def stop_all() -> None:
    """Stop every camera cell of this kernel and release its camera or file."""
    with _LOCK:
        for cell in list(_CELLS):
            cell.stop()


class CameraCell(anywidget.AnyWidget):
    """A cell with a live picture, boxes, bars and a timeline; it starts, stops, and saves a face by consent.

    Nothing is filmed before the start button or `start`, and no picture is kept unless somebody ticks that
    they agree. Frames are recognised in a thread with a detector of its own, so the kernel stays free. Making
    or starting a cell stops the kernel's other cells. Methods may be called from any thread.

    Args:
        recognizer: The model; its detector and `tta` are what the cell begins with.
        source: `"browser"`, or as `ferlib.live.video.frames` takes it: `"film"`, a camera's number, a video file.
        folder: Where saved faces go; without one `personal.faces_folder()`.
        seed: Of the drawn film.

    Attributes:
        frame_count: Frames recognised since the start.
        last: RGB picture and faces of the newest frame; None before the first one and after a stop.
        error: What last went wrong since the start; None if nothing did.

    Raises:
        BadInputError: A source of a wrong type, or a negative camera number.
    """

    last: tuple[np.ndarray, list[Face]] | None
    _waiting: tuple[object, bytes] | None  # id and JPEG of the newest frame of the page
    _esm = Path(__file__).with_name("camera.js")
    _css = Path(__file__).with_name("camera.css")
    class_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    """Class name to [colour, colour of letters on it], as CSS."""
    emoji_pictures = traitlets.Dict().tag(sync=True)
    """Class name to PNG bytes."""
    detectors = traitlets.List(traitlets.Unicode(), list(DETECTORS)).tag(sync=True)
    tta_choices = traitlets.List(traitlets.Unicode(), list(TTA)).tag(sync=True)
    faces_folder = traitlets.Unicode().tag(sync=True)
    """The folder of saved faces, as the page may show it."""
    saved = traitlets.Dict().tag(sync=True)
    """Class name to number of saved faces."""
    source = traitlets.Unicode().tag(sync=True)
    detector = traitlets.Unicode().tag(sync=True)
    tta = traitlets.Unicode().tag(sync=True)
    smoothing = traitlets.Bool(True).tag(sync=True)
    emoji = traitlets.Bool(False).tag(sync=True)
    status = traitlets.Dict({"running": False, "text": "", "error": False}).tag(sync=True)
    """What the page shows of a source at the kernel."""

    def __init__(
        self,
        recognizer: Recognizer,
        source: str | int | os.PathLike = BROWSER,
        folder: str | os.PathLike | None = None,
        seed: int = 7,
    ):
        self._recognizer, self._seed = recognizer, seed
        self._folder = personal.faces_folder() if folder is None else Path(folder)
        self._wake = threading.Condition(threading.RLock())
        self._stopped = threading.Event()
        self._stopped.set()
        self._thread: threading.Thread | None = None
        self._reset()
        camera_number(source)
        stop_all()
        names, drawings = recognizer.class_names, Path(emoji.__file__).with_name("emoji_images")
        super().__init__(
            class_names=list(names),
            colours={name: [f"rgb{rgb}", f"rgb{ink_on(rgb)}"] for name, rgb in colours_of(names).items()},
            emoji_pictures={n: (drawings / f"{n}.png").read_bytes() for n in names if n in emoji.NAMES},
            faces_folder=paths.shown(self._folder),
            saved=personal.count_faces(self._folder, names),
            source=str(source).strip(),
            detector="yunet" if isinstance(recognizer.detector, YuNet) else "haar",
            tta=recognizer.tta,
        )
        self.on_msg(self.receive)
        _CELLS.add(self)
        atexit.unregister(stop_all)  # once is enough
        atexit.register(stop_all)  # a camera is also released when the kernel ends first

    def __repr__(self) -> str:
        return f"The camera cell, source {self.source}: run the cell in JupyterLab and press start."

    @property
    def running(self) -> bool:
        """Whether the thread that recognises frames is running."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def fps(self) -> float:
        """Frames per second over the last fifty frames."""
        return self._clock.fps

    def start(self) -> None:
        """Read the source from its beginning; what ran before is stopped first."""
        with _LOCK:
            stop_all()
            if self.running:  # its source hangs; two threads must not share the cell
                return
            self._reset()
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopped,), name="ferlib-camera", daemon=True
            )
            self.status = {"running": True, "text": "starting …", "error": False}
            self._thread.start()

    def stop(self) -> None:
        """End the thread, release the source and forget the newest picture; returns when that is done."""
        with _LOCK:
            with self._wake:
                self._stopped.set()
                self._wake.notify_all()
            thread = self._thread
            if thread is not None and thread is not threading.current_thread():
                thread.join(_PATIENCE)
                if self.running:
                    text = "the source does not answer; it is released when it does"
                    self.status = {"running": True, "text": text, "error": True}
            self.last = self._waiting = None

    def close(self) -> None:
        """Stop, and take the cell off the page."""
        if hasattr(self, "_wake"):  # ipywidgets also closes what could not be made
            self.stop()
        super().close()

    def receive(self, _: object, content: object, buffers: Sequence[bytes | memoryview]) -> None:
        """Act on a message of the page; what goes wrong is shown there.

        Args:
            content: What to do: `kind` is frame, start, stop, save or delete; others are ignored.
            buffers: The JPEG of a frame.
        """
        message = content if isinstance(content, Mapping) else {}
        kind = message.get("kind")
        try:
            if kind == "frame":
                self._receive_frame(message.get("id"), bytes(buffers[0]) if buffers else b"")
            elif kind == "start":
                self.source = message.get("source", self.source)  # the page's change of it may come later
                self.start()
            elif kind == "stop":
                self.stop()
            elif kind == "save":
                self._save(message.get("emotion"), message.get("consent"))
            elif kind == "delete":
                self._delete(message.get("sure"))
        except Exception as error:
            self.send({"kind": "notice", "error": True, "text": _describe(error)})

    def _reset(self) -> None:
        self.frame_count, self.last, self._waiting = 0, None, None
        self.error: Exception | None = None
        self._clock = FrameClock(self.source)

    def _receive_frame(self, number: object, frame: bytes) -> None:
        """Leave a frame to the thread; one that is overtaken, or comes after a stop, is answered unread."""
        with self._wake:
            dropped: tuple[object, bytes] | None = (number, frame)
            if not self._stopped.is_set():
                dropped, self._waiting = self._waiting, (number, frame)
                self._wake.notify_all()
        if dropped is not None:
            self.send({"kind": "answer", "id": dropped[0], "dropped": True})

    def _run(self, stopped: threading.Event) -> None:
        try:
            self._recognise_all(stopped)
            text, failed = f"stopped after {self.frame_count} frames, {self.fps:.0f} per second", False
        except Exception as error:  # shown in the cell: nobody sees what a thread raises
            self.error = error
            text, failed = f"stopped: {_describe(error)}", True
        self.status = {"running": False, "text": text, "error": failed}

    def _recognise_all(self, stopped: threading.Event) -> None:
        """Answer each frame, whatever happens: an unanswered one would hold up the page."""
        tracker = FaceTracker(time_constant=_TIME_CONSTANT)
        detectors: dict[str, Detector] = {}  # of this thread: OpenCV's detectors must not be shared
        stream = self._browser_frames(stopped) if self.source == BROWSER else self._source_frames(stopped)
        with closing(stream):
            for number, frame in stream:
                picture: list[bytes] = []
                try:
                    image = frame.image if isinstance(frame, Frame) else images.load_image(frame, _MAX_PIXELS)
                    picture = [images.encode_jpeg(image)] if isinstance(frame, Frame) else []
                    faces = self._recognise(image, detectors)
                    with self._wake:
                        if not stopped.is_set():
                            self.last, self.frame_count = (image, faces), self.frame_count + 1
                            self._clock.tick()
                    tracked = tracker.update(faces, time.monotonic())
                    shown = [_face_json(face) for face in (tracked if self.smoothing else faces)]
                    answer: dict = {"size": image.shape[1::-1], "faces": shown}
                except Exception as error:
                    self.error, answer = error, {"error": _describe(error)}
                self.send({"kind": "answer", "id": number, **answer}, picture)

    def _recognise(self, image: np.ndarray, detectors: dict[str, Detector]) -> list[Face]:
        name = self.detector
        if name not in detectors:
            check_choice("detector", name, DETECTORS)
            detectors[name] = load_detector(DETECTORS[name])
        recognizer = replace(self._recognizer, detector=detectors[name], tta=self.tta, longest=_LONGEST)
        return recognizer.read(image, "rgb", min_size=min(image.shape[:2]) // 6)  # as in `read_frames`

    def _browser_frames(self, stopped: threading.Event) -> _Stream:
        while True:
            with self._wake:
                if not self._wake.wait_for(lambda: self._waiting or stopped.is_set(), _IDLE):
                    self.last = None
                    continue
                waiting, self._waiting = self._waiting, None
            if stopped.is_set() or waiting is None:
                return
            yield waiting

    def _source_frames(self, stopped: threading.Event) -> _Stream:
        with closing(frames(self.source, seed=self._seed)) as stream:
            for frame in stream:
                if stopped.wait(self._clock.delay(frame)):
                    return
                yield frame.index, frame

    def _save(self, emotion: object, consent: object) -> None:
        if consent is not True:
            raise BadInputError("nothing was saved: the person in the picture must agree first; tick the box")
        newest = self.last
        if newest is None or not newest[1]:
            raise BadInputError("nothing was saved: no face in the newest frame; come closer, into the light")
        crop = images.crop_face(newest[0], newest[1][0].box)
        file = personal.save_face(crop, str(emotion), self.class_names, self._folder)
        self.saved = personal.count_faces(self._folder, self.class_names)
        self.send({"kind": "notice", "text": f"Saved as {paths.shown(file)}."})

    def _delete(self, sure: object) -> None:
        if sure is not True:
            raise BadInputError("nothing was deleted: confirm that you are sure")
        count = personal.delete_faces(self._folder)
        self.saved = personal.count_faces(self._folder, self.class_names)
        model = " and the model taught on them" if personal.delete_model() else ""
        self.send({"kind": "notice", "text": f"Deleted {count} saved face{'s' * (count != 1)}{model}."})


def _face_json(face: Face) -> dict:
    return {"box": face.box, "probabilities": [round(p, 4) for p in face.probabilities.values()]}


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, FerlibError) else f"{type(error).__name__}: {error}"
