"""Teaching a network other classes: sixty pictures in three classes, what was learned before, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import ferlib
from ferlib import synth
from ferlib.cli import cli
from ferlib.common import images
from ferlib.common.errors import BadInputError, BundleError, DatasetError, FerlibError, LabelError
from ferlib.common.labels import SEVEN
from ferlib.common.paths import shipped_bundle
from ferlib.dataset.build import from_drawn
from ferlib.dataset.splits import Dataset
from ferlib.evaluate.metrics import wilson_interval
from ferlib.live.personal import draw_person
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.model.metadata import read_metadata
from ferlib.train import networks
from ferlib.train.teach import Lesson, teach_classes

CHINESE = {"高兴": "happy", "伤心": "sad", "中性": "neutral"}
INVENTED = {  # action units that no emotion has together
    "grim smile": {4: 1.0, 7: 0.8, 12: 1.0, 25: 0.9},
    "doubt": {1: 1.0, 2: 1.0, 15: 1.0, 23: 0.5},
    "Gebrüll": {9: 1.0, 20: 0.8, 25: 1.0, 26: 1.0},
}


def draw(shown, count, seed):
    """Crops of faces of different people that show an emotion or action units, uint8 (h, w, 3)."""
    rng, crops = np.random.default_rng(seed), []
    for _ in range(count):
        face = synth.sample_face(rng, shown if isinstance(shown, str) else "neutral")
        if not isinstance(shown, str):
            units = {unit: min(1.0, level * rng.uniform(0.8, 1.1)) for unit, level in shown.items()}
            face = replace(face, aus=units)
        crops.append(images.crop_face(synth.draw_face(face, 96, rng), synth.face_box(face, 96)))
    return crops


def write(folder, classes, count, seed=0):
    for k, (name, shown) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for number, crop in enumerate(draw(shown, count, [seed, k])):
            images.write_image(folder / name / f"{number}.png", crop)
    return folder


def run(*arguments):
    return CliRunner().invoke(cli, ["teach", *map(str, arguments)])


@pytest.mark.parametrize("classes", [CHINESE, INVENTED], ids=["Chinese names", "invented expressions"])
def test_sixty_pictures_in_three_classes_are_enough(classes, tmp_path):
    mine = tmp_path / "mine"
    done = run(write(tmp_path / "pictures", classes, 20), "--out", mine)
    assert done.exit_code == 0, done.output
    measured, bundle = done.stdout.splitlines()
    assert " of 15 right, 95 % interval " in measured and bundle == f"bundle: {mine}"
    model = ferlib.load(mine).model
    assert set(model.class_names) == set(classes) and model.model is None, "the int8 form is read"
    unseen = {name: draw(shown, 20, [1, k]) for k, (name, shown) in enumerate(classes.items())}
    faces = np.array([images.face_input(crop) for crops in unseen.values() for crop in crops])
    predicted = model.predict(faces, "flip").argmax(axis=1)
    truth = np.repeat([model.class_names.index(name) for name in unseen], 20)
    assert (predicted == truth).sum() >= 54
    card = (mine / "README.md").read_text(encoding="utf-8")
    assert measured.partition(": ")[2] in card and all(f"| {name} | 20 | 5 |" in card for name in classes)
    metadata = read_metadata(mine)
    assert (
        metadata["metrics"]["n"] == 15 and metadata["detector"] == read_metadata(shipped_bundle())["detector"]
    )
    assert metadata["data"] == {"source": "pictures", "training_rows": 60, "held_out_rows": 15}


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught")
    assert run(write(folder / "pictures", CHINESE, 8), "--out", folder / "mine").exit_code == 0
    return folder / "mine"


def test_the_other_commands_use_the_bundle(taught, tmp_path):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    photo = synth.draw_photo(4, [synth.sample_face(np.random.default_rng(5), "happy")])
    images.write_image(photographs / "photo.png", photo.image)
    data = write(tmp_path / "test", CHINESE, 3, seed=9)
    for command in (
        ["predict", photographs, "--model", taught, "--csv", tmp_path / "faces.csv"],
        ["evaluate", "--model", taught, "--data", data, "--usage", "Training"],
        ["export", taught, tmp_path / "page", "--format", "page"],
    ):
        done = CliRunner().invoke(cli, [str(part) for part in command])
        assert done.exit_code == 0, (command, done.output, done.exception)
    header, row = (tmp_path / "faces.csv").read_text(encoding="utf-8").splitlines()
    assert set(CHINESE) < set(header.split(",")) and set(CHINESE) & set(row.split(","))
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in CHINESE)


def test_whole_photographs_are_cropped_and_broken_files_left_out(tmp_path):
    pictures = tmp_path / "pictures"
    rng = np.random.default_rng(3)
    for emotion in ("happy", "surprise"):
        (pictures / emotion).mkdir(parents=True)
        for number in range(4):
            photo = synth.draw_photo(number, [synth.sample_face(rng, emotion)])
            images.write_image(pictures / emotion / f"{number}.png", photo.image)
    (pictures / "happy" / "broken.png").write_bytes(b"\x89PNG")
    done = run(pictures, "--out", tmp_path / "mine")
    assert done.exit_code == 0, done.output
    assert "broken.png" in done.stderr and "the face was cut out of 8 of 8" in done.stderr
    assert "too few faces to tell; collect more" in done.stdout


@pytest.mark.parametrize(
    ("classes", "count", "words"),
    [
        ({"happy": "happy"}, 3, "only happy"),
        ({"happy": "happy", "sad": "sad"}, 1, "too few pictures per class (at least 2)"),
        ({"Freude": "happy", "freude": "sad"}, 2, "Freude"),
        ({"Freude": "happy", "Freude ": "sad"}, 2, "Freude"),
        ({}, 0, "no pictures in class folders"),
    ],
    ids=["one class", "two pictures", "only case differs", "only blanks differ", "empty"],
)
def test_what_cannot_be_taught_is_refused(classes, count, words, tmp_path):
    (tmp_path / "pictures").mkdir()
    done = run(write(tmp_path / "pictures", classes, count), "--out", tmp_path / "mine")
    assert isinstance(done.exception, FerlibError), done.output
    assert words in str(done.exception) and "\n" not in str(done.exception)
    assert not (tmp_path / "mine").exists()


def test_only_broken_files_and_a_target_that_is_there_are_refused(tmp_path):
    pictures = write(tmp_path / "pictures", {"happy": "happy", "sad": "sad"}, 2)
    (tmp_path / "mine").mkdir()
    done = run(pictures, "--out", tmp_path / "mine")
    assert isinstance(done.exception, BadInputError) and "is there already" in str(done.exception)
    assert not any((tmp_path / "mine").iterdir())
    for file in pictures.rglob("*.png"):
        file.write_bytes(b"nothing")
    done = run(pictures, "--out", tmp_path / "other")
    assert isinstance(done.exception, DatasetError) and "no picture in it can be read" in str(done.exception)


def test_one_persons_faces_are_learned_and_the_others_are_not_forgotten(tmp_path):
    base = load_bundle(shipped_bundle())
    crops, names = draw_person(56, SEVEN, 3)
    labels = np.array([SEVEN.index(name) for name in names])
    usage = np.array(["Training"] * 42 + ["PrivateTest"] * 14)
    own = Dataset(np.array([images.face_input(crop) for crop in crops]), labels, usage, SEVEN)
    others = from_drawn(140, 907, SEVEN)
    lesson = teach_classes(own, tmp_path / "face", remember=others.pixels[:70])
    taught = load_bundle(tmp_path / "face")
    before, after = (
        (each.predict(own.part("PrivateTest").pixels, "flip").argmax(1) == labels[42:]).sum()
        for each in (base, taught)
    )
    assert lesson.right == after >= before and lesson.count == 14
    assert lesson.interval == pytest.approx(wilson_interval(int(after), 14))
    judged = others.pixels[70:]
    known, still = (each.predict(judged).argmax(1) == others.labels[70:] for each in (base, taught))
    assert still.sum() >= known.sum() and (known & still).sum() >= 0.85 * known.sum()
    weights = zip(base.model.get_weights(), taught.model.get_weights(), strict=True)
    same = [bool((one == other).all()) for one, other in weights]
    assert all(same[:-2]) and not any(same[-2:]), "only the last layer learns"
    some = own.select(own.labels != 1)
    assert teach_classes(some, tmp_path / "some", remember=others.pixels[:70]).count == 12, "a class may lack"
    again = teach_classes(own, tmp_path / "again", base.folder, remember=others.pixels[:70])
    assert again.right == lesson.right, "the same faces give the same model"


def test_networks_that_do_not_fit_are_refused(tmp_path):
    own = from_drawn(20, 1, ("happy", "sad"))
    large = save_bundle(networks.build("quick", 7, (64, 64, 1)), tmp_path / "large", SEVEN)
    with pytest.raises(BundleError, match="not 48×48"):
        teach_classes(own, tmp_path / "mine", large)
    bored = Dataset(own.pixels, own.labels, own.usage, ("bored", "awake"))
    with pytest.raises(LabelError):
        teach_classes(bored, tmp_path / "mine", remember=own.pixels)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("right", "count", "tells", "words"),
    [
        (17, 20, True, "17 of 20 right, 95 % interval 64–95 %"),
        (
            2,
            2,
            False,
            "2 of 2 right, 95 % interval 34–100 %: too few faces to tell; collect more of each class",
        ),
        (
            40,
            100,
            False,
            "40 of 100 right, 95 % interval 31–50 %: too few faces to tell; collect more of each class",
        ),
    ],
)
def test_a_lesson_says_whether_its_faces_tell_anything(right, count, tells, words):
    lesson = Lesson(from_drawn(2, 1, SEVEN), right, count, wilson_interval(right, count), 0.5)
    assert lesson.tells is tells and str(lesson) == words
