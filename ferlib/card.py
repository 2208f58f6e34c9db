"""The card of a bundle: what it is, what it was trained on, how it was measured, what it must not be used for.

Every figure comes from the bundle's own metadata.json, history.csv and metrics.json.
"""

import json
import os
from pathlib import Path

import pandas as pd

from ferlib.bundle import METADATA_FILE
from ferlib.errors import BundleError
from ferlib.files import write_text

_CARD = """# {name}: {classes} expressions from a 48×48 gray face

{summary}

## How it was made

{data}

```
{settings}
```

Epoch {best} of {epochs} was kept: {val:.1%} right on the rows that were split off. Training took {minutes:.0f} minutes.
{remake}

![Loss and accuracy by epoch](curves.png)

## How it was measured

`ferlib evaluate` on the {usage} rows ({n:,}), {flip}. No choice was made on these rows.

| figure | value |
|---|---|
| accuracy | **{accuracy:.2%}** (95 % interval {low:.1%} to {high:.1%}) |
| balanced accuracy | {balanced:.2%} |
| macro F1 | {f1:.3f} |
| majority baseline (always "{majority}") | {baseline:.2%} |
{pairs}

| class | precision | recall | F1 | rows |
|---|---|---|---|---|
{per_class}

![Confusion matrix, shares of each true class](confusion.png)

## Input and output

{shape} values from 0 to 255, gray, the face as a Haar cascade frames it; the network rescales them itself. Output:
softmax over {order}, in this order. `metadata.json` says the same to a program and holds the hash of `model.keras`.

## Limits

- A label is a name that somebody gave to a face. It is not what the person felt. People agree with FER2013's labels in
  about 65 ± 5 % of cases, so part of every figure above is noise in the labels.
- FER2013 was collected by an image search of 2013. Who is in it is not recorded, so how the accuracy differs between
  ages, sexes and skin tones is not known. Expect it to differ.
- About 8 % of FER2013's PublicTest pictures have an exact twin in Training; without them the figure is a little lower.
- Faces that are turned away, covered, badly lit or smaller than 48 pixels are read worse.

## Uses that are wrong

Judging people: hiring, exams, attention in class, lies, moods of staff or customers. In the European Union it is
forbidden to infer emotions from faces at work and in schools, but for medical reasons and safety (AI Act, article 5).
Do not use it on people who have not agreed.

## Licence

MIT, as the code. The pictures it was trained on are FER2013's and are not here.
"""


def write_card(folder: str | os.PathLike) -> Path:
    """Write README.md, curves.png and confusion.png beside a bundle's files; returns the card's path.

    `metrics.json` is a report of `ferlib evaluate`; further ones on some of the classes, named
    `metrics-*.json`, give a row each.

    Raises BundleError when the bundle lacks the history or the metrics that the card is made of.
    """
    folder = Path(folder)
    for name in (METADATA_FILE, "history.csv", "metrics.json"):
        if not (folder / name).is_file():
            raise BundleError(f"{folder} has no {name}; a card is made of measured figures only")
    metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    others = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("metrics-*.json"))]
    history = pd.read_csv(folder / "history.csv")
    _draw(folder, report, history)
    card = folder / "README.md"
    write_text(card, _CARD.format(**_facts(metadata, report, history, others)))
    return card


def _draw(folder: Path, report: dict, history: pd.DataFrame) -> None:
    import matplotlib.pyplot as plt
    import numpy as np

    from ferlib.plots import plot_confusion, plot_history

    figure = plot_history(history)[0].figure
    figure.savefig(folder / "curves.png", dpi=100)
    plt.close(figure)
    figure = plot_confusion(np.array(report["confusion_matrix"]), report["class_names"], shares=True).figure
    figure.savefig(folder / "confusion.png", dpi=100)
    plt.close(figure)


def _facts(metadata: dict, report: dict, history: pd.DataFrame, others: list[dict]) -> dict:
    best = history.loc[history["val_accuracy"].idxmax()]
    data, settings = metadata["data"], metadata["settings"]
    low, high = report["interval"]
    return {
        "name": metadata["name"],
        "classes": len(metadata["class_names"]),
        "summary": (
            f'A network of {metadata["parameters"]:,} parameters (`networks.build("{settings["network"]}")`) that '
            f"reads {report['accuracy']:.1%} of the {report['n']:,} {report['usage']} rows of {data['source']} right."
        ),
        "data": (
            f"Trained on {data['training_rows']:,} Training rows of `{data['source']}`. Settings and epoch were chosen "
            f"on {data['held_out_rows']:,} other Training rows, split off so that copies of a picture are on one side."
        ),
        "settings": json.dumps(settings, indent=1),
        "best": int(best["epoch"]),
        "epochs": len(history),
        "val": best["val_accuracy"],
        "minutes": history["seconds"].sum() / 60,
        "remake": _remake(metadata),
        "usage": report["usage"],
        "n": report["n"],
        "flip": "each face averaged with its mirror image" if report.get("flip") else "each face once",
        "accuracy": report["accuracy"],
        "low": low,
        "high": high,
        "balanced": report["balanced_accuracy"],
        "f1": report["macro_f1"],
        "majority": report["majority_class"],
        "baseline": report["majority_baseline"],
        "pairs": "\n".join(_pair(other) for other in others),
        "per_class": "\n".join(
            f"| {name} | {row['precision']:.1%} | {row['recall']:.1%} | {row['f1']:.3f} | {row['support']:,} |"
            for name, row in report["per_class"].items()
        ),
        "shape": "×".join(map(str, metadata["input_shape"])),
        "order": ", ".join(metadata["class_names"]),
    }


def _pair(report: dict) -> str:
    """A row for a measurement on some of the classes, the larger of their probabilities being the answer."""
    names = " against ".join(report["class_names"])
    return f"| {names}, accuracy | {report['accuracy']:.2%} of {report['n']:,} rows |"


def _remake(metadata: dict) -> str:
    settings = metadata["settings"]
    return (
        "To make it again (the same on one machine; on another, the same within noise):\n\n"
        f"```sh\nferlib train --data {metadata['data']['source']} --network {settings['network']} "
        f"--epochs {settings['epochs']} --seed {settings['seed']} --out models/{metadata['name']}\n```"
    )
