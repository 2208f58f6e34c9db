"""The labeller cell: a queue of boxes, answers saved at once and there again after a restart."""

import json

import pytest

from ferlib import synth
from ferlib.annotations import NO_FACE, compare, make_table, read_vott
from ferlib.boxes import iou
from ferlib.errors import BadInputError
from ferlib.images import load_image, write_image
from ferlib.labels import SEVEN
from ferlib.widgets.annotator import Annotator, LabelQueue

PICTURES = ("one.png", "two.png")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    photos = [p for p in map(synth.draw_photo, range(30)) if len(p.faces) == 2][: len(PICTURES)]
    for name, photo in zip(PICTURES, photos, strict=True):
        write_image(folder / name, photo.image)
    write_image(folder / "empty.png", photos[0].image[:40, :40] * 0 + 128)
    (folder / "broken.png").write_text("no picture")
    return folder


@pytest.fixture
def labels(tmp_path):
    return tmp_path / "labels"


def test_every_answer_is_on_disk_at_once_and_there_after_a_restart(raw, labels):
    queue = LabelQueue(raw, labels, PICTURES)
    assert len(queue.items) >= 3 and queue.answered == 0 and not labels.exists()
    for number, name in enumerate(("happy", NO_FACE, "fear"), start=1):
        queue.answer(name)
        table, problems = read_vott(labels)
        assert problems == [] and len(table) == number
        done = {
            item.image for item in queue.items if all(i.emotion for i in queue.items if i.image == item.image)
        }
        assert set(queue.finished()) == done
    again = LabelQueue(raw, labels, PICTURES)
    assert again.answered == 3 and again.position == 3
    assert [i.box for i in again.items] == [i.box for i in queue.items]
    assert [i.emotion for i in again.items] == [i.emotion for i in queue.items]
    assert again.table().equals(queue.table())


def test_an_answer_can_be_changed_and_moves_stay_inside(raw, labels):
    queue = LabelQueue(raw, labels, PICTURES)
    queue.previous()
    assert queue.position == 0
    queue.answer("happy")
    queue.previous()
    queue.answer("sad")
    assert read_vott(labels)[0]["emotion"].tolist() == ["sad"]
    for _ in range(20):
        queue.next()
    assert queue.position == len(queue.items) - 1
    queue.to_open()
    assert queue.position == 1


def test_what_is_no_answer_changes_nothing(raw, labels):
    queue = LabelQueue(raw, labels, PICTURES, ("happy", "sad"))
    for name in ("fear", "", None, "../happy"):
        with pytest.raises(BadInputError):
            queue.answer(name)
    assert queue.answered == queue.position == 0 and not labels.exists()


def test_an_answer_that_cannot_be_saved_is_not_shown_as_saved(raw, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    queue = LabelQueue(raw, blocked, PICTURES)
    with pytest.raises(OSError):
        queue.answer("happy")
    assert queue.answered == queue.position == 0
    cell = Annotator(queue)
    cell.buttons["happy"].click()
    assert "Not done" in cell.children[0].value and queue.answered == 0


def test_pictures_that_cannot_be_read_are_named_and_passed_over(raw, labels):
    queue = LabelQueue(raw, labels, ("gone.png", "broken.png", *PICTURES))
    assert [problem.split(":")[0] for problem in queue.problems] == ["gone.png", "broken.png"]
    assert {item.image for item in queue.items} == set(PICTURES)


def test_pictures_without_a_face_leave_nothing_to_label(raw, labels):
    queue = LabelQueue(raw, labels, ("empty.png",))
    assert queue.item is None and queue.picture().shape[2] == 3
    with pytest.raises(BadInputError, match="no box to label"):
        queue.answer("happy")
    cell = Annotator(queue)
    assert "nothing to label" in cell.children[0].value and all(b.disabled for b in cell.buttons.values())


def test_a_box_of_ones_own(raw, labels):
    queue = LabelQueue(raw, labels, PICTURES)
    count = len(queue.items)
    queue.add("one.png", (-5, -5, 25, 25))
    assert queue.item.box == (0, 0, 20, 20) and len(queue.items) == count + 1
    queue.answer("sad")
    assert read_vott(labels)[0][["image", "x", "width", "emotion"]].values.tolist() == [
        ["one.png", 0, 20, "sad"]
    ]
    assert len(LabelQueue(raw, labels, PICTURES).items) == count + 1
    for image, box in (("other.png", (0, 0, 9, 9)), ("one.png", (9000, 0, 9, 9))):
        with pytest.raises(BadInputError):
            queue.add(image, box)


def test_labels_that_vott_left_are_kept_in_their_file(raw, labels):
    labels.mkdir()
    height, width = load_image(raw / "one.png").shape[:2]
    box = {"boundingBox": {"left": 1, "top": 1, "width": 15, "height": 15}}
    regions = [{"id": "1", "tags": [], **box}, {"id": "2", "tags": ["happy", "x"], **box}]
    record = {"asset": {"id": "abc", "name": "one.png", "size": {"width": width, "height": height}}}
    file = labels / "abc-asset.json"
    file.write_text(json.dumps(record | {"regions": regions}))
    queue = LabelQueue(raw, labels, ("one.png",))
    assert queue.answered == 1 and queue.item.box == (1, 1, 15, 15)  # the one without a tag waits
    queue.to_open()
    queue.next()
    queue.next()
    queue.answer("fear")
    assert list(labels.iterdir()) == [file]
    tags = [region["tags"] for region in json.loads(file.read_text())["regions"]]
    assert [] in tags and ["happy", "x"] in tags and ["fear"] in tags and len(tags) == 3


def test_the_proposed_boxes_are_the_faces(raw, labels):
    queue = LabelQueue(raw, labels, ("one.png",))
    photo = next(p for p in map(synth.draw_photo, range(30)) if len(p.faces) == 2)
    truth = make_table(
        {
            "image": "one.png",
            **dict(zip(("x", "y", "width", "height"), f.box, strict=True)),
            "emotion": f.emotion,
        }
        for f in photo.faces
    )
    for item in list(queue.items):
        fits = [f.emotion for f in photo.faces if iou(f.box, item.box) >= 0.5]
        queue.answer(fits[0] if fits else NO_FACE)
    pairs = compare(truth, queue.table())
    assert (pairs["truth"] == pairs["label"]).all() and len(pairs) >= 2


def test_the_cell_follows_the_clicks(raw, labels):
    queue = LabelQueue(raw, labels, PICTURES)
    cell = Annotator(queue)
    assert list(cell.buttons) == [*SEVEN, NO_FACE]
    before = cell.children[1].value
    assert load_image(bytes(before)).shape == load_image(raw / "one.png").shape
    assert cell.children[0].value.startswith(f"Face 1 of {len(queue.items)}, 0 labelled")
    cell.buttons["happy"].click()
    assert queue.items[0].emotion == "happy" and cell.children[1].value != before
    cell.previous.click()
    assert queue.position == 0 and cell.buttons["happy"].button_style == "info"
    cell.next.click()
    cell.to_open.click()
    assert queue.position == 1
    while queue.answered < len(queue.items):
        cell.buttons[NO_FACE].click()
    assert "All done" in cell.children[0].value
