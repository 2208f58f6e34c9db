"""Which file of the folder a label is joined to: never another picture of the same name."""

import time
from pathlib import Path

import pytest

from ferlib.annotate.crop import crop_regions
from ferlib.annotate.formats import read_boxes
from ferlib.annotate.pictures import find_pictures, recorded_path, short_names
from ferlib.common.errors import AnnotationError
from ferlib.common.images import load_image
from ferlib.common.labels import SEVEN
from tests.annotate.captured import captured
from tests.annotate.test_formats import put, studio_region, task
from tests.annotate.test_formats_vott import asset, region

CASES = Path(__file__).parents[1] / "cases"
SUB = "sub/a.jpg"


def folder_of(tmp_path, *names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "/home/u/pics/sub/a.jpg",
        "C:\\Users\\u\\pics\\sub\\a.jpg",
        "\\\\server\\share\\sub\\a.jpg",
        "s3://bucket/pics/sub/a.jpg",
        "gs://bucket/sub/a.jpg",
        "https://x.org/sub/a.jpg?token=1#x",
        "/data/local-files/?d=faces/sub/a.jpg",
        "file:///C:/pics/sub/a.jpg",
        "file:/home/u/pics/sub/a%2Ejpg",
        "file:C:/pics/sub/a.jpg",
        "sub/a.jpg",
        "pics\\sub\\a.jpg",
        "pics/sub%2Fa.jpg",
        "/data/upload/1/sub/90fbb0c7-a.jpg",
    ],
)
def test_the_longest_tail_counts(tmp_path, path):
    folder = folder_of(tmp_path, "a.jpg", SUB, "other/a.jpg")
    recorded = recorded_path(path)
    assert find_pictures([recorded], folder) == {recorded: SUB}


@pytest.mark.parametrize(
    ("names", "path", "found"),
    [
        (["a.jpg", SUB], "/x/a.jpg", "a.jpg"),
        (["a.jpg"], "/x/sub/a.jpg", "a.jpg"),
        (["one/a.jpg", "two/a.jpg"], "a.jpg", "2 pictures fit a.jpg equally well (one/a.jpg, two/a.jpg)"),
        (["one/a.jpg"], "a.jpg", "one/a.jpg"),
        (["one/a.jpg"], "two/a.jpg", "no such picture"),
        (["one/a.jpg"], "/x/two/a.jpg", "no such picture"),
        (["90fbb0c7-a.jpg", "a.jpg"], "/data/upload/1/90fbb0c7-a.jpg", "90fbb0c7-a.jpg"),
        (["90fbb0c7-a.jpg"], "images/90fbb0c7-a.jpg", "90fbb0c7-a.jpg"),
        (["a b.jpg"], "a%20b.jpg", "a b.jpg"),
        (["a%20b.jpg", "a b.jpg"], "a%20b.jpg", "a%20b.jpg"),
        (["a\u0308.jpg"], "ä.jpg", "a\u0308.jpg"),
        (["clip.mp4#t=7.12.jpg"], "file:/c:/x/clip.mp4#t=7.12", "clip.mp4#t=7.12.jpg"),
        (["clip.mp4"], "https://x/clip.mp4#t=7.12", "a frame of the video clip.mp4 at 7.12 s; save it as"),
        ([".hidden/a.jpg"], "/x/a.jpg", "no such picture"),
    ],
)
def test_a_path_means_one_file_or_none(tmp_path, names, path, found):
    recorded = recorded_path(path)
    (result,) = find_pictures([recorded], folder_of(tmp_path, *names)).values()
    assert result == found if isinstance(result, str) else found in str(result)


@pytest.mark.parametrize(
    ("names", "paths", "found"),
    [
        (["img.jpg"], ["/up/11111111-img.jpg", "/up/22222222-img.jpg"], [None, None]),
        (["a.jpg"], ["/x/a.jpg", "/x/sub/a.jpg"], [None, None]),
        (["a.jpg"], ["a.jpg", "sub/a.jpg"], ["a.jpg", None]),
        (["pics/a.jpg"], ["/x/pics/a.jpg", "/x/pics/sub/a.jpg"], ["pics/a.jpg", None]),
        (["a.jpg", SUB], ["/x/a.jpg", "/x/sub/a.jpg"], ["a.jpg", SUB]),
    ],
)
def test_two_recorded_pictures_are_never_one_file(tmp_path, names, paths, found):
    result = find_pictures(paths, folder_of(tmp_path, *names))
    assert [each if isinstance(each, str) else None for each in result.values()] == found


