"""The command `crop`: what was left out is logged before the command ends, well or not."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ferlib.annotate.formats import write_boxes
from ferlib.annotate.table import make_table
from ferlib.commands.annotate import crop
from ferlib.common.errors import BadInputError
from ferlib.common.images import write_image
from tests.annotate.captured import captured


@pytest.fixture
def invoke(tmp_path):
    """Run `crop` on one picture with boxes of these emotions: (result, logged lines)."""

    def invoke(*emotions, **options):
        write_image(tmp_path / "raw" / "a.png", np.zeros((40, 40, 3), np.uint8))
        box = {"image": "a.png", "x": 1, "y": 2, "width": 30, "height": 20}
        write_boxes(make_table([box | {"emotion": each} for each in emotions]), tmp_path / "t.csv", "csv")
        arguments = [
            "--annotations",
            tmp_path / "t.csv",
            "--images",
            tmp_path / "raw",
            "--out",
            tmp_path / "out",
        ]
        arguments += [each for name, value in options.items() for each in (f"--{name}", value)]
        return captured(CliRunner().invoke, crop, list(map(str, arguments)))

    (tmp_path / "raw").mkdir()
    return invoke


def test_faces_are_cropped_and_what_is_left_out_is_logged(invoke, tmp_path):
    result, lines = invoke("sad", "bored", classes="sad,happy")
    assert result.exit_code == 0 and result.stdout == f"1 faces in {tmp_path / 'out'}\n"
    assert len(lines) == 1 and lines[0].startswith("tag 'bored' is in no class of sad, happy: 1 box")
    assert "--classes" in lines[0] and "--names" in lines[0]
    assert [path.name for path in (tmp_path / "out" / "sad").iterdir()] == ["a.png-0.png"]


def test_without_a_face_the_reasons_come_before_the_refusal(invoke):
    result, lines = invoke("bored")
    assert isinstance(result.exception, BadInputError) and "see the lines above" in str(result.exception)
    assert len(lines) == 1 and "bored" in lines[0]


@pytest.mark.parametrize("wrong", [{"classes": "sad"}, {"margin": "-1"}, {"tags": "last"}])
def test_bad_options_are_refused(invoke, wrong):
    result, _ = invoke("sad", **wrong)
    assert result.exit_code != 0 and (result.exit_code == 2 or isinstance(result.exception, BadInputError))


def test_tags_of_ones_own_become_classes_or_are_renamed(invoke, tmp_path):
    result, lines = invoke("Freude", "高兴")
    assert isinstance(result.exception, BadInputError)
    assert "--classes" in lines[0] and "--names 'Freude=" in lines[0] and len(lines) == 2
    result, lines = invoke("Freude", "高兴", classes="高兴,Freude")
    assert result.exit_code == 0 and lines == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["Freude", "faces.csv", "高兴"]
    result, lines = invoke("Freude", "高兴", names="freude=happy,高兴=happy")
    assert result.exit_code == 0 and lines == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["faces.csv", "happy"]


def test_without_lines_above_nothing_points_to_them(invoke):
    for emotions in ((), ("not a face",)):
        result, lines = invoke(*emotions)
        assert isinstance(result.exception, BadInputError) and lines == []
        assert "lines above" not in str(result.exception) and "no labelled box" in str(result.exception)


def test_the_labels_of_one_annotator(tmp_path):
    cases = Path(__file__).parents[1] / "cases"
    arguments = ["--annotations", cases / "annotations" / "ls_two.json", "--images", cases / "same_name"]
    arguments += ["--out", tmp_path, "--annotator", "1"]
    assert CliRunner().invoke(crop, list(map(str, arguments))).exit_code == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["sad"]
