"""labelme, Pascal VOC, YOLO, Roboflow's CSV, the drawing widget's JSON, and what tools write in their own ways."""

import json
from pathlib import Path

import numpy as np
import pytest

from ferlib.annotate.crop import crop_regions
from ferlib.annotate.formats import READERS, detect_format, read_boxes, read_label_studio
from ferlib.common.errors import AnnotationError, BadInputError
from ferlib.common.images import write_image
from tests.annotate.captured import captured
from tests.annotate.test_formats import BOX, coco, put, rows_of, studio_region, task
from tests.tools.fuzz_annotations import CASES, fuzz

PICTURES = CASES.parent / "same_name"

FORMATS = {
    "labelme.json": "labelme",
    "voc_xml.xml": "voc",
    "yolo_txt.txt": "yolo",
    "roboflow_csv.csv": "roboflow-csv",
    "bboxwidget.json": "bbox-widget",
    "vott_csv_sep.csv": "vott-csv",
    "coco_float_ids.json": "coco",
    "coco_mixed_ids.json": "coco",
    "coco_ls_images_prefix.json": "coco",
    "ls_prefixed.json": "label-studio",
    "ls_relation.json": "label-studio",
    "ls_two.json": "label-studio",
}


@pytest.fixture
def yolo(tmp_path):
    """A YOLO data set: (label file, folder of pictures)."""
    folder = tmp_path / "images"
    folder.mkdir()
    write_image(folder / "a.png", np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text("train: x\nnames:\n- angry\n- disgust\n- fear\n- 'happy'\nnc: 4\n")
    (tmp_path / "labels" / "a.txt").write_text("3 0.2 0.3 0.2 0.4\n")
    return tmp_path / "labels" / "a.txt", folder


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_face_in_every_format(tmp_path, name):
    file = CASES / name
    assert detect_format(file) == FORMATS[name]
    if name == "yolo_txt.txt":
        write_image(tmp_path / "yolo_txt.png", np.zeros((100, 200, 3), np.uint8))
    folder = tmp_path if name == "yolo_txt.txt" else PICTURES
    table, problems = captured(read_boxes, file, images_folder=folder)
    assert problems == [] and rows_of(table, *BOX, "emotion") == [[20, 10, 40, 40, "happy"]]
    faces, lines = captured(crop_regions, table, folder, tmp_path / "out", ("sad", "happy"))
    assert lines == [] and len(faces) == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "cvat_xml.xml",
            "CVAT's own XML, which is not read; export the task as 'COCO 1.0' or 'PASCAL VOC 1.1'",
        ),
        (
            "vott_project_file.vott",
            "VoTT's project file, which has no boxes; give the folder of its *-asset.json",
        ),
        ("vott_v1_frames.json", "a project of VoTT 1"),
    ],
)
def test_a_file_that_is_not_read_is_named_with_what_to_export(name, line):
    with pytest.raises(AnnotationError) as caught:
        read_boxes(CASES / name)
    assert line in str(caught.value)


def test_cvat_rotates_around_the_centre(tmp_path):
    table, problems = captured(read_boxes, CASES / "coco_cvat_rotated.json")
    assert problems == [] and rows_of(table, *BOX) == [[80, 0, 20, 60]]
    turned = put(
        tmp_path / "c.json", coco(bbox=[100, 100, 100, 100], attributes={"rotation": 45, "who": "fear"})
    )
    table = read_boxes(turned)
    assert rows_of(table, *BOX, "tags")[0] == [79, 79, 142, 142, "Happiness|fear"]
    for rotation in (0, 360, "x", None, True, float("nan")):
        table = read_boxes(put(turned, coco(bbox=[100, 100, 100, 50], attributes={"rotation": rotation})))
        assert rows_of(table, *BOX)[0] == [100, 100, 100, 50]


# ---- labelme -------------------------------------------------------------------------------------


def labelme(*shapes, **more):
    return {
        "shapes": list(shapes),
        "imagePath": "..\\pics\\a.jpg",
        "imageHeight": 100,
        "imageWidth": 200,
    } | more


def shape(points=((20, 10), (60, 50)), label="happy", kind="rectangle", **more):
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind} | more


