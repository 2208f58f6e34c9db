"""The chart of pictures and the timeline of a video."""

import pytest

from ferlib.common import images
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import figures
from ferlib.model.recognise import Face


def chart(pictures=2):
    """Two faces in the first picture, one in the second."""
    made = figures.Chart(SEVEN)
    faces = [Face((0, 0, 9, 9), name, {name: p}) for name, p in (("happy", 0.5), ("sad", 0.9), ("sad", 1.0))]
    for found in (faces[:2], faces[2:])[:pictures]:
        made.add(found)
    made.add([])
    return made


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_chart_is_written(tmp_path, suffix):
    path = tmp_path / f"new/chart{suffix}"
    chart().write(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    if suffix == ".svg":
        assert "3 faces in 2 pictures" in path.read_text()
    if suffix == ".png":
        assert images.load_image(path).std() > 5


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [("chart.xyz", 1, "suffix"), ("chart.png", 0, "no face"), ("x/c.png", 1, "cannot")],
)
def test_charts_that_cannot_be_made(tmp_path, name, rows, words):
    (tmp_path / "x").write_text("")
    with pytest.raises(BadInputError, match=words):
        chart(rows).write(tmp_path / name)


def test_a_timeline_has_a_panel_for_each_of_the_longest_faces(tmp_path):
    timeline = figures.Timeline()
    row = {"happy": 0.75, "sad": 0.25}
    for k in range(4000):
        seen = [n for n in range(1, 7) if k % n == 0]
        timeline.add(k / 25, [Face((0, 0, 9, 9), "happy", row, track=n) for n in seen])
    assert len(timeline) == 6
    timeline.write(tmp_path / "line.svg", ("happy", "sad"))
    text = (tmp_path / "line.svg").read_text()
    assert all(f"<!-- face {n} -->" in text for n in (1, 2, 3, 4)) and "<!-- face 5 -->" not in text
    assert len(text) < 4_000_000
