"""Wrong labels planted and found again, FER+ votes, and accuracy by something else than the class."""

import numpy as np
import pandas as pd
import pytest

from ferlib import synth
from ferlib.common.errors import BadInputError
from ferlib.common.labels import SEVEN, SIX
from ferlib.evaluate import label_errors, subgroups


def planted(n=1400, share=0.08, seed=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 7, n)
    scores = rng.normal(0, 1, (n, 7))
    scores[np.arange(n), truth] += 4
    y_prob = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = rng.random(n) < share
    return np.where(wrong, (truth + rng.integers(1, 7, n)) % 7, truth), y_prob, truth, wrong


def test_planted_wrong_labels_are_found_with_the_right_one():
    given, y_prob, truth, wrong = planted()
    suspects = label_errors.find_suspects(given, y_prob)
    rows = suspects["row"].to_numpy()
    assert wrong[rows].mean() > 0.85 and wrong[rows].sum() > 0.6 * wrong.sum()
    hit = wrong[rows]
    assert (suspects["suggested"].to_numpy()[hit] == truth[rows][hit]).mean() > 0.95
    assert wrong[rows[: wrong.sum() // 2]].mean() >= wrong[rows].mean()
    assert suspects["doubt"].is_monotonic_decreasing
    assert (suspects["label"].to_numpy() == given[rows]).all()


def test_thresholds_are_the_mean_confidence_of_each_class():
    bars = label_errors.thresholds(
        np.array([0, 0, 1]), np.array([[0.8, 0.2, 0], [0.4, 0.6, 0], [0.1, 0.9, 0]])
    )
    assert bars[:2] == pytest.approx([0.6, 0.9]) and np.isnan(bars[2])


def test_a_class_of_which_the_network_is_never_sure_is_not_called_wrong_everywhere():
    y_prob = np.array([[0.55, 0.45]] * 10 + [[0.9, 0.1]] * 10)
    y_true = np.array([1] * 10 + [0] * 10)
    assert (y_prob.argmax(axis=1) != y_true).sum() == 10
    assert len(label_errors.find_suspects(y_true, y_prob)) == 0


def test_votes_become_labels_by_majority():
    votes = np.zeros((6, 10), int)
    votes[0, [1, 0]] = 6, 4  # happiness before neutral
    votes[1, [5]] = 10  # disgust
    votes[2, [3, 4]] = 5, 5  # sadness and anger: a tie
    votes[3, [7, 2]] = 6, 4  # contempt
    votes[4, 9] = 10  # not a face
    votes[5, [0, 8]] = 5, 5  # neutral and unknown: a tie
    seven = label_errors.voted_label(votes, SEVEN)
    assert seven.tolist() == [3, 1, -1, -1, -1, -1]
    six = label_errors.voted_label(votes, SIX)
    assert [SIX[label] if label >= 0 else None for label in six[:2]] == ["happy", "angry"]


def test_the_ceiling_is_what_the_votes_know_of_the_labels():
    rng = np.random.default_rng(2)
    seen = rng.choice([0, 3], 1000)  # what people see: anger or happiness
    votes = np.zeros((1000, 10), int)
    votes[np.arange(1000), np.where(seen == 0, 4, 1)] = 10
    given = np.where(rng.random(1000) < 0.2, 6, seen)  # and a fifth is labelled neutral all the same
    top = label_errors.ceiling(votes, given, SEVEN)
    assert top["majority"] == (given == seen).mean() == pytest.approx(0.8, abs=0.04)
    assert top["calibrated"] == pytest.approx(0.8, abs=0.04)
    mine = np.isin(given, [3, 6])
    half = ((given == 6) & (seen == 0)).sum()  # nobody voted for either
    right = ((given == 3) & (seen == 3)).sum()
    assert top["pair_n"] == mine.sum() and top["pair_ties"] == half / mine.sum()
    assert top["pair"] == pytest.approx((right + half / 2) / mine.sum())


def test_second_look_and_mistakes_by_votes():
    y_true, voted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, -1, 0])
    suspects = pd.DataFrame({"row": [1, 3], "label": [0, 2], "suggested": [1, 0], "doubt": [0.5, 0.2]})
    look = label_errors.second_look(suspects, y_true, voted)
    assert look == {"suspects": 2, "against_label": 1, "with_suggestion": 0.5, "against_label_all": 0.6}
    wrong = label_errors.mistakes_by_votes(y_true, np.array([1, 1, 1, 0, 1]), voted)
    assert (wrong["n"], wrong["label"], wrong["answer"]) == (4, 0.25, 0.25)
    assert (wrong["another"], wrong["none"]) == (0.25, 0.25)
    assert (wrong["n_voted"], wrong["accuracy_by_votes"]) == (4, 0.5)
    nothing = label_errors.second_look(suspects[:0], y_true, voted)
    assert nothing["suspects"] == 0 and np.isnan(nothing["against_label"])


