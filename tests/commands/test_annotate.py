"""The command `crop`: what was left out is logged before the command ends, well or not."""

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
    assert result.exit_code == 0 and result.output == f"1 faces in {tmp_path / 'out'}\n"
    assert len(lines) == 1 and lines[0].startswith("region 1 of a.png: unknown emotion 'bored'")
    assert [path.name for path in (tmp_path / "out" / "sad").iterdir()] == ["a.png-0.png"]


def test_without_a_face_the_reasons_come_before_the_refusal(invoke):
    result, lines = invoke("bored")
    assert isinstance(result.exception, BadInputError) and "see the lines above" in str(result.exception)
    assert len(lines) == 1 and "bored" in lines[0]


@pytest.mark.parametrize("wrong", [{"classes": "sad"}, {"margin": "-1"}, {"tags": "last"}])
def test_bad_options_are_refused(invoke, wrong):
    result, _ = invoke("sad", **wrong)
    assert result.exit_code != 0 and (result.exit_code == 2 or isinstance(result.exception, BadInputError))