def test_labelme_shapes_and_flags(tmp_path):
    shapes = [
        shape(((60, 50), (20, 10))),
        shape(((5, 5), (50, 20), (30, 60)), "face", "polygon", flags={"sad": True, "blurred": False}),
        shape(((50, 50), (53, 54)), "fear", "circle"),
    ]
    table, problems = captured(read_boxes, put(tmp_path / "l.json", labelme(*shapes)))
    assert problems == []
    assert rows_of(table, "image", *BOX, "emotion", "tags") == [
        ["a.jpg", 20, 10, 40, 40, "happy", "happy"],
        ["a.jpg", 5, 5, 45, 55, "sad", "face|sad"],
        ["a.jpg", 45, 45, 10, 10, "fear", "fear"],
    ]


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (3, "not a shape"),
        (shape(()), "no 'points'"),
        (shape(((1, 1),)), "no area"),
        (shape(((1, "x"), (2, 3))), "not two numbers"),
        (shape(((1, 1), (1e300, 3))), "not two numbers"),
        (shape(label=None), "no tag"),
    ],
)
def test_a_bad_shape_is_named_and_the_others_are_read(tmp_path, bad, line):
    table, problems = captured(read_boxes, put(tmp_path / "l.json", labelme(bad, shape())))
    assert len(table) == 1 and len(problems) == 1
    assert problems[0].startswith("l.json: shape 1 of a.jpg: ") and line in problems[0]


def test_a_folder_of_labelme_files(tmp_path):
    put(tmp_path / "a.json", labelme(shape()))
    put(tmp_path / "b.json", labelme(shape(label="sad"), imagePath="b.jpg"))
    put(tmp_path / "c.json", labelme(shape(label="sad"), imagePath="b.jpg"))
    (tmp_path / "d.json").write_text('{"shapes": [')
    assert detect_format(tmp_path / "a.json") == "labelme"
    table, problems = captured(read_boxes, tmp_path, "labelme")
    assert table["image"].tolist() == ["a.jpg", "b.jpg"]
    assert "c.json: a second file for b.jpg" in problems[0] and "d.json: incomplete" in problems[1]
    (tmp_path / "d.json").unlink()
    assert detect_format(tmp_path) == "labelme"


# ---- Pascal VOC ----------------------------------------------------------------------------------


def voc(
    inside="",
    name="a.jpg",
    size="<size><width>200</width><height>100</height></size>",
    corners=(20, 10, 60, 50),
):
    edges = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    box = f"<object><name>happy</name><bndbox>{edges}</bndbox>{inside}</object>"
    return f"<annotation><filename>{name}</filename>{size}{box}</annotation>"


def write(file: Path, text) -> Path:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_pascal_voc_paths_attributes_and_bytes(tmp_path):
    rotation = (
        "<attributes><attribute><name>rotation</name><value>90</value></attribute><attribute><name>e</name>"
    )
    rotation += "<value>fear</value></attribute></attributes>"
    table = read_boxes(write(tmp_path / "r.xml", voc(rotation, corners=(60, 20, 120, 40))))
    assert rows_of(table, *BOX, "tags") == [[80, 0, 20, 60, "happy|fear"]]
    for text in (voc(), f'<?xml version="1.0" encoding="utf-8"?>\n{voc()}', voc(size="")):
        assert rows_of(read_boxes(write(tmp_path / "v.xml", text)), *BOX) == [[20, 10, 40, 40]]
    path = voc().replace("</filename>", "</filename><folder>x</folder><path>C:\\pics\\sub\\a.jpg</path>")
    folder = voc().replace("</filename>", "</filename><folder>sub</folder>")
    for text in (path, folder):
        table = read_boxes(write(tmp_path / "p.xml", text))
        assert table["image"].tolist() == ["a.jpg"]
        faces = crop_regions(table, PICTURES, tmp_path / "out", ("sad", "happy"))
        assert faces["image"].tolist() == ["sub/a.jpg"]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (LAUGHS + voc("&b;"), "XML with a DOCTYPE"),
        ((LAUGHS + voc()).encode("utf-16"), "XML with a DOCTYPE"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">' + voc(), "XML with a DOCTYPE"),
        (voc()[:-9], "incomplete or no XML"),
        (voc("&undefined;"), "incomplete or no XML"),
        ("<html></html>", "not a file of Pascal VOC (its root is 'html')"),
        ("<a>" * 50_000, "incomplete or no XML"),
    ],
)
def test_xml_that_is_refused(tmp_path, text, line):
    with pytest.raises(AnnotationError) as caught:
        read_boxes(write(tmp_path / "x.xml", text))
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (voc(corners=("x", 1, 2, 3)), "xmin is 'x', not a number of pixels"),
        (voc(corners=(5, 1, 2, 3)), "no area"),
        (voc(name="../../a.jpg").replace("bndbox", "box"), "no 'bndbox'"),
        (voc(name=""), "is empty"),
        (voc(corners=("nan", 1, 2, 3)), "xmin is 'nan'"),
    ],
)
def test_a_bad_voc_record_is_named_and_other_files_are_read(tmp_path, text, line):
    write(tmp_path / "1.xml", text)
    write(tmp_path / "2.xml", voc(name="good.jpg"))
    table, problems = captured(read_boxes, tmp_path)
    assert table["image"].tolist() == ["good.jpg"]
    assert len(problems) == 1 and problems[0].startswith("1.xml: ") and line in problems[0]


