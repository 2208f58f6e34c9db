"""The kernel's half of the camera cell: frames are answered, sources released, faces kept by consent only."""

import queue
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import personal
from ferlib.live.video import Frame
from ferlib.live.widgets import camera
from tests.live.fakes import wait_until

FRAME = images.encode_jpeg(next(iter(synth.film(1, 1, fps=2, size=(320, 240))))[0], 90)
EMPTY = images.encode_jpeg(np.full((240, 320, 3), 120, np.uint8))


class Page:
    """Stands in for the browser: sends to a cell, and keeps what the cell sends."""

    def __init__(self, cell):
        self.cell, self.received, self.pictures = cell, [], []
        cell.send = self._receive  # what would go through the kernel's comm

    def _receive(self, content, buffers=()):
        self.received.append(content)
        self.pictures += buffers

    def frame(self, number, data=FRAME):
        self.cell.receive(self.cell, {"kind": "frame", "id": number}, [memoryview(data)])

    def say(self, **content):
        self.cell.receive(self.cell, content, [])

    def answers(self):
        return [message for message in self.received if message["kind"] == "answer"]

    def answer(self, number):
        assert wait_until(lambda: any(m["id"] == number for m in self.answers()))
        return next(m for m in self.answers() if m["id"] == number)

    def notice(self):
        assert wait_until(lambda: any(m["kind"] == "notice" for m in self.received))
        return next(m for m in reversed(self.received) if m["kind"] == "notice")


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


def threads():
    return [t for t in threading.enumerate() if t.name == "ferlib-camera"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    camera.stop_all()
    assert wait_until(lambda: not threads())


@pytest.fixture
def page(recognizer, tmp_path):
    """A page whose browser has switched its camera on."""
    page = Page(camera.CameraCell(recognizer, folder=tmp_path / "mine"))
    page.say(kind="start")
    return page


@pytest.fixture
def source(monkeypatch):
    stand_in = Source()
    monkeypatch.setattr(camera, "frames", stand_in)
    return stand_in


# the camera of the browser


def test_a_frame_is_answered_with_box_and_probabilities(page):
    page.frame("a:1")
    answer = page.answer("a:1")
    assert answer["size"] == (320, 240) and len(answer["faces"]) == 1 and page.pictures == []
    x, y, width, height = answer["faces"][0]["box"]
    assert x >= 0 and y >= 0 and x + width <= 320 and y + height <= 240 and width >= 80
    assert answer["faces"][0]["probabilities"] == [0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05]
    assert page.cell.frame_count == 1 and page.cell.last[1][0].emotion == "happy"
    assert page.cell.last[0].shape == (240, 320, 3) and page.cell.status["running"]


def test_no_face_is_an_empty_list(page):
    page.frame(1, EMPTY)
    assert page.answer(1)["faces"] == [] and "error" not in page.answer(1)


@pytest.mark.parametrize("data", [b"", b"no picture", FRAME[:300], b"\xff\xd8\xff"])
def test_what_is_no_picture_is_answered_with_an_error(page, data):
    page.frame(1, data)
    assert page.answer(1)["error"]
    page.frame(2)
    assert len(page.answer(2)["faces"]) == 1  # and the next frame is read


def test_a_frame_without_bytes_or_number_is_answered(page):
    page.say(kind="frame", id=5)
    assert "empty" in page.answer(5)["error"]
    page.say(kind="frame")
    assert page.answer(None)["error"]


@pytest.mark.parametrize("content", [None, [], "frame", {}, {"kind": 7}, {"kind": "frames"}])
def test_messages_without_meaning_do_nothing(recognizer, content):
    page = Page(camera.CameraCell(recognizer))
    page.cell.receive(page.cell, content, [])
    assert page.received == [] and not threads()


def test_an_error_in_the_model_is_answered_and_the_stream_goes_on(page, recognizer):
    recognizer.model.error = ValueError("it fell over")
    for number in range(3):
        page.frame(number)
        assert page.answer(number)["error"] == "ValueError: it fell over"
    assert page.cell.error is recognizer.model.error
    recognizer.model.error = None
    page.frame(3)
    assert len(page.answer(3)["faces"]) == 1 and len(threads()) == 1


def test_every_frame_of_many_threads_is_answered_once_and_the_newest_is_read(page, recognizer):
    recognizer.model.pause = 0.05
    page.frame("first")
    page.answer("first")
    senders = [threading.Thread(target=page.frame, args=(k,)) for k in range(40)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    page.frame("newest")
    assert len(page.answer("newest")["faces"]) == 1
    numbers = [message["id"] for message in page.answers()]
    assert sorted(map(str, numbers)) == sorted(map(str, ["first", "newest", *range(40)]))
    assert sum(bool(message.get("dropped")) for message in page.answers()) > 0


def test_the_newest_picture_is_forgotten_when_no_frame_comes(page, monkeypatch, recognizer):
    monkeypatch.setattr(camera, "_IDLE", 0.05)
    page.say(kind="start")
    page.frame(1)
    page.answer(1)
    assert wait_until(lambda: page.cell.last is None) and page.cell.running
    page.say(kind="save", emotion="happy", consent=True)
    assert page.notice()["error"]
    page.frame(2)
    assert page.answer(2)["faces"]


def test_after_a_stop_frames_are_answered_unread_and_nothing_can_be_saved(page, tmp_path):
    page.frame(1)
    page.answer(1)
    page.say(kind="stop")
    assert not threads() and page.cell.last is None and not page.cell.status["running"]
    page.frame(2)  # a late one
    assert page.answer(2)["dropped"] and not threads()
    page.say(kind="save", emotion="happy", consent=True)
    assert "no face" in page.notice()["text"] and not (tmp_path / "mine").exists()


def test_settings_of_the_page_are_obeyed_or_refused(page, recognizer):
    page.cell.detector = "owl"
    page.frame(1)
    assert "unknown detector 'owl'" in page.answer(1)["error"]
    page.cell.detector, page.cell.tta = "haar", "three"
    page.frame(2)
    assert page.answer(2)["faces"]
    page.cell.tta = "nine"
    page.frame(3)
    assert "unknown tta 'nine'" in page.answer(3)["error"]


def test_probabilities_are_smoothed_unless_the_page_switches_it_off(page, recognizer):
    first = lambda number: page.answer(number)["faces"][0]["probabilities"][0]  # noqa: E731
    page.frame(1)
    assert first(1) == 0.05
    recognizer.model.row = np.float32([0.94, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
    page.frame(2)
    assert 0.05 < first(2) < 0.93
    page.cell.smoothing = False
    page.frame(3)
    assert first(3) == 0.94


# saving and deleting


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"emotion": "happy"}, "must agree"),
        ({"emotion": "happy", "consent": False}, "must agree"),
        ({"emotion": "happy", "consent": "yes"}, "must agree"),
        ({"emotion": "../happy", "consent": True}, "known are"),
        ({"emotion": "", "consent": True}, "known are"),
        ({"emotion": None, "consent": True}, "known are"),
    ],
)
def test_a_face_is_not_saved(page, tmp_path, message, words):
    page.frame(1)
    page.answer(1)
    page.say(kind="save", **message)
    assert page.notice()["error"] and words in page.notice()["text"]
    assert list(tmp_path.rglob("*.png")) == []


