"""What `ferlib evaluate` measures beyond the predictions, Grad-CAM, photographs, the page and the card."""

import json
import re
import shutil
from dataclasses import asdict, replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from ferlib import synth
from ferlib.common import images
from ferlib.common.backend import import_keras
from ferlib.common.errors import BadInputError, BundleError, ImageError
from ferlib.common.labels import SEVEN
from ferlib.dataset.ferplus import VOTES
from ferlib.dataset.splits import Dataset, held_out
from ferlib.evaluate import full_report, gradcam, html_report, model_card, photographs
from ferlib.evaluate import predictions as evaluate
from ferlib.evaluate import text as sentences
from ferlib.model import bundle, calibration
from ferlib.model.bundle import save_bundle
from ferlib.model.metadata import write_history
from ferlib.train import networks
from ferlib.train.recipes import RECIPES
from tests.evaluate.test_predictions import Oracle, make_dataset

HISTORY = [
    {"epoch": k, "loss": 1, "accuracy": 0.5, "val_loss": 1, "val_accuracy": 0.4 + k / 10, "seconds": 60}
    for k in (1, 2)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle of an untrained network, with all that a card is made of."""
    folder = tmp_path_factory.mktemp("bundle") / "faces"
    import_keras().utils.set_random_seed(3)
    extra = {
        "data": {"source": "fer2013.csv", "training_rows": 63, "held_out_rows": 7},
        "settings": {"network": "small", "epochs": 2, "seed": 7, "votes": 0.5},
    }
    return save_bundle(networks.build("small", 7), folder, SEVEN, HISTORY, extra)


@pytest.fixture(scope="module")
def loaded(folder):
    return bundle.load_bundle(folder)


def noise(n, seed=1, usages=("Training", "PublicTest")):
    rng = np.random.default_rng(seed)
    return Dataset(
        rng.integers(0, 256, (n, 48, 48)).astype(np.uint8),
        np.arange(n) % 7,
        np.array(usages)[np.arange(n) % len(usages)],
    )


def test_every_part_is_measured_and_is_json(folder, loaded, tmp_path):
    dataset = noise(140)
    votes = np.zeros((140, 10), int)
    votes[:, VOTES.index("happiness")] = 10
    measured, predictions, problems = full_report.measure_bundle(
        loaded, folder, dataset, votes=votes, drawn=7
    )
    assert problems == [] and predictions.usage == measured["usage"] == "PublicTest"
    facts = measured["model_facts"]
    assert facts["file_bytes"] == (folder / "model.keras").stat().st_size
    assert (facts["parameters"], facts["epochs"], facts["training_seconds"]) == (1_230_503, 2, 120)
    assert measured["ms_per_face"] > 0
    assert measured["temperature"]["n_fitted"] == 7 and measured["pair"]["n"] == 20
    assert measured["votes"]["voters"]["accuracy"] == pytest.approx(1 / 7, abs=0.01)
    assert sum(row["n"] for row in measured["drawn"]["skin"].values()) == 7
    evaluate.write_report(measured, tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    read = json.loads(text)
    assert read["confusion_matrix"] == measured["confusion_matrix"] and len(text.splitlines()) < 600
    assert read["curves"]["roc"]["sad"]["x"] == measured["curves"]["roc"]["sad"]["x"]


def test_twins_of_training_rows_are_left_out():
    dataset = make_dataset(usages=("Training", "PublicTest"))
    rng = np.random.default_rng(0)
    dataset.pixels[:, 20:] = rng.integers(0, 256, (len(dataset), 28, 48))  # all different
    dataset.pixels[1::2][:5] = dataset.pixels[0::2][:5]
    predictions = evaluate.predict_rows(Oracle(), dataset)
    twins = full_report.without_twins(predictions, dataset)
    assert (twins["twins"], twins["n"]) == (5, len(dataset) // 2 - 5)
    right = (predictions.y_pred == predictions.y_true)[5:]
    assert twins["accuracy"] == pytest.approx(right.mean())
    only = dataset.select(dataset.usage == "PublicTest")
    assert full_report.without_twins(evaluate.predict_rows(Oracle(), only), only) is None


def test_the_pair_is_all_rows_of_both_and_the_larger_of_the_two():
    dataset = make_dataset()
    pair = full_report.pair_figures(evaluate.predict_rows(Oracle(), dataset))
    asked = evaluate.evaluate_bundle(Oracle(), dataset, classes="happy,neutral")
    assert (pair["n"], pair["accuracy"]) == (asked["n"], asked["accuracy"])
    assert full_report.pair_figures(evaluate.predict_rows(Oracle(), dataset, classes="happy,neutral")) is None


def test_what_the_voters_say_of_mistakes_between_the_pair():
    prob = np.full((6, 7), 0.05)
    prob[:4, SEVEN.index("happy")] = 0.4  # read as happy, the fourth rightly; the others as neutral
    prob[4:, SEVEN.index("neutral")] = 0.4
    prob[0, SEVEN.index("sad")] = 0.5  # in all seven classes another answer; between the two still happy
    y_true = np.array(
        [SEVEN.index(name) for name in ("neutral", "neutral", "neutral", "happy", "happy", "fear")]
    )
    predictions = evaluate.Predictions(SEVEN, "PublicTest", "", np.arange(1, 7), y_true, prob)
    votes = np.zeros((7, 10), int)
    votes[1, [VOTES.index("happiness"), VOTES.index("neutral"), VOTES.index("sadness")]] = (
        3,
        2,
        5,
    )  # the answer
    votes[2, VOTES.index("neutral")] = 10  # the label
    votes[5, VOTES.index("anger")] = 10  # neither
    votes[3, VOTES.index("happiness")] = 10
    dataset = Dataset(np.zeros((7, 48, 48), np.uint8), np.r_[0, y_true], np.full(7, "PublicTest"))
    figures = full_report.vote_figures(predictions, votes, dataset)
    said = {key: figures["pair_mistakes"][key] for key in ("n", "label", "answer", "another", "none")}
    assert said == {"n": 4, "label": 0.25, "answer": 0.5, "another": 0, "none": 0.25}
    line = next(
        line for line in sentences.vote_lines({"votes": figures}) if "between happy and neutral" in line
    )
    assert line == (
        "Of the 4 mistakes between happy and neutral the voters side with the label in 25.0%, with the answer in "
        "50.0%, with neither in 25.0%; with their label as the truth, 66.7% of the 3 rows on which they have one are "
        "read right."
    )


def test_the_temperature_is_never_fitted_on_judged_rows(loaded):
    dataset = noise(140)
    rows, words = full_report.fitting_rows(loaded, dataset, "PublicTest")
    training = np.flatnonzero(dataset.usage == "Training")
    assert "split off" in words
    assert rows.tolist() == training[held_out(dataset.select(training), 0.1, 7)].tolist()
    for judged, data in (("Training", dataset), ("PublicTest", noise(280))):  # another tenth than its own
        assert len(full_report.fitting_rows(loaded, data, judged)[0]) == 0
    begun = replace(
        loaded, metadata=loaded.metadata | {"began_with": {"name": "other"}}
    )  # may know that tenth
    assert len(full_report.fitting_rows(begun, dataset, "PublicTest")[0]) == 0
    three = noise(210, usages=("Training", "PublicTest", "PrivateTest"))
    rows, words = full_report.fitting_rows(Oracle(), three, "PrivateTest")
    assert words == "the PublicTest rows" and (three.usage[rows] == "PublicTest").all() and len(rows) == 70


def test_a_bundle_that_repeats_a_recipe_has_the_temperature_of_that_one(loaded):
    again = {"name": "third", "held_out_rows": 9, "held_out_accuracy": 0.7, "temperature": 2.0}
    kept = {key: value for key, value in loaded.metadata.items() if key != "data"} | {"repeats": again}
    repeating, dataset = replace(loaded, metadata=kept), noise(140)
    predictions = evaluate.predict_rows(repeating, dataset, "PublicTest", flip=True)
    figures = full_report.temperature_figures(repeating, dataset, predictions, True)
    assert (figures["value"], figures["n_fitted"]) == (2.0, 9) and "`third`" in figures["fitted_on"]
    softened = calibration.with_temperature(predictions.y_prob, 2.0)
    assert figures["calibration"] == evaluate.calibration_figures(predictions.y_true, softened)
    assert (
        full_report.temperature_figures(repeating, dataset, predictions, False) is None
    )  # fitted with mirror images
    learned = evaluate.predict_rows(repeating, dataset, "Training", None, True)
    assert full_report.temperature_figures(repeating, dataset, learned, True) is None
    two = evaluate.predict_rows(repeating, dataset, "PublicTest", "happy,neutral", True)
    assert full_report.temperature_figures(repeating, dataset, two, True) is None


@pytest.mark.parametrize("name, side", [("A", 12), ("D", 6), ("small", 6)])
def test_grad_cam_of_our_networks(name, side):
    model = networks.build(name, 7)
    assert gradcam.last_maps(model).output.shape[1:3] == (side, side)
    faces = noise(2).pixels
    maps = gradcam.heat_maps(model, faces, np.array([0, 3]))
    assert maps.shape == (2, 48, 48) and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() <= 1
    assert gradcam.blend(faces[0], maps[0]).shape == (48, 48, 3)


def test_grad_cam_points_at_what_the_answer_hangs_on():
    """A network whose first class is the brightness of the upper left quarter, the second of the lower right."""
    keras = import_keras()
    inputs = keras.layers.Input((48, 48, 1))
    maps = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(inputs)
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D(24)(maps))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(flat))
    model.layers[-1].set_weights([np.array([[1.0, 0], [0, 0], [0, 0], [0, 1.0]]), np.zeros(2)])
    model.trainable = False
    face = np.zeros((1, 48, 48), np.uint8)
    face[0, 4:12, 4:12] = 200
    heat = gradcam.heat_maps(model, face, np.array([0]))[0]
    assert heat[4:12, 4:12].min() == 1 and heat.sum() == 64
    assert gradcam.heat_maps(model, np.zeros_like(face), np.array([0])).max() == 0


def test_grad_cam_explains_the_likeliest_part_of_a_merged_class():
    said = np.array([[0.1, 0, 0.2, 0.3, 0.25, 0.05, 0.1]])
    asked = type("Model", (), {"class_names": SEVEN, "predict": lambda self, faces: said})()
    face = noise(1).pixels
    for names, answer, own in ((("happy", "rest"), 1, 4), (("happy", "rest"), 0, 3), (SEVEN, 6, 6)):
        assert gradcam.own_labels(asked, face, np.array([answer]), names).tolist() == [own]


def test_grad_cam_of_what_it_cannot_explain():
    keras = import_keras()
    flat = keras.Sequential([keras.layers.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(BadInputError, match="no convolutional maps"):
        gradcam.heat_maps(flat, noise(2).pixels, np.array([0, 1]))
    with pytest.raises(ImageError, match="n labels"):
        gradcam.heat_maps(flat, noise(2).pixels, np.array([0]))


def photo_folder(tmp_path, legend):
    images.write_image(tmp_path / "a.png", synth.draw_face(synth.Face(emotion="happy"), 200))
    images.write_image(tmp_path / "empty.png", np.full((80, 80, 3), 128, np.uint8))
    (tmp_path / "legend.csv").write_text(legend, encoding="utf-8")
    return tmp_path


class Sure:
    class_names, input_shape = SEVEN, (48, 48, 1)

    def predict(self, faces, flip=False):
        return np.eye(7)[np.full(len(faces), 3)]


def test_a_photograph_without_a_face_counts_as_wrong(tmp_path):
    legend = "image,emotion\na.png,happiness\nempty.png,happy\ngone.png,sad\na.png,bored\n"
    table, problems = photographs.read_photographs(
        photo_folder(tmp_path, legend), Sure(), "frontalface_default"
    )
    assert table["predicted"].tolist() == ["happy", ""]
    assert len(problems) == 2 and "gone.png" in problems[0] and "bored" in problems[1]
    figures = photographs.photo_figures(table)
    assert (figures["n"], figures["found"], figures["accuracy"], figures["accuracy_found"]) == (2, 1, 0.5, 1)
    assert figures["per_class"] == {"happy": {"n": 2, "found": 1, "right": 1}}


@pytest.mark.parametrize(
    "legend, said", [("file,label\na,b\n", "needs the columns"), ("image,emotion\n", "none of")]
)
def test_a_legend_that_cannot_be_used(tmp_path, legend, said):
    with pytest.raises(BadInputError, match=said):
        photographs.read_photographs(photo_folder(tmp_path, legend), Sure(), "frontalface_default")
    with pytest.raises(BadInputError, match="cannot be read"):
        photographs.read_photographs(tmp_path / "nowhere", Sure(), "frontalface_default")


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value) for name, value in attrs if name in ("src", "href", "srcset")]


def page(path):
    parser = Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.found


def test_the_page_needs_no_network_and_shows_no_face_unless_asked(folder, loaded, tmp_path):
    dataset = noise(140)
    measured, predictions, _ = full_report.measure_bundle(loaded, folder, dataset)
    html_report.write_html({**measured, "note": "<b> & more"}, tmp_path / "a.html")
    found = page(tmp_path / "a.html")
    assert len(found) >= 4 and all(value.startswith("data:image/svg+xml;base64,") for *_, value in found)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "@import" not in text and "&lt;b&gt; &amp; more" in text
    assert f"{measured['accuracy']:.2%}" in text and "TP / (TP + FN)" in text
    html_report.write_html({**measured, "note": "<b> & more"}, tmp_path / "b.html")
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()
    wall = html_report.worst_wall(loaded, predictions, dataset.pixels[predictions.rows], 4)
    html_report.write_html(measured, tmp_path / "c.html", [wall])
    assert sum(value.startswith("data:image/png") for *_, value in page(tmp_path / "c.html")) == 1


def test_the_card_says_what_the_report_says(folder, loaded):
    dataset = noise(140)
    dataset.pixels[1] = dataset.pixels[0]
    votes = np.ones((140, 10), int)
    measured, *_ = full_report.measure_bundle(loaded, folder, dataset, votes=votes, drawn=7)
    photos = pd.DataFrame({"truth": ["sad"] * 4, "predicted": ["sad", "", "fear", "sad"], "probability": 0.5})
    measured["photos"] = photographs.photo_figures(photos)
    evaluate.write_report(measured, folder / "metrics.json")
    text = model_card.write_card(folder).read_text(encoding="utf-8")
    for said in (
        f"**{measured['accuracy']:.2%}**",
        "1 of the 70 rows have an exact twin",
        "Of 4 whole photographs 50.0% were read right",
        "With temperature",
        "FER+'s ten votes on the same rows",
        "By skin: tone",
        "happy against neutral",
        "at work and in schools, but for medical reasons and safety",
    ):
        assert said in text, said
    pictures = re.findall(r"\]\((\w+\.png)\)", text)
    assert pictures == ["curves.png", "confusion.png", "calibration.png"]
    assert all((folder / name).is_file() for name in pictures)
    plain = evaluate.evaluate_bundle(loaded, dataset)  # a report of fewer figures gives a shorter card
    for key in ("calibration", "bootstrap", "confused", "top_2", "curves"):
        del plain[key]
    evaluate.write_report(plain, folder / "metrics.json")
    assert "Calibration" not in model_card.write_card(folder).read_text(encoding="utf-8")


def test_the_card_names_the_recipe_that_made_the_model():
    settings = asdict(replace(RECIPES["shipped"], seed=11))
    metadata = {"name": "x", "settings": settings, "data": {"source": "fer2013.csv, fer2013new.csv"}}
    command = (
        "ferlib train --data fer2013.csv --votes fer2013new.csv --recipe shipped --seed 11 --out models/x"
    )
    assert command in model_card._remake(metadata)
    settings["epochs"] += 1
    assert f"--network {settings['network']} --epochs {settings['epochs']}" in model_card._remake(metadata)


def test_the_card_names_the_teachers():
    lines = model_card._lessons({"settings": json.loads(json.dumps(asdict(RECIPES["third"])))})
    assert "began as that of the recipe `second`" in lines
    assert "50% of each target is the mean answer of the networks `first` and `second`" in lines
    assert model_card._lessons({"settings": asdict(RECIPES["light"])}) == model_card._earlier({}) == ""
    took = model_card._earlier({"first": {"epochs": 36, "seconds": 3600.0}})
    assert took == "\nBefore that, the network of `first` took 36 epochs and 60 minutes."


def test_the_card_of_a_repeated_recipe_claims_no_held_out_rows(folder, loaded, tmp_path):
    dataset = noise(140)
    shutil.copytree(folder, tmp_path / "m")
    history = [row | {"val_loss": float("nan"), "val_accuracy": float("nan")} for row in HISTORY]
    write_history(history, tmp_path / "m" / "history.csv")
    again = {"name": "third", "held_out_rows": 2871, "held_out_accuracy": 0.7022, "temperature": 0.96}
    data = {"source": "fer2013.csv", "training_rows": 70}
    settings = asdict(RECIPES["shipped"])
    metadata = loaded.metadata | {"data": data, "settings": settings, "repeats": again}
    (tmp_path / "m" / "metadata.json").write_text(json.dumps(metadata))
    evaluate.write_report(evaluate.evaluate_bundle(loaded, dataset), tmp_path / "m" / "metrics.json")
    text = model_card.write_card(tmp_path / "m").read_text(encoding="utf-8")
    for said in (
        "Trained on 70 Training rows of `fer2013.csv`. Nothing was chosen in this run: it repeats the recipe `third`",
        "chosen on 2,871 Training rows, split off",
        "Epoch 2 of 2 was kept, as in `third`, which read 70.2% of the rows split off there right",
        "They are those of `third`, fitted to rows that it had not learned.",
        "--recipe shipped",
    ):
        assert said in text
    assert "nan" not in text


def test_a_card_is_made_of_measured_figures_only(folder, tmp_path):
    write_history(HISTORY, tmp_path / "history.csv")
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(BundleError, match=r"no metrics\.json"):
        model_card.write_card(tmp_path)
