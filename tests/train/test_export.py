"""A bundle in other forms: JSON with weights, LiteRT; each read back by the program it is for."""

import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, BundleError, ImageError
from ferlib.common.labels import SEVEN
from ferlib.dataset import build, splits
from ferlib.model import litert
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.model.keras_import import architecture
from ferlib.model.metadata import FORMS, file_hash, read_metadata, update_metadata
from ferlib.train import export
from ferlib.train.export import CheckFaces

pytest.importorskip("ai_edge_litert")
keras = import_keras()
COARSE = np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8)
FACES = COARSE.repeat(8, axis=1).repeat(8, axis=2)  # else pooling would make them all alike
CHECK = CheckFaces(FACES, source="noise")


def _model(seed: int):
    """A network so small that it is converted in a moment, with each kind of layer ours have, sure of itself."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = layers.Input((48, 48, 1))
    x = layers.MaxPooling2D(4)(layers.Rescaling(1 / 127.5, offset=-1)(inputs))
    a = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))
    mean = layers.GlobalAveragePooling2D(keepdims=True)(a)
    a = layers.multiply([a, layers.Dense(8, activation="sigmoid")(mean)])
    x = layers.Activation("relu")(layers.add([a, layers.Conv2D(8, 1)(x)]))
    x = layers.Dropout(0.4)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(7, activation="softmax")(x))
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 6)
    return model


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A bundle with both LiteRT forms in it."""
    folder = save_bundle(_model(1), tmp_path_factory.mktemp("models") / "b", SEVEN, extra={"data": "none"})
    for form in ("litert", "litert-int8"):
        export.export_bundle(folder, folder, form, CHECK)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(original, tmp_path / "b")


@pytest.mark.parametrize(("form", "same"), [("litert", 1e-4), ("int8", 0.1)])
@pytest.mark.parametrize("tta", ["none", "flip"])
def test_litert_gives_the_answers_of_the_bundle(original, form, same, tta):
    expected, exported = load_bundle(original).predict(FACES, tta), load_bundle(original, form)
    assert np.ptp(expected, axis=0).max() > 0.2  # else any answers would pass
    answers = exported.predict(FACES, tta)
    assert answers.dtype == np.float32 and answers.shape == (24, 7)
    np.testing.assert_allclose(answers, expected, atol=same)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (exported.class_names, exported.input_shape, exported.name) == (SEVEN, (48, 48, 1), "b")


def test_the_8_bit_form_is_a_quarter_of_the_size_and_not_the_same(original):
    sizes = [(original / FORMS[form]).stat().st_size for form in ("litert", "int8")]
    assert sizes[1] < 0.5 * sizes[0]
    answers = [load_bundle(original, form).predict(FACES) for form in ("litert", "int8")]
    assert np.abs(answers[0] - answers[1]).max() > 1e-5


def test_batches_do_not_change_the_answers(original):
    reader = litert.load_litert(original, "litert", threads=2)
    expected = reader.predict(FACES)
    for size in (1, 5):
        parts = [reader.predict(FACES[k : k + size]) for k in range(0, 24, size)]
        np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-5)


def test_no_faces_and_other_faces(original):
    reader = litert.load_litert(original)
    assert reader.predict(np.zeros((0, 48, 48), np.uint8), "flip").shape == (0, 7)
    for faces in (FACES[0], FACES[..., None], FACES[:, :40], FACES.astype(np.float32)):
        with pytest.raises(ImageError, match=r"takes uint8 faces \(n, 48, 48\), got"):
            reader.predict(faces)


