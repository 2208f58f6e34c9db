"""Faces in pictures, folders and films: what is found, what is named, what is refused."""

import csv
import threading

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ferlib import live, synth
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError, LabelError
from ferlib.common.labels import SEVEN
from ferlib.detect import detector as faces
from ferlib.detect.yunet import YuNet
from ferlib.live import video


class Model:
    """A model that can be computed by hand: the lighter the upper half, the more likely the first class."""

    def __init__(self, class_names=SEVEN, size=48):
        self.class_names, self.input_shape = class_names, (size, size, 1)
        self.batches = []

    def predict(self, faces):
        assert faces.dtype == np.uint8 and faces.shape[1:] == self.input_shape[:2]
        self.batches.append(len(faces))
        first = faces[:, : faces.shape[1] // 2].mean(axis=(1, 2)) / 255
        rest = (1 - first) / (len(self.class_names) - 1)
        return np.stack([first, *[rest] * (len(self.class_names) - 1)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def detector():
    return faces.load_cascade()


@pytest.fixture(scope="module")
def photo():
    """A drawn photo in which the detector finds all faces, two at least, and nothing else."""
    detector = faces.load_cascade()
    for seed in range(50):
        photo = synth.draw_photo(seed)
        found = faces.detect_faces(photo.image, detector)
        fit = [max(iou(box, truth.box) for truth in photo.faces) > 0.3 for box in found]
        if len(found) == len(photo.faces) >= 2 and all(fit):
            return photo
    raise AssertionError("no drawn photo with two faces that are found")


@pytest.fixture(scope="module")
def face():
    """One drawn face of 160 pixels which the detector finds."""
    detector = faces.load_cascade()
    pictures, _ = synth.draw_faces(20, seed=5, size=160)
    return next(p for p in pictures if faces.detect_faces(p, detector))


# one picture


def test_all_faces_of_a_picture_in_one_call(photo, detector):
    model = Model()
    readings = live.read_faces(photo.image, model, detector)
    assert len(readings) == len(photo.faces) and model.batches == [len(readings)]
    assert [r.box for r in readings] == faces.detect_faces(photo.image, detector)
    areas = [r.box[2] * r.box[3] for r in readings]
    assert areas == sorted(areas, reverse=True)
    for reading in readings:
        assert tuple(reading.probabilities) == SEVEN
        assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert reading.emotion == max(reading.probabilities, key=reading.probabilities.get)
        assert reading.probability == reading.probabilities[reading.emotion]
        x, y, w, h = reading.box
        assert x >= 0 and y >= 0 and x + w <= photo.image.shape[1] and y + h <= photo.image.shape[0]


def test_what_the_model_gets_is_the_gray_face(face, detector):
    model = Model()
    reading = live.read_faces(face, model, detector)[0]
    x, y, w, h = reading.box
    by_hand = cv2.resize(
        cv2.cvtColor(face[y : y + h, x : x + w], cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA
    )
    assert reading.probabilities["angry"] == pytest.approx(by_hand[:24].mean() / 255, abs=1e-6)


def test_the_default_detector_is_loaded_when_none_is_given(face):
    assert live.read_faces(face, Model()) == live.read_faces(face, Model(), faces.default_detector())


def test_two_classes_and_another_input_size(face, detector):
    reading = live.read_faces(face, Model(("happy", "rest"), size=64), detector)[0]
    assert tuple(reading.probabilities) == ("happy", "rest")


@pytest.mark.parametrize("shape", [(1, 1, 3), (20, 20, 3), (48, 48, 3), (1, 400, 3), (300, 400, 3)])
def test_no_face_is_an_empty_list_and_no_call(shape, detector):
    model = Model()
    assert live.read_faces(np.full(shape, 128, np.uint8), model, detector) == []
    assert model.batches == []


def test_a_large_picture_is_searched_in_a_smaller_copy(face, detector):
    large = np.full((2000, 2600, 3), 128, np.uint8)
    large[500:1300, 700:1500] = cv2.resize(face, (800, 800))
    coarse = live.read_faces(large, Model(), detector, longest=650)
    assert len(coarse) == 1
    x, y, w, h = coarse[0].box
    assert x > 650 and y > 450 and x + w < 1550 and y + h < 1350 and w > 400


def test_faces_under_the_smallest_size_are_left_out(photo, detector):
    readings = live.read_faces(photo.image, Model(), detector)
    limit = readings[0].box[2]
    large = live.read_faces(photo.image, Model(), detector, min_size=limit)
    assert large and all(r.box[2] >= limit for r in large)


# views


def test_the_three_views_of_system_a():
    face = np.arange(48 * 48, dtype=np.uint32).reshape(48, 48).astype(np.uint8)
    views = live.face_views(face)
    assert views.shape == (3, 48, 48) and views.dtype == np.uint8
    assert (views[0] == face).all()
    assert (views[1] == np.fliplr(face)).all()
    assert (views[2] == cv2.resize(face[2:45], (48, 48))).all()  # 43 rows, 2 to 44, made 48 again


def test_views_of_another_size_cut_the_same_share():
    face = np.repeat(np.arange(96, dtype=np.uint8)[:, None], 96, axis=1)
    cut = live.face_views(face)[2]
    assert cut.shape == (96, 96) and cut.min() == 4 and cut.max() == 89


def test_three_views_are_the_mean_of_three_answers():
    model = Model()
    two = np.random.default_rng(2).integers(0, 256, (2, 48, 48), np.uint8)
    three = live.probabilities_of(two, model, "three")
    assert model.batches == [6]
    for k in range(2):
        alone = [
            Model().predict(view[None])[0]
            for view in (two[k], two[k][:, ::-1], cv2.resize(two[k][2:45], (48, 48)))
        ]
        assert three[k] == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert three.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_a_model_that_answers_in_other_classes():
    two = np.random.default_rng(2).integers(0, 256, (2, 48, 48), np.uint8)
    model = Model()
    answers = model.predict(two)
    reader = live.for_classes(model, ("sad", "rest"))
    assert reader.class_names == ("sad", "rest") and reader.input_shape == (48, 48, 1)
    assert reader.predict(two)[:, 0] == pytest.approx(answers[:, SEVEN.index("sad")], abs=1e-6)
    kept = live.for_classes(model, ["neutral", "angry"]).predict(two)
    assert kept.shape == (2, 2) and kept.dtype == np.float32
    assert kept[:, 1] / kept[:, 0] == pytest.approx(answers[:, 0] / answers[:, 6], rel=1e-5)
    assert live.for_classes(model, list(SEVEN)) is model
    with pytest.raises(LabelError, match="cannot be told apart"):
        live.for_classes(Model(("happy", "rest")), SEVEN)
    with pytest.raises(LabelError, match="does not know disgust"):
        live.for_classes(Model(("happy", "neutral")), ("happy", "disgust"))


def test_flip_is_the_mean_of_the_face_and_its_mirror_image():
    model = Model()
    model.predict = lambda shown: np.stack([f := shown[:, :, :24].mean(axis=(1, 2)) / 255, 1 - f], axis=1)
    faces_ = np.random.default_rng(2).integers(0, 256, (3, 48, 48), np.uint8)
    faces_[:, :, :24] //= 4
    flip = live.probabilities_of(faces_, model, "flip")
    mean = (model.predict(faces_) + model.predict(faces_[:, :, ::-1])) / 2
    assert np.allclose(flip, mean) and not np.allclose(flip, model.predict(faces_))


@pytest.mark.parametrize("views", live.VIEWS)
def test_all_views_are_one_call(photo, detector, views):
    model = Model()
    readings = live.read_faces(photo.image, model, detector, views)
    assert model.batches == [len(readings) * {"one": 1, "flip": 2, "three": 3}[views]]


def test_system_a_keeps_wide_faces_and_reads_the_whole_picture_without_one():
    found = [((0, 0, 100, 50), 0.9), ((0, 0, 80, 80), None), ((0, 0, 79, 79), 0.8)]
    assert live.system_a_faces(found, 300, 200) == found[:2]
    assert live.system_a_faces([], 300, 200) == [((0, 0, 300, 200), None)]


def test_rules_by_name(photo, detector):
    gray = np.full((90, 120, 3), 100, np.uint8)
    assert live.read_faces(gray, Model(), detector, rules="ours") == []
    (whole,) = live.read_faces(gray, Model(), detector, rules="A")
    assert whole.box == (0, 0, 120, 90) and whole.score is None
    ours, theirs = (live.read_faces(photo.image, Model(), detector, rules=r) for r in ("ours", "A"))
    assert theirs == [r for r in ours if r.box[2] >= 0.8 * max(r.box[2] for r in ours)]
    with pytest.raises(BadInputError, match=r"'B'.*ours, A"):
        live.read_faces(gray, Model(), detector, rules="B")


# a picture from anywhere


def test_one_picture_from_everywhere_gives_the_same(tmp_path, face, detector):
    wanted = live.read_faces(face, Model(), detector)
    file = save(tmp_path / "face.png", face)
    assert wanted and all(
        live.read_picture(source, Model(), detector, colour) == wanted
        for source, colour in (
            (face, "rgb"),
            (cv2.cvtColor(face, cv2.COLOR_RGB2BGR), "bgr"),
            (file, None),
            (str(file), None),
            (file.read_bytes(), None),
        )
    )
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    assert [r.box for r in live.read_picture(gray, Model(), detector)] == [r.box for r in wanted]


@pytest.mark.parametrize(
    ("source", "colour", "words"),
    [
        (np.zeros((9, 9, 3), np.uint8), None, "'rgb' or 'bgr'"),
        (np.zeros((9, 9, 3), np.uint8), "RGBA", "'rgb' or 'bgr'"),
        (np.zeros((9, 9, 4), np.uint8), "rgb", "three colour channels"),
        (np.zeros((9, 9, 3)), "rgb", "expected a uint8 picture"),
        (np.zeros((0, 9, 3), np.uint8), "rgb", "expected a uint8 picture"),
        (b"", None, "empty"),
        (b"<html>", None, "not a whole picture"),
        ("nowhere.png", None, "cannot be read"),
    ],
)
def test_what_is_no_picture_is_refused(detector, source, colour, words):
    with pytest.raises(BadInputError, match=words):
        live.read_picture(source, Model(), detector, colour)


def test_a_reading_has_the_score_of_its_detector(photo, detector, monkeypatch):
    assert {r.score for r in live.read_faces(photo.image, Model(), detector)} == {None}

    class Network(YuNet):
        """As YuNet, but what it finds is given: x, y, width, height, five points, score."""

        def __init__(self):
            pass

        def faces(self, image, least=30):
            found = np.zeros((2, 15), np.float32)
            found[:, :4], found[:, 14] = [[-20, 5, 40, 50], [60, 30, 60, 80]], [0.75, 0.9]
            return found

    readings = live.read_faces(np.full((120, 130, 3), 90, np.uint8), Model(), Network(), min_size=5)
    assert [r.score for r in readings] == pytest.approx([0.9, 0.75])  # the largest first, each its own
    for x, y, w, h in (r.box for r in readings):
        assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 130 and y + h <= 120


def test_unknown_views_are_refused():
    with pytest.raises(BadInputError, match=r"'four'.*one, flip, three"):
        live.probabilities_of(np.zeros((1, 48, 48), np.uint8), Model(), "four")


# files and folders


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path, face):
    save(tmp_path / "b.PNG", face)
    save(tmp_path / "a.jpeg", face)
    save(tmp_path / "deep/er/c.Webp", face)
    save(tmp_path / "d.bmp", face)
    save(tmp_path / "e.JPG", np.full((60, 60, 3), 100, np.uint8))
    save(tmp_path / ".hidden.png", face)
    save(tmp_path / ".cache/f.png", face)
    save(tmp_path / "g.gif", face)
    (tmp_path / "notes.txt").write_text("no picture")
    whole = (tmp_path / "a.jpeg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    return tmp_path


def test_a_folder_is_walked(folder):
    files, problems = live.picture_files([folder])
    names = [file.relative_to(folder).as_posix() for file in files]
    assert names == sorted(names)
    assert set(names) == {
        "a.jpeg",
        "b.PNG",
        "cut.jpg",
        "d.bmp",
        "deep/er/c.Webp",
        "e.JPG",
        "empty.png",
        "page.jpg",
    }
    assert problems == []


def test_no_file_comes_twice(folder):
    files, _ = live.picture_files([folder / "b.PNG", folder, folder / "deep/../b.PNG", folder / "g.gif"])
    assert len(files) == len({file.resolve() for file in files}) == 9
    assert files[0] == folder / "b.PNG"


def test_readings_of_a_folder_as_a_table(folder, detector):
    model = Model()
    table, problems = live.predict_paths([folder], model, detector)
    assert list(table) == [
        "file",
        "face",
        "x",
        "y",
        "width",
        "height",
        "emotion",
        "probability",
        *SEVEN,
        "score",
    ]
    read = {file.removeprefix(folder.as_posix() + "/") for file in table["file"]}
    assert read == {"a.jpeg", "b.PNG", "deep/er/c.Webp", "d.bmp"}
    assert (table[list(SEVEN)].sum(axis=1) - 1).abs().max() < 1e-6
    assert (table["probability"] == table[list(SEVEN)].max(axis=1)).all()
    assert (table["emotion"] == table[list(SEVEN)].idxmax(axis=1)).all()
    assert len(problems) == 4
    for name, words in {
        "cut.jpg": "",
        "empty.png": "empty",
        "page.jpg": "",
        "e.JPG": "no face found",
    }.items():
        assert sum(name in line and words in line for line in problems) == 1, name


def test_the_faces_of_a_file_are_numbered_from_the_largest(tmp_path, photo, detector):
    path = save(tmp_path / "p.png", photo.image)
    table, _ = live.predict_paths([path], Model(), detector)
    assert list(table["face"]) == list(range(len(table))) and len(table) >= 2
    assert (table["width"] * table["height"]).is_monotonic_decreasing


def test_boxes_count_on_the_turned_picture(tmp_path, face, detector):
    upright = save(tmp_path / "upright.png", face)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    turned = save(tmp_path / "turned.png", np.rot90(face).copy(), exif=exif)
    table, problems = live.predict_paths([upright, turned], Model(), detector)
    assert problems == [] and len(table) % 2 == 0
    half = len(table) // 2
    assert table.iloc[:half, 1:].values.tolist() == table.iloc[half:, 1:].values.tolist()


def test_progress_sees_every_file(folder, detector):
    seen = []

    def progress(files):
        for file in files:
            seen.append(file)
            yield file

    live.predict_paths([folder], Model(), detector, progress=progress)
    assert len(seen) == 8


@pytest.mark.parametrize("name", ["missing.png", "empty.png", "page.jpg", "cut.jpg", "notes.txt"])
def test_nothing_readable_is_an_error_that_names_the_file(folder, detector, name):
    with pytest.raises(BadInputError, match=f"nothing could be read.*{name}") as caught:
        live.predict_paths([folder / name], Model(), detector)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_one_good_file_is_enough(folder, detector):
    table, problems = live.predict_paths([folder / "missing.png", folder / "g.gif"], Model(), detector)
    assert set(table["file"]) == {(folder / "g.gif").as_posix()}
    assert len(problems) == 1 and "missing.png" in problems[0]


def test_pictures_without_a_face_are_read_all_the_same(folder, detector):
    table, problems = live.predict_paths([folder / "e.JPG"], Model(), detector)
    assert len(table) == 0 and len(table.columns) == 16
    assert problems == [f"{folder / 'e.JPG'}: no face found"]


def test_an_empty_folder_and_no_paths(tmp_path, detector):
    with pytest.raises(BadInputError, match="no pictures in this folder"):
        live.predict_paths([tmp_path], Model(), detector)
    with pytest.raises(BadInputError, match="no paths were given"):
        live.predict_paths([], Model(), detector)


def test_a_long_list_of_problems_stays_one_short_line(tmp_path, detector):
    for k in range(25):
        (tmp_path / f"{k:02}.png").write_bytes(b"x")
    with pytest.raises(BadInputError, match="and 15 more") as caught:
        live.predict_paths([tmp_path], Model(), detector)
    assert "\n" not in str(caught.value)


def test_the_table_as_csv(tmp_path, folder, detector):
    odd = save(tmp_path / 'in/a "name", with\nall.png', np.asarray(Image.open(folder / "b.PNG")))
    table, _ = live.predict_paths([odd], Model(), detector)
    out = tmp_path / "new/out.csv"
    live.write_table(table, out)
    again = pd.read_csv(out)
    assert list(again) == list(table) and again["file"][0] == odd.as_posix()
    assert np.allclose(again[list(SEVEN)], table[list(SEVEN)], atol=1e-6)
    with out.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == len(table) + 1
    assert [p.name for p in out.parent.iterdir()] == ["out.csv"]


def test_a_csv_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be written"):
        live.write_table(pd.DataFrame({"a": [1]}), tmp_path / "file" / "out.csv")


# film, files, cameras


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


def test_a_cut_video_gives_what_it_has(tmp_path, pictures, capfd):
    video.write_video(tmp_path / "film.avi", pictures)
    whole = (tmp_path / "film.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: int(len(whole) * 0.75)])
    assert 0 < len(list(video.frames(tmp_path / "cut.avi"))) < 10


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing.mp4", "no such video file"),
        ("text.mp4", "cannot open"),
        ("empty.avi", "cannot open"),
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


def test_a_film_as_a_table(detector):
    frames = list(video.frames("film", seconds=2, seed=7, fps=5))
    model = Model(("happy", "rest"))
    pairs = list(live.read_frames(frames, model, detector, "three"))
    assert [frame for frame, _ in pairs] == frames
    assert model.batches and all(size % 3 == 0 for size in model.batches)
    table = live.video_table(pairs, model.class_names)
    start = ["frame", "seconds", "truth", "face", "x", "y", "width", "height", "emotion", "probability"]
    assert list(table) == [*start, "happy", "rest"]
    assert len(table) == sum(len(readings) for _, readings in pairs) >= 8
    for row in table.itertuples():
        assert row.truth == frames[row.frame].emotion and row.seconds == frames[row.frame].seconds


def test_a_film_is_read_in_one_call_as_well(detector):
    table = live.read_video("film", Model(), detector, seconds=1)
    assert set(table["frame"]) <= set(range(12)) and len(table) >= 8
    assert len(live.video_table([], SEVEN)) == 0


def test_detectors_in_two_threads_agree(photo, detector):
    wanted = live.read_faces(photo.image, Model(), detector)
    results = []

    def work():
        own = faces.load_cascade()
        results.extend(live.read_faces(photo.image, Model(), own) == wanted for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 6


# smoothing


@given(
    hnp.arrays(float, st.tuples(st.integers(0, 12), st.integers(2, 7)), elements=st.floats(0, 1)),
    st.floats(0.05, 1),
)
def test_smoothing_keeps_sums_and_bounds(values, weight):
    rows = (values + 1e-3) / (values + 1e-3).sum(axis=1, keepdims=True)
    calm = live.smooth(rows, weight)
    assert calm.shape == rows.shape
    assert np.allclose(calm.sum(axis=1), 1)
    if len(rows):
        assert (calm[0] == rows[0]).all()
        assert (calm <= rows.max(axis=0) + 1e-9).all() and (calm >= rows.min(axis=0) - 1e-9).all()


def test_smoothing_is_that_of_pandas():
    rows = np.random.default_rng(4).dirichlet(np.ones(3), 40)
    wanted = pd.DataFrame(rows).ewm(alpha=0.3, adjust=False).mean().to_numpy()
    assert np.allclose(live.smooth(rows, 0.3), wanted)
    assert (live.smooth(rows, 1) == rows).all()


@pytest.mark.parametrize("weight", [0, -0.1, 1.1, float("nan")])
def test_weights_that_make_no_sense(weight):
    with pytest.raises(BadInputError, match="weight"):
        live.smooth(np.ones((2, 2)) / 2, weight)
