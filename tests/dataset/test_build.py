"""FER2013's CSV, the split by groups of copies, and the folder of stage 03."""

import csv
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ferlib.common import images, labels
from ferlib.common.errors import DatasetError, LabelError
from ferlib.dataset import build, fer2013
from ferlib.dataset.fer2013 import USAGES
from ferlib.dataset.splits import Dataset, group_copies, join, split, split_off, test_usage

RNG = np.random.default_rng(1)
FACE = " ".join(str(v) for v in RNG.integers(0, 256, 2304))
HEADER = "emotion,pixels,Usage\n"


def make(n=40, n_classes=7, seed=0):
    """A data set of noise, classes in turn."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    return Dataset(
        pixels, np.arange(n) % n_classes, np.array(USAGES)[np.arange(n) % 3], labels.SEVEN[:n_classes]
    )


def face(first="7", n=2304):
    """A pixel field of n numbers, the first as given."""
    return " ".join([first] + ["9"] * (n - 1))


def write(tmp_path, text, name="fer2013.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def same(a, b):
    return (
        np.array_equal(a.pixels, b.pixels)
        and np.array_equal(a.labels, b.labels)
        and a.usage.tolist() == b.usage.tolist()
        and a.class_names == b.class_names
    )


# --- good files, in every dress ---------------------------------------------------------------

GOOD = {
    "plain": HEADER + f"3,{face('255')},Training\n0,{face('0')},PublicTest\n",
    "windows line ends": (HEADER + f"3,{face('255')},Training\n0,{face('0')},PublicTest\n").replace(
        "\n", "\r\n"
    ),
    "no line end at the end": HEADER + f"3,{face('255')},Training\n0,{face('0')},PublicTest",
    "byte order mark": "\ufeff" + HEADER + f"3,{face('255')},Training\n0,{face('0')},PublicTest\n",
    "icml_face_data": f"emotion, Usage, pixels\n3,Training,{face('255')}\n0,PublicTest,{face('0')}\n",
    "icml, windows": f"emotion, Usage, pixels\r\n3,Training,{face('255')}\r\n0,PublicTest,{face('0')}\r\n",
    "quoted pixels": HEADER + f'3,"{face("255")}",Training\n0,"{face("0")}",PublicTest\n',
    "all quoted": f'"emotion","pixels","Usage"\n"3","{face("255")}","Training"\n"0","{face("0")}","PublicTest"\n',
    "further columns": "n,emotion,pixels,Usage,note\n"
    + f'1,3,{face("255")},Training,"a, ""b"""\n2,0,{face("0")},PublicTest,\n',
    "empty lines": "emotion,pixels,Usage\n\n"
    + f"3,{face('255')},Training\n\r\n\n0,{face('0')},PublicTest\n\n",
    "other white space": HEADER
    + f" 3 , {face('255').replace(' ', '  ')} ,Training \n0,{face('0').replace(' ', chr(9))},PublicTest\n",
    "leading zeros": HEADER + f"3,{face('0255')},Training\n00,{face('000')},PublicTest\n",
}


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("packed", [False, True])
def test_good_files(tmp_path, case, packed):
    text = GOOD[case].encode()
    # packed under a name without .gz: the content decides
    got = build.read_fer2013(write(tmp_path, gzip.compress(text) if packed else text))
    assert got.labels.tolist() == [3, 0] and got.labels.dtype == np.int64
    assert got.usage.tolist() == ["Training", "PublicTest"]
    assert got.pixels.shape == (2, 48, 48) and got.pixels.dtype == np.uint8
    assert got.pixels[0].ravel().tolist() == [255] + [9] * 2303
    assert got.pixels[1].ravel().tolist() == [0] + [9] * 2303
    assert got.class_names == labels.SEVEN


# --- bad rows: each refused, by its number ----------------------------------------------------

