"""Whole photographs: what is read in them, what is left out, and what a legend must have."""

import numpy as np
import pytest

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.evaluate import photographs
from tests.evaluate.conftest import AlwaysHappy

HAAR = "frontalface_default"


def photo_folder(tmp_path, legend):
    images.write_image(tmp_path / "a.png", synth.draw_face(synth.Face(emotion="happy"), 200))
    images.write_image(tmp_path / "empty.png", np.full((80, 80, 3), 128, np.uint8))
    (tmp_path / "legend.csv").write_text(legend, encoding="utf-8")
    return tmp_path


def test_a_photograph_without_a_face_counts_as_wrong(tmp_path, caplog):
    legend = "image,emotion\na.png,happiness\nempty.png,happy\ngone.png,sad\na.png,bored\na.png,contempt\n"
    table = photographs.read_photographs(photo_folder(tmp_path, legend), AlwaysHappy(), HAAR)
    assert table["predicted"].tolist() == ["happy", ""]
    assert len(caplog.messages) == 3 and "gone.png" in caplog.messages[0] and "bored" in caplog.messages[1]
    assert caplog.messages[2] == "a.png: the model does not know contempt"
    figures = photographs.photo_figures(table)
    assert (figures["n"], figures["found"], figures["accuracy"], figures["accuracy_found"]) == (2, 1, 0.5, 1)
    assert figures["per_class"] == {"happy": {"n": 2, "found": 1, "right": 1}}


@pytest.mark.parametrize(
    "legend, said", [("file,label\na,b\n", "needs the columns"), ("image,emotion\n", "none of")]
)
def test_a_legend_that_cannot_be_used(tmp_path, legend, said):
    with pytest.raises(BadInputError, match=said):
        photographs.read_photographs(photo_folder(tmp_path, legend), AlwaysHappy(), HAAR)
    with pytest.raises(BadInputError, match="cannot be read"):
        photographs.read_photographs(tmp_path / "nowhere", AlwaysHappy(), HAAR)
