"""The exported page, Python's side: networks in the browser's form, the folder, what is refused, the vendored files."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ferlib.cli import cli
from ferlib.common.backend import import_keras
from ferlib.common.colours import colours_of
from ferlib.common.errors import BadInputError, BundleError
from ferlib.common.labels import SEVEN
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.model.metadata import file_hash, read_metadata
from ferlib.train import networks
from ferlib.train.page import writer
from ferlib.train.page.graph import browser_graph, run_graph
from ferlib.train.page.writer import (
    DATA_FILE,
    FORM_FILE,
    PAGE_FILE,
    STATIC,
    export_page,
    write_page,
)

keras = import_keras()
FACES = (
    np.random.default_rng(0).integers(0, 256, (8, 6, 6), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
)
VENDORED = {
    "runtime.js": "e974c028793e29606625fda0f4a8f9c36830d099156b6565bf03efb200e7d9a5",
    "runtime.wasm": "77ebb28a6d34f371dbbf2086b7f2de8994acd8ea5a3cf1fa24d2c26c840cac7b",
    "yunet.json": "fb2e03509f7b0c3265d028614963f57a50da816c66e7f1d5b4e714ded277b9a5",
}


def _small(side: int = 48):
    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = layers.Input((side, side, 1))
    x = layers.MaxPooling2D(4)(layers.Rescaling(1 / 127.5, offset=-1)(inputs))
    a = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))
    mean = layers.GlobalAveragePooling2D(keepdims=True)(a)
    a = layers.multiply([a, layers.Dense(8, activation="sigmoid")(mean)])
    b = layers.SeparableConv2D(8, 3, padding="same")(layers.ZeroPadding2D(1)(x))
    b = layers.Cropping2D(1)(b) if side != 48 else layers.MaxPooling2D(3, 1)(b)
    x = layers.LeakyReLU(negative_slope=0.1)(layers.add([a, b, layers.Conv2D(8, 1)(x)]))
    x = layers.Dropout(0.4)(layers.Flatten()(layers.AveragePooling2D(2)(layers.DepthwiseConv2D(3)(x))))
    return keras.Model(inputs, layers.Dense(7, activation="softmax")(x))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return save_bundle(_small(), tmp_path_factory.mktemp("models") / "b", SEVEN)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "b")


@pytest.mark.parametrize("name", ["B", "D", "E", "quick"])
def test_networks_of_each_kind_give_the_same_answers(name, monkeypatch):
    monkeypatch.setattr(
        "ferlib.train.page.graph._QUANTISED", 10**9
    )  # 8 bits change answers; folding must not
    model = networks.build(name, 5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(-1, 1, layer.moving_mean.shape[0]))
    expected = np.array(model(FACES[..., None].astype(np.float32), training=False))
    np.testing.assert_allclose(run_graph(browser_graph(model), FACES), expected, atol=1e-3)


def test_other_layers_give_the_same_answers(original):
    bundle = load_bundle(original)
    expected = bundle.predict(FACES)
    assert np.ptp(expected, axis=0).max() > 0.01  # else any answers would pass
    np.testing.assert_allclose(run_graph(browser_graph(bundle.model), FACES), expected, atol=1e-4)


def test_nested_models_and_sequences(original):
    body = load_bundle(original).model
    model = keras.Sequential([keras.layers.Input((48, 48, 1)), body, keras.layers.Dense(3, "softmax")])
    expected = np.array(model(FACES[..., None].astype(np.float32), training=False))
    np.testing.assert_allclose(run_graph(browser_graph(model), FACES), expected, atol=1e-4)


def test_an_unknown_layer_is_named():
    model = keras.Sequential(
        [keras.layers.Input((48, 48, 1)), keras.layers.UnitNormalization(), keras.layers.Flatten()]
    )
    with pytest.raises(BundleError, match="no UnitNormalization layer"):
        browser_graph(model)


def test_the_form_goes_into_the_bundle_and_needs_no_keras_then(folder, tmp_path, monkeypatch):
    line = export_page(folder, folder)
    assert line.startswith(f"browser form in {folder}: ") and "drawn faces" in line
    facts = read_metadata(folder)["forms"]["page"]
    assert facts["sha256"] == file_hash(folder / FORM_FILE) and facts["faces"] == 140
    load_bundle(folder)
    monkeypatch.setattr(writer, "load_bundle", lambda *_: pytest.fail("Keras is not needed"))
    export_page(folder, tmp_path / "page")
    export_page(folder, tmp_path / "page")  # an older page is replaced
    assert {file.name for file in (tmp_path / "page").iterdir()} == {*writer.FILES, PAGE_FILE, DATA_FILE}
    (folder / FORM_FILE).write_text("{}")
    with pytest.raises(BundleError, match="is not the file that was saved"):
        export_page(folder, tmp_path / "page")


def test_the_command_writes_a_page_with_own_class_names_and_colours(original, tmp_path):
    done = CliRunner().invoke(cli, ["export", str(original), str(tmp_path / "page"), "--format", "page"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"page in {tmp_path / 'page'}: ") and done.output.count("\n") == 1
    names = ["高兴", "Freude", "sad", "</script>"]
    write_page(tmp_path / "own", {"steps": []}, {"name": "n", "class_names": names, "metrics": "none yet"})
    text = (tmp_path / "own" / DATA_FILE).read_text(encoding="utf-8")
    content = json.loads(text.removeprefix("const ferlibData = ").rstrip(";\n"))
    assert content["network"] == {"steps": []}
    page = (tmp_path / "own" / PAGE_FILE).read_text(encoding="utf-8")
    model = json.loads(re.search("data-model='(.*)'", page)[1])
    assert model["classNames"] == names and model["accuracy"] is None and page.count("</script>") == 5
    assert model["colours"][2] == "#0173b2" and len(set(model["colours"])) == 4
    assert len(colours_of([str(k) for k in range(30)])) == 30


def test_what_is_refused_leaves_everything(original, tmp_path):
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("mine")
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    for out, words in ((file, "is a file"), (other, "has other files than a page")):
        with pytest.raises(BadInputError, match=words):
            export_page(original, out)
    assert file.read_text() == (other / "mine.txt").read_text() == "mine"
    done = CliRunner().invoke(cli, ["export", str(original), str(file), "--format", "page"])
    assert isinstance(done.exception, BadInputError) and "\n" not in str(done.exception)
    large = save_bundle(_small(64), tmp_path / "large", SEVEN)
    with pytest.raises(BundleError, match="faces of 48×48 pixels, this model 64×64"):
        export_page(large, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_the_vendored_files_are_those_that_were_built():
    assert {name: file_hash(STATIC / name) for name in VENDORED} == VENDORED
    lock = (Path(__file__).parents[1] / "tools" / "page" / "package-lock.json").read_text(encoding="utf-8")
    assert "http" not in lock and '"integrity"' in lock
    licences = (STATIC / "licences.txt").read_text(encoding="utf-8")
    assert all(word in licences for word in ("Apache License", "XNNPACK", "Shiqi Yu", "Emscripten", "NOTICE"))