ROW = f"2,{FACE},Training\n"
BAD_ROWS = {
    "2303 pixels": (f"3,{face(n=2303)},Training", "2303 pixels instead of 2304"),
    "2305 pixels": (f"3,{face(n=2305)},Training", "2305 pixels instead of 2304"),
    "no pixels": ("3,,Training", "0 pixels instead of 2304"),
    "256": (f"3,{face('256')},Training", "pixel 1 is '256'"),
    "256 at the end": (f"3,{' '.join(['1'] * 2303)} 256,Training", "pixel 2304 is '256'"),
    "300": (f"3,{face('300')},Training", "'300'"),
    "999": (f"3,{face('999')},Training", "'999'"),
    "512 would wrap to 0": (f"3,{face('512')},Training", "'512'"),
    "four digits": (f"3,{face('1000')},Training", "'1000'"),
    "a digit moved": (f"3,{face('1111')[:-1]}1,Training", "'1111'"),
    "a number of 5000 digits": (f"3,{face('1' * 5000)},Training", "pixel 1 is '1111"),
    "minus one": (f"3,{face('-1')},Training", "'-1'"),
    "plus": (f"3,{face('+1')},Training", "'+1'"),
    "a word": (f"3,{face('dark')},Training", "'dark'"),
    "a fraction": (f"3,{face('0.5')},Training", "'0.5'"),
    "an exponent": (f"3,{face('1e2')},Training", "'1e2'"),
    "an underscore": (f"3,{face('1_0')},Training", "'1_0'"),
    "nan": (f"3,{face('nan')},Training", "'nan'"),
    "digits of another script": (f"3,{face('٣')},Training", "'٣'"),
    "NumPy 2's own text": (f"3,{face('np.uint8(3)')},Training", "'np.uint8(3)'"),
    "a list's brackets": (f"3,[{face('7')}],Training", "'[7'"),
    "a character below the digits": (f"3,{face('/')},Training", "'/'"),
    "a character above the digits": (f"3,{face(':')},Training", "':'"),
    "a zero byte": (f"3,{face(chr(0))},Training", "pixel 1"),
    "label 7": (f"7,{FACE},Training", "label '7' is out of range; labels are 0 to 6"),
    "label 9": (f"9,{FACE},Training", "label '9' is out of range"),
    "label -1": (f"-1,{FACE},Training", "label '-1' is out of range"),
    "label 1.0": (f"1.0,{FACE},Training", "label '1.0' is not a whole number"),
    "label word": (f"happy,{FACE},Training", "label 'happy' is not a whole number"),
    "label of 5000 digits": (f"{'9' * 5000},{FACE},Training", "label '9999"),
    "no label": (f",{FACE},Training", "no label"),
    "blank label": (f"  ,{FACE},Training", "no label"),
    "unknown usage": (f"3,{FACE},training", "unknown Usage 'training'"),
    "no usage": (f"3,{FACE},", "unknown Usage ''"),
    "usage cut off": (f"3,{FACE},PrivateTe", "unknown Usage 'PrivateTe'"),
    "field missing": (f"3,{FACE}", "2 fields instead of 3"),
    "one field": ("3", "1 field instead of 3"),
    "field too many": (f"3,{FACE},Training,1", "4 fields instead of 3"),
    "open quote": (f'3,"{FACE},Training', "not a line of CSV"),
    "quote within": (f'3,{FACE[:9]}"{FACE[9:]},Training', "pixel"),
    "noise": (os.urandom(200).replace(b"\n", b"").replace(b"\r", b""), ""),
}


