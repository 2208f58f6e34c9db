"""Cutting faces out and writing them by class."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ferlib.annotate.crop import FACES_COLUMNS, crop_regions, face_name, rename_tags
from ferlib.annotate.formats.fields import emotion_of
from ferlib.annotate.formats.vott import read_vott
from ferlib.annotate.table import NO_FACE, make_table
from ferlib.common.errors import BadInputError, ImageError, LabelError
from ferlib.common.images import crop_face, load_image
from ferlib.common.labels import SEVEN, SIX
from tests.annotate.captured import captured

NAN = float("nan")

PICTURE = np.arange(60 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(60, 80, 3)


@given(st.integers(-90, 90), st.integers(-90, 90), st.integers(1, 99), st.integers(1, 99), st.floats(0, 2))
def test_a_crop_is_the_part_inside_or_an_error(x, y, w, h, margin):
    if x >= 80 or y >= 60 or x + w <= 0 or y + h <= 0:
        with pytest.raises(ImageError, match="no pixel inside"):
            crop_face(PICTURE, (x, y, w, h), margin)
        return
    crop = crop_face(PICTURE, (x, y, w, h), margin)
    dx, dy = round(w * margin), round(h * margin)
    left, top = max(x - dx, 0), max(y - dy, 0)
    assert (crop == PICTURE[top : y + h + dy, left : x + w + dx]).all()
    assert crop.size and crop.base is None


def row(image="a.png", box=(8, 8, 16, 16), emotion="happy", **more):
    return {
        "image": image,
        **dict(zip(("x", "y", "width", "height"), box, strict=True)),
        "emotion": emotion,
        **more,
    }


@pytest.fixture
def raw(tmp_path):
    """A folder of pictures in which every 8×8 square has a colour of its own."""
    folder = tmp_path / "raw"
    folder.mkdir()
    rng = np.random.default_rng(7)
    squares = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(squares).save(folder / "a.png")
    return folder


def crop(table, raw, class_names=SEVEN, **more):
    """(table of the faces, lines that were logged)."""
    return captured(crop_regions, make_table(table), raw, raw.parent / "faces", class_names, **more)


def test_faces_are_written_by_class_with_a_csv_that_links_them(raw):
    (raw / "manifest.csv").write_text(
        "file,source,keyword,url,page,licence,state\na.png,local,k,http://x/1.jpg,p,CC0,ok\n,local,k,u,p,CC0,rejected\n"
    )
    table, lines = crop([row(tags="happy"), row(box=(40, 16, 24, 80), emotion="sad", tags="Sadness")], raw)
    assert list(table.columns) == list(FACES_COLUMNS)
    assert table.values.tolist() == [
        ["happy/a.png-0.png", "a.png", 8, 8, 16, 16, "happy", "happy", 3, "local", "CC0"],
        ["sad/a.png-1.png", "a.png", 40, 16, 24, 32, "sad", "Sadness", 4, "local", "CC0"],
    ]
    assert table["label"].dtype == np.int64 and lines == []
    out = raw.parent / "faces"
    written = pd.read_csv(out / "faces.csv", keep_default_na=False)
    assert written.values.tolist() == table.values.tolist()
    picture = load_image(raw / "a.png")
    for line in table.itertuples():
        x, y, w, h = line.x, line.y, line.width, line.height
        assert (load_image(out / line.face) == picture[y : y + h, x : x + w]).all()
    assert not list(out.rglob("*.part*"))


def test_a_damaged_manifest_costs_only_the_sources(raw):
    (raw / "manifest.csv").write_bytes(b"file,source,licence\n\xff\xfe,1\n")
    table, lines = crop([row()], raw)
    assert table["source"].tolist() == [""] and len(lines) == 1 and "manifest.csv cannot be read" in lines[0]


def test_a_margin_is_a_share_of_the_box(raw):
    table, _ = crop([row(box=(16, 16, 16, 8))], raw, margin=0.5)
    assert table[["x", "y", "width", "height"]].values.tolist() == [[8, 12, 32, 16]]


@pytest.mark.parametrize("margin", [-0.1, NAN, float("inf")])
def test_a_margin_without_sense_is_refused(raw, margin):
    with pytest.raises(BadInputError):
        crop([row()], raw, margin=margin)


@pytest.mark.parametrize(
    ("class_names", "kept"),
    [
        (SEVEN, {"happy": 3, "disgust": 1, "sad": 4}),
        (SIX, {"happy": 2, "disgust": 0, "sad": 3}),
        (("happy", "rest"), {"happy": 0, "disgust": 1, "sad": 1}),
        (("sad", "happy"), {"happy": 1, "sad": 0}),
    ],
)
def test_the_class_set_decides_which_faces_and_which_folder(raw, class_names, kept):
    table, lines = crop([row(emotion=name) for name in ("happy", "disgust", "sad")], raw, class_names)
    assert dict(zip(table["emotion"], table["label"], strict=True)) == kept
    assert [face.split("/")[0] for face in table["face"]] == [class_names[k] for k in table["label"]]
    assert len(lines) == 3 - len(kept)


def test_a_refused_box_is_left_out_and_the_numbers_of_the_others_stay(raw):
    table, lines = crop([row(emotion=NO_FACE), row()], raw)
    assert table["face"].tolist() == ["happy/a.png-1.png"] and lines == []


BAD_ROWS = {
    "missing picture": (row("gone.png"), "gone.png: no such picture"),
    "a folder": (row("folder"), "folder: no such picture"),
    "not a picture": (row("words.png"), "words.png: not a whole picture"),
    "cut off": (row("cut.png"), "cut.png: not a whole picture"),
    "way up": (row("../secret.png"), "leads outside"),
    "way up, encoded": (row("..%2Fsecret.png"), "leads outside"),
    "absolute": (row("/etc/passwd"), "no such picture"),
    "link to outside": (row("link.png"), "is outside the folder"),
    "endless name": (row("a" * 5000), "cannot be opened (File name too long)"),
    "half a character": (row("a\ud83d.png"), "no file name"),
    "unknown emotion": (row(emotion="bored"), "tag 'bored' is in no class of angry"),
    "no emotion": (row(emotion=""), "no tag: 1 box left out"),
    "outside": (row(box=(100, 8, 16, 16)), "region 0 of a.png: box (100, 8, 16, 16) has no pixel"),
    "zero size": (row(box=(8, 8, 0, 16)), "no pixel inside"),
    "negative size": (row(box=(8, 8, 9, -16)), "no pixel inside"),
    "exchanged picture": (row(image_width=640, image_height=48), "labelled at 640×48 pixels"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_and_the_others_are_cut(raw, case):
    (raw / "folder").mkdir()
    (raw / "words.png").write_text("<html>")
    (raw / "cut.png").write_bytes((raw / "a.png").read_bytes()[:200])
    Image.fromarray(PICTURE).save(raw.parent / "secret.png")
    (raw / "link.png").symlink_to(raw.parent / "secret.png")
    Image.fromarray(PICTURE).save(raw / "good.png")
    bad, reason = BAD_ROWS[case]
    table, lines = crop([bad, row("good.png")], raw)
    assert table["image"].tolist() == ["good.png"]
    assert len(lines) == 1 and reason in lines[0]
    assert str(raw) not in lines[0]
    assert len(list((raw.parent / "faces").rglob("*.png"))) == 1


def test_several_tags_give_one_face_or_one_for_each(raw):
    bad = "bored|sad|angry|disgust|not a face"
    table, lines = crop(
        [row(emotion="sad", tags="sad|happy"), row(emotion="bored", tags=bad)], raw, SIX, tags="all"
    )
    assert table[["face", "emotion", "label", "tags"]].values.tolist() == [
        ["sad/a.png-0.png", "sad", 3, "sad|happy"],
        ["happy/a.png-0.png", "happy", 2, "sad|happy"],
        ["sad/a.png-1.png", "sad", 3, bad],
        ["angry/a.png-1.png", "angry", 0, bad],  # disgust is angry here: one face, not two
    ]
    assert len(list((raw.parent / "faces").rglob("*.png"))) == 4
    assert len(lines) == 1
    assert lines[0].startswith("tag 'bored' is in no class of") and "1 box left out" in lines[0]


@pytest.mark.parametrize("wrong", [{"tags": "last"}, {"workers": 0}])
def test_ways_to_crop_that_are_none(raw, wrong):
    with pytest.raises(BadInputError):
        crop([row()], raw, **wrong)


def test_a_file_of_somebody_elses_is_not_overwritten(raw):
    theirs = raw.parent / "faces" / "happy" / "a.png-0.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"the only copy")
    for _ in range(2):  # the second run replaces its own
        table, _ = crop([row()], raw)
        assert table["face"].tolist() == ["happy/a.png-0+1.png"] and theirs.read_bytes() == b"the only copy"
    assert len(list(theirs.parent.iterdir())) == 2
    crop([row(box=(0, 0, 8, 8))], raw)
    assert load_image(theirs.with_name("a.png-0+1.png")).shape == (8, 8, 3)
    crop([], raw)
    assert list(theirs.parent.iterdir()) == [theirs]


def test_a_run_that_was_stopped_leaves_nothing_double(raw):
    crop([row()], raw)
    (raw.parent / "faces" / "faces.csv").unlink()  # as if stopped before the end
    assert crop([row()], raw)[0]["face"].tolist() == ["happy/a.png-0.png"]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_and_words_do_not_depend_on_the_number_of_workers(raw, workers):
    data = (raw / "a.png").read_bytes()
    for k in range(12):
        (raw / f"{k}.png").write_bytes(data[: 200 if k % 5 == 4 else None])
    table, lines = crop(
        [row(f"{k}.png", (8 * j, 0, 8, 8)) for k in range(12) for j in range(3)], raw, workers=workers
    )
    assert table["face"].tolist() == [
        f"happy/{k}.png-{j}.png" for k in range(12) if k % 5 != 4 for j in range(3)
    ]
    assert [line.split(":")[0] for line in lines] == ["4.png", "9.png"]


def test_several_tags_give_one_face_and_a_word(raw):
    table, lines = crop([row(emotion="sad", tags="sad|happy")], raw)
    assert table["label"].tolist() == [4]
    assert "several tags (sad, happy)" in lines[0]


@pytest.mark.parametrize(
    ("tags", "classes", "label"),
    [
        ("face|happy", SEVEN, "happy"),
        ("face|happy", ("happy", "rest"), "happy"),
        ("face|sad", ("happy", "rest"), "rest"),
        ("sad|happy", ("happy", "rest"), "rest"),
        ("face|Freude", ("Freude", "Trauer"), "Freude"),
        ("face|freude", ("Freude", "rest"), "Freude"),
        ("bored", ("happy", "rest"), "rest"),
        ("fear|happy", ("sad", "happy"), None),  # the label is fear, whatever the class set
        ("not a face|happy", SEVEN, None),
        ("face", SEVEN, None),
    ],
)
@pytest.mark.parametrize("way", ["first", "all"])
def test_the_first_tag_that_is_an_emotion_or_a_class_counts(raw, tags, classes, label, way):
    if way == "all" and tags in ("fear|happy", "sad|happy", "not a face|happy"):
        return  # each tag gives a face
    table, _ = crop([row(emotion=emotion_of(tags.split("|")), tags=tags)], raw, classes, tags=way)
    assert [face.split("/")[0] for face in table["face"]] == ([label] if label else [])


def test_tags_in_no_class_are_counted_in_one_line_each(raw):
    rows = [row(emotion=name) for name in ["bored"] * 3 + ["contempt", "happy", "", NO_FACE]]
    table, lines = crop(rows, raw)
    assert len(table) == 1 and len(lines) == 3
    assert "tag 'bored' is in no class" in lines[0] and "3 boxes left out; add it to --classes" in lines[0]
    assert "tag 'contempt'" in lines[1] and lines[2] == "no tag: 1 box left out; give them one"


def test_tags_of_other_names_are_renamed(raw):
    rows = [
        {"emotion": "FREUDE", "tags": "FREUDE"},
        {"emotion": "face", "tags": "face|Trauer"},
        {"emotion": "sad", "tags": "sad|Freude"},
    ]
    table = rename_tags(make_table([row() | each for each in rows]), {"Freude": "happy", "Trauer": "sad"})
    assert table[["emotion", "tags"]].values.tolist() == [
        ["happy", "happy"],
        ["sad", "face|sad"],
        ["sad", "sad|happy"],
    ]
    assert crop(table.to_dict("records"), raw)[0]["emotion"].tolist() == ["happy", "sad", "sad"]


def test_numbers_that_are_none_in_a_table_of_ones_own(raw):
    table = pd.DataFrame([row(), row(box=(NAN, 1, 5, 5))])
    cut, lines = captured(crop_regions, table, raw, raw.parent / "faces", SEVEN)
    assert len(cut) == 1 and "is not four numbers" in lines[0]


def test_what_no_call_can_work_with_is_refused(raw):
    with pytest.raises(BadInputError, match="no column height"):
        crop_regions(pd.DataFrame([row()]).drop(columns="height"), raw, raw / "x", SEVEN)
    with pytest.raises(BadInputError, match="no such folder"):
        crop([row()], raw / "nowhere")
    assert not (raw / "x").exists()


def test_a_class_name_no_one_knows_is_refused(raw):
    with pytest.raises((LabelError, BadInputError)):
        crop([row()], raw, ("happy", "../../x"))


def test_no_row_gives_an_empty_csv_with_a_header(raw):
    assert len(crop([], raw)[0]) == 0
    assert (raw.parent / "faces" / "faces.csv").read_text().strip() == ",".join(FACES_COLUMNS)


# ---- colour modes and EXIF -----------------------------------------------------------------------


def save_as(image, file, mode):
    picture = Image.fromarray(image)
    if mode == "16-bit":
        Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(file)
    elif mode == "RGBA":
        picture.putalpha(255)
        picture.save(file)
    else:
        picture.convert(mode).save(file, **({"quality": 95} if file.suffix == ".jpg" else {}))


@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGBA", "m.png"), ("P", "m.png"), ("L", "m.png"), ("LA", "m.png"), ("1", "m.png"), ("16-bit", "m.png"),
     ("CMYK", "m.jpg"), ("RGB", "m.jpg")],
)  # fmt: skip
def test_any_colour_mode_becomes_an_rgb_png(raw, mode, name):
    smooth = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
    save_as(np.stack([smooth] * 3, axis=2), raw / name, mode)
    table, _ = crop([row(name, (0, 8, 64, 32))], raw)
    with Image.open(raw.parent / "faces" / table["face"][0]) as face:
        assert (face.format, face.mode, face.size) == ("PNG", "RGB", (64, 32))
        if mode != "1":
            least = 51 if mode == "P" else 8  # the web palette has steps of 51, and dithers
            assert np.abs(np.asarray(face)[..., 1].astype(int) - smooth[8:40]).max() <= least


def turned_picture(raw, orientation):
    """a.png stored so that a viewer who obeys EXIF shows it as it is."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    picture = Image.open(raw / "a.png")
    stored = picture.transpose(undo) if undo is not None else picture
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(raw / f"t{orientation}.png", exif=exif)
    return f"t{orientation}.png", stored.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_on_the_turned_picture_cuts_the_same_face(raw, orientation):
    name, _ = turned_picture(raw, orientation)
    table, _ = crop([row(), row(name, image_width=64, image_height=48), row(name)], raw)
    plain, known, unknown = (load_image(raw.parent / "faces" / face) for face in table["face"])
    assert (plain == known).all() and (plain == unknown).all()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_box_drawn_on_the_unturned_picture_is_turned_along(raw, orientation):
    name, (width, height) = turned_picture(raw, orientation)
    stored = np.asarray(Image.open(raw / name))
    target = load_image(raw / "a.png")[8:24, 16:24]
    places = {
        (x, y)
        for y in range(0, height - 7, 8)
        for x in range(0, width - 15, 8)
        if set(map(tuple, stored[y : y + 8, x : x + 16].reshape(-1, 3)))
        == set(map(tuple, target.reshape(-1, 3)))
    }
    ((x, y),) = places
    table, _ = crop([row(name, (x, y, 16, 8), image_width=width, image_height=height)], raw)
    assert (load_image(raw.parent / "faces" / table["face"][0]) == target).all()
    assert table[["x", "y", "width", "height"]].values.tolist() == [[16, 8, 8, 16]]


