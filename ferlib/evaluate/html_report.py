"""A report of `ferlib evaluate` as one HTML page that opens without a network: tables, and figures within it.

Pictures of faces are in it only where the caller hands them over: a report may travel further than its data.
"""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from ferlib.common.files import write_text
from ferlib.evaluate import metrics
from ferlib.evaluate.text import calibration_lines, main_figures, percent, photo_lines, span, vote_lines

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}td:nth-child(2){white-space:nowrap}img{max-width:100%}small{color:#555}
@media print{h2{break-after:avoid}img,table{break-inside:avoid}}"""


def write_html(report: Mapping[str, Any], path: str | os.PathLike, pictures: Sequence[bytes] = ()) -> None:
    """Write a report of `measure.measure_bundle` (or of `evaluate.report`) as a page of its own.

    `pictures`: PNG files with faces (see `worst_wall`); none by default. What the report lacks is left out.
    """
    parts = [_head(report), _counts(report), _classes(report), _confusion(report), _rates(report)]
    parts += [_curves(report), _calibration(report), _more(report), _slices(report)]
    if pictures:
        parts.append("<h2>The worst mistakes</h2>" + "".join(map(_png, pictures)))
    title = escape(f"{report.get('model', 'model')}: {report['accuracy']:.1%} of {report['n']:,} faces")
    body = "\n".join(part for part in parts if part)
    write_text(
        path,
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n{body}\n</body></html>\n",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    line = lambda cells, tag: "<tr>" + "".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in cells) + "</tr>"  # noqa: E731
    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _head(report: Mapping[str, Any]) -> str:
    words = [f"{report['n']:,} {report['usage']} rows"]
    words.append("each averaged with its mirror image" if report.get("flip") else "each read once")
    facts = report.get("model_facts", {})
    if facts.get("parameters"):
        words.append(f"{facts['parameters']:,} parameters")
    if facts.get("file_bytes"):
        words.append(f"{facts['file_bytes'] / 1e6:.1f} MB")
    if report.get("ms_per_face"):
        words.append(f"{report['ms_per_face']:.1f} ms a face on {facts.get('cores')} cores")
    note = f"<p><b>{escape(report['note'])}</b></p>" if report.get("note") else ""
    table = _table(["figure", "value", "95 % interval"], main_figures(report))
    human = "<p><small>People agree with FER2013's labels in 65 ± 5 % of cases.</small></p>"
    if report.get("labels") == "ferplus":
        human = "<p><small>Labels are those that most of FER+'s ten voters gave.</small></p>"
    return f"<p>{escape(', '.join(words))}.</p>{note}{table}{human}"


def _counts(report: Mapping[str, Any]) -> str:
    rows = [
        (name, f"{row['support']:,}", percent(row["support"] / report["n"]), f"{row['predicted']:,}")
        for name, row in report["per_class"].items()
    ]
    return "<h2>Counts and shares</h2>" + _table(["class", "faces", "share", "times answered"], rows)


def _classes(report: Mapping[str, Any]) -> str:
    rows = []
    for name, row in report["per_class"].items():
        bounds = row.get("recall_interval")
        between = span(bounds) if bounds is not None and np.isfinite(np.asarray(bounds, float)).all() else "–"
        cells = [percent(row["precision"]), percent(row["recall"]), between, percent(row["f1"])]
        rows.append((name, *cells, *(_three(row.get(key)) for key in ("auc", "ap"))))
    head = ["class", "precision", "recall", "95 % of recall", "F1", "ROC area", "average precision"]
    return "<h2>By class</h2>" + _table(head, rows)


def _three(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.3f}"


def _rates(report: Mapping[str, Any]) -> str:
    keys = ["tpr", "fnr", "fpr", "tnr", "precision", "fdr", "for_", "npv"]
    matrix, names = np.array(report["confusion_matrix"]), report["class_names"]
    rates = [metrics.binary_rates(metrics.one_against_rest(matrix, k)) for k in range(len(names))]
    rows = [(*metrics.RATES[key], *(percent(rate[key]) for rate in rates)) for key in keys]
    head = ["rate", "formula", *names]
    return "<h2>Every rate, each class against the rest</h2>" + _table(head, rows)


def _confusion(report: Mapping[str, Any]) -> str:
    import matplotlib.pyplot as plt

    from ferlib.common.plots import plot_confusion

    matrix, names = np.array(report["confusion_matrix"]), report["class_names"]
    wide = 4 + 1.3 * len(names)
    figure, axes = plt.subplots(1, 2, figsize=(wide, wide * 0.4), layout="constrained")
    for ax, shares in zip(axes, (False, True), strict=True):
        plot_confusion(matrix, names, shares=shares, ax=ax).set_title(
            "shares of each row" if shares else "counts"
        )
    said = "".join(f"<li>{escape(metrics.in_words(pair))}</li>" for pair in report.get("confused", []))
    return f"<h2>What is taken for what</h2>{_svg(figure)}<ul>{said}</ul>"


def _curves(report: Mapping[str, Any]) -> str:
    if "curves" not in report:
        return ""
    import matplotlib.pyplot as plt

    from ferlib.evaluate.figures import plot_curves

    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    for ax, kind in zip(axes, ("roc", "precision_recall"), strict=True):
        plot_curves(report["curves"][kind], kind, ax)
    return f"<h2>ROC and precision-recall</h2>{_svg(figure)}"


def _calibration(report: Mapping[str, Any]) -> str:
    if "calibration" not in report:
        return ""
    from ferlib.evaluate.figures import plot_reliability

    before, fitted = report["calibration"], report.get("temperature")
    ax = plot_reliability(before["bins"], fitted["calibration"]["bins"] if fitted else None)
    text = " ".join(calibration_lines(report))
    return f"<h2>Calibration</h2>{_svg(ax.figure)}<p>{escape(text)}</p>"


def _more(report: Mapping[str, Any]) -> str:
    lines = vote_lines(report) + photo_lines(report)
    return (
        "<h2>A second look</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
        if lines
        else ""
    )


def _slices(report: Mapping[str, Any]) -> str:
    import matplotlib.pyplot as plt

    from ferlib.evaluate.figures import plot_slices

    parts = []
    for key, title in (("light", "By light, in quarters of the faces"), ("drawn", "On drawn faces")):
        tables = report.get(key)
        if not tables:
            continue
        tall = [0.8 + 0.3 * len(rows) for rows in tables.values()]
        lines = -(-len(tables) // 2)
        heights = [max(tall[2 * k : 2 * k + 2]) for k in range(lines)]
        figure, axes = plt.subplots(
            lines, 2, figsize=(11, sum(heights)), height_ratios=heights, layout="constrained", squeeze=False
        )
        for ax in axes.flat[len(tables) :]:
            ax.axis("off")
        for ax, (name, rows) in zip(axes.flat, tables.items(), strict=False):
            plot_slices(rows, ax, name)
        parts.append(f"<h2>{title}</h2>{_svg(figure)}")
    return "".join(parts)


def worst_wall(bundle: Any, predictions: Any, faces: np.ndarray, count: int = 16) -> bytes | None:
    """The surest wrong answers with their Grad-CAM as a PNG file; None where nothing was wrong.

    `faces`: uint8 (n, h, w), the rows of `predictions`. Without Grad-CAM where the model has no maps.
    """
    import matplotlib.pyplot as plt

    from ferlib.common.errors import BadInputError
    from ferlib.common.plots import plot_wall
    from ferlib.evaluate import gradcam
    from ferlib.evaluate.figures import plot_heat

    worst = worst_rows(predictions.y_true, predictions.y_prob)[:count]
    if not len(worst):
        return None
    names, said = predictions.class_names, predictions.y_pred
    titles = [
        f"{names[predictions.y_true[k]]}, not\n{names[said[k]]} {predictions.y_prob[k].max():.2f}"
        for k in worst
    ]
    try:
        if not hasattr(bundle, "model"):
            raise BadInputError(f"{bundle.name} is no network")
        labels = gradcam.own_labels(bundle, faces[worst], said[worst], names)
        figure = plot_heat(faces[worst], gradcam.heat_maps(bundle.model, faces[worst], labels), titles)
    except BadInputError:
        figure = plot_wall(faces[worst], titles=titles, size=1.35)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)
    return file.getvalue()


def worst_rows(y_true: np.ndarray, y_prob: np.ndarray) -> np.ndarray:
    """Places of the wrong answers, the surest first: int64."""
    wrong = np.flatnonzero(y_prob.argmax(axis=1) != y_true)
    return wrong[np.argsort(-y_prob[wrong].max(axis=1), kind="stable")]


def _svg(figure) -> str:
    """A figure as an image within the page; the same figure gives the same bytes."""
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "ferlib"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return f'<p><img alt="" src="data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"></p>'


def _png(file: bytes) -> str:
    return f'<p><img alt="" src="data:image/png;base64,{base64.b64encode(file).decode()}"></p>'