@pytest.mark.parametrize("case", BAD_ROWS)
@pytest.mark.parametrize("before", [0, 2, 70])
def test_bad_rows(tmp_path, case, before):
    """First, in the middle and past the first batch: the same refusal, and the right number."""
    bad, words = BAD_ROWS[case]
    bad = bad if isinstance(bad, bytes) else bad.encode()
    path = write(tmp_path, (HEADER + ROW * before).encode() + bad + b"\n" + ROW.encode())
    with pytest.raises(DatasetError) as caught:
        build.read_fer2013(path)
    message = str(caught.value)
    assert f"fer2013.csv: row {before + 1} (line {before + 2}): " in message and words in message
    assert "\n" not in message and len(message) < 250
    problems = []
    kept = build.read_fer2013(path, problems=problems)
    assert problems == [message]
    assert len(kept) == before + 1 and (kept.labels == 2).all()
    assert kept.pixels[-1].ravel().tolist() == [int(v) for v in FACE.split()]


BAD_FILES = {
    "empty": (b"", "the file is empty"),
    "empty gzip": (gzip.compress(b""), "the file is empty"),
    "only line ends": (b"\n\r\n\n", "the file is empty"),
    "no header": (ROW.encode(), "has no column 'emotion'"),
    "no usage column": (f"emotion,pixels\n3,{FACE}\n".encode(), "has no column 'Usage'"),
    "column twice": (f"emotion,emotion,pixels,Usage\n3,3,{FACE},Training\n".encode(), "has twice"),
    "semicolons": (HEADER.replace(",", ";").encode(), "has no column"),
    "no rows": (HEADER.encode(), "no row after the header"),
    "noise": (b"\x00\xff\x13\x80" * 500, "not UTF-8 text"),
    "noise, one long line": (b"\x07" * 3_000_000, "longer than"),
    "a long line later": ((HEADER + "3," + "1 " * 2_000_000).encode(), "line 2 is longer than"),
    "UTF-16": ((HEADER + ROW).encode("utf-16"), "not UTF-8 text"),
    "a picture": (images.encode_jpeg(np.zeros((9, 9), np.uint8)), "the first line"),
    "old Mac line ends": ((HEADER + ROW).replace("\n", "\r").encode(), "has no column"),
    "half-written": ((HEADER + ROW * 3)[:-3000].encode(), "row 3 (line 4): 2 fields instead of 3"),
    "half-written usage": ((HEADER + ROW * 3)[:-3].encode(), "row 3 (line 4): unknown Usage"),
    "gzip of noise": (b"\x1f\x8b" + b"\x00" * 100, "damaged in line 1"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path, case):
    content, words = BAD_FILES[case]
    with pytest.raises(DatasetError) as caught:
        build.read_fer2013(write(tmp_path, content))
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_missing_files(tmp_path):
    for read in (
        build.read_fer2013,
        build.read_split,
        build.load_dataset,
        lambda p: build.from_faces(p, labels.SEVEN),
    ):
        with pytest.raises(DatasetError):
            read(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="cannot be read"):
        build.read_fer2013(tmp_path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_cut_off_gzip_is_refused_with_its_line(tmp_path, keep):
    rng = np.random.default_rng(2)
    text = HEADER + "".join(
        f"0,{' '.join(map(str, rng.integers(0, 256, 2304)))},Training\n" for _ in range(200)
    )
    packed = gzip.compress(text.encode())
    with pytest.raises(DatasetError, match="cut off") as caught:
        build.read_fer2013(write(tmp_path, packed[: int(len(packed) * keep)], "f.csv.gz"))
    line = int(str(caught.value).split("in line ")[1].split()[0])
    assert abs(line - 201 * keep) < 12
    # a flipped byte within: the checksum at the end tells
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    with pytest.raises(DatasetError):
        build.read_fer2013(write(tmp_path, bytes(damaged), "f.csv.gz"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_quick_and_careful_parser_agree(data):
    """Any field of characters near the format: the quick parser gives the careful one's numbers, or None."""
    numbers = [str(v) for v in np.random.default_rng(data.draw(st.integers(0, 999))).integers(0, 256, 2304)]
    for _ in range(data.draw(st.integers(0, 3))):
        odd = data.draw(st.text(alphabet="0123456789 -./:,\t", max_size=5))
        numbers[data.draw(st.integers(0, 2303))] = odd
    text = " ".join(numbers).encode()
    quick = fer2013._parse_rows([FACE.encode(), text, FACE.encode()])
    try:
        careful = fer2013._parse_row(text)
    except ValueError:
        assert quick is None
    else:
        plain = text.decode().strip(" ") == text.decode() and "  " not in text.decode() and b"\t" not in text
        if plain and all(len(one) <= 3 for one in text.split()):
            assert quick is not None
        if quick is not None:
            assert quick[1].tolist() == careful == [int(v) for v in text.split()]


def test_every_number_is_read_as_python_reads_it():
    for value in range(256):
        field = " ".join([str(value)] * 2304).encode()
        assert (fer2013._parse_rows([field]) == value).all()
    for value in range(256, 1100):
        assert fer2013._parse_rows([face(str(value)).encode()]) is None


# --- writing: the bytes of the original -------------------------------------------------------


def test_written_bytes_are_the_formats(tmp_path):
    faces = make(3)
    path = tmp_path / "out.csv"
    build.write_fer2013(faces, path)
    expected = "emotion,pixels,Usage\n"
    for pixels, label, usage in zip(faces.pixels, faces.labels, faces.usage, strict=True):
        expected += f"{label},{' '.join(str(int(v)) for v in pixels.ravel())},{usage}\n"
    assert path.read_bytes() == expected.encode()
    assert "np.uint8" not in fer2013.format_row(faces.pixels[0])
    assert same(build.read_fer2013(path), faces)
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_gzip_is_the_same_bytes_at_any_time_and_name(tmp_path):
    faces = make(3)
    build.write_fer2013(faces, tmp_path / "a.csv.gz")
    build.write_fer2013(faces, tmp_path / "b.csv.gz")
    packed = (tmp_path / "a.csv.gz").read_bytes()
    assert packed == (tmp_path / "b.csv.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0"  # RFC 1952: the time
    build.write_fer2013(faces, tmp_path / "a.csv")
    assert gzip.decompress(packed) == (tmp_path / "a.csv").read_bytes()


def test_round_trips_with_the_original_tools(tmp_path):
    faces = make(21)
    path = tmp_path / "ours.csv"
    build.write_fer2013(faces, path)
    # pandas and numpy, the way most scripts for FER2013 do it
    table = pandas.read_csv(path)
    assert list(table.columns) == ["emotion", "pixels", "Usage"]
    pixels = np.stack([np.array(text.split(), dtype=np.uint8) for text in table["pixels"]])
    assert np.array_equal(pixels.reshape(-1, 48, 48), faces.pixels)
    assert table["emotion"].tolist() == faces.labels.tolist()
    assert table["Usage"].tolist() == faces.usage.tolist()
    # csv, and float a number
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(v) for v in rows[4]["pixels"].split()] == faces.pixels[4].ravel().tolist()
    # and back: pandas' and csv's files give our data set
    for name, options in {
        "pandas.csv": {},
        "quoted.csv": {"quoting": csv.QUOTE_ALL},
        "windows.csv": {"lineterminator": "\r\n", "encoding": "utf-8-sig"},
        "packed.csv.gz": {},
    }.items():
        table.to_csv(tmp_path / name, index=False, **options)
        assert same(build.read_fer2013(tmp_path / name), faces), name
    table.to_csv(tmp_path / "pandas.csv", index=False)
    assert (tmp_path / "pandas.csv").read_bytes() == path.read_bytes()
    with (tmp_path / "csv.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["emotion", "Usage", "pixels"])
        writer.writeheader()
        writer.writerows(rows)
    assert same(build.read_fer2013(tmp_path / "csv.csv"), faces)


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(DatasetError, match="cannot be written"):
        build.write_fer2013(make(2), tmp_path / "no" / "out.csv")


# --- class names beside the file --------------------------------------------------------------


def test_classes_beside_the_file(tmp_path):
    faces = make(6, 2)
    build.write_fer2013(faces, tmp_path / "emotion_file.csv")
    assert build.read_fer2013(tmp_path / "emotion_file.csv").class_names == labels.SEVEN
    (tmp_path / "classes.json").write_text('{"class_names": ["happy", "rest"]}')
    assert build.read_fer2013(tmp_path / "emotion_file.csv").class_names == ("happy", "rest")
    with pytest.raises(DatasetError, match="says happy, rest, not angry"):
        build.read_fer2013(tmp_path / "emotion_file.csv", labels.SEVEN)
    (tmp_path / "classes.json").write_text('["neutral", "happy"]')
    assert build.read_fer2013(tmp_path / "emotion_file.csv").class_names == ("neutral", "happy")
    build.write_fer2013(make(7), tmp_path / "seven.csv")
    with pytest.raises(DatasetError, match="label '2' is out of range"):
        build.read_fer2013(tmp_path / "seven.csv")
    for broken in ("{", "[]", '{"class_names": 3}', '{"names": []}', '["joy", "rage"]', '["happy", "happy"]'):
        (tmp_path / "classes.json").write_text(broken)
        with pytest.raises(DatasetError, match=r"classes\.json"):
            build.read_fer2013(tmp_path / "emotion_file.csv")


def test_with_classes():
    faces = make(70)
    six = faces.with_classes(labels.SIX)
    assert len(six) == 70 and six.counts().tolist() == [20, 10, 10, 10, 10, 10]
    two = faces.with_classes(("neutral", "happy"))
    assert two.counts().tolist() == [10, 10]
    assert np.array_equal(two.pixels[two.labels == 1], faces.pixels[faces.labels == 3])
    rest = faces.with_classes(("happy", "rest"))
    assert rest.counts().tolist() == [10, 60]
    with pytest.raises(LabelError):
        rest.with_classes(labels.SEVEN)


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": np.zeros((3, 48, 48), np.float32)},
        {"pixels": np.zeros((2, 48, 48), np.uint8)},
        {"pixels": np.zeros((3, 48, 48, 1), np.uint8)},
        {"labels": np.array([0, 1, 7])},
        {"labels": np.array([0, -1, 1])},
        {"labels": np.array([0.0, 1.0, 2.0])},
        {"usage": np.array(["Training", "Test", "Training"])},
        {"usage": np.array(["Training"])},
    ],
)
def test_dataset_refuses_what_does_not_fit(change):
    good = {
        "pixels": np.zeros((3, 48, 48), np.uint8),
        "labels": np.arange(3),
        "usage": np.full(3, "Training"),
    }
    Dataset(**good)
    with pytest.raises(DatasetError):
        Dataset(**{**good, **change})


# --- copies and splits ------------------------------------------------------------------------


def test_group_copies():
    pixels = make(5).pixels[[0, 1, 0, 2, 1, 3]]
    assert group_copies(pixels).tolist() == [0, 1, 0, 2, 1, 3]
    pixels = pixels.copy()
    pixels[2, 47, 47] ^= 1
    assert group_copies(pixels).tolist() == [0, 1, 2, 3, 1, 4]
    assert group_copies(pixels[:0]).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=30, max_size=150),
    st.integers(0, 2**31),
)
def test_split_keeps_groups_together_and_shares_true(rows, seed):
    y, groups = (np.array(column) for column in zip(*rows, strict=True))
    base = make(1)
    faces = Dataset(
        np.repeat(base.pixels, len(y), axis=0), y.astype(np.int64), np.full(len(y), "Training"), labels.SEVEN
    )
    try:
        parts = split(faces, seed=seed, groups=groups)
    except DatasetError:
        assert len(set(groups)) < 12
        return
    assert np.array_equal(parts.labels, faces.labels)
    for group in set(groups):
        assert len(set(parts.usage[groups == group])) == 1
    assert same(parts, split(faces, seed=seed, groups=groups))


@pytest.mark.parametrize("seed", range(5))
def test_split_is_stratified(seed):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(7), [400, 44, 410, 720, 480, 317, 496])
    pixels = rng.integers(0, 256, (len(y), 48, 48)).astype(np.uint8)
    copies = rng.choice(len(y), 150, replace=False)
    pixels[copies] = pixels[rng.choice(len(y), 150)]
    faces = Dataset(pixels, y, np.full(len(y), "Training"))
    parts = split(faces, seed=seed)
    for usage, share in zip(USAGES, (0.7, 0.1, 0.2), strict=True):
        # copies whose labels differ pull a class's share a little
        assert np.allclose(parts.part(usage).counts(), share * faces.counts(), atol=12)
    groups = group_copies(pixels)
    train, test = set(groups[parts.usage == "Training"]), set(groups[parts.usage != "Training"])
    assert not train & test
    assert parts.usage.tolist() != split(faces, seed=seed + 1).usage.tolist()


