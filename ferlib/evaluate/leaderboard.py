"""One table and one chart of all trained models and baselines, from the files that `ferlib evaluate` wrote."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ferlib.common.errors import BadInputError, warn_each
from ferlib.common.files import write_text
from ferlib.common.labels import SEVEN
from ferlib.evaluate.text import HUMAN_AGREEMENT, render_report, tta_of
from ferlib.model.metadata import METADATA_FILE, MODEL_FILE
from ferlib.model.timing import ms_per_face
from ferlib.train.baselines import SVM_FILE, load_model
from ferlib.train.recipes import PUBLISHED_EPOCHS, RECIPES

FER2013_PARTS = (3_589, 7_178)
"""The number of faces in one of FER2013's test parts and in both; the human figure is for these only."""

_GROUP = ["classes", "usage", "faces"]


@dataclass(frozen=True)
class Entry:
    """One row of the leaderboard.

    Attributes:
        name: The name of the model's folder.
        network: The name of its network.
        classes: "seven", or the names of the classes.
        usage: The part of the data set.
        faces: The number of faces.
        accuracy: 0 to 1.
        low: The lower end of the accuracy's 95 % interval.
        high: Its upper end.
        balanced_accuracy: 0 to 1.
        parameters: The number of the model's parameters.
        megabytes: The size of its file.
        ms_per_face: Milliseconds per face.
        epochs: The epochs that it was trained for, those of earlier networks included.
        seconds: The time that this took.
        note: What else to know.
    """

    name: str
    network: str
    classes: str
    usage: str
    faces: int
    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    parameters: int = 0
    megabytes: float = 0.0
    ms_per_face: float = np.nan
    epochs: float = np.nan
    seconds: float = np.nan
    note: str = ""


