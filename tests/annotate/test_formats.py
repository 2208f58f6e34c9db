"""COCO, Label Studio and CSV: read, written, and what is done with bad records. VoTT: test_formats_vott."""

import csv
import json
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.annotate.crop import crop_regions
from ferlib.annotate.formats import detect_format, read_boxes, read_label_studio, write_boxes
from ferlib.annotate.formats.fields import emotion_of
from ferlib.annotate.table import make_table
from ferlib.common.errors import AnnotationError, BadInputError
from ferlib.common.images import write_image
from ferlib.common.labels import SEVEN
from tests.annotate.captured import captured

NAN = float("nan")
BOX = ["x", "y", "width", "height"]


def put(file: Path, content) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def rows_of(table, *columns):
    return table[list(columns)].values.tolist()


# ---- COCO ----------------------------------------------------------------------------------------


def coco(*boxes, images=None, **annotation):
    """A COCO file with one annotation a box (or with the given keys instead) and a good one at the end."""
    first = [
        {"id": k, "image_id": 1, "category_id": 1, "bbox": list(box), "iscrowd": 0}
        for k, box in enumerate(boxes)
    ]
    if annotation:
        whole = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]} | annotation
        first.append({key: value for key, value in whole.items() if value is not ...})
    good = {"id": 99, "image_id": 2, "category_id": 2, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}
    given = [{"id": 1, "file_name": "blå dag.jpg", "width": 640, "height": 480}] if images is None else images
    return {
        "images": [*given, {"id": 2, "file_name": "good.jpg", "width": 64, "height": 48}],
        "annotations": [*first, good],
        "categories": [{"id": 1, "name": "Happiness"}, {"id": 2, "name": "sad"}],
    }


def test_a_coco_file_as_a_tool_writes_it(tmp_path):
    table, problems = captured(
        read_boxes, put(tmp_path / "c.json", coco((10.4, 20.5, 30.2, 40), (-5, -5, 20, 20)))
    )
    assert problems == []
    assert rows_of(table, "image", *BOX, "emotion", "tags", "image_width") == [
        ["blå dag.jpg", 10, 21, 31, 40, "happy", "Happiness", 640],
        ["blå dag.jpg", 0, 0, 15, 15, "happy", "Happiness", 640],
        ["good.jpg", 5, 5, 10, 10, "sad", "sad", 64],
    ]


def test_coco_polygons_by_their_hull_and_ids_of_any_kind(tmp_path):
    shape = [[10, 10, 50, 12, 30, 60], [8, 20, 9, 21, 10, 10]]
    table, problems = captured(read_boxes, put(tmp_path / "c.json", coco(bbox=..., segmentation=shape)))
    assert problems == [] and rows_of(table, *BOX)[0] == [8, 10, 42, 50]
    content = coco(image_id="a", images=[{"id": "a", "file_name": "C:\\pics\\x.jpg"}])
    table, problems = captured(read_boxes, put(tmp_path / "c.json", content))
    assert problems == [] and table["image"].tolist() == ["x.jpg", "good.jpg"]


