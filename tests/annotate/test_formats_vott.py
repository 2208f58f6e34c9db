"""VoTT files in and out, and bad records."""

import json
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.annotate.formats.vott import read_project, read_vott, write_vott
from ferlib.annotate.table import COLUMNS, make_table
from ferlib.common.errors import AnnotationError
from tests.annotate.captured import captured

NAN, INF = float("nan"), float("inf")


def region(tags=("happy",), box=(10, 20, 30, 40), points=None, kind="RECTANGLE"):
    out = {"id": "r1", "type": kind, "tags": list(tags)}
    if box is not None:
        out["boundingBox"] = dict(zip(("left", "top", "width", "height"), box, strict=True))
    if points is not None:
        out["points"] = [{"x": x, "y": y} for x, y in points]
    return out


def asset(name="a.jpg", regions=None, size=(640, 480), path=None, identity=None):
    return {
        "asset": {
            "format": "jpg",
            "id": identity or name,
            "name": name,
            "path": f"file:/home/someone/pictures/{quote(name)}" if path is None else path,
            "size": {"width": size[0], "height": size[1]},
            "state": 2,
            "type": 1,
        },
        "regions": [region()] if regions is None else regions,
        "version": "2.2.0",
    }


def put(folder, content, name="1-asset.json"):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def test_all_regions_and_all_tags_of_a_per_picture_file(tmp_path):
    regions = [region(), region(tags=["Sadness", "crowd"], box=(100.4, 5.5, 20.2, 30))]
    table, problems = captured(read_vott, put(tmp_path, asset(regions=regions)))
    assert problems == []
    assert list(table.columns) == list(COLUMNS)
    assert table.drop(columns=["image_width", "image_height"]).values.tolist() == [
        ["a.jpg", 10, 20, 30, 40, "happy", "happy"],
        ["a.jpg", 100, 6, 21, 30, "sad", "Sadness|crowd"],
    ]
    assert table[["x", "y", "width", "height"]].dtypes.unique().tolist() == [np.dtype("int64")]
    assert set(table["image_width"]) == {640} and set(table["image_height"]) == {480}


def test_an_export_gives_what_its_per_picture_files_give(tmp_path):
    records = [
        asset("a.jpg"),
        asset("b.jpg", [region(["fear"]), region(["angry"], (1, 2, 3, 4))]),
        asset("c.jpg", []),
    ]
    for k, record in enumerate(records):
        put(tmp_path / "single", record, f"{k}-asset.json")
    export = {"name": "p", "tags": [], "assets": {record["asset"]["id"]: record for record in records}}
    file = put(tmp_path / "project", export, "p-export.json")
    single = read_vott(tmp_path / "single")
    for path in (file, tmp_path / "project"):
        whole, problems = captured(read_vott, path)
        assert problems == []
        pd.testing.assert_frame_equal(single, whole)
    nested = tmp_path / "vott"
    nested.mkdir()
    (tmp_path / "project").rename(nested / "vott-json-export")
    pd.testing.assert_frame_equal(read_vott(nested), single)


@pytest.mark.parametrize(
    ("given_region", "box"),
    [
        (region(box=None, points=[(5, 5), (25, 5), (25, 45), (5, 45)]), [5, 5, 20, 40]),
        (region(box=None, points=[(5, 50), (30, 7), (60, 40)], kind="POLYGON"), [5, 7, 55, 43]),
        (region(box=(-20, -10, 50, 40)), [0, 0, 30, 30]),
        (region(box=(600, 470, 100, 100)), [600, 470, 40, 10]),
        (region(box=(-1e9, -1e9, 3e9, 3e9)), [0, 0, 640, 480]),
        (region(box=(9.6, 9.4, 0.9, 1.0)), [10, 9, 1, 1]),
    ],
)
def test_boxes_are_clamped_and_polygons_become_their_hull(tmp_path, given_region, box):
    table, problems = captured(read_vott, put(tmp_path, asset(regions=[given_region])))
    assert problems == []
    assert table[["x", "y", "width", "height"]].values.tolist() == [box]


