"""The card of a bundle: what it is, how it was made and measured, and what it must not be used for.

Every figure comes from the bundle's own metadata.json, history.csv and metrics.json, but for what notes.md adds.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib.common.errors import BundleError
from ferlib.common.files import read_json, write_text
from ferlib.evaluate.text import TOPICS, main_figures, render_report, sentences, subset_figures
from ferlib.model.metadata import METADATA_FILE, METRICS_FILE
from ferlib.train.recipes import current_names, kept_epoch, known_as

HISTORY, NOTES = "history.csv", "notes.md"


def write_card(folder: str | os.PathLike) -> Path:
    """Write the card of a bundle: README.md, curves.png, confusion.png and calibration.png beside its files.

    Args:
        folder: The folder of the bundle.

    Returns:
        The path of README.md.

    Raises:
        BundleError: The bundle lacks its metadata, history or report.
    """
    from ferlib.common.plots import plot_confusion, plot_history, save_figure
    from ferlib.evaluate.figures import plot_reliability

    folder = Path(folder)
    text = render_card(folder)
    report = _read_json(folder / METRICS_FILE)
    matrix = np.array(report["confusion_matrix"])
    axes = {"curves": plot_history(pd.read_csv(folder / HISTORY))[0]}
    axes["confusion"] = plot_confusion(matrix, report["class_names"], shares=True)
    if "calibration" in report:
        after = report["temperature"]["calibration"]["bins"] if "temperature" in report else None
        axes["calibration"] = plot_reliability(report["calibration"]["bins"], after)
    for name, ax in axes.items():
        save_figure(ax.figure, folder / f"{name}.png", dpi=100)
    write_text(folder / "README.md", text)
    return folder / "README.md"


def render_card(folder: str | os.PathLike) -> str:
    """Compose the card of a bundle from its metadata.json, history.csv and metrics.json.

    Further reports on some of the classes, named `metrics-*.json`, give one row each. The text of `notes.md`, where
    there is one, is added at the end: what nobody measured, such as what was tried.

    Args:
        folder: The folder of the bundle.

    Returns:
        The text of README.md.

    Raises:
        BundleError: The bundle lacks its metadata, history or report.
    """
    folder = Path(folder)
    for name in (METADATA_FILE, HISTORY, METRICS_FILE):
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder} has no {name}; a card needs the history and `ferlib evaluate --json`"
            )
    metadata, report = _read_json(folder / METADATA_FILE), _read_json(folder / METRICS_FILE)
    data, settings = metadata["data"], current_names(metadata["settings"])
    history = pd.read_csv(folder / HISTORY)
    others = [_read_json(path) for path in sorted(folder.glob("metrics-*.json"))]
    measured = set(report.get("pair", {}).get("class_names", ()))
    subsets = [subset_figures(other) for other in others if set(other["class_names"]) != measured]
    notes = (folder / NOTES).read_text(encoding="utf-8") if (folder / NOTES).is_file() else ""
    recalls = {name: row["recall"] for name, row in report["per_class"].items() if row["recall"] is not None}
    return render_report(
        "model_card.md",
        metadata=metadata,
        data=data,
        settings=settings,
        settings_json=json.dumps(metadata["settings"], indent=1),
        report=report,
        source=data["source"].split(", ")[0],  # after it comes the file of votes, where there was one
        relabelled=data.get("labels") == "ferplus",
        repeats=metadata.get("repeats"),
        began_with=metadata.get("began_with"),
        best_epoch=kept_epoch(history.to_dict("records"), settings.get("keep", "best")),
        epochs=len(history),
        held_out_accuracy=data.get("held_out_accuracy", history["val_accuracy"].max()),
        minutes=history["seconds"].sum() / 60,
        command=_command(metadata),
        figures=main_figures(report) + subsets,
        sentences={topic: sentences(report, topic) for topic in TOPICS},
        notes=notes,
        weakest=min(recalls, key=lambda name: recalls[name]),
    )


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(path, BundleError)
    return content


def _command(metadata: dict[str, Any]) -> str:
    """The command line that makes the bundle again."""
    data, settings = metadata["data"], current_names(metadata["settings"])
    source, *votes = data["source"].split(", ")
    recipe = known_as(metadata["settings"])
    parts = [f"ferlib train --data {source}"]
    if settings.get("vote_weight"):
        parts.append(f"--votes {votes[0] if votes else 'fer2013new.csv'}")
    if data.get("labels") == "ferplus":
        parts.append("--labels ferplus")
    if "began_with" in metadata:
        parts.append(f"--begin models/{metadata['began_with']['name']}")
    made_by = f"--network {settings['network']} --epochs {settings['epochs']}"
    parts.append(f"--recipe {recipe}" if recipe else made_by)
    return " ".join([*parts, f"--seed {settings['seed']} --out models/{metadata['name']}"])
