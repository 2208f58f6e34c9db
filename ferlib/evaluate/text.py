"""The figures of a report as text, for its page, for a model's card and for notebook 05.

All functions take the report as `ferlib evaluate` writes it to metrics.json, of this version or an earlier one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferlib.common.errors import check_choice
from ferlib.common.html import render
from ferlib.evaluate.metrics import confusion_in_words

HUMAN_AGREEMENT = (0.60, 0.70)
"""The share of FER2013's labels that people agree with: 65 ± 5 % (I. Goodfellow et al. 2013)."""

TOPICS = ("tta", "confusions", "calibration", "votes", "photos", "drawn")
"""What `sentences` can describe."""


def percent(value: float | None, digits: int = 1) -> str:
    """Format a share.

    Args:
        value: The share, 0 to 1; None or NaN for none.
        digits: The number of decimals.

    Returns:
        For example "70.2%"; "–" where the share is not a number.
    """
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}%}"


def decimal(value: float | None, digits: int = 3) -> str:
    """Format a number.

    Args:
        value: The number; None or NaN for none.
        digits: The number of decimals.

    Returns:
        For example "0.677"; "–" where it is not a number.
    """
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def span(interval: Sequence[float | None] | np.ndarray | None) -> str:
    """Format an interval of shares.

    Args:
        interval: The lower and the upper end, 0 to 1.

    Returns:
        For example "68.7% to 71.7%"; "–" where an end is not a number.
    """
    if interval is None or not np.isfinite(np.asarray(interval, float)).all():
        return "–"
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def render_report(template: str, **values: Any) -> str:
    """Fill a template that formats the figures of a report.

    Args:
        template: The file's name in `ferlib/common/templates`.
        **values: What the template names beyond the functions for formatting that all of them get.

    Returns:
        The text.
    """
    helpers = {"percent": percent, "decimal": decimal, "span": span, "count": "{:,}".format, "tta_of": tta_of}
    return render(template, confusion_in_words=confusion_in_words, **helpers, **values)


def tta_of(report: Mapping[str, Any]) -> str:
    """Tell which test-time augmentation a report was made with.

    Args:
        report: A report; an earlier one has `flip` instead of `tta`.

    Returns:
        A name of `ferlib.model.predictor.TTA`.
    """
    return report.get("tta", "flip" if report.get("flip") else "none")


def main_figures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Format the main figures of a report as the rows of a table.

    Args:
        report: A report.

    Returns:
        (name, value, 95 % interval or remark) per figure.
    """
    balanced = f1 = ""
    if "bootstrap" in report:
        balanced = span(report["bootstrap"]["balanced_accuracy"])
        f1 = " to ".join(decimal(end) for end in report["bootstrap"]["macro_f1"])
    rows = [
        ("accuracy", percent(report["accuracy"], 2), span(report["interval"])),
        ("balanced accuracy", percent(report["balanced_accuracy"], 2), balanced),
        ("macro F1", decimal(report["macro_f1"]), f1),
        ("majority baseline", percent(report["majority_baseline"], 2), f"always {report['majority_class']}"),
    ]
    if "top_2" in report:
        rows.append(("top 2", f"{report['top_2']:.2%}", "the truth is among the two likeliest classes"))
    twins = report.get("without_twins")
    if twins:
        remark = f"{span(twins['interval'])}; {twins['twins']:,} rows with an exact copy in Training left out"
        rows.append(("accuracy without twins", f"{twins['accuracy']:.2%}", remark))
    return rows + ([subset_figures(report["pair"])] if report.get("pair") else [])


def subset_figures(report: Mapping[str, Any]) -> tuple[str, str, str]:
    """Format the accuracy on some of the classes as a row for `main_figures`.

    Args:
        report: A report on these classes, or the `pair` of a report.

    Returns:
        (name, value, 95 % interval and number of rows).
    """
    remark = f"{span(report['interval'])}; {report['n']:,} rows"
    return " against ".join(report["class_names"]), f"{report['accuracy']:.2%}", remark


def sentences(report: Mapping[str, Any], topic: str) -> list[str]:
    """Describe a part of a report in sentences.

    Args:
        report: A report.
        topic: One of `TOPICS`: test-time augmentation (a phrase only), the most frequent confusions, how far the
            probabilities can be trusted, what FER+'s voters say, photographs, or drawn faces group by group.

    Returns:
        The sentences; none where the report lacks this part.

    Raises:
        BadInputError: An unknown topic.
    """
    check_choice("topic", topic, TOPICS)
    return render_report("sentences.md", topic=topic, report=report).splitlines()