def build_leaderboard(folders: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Compare models by the reports in their folders; folders that cannot be read are logged.

    A folder may have lost its model: metadata.json, history.csv and the reports are enough. Where a report lacks
    `ms_per_face`, it is measured here.

    Args:
        folders: Folders of models with `metrics*.json` files.

    Returns:
        One row per report with the columns of `Entry`, and a majority row for each class set and part of the
        data; large class sets first, then the best model first.

    Raises:
        BadInputError: None of the folders can be read.
    """
    entries: list[Entry] = []
    majority: dict[tuple[str, str, int], float] = {}
    left_out = []
    for folder in map(Path, folders):
        try:
            for report in _read_reports(folder):
                entry = _entry(folder, report)
                entries.append(entry)
                majority[entry.classes, entry.usage, entry.faces] = float(report["majority_baseline"])
        except BadInputError as error:
            left_out.append(str(error))
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            left_out.append(f"{folder}: its reports cannot be read ({reason}); evaluate it again")
    warn_each(left_out)
    if not entries:
        raise BadInputError(
            "no model to compare; give folders in which `ferlib evaluate --json` left a metrics.json"
        )
    note = "always the most frequent class"
    for (classes, usage, faces), accuracy in majority.items():
        rates = (accuracy, np.nan, np.nan, 1 / _class_count(classes))
        entries.append(Entry("majority", "", classes, usage, faces, *rates, note=note))
    table = pd.DataFrame(entries, columns=[field.name for field in fields(Entry)])
    order = table.assign(size=table["classes"].map(_class_count)).sort_values(
        ["size", *_GROUP, "accuracy"], ascending=[False, True, True, True, False], kind="stable"
    )
    return table.loc[order.index].reset_index(drop=True)


def _class_count(classes: str) -> int:
    return 7 if classes == "seven" else classes.count(",") + 1


def _read_reports(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("metrics*.json"))
    if not paths:
        raise BadInputError(
            f"{folder}: no metrics.json; run `ferlib evaluate --model {folder} --data … --json {folder}/metrics.json`"
        )
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _entry(folder: Path, report: dict[str, Any]) -> Entry:
    metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    network = metadata.get("settings", {}).get("network", "")
    names = report["class_names"]
    files = [folder / name for name in (MODEL_FILE, SVM_FILE) if (folder / name).is_file()]
    size = sum(file.stat().st_size for file in files) or report.get("model_facts", {}).get("file_bytes")
    milliseconds = report.get("ms_per_face")
    epochs, seconds, note = _training(folder, metadata, network)
    return Entry(
        name=folder.name,
        network=network,
        classes="seven" if tuple(names) == SEVEN else ", ".join(names),
        usage=report["usage"],
        faces=int(report["n"]),
        accuracy=float(report["accuracy"]),
        low=report["interval"][0],
        high=report["interval"][1],
        balanced_accuracy=float(report["balanced_accuracy"]),
        parameters=metadata["parameters"],
        megabytes=size / 1e6 if size else np.nan,
        ms_per_face=ms_per_face(load_model(folder), tta_of(report)) if milliseconds is None else milliseconds,
        epochs=epochs,
        seconds=seconds,
        note=note,
    )


def _training(folder: Path, metadata: dict[str, Any], network: str) -> tuple[float, float, str]:
    """Epochs, seconds, and a note on them."""
    if not (folder / "history.csv").is_file():
        return np.nan, metadata.get("seconds", np.nan), ""
    history = pd.read_csv(folder / "history.csv")
    earlier = metadata.get("earlier", {}).values()
    epochs = len(history) + sum(each["epochs"] for each in earlier)
    seconds = history["seconds"].sum() if "seconds" in history else np.nan
    planned = RECIPES[network].epochs if network in RECIPES else 0
    note = f"with the epochs of {len(earlier)} earlier networks" if earlier else ""
    if len(history) < planned:
        whose = "published epochs" if network in PUBLISHED_EPOCHS else "epochs of its recipe"
        note = f"{len(history)} of {planned} {whose}"
    return epochs, seconds + sum(each["seconds"] for each in earlier), note


def _is_fer2013(classes: str, faces: int) -> bool:
    return classes == "seven" and faces in FER2013_PARTS


def to_markdown(table: pd.DataFrame) -> str:
    """Format a leaderboard as Markdown.

    Args:
        table: What `build_leaderboard` returns.

    Returns:
        A heading and a table for each class set and part of the data; with the seven classes of FER2013's test
        parts also the human figure and its source.
    """
    groups = [(key, list(rows.itertuples())) for key, rows in table.groupby(_GROUP, sort=False)]
    human = HUMAN_AGREEMENT if any(_is_fer2013(key[0], key[2]) for key, _ in groups) else None
    return render_report("leaderboard.md", groups=groups, human=human, isfinite=np.isfinite)


def plot_leaderboard(table: pd.DataFrame) -> Figure:
    """Plot a leaderboard, one panel for each class set and part of the data.

    Each model has a bar for its accuracy with the 95 % interval and a diamond for its balanced accuracy, on an
    x axis from 0 to 1. For the seven classes of FER2013's test parts, a band shows the human figure.

    Args:
        table: What `build_leaderboard` returns.

    Returns:
        The figure.
    """
    import matplotlib.pyplot as plt

    from ferlib.common.plots import BLUE, GREEN, ORANGE

    groups = list(table.groupby(_GROUP, sort=False))
    sizes = [len(group) for _, group in groups]
    figure, axes = plt.subplots(
        len(groups),
        figsize=(8, sum(sizes) * 0.38 + 1.1 * len(groups)),
        height_ratios=[size + 1.2 for size in sizes],
        layout="constrained",
        squeeze=False,
    )
    legend: dict[str, Any] = {}
    for ax, ((classes, usage, faces), group) in zip(axes[:, 0], groups, strict=True):
        places = np.arange(len(group))
        errors = np.abs(group[["low", "high"]].to_numpy(float).T - group["accuracy"].to_numpy())
        if _is_fer2013(classes, faces):
            ax.axvspan(*HUMAN_AGREEMENT, color=GREEN, alpha=0.25, lw=0, label="people")
        ax.barh(places, group["accuracy"], 0.6, xerr=np.nan_to_num(errors), color=BLUE, label="accuracy")
        ax.plot(group["balanced_accuracy"], places, "D", color=ORANGE, mec="black", label="balanced accuracy")
        ax.set_yticks(places, group["name"])
        ax.set(xlim=(0, 1), title=f"{classes}, {faces:,} {usage} faces")
        ax.invert_yaxis()
        ax.spines[["top", "right"]].set_visible(False)
        for place, value in zip(places, group["accuracy"], strict=True):
            ax.text(0.01, place, f"{value:.1%}", va="center", color="white", fontsize=9)
        handles, labels = ax.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    axes[-1, 0].set_xlabel("share of the faces")
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def write_leaderboard(table: pd.DataFrame, folder: str | os.PathLike) -> Path:
    """Write `leaderboard.csv`, `leaderboard.md` and `leaderboard.png`.

    Args:
        table: What `build_leaderboard` returns.
        folder: The folder to write to.

    Returns:
        The folder.
    """
    from ferlib.common.plots import save_figure

    folder = Path(folder)
    write_text(folder / "leaderboard.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "leaderboard.md", to_markdown(table))
    save_figure(plot_leaderboard(table), folder / "leaderboard.png", dpi=110)
    return folder