BAD_REGIONS = {
    "no box, no points": (region(box=None), "neither 'boundingBox' nor 'points'"),
    "empty points": (region(box=None, points=[]), "neither 'boundingBox' nor 'points'"),
    "nan": (region(box=(NAN, 1, 2, 3)), "left is nan"),
    "infinite": (region(box=(1, 1, INF, 3)), "width is inf"),
    "word": (region(box=(1, 1, "wide", 3)), "width is 'wide'"),
    "true": (region(box=(True, 1, 4, 3)), "left is True"),
    "none": (region(box=(1, None, 4, 3)), "top is None"),
    "beyond float": (region(box=(1, 1, 10**400, 3)), "width is 1000"),
    "negative width": (region(box=(1, 1, -4, 3)), "no area"),
    "zero height": (region(box=(1, 1, 4, 0)), "no area"),
    "less than a pixel": (region(box=(1.1, 1, 0.2, 3)), "no whole pixel"),
    "outside": (region(box=(700, 10, 40, 40)), "no whole pixel inside"),
    "left of it": (region(box=(-50, 10, 40, 40)), "no whole pixel inside"),
    "a point": (region(box=None, points=[(3, 3)], kind="POINT"), "no area"),
    "a level line": (region(box=None, points=[(3, 3), (9, 3)], kind="POLYLINE"), "no area"),
    "point of words": (region(box=None, points=[(3, "y"), (9, 3)]), "not two numbers"),
    "no tag": (region(tags=[]), "no tag"),
    "blank tag": (region(tags=["  "]), "no tag"),
    "not a region": ("happy", "not a region"),
    "null": (None, "not a region"),
}


@pytest.mark.parametrize("case", BAD_REGIONS)
def test_a_bad_region_is_named_and_left_out_and_the_others_stay(tmp_path, case):
    bad, reason = BAD_REGIONS[case]
    table, problems = captured(
        read_vott, put(tmp_path, asset("blå dag.jpg", regions=[region(), bad, region(["sad"])]))
    )
    assert table["emotion"].tolist() == ["happy", "sad"]
    assert len(problems) == 1
    assert problems[0].startswith("1-asset.json: region 2 of blå dag.jpg: ") and reason in problems[0]


def test_missing_tags_are_kept_when_asked_for(tmp_path):
    project = read_project(put(tmp_path, asset(regions=[region(tags=[])])), keep_all=True)
    table = project.table()
    assert project.problems == [] and table[["emotion", "tags"]].values.tolist() == [["", ""]]


