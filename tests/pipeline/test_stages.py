"""Stamps tell when an input has changed; a stage that misses its input gets the embedded default."""

import json

import pytest

from ferlib.common.errors import BadInputError, LabelError
from ferlib.pipeline import stages


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_WORK", str(tmp_path))
    return tmp_path


def test_a_stamp_comes_back_and_is_fresh(work):
    source = work / "manifest.csv"
    source.write_text("file\n")
    folder = work / "data" / "faces"
    folder.mkdir(parents=True)
    stages.write_stamp(folder, "02_annotate_crop", {"CLASSES": "seven"}, [source])
    assert stages.read_stamp(folder)["parameters"] == {"CLASSES": "seven"}
    assert stages.stale_input(folder) is None


@pytest.mark.parametrize("change", ["write", "remove"])
def test_a_changed_or_lost_input_is_told_with_what_to_run(work, change):
    folder = work / "data" / "faces"
    folder.mkdir(parents=True)
    source = work / "data" / "manifest.csv"
    source.write_text("file\n")
    stages.write_stamp(folder, "02_annotate_crop", {}, [source])
    source.write_text("file\nmore\n") if change == "write" else source.unlink()
    line = stages.stale_input(folder)
    assert "data/work/faces" in line and "manifest.csv" in line and "02_annotate_crop" in line
    assert str(work) not in line


def test_a_broken_stamp_counts_as_none(work):
    (work / "stamp.json").write_text('{"stage": ')
    assert stages.read_stamp(work) == {} and stages.stale_input(work) is None


def test_a_given_bundle_wins_then_that_of_04_then_the_shipped_one(work, capsys):
    assert stages.ensure_bundle("somewhere").name == "somewhere"
    assert stages.ensure_bundle().name == "fer2013"
    assert "shipped" in capsys.readouterr().out
    own = work / "models" / "faces"
    own.mkdir(parents=True)
    (own / "metadata.json").write_text(json.dumps({}))
    assert stages.ensure_bundle() == own
    assert capsys.readouterr().out == ""


def test_missing_data_and_unknown_classes_are_refused(work):
    with pytest.raises(BadInputError, match=r"nowhere\.csv"):
        stages.ensure_dataset("nowhere.csv")
    with pytest.raises(LabelError, match="bored"):
        stages.ensure_dataset("", "happy,bored")


def test_a_folder_made_for_other_classes_is_not_used(work, capsys, monkeypatch):
    faces = work / "data" / "faces"
    faces.mkdir(parents=True)
    (faces / "faces.csv").write_text("face\n")
    stages.write_stamp(faces, "02_annotate_crop", {"CLASSES": "seven"}, [])
    made = []
    monkeypatch.setattr(stages, "ensure_raw", lambda: work)
    monkeypatch.setattr(stages, "_crop_by_truth", lambda *a: made.append(a))
    (work / "manifest.csv").write_text("")
    stages.ensure_faces("seven")
    assert made == []
    stages.ensure_faces("six")
    assert len(made) == 1 and "other classes" in capsys.readouterr().out
