"""The page opens without a network, shows no face unless asked, and is the same for the same report."""

from html.parser import HTMLParser

import pytest

from ferlib.evaluate import html_report
from tests.evaluate.conftest import AlwaysHappy


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value) for name, value in attrs if name in ("src", "href", "srcset")]


def page(path):
    parser = Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.found


@pytest.fixture
def short(measured):
    """The report with as few figures as a page can have."""
    report, _ = measured
    return {key: value for key, value in report.items() if key not in ("curves", "light", "drawn", "votes")}


def test_the_page_needs_no_network_and_shows_no_face_unless_asked(measured, tmp_path):
    report, _ = measured
    html_report.write_html({**report, "note": "<b> & more"}, tmp_path / "a.html")
    found = page(tmp_path / "a.html")
    assert len(found) == 5 and all(value.startswith("data:image/svg+xml;base64,") for *_, value in found)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "@import" not in text and "&lt;b&gt; &amp; more" in text
    assert f"{report['accuracy']:.2%}" in text and "TP / (TP + FN)" in text
    for heading in ("By class", "Calibration", "A second look", "By light", "On drawn faces", "65 ± 5 %"):
        assert heading in text


def test_what_the_report_lacks_is_left_out_and_the_page_is_the_same_each_time(short, tmp_path):
    for name in ("a.html", "b.html"):
        html_report.write_html(short | {"labels": "ferplus", "flip": True}, tmp_path / name)
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert len(page(tmp_path / "a.html")) == 2 and "mirror image" in text
    assert "those that most of FER+'s ten voters gave" in text
    for heading in (
        "ROC and precision-recall",
        "A second look",
        "By light",
        "On drawn faces",
        "mistakes",
        "65 ±",
    ):
        assert heading not in text


def test_a_report_of_an_earlier_version_says_how_faces_were_read(short, tmp_path):
    del short["tta"]
    html_report.write_html(short | {"flip": False}, tmp_path / "a.html")
    assert "PublicTest rows, each face once" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_worst_mistakes_are_pictures_of_the_page(bundle, measured, noise, short, tmp_path):
    _, predictions = measured
    faces = noise.pixels[predictions.rows]
    with_heat = html_report.worst_mistakes(bundle, predictions, faces, 4)
    without = html_report.worst_mistakes(AlwaysHappy(), predictions, faces, 4)  # it has no feature maps
    assert with_heat[:4] == without[:4] == b"\x89PNG" and with_heat != without
    html_report.write_html(short, tmp_path / "c.html", [with_heat])
    assert sum(value.startswith("data:image/png") for *_, value in page(tmp_path / "c.html")) == 1
    assert "The worst mistakes" in (tmp_path / "c.html").read_text(encoding="utf-8")
