"""FER2013's CSV: good files in every form, bad rows and files, and the bytes that are written."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.common import images, labels
from ferlib.common.errors import BadInputError, DatasetError
from ferlib.dataset.fer2013 import read_fer2013, write_fer2013
from tests.dataset.noise_sets import make, same

RNG = np.random.default_rng(1)
FACE = " ".join(str(v) for v in RNG.integers(0, 256, 2304))
HEADER = "emotion,pixels,Usage\n"


def face(first="7", n=2304):
    """A pixel field of n numbers, the first as given."""
    return " ".join([first] + ["9"] * (n - 1))


def write(tmp_path, text, name="fer2013.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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
    got = read_fer2013(write(tmp_path, gzip.compress(text) if packed else text))
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
    "a list's open bracket": (f"3,[{face('7')},Training", "'[7'"),
    "shares and whole numbers": (f"3,0.5 {' '.join(['1'] * 2302)} 2,Training", "'0.5'"),
    "cut off by Excel": (f"3,{('123 ' * 9000)[:32767]},Training", "Excel's limit"),
    "another size": (
        f"3,{face(n=64 * 64)},Training",
        "4096 pixels instead of 2304 (48×48) (pictures of 64×64)",
    ),
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
    "unknown usage": (f"3,{FACE},Trainng", "unknown Usage 'Trainng'"),
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
def test_bad_rows(tmp_path, caplog, case, before):
    """First, in the middle and past the first batch: the same refusal, and the right number."""
    bad, words = BAD_ROWS[case]
    bad = bad if isinstance(bad, bytes) else bad.encode()
    path = write(tmp_path, (HEADER + ROW * before).encode() + bad + b"\n" + ROW.encode())
    with pytest.raises(DatasetError) as caught:
        read_fer2013(path)
    message = str(caught.value)
    assert f"fer2013.csv: row {before + 1} (line {before + 2}): " in message and words in message
    assert "\n" not in message and len(message) < 250
    assert caplog.messages == []
    kept = read_fer2013(path, skip_bad=True)
    assert caplog.messages == [message]
    assert len(kept) == before + 1 and (kept.labels == 2).all()
    assert kept.pixels[-1].ravel().tolist() == [int(v) for v in FACE.split()]


BAD_FILES = {
    "empty": (b"", "the file is empty"),
    "empty gzip": (gzip.compress(b""), "the file is empty"),
    "only line ends": (b"\n\r\n\n", "the file is empty"),
    "no header": (ROW.encode(), "has no column 'emotion'"),
    "column twice": (f"emotion,emotion,pixels,Usage\n3,3,{FACE},Training\n".encode(), "has twice"),
    "semicolons": (HEADER.replace(",", ";").encode(), "no row after the header"),
    "colons": (HEADER.replace(",", ":").encode(), "has no column"),
    "a separator that is none": (f"sep=x\n{HEADER}".encode(), "the separator 'x'"),
    "Kaggle's test.csv": (f"pixels\n{FACE}\n".encode(), "Kaggle's test.csv has no labels"),
    "a web page": (b"<!DOCTYPE html><html>", "a web page"),
    "7z": (b"7z\xbc\xaf\x27\x1c" * 9, "7z archive"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "no rows": (HEADER.encode(), "no row after the header"),
    "noise": (b"\x00\xff\x13\x80" * 500, "not UTF-8 text"),
    "noise, one long line": (b"\x07" * 3_000_000, "longer than"),
    "a long line later": ((HEADER + "3," + "1 " * 2_000_000).encode(), "line 2 is longer than"),
    "UTF-16 cut off": ((HEADER + ROW).encode("utf-16")[:-1], "not UTF-16 text"),
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
        read_fer2013(write(tmp_path, content))
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_missing_files(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(DatasetError, match="cannot be read"):
            read_fer2013(path)


@pytest.fixture(scope="module")
def packed():
    """200 rows of noise, gzipped."""
    rng = np.random.default_rng(2)
    rows = (" ".join(map(str, face)) for face in rng.integers(0, 256, (200, 2304)).tolist())
    return gzip.compress((HEADER + "".join(f"0,{row},Training\n" for row in rows)).encode(), 1)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_cut_off_gzip_is_refused_with_its_line(tmp_path, packed, keep):
    with pytest.raises(DatasetError, match="cut off") as caught:
        read_fer2013(write(tmp_path, packed[: int(len(packed) * keep)], "f.csv.gz"))
    line = int(str(caught.value).split("in line ")[1].split()[0])
    assert abs(line - 201 * keep) < 12


def test_damaged_gzip_is_refused(tmp_path, packed):
    """A flipped bit in the checksum."""
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    with pytest.raises(DatasetError):
        read_fer2013(write(tmp_path, bytes(damaged), "f.csv.gz"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_field_is_read_as_the_format_says_or_refused(tmp_path_factory, data):
    """A field of characters near the format, between two good rows."""
    numbers = [str(v) for v in np.random.default_rng(data.draw(st.integers(0, 999))).integers(0, 256, 2304)]
    for _ in range(data.draw(st.integers(0, 3))):
        odd = data.draw(st.text(alphabet="0123456789 -./:\t", max_size=5))
        numbers[data.draw(st.integers(0, 2303))] = odd
    text = " ".join(numbers)
    path = tmp_path_factory.getbasetemp() / "field.csv"
    path.write_text(f"{HEADER}{ROW}3,{text},Training\n{ROW}")
    values = text.split()
    good = len(values) == 2304 and all(v.isdigit() and int(v) <= 255 for v in values)
    found = read_fer2013(path, skip_bad=True)
    assert found.labels.tolist() == ([2, 3, 2] if good else [2, 2])
    for pixels in found.pixels[found.labels == 2]:
        assert pixels.ravel().tolist() == [int(v) for v in FACE.split()]
    if good:
        assert found.pixels[1].ravel().tolist() == [int(v) for v in values]


def test_every_number_is_read_as_python_reads_it(tmp_path):
    numbers = [str(value) for value in range(1100)]
    rows = [" ".join([number] * 2304) for number in numbers]
    path = write(tmp_path, "emotion,pixels\n" + "".join(f"3,{row}\n" for row in rows[:256]))
    assert (read_fer2013(path).pixels == np.arange(256)[:, None, None]).all()
    bad = "".join(f"3,{face(number)},Training\n" for number in numbers[250:])
    found = read_fer2013(write(tmp_path, HEADER + bad), skip_bad=True)
    assert found.pixels[:, 0, 0].tolist() == list(range(250, 256))


@pytest.fixture
def meanwhile(monkeypatch):
    """Has something happen after the first batch of rows was read from a CSV."""

    def put(happen):
        read_csv = pd.read_csv
        monkeypatch.setattr(pd, "read_csv", lambda *args, **options: happen() or read_csv(*args, **options))

    return put


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz"])
def test_a_csv_that_changes_while_it_is_read(tmp_path, drawn, meanwhile, name, skip_bad):
    """Its first bytes, already read: no row looks broken, and the faces are of two files."""
    path = tmp_path / name
    write_fer2013(drawn, path)
    assert len(read_fer2013(path)) == 140

    def overwrite():
        with path.open("r+b") as file:
            file.write(b"X")
        os.utime(path, ns=(1, 1))

    meanwhile(overwrite)
    with pytest.raises(DatasetError, match=r"f\.csv.*changed while it was read"):
        read_fer2013(path, skip_bad=skip_bad)


def test_a_csv_replaced_while_it_is_read_is_the_old_one(tmp_path, drawn, meanwhile):
    """Whoever writes beside and renames disturbs nobody."""
    path = tmp_path / "f.csv"
    write_fer2013(drawn, path)

    def rename():
        (tmp_path / "new").write_bytes(b"other")
        (tmp_path / "new").replace(path)

    meanwhile(rename)
    assert np.array_equal(read_fer2013(path).pixels, drawn.pixels)


# --- writing: the bytes of the original -------------------------------------------------------


def test_written_bytes_are_the_formats(tmp_path):
    faces = make(3)
    path = tmp_path / "out.csv"
    write_fer2013(faces, path)
    expected = "emotion,pixels,Usage\n"
    for pixels, label, usage in zip(faces.pixels, faces.labels, faces.usage, strict=True):
        expected += f"{label},{' '.join(str(int(v)) for v in pixels.ravel())},{usage}\n"
    assert path.read_bytes() == expected.encode()
    assert same(read_fer2013(path), faces)
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_gzip_is_the_same_bytes_at_any_time_and_name(tmp_path):
    faces = make(3)
    write_fer2013(faces, tmp_path / "a.csv.gz")
    write_fer2013(faces, tmp_path / "b.csv.gz")
    packed = (tmp_path / "a.csv.gz").read_bytes()
    assert packed == (tmp_path / "b.csv.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0"  # RFC 1952: the time
    write_fer2013(faces, tmp_path / "a.csv")
    assert gzip.decompress(packed) == (tmp_path / "a.csv").read_bytes()


def test_round_trips_with_the_original_tools(tmp_path):
    faces = make(21)
    path = tmp_path / "ours.csv"
    write_fer2013(faces, path)
    # pandas and numpy, the way most scripts for FER2013 do it
    table = pd.read_csv(path)
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
        assert same(read_fer2013(tmp_path / name), faces), name
    table.to_csv(tmp_path / "pandas.csv", index=False)
    assert (tmp_path / "pandas.csv").read_bytes() == path.read_bytes()
    with (tmp_path / "csv.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["emotion", "Usage", "pixels"])
        writer.writeheader()
        writer.writerows(rows)
    assert same(read_fer2013(tmp_path / "csv.csv"), faces)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(BadInputError, match="cannot be written"):
        write_fer2013(make(2), tmp_path / "file" / "out.csv")
    assert (tmp_path / "file").read_text() == "kept"


# --- class names beside the file --------------------------------------------------------------


def test_classes_beside_the_file(tmp_path):
    faces = make(6, 2)
    write_fer2013(faces, tmp_path / "emotion_file.csv")
    assert read_fer2013(tmp_path / "emotion_file.csv").class_names == labels.SEVEN
    (tmp_path / "classes.json").write_text('{"class_names": ["happy", "rest"]}')
    assert read_fer2013(tmp_path / "emotion_file.csv").class_names == ("happy", "rest")
    with pytest.raises(DatasetError, match="says happy, rest, not angry"):
        read_fer2013(tmp_path / "emotion_file.csv", labels.SEVEN)
    (tmp_path / "classes.json").write_text('["neutral", "happy"]')
    assert read_fer2013(tmp_path / "emotion_file.csv").class_names == ("neutral", "happy")
    write_fer2013(make(7), tmp_path / "seven.csv")
    with pytest.raises(DatasetError, match="label '2' is out of range"):
        read_fer2013(tmp_path / "seven.csv")
    (tmp_path / "classes.json").write_text('\ufeff["高兴", "伤心"]', "utf-8")
    assert read_fer2013(tmp_path / "emotion_file.csv").class_names == ("高兴", "伤心")
    for broken in (
        "{",
        "[]",
        '{"class_names": 3}',
        '{"names": []}',
        '["a", "A"]',
        '["happy", "happy"]',
        "[" * 100_000,
    ):
        (tmp_path / "classes.json").write_text(broken)
        with pytest.raises(DatasetError, match=r"classes\.json"):
            read_fer2013(tmp_path / "emotion_file.csv")


# --- the real FER2013, where it is at hand ----------------------------------------------------


@pytest.mark.real
def test_real_fer2013(tmp_path, real):
    assert len(real.part("Training")) == 28709 and len(real.part("PublicTest")) == 3589
    groups = real.groups
    if real.test_usage == "PublicTest":  # the version without PrivateTest rows
        assert len(real) - len(set(groups)) == 1530
    twins = np.isin(groups[real.usage == "PublicTest"], groups[real.usage == "Training"])
    assert twins.sum() == 279
    content = Path(os.environ["FERLIB_FER2013"]).read_bytes()
    ours = tmp_path / "ours.csv"
    write_fer2013(real, ours)
    assert ours.read_bytes() == (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