def test_split_gives_each_part_a_face_of_a_rare_class():
    y = np.array([0] * 50 + [1] * 3 + [2] * 2)
    faces = Dataset(
        np.random.default_rng(0).integers(0, 256, (55, 48, 48)).astype(np.uint8), y, np.full(55, "Training")
    )
    for seed in range(10):
        parts = split(faces, seed=seed)
        assert [(parts.labels[parts.usage == u] == 1).sum() for u in USAGES] == [1, 1, 1]
        assert (parts.labels[parts.usage == "Training"] == 2).sum() >= 1


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (0, 0, 0)])
def test_split_refuses_shares(shares):
    with pytest.raises(DatasetError, match="shares"):
        split(make(30), shares=shares)


def test_split_refuses_too_few():
    with pytest.raises(DatasetError, match="too few"):
        split(make(2))
    with pytest.raises(DatasetError, match="group numbers"):
        split(make(30), groups=np.arange(29))
    assert (split(make(14), shares=(1, 0, 0)).usage == "Training").all()


def test_split_off():
    faces = make(700)
    faces = faces.select(np.r_[np.arange(700), np.arange(0, 700, 10)])  # with copies
    rest, off = split_off(faces, 0.1, seed=3)
    assert len(rest) + len(off) == 770
    assert np.allclose(off.counts(), 11, atol=2)
    assert not set(p.tobytes() for p in rest.pixels) & set(p.tobytes() for p in off.pixels)
    assert same(off, split_off(faces, 0.1, seed=3)[1])
    for share in (0, 1, -0.2, 7):
        with pytest.raises(DatasetError, match="between 0 and 1"):
            split_off(faces, share)
    with pytest.raises(DatasetError, match="two classes are needed"):
        split_off(make(1), 0.1)