BAD_FILES = {
    "cut off": (json.dumps(asset()).encode()[:-40], "incomplete or no JSON"),
    "empty": (b"", "incomplete or no JSON"),
    "no JSON": (b"\x89PNG\r\n\x1a\n\x00", "incomplete or no JSON"),
    "too deep": (b"[" * 100_000, "incomplete or no JSON"),
    "a list": (b"[1, 2]", "not a VoTT file"),
    "other JSON": (b'{"images": [], "annotations": []}', "not a VoTT file"),
    "asset is text": (b'{"asset": "a.jpg", "regions": []}', "not a VoTT file"),
    "no regions": ({k: v for k, v in asset().items() if k != "regions"}, "no list of 'regions'"),
    "regions null": (asset() | {"regions": None}, "no list of 'regions'"),
    "up and away": (asset("../secret.png"), "leads outside"),
    "hidden way up": (asset("..%2f..%2fsecret.png"), "leads outside"),
    "windows way up": (asset("..\\secret.png"), "leads outside"),
    "relative path up": (asset("a.jpg", path="file:../../a.jpg"), "leads outside"),
    "half a character": (b'{"asset": {"name": "a\\ud83d.jpg"}, "regions": []}', "no file name"),
    "no name": (asset("", path="", identity="x"), "is empty"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_and_the_others_are_read(tmp_path, case):
    content, reason = BAD_FILES[case]
    put(tmp_path, content, "1-asset.json")
    put(tmp_path, asset("good.jpg"), "2-asset.json")
    table, problems = captured(read_vott, tmp_path)
    assert table["image"].tolist() == ["good.jpg"]
    assert len(problems) == 1
    assert problems[0].startswith("1-asset.json: ") and reason in problems[0]
    assert str(tmp_path) not in problems[0]


@pytest.mark.parametrize(
    "size", [{"width": NAN, "height": 3}, {"width": -640, "height": 480}, "big", [640, 480]]
)
def test_a_size_that_is_none_costs_no_region(tmp_path, size):
    record = asset(regions=[region(box=(-5, 20, 3000, 40))])
    record["asset"]["size"] = size
    table, problems = captured(read_vott, put(tmp_path, record))
    assert table[["x", "width", "image_width"]].values.tolist() == [[0, 2995, 0]]
    assert len(problems) == 1 and "no size" in problems[0]


def test_a_size_of_a_billion_pixels_is_no_size(tmp_path):
    table, problems = captured(read_vott, put(tmp_path, asset(size=(10**9, 10**9))))
    assert len(table) == 1 and table.image_width[0] == 0 and "1000000000" in problems[0]


@pytest.mark.parametrize("make", ["missing.json", "missing", "."])
def test_nothing_to_read_is_an_error(tmp_path, make):
    with pytest.raises(AnnotationError):
        read_vott(tmp_path / make)


@pytest.mark.parametrize("case", ["cut off", "a list"])
def test_a_bad_file_asked_for_by_name_is_an_error(tmp_path, case):
    with pytest.raises(AnnotationError, match=BAD_FILES[case][1]):
        read_vott(put(tmp_path, BAD_FILES[case][0]))


def test_one_bad_asset_of_an_export_costs_only_itself(tmp_path):
    assets = {"1": asset("../a.jpg"), "2": asset("b.jpg"), "3": 7, "4": {"regions": []}, "5": asset("b.jpg")}
    assets["2"]["asset"]["id"], assets["5"]["asset"]["id"] = "2", "5"
    table, problems = captured(read_vott, put(tmp_path, {"assets": assets}, "p-export.json"))
    assert table["image"].tolist() == ["b.jpg"]
    assert [p.split(": ", 1)[1][:30] for p in problems] == [
        "picture name '../a.jpg' leads ",
        "an entry of 'assets' has no 'a",
        "an entry of 'assets' has no 'a",
        "a second asset named 'b.jpg'; ",
    ]


@pytest.mark.parametrize(
    ("name", "path", "image"),
    [
        ("a b.jpg", "file:/home/me/a%20b.jpg", "a b.jpg"),
        ("a%20b.jpg", "file:/home/me/a%20b.jpg", "a b.jpg"),  # as VoTT's own files have it
        ("a%20b.jpg", "file:/home/me/a%2520b.jpg", "a%20b.jpg"),  # the file's true name
        ("笑脸 #1.png", "file:C:/Users/me/%E7%AC%91%E8%84%B8%20%231.png", "笑脸 #1.png"),
        ("a.jpg", "file:days/one/a.jpg", "days/one/a.jpg"),
        ("a.jpg", "https://store/pictures/a.jpg", "a.jpg"),
        ("", "file:C:\\pictures\\a.jpg", "a.jpg"),
        ("one\\a.jpg", "", "one/a.jpg"),
        ("C:\\Users\\me\\a.jpg", "", "a.jpg"),
        ("/etc/passwd", "", "passwd"),
        ("a.jpg", "https://store/a.jpg?sv=1&sig=x", "a.jpg"),
    ],
)
def test_the_pictures_name(tmp_path, name, path, image):
    table, problems = captured(read_vott, put(tmp_path, asset(name, path=path)))
    assert problems == [] and table["image"].tolist() == [image]


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: b"\xef\xbb\xbf" + t.encode(),
        lambda t: t.encode("gbk"),
        lambda t: t.replace("\n", "\r\n").encode(),
    ],
)
def test_byte_order_marks_gbk_and_windows_line_ends(tmp_path, encode):
    text = json.dumps(asset("笑脸.jpg", path=""), ensure_ascii=False, indent=1)
    table, problems = captured(read_vott, put(tmp_path, encode(text)))
    assert problems == [] and table["image"].tolist() == ["笑脸.jpg"]


# ---- writing (what is written is read again: test_formats) ---------------------------------------

numbers = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(), st.none(), st.text(max_size=3), st.booleans()
)
wild_boxes = st.dictionaries(st.sampled_from(["left", "top", "width", "height"]), numbers)
wild_points = st.lists(st.dictionaries(st.sampled_from(["x", "y"]), numbers), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
wild_regions = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {"tags": st.lists(st.sampled_from(["happy", "", "x"]), max_size=2)},
        optional={"boundingBox": wild_boxes | json_values, "points": wild_points | json_values},
    ),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(wild_regions, max_size=4), json_values, json_values)
