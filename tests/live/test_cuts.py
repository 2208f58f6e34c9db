"""Hard cuts are found; motion, flashes and noise are none."""

from pathlib import Path

import numpy as np
import pytest

from ferlib import synth
from ferlib.live import cuts, video

FILMS = Path(__file__).parents[1] / "cases/films"


def starts(images, fps=25):
    """Indices of the frames that begin a shot; every frame comes out once, in order."""
    read = [(video.Frame(k, k / fps, image), []) for k, image in enumerate(images)]
    marked = list(cuts.mark_cuts(iter(read)))
    assert [frame for frame, _, _ in marked] == [frame for frame, _ in read]
    return [frame.index for frame, _, is_cut in marked if is_cut]


@pytest.fixture(scope="module")
def shots():
    """Two films of 20 frames with different faces."""
    return [[image for image, _ in synth.film(seed, 2, fps=10, size=(320, 240))] for seed in (1, 2)]


def test_people_in_front_of_one_background():
    images = [frame.image for frame in video.frames(FILMS / "cuts7faces.mp4")]
    assert starts(images) == [36, 72, 108, 144, 180, 216]


@pytest.mark.parametrize("fps", [0.5, 5, 25, 100])
def test_a_cut_at_any_rate(shots, fps):
    assert starts(shots[0] + shots[1], fps) == [20]


def test_a_cut_shortly_before_the_end_and_short_shots(shots):
    assert starts([*shots[0], shots[1][0]]) == [20]
    assert starts([*shots[0], *shots[1][:8], *shots[0]]) == [20, 28]
    assert starts([shots[k % 2][k] for k in range(6)], fps=0.5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "light", [lambda x: x + 80.0, lambda x: x * 2.0, lambda x: x / 3, lambda x: 0 * x + 255]
)
@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_is_no_cut(shots, light, length):
    images = list(shots[0])
    for k in range(8, 8 + length):
        images[k] = np.clip(light(images[k]), 0, 255).astype(np.uint8)
    assert starts(images) == []


@pytest.mark.parametrize("step", [2, 10, 25, 60])
def test_a_pan_that_begins_and_ends_is_no_cut(step):
    wide = np.concatenate([synth.draw_photo(seed).image[:200, :250] for seed in range(8)], axis=1)
    offsets = [0] * 10 + [step * k for k in range(25)] + [step * 24] * 10
    assert starts([wide[:, offset : offset + 320] for offset in offsets]) == []


def test_noise_and_a_uniform_picture_are_no_cuts():
    rng = np.random.default_rng(3)
    gray = np.full((120, 160, 3), 90.0)
    assert (
        starts([np.clip(gray + rng.normal(0, 20, gray.shape), 0, 255).astype(np.uint8) for _ in range(20)])
        == []
    )


def test_there_may_be_no_frame_or_one(shots):
    assert starts([]) == starts(shots[0][:1]) == []
