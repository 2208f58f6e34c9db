"""The labeller: a queue of pictures, each change saved at once and there again after a restart, and its cell."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ferlib import synth
from ferlib.annotate.agreement import pair_labels
from ferlib.annotate.formats.vott import read_project, read_vott, write_vott
from ferlib.annotate.session import EXCLUDED, OPEN, UNREADABLE, LabelConflict, LabelQueue, Region
from ferlib.annotate.table import NO_FACE, make_table
from ferlib.annotate.widget import NO_LABEL, Annotator
from ferlib.common.boxes import iou
from ferlib.common.errors import BadInputError
from ferlib.common.images import load_image, write_image
from ferlib.common.labels import SEVEN
from ferlib.detect import detector

PHOTOS = [p for p in map(synth.draw_photo, range(40)) if len(p.faces) == 2][:3]
PICTURES = ("a one.png", "b.png", "sub/ö.png")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "sub").mkdir()
    for name, photo in zip(PICTURES, PHOTOS, strict=True):
        write_image(folder / name, photo.image)
    return folder


class RememberingCascade:
    """A Haar cascade that looks at each picture once: most tests ask for the same three."""

    def __init__(self):
        self.cascade, self.found = detector.load_cascade(), {}

    def detectMultiScale(self, gray, **settings):
        key = gray.tobytes()
        if key not in self.found:
            self.found[key] = self.cascade.detectMultiScale(gray, **settings)
        return self.found[key]


@pytest.fixture(scope="module")
def haar():
    return RememberingCascade()


class Guesser:
    """Stands for a bundle: says happy, then disgust, then happy …"""

    class_names, input_shape = SEVEN, (48, 48, 1)

    def predict(self, inputs):
        assert inputs.dtype == np.uint8 and inputs.shape[1:] == (48, 48)
        return np.eye(7, dtype=np.float32)[[3 if k % 2 == 0 else 1 for k in range(len(inputs))]]


@pytest.fixture
def make(raw, haar, tmp_path):
    def make(pictures=None, folder=raw, labels=tmp_path / "labels", **more):
        return LabelQueue(folder, labels, pictures, **({"detector": haar} | more))

    make.labels = tmp_path / "labels"
    return make


def saved(make):
    project = read_project(make.labels, keep_all=True)
    assert project.problems == []
    return project.table()


def test_the_pictures_of_a_folder_wait_in_a_row(make, raw):
    queue = make()
    assert queue.pictures == list(PICTURES) and queue.image_name == PICTURES[0]
    assert [queue.state(name) for name in PICTURES] == [OPEN] * 3 and not make.labels.exists()
    queue.previous()
    assert queue.position == 0
    for _ in range(5):
        queue.next()
    assert queue.image_name == PICTURES[2]
    queue.to_first_open()
    assert queue.image_name == PICTURES[0]
    assert not make.labels.exists()  # looking saves nothing


def test_the_proposed_boxes_are_the_faces(make):
    queue = make()
    for photo in PHOTOS:
        assert [region.emotion for region in queue.regions] == [""] * len(queue.regions)
        assert all(max(iou(face.box, region.box) for region in queue.regions) > 0.5 for face in photo.faces)
        queue.next()


def test_every_change_is_on_disk_at_once_and_there_after_a_restart(make):
    queue = make()
    count = len(queue.regions)
    queue.label(0, "happy")
    table = saved(make)
    assert table["emotion"].tolist() == ["happy"] + [""] * (
        count - 1
    )  # the others wait, and are kept as well
    assert queue.state(PICTURES[0]) == OPEN
    queue.label(1, NO_FACE)
    queue.set_regions([*queue.regions, Region((-5, -5, 25, 25), "fear", "fear")])
    assert saved(make).iloc[-1][["x", "y", "width", "height", "emotion"]].tolist() == [0, 0, 20, 20, "fear"]
    again = make()
    assert again.table().equals(queue.table()) and len(again.table()) == 3
    assert again.finished() == queue.finished() == ([PICTURES[0]] if count == 2 else [])
    again.position = 0
    assert [m.box for m in again.regions] == [m.box for m in queue.regions]
    queue.set_regions(queue.regions[1:])
    assert len(saved(make)) == len(queue.regions) == count
    assert len(make().regions if count > 2 else []) in (0, count)


def test_a_box_that_was_removed_is_not_proposed_again(make):
    queue = make()
    queue.set_regions([])
    assert queue.state(PICTURES[0]) == OPEN  # nobody has said yet that there is no face
    again = make()
    assert again.image_name == PICTURES[0] and again.regions == [] and again.state(PICTURES[0]) == OPEN


def test_a_picture_that_vott_only_visited_gets_proposals(make):
    write_vott(make_table(), make.labels, {PICTURES[0]: (64, 48)})
    queue = make()
    assert queue.image_name == PICTURES[0] and len(queue.regions) >= 2


def test_a_picture_without_a_face_is_done_when_a_person_says_so(make):
    queue = make()
    queue.set_regions([])
    queue.confirm()
    assert queue.position == 1 and queue.finished() == [PICTURES[0]] and len(queue.table()) == 0
    again = make()
    assert again.finished() == [PICTURES[0]] and again.position == 1
    again.previous()
    assert again.regions == []


def test_guesses_wait_for_a_person(make):
    queue = make(bundle=Guesser())
    guesses = [region.guess for region in queue.regions]
    assert guesses[:2] == ["happy", "disgust"] and not any(region.emotion for region in queue.regions)
    assert len(queue.table()) == 0 and not make.labels.exists()
    queue.label(1, "sad")
    assert saved(make)["emotion"].tolist()[:2] == ["", "sad"]  # a guess is no label
    again = make(bundle=Guesser())
    assert again.regions[0].guess == "happy" and again.regions[1] == Region(
        queue.regions[1].box, "sad", "sad"
    )
    again.confirm()
    assert saved(make)["emotion"].tolist()[:2] == ["happy", "sad"] and again.image_name == PICTURES[1]


def test_guesses_are_put_in_the_words_of_the_class_set(make):
    assert [m.guess for m in make(bundle=Guesser(), class_names=("happy", "rest")).regions[:2]] == [
        "happy",
        "rest",
    ]
    assert [m.guess for m in make(bundle=Guesser(), class_names=("sad", "disgust")).regions[:2]] == [
        "",
        "disgust",
    ]


def test_without_guess_or_label_nothing_is_confirmed(make):
    queue = make()
    queue.label(0, "sad")
    with pytest.raises(BadInputError, match=r"box 2.* of a one\.png has no label"):
        queue.confirm()
    assert queue.position == 0 and queue.state(PICTURES[0]) == OPEN


def test_skipped_pictures_stay_open_and_excluded_ones_are_left_out(make):
    queue = make()
    queue.next()
    for number in range(len(queue.regions)):
        queue.label(number, "fear")
    assert len(queue.table()) > 0
    queue.exclude()
    assert queue.image_name == PICTURES[2] and queue.state(PICTURES[1]) == EXCLUDED
    assert len(queue.table()) == 0 and len(read_vott(make.labels)) == 0  # in the file, and not in the table
    again = make()
    assert [again.state(name) for name in PICTURES] == [OPEN, EXCLUDED, OPEN] and again.position == 0
    queue.to_first_open()
    assert queue.position == 0
    queue.next()
    queue.exclude(False)
    assert queue.position == 1


def test_an_excluded_picture_keeps_its_boxes(make):
    queue = make()
    queue.label(0, "fear")
    queue.exclude()
    again = make()
    again.previous()
    assert again.image_name == PICTURES[0]
    again.exclude(False)
    assert saved(make)["emotion"].tolist()[0] == "fear" and make().state(PICTURES[0]) == OPEN


def test_what_is_no_answer_changes_nothing(make):
    queue = make(class_names=("happy", "sad"))
    for number, name in ((0, "fear"), (0, ""), (0, None), (0, "../happy"), (99, "sad"), (-1, "sad")):
        with pytest.raises(BadInputError):
            queue.label(number, name)
    for box in ((9000, 0, 9, 9), (0, 0, 0, 9)):
        with pytest.raises(BadInputError, match="no pixel inside"):
            queue.set_regions([*queue.regions, Region(box, "sad", "sad")])
    assert not make.labels.exists()


def test_what_cannot_be_saved_is_not_shown_as_saved(make, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    queue = make(labels=blocked)
    before = queue.regions
    for act in (lambda: queue.label(0, "happy"), queue.exclude, lambda: queue.set_regions([])):
        with pytest.raises(BadInputError, match="cannot be saved"):
            act()
        assert queue.regions == before and queue.state(PICTURES[0]) == OPEN and queue.position == 0
    cell = Annotator(queue)
    cell.canvas.selected_index, cell.canvas.label = 0, "happy"
    assert "Not done" in cell.state.value


def test_pictures_that_cannot_be_read_are_named_and_passed_over(make, raw, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(raw, folder)
    (folder / "0.png").write_text("no picture")
    (folder / "c.png").write_bytes((folder / "b.png").read_bytes()[:999])
    queue = make(folder=folder)
    assert queue.image_name == PICTURES[0]
    while queue.image_name != PICTURES[2]:
        queue.next()
    assert [problem.split(":")[0] for problem in queue.problems] == ["0.png", "c.png"]
    assert queue.state("0.png") == queue.state("c.png") == UNREADABLE
    assert make(["gone.png"]).image_name is None


def test_nothing_to_label(make, tmp_path):
    (tmp_path / "empty").mkdir()
    queue = make(folder=tmp_path / "empty")
    assert queue.image_name is None and queue.regions == [] and queue.load_image().shape[2] == 3
    for act in (
        queue.confirm,
        queue.exclude,
        lambda: queue.label(0, "sad"),
        lambda: queue.set_regions([Region((0, 0, 9, 9))]),
    ):
        with pytest.raises(BadInputError):
            act()
    cell = Annotator(queue)
    assert "no picture to label" in cell.state.value
    for button in (cell.next, cell.previous, cell.to_first_open, cell.exclude):
        button.click()
    with pytest.raises(BadInputError, match="no such folder"):
        make(folder=tmp_path / "gone")
    with pytest.raises(BadInputError, match="leads outside"):
        make(["../a.png"])


def test_labels_that_vott_left_are_kept_in_their_file(make, raw):
    make.labels.mkdir()
    height, width = load_image(raw / "b.png").shape[:2]
    box = {"boundingBox": {"left": 1, "top": 1, "width": 15, "height": 15}}
    bad = {"id": "3", "tags": ["sad"], "boundingBox": {"left": None}}
    regions = [{"id": "1", "tags": [], **box}, {"id": "2", "tags": ["Happiness", "x"], **box}]
    record = {"asset": {"id": "abc", "name": "b.png", "size": {"width": width, "height": height}}}
    file = make.labels / "abc-asset.json"
    file.write_text(json.dumps(record | {"regions": regions}))
    queue = make(["b.png"])
    assert [m.emotion for m in queue.regions] == ["", "happy"]  # no proposals beside a person's boxes
    queue.label(0, "fear")
    assert list(make.labels.glob("*.json")) == [file]
    tags = [region["tags"] for region in json.loads(file.read_text())["regions"]]
    assert tags == [["fear"], ["Happiness", "x"]]
    file.write_text(json.dumps(record | {"regions": [*regions, bad]}))
    queue = make(["b.png"])
    queue.label(0, "sad")
    assert len(queue.problems) == 1  # a region that we could not read: the file as it was is kept beside
    assert len(json.loads((make.labels / "abc-asset.json.original").read_text())["regions"]) == 3


def test_a_project_that_moved_opens_with_its_labels(make, raw, tmp_path):
    project = tmp_path / "here"
    shutil.copytree(raw, project / "raw")
    queue = make(folder=project / "raw", labels=project / "labels")
    queue.position = 2
    for number in range(len(queue.regions)):
        queue.label(number, "sad")
    shutil.move(project, tmp_path / "there")
    again = make(folder=tmp_path / "there" / "raw", labels=tmp_path / "there" / "labels")
    assert again.finished() == [PICTURES[2]] and again.table().equals(queue.table())
    assert not any(str(tmp_path) in f.read_text() for f in (tmp_path / "there" / "labels").iterdir())


def test_progress_by_class(make):
    queue = make()
    queue.label(0, "happy")
    queue.label(1, "happy")
    queue.next()
    queue.exclude()
    states, boxes = queue.progress()
    assert states.sum() == 3 and states[EXCLUDED] == 1 and list(boxes.index) == [*SEVEN, NO_FACE]
    assert boxes["happy"] == 2 and boxes.sum() == 2


def test_labels_are_scored_against_a_truth(make):
    queue = make(PICTURES[:1])
    rows = [dict(zip(("x", "y", "width", "height"), f.box, strict=True)) for f in PHOTOS[0].faces]
    truth = make_table(
        {"image": PICTURES[0], "emotion": f.emotion, **row}
        for f, row in zip(PHOTOS[0].faces, rows, strict=True)
    )
    for number, region in enumerate(queue.regions):
        fits = [f.emotion for f in PHOTOS[0].faces if iou(f.box, region.box) >= 0.5]
        queue.label(number, fits[0] if fits else NO_FACE)
    pairs = pair_labels(truth, queue.table())
    assert (pairs["first"] == pairs["second"]).all() and len(pairs) >= 2


# ---- the cell ------------------------------------------------------------------------------------


def test_the_cell_shows_the_picture_and_its_boxes(make, raw):
    cell = Annotator(make(bundle=Guesser()))
    assert cell.canvas.classes == [NO_LABEL, *SEVEN, NO_FACE]
    assert load_image(bytes(cell.canvas.image_bytes)).shape == load_image(raw / PICTURES[0]).shape
    assert [box["label"] for box in cell.canvas.bboxes][:2] == ["happy?", "disgust?"]
    assert cell.canvas.selected_index == 0 and "Picture 1 of 3: a one.png" in cell.state.value
    assert "0 of 3 pictures done" in cell.counts.value and repr(cell).startswith(
        "Annotator: 3 pictures, 0 done"
    )
    assert not make.labels.exists()


def test_a_key_names_the_selected_box_and_the_next_one_is_selected(make):
    cell = Annotator(make())
    cell.canvas.label = "happy"
    assert saved(make)["emotion"].tolist()[:2] == ["happy", ""]
    assert cell.canvas.selected_index == 1 and cell.canvas.label == NO_LABEL
    cell.canvas.label = "happy"  # the same key again
    assert saved(make)["emotion"].tolist()[:2] == ["happy", "happy"]
    cell.canvas.selected_index = -1
    cell.canvas.label = "sad"
    assert "sad" not in saved(make)["emotion"].tolist()


def test_the_drawing_widgets_own_first_class_names_nothing(make):
    cell = Annotator(make())
    cell.canvas.label = "happy"
    cell.canvas.selected_index = 0
    before = saved(make)
    cell.canvas.label = ""
    cell.canvas.label = NO_LABEL  # as the widget does by itself when it is drawn
    assert saved(make).equals(before)


def test_drawing_moving_and_removing_are_saved(make):
    cell = Annotator(make())
    drawn = {"x": 3.4, "y": 4.6, "width": 0, "height": 0, "label": NO_LABEL}
    cell.canvas.bboxes = [*cell.canvas.bboxes, drawn]  # the mouse goes down
    assert not make.labels.exists()
    cell.canvas.bboxes = [*cell.canvas.bboxes[:-1], drawn | {"width": 20, "height": 30}]
    assert saved(make).iloc[-1][["x", "y", "width", "height", "emotion"]].tolist() == [3, 5, 20, 30, ""]
    cell.canvas.selected_index = len(cell.canvas.bboxes) - 1
    cell.canvas.label = "fear"
    assert saved(make).iloc[-1]["emotion"] == "fear"
    count = len(saved(make))
    cell.canvas.bboxes = cell.canvas.bboxes[1:]
    assert len(saved(make)) == count - 1
    cell.canvas.bboxes = [cell.canvas.bboxes[-1] | {"label": NO_LABEL}]  # the label is taken away
    assert saved(make)["emotion"].tolist() == [""]


def test_enter_space_and_the_buttons(make):
    cell = Annotator(make(bundle=Guesser()))
    cell.canvas.submit_callback()
    assert cell.queue.position == 1 and "Picture 2 of 3" in cell.state.value
    assert saved(make)["emotion"].tolist()[:2] == ["happy", "disgust"]
    cell.canvas.skip_callback()
    assert cell.queue.position == 2
    cell.previous.click()
    assert cell.queue.position == 1
    cell.exclude.click()
    assert cell.queue.state(PICTURES[1]) == EXCLUDED and cell.queue.position == 2
    cell.previous.click()
    assert "(excluded)" in cell.state.value and cell.exclude.description == "take back in"
    cell.exclude.click()
    assert cell.queue.state(PICTURES[1]) != EXCLUDED and cell.exclude.description == "exclude"
    cell.next.click()
    cell.to_first_open.click()
    assert cell.queue.position == 1
    for _ in range(2):
        cell.canvas.submit_callback()
    assert "All done" in cell.state.value


def test_a_box_without_a_label_stops_enter_with_a_word(make):
    cell = Annotator(make())
    cell.canvas.submit_callback()
    assert cell.queue.position == 0 and "Not done" in cell.state.value and "has no label" in cell.state.value


def test_a_large_picture_is_shown_smaller_and_its_boxes_stay_true(make, tmp_path, haar):
    (tmp_path / "large").mkdir()
    write_image(tmp_path / "large" / "l.png", np.zeros((900, 3000, 3), np.uint8))
    box = {
        "image": "l.png",
        "x": 1000,
        "y": 101,
        "width": 333,
        "height": 207,
        "emotion": "Sadness",
        "tags": "Sadness|x",
    }
    write_vott(make_table([box]), make.labels, {"l.png": (3000, 900)})
    cell = Annotator(make(folder=tmp_path / "large"))
    assert load_image(bytes(cell.canvas.image_bytes)).shape == (360, 1200, 3)
    assert cell.canvas.bboxes[0]["x"] == 400
    cell.canvas.bboxes = [*cell.canvas.bboxes, {"x": 0, "y": 0, "width": 40, "height": 40, "label": "fear"}]
    assert saved(make)[["x", "y", "width", "height", "tags"]].values.tolist() == [
        [1000, 101, 333, 207, "Sadness|x"],
        [0, 0, 100, 100, "fear"],
    ]


NAN = float("nan")


@pytest.mark.parametrize("bad", [{"x": NAN}, {"width": None}, {"height": "9"}, {"y": 1e300}, {"label": 3}])
def test_a_box_of_the_page_that_is_none_is_refused(make, bad):
    cell = Annotator(make())
    box = {"x": 3, "y": 4, "width": 20, "height": 30, "label": NO_LABEL} | bad
    cell.canvas.bboxes = [*cell.canvas.bboxes, box]
    assert "Not done" in cell.state.value and not make.labels.exists()


# ---- two sessions, other tools, own classes ------------------------------------------------------


def test_a_change_of_another_session_is_not_replaced(make, caplog):
    first, second = make(), make()
    first.label(0, "happy")
    before = saved(make)
    with pytest.raises(LabelConflict, match=r"a one\.png was labelled by another session meanwhile"):
        second.label(1, "sad")
    assert saved(make).equals(before)
    assert [region.emotion for region in second.regions] == [region.emotion for region in first.regions]
    second.label(1, "sad")  # now it knows what is there
    assert saved(make)["emotion"].tolist()[:2] == ["happy", "sad"]
    with pytest.raises(LabelConflict):
        first.exclude()
    assert first.position == 0 and first.regions[1].emotion == "sad" and make().state(PICTURES[0]) != EXCLUDED


def test_a_picture_is_opened_as_another_session_left_it(make):
    first, second = make(), make()
    second.next()
    second.label(0, "fear")
    first.next()
    assert first.regions == second.regions and first.regions[0].emotion == "fear"
    first.label(0, "sad")
    assert saved(make)["emotion"].tolist()[0] == "sad"


def test_a_file_that_another_session_removed_is_a_change_too(make):
    queue = make()
    queue.label(0, "happy")
    for file in make.labels.glob("*.json"):
        file.unlink()
    with pytest.raises(LabelConflict):
        queue.label(1, "sad")
    assert queue.regions[0].emotion == "" and not list(make.labels.glob("*.json"))
    queue.label(1, "sad")
    assert saved(make)["emotion"].tolist()[:2] == ["", "sad"]


def test_many_writers_at_once_lose_nothing_silently(make):
    queues = [make(["b.png"]) for _ in range(4)]
    count = len(queues[0].regions)

    def work(queue):
        for _ in range(5):
            try:
                queue.set_regions([*queue.regions, Region((1, 1, 9, 9), "sad", "sad")])
                return 1
            except LabelConflict:
                continue
        return 0

    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(work, queues))
    assert done >= 2 and len(saved(make)) == count + done


def test_the_cell_shows_the_labels_of_the_other_session(make):
    cell, other = Annotator(make()), make()
    other.label(0, "happy")
    cell.canvas.selected_index, cell.canvas.label = 1, "sad"
    assert "Not saved" in cell.state.value and "another session" in cell.state.value
    assert [box["label"] for box in cell.canvas.bboxes][:2] == ["happy", NO_LABEL]
    cell.canvas.selected_index, cell.canvas.label = 1, "sad"
    assert saved(make)["emotion"].tolist()[:2] == ["happy", "sad"]


def test_classes_of_any_name(make):
    queue = make(class_names="Freude,高兴", bundle=Guesser())
    assert queue.choices == ("Freude", "高兴", NO_FACE) and queue.regions[0].guess == ""
    queue.label(0, "高兴")
    again = make(class_names="Freude,高兴")
    assert again.regions[0].emotion == "高兴" and again.progress()[1]["高兴"] == 1


def test_boxes_of_another_tool_are_proposed(make, tmp_path):
    make.labels.mkdir()
    box = {"x": 1, "y": 2, "width": 30, "height": 20}
    rows = [{"image": name, "emotion": "Happiness", **box} for name in (PICTURES[0], "gone.png", PICTURES[1])]
    write_vott(make_table([rows[2] | {"emotion": "sad"}]), make.labels)
    queue = make(boxes=make_table(rows))
    assert queue.regions == [Region((1, 2, 30, 20), guess="happy")] and queue.state(PICTURES[0]) == OPEN
    assert [line.split(":")[0] for line in queue.problems] == ["gone.png"]
    queue.confirm()
    assert sorted(saved(make)["emotion"]) == ["happy", "sad"]


def test_labels_of_pictures_in_folders_are_not_mixed_up(make, raw, tmp_path):
    folder = tmp_path / "pics"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.png", "sub/b.png"):
        shutil.copy(raw / "b.png", folder / name)
    make.labels.mkdir()
    asset = {
        "id": "1",
        "name": "b.png",
        "path": "file:/home/u/pics/sub/b.png",
        "size": {"width": 99, "height": 99},
    }
    region = {"tags": ["sad"], "boundingBox": {"left": 1, "top": 1, "width": 15, "height": 15}}
    (make.labels / "1-asset.json").write_text(json.dumps({"asset": asset, "regions": [region]}))
    queue = make(folder=folder)
    assert queue.finished() == ["sub/b.png"] and queue.image_name == "b.png"


def test_the_labels_of_an_export_stay_when_one_picture_is_saved(make):
    box = {"x": 1, "y": 2, "width": 30, "height": 20, "image_width": 99, "image_height": 99}
    rows = [{"image": name, "emotion": "sad", **box} for name in PICTURES[1:]]
    write_vott(make_table(rows), make.labels / "p-export.json")
    queue = make()
    assert queue.finished() == list(PICTURES[1:])
    queue.label(0, "happy")
    assert make().finished() == list(PICTURES[1:])
    assert sorted(set(saved(make)["emotion"])) == ["", "happy", "sad"]
