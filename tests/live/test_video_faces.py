"""The faces of a video: rows, timeline and annotated video are written as the frames come, and agree."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.detect.detector import load_detector
from ferlib.live import video, video_faces
from ferlib.live.outputs import Outputs, Selection
from ferlib.model.recognise import Recognizer
from tests.live.fakes import BrightnessModel

FILMS = Path(__file__).parents[1] / "cases/films"


@pytest.fixture(scope="module")
def clip():
    """Two drawn seconds with one face, and a second without."""
    drawn = [image for image, _ in synth.film(7, 2, fps=10, size=(320, 240))]
    return [*drawn, *[np.full((240, 320, 3), 90, np.uint8)] * 10]


@pytest.fixture(scope="module", params=[(".mp4", 29.97), (".avi", 12.5)], ids=["mp4", "avi"])
def clip_file(request, tmp_path_factory, clip):
    suffix, fps = request.param
    path = tmp_path_factory.mktemp("video") / f"clip{suffix}"
    video.write_video(path, clip, fps)
    return path, fps


def test_everything_is_written_and_agrees(clip_file, bright, tmp_path, caplog):
    path, fps = clip_file
    outputs = Outputs(tmp_path / "rows.csv", tmp_path / "new/out.mp4", timeline=tmp_path / "line.png")
    seen = []

    def progress(stream):
        for frame in stream:
            seen.append(frame.index)
            yield frame

    summary = video_faces.predict_video(path, bright, outputs, progress=progress)
    assert summary.frames == 30 and seen == list(range(30)) and not caplog.records
    rows = pd.read_csv(outputs.csv)
    start = ["frame", "seconds", "track", "face", "x", "y", "width", "height", "emotion", "probability"]
    assert list(rows) == [*start, *SEVEN, "score"]
    assert len(rows) == summary.rows >= 15 and rows["track"].nunique() == summary.tracks
    assert rows["frame"].max() < 20 and np.allclose(rows["seconds"], rows["frame"] / fps, atol=1e-5)
    assert np.allclose(rows[list(SEVEN)].sum(axis=1), 1, atol=1e-4) and rows["score"].isna().all()
    assert video.frame_rate(outputs.annotated) == pytest.approx(fps, rel=1e-3)
    drawn = [frame.image for frame in video.frames(outputs.annotated)]
    assert len(drawn) == 30 and drawn[0].shape == (240, 320, 3)
    assert images.load_image(outputs.timeline).std() > 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["line.png", "new", "rows.csv"]


def test_probabilities_are_those_of_each_frame_smoothed(clip_file, bright, tmp_path):
    path, _ = clip_file
    for weight, name in ((1.0, "raw.csv"), (0.3, "smooth.csv")):
        video_faces.predict_video(path, bright, Outputs(tmp_path / name), Selection(smoothing=weight))
    raw, smooth = pd.read_csv(tmp_path / "raw.csv"), pd.read_csv(tmp_path / "smooth.csv")
    alone = video_faces.video_table(video_faces.read_frames(video.frames(path), bright), SEVEN)
    assert np.allclose(raw[list(SEVEN)], alone[list(SEVEN)], atol=1e-5)
    for number in raw["track"].unique():
        mean = raw.loc[raw["track"] == number, list(SEVEN)].ewm(alpha=0.3, adjust=False).mean()
        assert np.allclose(mean, smooth.loc[smooth["track"] == number, list(SEVEN)], atol=1e-4)


def test_a_cut_video_gives_what_it_has_and_a_warning(clip, bright, tmp_path, caplog):
    video.write_video(tmp_path / "whole.avi", clip[:20], 10)
    whole = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 6 // 10])
    outputs = Outputs(tmp_path / "cut.csv", tmp_path / "out.avi")
    summary = video_faces.predict_video(tmp_path / "cut.avi", bright, outputs)
    assert 5 < summary.frames < 20 and summary.rows > 0
    line = f"{tmp_path / 'cut.avi'}: ends after {summary.frames} of 20 frames; it is cut or damaged"
    assert caplog.messages == [line]
    assert len(list(video.frames(outputs.annotated))) == summary.frames
    assert pd.read_csv(outputs.csv)["frame"].max() < summary.frames


def test_a_video_without_a_face(bright, tmp_path):
    video.write_video(tmp_path / "gray.avi", [np.full((120, 160, 3), 90, np.uint8)] * 4, 10)
    summary = video_faces.predict_video(tmp_path / "gray.avi", bright, Outputs(tmp_path / "gray.csv"))
    assert (summary.frames, summary.rows, summary.tracks) == (4, 0, 0)
    assert len((tmp_path / "gray.csv").read_text().splitlines()) == 1
    with pytest.raises(BadInputError, match="no face was found"):
        video_faces.predict_video(tmp_path / "gray.avi", bright, Outputs(timeline=tmp_path / "gray.png"))


@pytest.mark.parametrize(
    ("name", "files", "weight", "words"),
    [
        ("missing.mp4", {"csv": "new/rows.csv"}, 0.3, "no such video file"),
        ("missing.mp4", {"annotated": "new/out.mp4"}, 0.3, "no such video file"),
        ("text.mp4", {"csv": "rows.csv"}, 0.3, "cannot open"),
        ("clip.avi", {"annotated": "out.gif"}, 0.3, "suffix must be"),
        ("clip.avi", {"annotated": "clip.avi"}, 0.3, "video itself"),
        ("clip.avi", {"csv": "clip.avi"}, 0.3, "video itself"),
        ("clip.avi", {"annotated": "text.mp4/out.mp4"}, 0.3, "cannot be written"),
        ("clip.avi", {"csv": "text.mp4/rows.csv"}, 0.3, "cannot be written"),
        ("clip.avi", {"timeline": "line.xyz"}, 0.3, "suffix"),
        ("clip.avi", {}, 0, "weight"),
    ],
)
def test_bad_input_leaves_no_incomplete_file(clip, bright, tmp_path, name, files, weight, words):
    (tmp_path / "text.mp4").write_text("hello")
    video.write_video(tmp_path / "clip.avi", clip[:3], 10)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    outputs = Outputs(**{kind: tmp_path / file for kind, file in files.items()})
    with pytest.raises(BadInputError, match=words):
        video_faces.predict_video(tmp_path / name, bright, outputs, Selection(smoothing=weight))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_the_drawn_film_as_a_table(cascade):
    frames = list(video.frames("film", seconds=1.6, seed=7, fps=5))
    recognizer = Recognizer(BrightnessModel(("happy", "rest")), cascade)
    pairs = list(video_faces.read_frames(frames, recognizer))
    assert [frame for frame, _ in pairs] == frames
    table = video_faces.video_table(pairs, recognizer.class_names)
    start = ["frame", "seconds", "truth", "face", "x", "y", "width", "height", "emotion", "probability"]
    assert list(table) == [*start, "happy", "rest"]
    assert len(table) == sum(len(faces) for _, faces in pairs) >= 6
    for row in table.itertuples():
        assert row.truth == frames[row.frame].emotion and row.seconds == frames[row.frame].seconds
    assert len(video_faces.video_table([], SEVEN)) == 0


def test_small_faces_are_not_looked_for(drawn_faces, bright):
    """Under a sixth of the frame's shorter side."""
    wide = np.full((1300, 1300, 3), 128, np.uint8)
    wide[:160, :160] = drawn_faces[0]
    (pair,) = video_faces.read_frames([video.Frame(0, 0.0, wide)], bright)
    assert pair[1] == [] and bright.read(wide, "rgb") != []