BAD_COCO = {
    "no box, no shape": (coco(bbox=...), "annotation 1 of blå dag.jpg: neither 'bbox' nor 'segmentation'; left out"),
    "empty shape": (coco(bbox=[], segmentation=[[]]), "neither 'bbox' nor 'segmentation'"),
    "a mask": (coco(bbox=..., segmentation={"counts": "aa", "size": [1, 2]}), "a mask (RLE) without a bbox"),
    "three numbers": (coco((1, 2, 3)), "bbox is [1, 2, 3], not four numbers of pixels"),
    "nan": (coco((NAN, 2, 3, 4)), "bbox is [nan, 2, 3, 4], not four numbers of pixels"),
    "words": (coco(("a", 2, 3, 4)), "bbox is ['a', 2, 3, 4], not four numbers of pixels"),
    "negative": (coco((1, 2, -3, 4)), "-3×4 pixels, no area"),
    "outside": (coco((700, 2, 30, 40)), "no whole pixel inside the picture"),
    "bad point": (coco(bbox=..., segmentation=[[1, "x", 3, 4]]), "a point that is not two numbers"),
    "unknown picture": (coco(image_id=5), "annotation 1: image_id 5 is none of the images; left out"),
    "true is no id": (coco(image_id=True), "image_id True is none of the images"),
    "unknown category": (coco(category_id=9), "category_id 9 is none of the categories"),
    "crowd": (coco(iscrowd=1), "iscrowd is 1, a group and not one face"),
    "way up": (coco(images=[{"id": 1, "file_name": "../a.jpg"}]), "image 1: picture name '../a.jpg' leads outside"),
    "no name": (coco(images=[{"id": 1}]), "image 1: picture name '' is empty"),
    "two of one name": (
        coco(images=[{"id": 1, "file_name": "a.jpg"}, {"id": 3, "file_name": "a.jpg"}]),
        "image 2: a second image named 'a.jpg' or with its id; the first is kept; left out",
    ),
    "huge": (
        coco((1, 1, 5, 5), images=[{"id": 1, "file_name": "a.jpg", "width": 10**9, "height": 10**9}]),
        "a.jpg: 1000000000×1000000000 is no size; its boxes are read without one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_COCO)
def test_a_bad_coco_record_is_named_and_the_others_are_read(tmp_path, case):
    content, line = BAD_COCO[case]
    table, problems = captured(read_boxes, put(tmp_path / "c.json", content))
    assert table["image"].tolist()[-1] == "good.jpg"
    assert problems and problems[0].startswith("c.json: ") and line in problems[0]
    assert str(tmp_path) not in "".join(problems)


def test_what_we_write_is_what_pycocotools_indexes(tmp_path):
    table = make_table(
        [
            {"image": "sub/a b.jpg", "x": 1, "y": 2, "width": 3, "height": 4, "emotion": "sad", "tags": "sad|dim",
             "image_width": 64, "image_height": 48},
            {"image": "b.jpg", "x": 5, "y": 6, "width": 7, "height": 8, "emotion": "happy"},
        ]
    )  # fmt: skip
    write_boxes(table, tmp_path / "c.json", "coco", {"b.jpg": (100, 90), "empty.jpg": (10, 10)})
    content = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    # the three look-ups that pycocotools' COCO.createIndex builds, and loadRes' and evaluate's keys
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"]: category["name"] for category in content["categories"]}
    assert [image["file_name"] for image in images.values()] == ["sub/a b.jpg", "b.jpg", "empty.jpg"]
    assert categories == {1: "happy", 2: "sad"}
    assert len({a["id"] for a in content["annotations"]}) == 2 and 0 not in {
        a["id"] for a in content["annotations"]
    }
    for record in content["annotations"]:
        assert record["area"] == record["bbox"][2] * record["bbox"][3] and record["iscrowd"] == 0
        assert record["image_id"] in images and record["category_id"] in categories
        x, y, w, h = record["bbox"]
        assert record["segmentation"] == [[x, y, x + w, y, x + w, y + h, x, y + h]]
    again, problems = captured(read_boxes, tmp_path / "c.json")
    assert problems == [] and again["tags"].tolist() == ["sad|dim", "happy"]


# ---- Label Studio --------------------------------------------------------------------------------


def studio_region(x=10.0, y=20.0, width=30.0, height=40.0, tags=("Happy",), size=(200, 100), **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": list(tags)}
    return {"id": "r", "type": "rectanglelabels", "original_width": size[0], "original_height": size[1],
            "image_rotation": 0, "value": value} | more  # fmt: skip


def task(*results, image="/data/upload/1/1a2b3c4d-blå_dag.jpg", **annotation):
    return {
        "id": 1,
        "data": {"image": image},
        "annotations": [{"result": list(results), "completed_by": 1} | annotation],
    }


GOOD_TASK = task(studio_region(tags=["sad"]), image="good.jpg")


def test_percent_become_pixels(tmp_path):
    table, problems = captured(
        read_boxes,
        put(tmp_path / "ls.json", [task(studio_region(), studio_region(12.3, tags=["fear", "x"], id="s"))]),
    )
    assert problems == []
    assert rows_of(table, "image", *BOX, "emotion", "tags", "image_width", "image_height") == [
        ["blå_dag.jpg", 20, 20, 60, 40, "happy", "Happy", 200, 100],
        ["blå_dag.jpg", 25, 20, 60, 40, "fear", "fear|x", 200, 100],
    ]  # fmt: skip


percent = st.tuples(st.floats(1, 60), st.floats(1, 60), st.floats(1, 39), st.floats(1, 39))


@settings(max_examples=20)
@given(st.lists(percent, min_size=1, max_size=10), st.integers(100, 3000), st.integers(100, 3000))
def test_pixels_to_percent_and_back(tmp_path_factory, given_boxes, wide, high):
    regions = [studio_region(*box, size=(wide, high), id=str(k)) for k, box in enumerate(given_boxes)]
    file = put(tmp_path_factory.getbasetemp() / "p.json", [task(*regions)])
    table, problems = captured(read_boxes, file)
    assert problems == [] and len(table) == len(given_boxes)
    scale = np.array([wide, high, wide, high]) / 100
    right = np.array([[x, y, x + w, y + h] for x, y, w, h in given_boxes]) * scale
    found = np.stack([table.x, table.y, table.x + table.width, table.y + table.height], axis=1)
    assert np.abs(found - right).max() <= 0.5001


@pytest.mark.parametrize("angle", [0, 15, 90, 200, 359])
def test_a_turned_rectangle_becomes_its_bounding_box(tmp_path, angle):
    size, value = (
        (400, 200),
        {"x": 40, "y": 40, "width": 10, "height": 10, "rotation": angle, "rectanglelabels": ["sad"]},
    )
    table = read_boxes(put(tmp_path / "r.json", [task(studio_region(size=size, value=value))]))
    turn = np.array([[math.cos(math.radians(angle)), -math.sin(math.radians(angle))],
                     [math.sin(math.radians(angle)), math.cos(math.radians(angle))]])  # fmt: skip
    corners = np.array([[0, 0], [40, 0], [0, 20], [40, 20]]) @ turn.T + [160, 80]
    row = table.iloc[0]
    expected = [*corners.min(axis=0), *corners.max(axis=0)]
    assert np.abs(np.array([row.x, row.y, row.x + row.width, row.y + row.height]) - expected).max() <= 0.51


def test_polygons_ellipses_and_choices_for_a_region(tmp_path):
    polygon = studio_region(
        id="p", value={"points": [[10, 10], [20, 50], [5, 30]], "polygonlabels": ["fear"]}
    )
    ellipse = studio_region(
        id="e", value={"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["sad"]}
    )
    face = studio_region(id="c", tags=[], type="rectangle")
    choice = {"id": "c", "type": "choices", "value": {"choices": ["surprise"]}}
    whole = {"id": "w", "type": "choices", "value": {"choices": ["good picture"]}}
    table, problems = captured(
        read_boxes, put(tmp_path / "m.json", [task(polygon, ellipse, whole, choice, face)])
    )
    assert problems == []
    assert rows_of(table, *BOX, "emotion") == [
        [10, 10, 30, 40, "fear"],
        [80, 30, 40, 40, "sad"],
        [20, 20, 60, 40, "surprise"],
    ]


@pytest.mark.parametrize(
    ("address", "image"),
    [
        ("/data/upload/3/1a2b3c4d-street.jpg", "street.jpg"),
        ("upload/3/1a2b3c4d-street.jpg", "street.jpg"),
        ("/data/local-files/?d=sets/one/%E7%AC%91%20a.jpg", "笑 a.jpg"),
        ("https://store.example/pics/a%20b.jpg?token=1", "a b.jpg"),
        ("s3://bucket/pics/a.png", "a.png"),
        ("http://[no-address/pics/a.png?x=1", "a.png"),
        ("/data/local-files/?d=one/a+b.jpg&x=1", "a b.jpg"),
        ("one/a.jpg", "one/a.jpg"),
        ("C:\\pics\\a.jpg", "a.jpg"),
        ("1a2b3c4d-street.jpg", "1a2b3c4d-street.jpg"),
    ],
)
def test_the_picture_of_a_task(tmp_path, address, image):
    table, problems = captured(read_boxes, put(tmp_path / "t.json", [task(studio_region(), image=address)]))
    assert problems == [] and table["image"].tolist() == [image]


def test_the_short_export_says_the_same(tmp_path):
    item = {**studio_region()["value"], "original_width": 200, "original_height": 100}
    short = [{"id": 1, "image": "/data/upload/1/1a2b3c4d-a.jpg", "label": [item], "annotator": 1}]
    long = [task(studio_region(), image="/data/upload/1/1a2b3c4d-a.jpg")]
    tables = [captured(read_boxes, put(tmp_path / "s.json", content)) for content in (short, long)]
    assert tables[0][1] == tables[1][1] == []
    pd.testing.assert_frame_equal(tables[0][0], tables[1][0])


def test_one_persons_labels_of_a_task_that_two_have_done(tmp_path):
    given_task = task(studio_region())
    others = [{"result": [studio_region(tags=["fear"])], "completed_by": {"id": 2, "email": "b@x.org"}},
              {"result": [studio_region(tags=["sad"])], "completed_by": 3, "was_cancelled": True}]  # fmt: skip
    given_task["annotations"] += others
    file = put(tmp_path / "two.json", [given_task])
    table, problems = captured(read_boxes, file)
    assert (
        table["emotion"].tolist() == ["happy"]
        and "2 annotations; the first is read; --annotator b@x.org reads" in problems[0]
    )
    for who, emotion in ((1, ["happy"]), (2, ["fear"]), ("b@x.org", ["fear"]), (3, [])):
        table, problems = captured(read_label_studio, file, annotator=who)
        assert table["emotion"].tolist() == emotion and problems == []


BAD_STUDIO = {
    "no label": (task(studio_region(tags=[])), "task 1 (blå_dag.jpg): region 1: no tag; give it one; left out"),
    "nan": (task(studio_region(x=NAN)), "region 1: x is nan, not a number of percent"),
    "word": (task(studio_region(width="wide")), "region 1: width is 'wide', not a number of percent"),
    "negative": (task(studio_region(width=-5)), "region 1: -10×40 pixels, no area"),
    "outside": (task(studio_region(x=120)), "no whole pixel inside"),
    "no size": (task(studio_region(size=(None, None))), "None×None is no size; percent of it cannot become pixels"),
    "huge": (task(studio_region(size=(10**9, 10**9))), "1000000000×1000000000 is no size"),
    "no region": (task({"value": 3}), "region 1: not a region"),
    "no points": (task(studio_region(value={"points": [], "polygonlabels": ["sad"]})), "x is None, not a number"),
    "bad point": (task(studio_region(value={"points": [[1, 2], [3]], "polygonlabels": ["sad"]})), "not two numbers"),
    "turned in the tool": (task(studio_region(image_rotation=90)), "the picture was turned in the tool"),
    "no picture": (task(studio_region(), image="hello"), "task 1: no picture in its 'data'; left out"),
    "way up": (task(studio_region(), image="../../a.jpg"), "task 1: picture name '../../a.jpg' leads outside"),
    "no annotations": ({"data": {"image": "a.jpg"}}, "task 1: no list of 'annotations'; left out"),
    "no result": ({"data": {"image": "a.jpg"}, "annotations": [{}]}, "an annotation without a list of 'result'"),
    "two of one name": (task(studio_region(), image="good.jpg"), "a second task for 'good.jpg'"),
    "a model's only": ({"data": {"image": "a.jpg"}, "annotations": [], "predictions": [{}]}, "only predictions"),
    "a choice only": (task({"type": "choices", "value": {"choices": ["sad"]}}), "a choice for the whole picture"),
    "no angle": (task(studio_region(value={"x": 1, "y": 1, "width": 9, "height": 9, "rotation": "x"})),
                 "rotation is 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_STUDIO)
def test_a_bad_label_studio_record_is_named_and_the_others_are_read(tmp_path, case):
    content, line = BAD_STUDIO[case]
    table, problems = captured(read_boxes, put(tmp_path / "ls.json", [content, GOOD_TASK]))
    assert "good.jpg" in table["image"].tolist() and len(table) == 1
    assert len(problems) == 1 and problems[0].startswith("ls.json: ") and line in problems[0]


# ---- CSV -----------------------------------------------------------------------------------------


def test_vott_csv_as_vott_writes_it(tmp_path):
    text = '"image","xmin","ymin","xmax","ymax","label"\r\n' + "\r\n".join(
        [
            '"a%20b.jpg",10.4,20.5,40.6,60,"happy"',
            '"a%20b.jpg",10.4,20.5,40.6,60,"crowd"',
            '"a%20b.jpg",50,20,60,60,"sad"',
        ]
    )
    table, problems = captured(read_boxes, put(tmp_path / "p-export.csv", text.encode()))
    assert problems == []
    assert rows_of(table, "image", *BOX, "emotion", "tags", "image_width") == [
        ["a b.jpg", 10, 21, 31, 39, "happy", "happy|crowd", 0],
        ["a b.jpg", 50, 20, 10, 40, "sad", "sad", 0],
    ]


BAD_LINES = {
    "nan": ("b.jpg,nan,1,5,5,sad", "line 3 (b.jpg): xmin is 'nan', not a number of pixels; left out"),
    "infinite": ("b.jpg,1,1,inf,5,sad", "xmax is 'inf', not a number of pixels"),
    "word": ("b.jpg,1,1,5,five,sad", "ymax is 'five', not a number of pixels"),
    "nothing": ("b.jpg,1,,5,5,sad", "ymin is '', not a number of pixels"),
    "a billion billions": ("b.jpg,1,1,1e18,5,sad", "xmax is '1e18', not a number of pixels"),
    "wrong way round": ("b.jpg,9,1,5,5,sad", "-4×4 pixels, no area"),
    "left of it": ("b.jpg,-9,1,-5,5,sad", "no whole pixel inside"),
    "cut off": ("b.jpg,1,1,5", "line 3 (b.jpg): the row is cut off; left out"),
    "no label": ("b.jpg,1,1,5,5,", "no tag; give it one"),
    "way up": ("../b.jpg,1,1,5,5,sad", "picture name '../b.jpg' leads outside the folder"),
    "way up, encoded": ("..%2fb.jpg,1,1,5,5,sad", "leads outside the folder"),
    "no picture": (",1,1,5,5,sad", "is empty"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path, case):
    bad, line = BAD_LINES[case]
    text = f"image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,30,40,happy\n{bad}\nc.jpg,1,2,30,40,sad\n"
    table, problems = captured(read_boxes, put(tmp_path / "v.csv", text.encode()))
    assert table["image"].tolist() == ["a.jpg", "c.jpg"]
    assert len(problems) == 1 and problems[0].startswith("v.csv: line 3") and line in problems[0]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("gbk"),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
    ],
)
@pytest.mark.parametrize("form", ["vott-csv", "csv"])
def test_what_spreadsheets_make_of_a_csv(tmp_path, encode, form):
    header = {"vott-csv": "image,xmin,ymin,xmax,ymax,label", "csv": "image,x,y,width,height,emotion"}[form]
    file = put(tmp_path / "笑.csv", encode(f"{header}\n笑 脸.jpg,1,2,30,40,happy\n"))
    assert detect_format(file) == form
    table, problems = captured(read_boxes, file)
    assert problems == [] and rows_of(table, "image", "x", "emotion") == [["笑 脸.jpg", 1, "happy"]]


def test_the_csvs_that_other_stages_leave_can_be_read(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    row = {
        "image": "a.png",
        "x": 1,
        "y": 2,
        "width": 30,
        "height": 20,
        "emotion": "sad",
        "tags": "Sadness|dim",
    }
    crop_regions(make_table([row]), tmp_path, tmp_path / "out", SEVEN)
    table, problems = captured(read_boxes, tmp_path / "out" / "faces.csv")
    assert problems == [] and rows_of(table, "image", *BOX, "emotion", "tags") == [list(row.values())]
    drawn = put(tmp_path / "labels.csv", b"file,emotion,x,y,width,height\np.png,fear,1,2,3,4\n")
    assert rows_of(read_boxes(drawn), "image", "emotion", "x") == [["p.png", "fear", 1]]


def test_python_and_pandas_read_what_we_write(tmp_path):
    row = {"image": 'a "b", c.jpg', "x": 1, "y": 2, "width": 3, "height": 4, "emotion": "sad"}
    write_boxes(make_table([row]), tmp_path / "t.csv", "csv", {row["image"]: (64, 48)})
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        (plain,) = csv.DictReader(file)
    assert plain["image"] == row["image"] and plain["image_width"] == "64"
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "t.csv", dtype={"image": "str", "emotion": "str", "tags": "str"}),
        read_boxes(tmp_path / "t.csv"),
        check_dtype=False,
    )


# ---- all formats ---------------------------------------------------------------------------------

tags = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=6).map(
    lambda text: " ".join(text.split()) or "happy"
)
boxes = st.builds(
    lambda image, x, y, w, h, tags: dict(
        image=image, x=x, y=y, width=w, height=h, emotion=emotion_of(tags), tags="|".join(tags),
        image_width=1000, image_height=900,
    ),
    st.sampled_from(["a.jpg", "a b.png", "sub/ä.jpg", "100%.jpg", "笑#1?.png", "a%20b.jpg"]),
    st.integers(0, 500), st.integers(0, 500), st.integers(1, 400), st.integers(1, 400),
    st.lists(tags, min_size=1, max_size=3),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(given_rows=st.lists(boxes, min_size=1, max_size=8))
def test_what_is_written_is_read_again(given_rows):
    table = make_table(given_rows).sort_values("image", kind="stable").reset_index(drop=True)
    with tempfile.TemporaryDirectory() as folder:
        for form, name in (
            ("vott", "project"),
            ("vott", "p-export.json"),
            ("coco", "c.json"),
            ("csv", "t.csv"),
        ):
            path = Path(folder) / name
            write_boxes(table, path, form)
            assert detect_format(path) == form
            again, problems = captured(read_boxes, path)
            again = again.sort_values("image", kind="stable").reset_index(drop=True)
            assert problems == [], name
            pd.testing.assert_frame_equal(again, table, obj=name)


NOT_LABELS = {
    "cut off": ("x.json", json.dumps(coco())[:-30].encode(), "x.json: incomplete or no JSON"),
    "another JSON": ("x.json", b'{"a": 1}', "x.json: unknown label format; known are vott, vott-csv, coco"),
    "a list of numbers": ("x.json", b"[1, 2]", "x.json: not a Label Studio export"),
    "tasks of another kind": ("x.json", b'[{"text": "hello"}]', "no task has 'data'"),
    "COCO without images": ("x.json", b'{"annotations": []}', "x.json: not a COCO file"),
    "another table": (
        "x.csv",
        b"emotion,pixels,Usage\n0,1 2,Training\n",
        "not a table of boxes (no column image, x,",
    ),
    "empty": ("x.csv", b"", "not a table of boxes"),
    "a picture": ("x.csv", b"\x89PNG\r\n\x1a\n\x00\xff\xff", "x.csv: "),
    "missing": ("gone.csv", None, "gone.csv: there is no such file or folder"),
    "an empty folder": (".", None, "no *-asset.json or *-export.json"),
}


@pytest.mark.parametrize("case", NOT_LABELS)
def test_what_is_no_label_file_is_refused_in_one_line(tmp_path, case):
    name, content, line = NOT_LABELS[case]
    if content is not None:
        put(tmp_path / name, content)
    with pytest.raises(AnnotationError) as caught:
        read_boxes(tmp_path / name)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_formats_are_known_by_name(tmp_path):
    with pytest.raises(BadInputError, match="vott, vott-csv, coco, label-studio, labelme, voc"):
        read_boxes(tmp_path, "darknet")
    with pytest.raises(BadInputError, match="vott, coco, csv"):
        write_boxes(make_table(), tmp_path / "x", "label-studio")
    assert list(tmp_path.iterdir()) == []


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["x", "y", "width", "value", "points", "id", "bbox", "result", "image"]), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(wild, wild, wild)
def test_whatever_stands_in_a_file_gives_boxes_or_named_problems(tmp_path_factory, a, b, c):
    folder = tmp_path_factory.getbasetemp()
    image = {"id": 1, "file_name": "a.jpg", "width": a, "height": b}
    record = {"image_id": 1, "category_id": 1, "bbox": c, "segmentation": b, "iscrowd": a}
    region = {"value": a, "original_width": b, "original_height": 50, "id": c, "type": "rectanglelabels"}
    files = [
        put(folder / "w1.json", {"images": [image, a], "annotations": [record, b], "categories": c}),
        put(folder / "w2.json", [task(region, c), {"data": a}, task(*([b] if b else []), image="b.jpg")]),
    ]
    for file in files:
        table = read_boxes(file)
        assert (table[["x", "y"]] >= 0).all(axis=None) and (table[["width", "height"]] >= 1).all(axis=None)
        assert not any(".." in name.split("/") or name.startswith("/") for name in table["image"])


def test_a_project_moved_to_another_folder_still_opens(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("a b.png", "ä.png"):
        write_image(tmp_path / name, rng.integers(0, 256, (48, 64, 3), np.uint8))
    project = tmp_path / "here"
    (project / "raw").mkdir(parents=True)
    for name in ("a b.png", "ä.png"):
        (tmp_path / name).rename(project / "raw" / name)
    rows = [
        {"image": n, "x": 8, "y": 8, "width": 20, "height": 20, "emotion": "sad"}
        for n in ("a b.png", "ä.png")
    ]
    sizes = {"a b.png": (64, 48), "ä.png": (64, 48)}
    for form, name in (("vott", "labels"), ("coco", "c.json"), ("csv", "t.csv")):
        write_boxes(make_table(rows), project / name, form, sizes)
    moved = tmp_path / "elsewhere" / "other name"
    moved.parent.mkdir()
    shutil.move(project, moved)
    for name in ("labels", "c.json", "t.csv"):
        assert str(tmp_path) not in "".join(
            f.read_text() for f in moved.rglob("*") if f.suffix in (".json", ".csv")
        )
        table, problems = captured(read_boxes, moved / name)
        cut, left_out = captured(crop_regions, table, moved / "raw", tmp_path / "faces", SEVEN)
        assert problems == left_out == [] and len(cut) == 2