def test_threads_take_turns(original):
    reader = litert.load_litert(original, "litert")
    wanted, wrong = reader.predict(FACES), []

    def read(count: int):
        for _ in range(30):
            if np.abs(reader.predict(FACES[:count]) - wanted[:count]).max() > 1e-5:
                wrong.append(count)

    workers = [threading.Thread(target=read, args=(count,)) for count in (1, 2, 3, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_reading_with_litert_needs_no_tensorflow_and_says_nothing(original):
    code = (
        "import sys, numpy as np\n"
        "from ferlib.model.bundle import load_bundle\n"
        f"reader = load_bundle({str(original)!r}, 'fastest')\n"
        "print(reader.predict(np.zeros((1, 48, 48), np.uint8), 'flip').shape, reader.model)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("(1, 7) None\n", "")


def test_the_fastest_form_that_is_there(folder):
    assert (
        load_bundle(folder, "fastest").predict(FACES).tolist()
        == load_bundle(folder, "int8").predict(FACES).tolist()
    )
    forms = read_metadata(folder)["forms"]
    update_metadata(folder, forms=forms | {"int8": forms["int8"] | {"accuracy_change": -0.004}})
    fastest = load_bundle(folder, "fastest").predict(FACES)
    assert fastest.tolist() == load_bundle(folder, "litert").predict(FACES).tolist()
    (folder / "model.tflite").unlink()
    assert load_bundle(folder, "fastest").model is not None
    with pytest.raises(BadInputError, match="unknown form of a model 'onnx'"):
        load_bundle(folder, "onnx")


def test_the_json_form_loads_as_its_recipe_says(original, tmp_path, monkeypatch):
    facts = export.export_bundle(original, tmp_path / "out", "json", CHECK)
    assert facts["largest_difference"] <= 1e-6 and facts["same_answer"] == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "metadata.json",
        "model.json",
        "model.weights.h5",
    ]
    monkeypatch.chdir(tmp_path / "out")
    scope = {"keras": keras}
    exec(export.HOW_TO_LOAD, scope)
    wanted = load_bundle(original).predict(FACES)
    np.testing.assert_allclose(scope["model"](FACES[..., None].astype("float32")), wanted, atol=1e-5)
    again = architecture.import_model("model.json", tmp_path / "again", SEVEN, "0..255", "model.weights.h5")
    np.testing.assert_allclose(load_bundle(again).predict(FACES), wanted, atol=1e-5)


def test_an_export_elsewhere_carries_its_metadata(original, tmp_path):
    labelled = CheckFaces(FACES, np.zeros(24, int), "noise")
    export.export_bundle(original, tmp_path / "out", "litert", labelled)
    told = read_metadata(tmp_path / "out")
    assert told["class_names"] == list(SEVEN) and list(told["forms"]) == ["litert"]
    assert told["forms"]["litert"]["faces"] == 24 and told["forms"]["litert"]["accuracy_change"] == 0
    for path in (tmp_path / "out", tmp_path / "out" / "model.tflite"):
        assert litert.load_litert(path).predict(FACES[:1]).shape == (1, 7)
    with pytest.raises(BundleError, match=r"model.keras is missing"):
        load_bundle(tmp_path / "out")


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _other(path):
    path.write_bytes(b"not a model")
    forms = {"litert": {"sha256": file_hash(path)}}
    update_metadata(path.parent, forms=forms)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda path: path.unlink(), r"model.tflite is missing; make it with `ferlib export \S+ \S+ --format litert`"),
        (_cut, "model.tflite is not the file that was saved with its metadata; restore both"),
        (_other, r"model.tflite cannot be read \(ValueError"),
        (lambda path: update_metadata(path.parent, forms={}), "is not the file that was saved"),
        (lambda path: (path.parent / "metadata.json").unlink(), "metadata.json is missing"),
    ],
)  # fmt: skip
def test_a_damaged_litert_form_gets_its_line(folder, damage, line):
    damage(folder / "model.tflite")
    with pytest.raises(BundleError, match=line):
        load_bundle(folder, "litert")


def test_a_litert_file_of_other_classes_is_refused(folder):
    metadata = read_metadata(folder) | {"class_names": ["happy", "neutral"]}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(BundleError, match="and 2 classes"):
        litert.load_litert(folder, "litert")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"form": "onnx"}, "unknown format 'onnx'; known are json, litert, litert-int8"),
        ({"check": CheckFaces(FACES[:0])}, "checked on faces, got none"),
        ({"folder": "nowhere"}, "metadata.json is missing"),
    ],
)
def test_exports_that_cannot_be(original, tmp_path, arguments, line):
    given = {"folder": original, "out": tmp_path / "out", "form": "json", "check": CHECK} | arguments
    with pytest.raises(BadInputError, match=line):
        export.export_bundle(**given)
    assert not (tmp_path / "out").exists()


def test_an_export_that_differs_is_not_written(original, folder, tmp_path, monkeypatch):
    before = (folder / "model.tflite").read_bytes()
    wrong = export.convert(_model(2))
    monkeypatch.setattr(export, "convert", lambda model, eight_bits: wrong)
    for form in ("litert", "litert-int8"):
        with pytest.raises(BundleError, match=rf"the {form} format differs from the model"):
            export.export_bundle(folder, folder, form, CHECK)
        with pytest.raises(BundleError, match="differs from the model"):
            export.export_bundle(original, tmp_path / "out", form, CHECK)
    assert (folder / "model.tflite").read_bytes() == before and not (tmp_path / "out").exists()
    load_bundle(folder, "litert")


def test_an_export_into_the_folder_of_another_model(original, tmp_path):
    other = save_bundle(_model(2), tmp_path / "other", SEVEN)
    with pytest.raises(BundleError, match="holds another model; export to another folder"):
        export.export_bundle(original, other, "litert", CHECK)
    assert not (other / "model.tflite").exists()


def test_faces_to_check_on(original, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "DRAWN_FACES", 14)
    check = export.check_faces(original)
    assert check.pixels.shape == (14, 48, 48) and check.pixels.dtype == np.uint8
    assert check.labels is None and check.source == "drawn faces"
    faces = np.random.default_rng(0).integers(0, 256, (70, 48, 48), dtype=np.uint8)
    rows = splits.Dataset(faces, np.arange(70) % 7, np.full(70, "Training"), SEVEN)
    build.write_fer2013(rows, tmp_path / "faces.csv")
    check = export.check_faces(original, tmp_path / "faces.csv")
    off = splits.held_out(rows, 0.1, 7)
    assert (check.pixels == rows.pixels[off]).all() and (check.labels == rows.labels[off]).all()
    assert check.source == "held-out Training rows of faces.csv"
