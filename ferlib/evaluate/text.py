"""The figures of an evaluation as text: for its page and for a model's card. Works on the plain report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def percent(value: float | None, digits: int = 1) -> str:
    """A share as text, "–" where it is not a number."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"


def span(interval: Sequence[float]) -> str:
    """An interval as text."""
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def main_figures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures of a report as rows of text: name, value, 95 % interval or a remark. For page and card."""
    bounds = report.get("bootstrap", {})
    rows = [
        ("accuracy", f"{report['accuracy']:.2%}", span(report["interval"])),
        ("balanced accuracy", percent(report["balanced_accuracy"], 2), _span(bounds, "balanced_accuracy")),
        ("macro F1", f"{report['macro_f1']:.3f}", _span(bounds, "macro_f1", 3)),
        ("majority baseline", f"{report['majority_baseline']:.2%}", f"always {report['majority_class']}"),
    ]
    if "top_2" in report:
        rows.append(("top 2", f"{report['top_2']:.2%}", "the truth is among the two likeliest classes"))
    twins = report.get("without_twins")
    if twins:
        remark = f"{span(twins['interval'])}; {twins['twins']:,} rows with an exact copy in Training left out"
        rows.append(("accuracy without twins", f"{twins['accuracy']:.2%}", remark))
    pair = report.get("pair")
    if pair:
        name = " against ".join(pair["class_names"])
        rows.append((name, f"{pair['accuracy']:.2%}", f"{span(pair['interval'])}; {pair['n']:,} rows"))
    return rows


def _span(bounds: Mapping, key: str, digits: int | None = None) -> str:
    if key not in bounds:
        return ""
    low, high = bounds[key]
    return span((low, high)) if digits is None else f"{low:.{digits}f} to {high:.{digits}f}"


def vote_lines(report: Mapping[str, Any]) -> list[str]:
    """What FER+'s voters said, in sentences; none without `votes`."""
    votes = report.get("votes")
    if not votes:
        return []
    wrong, doubt, limit = votes["mistakes"], votes["label_errors"], votes.get("ceiling")
    lines = [
        f"FER+'s voters, by majority, give FER2013's own label to {votes['voters']['accuracy']:.1%} of these rows.",
        f"Of the {wrong['n']:,} mistakes the voters side with the label in {percent(wrong['label'])}, with the "
        f"answer in {percent(wrong['answer'])}, with a third class in {percent(wrong['another'])}, with none in "
        f"{percent(wrong['none'])}.",
        f"With the voters' label as the truth, {percent(wrong['accuracy_by_votes'])} of the {wrong['n_voted']:,} "
        "rows on which they have one are read right.",
        f"Confident learning calls {doubt['suspects']:,} labels wrong: the voters do not give that label in "
        f"{percent(doubt['against_label'])} of them (in {percent(doubt['against_label_all'])} of all rows), and "
        f"give the suggested one in {percent(doubt['with_suggestion'])}.",
    ]
    pair = votes.get("pair_mistakes")
    if pair and pair["n"]:
        lines.append(
            f"Of the {pair['n']:,} mistakes between happy and neutral the voters side with the label in "
            f"{percent(pair['label'])}, with the answer in {percent(pair['answer'])}, with neither in "
            f"{percent(pair['none'])}; with their label as the truth, {percent(pair['accuracy_by_votes'])} of the "
            f"{pair['n_voted']:,} rows on which they have one are read right."
        )
    if limit:
        lines.append(
            f"A ceiling made of label noise: ten people's votes, read in the way that fits FER2013 best, predict its "
            f"own labels in {limit['calibrated']:.1%} of {limit['n']:,} Training rows."
        )
    if limit and "pair" in limit:
        lines.append(
            f"Of the {limit['pair_n']:,} of them labelled happy or neutral, more voters saw that one of the two in "
            f"{limit['pair']:.1%} (a tie, {limit['pair_ties']:.1%}, counts half)."
        )
    return lines


def photo_lines(report: Mapping[str, Any]) -> list[str]:
    """How photographs were read, in a sentence; none without `photos`."""
    photos = report.get("photos")
    if not photos:
        return []
    by = f"with {photos['detector']} " if photos.get("detector") else ""
    return [
        f"Of {photos['n']:,} whole photographs {photos['accuracy']:.1%} were read right "
        f"({span(photos['interval'])}; one without a face counts as wrong); {by}a face was found in "
        f"{photos['found']:,}, {percent(photos['accuracy_found'])} of them right."
    ]


def calibration_lines(report: Mapping[str, Any]) -> list[str]:
    """How far the probabilities can be trusted, in sentences; none without `calibration`."""
    before, fitted = report.get("calibration"), report.get("temperature")
    if not before:
        return []
    lines = [f"Expected calibration error {before['ece']:.3f}, log loss {before['log_loss']:.3f}."]
    if fitted:
        after = fitted["calibration"]
        lines.append(
            f"With temperature {fitted['value']:.2f}, fitted on {fitted['fitted_on']} ({fitted['n_fitted']:,}): "
            f"{after['ece']:.3f} and {after['log_loss']:.3f}."
        )
    return lines


def drawn_lines(report: Mapping[str, Any]) -> list[str]:
    """How drawn faces were read, group by group (with their number), in sentences; none without `drawn`."""
    lines = []
    for key, rows in (report.get("drawn") or {}).items():
        said = "; ".join(f"{name} {row['accuracy']:.0%} ({row['n']})" for name, row in rows.items())
        lines.append(f"By {key}: {said}.")
    return lines