def test_accuracy_by_group_counts_every_row_once():
    table = subgroups.accuracy_by(["b", "a", "b", "b"], np.array([True, False, True, False]))
    assert table["n"].to_dict() == {"a": 1, "b": 3}
    assert table["accuracy"].to_dict() == pytest.approx({"a": 0, "b": 2 / 3})
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()


def test_light_of_faces_and_its_quarters():
    faces = np.stack([np.full((48, 48), level, np.uint8) for level in range(0, 200, 10)])
    faces[0, :, ::2] = 10
    brightness, contrast = subgroups.light_of(faces)
    assert (brightness[0], contrast[0], contrast[1]) == (5, 5, 0)
    tables = subgroups.by_light(faces, np.arange(20) >= 10)
    assert [len(table) for table in tables.values()] == [4, 2]  # equal contrasts stay together
    assert tables["brightness"]["n"].tolist() == [5] * 4 and tables["brightness"]["accuracy"].iloc[-1] == 1
    assert tables["brightness"].index[0].startswith("1: ")


def test_drawn_faces_tell_what_they_are():
    faces = [
        synth.Face(skin=7, light="lamp", yaw=-3, glasses="thin"),
        synth.Face(yaw=2, pitch=-7),
        synth.Face(yaw=15),
    ]
    facts = subgroups.facts_of(faces)
    assert facts["skin"] == ["tone 8", "tone 3", "tone 3"]
    assert facts["pose"] == ["turned 0–5°", "turned 5–10°", "turned over 10°"]
    assert (facts["light"][0], facts["glasses"][0]) == ("lamp", "thin")


def test_each_face_with_each_value_differs_in_nothing_else():
    faces = synth.sample_faces(3, seed=2)
    changed = subgroups.with_each(faces, "skin", [0, 7])
    assert [face.skin for face in changed] == [0, 0, 0, 7, 7, 7]
    assert [face.seed for face in changed] == [face.seed for face in faces] * 2
    cut = subgroups.draw_inputs([changed[0], changed[3]])
    assert cut.shape == (2, 48, 48) and cut[0].mean() > cut[1].mean() + 20


def test_by_drawing_asks_the_model_once_about_every_face():
    class Happy:
        class_names = SEVEN

        def predict(self, faces, flip=False):
            return np.eye(7)[np.full(len(faces), 3)]

    tables = subgroups.by_drawing(Happy(), 14, seed=1)
    assert list(tables) == ["emotion", "skin", "light", "pose", "glasses"]
    assert tables["emotion"]["accuracy"].to_dict() == {name: float(name == "happy") for name in SEVEN}
    assert all(table["n"].sum() == 14 for table in tables.values())


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: subgroups.accuracy_by(["a"], np.array([True, False])), "1 groups for 2 answers"),
        (lambda: subgroups.accuracy_by([], np.array([], bool)), "at least one"),
        (lambda: subgroups.by_drawing(None, 0), "at least 1"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(BadInputError, match=said):
        call()