def test_usage_to_test_on():
    faces = make(9)
    assert test_usage(faces) == "PrivateTest"
    assert test_usage(faces.select(faces.usage != "PrivateTest")) == "PublicTest"
    with pytest.raises(DatasetError, match="neither"):
        test_usage(faces.part("Training"))
    with pytest.raises(DatasetError, match="unknown usage"):
        faces.part("Test")


# --- faces in folders -------------------------------------------------------------------------


def faces_folder(tmp_path):
    folder = tmp_path / "faces"
    rows = [("happy", (60, 50, 3)), ("sad", (30, 30)), ("disgust", (48, 48, 3)), ("Happiness", (96, 80, 3))]
    with_rows = ["face,image,x,y,width,height,emotion,tags,label,source,licence"]
    for number, (emotion, shape) in enumerate(rows):
        (folder / emotion).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8)
        images.write_image(folder / emotion / f"{number}.png", pixels)
        with_rows.append(f"{emotion}/{number}.png,p.jpg,1,2,3,4,{emotion},{emotion},0,local,CC0")
    (folder / "faces.csv").write_text("\n".join(with_rows) + "\n")
    return folder


def test_from_faces(tmp_path):
    folder = faces_folder(tmp_path)
    faces = build.from_faces(folder, labels.SEVEN)
    assert faces.labels.tolist() == [3, 4, 1, 3] and set(faces.usage) == {"Training"}
    expected = images.face_input(images.load_image(folder / "happy" / "0.png"))
    assert np.array_equal(faces.pixels[0], expected)
    assert build.from_faces(folder, labels.SIX).labels.tolist() == [2, 3, 0, 2]
    assert build.from_faces(folder, ("sad", "happy")).labels.tolist() == [1, 0, 1]


