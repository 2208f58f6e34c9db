"""A report of `ferlib evaluate` as one HTML page with tables and figures, which opens without a network.

It holds pictures of faces only where the caller passes them: a report may be shared where its data may not.
"""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferlib.common.errors import BadInputError
from ferlib.common.files import write_text
from ferlib.evaluate import metrics
from ferlib.evaluate.predictions import Predictions
from ferlib.evaluate.text import TOPICS, main_figures, render_report, sentences
from ferlib.model.predictor import Predictor


def write_html(report: Mapping[str, Any], path: str | os.PathLike, pictures: Sequence[bytes] = ()) -> None:
    """Write a report as an HTML page. What the report lacks is left out of the page.

    Args:
        report: What `ferlib.evaluate.full_report.measure_bundle` or `ferlib.evaluate.predictions.build_report`
            returns, or the content of metrics.json.
        path: The file.
        pictures: PNG files that show faces, such as `worst_mistakes` makes.
    """
    matrix, names = np.array(report["confusion_matrix"]), report["class_names"]
    page = render_report(
        "report.html",
        title=f"{report.get('model', 'model')}: {report['accuracy']:.1%} of {report['n']:,} faces",
        report=report,
        main_figures=main_figures(report),
        rate_names=dict(list(metrics.RATES.items())[:8]),
        rates=[metrics.binary_rates(metrics.one_vs_rest(matrix, label)) for label in range(len(names))],
        sentences={topic: sentences(report, topic) for topic in TOPICS},
        figures={name: _svg(figure) for name, figure in _figures(report).items()},
        pictures=[_data_uri(picture, "png") for picture in pictures],
    )
    write_text(path, page)


def _figures(report: Mapping[str, Any]) -> dict[str, Any]:
    import matplotlib.pyplot as plt

    from ferlib.common.plots import plot_confusion
    from ferlib.evaluate.figures import plot_curves, plot_reliability, plot_subgroups

    matrix, names = np.array(report["confusion_matrix"]), report["class_names"]
    width = 4 + 1.3 * len(names)
    figure, axes = plt.subplots(1, 2, figsize=(width, width * 0.4), layout="constrained")
    plot_confusion(matrix, names, ax=axes[0]).set_title("counts")
    plot_confusion(matrix, names, shares=True, ax=axes[1]).set_title("shares of each row")
    figures = {"confusion": figure}
    if "curves" in report:
        figures["curves"], axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
        for ax, kind in zip(axes, ("roc", "precision_recall"), strict=True):
            plot_curves(report["curves"][kind], kind, ax)
    if "calibration" in report:
        fitted = report.get("temperature")
        after = fitted["calibration"]["bins"] if fitted else None
        figures["calibration"] = plot_reliability(report["calibration"]["bins"], after).figure
    for key in ("light", "drawn"):
        tables = report.get(key)
        if tables:
            heights = [0.8 + 0.3 * len(rows) for rows in tables.values()]
            heights = [max(heights[k : k + 2]) for k in range(0, len(heights), 2)]
            shape = {"figsize": (11, sum(heights)), "height_ratios": heights, "squeeze": False}
            figures[key], axes = plt.subplots(len(heights), 2, layout="constrained", **shape)
            for ax in axes.flat[len(tables) :]:
                ax.axis("off")
            for ax, (name, rows) in zip(axes.flat, tables.items(), strict=False):
                plot_subgroups(rows, ax, name)
    return figures


def worst_mistakes(
    model: Predictor, predictions: Predictions, faces: np.ndarray, count: int = 16
) -> bytes | None:
    """Draw the wrong predictions of the largest probability with their Grad-CAM.

    Args:
        model: The model; without Grad-CAM if it is no Keras network with feature maps.
        predictions: Its predictions.
        faces: The rows of the predictions, uint8 (n, h, w).
        count: How many faces to show at most.

    Returns:
        A PNG file; None where nothing was wrong.
    """
    from ferlib.common.plots import plot_wall
    from ferlib.evaluate import gradcam
    from ferlib.evaluate.figures import plot_heat_maps

    wrong = np.flatnonzero(~predictions.correct)
    confidence, names = predictions.y_prob.max(axis=1), predictions.class_names
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    if not len(worst):
        return None
    y_true, y_pred, faces = predictions.y_true[worst], predictions.y_pred[worst], faces[worst]
    answers = zip(y_true, y_pred, confidence[worst], strict=True)
    titles = [f"{names[true]}, not\n{names[said]} {sure:.2f}" for true, said, sure in answers]
    try:
        labels = gradcam.own_labels(model, faces, y_pred, names)
        heats = gradcam.heat_maps(getattr(model, "model", None), faces, labels)
        figure = plot_heat_maps(faces, heats, titles)
    except BadInputError:
        figure = plot_wall(faces, titles=titles, size=1.35)
    return _save(figure, "png", {"Software": None}, dpi=100)


def _save(figure: Any, kind: str, metadata: dict, **options: Any) -> bytes:
    """A figure as the bytes of a file, the same for the same figure; the figure is closed."""
    import matplotlib.pyplot as plt

    from ferlib.common.plots import fonts_for

    file = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "ferlib"}), fonts_for(figure):
        figure.savefig(file, format=kind, metadata=metadata, **options)
    plt.close(figure)
    return file.getvalue()


def _svg(figure: Any) -> str:
    return _data_uri(_save(figure, "svg", {"Date": None}), "svg+xml")


def _data_uri(file: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