def test_the_name_of_the_folder_itself_tells_two_paths_apart(tmp_path):
    folder = folder_of(tmp_path / "pics", "a.jpg")
    result = find_pictures(["/home/u/pics/a.jpg", "/home/u/pics/sub/a.jpg"], folder)
    assert result["/home/u/pics/a.jpg"] == "a.jpg"
    assert "another recorded picture" in str(result["/home/u/pics/sub/a.jpg"])


def test_short_names_hide_the_machine_and_stay_apart():
    paths = ["/home/u/a.jpg", "/home/u/sub/a.jpg", "b.jpg", "/x/b.jpg", "/data/upload/1/1a2b3c4d-c.jpg"]
    assert short_names(paths) == {
        "b.jpg": "b.jpg",
        "/home/u/a.jpg": "u/a.jpg",
        "/home/u/sub/a.jpg": "sub/a.jpg",
        "/x/b.jpg": "x/b.jpg",
        "/data/upload/1/1a2b3c4d-c.jpg": "c.jpg",
    }
    assert len(set(short_names([f"/x/{k}/a.jpg" for k in range(50)]).values())) == 50


@pytest.mark.parametrize(
    "path",
    ["../a.jpg", "sub/../../a.jpg", "..%2fa.jpg", "file:../a.jpg", "", " ", "/", "/x" * 5000, "a\ud83d.jpg"],
)
def test_what_is_no_name_in_the_folder_is_refused(path):
    with pytest.raises(AnnotationError):
        recorded_path(path)


@pytest.mark.parametrize(
    "name", ["vott_sub_only-export.json", "coco_abs.json", "ls_s3sub.json", "ls_sub.json"]
)
def test_the_blue_picture_in_sub_is_cropped_and_not_the_red_one(tmp_path, name):
    table = read_boxes(CASES / "annotations" / name)
    assert table["image"].tolist() == ["a.jpg"]  # and the path is kept beside
    for each in (table, table[table["emotion"] == "happy"]):
        faces, lines = captured(crop_regions, each, CASES / "same_name", tmp_path / "faces", SEVEN)
        assert faces["image"].tolist() == [SUB] and lines == []
    red, _, blue = load_image(tmp_path / "faces" / faces["face"][0]).mean(axis=(0, 1))
    assert blue > 200 > red


def test_two_pictures_of_one_name_keep_their_labels(tmp_path):
    folder = CASES / "same_name"
    paths = {"sad": "/home/u/pics/a.jpg", "fear": "/home/u/pics/sub/a.jpg"}
    tasks = [task(studio_region(tags=[tag]), image=f"s3://b{path}") for tag, path in paths.items()]
    assets = {
        path: asset("a.jpg", [region([tag])], (200, 100), f"file:{path}", path) for tag, path in paths.items()
    }
    files = [put(tmp_path / "ls.json", tasks), put(tmp_path / "p-export.json", {"assets": assets})]
    for file in files:
        table, problems = captured(read_boxes, file)
        faces, lines = captured(crop_regions, table, folder, tmp_path / "out", SEVEN)
        assert problems == lines == []
        assert faces[["image", "emotion"]].values.tolist() == [["a.jpg", "sad"], [SUB, "fear"]]


def test_many_pictures_of_one_name_are_joined_in_time(tmp_path):
    paths = [f"/home/u/{k}/img.jpg" for k in range(3000)]
    folder_of(tmp_path, "img.jpg", *(f"{k}/img.jpg" for k in range(300)))
    begin = time.process_time()
    found = find_pictures(paths, tmp_path)
    assert time.process_time() - begin < 2
    assert [name for name in found.values() if isinstance(name, str)] == [f"{k}/img.jpg" for k in range(300)]
    assert len(set(short_names(paths).values())) == 3000
