"""The kernel's half of the camera cell: every frame is answered once, and no face is kept without consent."""

import queue
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.manager import start_new_kernel

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import personal
from ferlib.live.widgets import camera

FRAME = images.encode_jpeg(next(iter(synth.film(1, 1, fps=2, size=(320, 240))))[0], 90)
EMPTY = images.encode_jpeg(np.full((240, 320, 3), 120, np.uint8))


class Model:
    """Reads every face as happy; `pause` seconds slow, or failing."""

    class_names = SEVEN
    input_shape = (48, 48, 1)
    pause = 0.0
    error: Exception | None = None

    def predict(self, faces):
        time.sleep(self.pause)
        if self.error:
            raise self.error
        return np.tile(np.float32([0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05]), (len(faces), 1))


class Page:
    """Stands in for the browser: sends to a cell, and keeps what the cell sends."""

    def __init__(self, cell):
        self.cell, self.received = cell, []
        cell.send = self.received.append  # what would go through the kernel's comm

    def frame(self, number, data=FRAME):
        self.cell._received(self.cell, {"kind": "frame", "id": number}, [memoryview(data)])

    def say(self, **content):
        self.cell._received(self.cell, content, [])

    def answers(self):
        return [message for message in self.received if message["kind"] == "answer"]

    def answer(self, number):
        assert wait_until(lambda: any(m["id"] == number for m in self.answers()))
        return next(m for m in self.answers() if m["id"] == number)

    def notice(self):
        assert wait_until(lambda: any(m["kind"] == "notice" for m in self.received))
        return next(m for m in reversed(self.received) if m["kind"] == "notice")


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def threads():
    return [t for t in threading.enumerate() if t.name == "ferlib-camera"]


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def page(model, tmp_path):
    yield Page(camera.CameraCell(model, detector="haar", folder=tmp_path / "mine"))
    camera.close_all()
    assert wait_until(lambda: not threads())


def test_a_frame_is_answered_with_box_and_probabilities(page):
    page.frame("a:1")
    answer = page.answer("a:1")
    assert answer["size"] == [320, 240] and len(answer["faces"]) == 1
    x, y, width, height = answer["faces"][0]["box"]
    assert x >= 0 and y >= 0 and x + width <= 320 and y + height <= 240 and width >= 80
    assert answer["faces"][0]["probabilities"] == [0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05]
    assert page.cell.frame_count == 1 and page.cell.last[0].emotion == "happy"


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
def test_messages_of_no_meaning_do_nothing(page, content):
    page.cell._received(page.cell, content, [])
    assert page.received == [] and not threads()


def test_an_error_in_the_model_is_answered_and_the_stream_goes_on(page, model):
    model.error = ValueError("it fell over")
    for number in range(3):
        page.frame(number)
        assert page.answer(number)["error"] == "ValueError: it fell over"
    model.error = None
    page.frame(3)
    assert len(page.answer(3)["faces"]) == 1 and len(threads()) == 1


def test_every_frame_of_many_threads_is_answered_once_and_the_newest_is_read(page, model):
    model.pause = 0.05
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


def test_the_thread_ends_when_no_frame_comes_and_begins_again(page, monkeypatch):
    monkeypatch.setattr(camera, "_IDLE", 0.05)
    page.frame(1)
    page.answer(1)
    assert wait_until(lambda: not threads()) and not page.cell.running
    page.say(kind="save", emotion="happy", consent=True)
    assert page.notice()["error"]  # the last picture went with the thread
    page.frame(2)
    assert page.answer(2)["faces"]


def test_a_new_cell_closes_the_one_before(page, model):
    page.frame(1)
    page.answer(1)
    camera.CameraCell(model, detector="haar")
    assert not threads() and page.cell.comm is None
    page.frame(2)
    assert not threads()  # a late frame does not wake it


def test_settings_of_the_page_are_obeyed_or_refused(page):
    page.cell.detector = "owl"
    page.frame(1)
    assert "'owl'" in page.answer(1)["error"]
    page.cell.detector, page.cell.views = "haar", "three"
    page.frame(2)
    assert page.answer(2)["faces"]
    page.cell.views = "nine"
    page.frame(3)
    assert "'nine'" in page.answer(3)["error"]