# ---- YOLO ----------------------------------------------------------------------------------------


NAMES = {
    "data.yaml": ["names: ['angry', \"disgust\", fear, happy]\n", "names:\n  0: angry\n  3: happy # 4\nnc: 4\n",
                  "nc: 4\nnames:\n- angry\n- disgust\n- fear\n- happy\n", "names: {0: a, 3: 'happy'}\n"],
    "classes.txt": ["angry\r\ndisgust\nfear\nhappy\n"],
    "obj.names": ["angry\ndisgust\nfear\nhappy"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in NAMES.items() for text in texts])
def test_yolo_names_in_every_form(yolo, name, text):
    file, folder = yolo
    (folder.parent / "data.yaml").unlink()
    (folder.parent / name).write_text(text)
    for images in (folder, None):
        table, problems = captured(read_boxes, file, images_folder=images)
        assert problems == [] and rows_of(table, "image", *BOX, "emotion") == [
            ["a.png", 20, 10, 40, 40, "happy"]
        ]


def test_yolo_polygons_scores_and_folders(yolo, tmp_path):
    file, folder = yolo
    file.write_text("3 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n\n3 0.2 0.3 0.2 0.4 0.98\n0 0.5 0.5 1 1\n")
    (folder / "train").mkdir()
    write_image(folder / "train" / "a.png", np.zeros((50, 50, 3), np.uint8))
    (file.parent / "train").mkdir()
    (file.parent / "train" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (file.parent / "train" / "lost.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert detect_format(file.parent) == "yolo"
    table, problems = captured(read_boxes, tmp_path / "labels", images_folder=folder)
    assert rows_of(table, "image", *BOX, "emotion") == [
        ["a.png", 20, 10, 40, 40, "happy"],
        ["a.png", 20, 10, 40, 40, "happy"],
        ["a.png", 0, 0, 200, 100, "angry"],
        ["train/a.png", 20, 20, 10, 10, "angry"],
    ]
    assert len(problems) == 1 and problems[0].startswith("lost.txt: no picture of this name")


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ("9 0.5 0.5 0.2 0.2", "class 9 is none of the 4 names"),
        ("0.5 0.5 0.5 0.2 0.2", "is not a class and four numbers"),
        ("0 0.5 0.5 0.2", "is not a class and four numbers"),
        ("0 0.5 nan 0.2 0.2", "is not a class and four numbers"),
        ("0 20 10 40 40", "these are pixels"),
        ("0 0.5 0.5 0 0.2", "no area"),
    ],
)
def test_a_bad_line_of_yolo_is_named(yolo, bad, line):
    file, folder = yolo
    file.write_text(f"3 0.2 0.3 0.2 0.4\n{bad}\n")
    table, problems = captured(read_boxes, file, images_folder=folder)
    assert len(table) == 1 and len(problems) == 1
    assert problems[0].startswith("a.txt: line 2: ") and line in problems[0]