# ---- names and re-runs ---------------------------------------------------------------------------


def test_no_face_takes_the_place_of_another_pictures(raw):
    names = [
        "a.png",
        "a.jpg",
        "a",
        "a.png-0",
        "sub/a.png",
        "sub%2Fa.png",
        "sub__a.png",
        "a b ä 笑.png",
        "A.png",
    ]
    (raw / "sub").mkdir()
    data = (raw / "a.png").read_bytes()
    for name in names:
        (raw / name).write_bytes(data)
    table, lines = crop([row(name) for name in names for _ in range(2)], raw)
    assert lines == []
    assert table["face"].nunique() == len(table) == 2 * len(names)
    assert len(list((raw.parent / "faces" / "happy").iterdir())) == 2 * len(names)


@settings(max_examples=50)
@given(
    st.text(min_size=1, max_size=120),
    st.text(min_size=1, max_size=120),
    st.integers(0, 99),
    st.integers(0, 99),
)
def test_names_of_faces_are_safe_and_differ(a, b, i, j):
    first, second = face_name(a, i), face_name(b, j)
    assert (first == second) == ((a, i) == (b, j))
    assert not set(first) & set('/\\:*?"<>|') and len(first.encode(errors="replace")) <= 255


def test_a_second_run_leaves_only_what_it_names(raw):
    crop([row(), row(box=(0, 0, 8, 8), emotion="sad")], raw)
    mine = raw.parent / "faces" / "happy" / "mine.png"
    mine.write_bytes(b"a file of the user's own")
    table, _ = crop([row(emotion="fear")], raw)
    out = raw.parent / "faces"
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == [
        "fear/a.png-0.png",
        "happy/mine.png",
    ]
    assert len(pd.read_csv(out / "faces.csv")) == len(table) == 1
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == ["fear", "happy"]  # no empty sad/


