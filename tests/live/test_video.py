"""Frames of films, files and cameras: what is read, released, written, and refused."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest

from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import video

FILMS = Path(__file__).parents[1] / "cases/films"


def test_a_film_as_frames():
    frames = list(video.frames("film", seconds=2, seed=3, fps=6, size=(160, 120)))
    assert len(frames) == 12
    assert [f.index for f in frames] == list(range(12))
    assert [f.seconds for f in frames] == pytest.approx([k / 6 for k in range(12)])
    assert all(f.image.shape == (120, 160, 3) and f.emotion in SEVEN for f in frames)


def test_a_film_without_end(monkeypatch):
    def film(seed, seconds, fps, size):
        for _ in range(4):
            yield np.full((4, 4, 3), seed, np.uint8), "happy"

    monkeypatch.setattr(video.synth, "film", film)
    stream = video.frames("film", seed=3)
    frames = [next(stream) for _ in range(10)]
    assert [f.index for f in frames] == list(range(10))
    assert [f.image[0, 0, 0] for f in frames] == [3, 3, 3, 3, 4, 4, 4, 4, 5, 5]


@pytest.fixture(scope="module")
def pictures():
    """Ten frames, plainly coloured: red, then green, then blue."""
    frames = np.zeros((10, 96, 128, 3), np.uint8)
    for k in range(10):
        frames[k, ..., min(k // 3, 2)] = 200
    return frames


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_video_written_and_read_back(tmp_path, pictures, suffix):
    path = tmp_path / f"film{suffix}"
    assert video.write_video(path, pictures, fps=8) == 10
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    frames = list(video.frames(path))
    assert len(frames) == 10 and frames[4].seconds == pytest.approx(0.5)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.image.mean(axis=(0, 1)) - picture.mean(axis=(0, 1))).max() < 12  # RGB stayed RGB
        assert frame.emotion is None
    assert len(list(video.frames(str(path), seconds=0.5))) == 4


def test_a_cut_video_gives_what_it_has(tmp_path, pictures, caplog):
    video.write_video(tmp_path / "film.avi", pictures)
    whole = (tmp_path / "film.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: int(len(whole) * 0.75)])
    assert len(list(video.frames(tmp_path / "film.avi"))) == 10
    assert len(list(video.frames(tmp_path / "film.avi", seconds=0.5))) == 6
    assert not caplog.records  # to stop early is no damage
    assert 0 < len(list(video.frames(tmp_path / "cut.avi"))) < 10
    assert len(caplog.records) == 1 and "of 10 frames; it is cut or damaged" in caplog.text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing.mp4", "no such video file"),
        ("text.mp4", "cannot open"),
        ("empty.avi", "the file is empty"),
        ("cut.mp4", "cannot open"),
        (".", "no such video file"),
        (87, "no camera 87 here"),
        ("87", "no camera 87 here"),
        (-1, "numbered from 0"),
        (1.5, "give 'film'"),
        (None, "give 'film'"),
        (True, "give 'film'"),
    ],
)
def test_sources_that_cannot_be_opened(tmp_path, monkeypatch, capfd, pictures, source, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "empty.avi").write_bytes(b"")
    video.write_video(tmp_path / "whole.mp4", pictures)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:-300])
    capfd.readouterr()
    with pytest.raises(BadInputError, match=words):
        next(video.frames(source))
    assert capfd.readouterr() == ("", "")  # OpenCV and FFmpeg say nothing beside our line


class Camera:
    """Stands in for `cv2.VideoCapture`: `good` reads, then none."""

    def __init__(self, good):
        self.good, self.released = good, False

    def isOpened(self):
        return True

    def set(self, *_):
        return True

    def read(self):
        self.good -= 1
        blue = np.zeros((6, 8, 3), np.uint8)
        blue[..., 0] = 255  # BGR
        return (True, blue) if self.good >= 0 else (False, None)

    def release(self):
        self.released = True


@pytest.mark.parametrize(("good", "words"), [(0, "gives no picture"), (3, "stopped after 3 frames")])
def test_a_camera_that_stops_is_named_and_released(monkeypatch, good, words):
    camera = Camera(good)
    monkeypatch.setattr(video.cv2, "VideoCapture", lambda number: camera)
    seen = []
    with pytest.raises(BadInputError, match=words):
        for frame in video.frames(2):
            seen.append(frame)
    assert camera.released and len(seen) == good
    assert all(tuple(frame.image[0, 0]) == (0, 0, 255) for frame in seen)  # RGB


def test_a_camera_is_released_when_nobody_reads_on(monkeypatch):
    camera = Camera(1000)
    monkeypatch.setattr(video.cv2, "VideoCapture", lambda number: camera)
    stream = video.frames("0")
    next(stream)
    assert not camera.released
    stream.close()
    assert camera.released


@pytest.mark.parametrize(
    ("name", "frames", "words"),
    [
        ("film.gif", [np.zeros((8, 8, 3), np.uint8)], "suffix must be .avi or .mp4"),
        ("film.avi", [], "no pictures"),
        ("film.avi", [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 48, 3), np.uint8)], "frame 1 is"),
    ],
)
def test_videos_that_cannot_be_written(tmp_path, name, frames, words):
    with pytest.raises(BadInputError, match=words):
        video.write_video(tmp_path / name, frames)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_say_how_long_it_is_is_not_called_cut(monkeypatch, pictures, tmp_path, caplog):
    video.write_video(tmp_path / "a.avi", pictures[:5], 10)
    real = cv2.VideoCapture

    class Silent:
        def __init__(self, source):
            self._capture = real(source)

        def get(self, what):
            return float("nan") if what == cv2.CAP_PROP_FRAME_COUNT else self._capture.get(what)

        def __getattr__(self, name):
            return getattr(self._capture, name)

    monkeypatch.setattr(video.cv2, "VideoCapture", Silent)
    assert len(list(video.frames(tmp_path / "a.avi"))) == 5 and not caplog.records


def test_a_clock_keeps_a_film_to_its_speed_and_never_waits_for_a_camera(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(video.time, "monotonic", lambda: now[0])
    clock, camera = video.FrameClock("film"), video.FrameClock(0)
    frame = lambda seconds: video.Frame(0, seconds, np.zeros((1, 1, 3), np.uint8))  # noqa: E731
    assert clock.fps == 0 and clock.delay(frame(0.5)) == pytest.approx(0.5) and camera.delay(frame(9)) == 0
    now[0] += 2  # too slow by 1.5 s: the next frame, half a second later, is due in half a second
    assert clock.delay(frame(0.5)) == 0
    assert clock.delay(frame(1.0)) == pytest.approx(0.5)
    for _ in range(5):
        clock.tick()
        now[0] += 0.1
    assert clock.fps == pytest.approx(10)


@pytest.mark.parametrize(
    ("name", "count", "times"),
    [
        ("vfr.mp4", 150, {0: 0, 1: 0.04, 125: 5.0, 126: 5.2, 149: 9.8}),
        ("fpshalf.mp4", 5, {1: 2.0, 4: 8.0}),
        ("x.3gp", 50, {49: 1.96}),
    ],
)
def test_the_seconds_of_a_file_are_the_time_stamps_of_its_container(name, count, times, caplog):
    seconds = [frame.seconds for frame in video.frames(FILMS / name)]
    assert len(seconds) == count and not caplog.records
    for index, second in times.items():
        assert seconds[index] == pytest.approx(second, abs=1e-3)


@pytest.mark.parametrize("fps", [0.25, 7.5, 23.976, 59.94, 120])
def test_odd_rates(tmp_path, pictures, fps):
    video.write_video(tmp_path / "a.mp4", pictures, fps)
    seconds = [frame.seconds for frame in video.frames(tmp_path / "a.mp4")]
    assert seconds == pytest.approx([k / fps for k in range(10)], abs=1e-3)


@pytest.mark.parametrize("stamps", [[0] * 10, [float("nan")] * 10, [0, 125, 250, 9e9, 9e9, -1, 0, 5, 5, 5]])
def test_without_usable_time_stamps_the_rate_counts_and_one_line_says_so(
    monkeypatch, pictures, tmp_path, caplog, stamps
):
    video.write_video(tmp_path / "a.avi", pictures, 8)
    real, stamps = cv2.VideoCapture, iter(stamps)

    class Stampless:
        def __init__(self, source):
            self._capture = real(source)

        def get(self, what):
            return next(stamps) if what == cv2.CAP_PROP_POS_MSEC else self._capture.get(what)

        def __getattr__(self, name):
            return getattr(self._capture, name)

    monkeypatch.setattr(video.cv2, "VideoCapture", Stampless)
    seconds = [frame.seconds for frame in video.frames(tmp_path / "a.avi")]
    assert seconds == pytest.approx([k / 8 for k in range(10)])
    assert len(caplog.messages) == 1 and "no usable time stamp at frame" in caplog.text


def test_part_of_a_file_and_every_nth_frame():
    part = list(video.file_frames(FILMS / "vfr.mp4", start=4.9, end=5.6, every=2))
    assert [frame.index for frame in part] == [124, 126]
    assert [frame.seconds for frame in part] == pytest.approx([4.96, 5.2])


def test_pictures_are_shown_at_their_time(tmp_path, pictures):
    red, green, blue = pictures[0], pictures[3], pictures[9]
    with video.video_writer(tmp_path / "a.avi", 10) as write:
        for seconds, image in ((7.0, red), (7.5, green), (7.52, red), (7.61, blue)):
            write(image, seconds)
    shown = [int(frame.image.mean(axis=(0, 1)).argmax()) for frame in video.frames(tmp_path / "a.avi")]
    assert shown == [0, 0, 0, 0, 0, 0, 2]  # green had no slot of its own


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("audio_only.mp4", "sound but no picture"),
        ("cut.mp4", "it was cut off"),
        ("empty.mp4", "file is empty"),
    ],
)
def test_the_true_cause_is_named(tmp_path, name, words):
    (tmp_path / "empty.mp4").write_bytes(b"")
    folder = tmp_path if name == "empty.mp4" else FILMS
    with pytest.raises(BadInputError, match=words):
        next(video.frames(folder / name))


def test_an_address_that_does_not_answer_is_named_without_its_password():
    for address in ("http://127.0.0.1:9/a//b.mjpg", "rtsp://127.0.0.1:9/live"):
        with pytest.raises(BadInputError, match=f"^{address}: no video comes from this address"):
            next(video.frames(address))
    with pytest.raises(BadInputError, match=r"^http://127\.0\.0\.1:9/x: "):
        next(video.frames("http://me:secret@127.0.0.1:9/x"))


def test_a_film_on_a_web_server_is_read_to_its_end(tmp_path, pictures):
    video.write_video(tmp_path / "a.mp4", pictures, 10)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        frames = list(video.frames(f"http://127.0.0.1:{server.server_port}/a.mp4"))
        server.shutdown()
    assert len(frames) == 10
    assert video.FrameClock("http://x/a").delay(frames[9]) == 0
