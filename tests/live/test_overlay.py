"""What is drawn into a picture stays inside it, legible, beside the faces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.common.colours import EMOTION_COLOURS, colours_of, contrast, ink_on
from ferlib.common.errors import ImageError
from ferlib.common.labels import REST, SEVEN
from ferlib.live import overlay
from ferlib.model.recognise import Face


def face(box, emotion="surprise", class_names=SEVEN):
    others = (1 - 0.9) / (len(class_names) - 1)
    return Face(box, emotion, {n: 0.9 if n == emotion else others for n in class_names})


def inside(rect, frame):
    x, y, width, height = rect
    return x >= 0 and y >= 0 and x + width <= frame[0] and y + height <= frame[1]


def touch(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@st.composite
def frames_with_boxes(draw, most=4):
    width, height = draw(st.integers(8, 900)), draw(st.integers(8, 700))
    boxes = []
    for _ in range(draw(st.integers(1, most))):
        w, h = draw(st.integers(1, width)), draw(st.integers(1, height))
        boxes.append((draw(st.integers(0, width - w)), draw(st.integers(0, height - h)), w, h))
    return (width, height), boxes


@given(frames_with_boxes(), st.integers(1, 300), st.integers(1, 60))
def test_a_label_is_inside_the_frame_and_touches_its_face(case, width, height):
    frame, boxes = case
    width, height = min(width, frame[0]), min(height, frame[1])
    place = overlay.place_label(boxes[0], (width, height), frame)
    assert inside(place, frame) and place[2:] == (width, height)
    x, y, w, h = boxes[0]
    assert touch(place, (x - 1, y - 1, w + 2, h + 2))


@given(frames_with_boxes(), st.lists(st.sampled_from(SEVEN), min_size=4, max_size=4))
def test_labels_are_on_no_other_label_where_there_is_room(case, emotions):
    frame, boxes = case
    faces = [face(box, emotion) for box, emotion in zip(boxes, emotions, strict=False)]
    labels = overlay.place_labels(faces, 12, frame)
    for k, label in enumerate(labels):
        assert inside(label.box, frame)
        before = [other.box for other in labels[:k]]
        if any(touch(label.box, other) for other in before):  # then no smaller one fits elsewhere, either
            (smallest,) = overlay.place_labels([face((0, 0, 1, 1), emotions[k])], 7, (99, 99))
            assert overlay.place_label(boxes[k], smallest.box[2:], frame, before) is None and label.text


@pytest.mark.parametrize(
    "frame, boxes",
    [
        ((160, 120), [(10, 20, 40, 40), (60, 30, 36, 36), (110, 25, 40, 40)]),
        ((640, 480), [(20, 40, 60, 60), (100, 40, 160, 160), (300, 90, 300, 300)]),
        ((120, 90), [(5, 5, 40, 40), (60, 20, 40, 40)]),
    ],
)
def test_labels_of_neighbours_stay_apart_in_full_size(frame, boxes):
    labels = overlay.place_labels([face(box) for box in boxes], 11, frame)
    places = [label.box for label in labels]
    assert not any(touch(a, b) for k, a in enumerate(places) for b in places[:k])
    assert not any(touch(a, b) for k, a in enumerate(places) for n, b in enumerate(boxes) if n != k)
    assert all(label.text.startswith("surprise") and label.size == 11 for label in labels)


@given(frames_with_boxes(), st.integers(1, 300), st.integers(1, 200))
def test_bars_are_inside_the_frame_and_on_nothing_else(case, width, height):
    frame, boxes = case
    place = overlay.place_bars(boxes[0], (width, height), boxes, frame)
    if place is None:
        return
    assert inside(place, frame) and place[2:] == (width, height)
    assert not any(touch(place, box) for box in boxes if box != boxes[0])
    if touch(place, boxes[0]):
        assert width * height <= 0.36 * boxes[0][2] * boxes[0][3] or not inside(place, boxes[0])


def test_bars_stand_right_of_a_face_unless_there_is_no_room():
    size, frame = (100, 90), (320, 240)
    assert overlay.place_bars((100, 60, 100, 100), size, [], frame) == (200, 60, 100, 90)
    assert overlay.place_bars((200, 60, 110, 110), size, [], frame) == (100, 60, 100, 90)
    assert overlay.place_bars((80, 60, 150, 150), size, [], frame) == (
        220,
        60,
        100,
        90,
    )  # on a little of its edge
    assert overlay.place_bars((20, 0, 280, 120), size, [], frame) == (20, 120, 100, 90)
    assert overlay.place_bars((0, 0, 320, 240), size, [], frame) == (
        220,
        150,
        100,
        90,
    )  # a corner of the face
    assert overlay.place_bars((0, 0, 90, 90), (320, 240), [], frame) is None
    assert overlay.place_bars((0, 0, 90, 90), (321, 10), [], frame) is None


@settings(max_examples=60, deadline=None)
@given(frames_with_boxes(), st.sampled_from(SEVEN), st.booleans())
def test_drawing_keeps_the_picture_its_size_and_its_input(case, emotion, bars):
    (width, height), boxes = case
    image = np.full((height, width, 3), 77, np.uint8)
    drawn = overlay.draw_predictions(image, [face(box, emotion) for box in boxes], bars)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == 77).all()
    assert (drawn != 77).any()
    assert drawn.flags.writeable


def text_boxes(monkeypatch):
    """Where Pillow puts letters while a picture is drawn: (left, top, right, bottom), text, letter size."""
    seen = []
    original = overlay.ImageDraw.ImageDraw.text

    def text(self, xy, text, font=None, anchor=None, **rest):
        seen.append((self.textbbox(xy, text, font=font, anchor=anchor), text, font.size, self.im.size))
        return original(self, xy, text, font=font, anchor=anchor, **rest)

    monkeypatch.setattr(overlay.ImageDraw.ImageDraw, "text", text)
    return seen


@pytest.mark.parametrize(
    "size", [(48, 48), (96, 96), (160, 120), (320, 240), (640, 480), (240, 320), (1920, 1080)]
)
@pytest.mark.parametrize("where", ["whole", "top left", "bottom right", "middle"])
def test_all_letters_are_inside_and_large_enough(monkeypatch, size, where):
    width, height = size
    w, h = width // 3, height // 2
    box = {
        "whole": (0, 0, width, height),
        "top left": (0, 0, w, h),
        "bottom right": (width - w, height - h, w, h),
        "middle": (width // 3, height // 4, w, h),
    }[where]
    seen = text_boxes(monkeypatch)
    overlay.draw_predictions(np.zeros((height, width, 3), np.uint8), [face(box)])
    assert seen, "no label was drawn"
    for (left, top, right, bottom), text, letters, _ in seen:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height, text
        assert letters >= (7 if width < 96 else 10)
    assert seen[-1][1].startswith("surprise")
    if min(size) >= 240 and where != "whole":
        names = {text for _, text, _, _ in seen} - {"surprise 90%"}
        assert names == set(SEVEN) or (size == (240, 320) and len(names) == 3 and "surprise" in names)


@pytest.mark.parametrize("name", [*SEVEN, REST])
def test_letters_stand_out_on_their_label(name):
    colour = EMOTION_COLOURS[name]
    assert contrast(ink_on(colour), colour) >= 4.5


def test_contrast_is_that_of_the_web_guidelines():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)  # #777 on white
    assert contrast((5, 6, 7), (5, 6, 7)) == 1


def test_colours_differ_and_every_class_has_one():
    assert len(set(colours_of((*SEVEN, REST)).values())) == 8
    own = colours_of(("happy", "高兴", "bored"))
    assert own["happy"] == EMOTION_COLOURS["happy"] and len(set(own.values())) == 3
    image = np.zeros((240, 320, 3), np.uint8)
    drawn = overlay.draw_predictions(image, [face((100, 80, 90, 90), "bored", tuple(own))], bars=False)
    assert tuple(drawn[120, 100]) == own["bored"]


def test_the_box_edge_has_the_colour_of_the_emotion():
    image = np.zeros((240, 320, 3), np.uint8)
    drawn = overlay.draw_predictions(image, [face((100, 80, 90, 90), "happy")], bars=False)
    for x, y in ((100, 120), (189, 120), (140, 169)):
        assert tuple(drawn[y, x]) == EMOTION_COLOURS["happy"]
    assert not drawn[:, :90].any() and not drawn[:, 200:].any()  # box and label stay where they belong


def test_a_longer_bar_is_a_larger_probability():
    image = np.zeros((240, 320, 3), np.uint8)
    two = Face((20, 40, 90, 90), "happy", {"happy": 0.8, "rest": 0.2})
    drawn = overlay.draw_predictions(image, [two])[:, 115:]
    wide = [(drawn == EMOTION_COLOURS[name]).all(axis=2).sum(axis=1).max() for name in ("happy", "rest")]
    assert wide[0] == pytest.approx(4 * wide[1], abs=3)


def test_no_faces_no_change():
    image = np.random.default_rng(1).integers(0, 256, (50, 60, 3), np.uint8)
    drawn = overlay.draw_predictions(image, [])
    assert (drawn == image).all() and drawn is not image


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), "a.png", None]
)
def test_what_is_no_rgb_picture_is_refused(image):
    with pytest.raises(ImageError, match="expected"):
        overlay.draw_predictions(image, [])