def test_from_faces_names_bad_rows(tmp_path):
    folder = faces_folder(tmp_path)
    (folder / "sad" / "1.png").write_bytes((folder / "sad" / "1.png").read_bytes()[:200])
    text = (folder / "faces.csv").read_text().replace(",disgust,disgust,", ",bored,bored,")
    (folder / "faces.csv").write_text(text + "gone.png,p.jpg,1,2,3,4,sad,sad,4,local,CC0\nshort\n")
    with pytest.raises(DatasetError, match=r"faces\.csv: row 2: "):
        build.from_faces(folder, labels.SEVEN)
    problems = []
    assert len(build.from_faces(folder, labels.SEVEN, problems)) == 2
    assert [line.split(":")[1] for line in problems] == [" row 2", " row 3", " row 5", " row 6"]
    (folder / "faces.csv").write_text("face,label\na.png,1\n")
    with pytest.raises(DatasetError, match="no column emotion"):
        build.from_faces(folder, labels.SEVEN)
    (folder / "faces.csv").write_text("face,emotion\n")
    with pytest.raises(DatasetError, match="holds no faces"):
        build.from_faces(folder, labels.SEVEN)


def test_from_drawn_is_fixed_by_its_seed():
    faces = build.from_drawn(14, 3, labels.SEVEN)
    assert faces.counts().tolist() == [2] * 7
    assert same(build.from_drawn(7, 3, labels.SEVEN), faces.select(np.arange(7)))
    assert not np.array_equal(build.from_drawn(7, 4, labels.SEVEN).pixels, faces.pixels[:7])
    assert faces.pixels.std(axis=(1, 2)).min() > 10  # pictures, not a flat gray
    assert len(set(group_copies(faces.pixels))) == 14
    assert build.from_drawn(6, 3, ("neutral", "happy")).counts().tolist() == [3, 3]
    assert build.from_drawn(7, 3, ("happy", "rest")).counts().tolist() == [1, 6]
    assert len(build.from_drawn(0, 3, labels.SEVEN)) == 0


