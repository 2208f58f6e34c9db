"""A font for class names in any script: in pictures, in figures, and what is said where there is none."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import ImageFont

from ferlib.common import fonts, plots
from ferlib.live import overlay
from ferlib.model.recognise import Face


@pytest.fixture(autouse=True)
def fresh():
    fonts._find.cache_clear()


@pytest.fixture
def cyrillic():
    try:
        return ImageFont.truetype("DejaVuSans.ttf", 20).path
    except OSError:
        pytest.skip("no DejaVu Sans on this machine")


def test_pillows_own_font_is_taken_where_it_has_the_letters(caplog):
    assert fonts.find_font("happy 99 %") == "" and caplog.messages == []


def test_a_font_of_the_machine_has_the_others(cyrillic, caplog):
    assert fonts.find_font("Радость") == fonts.find_font("fröhlich") == cyrillic and caplog.messages == []


def drawn(name):
    image = np.zeros((200, 300, 3), np.uint8)
    return overlay.draw_predictions(image, [Face((60, 60, 90, 90), name, {name: 0.9, "x": 0.1})])


def test_labels_are_letters_and_no_boxes(cyrillic, monkeypatch):
    right = [drawn(name) for name in ("Страх", "Мрачн")]
    assert not np.array_equal(*right)
    monkeypatch.setattr(fonts, "FONTS", ())
    fonts._find.cache_clear()
    boxes = [drawn(name) for name in ("Страх", "Мрачн")]
    assert np.array_equal(*boxes)  # each letter is the same box


def test_what_no_font_has_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(fonts, "FONTS", ("no such font.ttf",))
    for text in ("高兴", "高兴 90%", "兴高"):
        assert fonts.find_font(text) == ""
    (line,) = caplog.messages
    assert "兴高" in line and "fonts-noto-cjk" in line


@pytest.mark.filterwarnings("error")
def test_a_figure_takes_a_second_font_or_says_that_there_is_none(tmp_path, monkeypatch, caplog):
    figure = Figure()
    text = figure.subplots().set_title("高兴")
    monkeypatch.setattr(fonts, "FONTS", ())
    plots.save_figure(figure, tmp_path / "a.png")
    assert len(caplog.messages) == 1 and len(text.get_fontfamily()) == 1
    monkeypatch.setattr(plots, "find_font", lambda text: str(plots.font_manager.findfont("STIXGeneral")))
    plots.save_figure(figure, tmp_path / "a.png")
    assert text.get_fontfamily()[-1] == "STIXGeneral"
