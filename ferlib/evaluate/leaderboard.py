"""One table and one chart over every trained model and the baselines, from the files that `ferlib evaluate` wrote."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.common.errors import BadInputError
from ferlib.common.files import write_text
from ferlib.common.labels import SEVEN
from ferlib.model.metadata import MODEL_FILE
from ferlib.train.baselines import SVM_FILE, load_model
from ferlib.train.recipes import PUBLISHED_EPOCHS, RECIPES

HUMAN = (0.65, 0.05)
"""How often people name FER2013's seven labels as the file does: 65 ± 5 % (Goodfellow et al. 2013)."""

FER2013_PARTS = (3_589, 7_178)
"""Faces of one of FER2013's test parts and of both; the human figure is drawn behind these only."""

COLUMNS = (
    "name",
    "network",
    "classes",
    "usage",
    "faces",
    "accuracy",
    "low",
    "high",
    "balanced_accuracy",
    "parameters",
    "megabytes",
    "ms_per_face",
    "epochs",
    "seconds",
    "note",
)
"""Of the table: `low` to `high` is the 95 % interval of the accuracy; `seconds` those of the training."""


def leaderboard(folders: Sequence[str | os.PathLike], problems: list[str] | None = None) -> pd.DataFrame:
    """A row of COLUMNS for each `metrics*.json` in the folders of models; the best first within a class set.

    A folder may have lost its model: `metadata.json`, `history.csv` and the reports say all that is asked.
    Each class set and part of the data gets a majority row, as its reports hold that figure. Where a
    report has no `ms_per_face`, it is measured here. A folder that cannot be read raises BadInputError
    or, with a list given as `problems`, adds a line to it.
    """
    rows = []
    for folder in map(Path, folders):
        try:
            rows += _rows(folder)
        except BadInputError as error:
            if problems is None:
                raise
            problems.append(str(error))
    if not rows:
        raise BadInputError(
            "no model to compare; give folders in which `ferlib evaluate --json` left a metrics.json"
        )
    groups = {(row["classes"], row["usage"], row["faces"]): row["majority"] for row in rows}
    rows += [_majority(*key, *majority) for key, majority in groups.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = ["size", "classes", "usage", "faces", "accuracy"]
    table["size"] = [7 if names == "seven" else names.count(",") + 1 for names in table["classes"]]
    table = table.sort_values(order, ascending=[False, True, True, True, False], kind="stable")
    return table.drop(columns="size").reset_index(drop=True)


def _rows(folder: Path) -> list[dict]:
    reports = sorted(folder.glob("metrics*.json"))
    if not reports:
        raise BadInputError(
            f"{folder}: no metrics.json; run `ferlib evaluate --model {folder} --data … --json {folder}/metrics.json`"
        )
    try:
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        facts = _facts(folder, metadata)
        rows = []
        for path in reports:
            report = json.loads(path.read_text(encoding="utf-8"))
            names = report["class_names"]
            low, high = report["interval"]
            if not facts["megabytes"]:
                facts["megabytes"] = (report.get("model_facts", {}).get("file_bytes") or np.nan) / 1e6
            if "ms_per_face" not in facts and "ms_per_face" not in report:
                facts["ms_per_face"] = milliseconds_a_face(load_model(folder))
            rows.append(
                {
                    **facts,
                    "classes": "seven" if tuple(names) == SEVEN else ", ".join(names),
                    "usage": report["usage"],
                    "faces": int(report["n"]),
                    "accuracy": float(report["accuracy"]),
                    "low": low,
                    "high": high,
                    "balanced_accuracy": float(report["balanced_accuracy"]),
                    "majority": (float(report["majority_baseline"]), len(names)),
                }
                | ({"ms_per_face": report["ms_per_face"]} if "ms_per_face" in report else {})
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{folder}: its reports cannot be read ({type(error).__name__}: {error}); evaluate it again"
        ) from error
    return rows


def _facts(folder: Path, metadata: dict) -> dict:
    """What the folder of a model says of itself, whatever it was judged on."""
    settings = metadata.get("settings", {})
    network = settings.get("network", "")
    files = [folder / name for name in (MODEL_FILE, SVM_FILE) if (folder / name).is_file()]
    facts = {
        "name": folder.name,
        "network": network,
        "parameters": metadata["parameters"],
        "megabytes": sum(file.stat().st_size for file in files) / 1e6,
        "epochs": np.nan,
        "seconds": metadata.get("seconds", np.nan),
        "note": "",
    }
    if (folder / "history.csv").is_file():
        history = pd.read_csv(folder / "history.csv")
        earlier = metadata.get("earlier", {})
        facts["epochs"] = len(history) + sum(each["epochs"] for each in earlier.values())
        facts["seconds"] = history["seconds"].sum() if "seconds" in history else np.nan
        facts["seconds"] += sum(each["seconds"] for each in earlier.values())
        if earlier:
            facts["note"] = f"with the epochs of {len(earlier)} earlier networks"
        planned = RECIPES[network].epochs if network in RECIPES else 0
        if len(history) < planned:
            whose = "published epochs" if network in PUBLISHED_EPOCHS else "epochs of its recipe"
            facts["note"] = f"{len(history)} of {planned} {whose}"
    return facts


def _majority(classes: str, usage: str, faces: int, accuracy: float, n_classes: int) -> dict:
    note = "always the most frequent class"
    row = {"name": "majority", "classes": classes, "usage": usage, "faces": faces, "accuracy": accuracy}
    return row | {"balanced_accuracy": 1 / n_classes, "parameters": 0, "megabytes": 0.0, "note": note}


def milliseconds_a_face(model, repeats: int = 30) -> float:
    """How long `model.predict` of one face and its mirror image takes here: the median of some, in ms.

    `model`: a `Bundle` or an `Svm`. The first calls, which compile, do not count.
    """
    side = model.metadata.get("input_shape", (48, 48))[:2]
    face = np.random.default_rng(0).integers(0, 256, (1, *side), dtype=np.uint8)
    taken = []
    for _ in range(repeats + 3):
        started = time.perf_counter()
        model.predict(face, flip=True)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken[3:])) * 1000