def test_faces_are_numbered_and_smoothed(drawn_faces, bright):
    two = np.concatenate([drawn_faces[0], drawn_faces[1]], axis=1)
    pairs = list(video_faces.read_frames([video.Frame(k, k / 10, two) for k in range(3)], bright))
    tracked = [faces for _, faces in video_faces.track_faces(pairs)]
    assert all(len(faces) == 2 for faces in tracked)
    assert {face.track for faces in tracked for face in faces} == {1, 2}
    assert re.match("angry|disgust", tracked[0][0].emotion)


@pytest.fixture(scope="module")
def yunet():
    return Recognizer(BrightnessModel(), load_detector())


def test_nine_small_faces_in_each_frame(yunet, tmp_path):
    selection = Selection(every=8)
    summary = video_faces.predict_video(FILMS / "gallery3.mp4", yunet, Outputs(tmp_path / "a.csv"), selection)
    assert summary.rows == 9 * summary.frames == 9 * 4 and summary.tracks == 9
    larger = video_faces.predict_video(
        FILMS / "gallery3.mp4", yunet, Outputs(tmp_path / "a.csv"), Selection(min_face=120, every=8)
    )
    assert larger.rows == 0


def test_seven_people_in_the_same_place_are_seven_tracks(yunet, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    outputs = Outputs(tmp_path / "a.csv", tmp_path / "a.mp4", timeline=tmp_path / "a.png")
    summary = video_faces.predict_video(FILMS / "cuts7faces.mp4", yunet, outputs, Selection(every=3))
    rows = pd.read_csv(outputs.csv)
    assert summary.tracks == rows["track"].nunique() == 7
    assert rows.groupby("track")["frame"].min().tolist() == [0, 36, 72, 108, 144, 180, 216]
    assert caplog.messages == [f"{outputs.annotated}: written without sound, because ffmpeg is not installed"]


def test_the_seconds_of_an_uneven_video_are_in_the_table_and_the_annotated_video(bright, tmp_path):
    outputs = Outputs(tmp_path / "a.csv", tmp_path / "a.avi", empty=True, bars=False)
    summary = video_faces.predict_video(FILMS / "vfr.mp4", bright, outputs, Selection(start=4.5, end=7))
    rows = pd.read_csv(outputs.csv)
    assert rows["frame"].iloc[0] == 113 and rows["seconds"].iloc[0] == pytest.approx(4.52)
    assert rows.loc[rows["frame"] == 125, "seconds"].iloc[0] == 5.0
    assert rows["seconds"].max() == pytest.approx(6.8) and summary.frames == rows["frame"].nunique()
    length = len(list(video.frames(outputs.annotated))) / video.frame_rate(outputs.annotated)
    assert length == pytest.approx(6.8 - 4.52, abs=0.1)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_sound_is_kept(bright, tmp_path, suffix, caplog):
    target = tmp_path / f"a{suffix}"
    video_faces.predict_video(FILMS / "cuts7faces.mp4", bright, Outputs(annotated=target), Selection(end=1))
    assert video.streams(target) == (True, True) and not caplog.records
    assert len(list(video.frames(target))) == 25
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_frames_without_a_face_have_a_row_if_wanted(clip_file, bright, tmp_path):
    video_faces.predict_video(clip_file[0], bright, Outputs(tmp_path / "a.csv", empty=True))
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows["frame"].nunique() == 30 and rows.loc[rows["frame"] > 19, "face":].isna().all(axis=None)


def test_ctrl_c_keeps_rows_and_pictures_and_says_how_far_it_got(clip_file, bright, tmp_path, caplog):
    path, fps = clip_file

    def progress(stream):
        for frame in stream:
            if frame.index == 8:
                raise KeyboardInterrupt
            yield frame

    outputs = Outputs(tmp_path / "a.csv", tmp_path / "a.avi")
    with pytest.raises(KeyboardInterrupt):
        video_faces.predict_video(path, bright, outputs, progress=progress)
    assert pd.read_csv(outputs.csv)["frame"].max() == 7
    assert 7 <= len(list(video.frames(outputs.annotated))) <= 8
    assert f"{path}: stopped after 8 frames, at {7 / fps:.1f} s" in caplog.messages
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.avi", "a.csv"]
