"""Films: rows, timeline and annotated film are written as the frames come, and agree."""

import cv2
import numpy as np
import pandas as pd
import pytest

from ferlib import live, synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.detect import detector as faces
from ferlib.live import video


class Model:
    """The lighter the upper half, the more likely the first class."""

    class_names, input_shape = SEVEN, (48, 48, 1)

    def predict(self, faces):
        first = faces[:, :24].mean(axis=(1, 2)) / 255
        return np.stack([first, *[(1 - first) / 6] * 6], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def detector():
    return faces.load_cascade()


@pytest.fixture(scope="module")
def clip():
    """Two drawn seconds with one face, and a second without."""
    drawn = [image for image, _ in synth.film(7, 2, fps=10, size=(320, 240))]
    return [*drawn, *[np.full((240, 320, 3), 90, np.uint8)] * 10]


@pytest.fixture(scope="module", params=[(".mp4", 29.97), (".avi", 12.5)], ids=["mp4", "avi"])
def film(request, tmp_path_factory, clip):
    suffix, fps = request.param
    path = tmp_path_factory.mktemp("film") / f"film{suffix}"
    video.write_video(path, clip, fps)
    return path, fps


def test_everything_is_written_and_agrees(film, detector, tmp_path):
    path, fps = film
    out, line, table = tmp_path / "new/out.mp4", tmp_path / "line.png", tmp_path / "rows.csv"
    seen = []

    def progress(stream):
        for frame in stream:
            seen.append(frame.index)
            yield frame

    report = live.predict_film(
        path,
        Model(),
        detector,
        csv=table,
        timeline=line,
        annotated=out,
        progress=progress,
    )
    assert report.frames == 30 and seen == list(range(30)) and report.problems == []
    rows = pd.read_csv(table)
    start = ["frame", "seconds", "track", "face", "x", "y", "width", "height", "emotion", "probability"]
    assert list(rows) == [*start, *SEVEN, "score"]
    assert len(rows) == report.rows >= 15 and rows["track"].nunique() == report.tracks
    assert rows["frame"].max() < 20 and np.allclose(rows["seconds"], rows["frame"] / fps, atol=1e-5)
    assert np.allclose(rows[list(SEVEN)].sum(axis=1), 1, atol=1e-4) and rows["score"].isna().all()
    assert video.frame_rate(out) == pytest.approx(fps, rel=1e-3)
    drawn = [frame.image for frame in video.frames(out)]
    assert len(drawn) == 30 and drawn[0].shape == (240, 320, 3)
    assert images.load_image(line).std() > 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["line.png", "new", "rows.csv"]


def test_probabilities_are_those_of_each_frame_smoothed(film, detector, tmp_path):
    path, _ = film
    for weight, name in ((1.0, "raw.csv"), (0.3, "calm.csv")):
        live.predict_film(path, Model(), detector, weight=weight, csv=tmp_path / name)
    raw, calm = pd.read_csv(tmp_path / "raw.csv"), pd.read_csv(tmp_path / "calm.csv")
    alone = live.read_video(path, Model(), detector)
    assert np.allclose(raw[list(SEVEN)], alone[list(SEVEN)], atol=1e-5)
    for number in raw["track"].unique():
        rows = (raw["track"] == number).to_numpy()
        assert np.allclose(
            live.smooth(raw.loc[rows, list(SEVEN)].to_numpy()), calm.loc[rows, list(SEVEN)], atol=1e-4
        )


def test_a_cut_film_gives_what_it_has_and_says_so(clip, detector, tmp_path):
    video.write_video(tmp_path / "whole.avi", clip[:20], 10)
    whole = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 6 // 10])
    problems = []
    assert len(list(video.frames(tmp_path / "whole.avi", problems=problems))) == 20 and problems == []
    assert len(list(video.frames(tmp_path / "whole.avi", seconds=1, problems=problems))) == 10
    assert problems == []  # to stop early is no damage
    out = tmp_path / "out.avi"
    report = live.predict_film(
        tmp_path / "cut.avi", Model(), detector, csv=tmp_path / "cut.csv", annotated=out
    )
    assert 5 < report.frames < 20 and report.rows > 0
    assert report.problems == [
        f"{tmp_path / 'cut.avi'}: ends after {report.frames} of 20 frames; it is cut or damaged"
    ]
    assert len(list(video.frames(out))) == report.frames
    assert pd.read_csv(tmp_path / "cut.csv")["frame"].max() < report.frames


def test_a_file_that_does_not_say_how_long_it_is_is_not_called_cut(monkeypatch, clip, tmp_path):
    video.write_video(tmp_path / "a.avi", clip[:5], 10)
    real = cv2.VideoCapture

    class Silent:
        def __init__(self, source):
            self._capture = real(source)

        def get(self, what):
            return float("nan") if what == cv2.CAP_PROP_FRAME_COUNT else self._capture.get(what)

        def __getattr__(self, name):
            return getattr(self._capture, name)

    monkeypatch.setattr(video.cv2, "VideoCapture", Silent)
    problems = []
    assert len(list(video.frames(tmp_path / "a.avi", problems=problems))) == 5 and problems == []


def test_a_film_without_a_face(detector, tmp_path):
    gray = [np.full((120, 160, 3), 90, np.uint8)] * 4
    video.write_video(tmp_path / "gray.avi", gray, 10)
    report = live.predict_film(tmp_path / "gray.avi", Model(), detector, csv=tmp_path / "gray.csv")
    assert (report.frames, report.rows, report.tracks) == (4, 0, 0)
    assert len((tmp_path / "gray.csv").read_text().splitlines()) == 1
    with pytest.raises(BadInputError, match="no face was found"):
        live.predict_film(tmp_path / "gray.avi", Model(), detector, timeline=tmp_path / "gray.png")


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("missing.mp4", {"csv": "rows.csv"}, "no such video file"),
        ("text.mp4", {"csv": "rows.csv"}, "cannot open"),
        ("film.avi", {"annotated": "out.gif"}, "suffix must be"),
        ("film.avi", {"annotated": "film.avi"}, "film itself"),
        ("film.avi", {"csv": "film.avi"}, "film itself"),
        ("film.avi", {"annotated": "text.mp4/out.mp4"}, "cannot be written"),
        ("film.avi", {"csv": "text.mp4/rows.csv"}, "cannot be written"),
        ("film.avi", {"timeline": "line.xyz"}, "suffix"),
        ("film.avi", {"weight": 0}, "weight"),
        ("film.avi", {"views": "four"}, "views"),
    ],
)
def test_bad_input_leaves_no_half_file(clip, detector, tmp_path, name, wanted, words):
    (tmp_path / "text.mp4").write_text("hello")
    video.write_video(tmp_path / "film.avi", clip[:3], 10)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    files = {k: tmp_path / v if isinstance(v, str) and k != "views" else v for k, v in wanted.items()}
    with pytest.raises(BadInputError, match=words):
        live.predict_film(tmp_path / name, Model(), detector, **files)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_timeline_has_a_panel_for_each_of_the_longest_faces(tmp_path):
    from ferlib.live.figures import _Lines
    from ferlib.model.recognise import FaceReading

    lines = _Lines()
    for k in range(4000):
        seen = [n for n in range(1, 7) if k % n == 0]
        row = {"happy": 0.75, "sad": 0.25}
        lines.add(k / 25, [FaceReading((0, 0, 9, 9), "happy", row, track=n) for n in seen])
    lines.draw(tmp_path / "line.svg", ("happy", "sad"))
    text = (tmp_path / "line.svg").read_text()
    assert all(f"<!-- face {n} -->" in text for n in (1, 2, 3, 4)) and "<!-- face 5 -->" not in text
    assert len(text) < 4_000_000