@pytest.mark.parametrize("wrong", [{"views": "five"}, {"detector": "owl"}])
def test_wrong_settings_are_refused_and_leave_the_earlier_cell_alone(page, model, wrong):
    with pytest.raises(BadInputError, match="known are"):
        camera.CameraCell(model, **wrong)
    page.frame(1)
    assert page.answer(1)["faces"]


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


def test_nothing_can_be_saved_after_stop(page, tmp_path):
    page.frame(1)
    page.answer(1)
    page.say(kind="stop")
    page.say(kind="save", emotion="happy", consent=True)
    assert "no face" in page.notice()["text"] and not (tmp_path / "mine").exists()


@given(
    st.lists(st.tuples(st.floats(0.001, 2), st.integers(0, 1)), min_size=1, max_size=30),
    st.integers(1, 9),
)
def test_smoothed_rows_are_probabilities_and_do_not_depend_on_the_rate(steps, parts):
    fast, slow, now = camera._Calm(), camera._Calm(), 100.0
    box, rows = [(10, 10, 50, 50)], ([1.0, 0.0], [0.2, 0.8])
    fast.update(box, [rows[0]], now), slow.update(box, [rows[0]], now)
    for seconds, which in steps:
        for k in range(parts):
            (often,) = fast.update(box, [rows[which]], now + seconds * (k + 1) / parts)
        now += seconds
        (once,) = slow.update(box, [rows[which]], now)
        assert abs(sum(once) - 1) < 1e-9 and min(once) >= 0
        assert np.allclose(often, once, atol=1e-6)


def test_smoothing_follows_each_face_and_begins_anew_for_a_new_one():
    calm = camera._Calm()
    calm.update([(0, 0, 50, 50), (200, 0, 50, 50)], [[1, 0], [0, 1]], 1.0)
    rows = calm.update([(198, 2, 50, 50), (2, 1, 50, 50)], [[0, 1], [1, 0]], 1.1)  # in another order
    assert np.allclose(rows, [[0, 1], [1, 0]])
    (row,) = calm.update([(2, 1, 50, 50)], [[0, 1]], 1.2)
    assert 0.5 < row[0] < 1
    (row,) = calm.update([(100, 150, 50, 50)], [[0, 1]], 1.3)
    assert np.allclose(row, [0, 1])


SET_UP = """
import time
import numpy as np
from ferlib.live.widgets import camera

class Model:
    class_names, input_shape = ("happy", "rest"), (48, 48, 1)
    def predict(self, faces):
        return np.tile(np.float32([0.9, 0.1]), (len(faces), 1))

cell = camera.CameraCell(Model(), detector="haar")
print(cell.comm.comm_id)
"""


def test_frames_are_answered_in_a_real_kernel():
    """As JupyterLab sends them, with a subshell; ipykernel 7.4 routes a comm's messages as it likes."""
    manager, client = start_new_kernel()
    try:
        client.execute(SET_UP)
        comm = next_message(client, "stream")["text"].strip()
        request = client.session.msg("create_subshell_request", {})
        client.control_channel.send(request)
        subshell = client.get_control_msg(timeout=20)["content"]["subshell_id"]
        for number in range(3):
            content = {
                "comm_id": comm,
                "data": {"method": "custom", "content": {"kind": "frame", "id": number}},
            }
            message = client.session.msg("comm_msg", content)
            message["header"]["subshell_id"] = subshell
            client.session.send(client.shell_channel.socket, message, buffers=[FRAME])
            answer = next_message(client, "comm_msg")["data"]
            assert answer["content"]["id"] == number and answer["content"]["faces"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def next_message(client, kind):
    """The content of the next message of a kind."""
    while True:
        try:
            message = client.get_iopub_msg(timeout=60)
        except queue.Empty:
            pytest.fail(f"no {kind} comes")
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == kind:
            return message["content"]