# --- the folder of stage 03 -------------------------------------------------------------------


def test_write_and_load_the_folder(tmp_path):
    faces = split(make(60), seed=1)
    build.write_dataset(faces, tmp_path / "dataset")
    assert same(build.load_dataset(tmp_path / "dataset"), faces)
    assert json.loads((tmp_path / "dataset" / "classes.json").read_text()) == {
        "class_names": list(labels.SEVEN)
    }
    for name, usage in build.PARTS.items():
        path = tmp_path / "dataset" / f"{name}.csv"
        assert path.read_bytes().startswith(b"emotion,pixels\n")
        part = build.read_split(path)
        assert same(part, faces.part(usage))
        # every picture of the class folders is the CSV's row of its number, pixel by pixel
        found = sorted((tmp_path / "dataset" / name).glob("*/*.png"), key=lambda p: p.name)
        assert [p.name for p in found] == [f"{row:05}.png" for row in range(len(part))]
        for row, file in enumerate(found):
            assert file.parent.name == labels.SEVEN[part.labels[row]]
            with Image.open(file) as picture:
                assert picture.mode == "L" and np.array_equal(np.asarray(picture), part.pixels[row])


def test_a_second_run_leaves_nothing_of_the_first(tmp_path):
    build.write_dataset(split(make(70), seed=1), tmp_path)
    (tmp_path / "train" / "mine.txt").write_text("a reader's own file")
    small = make(9, 2).with_usage("Training")
    build.write_dataset(small, tmp_path)
    assert same(build.load_dataset(tmp_path), small)
    assert len(list(tmp_path.glob("*/*/*.png"))) == 9
    assert not (tmp_path / "val.csv").exists() and not list((tmp_path / "val").glob("*"))
    assert {p.name for p in (tmp_path / "train").iterdir()} == {"angry", "disgust", "mine.txt"}


