"""The card of a bundle: what it is, what it was trained on, how it was measured, what it must not be used for.

Every figure comes from the bundle's own metadata.json, history.csv and metrics.json.
"""

import json
import os
from pathlib import Path

import pandas as pd

from ferlib.common.errors import BundleError
from ferlib.common.files import write_text
from ferlib.evaluate.metrics import in_words
from ferlib.evaluate.text import (
    calibration_lines,
    drawn_lines,
    main_figures,
    percent,
    photo_lines,
    span,
    vote_lines,
)
from ferlib.model.metadata import METADATA_FILE
from ferlib.train.recipes import kept_epoch, known_as

_CARD = """# {name}: {classes} expressions from a 48×48 gray face

{summary}

## How it was made

{data}

```
{settings}
```

Epoch {best} of {epochs} was kept{judged}.
Training took {minutes:.0f} minutes.{earlier}
{remake}

![Loss and accuracy by epoch](curves.png)

## How it was measured

`ferlib evaluate` on the {usage} rows ({n:,}), {flip}.
No choice was made on these rows. Intervals are 95 %: Wilson's for accuracies, the percentile bootstrap for the others.

| figure | value | interval, remark |
|---|---|---|
{figures}

| class | precision | recall | interval | F1 | rows |
|---|---|---|---|---|---|
{per_class}

![Confusion matrix, shares of each true class](confusion.png)
{confused}{calibration}{votes}{photos}{drawn}
## Input and output

{shape} values from 0 to 255, gray, the face as a Haar cascade frames it; the network rescales them itself. Output:
softmax over {order}, in this order. `metadata.json` says the same to a program and holds the hash of `model.keras`.
{cost}
## Limits

- A label is a name that somebody gave to a face. It is not what the person felt. {agreement}
- FER2013 was collected by an image search of 2013. Who is in it is not recorded, so how the accuracy differs between
  ages, sexes and skin tones is not known. Expect it to differ.
{twins}{weakest}- Faces that are turned away, covered, badly lit or smaller than 48 pixels are read worse.

## Uses that are wrong

Judging people: hiring, exams, attention in class, lies, moods of staff or customers. In the European Union it is
forbidden to infer emotions from faces at work and in schools, but for medical reasons and safety (AI Act, article 5);
elsewhere people must be told that such a system looks at them (article 50). Do not use it on people who have not
agreed.

## Data and licence

The model and this card: MIT, as the code. The pictures it was trained on are not here: FER2013 (I. Goodfellow et al.,
"Challenges in Representation Learning", 2013) comes from Kaggle under its own terms. Its pictures were found by an
image search; the people in them were not asked.
"""


