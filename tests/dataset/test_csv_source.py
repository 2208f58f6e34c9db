"""FER2013's CSV in the forms that Excel, pandas, Kaggle and archives give it: each read, or refused with its cause."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from ferlib.common.errors import DatasetError
from ferlib.dataset import build, csv_source
from ferlib.dataset.fer2013 import read_fer2013, write_fer2013
from ferlib.dataset.splits import Dataset
from tests.dataset.noise_sets import make, same

FACES = make(6, 3).with_usage(np.array(["Training", "PublicTest", "PrivateTest"] * 2))


def rows(label=str, pixels=lambda face: " ".join(map(str, face)), usage=str, between=","):
    """The rows of FACES; each field can be written in another way."""
    for k, face in enumerate(FACES.pixels.reshape(-1, 2304).tolist()):
        fields = (label(int(FACES.labels[k])), pixels(face), usage(FACES.usage[k]))
        yield between.join(field for field in fields if field is not None)


def text(header="emotion,pixels,Usage", **forms):
    return "\n".join([header, *rows(**forms)]) + "\n"


NAMES = ("angry", "disgust", "fear")
FORMS = {
    "semicolons": (text("emotion;pixels;Usage", between=";"), "separated by ';'"),
    "tabs": (text("emotion\tpixels\tUsage", between="\t"), "separated by"),
    "Excel's line": ("sep=;\r\n" + text("emotion;pixels;Usage", between=";"), "separated by ';'"),
    "Excel's line with a comma": ("sep=,\n" + text(), "separated by ','"),
    "UTF-16": (text().encode("utf-16"), "UTF-16"),
    "UTF-16, big end first": (text().encode("utf-16-be"), "UTF-16"),
    "UTF-16, Excel's Unicode text": (
        text("emotion\tpixels\tUsage", between="\t").replace("\n", "\r\n").encode("utf-16"), "UTF-16"),
    "lists": (text(pixels=lambda face: f'"{face}"'), "6 rows: pixels in brackets"),
    "numpy's text": (text(pixels=lambda face: str(face).replace(",", "")), "6 rows: pixels in brackets"),
    "decimal points": (text(pixels=lambda face: " ".join(f"{v}.0" for v in face)), "6 rows: pixels with a decimal"),
    "shares": (
        text(pixels=lambda face: " ".join(f"{v / 255:.5f}" for v in face)), "6 rows: pixels from 0 to 1"),
    "lower case": (text(usage=str.lower), "2 rows: Usage 'training' is read as Training"),
    "upper case": (
        text(usage=lambda usage: f" {usage.upper()} "), "2 rows: Usage 'PRIVATETEST' is read as PrivateTest"),
    "other words": (
        text(usage={"Training": "train", "PublicTest": "val", "PrivateTest": "test"}.get),
        "Usage 'val' is read as PublicTest"),
    "names": (text(label=lambda k: ("Angry", " disgusted ", "fear")[k]), "read as the classes angry, disgust, fear"),
    "decimal labels": (text(label=lambda k: f"{k}.0"), "labels such as 0.0"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path, caplog, form):
    content, words = FORMS[form]
    (tmp_path / "faces.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    faces = read_fer2013(tmp_path / "faces.csv")
    assert np.array_equal(faces.pixels, FACES.pixels) and faces.usage.tolist() == FACES.usage.tolist()
    assert [faces.class_names[k] for k in faces.labels] == [NAMES[k] for k in FACES.labels]
    assert len([line for line in caplog.messages if words in line]) == 1 and len(caplog.messages) <= 3


def test_labels_that_count_from_1(tmp_path, caplog):
    path = tmp_path / "faces.csv"
    path.write_text(text(label=lambda k: str(k + 1)))
    assert (
        read_fer2013(path).labels.tolist() == (FACES.labels + 1).tolist()
    )  # may be from 0: said, not changed
    assert "If they count from 1" in caplog.messages[0]
    (tmp_path / "classes.json").write_text('["高兴", "伤心", "中性"]', "utf-8")
    faces = read_fer2013(path)
    assert faces.labels.tolist() == FACES.labels.tolist() and faces.class_names[0] == "高兴"
    assert "counted from 1, 1 高兴 to 3 中性" in caplog.messages[1]
    (tmp_path / "classes.json").unlink()
    path.write_text(text(label=lambda k: str(3 * k + 1)))
    assert read_fer2013(path).labels.tolist() == [0, 3, 6] * 2
    assert "1 angry to 7 neutral" in caplog.messages[2]


def test_own_names_and_a_name_that_is_missing(tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text(text(label=lambda k: ("高兴", "bored", "happy")[k]), "utf-8")
    assert read_fer2013(path).class_names == ("happy", "bored", "高兴")
    (tmp_path / "classes.json").write_text('["bored", "happy"]')
    with pytest.raises(DatasetError, match=r"row 1 \(line 2\).*label '高兴' is none of bored, happy"):
        read_fer2013(path)
    path.write_text(text(label=lambda k: ("Bored", "bored", "happy")[k]))
    (tmp_path / "classes.json").unlink()
    with pytest.raises(DatasetError, match="differ only by case"):
        read_fer2013(path)


def test_one_line_for_a_column_of_unknown_usage(tmp_path, caplog):
    path = tmp_path / "faces.csv"
    path.write_text(
        "emotion,pixels,Usage\n" + "".join(f"{row}\n" for row in rows(usage=lambda _: "fold1")) * 112
    )
    with pytest.raises(DatasetError, match="no good row"):
        read_fer2013(path, skip_bad=True)
    (line,) = caplog.messages
    assert "row 1 (line 2) and 671 more rows: unknown Usage 'fold1'" in line


def test_csvs_without_usage(tmp_path, caplog):
    content = text("emotion,pixels", usage=lambda _: None)
    for name, usage in (("train.csv", "Training"), ("val.csv", "PublicTest"), ("test.csv", "PrivateTest")):
        (tmp_path / name).write_text(content)
        assert set(build.read_data(tmp_path / name).usage) == {usage}
    assert "train.csv: no column Usage; all rows are Training" in caplog.messages
    faces = build.read_data(tmp_path)
    assert [len(faces.part(usage)) for usage in build.USAGES] == [6, 6, 6]
    (tmp_path / "test.csv").write_text("pixels\n1 2 3\n")  # Kaggle's
    assert len(build.read_data(tmp_path)) == 12 and "test.csv: left out" in caplog.messages[-1]


def pack(kind, files):
    """An archive of files, name to bytes."""
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=out, mode=kind) as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["zip", "w:gz", "w"])
def test_archives(tmp_path, caplog, kind):
    write_fer2013(FACES, tmp_path / "plain.csv")
    data = (tmp_path / "plain.csv").read_bytes()
    members = {
        "../../fer2013/README": b"x" * 1000,
        "__MACOSX/other.csv": b"",
        "other.csv": b"n\n",
        "a/FER2013.csv": data,
    }
    (tmp_path / "fer").write_bytes(pack(kind, members))
    faces = Dataset(FACES.pixels, FACES.labels, FACES.usage)
    assert same(build.read_data(tmp_path / "fer"), faces)
    assert caplog.messages == ["fer: a/FER2013.csv in it is read"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fer", "plain.csv"]  # nothing is unpacked
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / ("fer2013.zip" if kind == "zip" else "fer2013.tar.gz")).write_bytes(
        pack(kind, members)
    )
    assert same(build.read_data(tmp_path / "set"), faces)
    for files, words in (
        ({"train/happy/a.png": b""}, "unpack it and give its folder"),
        ({"x.csv": b"", "y.csv": b""}, "holds 2 CSVs"),
        ({"readme.txt": b""}, "no CSV of faces"),
        ({"fer2013.tar.gz": b""}, "itself an archive"),
        ({"xl/workbook.xml": b""}, "Excel workbook"),
    ):
        (tmp_path / "fer").write_bytes(pack(kind, files))
        with pytest.raises(DatasetError, match=words):
            build.read_data(tmp_path / "fer")
    whole = pack(kind, {"fer2013.csv": data})
    (tmp_path / "fer").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError):
        build.read_data(tmp_path / "fer")


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(csv_source, "MAX_UNPACKED", 1_000_000)
    (tmp_path / "fer").write_bytes(pack(kind, {"fer2013.csv": b"emotion,pixels,Usage\n" + b"\n" * 5_000_000}))
    with pytest.raises(DatasetError, match="unpacks to"):
        build.read_data(tmp_path / "fer")
    (tmp_path / "fer").write_bytes(gzip.compress(b"emotion,pixels,Usage\n" + b"\n" * 5_000_000))
    with pytest.raises(DatasetError, match="more than 1,000,000 bytes"):
        build.read_data(tmp_path / "fer")


@pytest.mark.parametrize("fault", ["a bad checksum", "a header of 8 GB", "cut off"])
def test_a_damaged_tar_is_refused(tmp_path, fault):
    out, content = io.BytesIO(), text().encode()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("fer2013.csv", "readme.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = bytearray(out.getvalue())
    second = 512 + len(content) + -len(content) % 512
    if fault == "a header of 8 GB":  # tarfile would read it into memory
        data[124:136], data[156:157], data[148:156] = b"77777777777\0", b"x", b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    elif fault == "cut off":
        data = data[: second + 600]
    else:
        data[second] ^= 1
    (tmp_path / "fer2013.tar").write_bytes(data)
    with pytest.raises(DatasetError, match="the tar archive is cut off or damaged"):
        read_fer2013(tmp_path / "fer2013.tar")
