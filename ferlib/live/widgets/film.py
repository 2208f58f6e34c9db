"""A notebook cell with a live picture: box, expression and probabilities, start and stop."""

import atexit
import html
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import closing

import ipywidgets

from ferlib import live
from ferlib.common import images
from ferlib.common.colours import colour_of
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.detect.detector import Detector, default_detector
from ferlib.live.overlay import draw_readings
from ferlib.live.video import FILM, Frame, camera_number, frames

_FILE = "a file"
_PATIENCE = 5.0  # seconds that stop() waits for a source that does not answer

# A camera opens once only, and the stop button of a cell that was run again is gone from the page:
# so the cells of a kernel must know of each other. Buttons and code may call from several threads.
_CELLS: weakref.WeakSet = weakref.WeakSet()
_LOCK = threading.RLock()


def stop_all() -> None:
    """Stop every live cell of this kernel and release its camera or file."""
    with _LOCK:
        for cell in list(_CELLS):
            cell.stop()


class LiveCell(ipywidgets.VBox):
    """The live picture as a widget; a thread of its own reads frames, so the kernel stays free.

    `bundle`: a loaded model (`ferlib.live.Predictor`); `source`: "film", a camera's number or a video
    file; `views`: "one", "flip" or "three". Making or starting a cell stops the others of the kernel. Methods may be
    called from any thread. `frame_count`, `fps`, `last` (frame, readings, annotated RGB picture)
    and `error` say how far it came.
    """

    def __init__(self, bundle: live.Predictor, source: str | int = FILM, views: str = "one", seed: int = 7):
        self._bundle, self._seed = bundle, seed
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._clear()
        if views not in live.VIEWS:
            raise BadInputError(f"views {views!r}: known are {', '.join(live.VIEWS)}")
        stop_all()
        self._picture = ipywidgets.Image(format="jpeg", layout={"width": "480px", "min_height": "240px"})
        self._bars = ipywidgets.HTML(bars_html(dict.fromkeys(bundle.class_names, 0.0)))
        self._words = ipywidgets.HTML("Press start.")
        self._source, self._path = _source_controls(source)
        self._views = ipywidgets.Dropdown(
            options=[("one view", "one"), ("and mirrored", "flip"), ("three views summed", "three")],
            value=views,
            description="views",
        )
        start = ipywidgets.Button(description="start", icon="play", button_style="primary")
        stop = ipywidgets.Button(description="stop", icon="stop")
        start.on_click(lambda _: self.start())
        stop.on_click(lambda _: self.stop())
        super().__init__(
            [
                ipywidgets.HBox([self._source, self._path, self._views]),
                ipywidgets.HBox([start, stop, self._words]),
                ipywidgets.HBox([self._picture, self._bars]),
            ]
        )
        _CELLS.add(self)
        atexit.unregister(stop_all)  # once is enough
        atexit.register(stop_all)  # a camera is released, too, when the kernel ends first

    @property
    def running(self) -> bool:
        """Whether the thread is reading frames."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Read the chosen source from its beginning; what ran before is stopped first."""
        with _LOCK:
            stop_all()
            if self.running:  # its source hangs; two threads must not share the widget
                return
            self._clear()
            self._stop = threading.Event()
            source = self._path.value.strip() if self._source.value == _FILE else self._source.value
            self._thread = threading.Thread(
                target=self._loop, args=(source, self._stop), name="ferlib-live", daemon=True
            )
            self._words.value = "starting …"
            self._thread.start()

    def stop(self) -> None:
        """End the thread and release the source; returns when that is done. May be called at any time."""
        with _LOCK:
            self._stop.set()
            if self.running and self._thread is not threading.current_thread():
                self._thread.join(_PATIENCE)
                if self.running:
                    self._words.value = "the source does not answer; it is released when it does"

    def close(self) -> None:
        """Stop, then take the widget off the page."""
        self.stop()
        super().close()

    def _clear(self) -> None:
        self.frame_count, self.fps = 0, 0.0
        self.last: tuple[Frame, list, object] | None = None
        self.error: Exception | None = None

    def _loop(self, source: str | int, stop: threading.Event) -> None:
        try:
            self._read(source, stop)
            self._words.value = f"stopped after {self.frame_count} frames, {self.fps:.0f} a second"
        except Exception as error:  # shown in the cell: nobody sees what a thread raises
            self.error = error
            what = str(error) if isinstance(error, FerlibError) else f"{type(error).__name__}: {error}"
            self._words.value = f'<b style="color:#b00020">stopped: {html.escape(what)}</b>'

    def _read(self, source: str | int, stop: threading.Event) -> None:
        detector = default_detector()  # one for this thread: OpenCV's detectors must not be shared
        begin, shown = time.monotonic(), deque(maxlen=25)  # when the last pictures were shown
        with closing(frames(source, seed=self._seed)) as stream:  # closes camera or file, whatever happens
            for frame in stream:
                early = frame.seconds - (time.monotonic() - begin)
                if stop.wait(max(0.0, early)):  # films and files keep their own speed
                    return
                if early < 0:
                    begin -= early  # too slow for the source: go on slower, do not rush afterwards
                self._show(frame, detector)
                shown.append(time.monotonic())
                self.fps = (len(shown) - 1) / max(shown[-1] - shown[0], 1e-3)

    def _show(self, frame: Frame, detector: Detector) -> None:
        least = min(frame.image.shape[:2]) // 6
        readings = live.read_faces(frame.image, self._bundle, detector, self._views.value, min_size=least)
        drawn = draw_readings(frame.image, readings, bars=False)
        self._picture.value = images.encode_jpeg(drawn)
        if readings:
            self._bars.value = bars_html(readings[0].probabilities)
        seen = f"{len(readings)} face{'s' * (len(readings) != 1)}" if readings else "no face found"
        self._words.value = f"{self.fps:.0f} frames a second · {seen}"
        self.last = (frame, readings, drawn)
        self.frame_count += 1


def _source_controls(source: str | int) -> tuple[ipywidgets.Dropdown, ipywidgets.Text]:
    """The list of sources and the field for a file's path, set to `source`."""
    choices = {"drawn film": FILM, "camera 0": 0, "camera 1": 1, "video file": _FILE}
    number = None if source == FILM else camera_number(source)
    if number is not None:
        choices.setdefault(f"camera {number}", number)
    path = "" if source == FILM or number is not None else str(source)
    chosen = FILM if source == FILM else number if number is not None else _FILE
    field = ipywidgets.Text(value=path, placeholder="path of a video file", description="file")
    return ipywidgets.Dropdown(options=list(choices.items()), value=chosen, description="source"), field


def bars_html(probabilities: Mapping[str, float]) -> str:
    """Probabilities as a small table of bars in HTML; `probabilities`: class name to 0..1."""
    row = (
        '<tr><td style="text-align:right;padding:0 6px">{name}</td><td style="width:160px">'
        '<div style="width:{percent:.0f}%;min-width:1px;height:14px;background:rgb{colour}"></div></td>'
        '<td style="width:3em;text-align:right">{percent:.0f} %</td></tr>'
    )
    rows = (
        row.format(name=html.escape(name), percent=100 * min(max(p, 0.0), 1.0), colour=colour_of(name))
        for name, p in probabilities.items()
    )
    return f'<table style="line-height:1.5">{"".join(rows)}</table>'