def write_card(folder: str | os.PathLike) -> Path:
    """Write README.md, curves.png, confusion.png and calibration.png beside a bundle's files; returns the card.

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

    from ferlib.common.plots import plot_confusion, plot_history
    from ferlib.evaluate.figures import plot_reliability

    figure = plot_history(history)[0].figure
    figure.savefig(folder / "curves.png", dpi=100)
    plt.close(figure)
    figure = plot_confusion(np.array(report["confusion_matrix"]), report["class_names"], shares=True).figure
    figure.savefig(folder / "confusion.png", dpi=100)
    plt.close(figure)
    if "calibration" in report:
        after = report["temperature"]["calibration"]["bins"] if "temperature" in report else None
        figure = plot_reliability(report["calibration"]["bins"], after).figure
        figure.savefig(folder / "calibration.png", dpi=100)
        plt.close(figure)


def _facts(metadata: dict, report: dict, history: pd.DataFrame, others: list[dict]) -> dict:
    data, settings = metadata["data"], metadata["settings"]
    source = data["source"].split(", ")[0]  # behind it stands the file of votes, where there was one
    voted = data.get("labels") == "ferplus"
    rows = main_figures(report) + [_pair(other) for other in others if not _known(other, report)]
    return {
        "name": metadata["name"],
        "classes": len(metadata["class_names"]),
        "summary": (
            f'A network of {metadata["parameters"]:,} parameters (`networks.build("{settings["network"]}")`) that '
            f"reads {report['accuracy']:.1%} of the {report['n']:,} {report['usage']} rows of {source} right."
        ),
        "data": (
            f"Trained on {data['training_rows']:,} Training rows of `{data['source']}`. "
            + _chosen(metadata)
            + (f"\n{_MAJORITY}" if voted else "")
            + (f"\n{_VOTES.format(settings['votes'])}" if settings.get("votes") else "")
            + _lessons(metadata)
            + _began(metadata)
        ),
        "settings": json.dumps(settings, indent=1),
        "best": kept_epoch(history.to_dict("records"), settings.get("keep", "best")),
        "epochs": len(history),
        "judged": _judged(metadata, history),
        "minutes": history["seconds"].sum() / 60,
        "earlier": _earlier(metadata.get("earlier", {})),
        "remake": _remake(metadata),
        "agreement": _PICKED if voted else _AGREEMENT,
        "usage": report["usage"],
        "n": report["n"],
        "flip": "each face averaged with its mirror image" if report.get("flip") else "each face once",
        "figures": "\n".join(f"| {name} | {_bold(name, value)} | {more} |" for name, value, more in rows),
        "per_class": "\n".join(_class_row(name, row) for name, row in report["per_class"].items()),
        "confused": _section(
            "What is taken for what", [in_words(pair) for pair in report.get("confused", [])]
        ),
        "calibration": _section("Calibration", calibration_lines(report), _RELIABILITY),
        "votes": _section("What FER+'s voters say", vote_lines(report)),
        "photos": _section("On whole photographs", photo_lines(report)),
        "drawn": _section("On drawn faces, which it has never seen", drawn_lines(report)),
        "cost": _cost(report),
        "twins": _twins(report),
        "weakest": _weakest(report),
        "shape": "×".join(map(str, metadata["input_shape"])),
        "order": ", ".join(metadata["class_names"]),
    }


def _pair(report: dict) -> tuple[str, str, str]:
    """A row for a measurement on some of the classes, the larger of their probabilities being the answer."""
    remark = f"{span(report['interval'])}; {report['n']:,} rows"
    return " against ".join(report["class_names"]), f"{report['accuracy']:.2%}", remark


def _known(other: dict, report: dict) -> bool:
    """Whether the report itself holds the measurement of another file."""
    return "pair" in report and set(report["pair"]["class_names"]) == set(other["class_names"])


def _bold(name: str, value: str) -> str:
    return f"**{value}**" if name == "accuracy" else value


def _class_row(name: str, row: dict) -> str:
    bounds = row.get("recall_interval")
    between = span(bounds) if bounds and None not in bounds else "–"
    shares = f"{percent(row['precision'])} | {percent(row['recall'])} | {between} | {percent(row['f1'])}"
    return f"| {name} | {shares} | {row['support']:,} |"


_AGREEMENT = (
    "People agree with FER2013's labels in\n"
    "  about 65 ± 5 % of cases, so part of every figure above is noise in the labels."
)

_PICKED = (
    "Faces on which the voters\n"
    "  did not agree are not among those measured: on all faces expect fewer right answers."
)

_MAJORITY = (
    "Labels are not FER2013's but FER+'s: what most of ten voters saw, by the rule of its authors; rows without such "
    "a majority, or with one for unknown or for no face, are left out, here and in what is measured below."
)

_RELIABILITY = "![Share read right over the largest probability](calibration.png)"


_VOTES = (
    "FER+'s ten votes on the same rows (E. Barsoum et al. 2016, MIT licence) have a share of {:g} in what it was "
    "taught, the label the rest."
)


def _section(title: str, lines: list[str], picture: str = "") -> str:
    """A heading with its lines as a list; nothing without lines."""
    if not lines:
        return ""
    listed = "\n".join(f"- {line}" for line in lines)
    return f"\n### {title}\n\n{listed}\n" + (f"\n{picture}\n" if picture else "")


def _cost(report: dict) -> str:
    facts = report.get("model_facts") or {}
    if not facts.get("file_bytes") or not report.get("ms_per_face"):
        return ""
    return (
        f"\n`model.keras` has {facts['file_bytes'] / 1e6:.1f} MB; one face took {report['ms_per_face']:.1f} ms "
        f"on a machine of {facts['cores']} cores{', mirror image included' if report.get('flip') else ''}.\n"
    )


def _twins(report: dict) -> str:
    twins = report.get("without_twins")
    if not twins or not twins["twins"]:
        return ""
    return (
        f"- {twins['twins']:,} of the {report['n']:,} rows have an exact twin in Training. Without them the accuracy "
        f"is {twins['accuracy']:.2%} of {twins['n']:,}.\n"
    )


def _weakest(report: dict) -> str:
    read = {name: row["recall"] for name, row in report["per_class"].items() if row["recall"] is not None}
    name = min(read, key=read.get)
    return f"- It finds {name} least often: {read[name]:.1%} of its pictures.\n"


def _chosen(metadata: dict) -> str:
    """On which rows the settings were chosen."""
    split = "Training rows, split off so that copies of a picture are on one side."
    if "repeats" in metadata:
        again = metadata["repeats"]
        return (
            f"Nothing was chosen in this run: it repeats the recipe `{again['name']}` on all rows. That one's settings "
            f"were chosen on {again['held_out_rows']:,} {split}"
        )
    who = "Nothing was" if "began_with" in metadata else "Settings and epoch were"
    return f"{who} chosen on {metadata['data']['held_out_rows']:,} other {split}"


def _judged(metadata: dict, history: pd.DataFrame) -> str:
    """How the network read the rows that were split off, as the end of a sentence."""
    if "repeats" in metadata:
        again = metadata["repeats"]
        return (
            f", as in `{again['name']}`, "
            f"which read {again['held_out_accuracy']:.1%} of the rows split off there right; "
            "here no row is left that would say so"
        )
    right = metadata["data"].get("held_out_accuracy", history["val_accuracy"].max())
    return f": {right:.1%} right on the rows that were split off"


def _lessons(metadata: dict) -> str:
    """From whom the network learned, beside the labels."""
    settings, again, said = metadata["settings"], metadata.get("repeats"), []
    if settings.get("start"):
        said.append(f"The network began as that of the recipe `{settings['start']}`.")
    if settings.get("teachers"):
        names = " and ".join(f"`{name}`" for name in settings["teachers"])
        said.append(
            f"{settings['taught']:.0%} of each target is the mean answer of the networks {names} to the same picture, "
            "which learned from the same rows (distillation); the rest is as said before."
        )
    if settings.get("blend"):
        said.append(
            f"Of the final weights {settings['blend']:.0%} are those it began with and the rest those it came to."
        )
    if settings.get("corrected"):
        said.append(
            "Last, a temperature and a shift of each class's score were fitted to the labels of the held-out rows "
            "(bias-corrected temperature scaling): votes name neutral more often than FER2013's labels do."
            + (
                f" They are those of `{again['name']}`, fitted to rows that it had not learned."
                if again
                else ""
            )
        )
    return "".join(f"\n{line}" for line in said)


def _began(metadata: dict) -> str:
    """Which bundle the network goes on from, and what that means for the rows that were split off."""
    if "began_with" not in metadata:
        return ""
    return (
        f"\nThe network began as that of the bundle `{metadata['began_with']['name']}`. Rows split off here may be "
        "among those that it learned from, so figures on them flatter."
    )


def _earlier(earlier: dict) -> str:
    return "".join(
        f"\nBefore that, the network of `{name}` took {took['epochs']} epochs and {took['seconds'] / 60:.0f} minutes."
        for name, took in earlier.items()
    )


def _remake(metadata: dict) -> str:
    settings = metadata["settings"]
    data, *votes = metadata["data"]["source"].split(", ")
    made_by = known_as(settings)
    chosen = (
        f"--recipe {made_by}" if made_by else f"--network {settings['network']} --epochs {settings['epochs']}"
    )
    given = f" --votes {(votes or ['fer2013new.csv'])[0]}" if settings.get("votes") else ""
    given += " --labels ferplus" if metadata["data"].get("labels") == "ferplus" else ""
    given += f" --begin models/{metadata['began_with']['name']}" if "began_with" in metadata else ""
    return (
        "To make it again (the same on one machine; on another, the same within noise):\n\n"
        f"```sh\nferlib train --data {data}{given} {chosen} --seed {settings['seed']} "
        f"--out models/{metadata['name']}\n```"
    )