def test_folder_of_a_part_without_rows(tmp_path):
    faces = make(30).with_usage("Training")
    build.write_splits(faces, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train", "train.csv"]


def test_keras_reads_the_folders_in_alphabetical_order(tmp_path):
    """Keras numbers folders by the alphabet: neutral is its 4, FER2013's 6. `labels` maps between them."""
    keras = pytest.importorskip("keras")
    faces = make(21).with_usage("Training")
    build.write_splits(faces, tmp_path)
    data = keras.utils.image_dataset_from_directory(
        tmp_path / "train", color_mode="grayscale", image_size=(48, 48), shuffle=False, verbose=False
    )
    names = tuple(data.class_names)
    assert names == labels.alphabetical(labels.SEVEN) and names.index("neutral") == 4
    pixels, y = (np.concatenate(column) for column in zip(*data.as_numpy_iterator(), strict=True))
    order = np.argsort([int(Path(p).stem) for p in data.file_paths])
    assert np.array_equal(pixels[order, :, :, 0], faces.pixels)
    assert np.array_equal(labels.map_labels(y, names, labels.SEVEN)[order], faces.labels)


def test_collect_and_build(tmp_path):
    built = build.build_dataset(faces_folder(tmp_path), "", labels.SEVEN, 60, 7, tmp_path / "dataset")
    assert len(built) == 64 and set(built.usage) == set(USAGES)
    assert same(build.load_dataset(tmp_path / "dataset"), built)
    assert same(build.collect(tmp_path / "faces", "", labels.SEVEN, 60, 7), built)
    # a FER2013 file keeps its own Usage, whatever faces there are
    data = make(30)
    build.write_fer2013(data, tmp_path / "fer2013.csv.gz")
    assert same(
        build.build_dataset(None, tmp_path / "fer2013.csv.gz", labels.SEVEN, 60, 7, tmp_path / "d"), data
    )
    two = build.collect(None, tmp_path / "fer2013.csv.gz", ("neutral", "happy"))
    assert same(two, data.with_classes(("neutral", "happy")))


def test_join():
    a, b = make(4), make(5, seed=1)
    assert len(join([a, b])) == 9 and np.array_equal(join([a, b]).pixels[4:], b.pixels)
    with pytest.raises(DatasetError, match="joined"):
        join([a, make(4, 2)])


# --- the real FER2013, where it is at hand ----------------------------------------------------


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("FERLIB_FER2013"), reason="FERLIB_FER2013 does not name a file")
def test_real_fer2013(tmp_path):
    path = Path(os.environ["FERLIB_FER2013"])
    faces = build.read_fer2013(path)
    assert len(faces.part("Training")) == 28709 and len(faces.part("PublicTest")) == 3589
    groups = group_copies(faces.pixels)
    if test_usage(faces) == "PublicTest":  # the version without PrivateTest rows
        assert len(faces) - len(set(groups)) == 1530
    twins = np.isin(groups[faces.usage == "PublicTest"], groups[faces.usage == "Training"])
    assert twins.sum() == 279
    content = path.read_bytes()
    ours = tmp_path / "ours.csv"
    build.write_fer2013(faces, ours)
    assert ours.read_bytes() == (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