def test_a_face_is_saved_by_consent_and_deleted(page, tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_WORK", str(tmp_path / "work"))
    page.say(kind="save", emotion="happy", consent=True)
    assert "no face" in page.notice()["text"]
    page.frame(1)
    box = page.answer(1)["faces"][0]["box"]
    page.say(kind="save", emotion="happy", consent=True)
    page.say(kind="save", emotion="sad", consent=True)
    mine = tmp_path / "mine"
    assert images.load_image(mine / "happy" / "00000.png").shape == (box[3], box[2], 3)
    assert {name: count for name, count in page.cell.saved.items() if count} == {"happy": 1, "sad": 1}
    (mine / "happy" / "notes.txt").write_text("not ours")
    taught = personal.model_folder()
    taught.mkdir(parents=True)
    page.say(kind="delete")
    assert page.notice()["error"] and len(list(mine.rglob("*.png"))) == 2
    page.say(kind="delete", sure=True)
    assert "Deleted 2 saved faces and the model" in page.notice()["text"]
    assert [file.name for file in mine.rglob("*") if file.is_file()] == ["notes.txt"]
    assert not taught.exists() and not any(page.cell.saved.values())


# a source at the kernel


def test_a_drawn_film_is_shown_and_recognised(recognizer):
    page = Page(camera.CameraCell(recognizer, "film"))
    page.say(kind="start")
    assert wait_until(lambda: page.cell.frame_count >= 5, 30)
    image, faces = page.cell.last
    assert image.shape == (240, 320, 3) and all(face.emotion == "happy" for face in faces)
    page.say(kind="stop")
    assert not page.cell.running and page.cell.error is None and page.cell.last is None
    shown = images.load_image(bytes(page.pictures[0]))
    assert shown.shape == image.shape and len(page.pictures) >= page.cell.frame_count >= 5
    assert [answer["id"] for answer in page.answers()][:3] == [0, 1, 2]
    status = page.cell.status
    assert status["text"].startswith("stopped after") and not (status["running"] or status["error"])
    assert set(recognizer.model.batches) <= {1}


def test_start_and_stop(recognizer, source):
    cell = camera.CameraCell(recognizer, "film")
    cell.stop()
    assert not cell.running and source.opened == []  # nothing is opened before start
    cell.start()
    assert wait_until(lambda: cell.frame_count > 2)
    assert cell.running and cell.status["running"] and source.closed == 0
    assert threading.current_thread() not in source.threads
    cell.stop()
    cell.stop()
    assert not cell.running and source.closed == 1
    count = cell.frame_count
    time.sleep(0.1)
    assert cell.frame_count == count
    cell.start()
    assert wait_until(lambda: cell.frame_count > 0)
    cell.close()
    assert not cell.running and source.opened == ["film", "film"] and source.closed == 2


def test_making_or_starting_a_cell_stops_the_others(recognizer, source):
    first = camera.CameraCell(recognizer, "film")
    first.start()
    assert wait_until(lambda: first.frame_count > 0)
    second = camera.CameraCell(recognizer, 0)
    assert not first.running and source.closed == 1
    second.start()
    first.start()
    assert not second.running and first.running and source.closed == 2
    browser = camera.CameraCell(recognizer)
    browser.start()
    assert not first.running and browser.running
    assert not (second.status["running"] or first.status["running"])


def test_a_source_that_ends_ends_the_thread_and_keeps_its_last_picture(recognizer, source):
    source.count = 4
    cell = camera.CameraCell(recognizer, "clip.mp4")
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert (
        cell.frame_count == 4
        and source.closed == 1
        and cell.status["text"].startswith("stopped after 4 frames")
    )
    assert cell.last[0].shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BadInputError("no camera 5 here; plug one in"), "stopped: no camera 5 here; plug one in"),
        (ValueError("<b>odd</b>"), "stopped: ValueError: <b>odd</b>"),
    ],
)
def test_an_error_in_the_source_is_shown_and_ends_the_thread(recognizer, source, error, words):
    source.count, source.error = 2, error
    cell = camera.CameraCell(recognizer, "film")
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert cell.error is error and source.closed == 1
    assert cell.status == {"running": False, "text": words, "error": True}
    source.count = None
    cell.start()
    assert wait_until(lambda: cell.frame_count > 0) and cell.error is None  # a new start begins afresh