def test_whatever_stands_in_a_file_gives_good_boxes_or_named_problems(tmp_path_factory, regions, size, name):
    record = asset("a.jpg", regions)
    record["asset"]["size"] = size
    if isinstance(name, (str, dict)):
        record["asset"]["name"] = name
    file = tmp_path_factory.getbasetemp() / "wild-asset.json"
    file.write_text(json.dumps(record))
    table, problems = captured(read_vott, file)
    assert (table[["x", "y"]] >= 0).all(axis=None) and (table[["width", "height"]] >= 1).all(axis=None)
    assert len(table) + len(problems) >= min(len(regions), 1)
    assert not any(".." in image.split("/") or image.startswith("/") for image in table["image"])


def test_files_are_as_vott_writes_them_and_are_replaced_whole(tmp_path):
    row = {
        "image": "sub/a b.jpg",
        "x": 1,
        "y": 2,
        "width": 3,
        "height": 4,
        "emotion": "happy",
        "tags": "happy|x",
    }
    table = make_table([row])
    (file,) = write_vott(table, tmp_path, {"sub/a b.jpg": (64, 48)})
    content = json.loads(file.read_text(encoding="utf-8"))
    assert file.name == content["asset"]["id"] + "-asset.json"
    assert content["asset"]["name"] == "a b.jpg" and content["asset"]["path"] == "file:sub/a%20b.jpg"
    assert content["asset"]["size"] == {"width": 64, "height": 48}
    assert content["asset"]["format"] == "jpg" and content["asset"]["state"] == 2
    (written,) = content["regions"]
    assert written["type"] == "RECTANGLE" and written["tags"] == ["happy", "x"]
    assert written["boundingBox"] == {"height": 4, "width": 3, "left": 1, "top": 2}
    assert written["points"] == [{"x": 1, "y": 2}, {"x": 4, "y": 2}, {"x": 4, "y": 6}, {"x": 1, "y": 6}]
    write_vott(table.assign(emotion="sad", tags="sad"), tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == [file.name]
    assert read_vott(tmp_path)["emotion"].tolist() == ["sad"]


def test_a_picture_without_a_face_is_written_as_looked_at(tmp_path):
    (file,) = write_vott(make_table(), tmp_path, {"empty.jpg": (64, 48)})
    content = json.loads(file.read_text())
    assert content["regions"] == [] and content["asset"]["state"] == 1
    table, problems = captured(read_vott, tmp_path)
    assert len(table) == 0 and problems == []
    assert write_vott(make_table(), tmp_path / "nothing") == []


def test_an_export_lists_its_tags(tmp_path):
    table = make_table(
        [
            {"image": f"{name}.jpg", "x": 1, "y": 1, "width": 5, "height": 5, "emotion": name}
            for name in ("sad", "happy", "sad2")
        ]
    )
    content = json.loads(write_vott(table, tmp_path / "new" / "p-export.json")[0].read_text())
    assert [tag["name"] for tag in content["tags"]] == ["happy", "sad", "sad2"]
    assert len(content["assets"]) == 3


@pytest.mark.parametrize("image", ["../a.jpg", "/a.jpg", "C:\\a.jpg", "", "x/../../a.jpg"])
def test_nothing_is_written_for_a_picture_outside(tmp_path, image):
    table = make_table([{"image": image, "x": 1, "y": 1, "width": 5, "height": 5, "emotion": "sad"}])
    with pytest.raises(AnnotationError):
        write_vott(table, tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_an_id_cannot_leave_the_folder(tmp_path):
    table = make_table([{"image": "a.jpg", "x": 1, "y": 1, "width": 5, "height": 5, "emotion": "sad"}])
    with pytest.raises(AnnotationError):
        write_vott(table, tmp_path, ids={"a.jpg": "../../x"})


def test_a_picture_keeps_its_file(tmp_path):
    put(tmp_path, asset("a.jpg"), "abc-asset.json")
    put(tmp_path, b"{", "broken-asset.json")
    ids = read_project(tmp_path).ids
    assert ids == {"a.jpg": "abc"}
    write_vott(read_vott(tmp_path).assign(emotion="fear", tags="fear"), tmp_path, ids=ids)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["abc-asset.json", "broken-asset.json"]
