import json
import shutil

import numpy as np
import pytest

from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, BundleError, ImageError, LabelError
from ferlib.common.labels import SEVEN, SIX
from ferlib.model import bundle
from ferlib.model.bundle import load_bundle, save_bundle
from ferlib.model.metadata import file_hash, write_history
from ferlib.train import networks
from ferlib.train.fit import build_compiled_model
from ferlib.train.recipes import Settings

keras = import_keras()

HISTORY = [
    {"epoch": 1, "loss": 2.0, "accuracy": 0.2, "val_loss": 1.9, "val_accuracy": 0.25, "seconds": 3.1},
    {"epoch": 2, "loss": 1.5, "accuracy": 0.4, "val_loss": 1.4, "val_accuracy": 0.45, "seconds": 2.9},
]


def _faces(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def _shaken(model):
    """The model with weights away from their start values, batch statistics too, and unsure answers."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [w * (1 + 0.1 * rng.standard_normal(w.shape, np.float32)) + 0.002 for w in model.get_weights()]
    )
    last = model.layers[-1]
    features = keras.Model(model.inputs[0], last.input)(
        _faces(8)[..., None].astype("float32"), training=False
    )
    last.kernel.assign(last.kernel / np.float32(10 * np.std(features)))
    return model


@pytest.fixture(scope="module")
def model():
    return _shaken(networks.build("small", 7))


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return save_bundle(model, tmp_path_factory.mktemp("models") / "faces", SEVEN, HISTORY, {"data": "drawn"})


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the saved bundle, to be damaged."""
    return shutil.copytree(saved, tmp_path / "faces")


def test_round_trip_gives_the_same_answers(model, saved):
    loaded = load_bundle(saved)
    faces = _faces(5)
    answers = loaded.predict(faces)
    assert answers.shape == (5, 7) and answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        answers, model.predict(faces[..., None].astype("float32"), verbose=0), atol=1e-5
    )
    assert np.ptp(answers, axis=0).max() > 1e-4  # else any two models would pass
    assert (loaded.name, loaded.class_names, loaded.input_shape) == ("faces", SEVEN, (48, 48, 1))


def test_flip_is_the_mean_of_a_face_and_its_mirror_image(saved):
    loaded, faces = load_bundle(saved), _faces(4)
    both = (loaded.predict(faces) + loaded.predict(np.ascontiguousarray(faces[:, :, ::-1]))) / 2
    np.testing.assert_allclose(loaded.predict(faces, "flip"), both, atol=1e-6)


