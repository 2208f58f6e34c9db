"""Frames of films, files and cameras: what is read, released, written, and refused."""

import cv2
import numpy as np
import pytest

from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import video


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
