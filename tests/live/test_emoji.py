"""Emoji: one for each expression, told apart when small, blended, and cut off at the border."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN
from ferlib.live import emoji, overlay
from ferlib.model.recognise import Face


@pytest.mark.parametrize("name", emoji.NAMES)
@pytest.mark.parametrize("size", [1, 24, 48, 500])
def test_an_emoji_of_any_size_has_transparency(name, size):
    drawn = np.asarray(emoji.load_emoji(name, size))
    assert drawn.shape == (size, size, 4) and drawn.dtype == np.uint8
    if size > 1:
        assert (drawn[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()  # corners are clear
        assert drawn[size // 2, size // 2, 3] == 255
        assert 0.7 < (drawn[..., 3] / 255).mean() < 0.79  # a disc fills π/4 = 0.785 of its square
        assert len(np.unique(drawn[..., 3])) > 2  # with soft edges


def test_all_seven_classes_have_one():
    assert set(SEVEN) < set(emoji.NAMES)


def test_expressions_are_told_apart_at_48_pixels_without_their_colours():
    """By their lines alone, as a colour-blind reader or a gray print sees them."""

    def lines(name):
        drawn = np.asarray(emoji.load_emoji(name, 48))[..., :3].astype(float).mean(axis=2)
        inside = drawn[8:42, 6:42]
        return inside < 0.6 * np.median(inside)

    for a, b in combinations(emoji.NAMES, 2):
        dark_a, dark_b = lines(a), lines(b)
        assert dark_a.any() and dark_b.any()
        assert (dark_a & dark_b).sum() < 0.7 * (dark_a | dark_b).sum(), (a, b)


@given(st.integers(-60, 90), st.integers(-60, 70), st.integers(1, 120), st.integers(1, 120))
def test_what_reaches_over_the_border_is_cut_off(x, y, width, height):
    """The picture gets what a larger one would show in its place."""
    small, large = (Image.new("RGB", size, (120, 120, 120)) for size in ((70, 50), (370, 350)))
    emoji.place_emoji(small, "happy", (x, y, width, height))
    emoji.place_emoji(large, "happy", (x + 150, y + 150, width, height))
    assert (np.asarray(small) == np.asarray(large)[150:200, 150:220]).all()


def test_blending_is_by_opacity():
    image = np.random.default_rng(2).integers(0, 256, (200, 200, 3), np.uint8)
    before = image.astype(float)
    canvas = Image.fromarray(image)
    emoji.place_emoji(canvas, "fear", (50, 50, 100, 100))
    image = np.asarray(canvas)
    drawn = np.asarray(emoji.load_emoji("fear", 110)).astype(float)
    opacity = drawn[..., 3:] / 255
    wanted = drawn[..., :3] * opacity + before[45:155, 45:155] * (1 - opacity)
    assert np.abs(image[45:155, 45:155] - wanted).max() <= 0.51
    rest = np.ones((200, 200), bool)
    rest[45:155, 45:155] = False
    assert (image[rest] == before[rest]).all()


@pytest.mark.parametrize("name", ["rest", "Happy", ""])
def test_an_expression_without_emoji_is_refused(name):
    with pytest.raises(BadInputError, match=f"unknown emoji '{name}'; known are angry, .*, contempt"):
        emoji.load_emoji(name, 40)


def test_a_size_below_one_pixel_is_refused():
    with pytest.raises(BadInputError, match="emoji size 0 is below 1 pixel"):
        emoji.load_emoji("happy", 0)


def test_the_files_are_small_and_tell_nothing_of_the_machine():
    for name in emoji.NAMES:
        file = Path(emoji.__file__).parent / "emoji_images" / f"{name}.png"
        with Image.open(file) as image:
            assert image.size == (384, 384) and image.mode == "RGBA" and not image.info
        assert file.stat().st_size < 40_000


def test_readings_with_emoji_cover_the_face_and_keep_the_input():
    image = np.full((240, 320, 3), 90, np.uint8)
    face = Face((100, 80, 90, 90), "angry", {"angry": 0.8, "rest": 0.2})
    plain, covered = (overlay.draw_predictions(image, [face], bars=False, emoji=e) for e in (False, True))
    middle = np.s_[95:155, 115:175]
    assert (image == 90).all() and (plain[middle] == 90).all() and (covered[middle] != 90).any(axis=2).all()


def test_a_class_without_emoji_is_not_covered():
    image = np.full((240, 320, 3), 90, np.uint8)
    face = Face((100, 80, 90, 90), "rest", {"happy": 0.2, "rest": 0.8})
    both = [overlay.draw_predictions(image, [face], emoji=e) for e in (False, True)]
    assert (both[0] == both[1]).all()
