"""CSV tables of faces: pandas writes the same bytes, and a file is complete or not there."""

import csv

import numpy as np
import pandas as pd
import pytest

from ferlib.common.errors import BadInputError
from ferlib.live import outputs
from ferlib.model.recognise import Face

FACES = [
    Face((1, 2, 30, 40), "happy", {"happy": 0.75, "sad": 0.25}, 0.9, 1),
    Face((5, 6, 20, 20), "sad", {"happy": 1 / 3, "sad": 2 / 3}),
]
COLUMNS = [*outputs.face_columns(("file",), ("happy", "sad")), "score"]


def test_rows_one_by_one_give_the_bytes_of_pandas(tmp_path):
    rows = outputs.face_rows(FACES, file='in/a "name", with\nall.png')
    with outputs.table_writer(tmp_path / "new/rows.csv", COLUMNS) as write:
        for row in rows:
            write([row])
            assert not (tmp_path / "new/rows.csv").exists()
    once = pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False, float_format="%.6f", lineterminator="\n")
    written = (tmp_path / "new/rows.csv").read_bytes()
    assert written == once.encode() and b"\r" not in written
    again = pd.read_csv(tmp_path / "new/rows.csv")
    assert list(again) == COLUMNS and again["file"][0] == rows[0]["file"]
    assert np.allclose(again["sad"], [0.25, 2 / 3], atol=1e-6) and again["score"].isna().tolist() == [
        False,
        True,
    ]
    with (tmp_path / "new/rows.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 3
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["rows.csv"]


def test_a_csv_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(BadInputError, match=r"out\.csv: cannot be written"),
        outputs.table_writer(tmp_path / "file" / "out.csv", ["a"]),
    ):
        pass


def test_an_error_keeps_the_older_table(tmp_path):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(ZeroDivisionError), outputs.table_writer(tmp_path / "out.csv", ["a"]) as write:
        write([{"a": 1 / 0}])
    assert (tmp_path / "out.csv").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_written_is_kept_and_an_older_table_too(tmp_path, error, caplog):
    for name in ("out.csv", "out.partial.csv"):
        with pytest.raises(error), outputs.table_writer(tmp_path / "out.csv", ["a"]) as write:
            write([{"a": name}])
            raise error
        assert (tmp_path / name).read_text() == f"a\n{name}\n" and str(tmp_path / name) in caplog.text
    assert (tmp_path / "out.csv").read_text() == "a\nout.csv\n" and len(list(tmp_path.iterdir())) == 2


def test_targets_are_checked_and_nothing_is_created(tmp_path):
    (tmp_path / "a.jpg").write_text("")
    good = outputs.Outputs(tmp_path / "new/a.csv", tmp_path / "b", tmp_path / "c.svg", tmp_path / "d.png")
    good.check([tmp_path / "a.jpg"])
    for kind, name in (
        *(("csv", "a.jpg"), ("csv", "."), ("csv", "a.jpg/b.csv"), ("annotated", "a.jpg/b")),
        *(("chart", "c.xyz"), ("timeline", "d"), ("chart", "a.jpg/c.png")),
    ):
        with pytest.raises(BadInputError, match=r"cannot be written|suffix"):
            outputs.Outputs(**{kind: tmp_path / name}).check([tmp_path / "a.jpg"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_a_selection(drawn_faces, bright):
    two = np.concatenate([drawn_faces[0], drawn_faces[1]], axis=1)
    faces = outputs.ALL.read(two, bright)
    assert len(faces) == 2 and faces == bright.read(two, "rgb")
    assert outputs.Selection(largest=True).read(two, bright) == faces[:1]
    (right,) = outputs.Selection(region=(160, 0, 999, 999)).read(two, bright)
    assert right.box[0] > 160 and right.box[1] < 160
    assert outputs.Selection(min_face=150).read(two, bright) == []
    with pytest.raises(BadInputError, match="no pixel inside"):
        outputs.Selection(region=(500, 0, 10, 10)).read(two, bright)


@pytest.mark.parametrize(
    "values",
    [{"every": 0}, {"min_face": 0}, {"start": -1}, {"start": 5, "end": 5}, {"region": (0, 0, 0, 9)}],
)
def test_selections_outside_their_range(values):
    with pytest.raises(BadInputError):
        outputs.Selection(**values)
