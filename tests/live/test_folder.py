"""Files and folders: the table, annotated copies, what is logged, and what must not be replaced."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ferlib
from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import folder as live_folder
from ferlib.live import video
from ferlib.live.outputs import Outputs, Selection

COLUMNS = ["file", "face", "x", "y", "width", "height", "emotion", "probability", *SEVEN, "score"]


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, drawn_faces):
    """Five pictures with a face, one without, three that cannot be read, and what does not count. Only for reading."""
    root, face = tmp_path_factory.mktemp("mixed"), drawn_faces[0]
    for name in ("b.PNG", "a.jpeg", "deep/er/c.Webp", "d.bmp", ".hidden.png", ".cache/f.png", "g.gif"):
        save(root / name, face)
    save(root / "e.JPG", np.full((60, 60, 3), 100, np.uint8))
    (root / "notes.txt").write_text("no picture")
    whole = (root / "a.jpeg").read_bytes()
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "empty.png").write_bytes(b"")
    (root / "page.jpg").write_text("<html>not found</html>")
    return root


@pytest.fixture
def pictures(tmp_path, drawn_faces):
    """a.PNG, b.webp and deep/a.png with a face each, one without, one broken."""
    root = tmp_path / "in"
    for name, image in zip(("a.PNG", "b.webp", "deep/a.png"), drawn_faces, strict=True):
        save(root / name, image)
    images.write_image(root / "gray.jpg", np.full((80, 90, 3), 90, np.uint8))
    (root / "broken.jpg").write_bytes(b"<html>")
    return root


@pytest.fixture
def read_table(tmp_path):
    """`predict_paths` as a table, which is read from its CSV."""

    def read(paths, recognizer, progress=iter, **outputs):
        path = tmp_path / "of_read_table.csv"
        live_folder.predict_paths(paths, recognizer, Outputs(path, **outputs), progress=progress)
        table = pd.read_csv(path)
        path.unlink()
        return table

    return read


def names(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_a_folder_is_walked(mixed, caplog):
    found = [file.relative_to(mixed).as_posix() for file in live_folder.find_files([mixed])]
    inside = [
        "a.jpeg",
        "b.PNG",
        "cut.jpg",
        "d.bmp",
        "deep/er/c.Webp",
        "e.JPG",
        "empty.png",
        "g.gif",
        "page.jpg",
    ]
    assert found == sorted(inside)
    assert caplog.messages == [f"{mixed}: other files are not read: 1 .txt"]


def test_no_file_comes_twice(mixed):
    files = list(live_folder.find_files([mixed / "b.PNG", mixed, mixed / "deep/../b.PNG", mixed / "g.gif"]))
    assert len(files) == len({file.resolve() for file in files}) == 9
    assert files[0] == mixed / "b.PNG"


def test_faces_of_a_folder_as_a_table(mixed, bright, caplog, read_table):
    seen = []

    def progress(files):
        for file in files:
            seen.append(file)
            yield file

    table = read_table([mixed], bright, progress)
    assert list(table) == COLUMNS and len(seen) == 9
    read = {file.removeprefix(mixed.as_posix() + "/") for file in table["file"]}
    assert read == {"a.jpeg", "b.PNG", "deep/er/c.Webp", "d.bmp", "g.gif"}
    assert (table[list(SEVEN)].sum(axis=1) - 1).abs().max() < 1e-5
    assert (table["probability"] == table[list(SEVEN)].max(axis=1)).all()
    assert (table["emotion"] == table[list(SEVEN)].idxmax(axis=1)).all()
    assert len(caplog.messages) == 5  # with one for notes.txt
    left_out = {"cut.jpg": "", "empty.png": "empty", "page.jpg": "", "e.JPG": "no face found"}
    for name, words in left_out.items():
        assert sum(name in line and words in line for line in caplog.messages) == 1, name


def test_the_faces_of_a_file_are_numbered_from_the_largest(tmp_path, bright, read_table):
    photo = next(p for p in map(synth.draw_photo, range(50)) if len(bright.read(p.image, "rgb")) >= 2)
    table = read_table([save(tmp_path / "p.png", photo.image)], bright)
    assert list(table["face"]) == list(range(len(table))) and len(table) >= 2
    assert (table["width"] * table["height"]).is_monotonic_decreasing


def test_boxes_count_on_the_turned_picture(tmp_path, drawn_faces, bright, caplog, read_table):
    upright = save(tmp_path / "upright.png", drawn_faces[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    turned = save(tmp_path / "turned.png", np.rot90(drawn_faces[0]).copy(), exif=exif)
    table = read_table([upright, turned], bright).fillna(0)
    assert not caplog.records and len(table) == 2
    assert table.iloc[:1, 1:].values.tolist() == table.iloc[1:, 1:].values.tolist()


@pytest.mark.parametrize("name", ["missing.png", "empty.png", "page.jpg", "cut.jpg", "notes.txt"])
def test_nothing_readable_is_an_error_that_names_the_file(mixed, bright, name, caplog):
    with pytest.raises(BadInputError, match=f"nothing could be read.*{name}") as caught:
        live_folder.predict_paths([mixed / name], bright)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_one_good_file_is_enough(mixed, bright, caplog, read_table):
    table = read_table([mixed / "missing.png", mixed / "g.gif"], bright)
    assert set(table["file"]) == {(mixed / "g.gif").as_posix()}
    assert len(caplog.messages) == 1 and "missing.png" in caplog.text


def test_a_picture_without_a_face_is_named(mixed, bright, caplog, read_table):
    table = read_table([mixed / "e.JPG"], bright)
    assert len(table) == 0 and list(table) == COLUMNS
    assert caplog.messages == [f"{mixed / 'e.JPG'}: no face found"]


def test_an_empty_folder_and_no_paths(tmp_path, bright, caplog):
    with pytest.raises(BadInputError, match="no pictures in these folders"):
        live_folder.predict_paths([tmp_path], bright)
    assert len(caplog.messages) == 1 and f"{tmp_path}: no pictures in this folder" in caplog.text
    with pytest.raises(BadInputError, match="no paths were given"):
        live_folder.predict_paths([], bright)


def test_many_unreadable_files_are_named_before_the_refusal_and_counted(tmp_path, bright, caplog):
    for k in range(25):
        (tmp_path / f"{k:02}.png").write_bytes(b"x")
    with pytest.raises(BadInputError, match="nothing could be read: none of 25 files"):
        live_folder.predict_paths([tmp_path], bright)
    assert len(caplog.messages) == 11 and "00.png" in caplog.messages[0] and "15 more" in caplog.messages[-1]


def test_copies_are_in_subfolders_as_their_pictures_and_are_drawn_on(pictures, recognizer, tmp_path, caplog):
    out = tmp_path / "out"
    live_folder.predict_paths([pictures], recognizer, Outputs(annotated=out))
    assert names(out) == ["a.PNG", "b.webp", "deep/a.png", "gray.jpg"]  # what cannot be read has no copy
    assert len(caplog.messages) == 2
    for name in ("a.PNG", "deep/a.png"):
        before, after = images.load_image(pictures / name), images.load_image(out / name)
        assert before.shape == after.shape and (before != after).any()
    plain = images.load_image(out / "a.PNG")
    live_folder.predict_paths([pictures / "a.PNG"], recognizer, Outputs(annotated=out, emoji=True))
    assert (images.load_image(out / "a.PNG") != plain).any(axis=2).mean() > 0.2


def test_copies_inside_the_folder_are_not_read_again(pictures, recognizer, read_table):
    folder = pictures / "annotated"
    first, again = (read_table([pictures], recognizer, annotated=folder) for _ in range(2))
    assert list(first["file"]) == list(again["file"]) and not first["file"].str.contains("annotated").any()


def test_no_picture_is_replaced(pictures, recognizer):
    before = {name: (pictures / name).read_bytes() for name in names(pictures)}
    with pytest.raises(BadInputError, match="would replace the picture"):
        live_folder.predict_paths([pictures / "a.PNG"], recognizer, Outputs(annotated=pictures))
    assert {name: (pictures / name).read_bytes() for name in names(pictures)} == before


def test_two_pictures_of_one_name_have_two_copies(pictures, recognizer, tmp_path):
    out, given = tmp_path / "out", [pictures / "a.PNG", pictures / "deep/a.png"]
    live_folder.predict_paths(given, recognizer, Outputs(annotated=out))
    assert names(out) == ["a-2.png", "a.PNG"]
    assert images.load_image(out / "a-2.png").shape == images.load_image(given[1]).shape


def test_a_folder_of_copies_that_cannot_be_written(pictures, recognizer, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be written"):
        live_folder.predict_paths([pictures / "a.PNG"], recognizer, Outputs(annotated=tmp_path / "file/out"))


def test_a_flat_folder_with_csv_and_chart(pictures, recognizer, tmp_path):
    outputs = Outputs(csv=tmp_path / "o/faces.csv", chart=tmp_path / "o/chart.png")
    summary = live_folder.predict_paths([pictures], recognizer, outputs, recursive=False)
    table = pd.read_csv(outputs.csv)
    assert summary.rows == len(table) == 2
    assert set(table["file"]) == {(pictures / name).as_posix() for name in ("a.PNG", "b.webp")}
    assert names(tmp_path / "o") == ["chart.png", "faces.csv"]
    assert len((tmp_path / "o/faces.csv").read_text().splitlines()) == 3


@pytest.fixture
def album(tmp_path, drawn_faces):
    """A picture with a face, one without, two videos, one of them broken, and two other files."""
    root = tmp_path / "album"
    save(root / "a.png", drawn_faces[0])
    save(root / "gray.png", np.full((80, 90, 3), 90, np.uint8))
    (root / "b").mkdir()
    video.write_video(root / "b/clip.mp4", [drawn_faces[1]] * 6, 10)
    (root / "cut.webm").write_bytes(b"")
    (root / "notes.txt").write_text("x")
    (root / "README").write_text("x")
    return root


def test_pictures_and_videos_in_one_call(album, bright, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("PATH", "")
    outputs = Outputs(tmp_path / "a.csv", tmp_path / "out", tmp_path / "chart.png", empty=True)
    summary = live_folder.predict_paths([album], bright, outputs, Selection(every=2))
    rows = pd.read_csv(outputs.csv)
    assert list(rows) == ["file", "frame", "seconds", "track", *COLUMNS[1:]]
    assert rows["file"].tolist() == [f"{album}/{name}" for name in ("a.png", *["b/clip.mp4"] * 3, "gray.png")]
    assert rows["frame"].tolist()[1:4] == [0, 2, 4] and rows["track"].tolist()[1:4] == [1, 1, 1]
    assert rows["seconds"].tolist()[1:4] == pytest.approx([0, 0.2, 0.4])
    assert rows.loc[4, "frame":].isna().all() and (summary.frames, summary.rows, summary.tracks) == (5, 4, 1)
    assert names(tmp_path / "out") == ["a.png", "b/clip.mp4", "gray.png"]
    assert caplog.messages == [
        f"{album}: other files are not read: 1 .txt, 1 without suffix",
        f"{album}/cut.webm: the file is empty",
        f"{album}/gray.png: no face found",
    ]


def test_all_targets_are_checked_before_the_first_picture(pictures, recognizer, tmp_path):
    def progress(files):
        raise AssertionError("a picture was read")

    for outputs in (
        Outputs(csv=pictures / "a.PNG"),
        Outputs(csv=pictures / "a.PNG/a.csv"),
        Outputs(chart=tmp_path / "chart.xyz"),
        Outputs(annotated=pictures / "a.PNG"),
    ):
        with pytest.raises(BadInputError, match=r"cannot be written|suffix"):
            live_folder.predict_paths([pictures], recognizer, outputs, progress=progress)


def test_ctrl_c_keeps_the_rows_and_says_how_far_it_got(pictures, recognizer, tmp_path, caplog):
    def progress(files):
        yield from files[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live_folder.predict_paths([pictures], recognizer, Outputs(tmp_path / "a.csv"), progress=progress)
    assert len(pd.read_csv(tmp_path / "a.csv")) == 2 - ("broken.jpg" in caplog.text) - ("gray" in caplog.text)
    assert "stopped after 2 of 5 files" in caplog.messages
    assert f"{tmp_path / 'a.csv'}: not complete, but what was read so far is kept" in caplog.messages


def test_every_format_is_found_in_a_folder(tmp_path, drawn_faces, bright, read_table):
    suffixes = ("gif", "tif", "tiff", "jfif", "avif", "jp2", "ppm", "webp", "bmp", "JPG")
    for suffix in suffixes:
        save(tmp_path / f"in/{suffix}.{suffix}", drawn_faces[0])
    table = read_table([tmp_path / "in"], bright)
    assert table["file"].nunique() == len(suffixes)


def test_one_happy_face_in_a_smiling_picture_none_in_an_empty_one_and_no_program(
    tmp_path, read_table, cascade
):
    """What `fer` tests of itself."""
    faces, emotions = synth.draw_faces(20, seed=5, size=160)
    recognizer = ferlib.load("fer2013", "frontalface_default")
    smiling = [face for face, emotion in zip(faces, emotions, strict=True) if emotion == "happy"]
    found = [recognizer.read(face, "rgb") for face in smiling]
    assert any(len(each) == 1 and each[0].emotion == "happy" for each in found)
    assert (
        len(read_table([save(tmp_path / "empty.png", np.full((200, 200, 3), 90, np.uint8))], recognizer)) == 0
    )
    (tmp_path / "program.py").write_text("print('hello')")
    with pytest.raises(BadInputError, match=r"program\.py.*no known picture format"):
        read_table([tmp_path / "program.py"], recognizer)