@pytest.mark.parametrize(
    "content", ["face\n../raw/a.png\n", "nothing here", "", "face,image\n/etc/hostname,x\n"]
)
def test_an_odd_faces_csv_of_before_does_no_harm(raw, content):
    out = raw.parent / "faces"
    out.mkdir()
    (out / "faces.csv").write_text(content)
    assert len(crop([row()], raw)[0]) == 1
    assert (raw / "a.png").is_file()


def test_the_same_input_gives_the_same_bytes(raw):
    crop([row(), row(box=(0, 0, 8, 8), emotion="sad")], raw)
    out = raw.parent / "faces"
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    crop([row(), row(box=(0, 0, 8, 8), emotion="sad")], raw)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_from_vott_to_faces(raw, tmp_path):
    region = {"id": "1", "type": "RECTANGLE", "tags": ["happy"]}
    box = {"boundingBox": {"left": -4, "top": 8, "width": 20, "height": 16}}
    points = {"points": [{"x": 32, "y": 8}, {"x": 60, "y": 20}, {"x": 40, "y": 30}], "type": "POLYGON"}
    record = {
        "asset": {"id": "1", "name": "a.png", "path": "file:/x/a.png", "size": {"width": 64, "height": 48}},
        "regions": [region | box, region | points, region | {"tags": []}],
        "version": "2.2.0",
    }
    (tmp_path / "1-asset.json").write_text(json.dumps(record))
    table, lines = captured(read_vott, tmp_path)
    cut = crop_regions(table, raw, tmp_path / "faces", SEVEN)
    assert cut[["x", "y", "width", "height"]].values.tolist() == [[0, 8, 16, 16], [32, 8, 28, 22]]
    assert len(lines) == 1
