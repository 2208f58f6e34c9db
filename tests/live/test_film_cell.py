"""The live cell starts, shows, stops, and releases its source, whatever happens."""

import queue
import threading
import time

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live.video import Frame
from ferlib.live.widgets import film


class Model:
    """Reads every face as happy, and notes the size of each batch."""

    class_names = SEVEN
    input_shape = (48, 48, 1)

    def __init__(self):
        self.batches = []

    def predict(self, faces):
        self.batches.append(len(faces))
        return np.tile(np.float32([0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05]), (len(faces), 1))


class Source:
    """Stands in for `ferlib.live.video.frames`: gray frames, and a note of what was opened and closed."""

    def __init__(self, count=None, error=None, pause=0.0):
        self.count, self.error, self.pause = count, error, pause
        self.opened, self.closed, self.threads = [], 0, set()

    def __call__(self, source, seed=7):
        self.opened.append(source)
        self.threads.add(threading.current_thread())
        try:
            index = 0
            while self.count is None or index < self.count:
                time.sleep(self.pause)
                yield Frame(index, index / 100, np.full((120, 160, 3), 90, np.uint8), None)
                index += 1
            if self.error:
                raise self.error
        finally:
            self.closed += 1


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def source(monkeypatch):
    stand_in = Source()
    monkeypatch.setattr(film, "frames", stand_in)
    yield stand_in
    film.stop_all()


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    film.stop_all()
    assert wait_until(lambda: not [t for t in threading.enumerate() if t.name == "ferlib-live"])


def buttons(cell):
    return {
        w.description: w for row in cell.children for w in getattr(row, "children", ()) if hasattr(w, "click")
    }


def test_a_real_film_is_shown_and_read():
    model = Model()
    cell = film.LiveCell(model, "film")
    cell.start()
    assert wait_until(lambda: cell.frame_count >= 5, 30)
    cell.stop()
    assert not cell.running and cell.error is None
    frame, readings, drawn = cell.last
    assert frame.emotion in SEVEN and drawn.shape == frame.image.shape
    shown = images.load_image(bytes(cell._picture.value))
    assert shown.shape == frame.image.shape
    assert np.abs(shown.astype(int) - drawn).mean() < 12  # it is the annotated frame, but for the JPEG
    assert "stopped after" in cell._words.value
    if readings:
        assert readings[0].emotion == "happy" and "60 %" in cell._bars.value
    assert set(model.batches) <= {1}


def test_start_and_stop_by_buttons(source):
    cell = film.LiveCell(Model())
    assert not cell.running and source.opened == []  # nothing is opened before start
    buttons(cell)["start"].click()
    assert wait_until(lambda: cell.frame_count > 2)
    assert cell.running and source.closed == 0
    buttons(cell)["stop"].click()
    assert not cell.running and source.closed == 1
    count = cell.frame_count
    time.sleep(0.1)
    assert cell.frame_count == count
    cell.start()
    assert wait_until(lambda: cell.frame_count > 0)
    cell.stop()
    assert source.opened == ["film", "film"] and source.closed == 2


def test_frames_are_read_in_a_thread_of_their_own(source):
    cell = film.LiveCell(Model())
    cell.start()
    assert wait_until(lambda: cell.frame_count > 0)
    assert threading.current_thread() not in source.threads and len(source.threads) == 1


def test_running_the_cell_again_stops_the_earlier_one(source):
    first = film.LiveCell(Model())
    first.start()
    assert wait_until(lambda: first.frame_count > 0)
    second = film.LiveCell(Model())
    assert not first.running and source.closed == 1
    second.start()
    first.start()
    assert not second.running and first.running
    assert source.closed == 2


def test_closing_the_widget_stops_it(source):
    cell = film.LiveCell(Model())
    cell.start()
    assert wait_until(lambda: cell.frame_count > 0)
    cell.close()
    assert not cell.running and source.closed == 1


def test_stop_without_start_and_twice(source):
    cell = film.LiveCell(Model())
    cell.stop()
    cell.start()
    cell.stop()
    cell.stop()
    assert not cell.running


def test_a_source_that_ends_ends_the_thread(source):
    source.count = 4
    cell = film.LiveCell(Model())
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert cell.frame_count == 4 and source.closed == 1 and "4 frames" in cell._words.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BadInputError("no camera 5 here; plug one in"), "stopped: no camera 5 here; plug one in"),
        (ValueError("<b>odd</b>"), "ValueError: &lt;b&gt;odd&lt;/b&gt;"),
    ],
)
def test_an_error_in_the_source_is_shown_and_ends_the_thread(source, error, words):
    source.count, source.error = 2, error
    cell = film.LiveCell(Model())
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert cell.error is error and words in cell._words.value and source.closed == 1
    assert "Traceback" not in cell._words.value