def test_batches_do_not_change_the_answers(saved):
    loaded, faces = load_bundle(saved), _faces(7)
    whole = loaded.predict(faces)
    np.testing.assert_allclose(loaded.predict(faces, "none"), whole, atol=1e-5)
    np.testing.assert_allclose([loaded.predict(face[None])[0] for face in faces], whole, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_no_faces_give_no_rows(saved, flip):
    assert load_bundle(saved).predict(np.zeros((0, 48, 48), np.uint8), "flip" if flip else "none").shape == (
        0,
        7,
    )


@pytest.mark.parametrize(
    "faces",
    [
        np.zeros((2, 48, 48), np.float32),
        np.zeros((48, 48), np.uint8),
        np.zeros((2, 48, 48, 1), np.uint8),
        np.zeros((2, 64, 48), np.uint8),
        [],
    ],
)
def test_other_faces_are_refused(saved, faces):
    with pytest.raises(ImageError, match=r"takes uint8 faces \(n, 48, 48\), got"):
        load_bundle(saved).predict(faces)


def test_metadata_and_history_say_what_was_saved(saved):
    metadata = json.loads((saved / "metadata.json").read_text())
    assert metadata["class_names"] == list(SEVEN) and metadata["input_shape"] == [48, 48, 1]
    assert metadata["data"] == "drawn" and metadata["parameters"] == 1_230_503
    assert metadata["versions"]["keras"] == keras.__version__
    lines = (saved / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,accuracy,val_loss,val_accuracy,seconds" and len(lines) == 3
    assert sorted(path.name for path in saved.parent.iterdir()) == ["faces"]  # no parts lie about


def test_history_keeps_further_columns(tmp_path):
    write_history([row | {"learning_rate": 0.001} for row in HISTORY], tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text().splitlines()[0].endswith("seconds,learning_rate")
    write_history([], tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text() == "epoch,loss,accuracy,val_loss,val_accuracy,seconds\n"


def test_a_trained_bfloat16_network_is_saved_small_and_in_float32(tmp_path):
    model = build_compiled_model(Settings(precision="bfloat16"), 7, steps_per_epoch=10)
    assert "mixed_bfloat16" in {layer.dtype_policy.name for layer in model.layers}
    model.optimizer.build(model.trainable_variables)  # the state that Keras would keep
    _shaken(model)
    folder = save_bundle(model, tmp_path / "m", SEVEN)
    assert (folder / "model.keras").stat().st_size < 6_000_000
    loaded = load_bundle(folder)
    assert {layer.dtype_policy.name for layer in loaded.model.layers} == {"float32"}
    assert not getattr(loaded.model, "compiled", False)
    faces = _faces(8)
    wanted = model.predict(faces[..., None].astype("float32"), verbose=0)
    np.testing.assert_allclose(loaded.predict(faces), wanted, atol=0.05)  # bfloat16 has three digits


def test_a_stack_is_copied_too():
    model = _shaken(networks.build("D", 2))
    copy = bundle.plain_copy(model)
    faces = _faces(2)[..., None].astype("float32")
    np.testing.assert_allclose(copy(faces, training=False), model(faces, training=False), atol=1e-5)


def test_a_wrong_number_of_classes_is_not_saved(model, tmp_path):
    with pytest.raises(BundleError, match="7 outputs for 6 class names"):
        save_bundle(model, tmp_path / "m", SIX)
    assert not list(tmp_path.iterdir())


def test_names_that_are_no_class_set_are_not_saved(model, tmp_path):
    with pytest.raises(LabelError, match="a class is repeated"):
        save_bundle(model, tmp_path / "m", (*SEVEN[:6], "Happy"))
    assert not list(tmp_path.iterdir())


def test_a_bundle_replaces_an_older_one(model, folder):
    (folder / "metrics.json").write_text("{}")  # measured on the older model
    save_bundle(model, folder, SEVEN, extra={"data": "newer"})
    assert load_bundle(folder).metadata["data"] == "newer"
    assert not (folder / "metrics.json").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["faces"]


def test_a_save_that_breaks_off_leaves_the_older_bundle(model, folder, monkeypatch):
    monkeypatch.setattr(bundle.meta, "write_history", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(BadInputError, match="disk full"):
        save_bundle(model, folder, SEVEN, HISTORY, {"data": "newer"})
    assert load_bundle(folder).metadata["data"] == "drawn"
    monkeypatch.undo()
    save_bundle(model, folder, SEVEN, HISTORY, {"data": "newest"})  # what was left behind is no hindrance
    assert load_bundle(folder).metadata["data"] == "newest"


def _flip_a_byte(folder):
    content = bytearray((folder / "model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.keras").write_bytes(content)


def _halve(name):
    def halve(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return halve


def _metadata(**changes):
    def change(folder):
        metadata = json.loads((folder / "metadata.json").read_text()) | changes
        metadata = {key: value for key, value in metadata.items() if value != "gone"}
        (folder / "metadata.json").write_text(json.dumps(metadata))

    return change


def _other_file(folder):
    (folder / "model.keras").write_bytes(b"not a model")
    _metadata(sha256=file_hash(folder / "model.keras"))(folder)


@pytest.mark.parametrize(
    "damage, line",
    [
        (lambda folder: (folder / "model.keras").unlink(), "model.keras is missing; train one with"),
        (lambda folder: (folder / "metadata.json").unlink(), "metadata.json is missing; train one with"),
        (lambda folder: shutil.rmtree(folder), "metadata.json is missing; train one with"),
        (_flip_a_byte, "is not the file that was saved with its metadata"),
        (_halve("model.keras"), "is not the file that was saved with its metadata"),
        (_halve("metadata.json"), "metadata.json cannot be read"),
        (lambda folder: (folder / "metadata.json").write_text(""), "metadata.json cannot be read"),
        (lambda folder: (folder / "metadata.json").write_text("[]"), "metadata.json cannot be read"),
        (
            lambda folder: (folder / "metadata.json").write_bytes(b"\xff\xfe\x00"),
            "metadata.json cannot be read",
        ),
        (_metadata(class_names="gone"), "metadata.json cannot be read"),
        (_metadata(class_names=None), "metadata.json cannot be read"),
        (_metadata(class_names=[*SEVEN[:6], "../bored"]), "metadata.json cannot be read"),
        (_metadata(sha256="gone"), "metadata.json cannot be read"),
        (_metadata(class_names=SIX), "and 6 classes"),
        (_metadata(input_shape=[64, 64, 1]), r"\(64, 64, 1\)"),
        (_other_file, "model.keras cannot be read"),
    ],
)
def test_a_damaged_bundle_is_refused_with_its_line(folder, damage, line):
    damage(folder)
    with pytest.raises(BundleError, match=line):
        load_bundle(folder)
