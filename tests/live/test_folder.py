"""Folders: annotated copies, the chart, and what must not be written over."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ferlib import live, synth
from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.detect import detector as faces


class Model:
    class_names, input_shape = SEVEN, (48, 48, 1)

    def predict(self, faces):
        return np.tile(np.float32([0.05, 0.05, 0.1, 0.6, 0.1, 0.05, 0.05]), (len(faces), 1))


@pytest.fixture(scope="module")
def detector():
    return faces.load_cascade()


@pytest.fixture
def pictures(tmp_path):
    """a.PNG, b.webp and deep/a.png with a face each, one without, one broken."""
    cascade = faces.load_cascade()
    drawn, _ = synth.draw_faces(12, seed=5, size=160)
    found = [image for image in drawn if len(faces.detect_faces(image, cascade)) == 1]
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for name, image in zip(("a.PNG", "b.webp", "deep/a.png"), found, strict=False):
        Image.fromarray(image).save(folder / name)
    images.write_image(folder / "gray.jpg", np.full((80, 90, 3), 90, np.uint8))
    (folder / "broken.jpg").write_bytes(b"<html>")
    return folder


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_copies_lie_as_their_pictures_do_and_are_drawn_on(pictures, detector, tmp_path):
    out = tmp_path / "out"
    _, problems = live.predict_paths([pictures], Model(), detector, annotated=out)
    assert names(out) == ["a.PNG", "b.webp", "deep/a.png", "gray.jpg"]  # what cannot be read has no copy
    assert len(problems) == 2
    for name in ("a.PNG", "deep/a.png"):
        before, after = images.load_image(pictures / name), images.load_image(out / name)
        assert before.shape == after.shape and (before != after).any()
    plain = images.load_image(out / "a.PNG")
    live.predict_paths([pictures], Model(), detector, annotated=out, emoji=True)
    assert (images.load_image(out / "a.PNG") != plain).any(axis=2).mean() > 0.2


def test_copies_inside_the_folder_are_not_read_again(pictures, detector):
    first, _ = live.predict_paths([pictures], Model(), detector, annotated=pictures / "annotated")
    again, _ = live.predict_paths([pictures], Model(), detector, annotated=pictures / "annotated")
    assert list(first["file"]) == list(again["file"]) and not first["file"].str.contains("annotated").any()


def test_no_picture_is_written_over(pictures, detector):
    before = {name: (pictures / name).read_bytes() for name in names(pictures)}
    with pytest.raises(BadInputError, match="written over"):
        live.predict_paths([pictures / "a.PNG"], Model(), detector, annotated=pictures)
    assert {name: (pictures / name).read_bytes() for name in names(pictures)} == before


def test_two_pictures_of_one_name_have_two_copies(pictures, detector, tmp_path):
    out = tmp_path / "out"
    given = [pictures / "a.PNG", pictures / "deep/a.png"]
    live.predict_paths(given, Model(), detector, annotated=out)
    assert names(out) == ["a-2.png", "a.PNG"]
    assert images.load_image(out / "a-2.png").shape == images.load_image(given[1]).shape


def test_a_folder_of_copies_that_cannot_be_written(pictures, detector, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be written"):
        live.predict_paths([pictures / "a.PNG"], Model(), detector, annotated=tmp_path / "file/out")


def test_a_flat_folder_is_asked_for(pictures, detector):
    table, _ = live.predict_paths([pictures], Model(), detector, recursive=False)
    assert set(table["file"]) == {(pictures / name).as_posix() for name in ("a.PNG", "b.webp")}


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_chart_is_written(pictures, detector, tmp_path, suffix):
    table, _ = live.predict_paths([pictures], Model(), detector)
    path = tmp_path / f"new/chart{suffix}"
    live.write_chart(table, SEVEN, path)
    assert names(path.parent) == [path.name]
    if suffix == ".svg":
        assert path.read_text().startswith("<?xml")
    if suffix == ".png":
        assert images.load_image(path).std() > 5


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [("chart.xyz", 1, "suffix"), ("chart.png", 0, "no face"), ("x/c.png", 1, "cannot")],
)
def test_charts_that_cannot_be_made(tmp_path, name, rows, words):
    (tmp_path / "x").write_text("")
    table = pd.DataFrame({"file": ["a"], "emotion": ["happy"], "probability": [0.5]})[:rows]
    with pytest.raises(BadInputError, match=words):
        live.write_chart(table, SEVEN, tmp_path / name)