def test_yolo_without_names_or_picture(yolo):
    file, folder = yolo
    (folder / "a.png").unlink()
    with pytest.raises(AnnotationError, match="no picture of this name"):
        read_boxes(file, images_folder=folder)
    (folder.parent / "data.yaml").unlink()
    with pytest.raises(AnnotationError, match=r"put their classes\.txt .* or data\.yaml next to them"):
        read_boxes(file, images_folder=folder)


# ---- other kinds ---------------------------------------------------------------------------------


def test_ids_in_any_spelling(tmp_path):
    for image_id, reference in ((7, "7"), ("7", 7.0), (7.0, 7), ("007", "007")):
        images = [{"id": image_id, "file_name": "a.jpg", "width": 99, "height": 99}]
        table, problems = captured(
            read_boxes, put(tmp_path / "c.json", coco(image_id=reference, images=images))
        )
        assert problems == [] and table["image"].tolist() == ["a.jpg", "good.jpg"]


def test_the_ground_truth_of_two_annotators(tmp_path):
    table, problems = captured(read_boxes, CASES / "ls_two.json")
    assert problems == [] and table["emotion"].tolist() == ["happy"]
    assert read_boxes(CASES / "ls_two.json", annotator="1")["emotion"].tolist() == ["sad"]
    assert read_label_studio(CASES / "ls_two.json", 2)["emotion"].tolist() == ["happy"]
    with pytest.raises(AnnotationError, match="no annotation by '9'; the annotators are 1, 2"):
        read_boxes(CASES / "ls_two.json", annotator=9)
    with pytest.raises(BadInputError, match="names no people"):
        read_boxes(CASES / "coco_abs.json", annotator=1)


def test_the_annotator_of_a_short_export(tmp_path):
    item = {"x": 10, "y": 10, "width": 20, "height": 40, "original_width": 200, "original_height": 100}
    tasks = [
        {"id": k, "image": "/x/a.jpg", "annotator": k, "label": [item | {"rectanglelabels": [tag]}]}
        for k, tag in ((1, "sad"), (2, "happy"))
    ]
    file = put(tmp_path / "min.json", tasks)
    table, problems = captured(read_boxes, file, annotator=2)
    assert table["emotion"].tolist() == ["happy"] and problems == []
    with pytest.raises(AnnotationError, match="the annotators are 1, 2"):
        read_boxes(file, annotator=3)


def test_a_face_rectangle_with_a_choice_has_the_emotion_of_the_choice(tmp_path):
    table = read_boxes(CASES / "ls_per_region_choice.json")
    assert rows_of(table, "emotion", "tags") == [["happy", "face|happy"]]
    region = studio_region(tags=["Gesicht"])
    choice = {"id": "r", "type": "choices", "value": {"choices": ["Freude"]}}
    table = read_boxes(put(tmp_path / "t.json", [task(region, choice, image="/x/a.jpg")]))
    for classes in (("Freude", "Trauer"), ("Freude", "rest")):
        faces, lines = captured(crop_regions, table, PICTURES, tmp_path / "out", classes)
        assert faces["face"].tolist() == ["Freude/a.jpg-0.png"] and lines == []


def test_an_archive_is_named(tmp_path):
    for data in (b"PK\x03\x04xx", b"\x1f\x8bxx"):
        with pytest.raises(AnnotationError, match="compressed archive; unpack it"):
            read_boxes(write(tmp_path / "export.zip", data))


def test_values_nested_too_deep_for_a_message(tmp_path):
    value = json.loads("[" * 900 + "]" * 900)
    table, problems = captured(read_boxes, put(tmp_path / "c.json", coco(bbox=value)))
    assert len(table) == 1 and len(problems) == 1


def test_mutated_files_give_boxes_or_an_error_of_ours():
    outcomes = fuzz(300, seed=11)
    assert sum(outcomes.values()) == 300 and outcomes["boxes"] > 10
    assert set(READERS) >= {"labelme", "voc", "yolo", "roboflow-csv", "bbox-widget"}