def test_an_error_in_the_model_is_shown_and_the_source_is_released(source, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the model fell over")

    monkeypatch.setattr(film.live, "read_faces", fail)
    cell = film.LiveCell(Model())
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert "RuntimeError: the model fell over" in cell._words.value and source.closed == 1
    monkeypatch.undo()
    monkeypatch.setattr(film, "frames", source)
    cell.start()
    assert wait_until(lambda: cell.frame_count > 0) and cell.error is None  # a new start begins afresh


def test_a_missing_camera_is_one_clear_line():
    cell = film.LiveCell(Model(), 87)
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert "no camera 87 here" in cell._words.value and "Traceback" not in cell._words.value


def test_start_and_stop_from_many_threads_at_once(source):
    source.pause = 0.002
    cells = [film.LiveCell(Model()) for _ in range(3)]
    rng = np.random.default_rng(3)
    jobs = [cell.start if rng.random() < 0.6 else cell.stop for cell in cells for _ in range(12)]
    threads = [threading.Thread(target=job) for job in rng.permutation(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sum(cell.running for cell in cells) <= 1
    film.stop_all()
    assert len(source.opened) == source.closed > 0
    assert all(cell.error is None for cell in cells)


def test_frames_keep_the_speed_of_their_source(source):
    source.count = 30  # at 100 a second
    cell = film.LiveCell(Model())
    begin = time.monotonic()
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert time.monotonic() - begin > 0.28
    assert 0 < cell.fps <= 110


@pytest.mark.parametrize(
    ("given", "opened"),
    [("film", "film"), (0, 0), ("1", 1), (4, 4), ("some/film.mp4", "some/film.mp4")],
)
def test_the_source_given_is_the_source_opened(source, given, opened):
    cell = film.LiveCell(Model(), given)
    cell.start()
    assert wait_until(lambda: source.opened)
    assert source.opened == [opened]


def test_the_list_of_sources_can_be_changed(source):
    cell = film.LiveCell(Model())
    cell._source.value = "a file"
    cell._path.value = " my film.avi "
    cell.start()
    assert wait_until(lambda: source.opened)
    assert source.opened == ["my film.avi"]


def test_unknown_views_are_refused():
    with pytest.raises(BadInputError, match="'five'"):
        film.LiveCell(Model(), views="five")


def test_bars_as_html():
    text = film.bars_html({"happy": 0.75, "<rest>": 0.25})
    assert "width:75%" in text and "width:25%" in text and "&lt;rest&gt;" in text and "<rest>" not in text
    assert film.bars_html({"happy": 7.0}).count("width:100%") == 1


SET_UP = """
import time
import numpy as np
from ferlib.live.widgets import film as webcam

class Model:
    class_names, input_shape = ("happy", "rest"), (48, 48, 1)
    def predict(self, faces):
        return np.tile(np.float32([0.9, 0.1]), (len(faces), 1))

live = webcam.LiveCell(Model())
start, stop = live.children[1].children[:2]
print(start.comm.comm_id, stop.comm.comm_id, live.children[2].children[0].comm.comm_id)
"""


def test_buttons_and_pictures_in_a_real_kernel():
    """Clicks as a browser sends them, while the kernel is idle and while a cell runs; pictures as it gets them."""
    manager, client = start_new_kernel()
    try:
        start, stop, picture = run_cell(client, SET_UP).split()
        click(client, start)
        assert pictures_until(client, picture, 3)
        client.execute("time.sleep(2); print(live.frame_count)")
        assert pictures_until(client, picture, 5)  # the running cell does not hold the thread up
        click(client, stop)
        words = run_cell(client, "print(live.running, live.error, live.frame_count > 5)")
        assert words.splitlines()[-1] == "False None True"
        click(client, start)
        again = run_cell(client, SET_UP + "time.sleep(0.5); print(len(webcam._CELLS))")
        assert len(again.splitlines()) == 2
        alive = "import threading; print([t.name for t in threading.enumerate() if t.name == 'ferlib-live'])"
        assert run_cell(client, alive).strip() == "[]"  # running the cell again stopped the earlier one
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def click(client, comm_id):
    content = {"comm_id": comm_id, "data": {"method": "custom", "content": {"event": "click"}}}
    client.shell_channel.send(client.session.msg("comm_msg", content))


def run_cell(client, code):
    """What a cell prints; an error in it fails the test."""
    printed = []

    def hook(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=60, output_hook=hook)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def pictures_until(client, comm_id, count):
    """Whether `count` whole JPEG pictures arrive for a widget within half a minute."""
    end = time.monotonic() + 30
    while count and time.monotonic() < end:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if (
            message["msg_type"] == "comm_msg"
            and message["content"]["comm_id"] == comm_id
            and message["buffers"]
        ):
            image = images.load_image(bytes(message["buffers"][0]))
            assert image.shape == (240, 320, 3)
            count -= 1
    return count == 0