def test_an_error_in_the_model_is_shown_and_the_source_goes_on(recognizer, monkeypatch):
    page = Page(camera.CameraCell(recognizer, "film"))
    recognizer.model.error = RuntimeError("it fell over")
    page.cell.start()
    assert page.answer(1)["error"] == "RuntimeError: it fell over" and page.cell.running


def test_a_missing_camera_is_one_clear_line(recognizer):
    cell = camera.CameraCell(recognizer, 87)
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert "no camera 87 here" in cell.status["text"] and cell.status["error"]


def test_start_and_stop_from_many_threads_at_once(recognizer, source):
    source.pause = 0.002
    cells = [camera.CameraCell(recognizer, "film") for _ in range(3)]
    rng = np.random.default_rng(3)
    jobs = [cell.start if rng.random() < 0.6 else cell.stop for cell in cells for _ in range(12)]
    jobs = [threading.Thread(target=job) for job in rng.permutation(jobs)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(30)
        assert not job.is_alive()
    assert sum(cell.running for cell in cells) <= 1
    camera.stop_all()
    assert len(source.opened) == source.closed > 0
    assert all(cell.error is None for cell in cells)


def test_frames_keep_the_speed_of_their_source(recognizer, source):
    source.count = 30  # at 100 a second
    cell = camera.CameraCell(recognizer, "film")
    begin = time.monotonic()
    cell.start()
    assert wait_until(lambda: not cell.running)
    assert time.monotonic() - begin > 0.28
    assert 0 < cell.fps <= 110


@pytest.mark.parametrize(
    ("given", "opened"), [("film", "film"), (0, "0"), ("1", "1"), (" my clip.avi ", "my clip.avi")]
)
def test_the_source_given_is_the_source_opened(recognizer, source, given, opened):
    cell = camera.CameraCell(recognizer, given)
    cell.start()
    assert wait_until(lambda: source.opened) and source.opened == [opened]
    cell.source = "another.mp4"  # as the page does
    cell.start()
    assert wait_until(lambda: len(source.opened) == 2) and source.opened[1] == "another.mp4"
    page = Page(cell)
    page.say(kind="start", source="third.mp4")  # the message may come before the page's change of `source`
    assert wait_until(lambda: len(source.opened) == 3) and source.opened[2] == "third.mp4"
    page.say(kind="start", source=7)
    assert page.notice()["error"] and len(source.opened) == 3


@pytest.mark.parametrize("wrong", [-1, 1.5, None, True])
def test_a_wrong_source_is_refused_and_leaves_the_earlier_cell_alone(page, recognizer, wrong):
    with pytest.raises(BadInputError, match=r"numbered from 0|give 'film'"):
        camera.CameraCell(recognizer, wrong)
    page.frame(1)
    assert page.answer(1)["faces"]


def test_a_cell_begins_with_the_settings_of_its_recognizer(recognizer):
    cell = camera.CameraCell(replace(recognizer, tta="flip"), folder="/somewhere/mine")
    assert (cell.source, cell.detector, cell.tta, cell.faces_folder) == ("browser", "haar", "flip", "mine")
    assert (
        set(cell.emoji_pictures) == set(SEVEN) == set(cell.colours)
        and cell.emoji_pictures["sad"][1:4] == b"PNG"
    )
    assert "start" in repr(cell)


SET_UP = """
import time
from ferlib.detect.detector import load_cascade
from ferlib.live.widgets import camera
from ferlib.model.recognise import Recognizer
from tests.live.fakes import HappyModel

cell = camera.CameraCell(Recognizer(HappyModel(), load_cascade()))
print(cell.comm.comm_id)
"""


def test_both_kinds_of_source_in_a_real_kernel():
    """Messages as JupyterLab sends them, with a subshell, while the kernel is idle and while a cell runs."""
    manager, client = start_new_kernel()
    try:
        comm = run_cell(client, SET_UP).strip()
        request = client.session.msg("create_subshell_request", {})
        client.control_channel.send(request)
        subshell = client.get_control_msg(timeout=20)["content"]["subshell_id"]

        def send(content, buffers=()):
            message = client.session.msg(
                "comm_msg", {"comm_id": comm, "data": {"method": "custom", "content": content}}
            )
            message["header"]["subshell_id"] = subshell
            client.session.send(client.shell_channel.socket, message, buffers=list(buffers))

        send({"kind": "start"})
        for number in range(3):
            send({"kind": "frame", "id": number}, [FRAME])
            answer, buffers = next_answer(client)
            assert answer["id"] == number and answer["faces"] and not buffers
        send({"kind": "stop"})
        run_cell(client, "cell.source = 'film'")
        send({"kind": "start"})
        assert images.load_image(bytes(next_answer(client)[1][0])).shape == (240, 320, 3)
        client.execute("time.sleep(1); print(cell.frame_count)")
        for _ in range(5):  # the running cell does not hold the thread up
            assert next_answer(client)[1]
        send({"kind": "stop"})
        words = run_cell(client, "time.sleep(0.5); print(cell.running, cell.error, cell.frame_count > 5)")
        assert words.splitlines()[-1] == "False None True"
        send({"kind": "start"})
        next_answer(client)
        run_cell(client, SET_UP)  # running the cell again stops the earlier one
        alive = (
            "import threading; print([t.name for t in threading.enumerate() if t.name == 'ferlib-camera'])"
        )
        assert run_cell(client, alive).strip() == "[]"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_cell(client, code):
    """What a cell prints; an error in it fails the test."""
    printed = []

    def hook(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=60, output_hook=hook)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def next_answer(client):
    """The next answer to a frame, and its buffers."""
    while True:
        try:
            message = client.get_iopub_msg(timeout=60)
        except queue.Empty:
            pytest.fail("no answer comes")
        assert message["msg_type"] != "error", message["content"]
        data = message["content"].get("data", {}) if message["msg_type"] == "comm_msg" else {}
        if data.get("method") == "custom" and data["content"]["kind"] == "answer":
            return data["content"], message["buffers"]
