"""Wrong labels planted and found again, and what FER+ votes say of labels."""

import numpy as np
import pandas as pd
import pytest

from ferlib.common.labels import SEVEN, SIX
from ferlib.evaluate import label_errors


def planted(n=1400, share=0.08, seed=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 7, n)
    scores = rng.normal(0, 1, (n, 7))
    scores[np.arange(n), truth] += 4
    y_prob = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = rng.random(n) < share
    return np.where(wrong, (truth + rng.integers(1, 7, n)) % 7, truth), y_prob, truth, wrong


def test_planted_wrong_labels_are_found_with_the_right_one():
    labels, y_prob, truth, wrong = planted()
    suspects = label_errors.find_label_errors(labels, y_prob)
    rows = suspects["row"].to_numpy()
    assert wrong[rows].mean() > 0.85 and wrong[rows].sum() > 0.6 * wrong.sum()
    hit = wrong[rows]
    assert (suspects["suggested"].to_numpy()[hit] == truth[rows][hit]).mean() > 0.95
    assert wrong[rows[: wrong.sum() // 2]].mean() >= wrong[rows].mean()
    assert suspects["doubt"].is_monotonic_decreasing
    assert (suspects["label"].to_numpy() == labels[rows]).all()


def test_thresholds_are_the_mean_confidence_of_each_class():
    bars = label_errors.class_thresholds(
        np.array([0, 0, 1]), np.array([[0.8, 0.2, 0], [0.4, 0.6, 0], [0.1, 0.9, 0]])
    )
    assert bars[:2] == pytest.approx([0.6, 0.9]) and np.isnan(bars[2])


def test_a_class_of_which_the_network_is_never_sure_is_not_called_wrong_everywhere():
    y_prob = np.array([[0.55, 0.45]] * 10 + [[0.9, 0.1]] * 10)
    y_true = np.array([1] * 10 + [0] * 10)
    assert (y_prob.argmax(axis=1) != y_true).sum() == 10
    assert len(label_errors.find_label_errors(y_true, y_prob)) == 0


def test_votes_become_labels_by_majority():
    votes = np.zeros((6, 10), int)
    votes[0, [1, 0]] = 6, 4  # happiness before neutral
    votes[1, [5]] = 10  # disgust
    votes[2, [3, 4]] = 5, 5  # sadness and anger: a tie
    votes[3, [7, 2]] = 6, 4  # contempt
    votes[4, 9] = 10  # not a face
    votes[5, [0, 8]] = 5, 5  # neutral and unknown: a tie
    seven = label_errors.voted_labels(votes, SEVEN)
    assert seven.tolist() == [3, 1, -1, -1, -1, -1]
    six = label_errors.voted_labels(votes, SIX)
    assert [SIX[label] if label >= 0 else None for label in six[:2]] == ["happy", "angry"]


def test_the_ceiling_is_what_the_votes_know_of_the_labels():
    rng = np.random.default_rng(2)
    seen = rng.choice([0, 3], 1000)  # what people see: anger or happiness
    votes = np.zeros((1000, 10), int)
    votes[np.arange(1000), np.where(seen == 0, 4, 1)] = 10
    labels = np.where(rng.random(1000) < 0.2, 6, seen)  # and a fifth is labelled neutral all the same
    top = label_errors.label_noise_ceiling(votes, labels, SEVEN)
    assert top["majority"] == (labels == seen).mean() == pytest.approx(0.8, abs=0.04)
    assert top["calibrated"] == pytest.approx(0.8, abs=0.04)
    mine = np.isin(labels, [3, 6])
    half = ((labels == 6) & (seen == 0)).sum()  # nobody voted for either
    right = ((labels == 3) & (seen == 3)).sum()
    assert top["pair_n"] == mine.sum() and top["pair_ties"] == half / mine.sum()
    assert top["pair"] == pytest.approx((right + half / 2) / mine.sum())


def test_votes_on_suspects_and_on_mistakes_by_votes():
    y_true, voted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, -1, 0])
    suspects = pd.DataFrame({"row": [1, 3], "label": [0, 2], "suggested": [1, 0], "doubt": [0.5, 0.2]})
    look = label_errors.compare_with_votes(suspects, y_true, voted)
    assert look == {"suspects": 2, "against_label": 1, "with_suggestion": 0.5, "against_label_all": 0.6}
    wrong = label_errors.mistakes_by_votes(y_true, np.array([1, 1, 1, 0, 1]), voted)
    assert (wrong["n"], wrong["label"], wrong["answer"]) == (4, 0.25, 0.25)
    assert (wrong["another"], wrong["none"]) == (0.25, 0.25)
    assert (wrong["n_voted"], wrong["accuracy_by_votes"]) == (4, 0.5)
    nothing = label_errors.compare_with_votes(suspects[:0], y_true, voted)
    assert nothing["suspects"] == 0 and np.isnan(nothing["against_label"])