def _is_fer2013(classes: str, faces: int) -> bool:
    return classes == "seven" and faces in FER2013_PARTS


def to_markdown(table: pd.DataFrame) -> str:
    """The table for people: a heading and a Markdown table for each class set, with the source of the human figure."""
    parts = []
    for (classes, usage, faces), group in table.groupby(["classes", "usage", "faces"], sort=False):
        lines = [
            f"**{classes}**, {faces:,} {usage} faces\n",
            "| model | network | accuracy (95 %) | balanced | parameters | MB | ms a face | epochs | minutes | |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in group.itertuples():
            interval = "" if np.isnan(row.low) else f" ({row.low:.1%} to {row.high:.1%})"
            cells = [
                row.name,
                row.network if isinstance(row.network, str) else "",
                f"{row.accuracy:.1%}{interval}",
                f"{row.balanced_accuracy:.1%}",
                f"{row.parameters:,.0f}",
                f"{row.megabytes:.1f}",
                "" if np.isnan(row.ms_per_face) else f"{row.ms_per_face:.1f}",
                "" if np.isnan(row.epochs) else f"{row.epochs:.0f}",
                "" if np.isnan(row.seconds) else f"{row.seconds / 60:.1f}",
                row.note,
            ]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    if any(_is_fer2013(*pair) for pair in zip(table["classes"], table["faces"], strict=True)):
        low, high = HUMAN[0] - HUMAN[1], HUMAN[0] + HUMAN[1]
        parts.append(
            f"People name FER2013's seven labels as the file does in {low:.0%} to {high:.0%} of cases "
            "(Goodfellow et al. 2013)."
        )
    return "\n\n".join(parts) + "\n"


def plot_leaderboard(table: pd.DataFrame):
    """One panel a class set: a bar of accuracy with its interval, a dot for balanced accuracy. Returns the figure.

    Where the faces are a whole test part of FER2013 and the classes its seven, the band in which people
    agree with its labels lies behind the bars.
    """
    import matplotlib.pyplot as plt

    from ferlib.common.plots import BLUE, GREEN, ORANGE

    groups = list(table.groupby(["classes", "usage", "faces"], sort=False))
    sizes = [len(group) for _, group in groups]
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(8, sum(sizes) * 0.38 + 1.1 * len(groups)),
        height_ratios=[size + 1.2 for size in sizes],
        layout="constrained",
        squeeze=False,
    )
    for ax, ((classes, usage, faces), group) in zip(axes[:, 0], groups, strict=True):
        places = np.arange(len(group))
        errors = np.abs(group[["low", "high"]].to_numpy(float).T - group["accuracy"].to_numpy())
        if _is_fer2013(classes, faces):
            ax.axvspan(
                HUMAN[0] - HUMAN[1], HUMAN[0] + HUMAN[1], color=GREEN, alpha=0.25, lw=0, label="people"
            )
        ax.barh(places, group["accuracy"], 0.6, xerr=np.nan_to_num(errors), color=BLUE, label="accuracy")
        ax.plot(group["balanced_accuracy"], places, "D", color=ORANGE, mec="black", label="balanced accuracy")
        ax.set_yticks(places, group["name"])
        ax.set(xlim=(0, 1), title=f"{classes}, {faces:,} {usage} faces")
        ax.invert_yaxis()
        ax.spines[["top", "right"]].set_visible(False)
        for place, value in zip(places, group["accuracy"], strict=True):
            ax.text(0.01, place, f"{value:.1%}", va="center", color="white", fontsize=9)
    axes[-1, 0].set_xlabel("share of the faces")
    named = {}
    for ax in axes[:, 0]:
        named |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def write_leaderboard(table: pd.DataFrame, folder: str | os.PathLike) -> Path:
    """Write `leaderboard.csv`, `leaderboard.md` and `leaderboard.png` to a folder; returns the folder."""
    import matplotlib.pyplot as plt

    from ferlib.common.files import whole

    folder = Path(folder)
    write_text(folder / "leaderboard.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "leaderboard.md", to_markdown(table))
    figure = plot_leaderboard(table)
    with whole(folder / "leaderboard.png") as part:
        figure.savefig(part, dpi=110)
    plt.close(figure)
    return folder
