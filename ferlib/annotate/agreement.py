"""Two people's labels of the same pictures: where they agree, by how much beyond chance, and where not."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.annotate.table import boxes_of
from ferlib.common.boxes import match_boxes
from ferlib.common.errors import BadInputError, ImageError
from ferlib.common.images import crop_face, load_image, resize


@dataclass(frozen=True)
class Agreement:
    """What `agreement` found; the shares are of the faces that both have labelled."""

    confusion: pd.DataFrame
    """Counts: a row a label of the first person, a column a label of the second."""
    faces: int
    agreed: float
    """The share of equal labels, 0 to 1; nan without faces."""
    by_chance: float
    """The share that two people with these frequencies would reach blindly."""
    kappa: float
    only_first: int
    """Boxes that the second person did not draw."""
    only_second: int


def pair_labels(first: pd.DataFrame, second: pd.DataFrame, least: float = 0.5) -> pd.DataFrame:
    """The faces of two tables of boxes side by side: `image, x, y, width, height, first, second, iou`.

    Boxes are matched by their overlap (IoU of `least` or more), each once, as in `boxes.match_boxes`; the box
    is the first person's. A face that only one has boxed has the other's label "" and an IoU of 0. Pictures
    that stand in one table only are left out: that person may not have come to them yet.
    """
    rows = []
    theirs = dict(list(second.groupby("image", sort=False)))
    for image, ours in first.groupby("image", sort=False):
        if image not in theirs:
            continue
        other = theirs[image]
        a, b = boxes_of(ours), boxes_of(other)
        names_a, names_b = list(ours["emotion"]), list(other["emotion"])
        pairs = match_boxes(a, b, least)
        lone_a, lone_b = (
            set(range(len(a))) - {i for i, _, _ in pairs},
            set(range(len(b))) - {j for _, j, _ in pairs},
        )
        rows += [(image, *a[i], names_a[i], names_b[j], overlap) for i, j, overlap in sorted(pairs)]
        rows += [(image, *a[i], names_a[i], "", 0.0) for i in sorted(lone_a)]
        rows += [(image, *b[j], "", names_b[j], 0.0) for j in sorted(lone_b)]
    return pd.DataFrame(rows, columns=["image", "x", "y", "width", "height", "first", "second", "iou"])


def agreement(pairs: pd.DataFrame, class_names: Sequence[str] | None = None) -> Agreement:
    """Confusion, agreement and Cohen's kappa of the pairs that `pair_labels` gives.

    `class_names` orders rows and columns; labels outside of it (such as "not a face") follow, sorted.
    """
    both = pairs[(pairs["first"] != "") & (pairs["second"] != "")]
    used = set(both["first"]) | set(both["second"])
    names = [*(class_names or ()), *sorted(used - set(class_names or ()))]
    place = {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (both["first"].map(place).to_numpy(int), both["second"].map(place).to_numpy(int)), 1)
    agreed, by_chance, kappa = cohen_kappa(counts)
    confusion = pd.DataFrame(counts, pd.Index(names, name="first"), pd.Index(names, name="second"))
    lone = pairs[(pairs["first"] == "") | (pairs["second"] == "")]
    only_first, only_second = int((lone["second"] == "").sum()), int((lone["first"] == "").sum())
    return Agreement(confusion, len(both), agreed, by_chance, kappa, only_first, only_second)


def cohen_kappa(counts: np.ndarray) -> tuple[float, float, float]:
    """(agreed, by chance, kappa) of a square table of counts, rows the first person, columns the second.

    J. Cohen, "A coefficient of agreement for nominal scales" (1960): (p - e) / (1 - e). 1 is full agreement,
    0 what chance alone gives, below 0 less than that. nan where there is nothing to compare, or where both
    gave one and the same label to everything. Raises BadInputError for a table that is none.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not (counts >= 0).all():
        raise BadInputError(f"kappa needs a square table of counts, 0 or more, got shape {counts.shape}")
    total = counts.sum()
    if not total:
        return float("nan"), float("nan"), float("nan")
    agreed = float(np.trace(counts) / total)
    by_chance = float(counts.sum(axis=1) @ counts.sum(axis=0) / total**2)
    return agreed, by_chance, (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")


def disagreements(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows of `pairs` with two labels that differ, or with one only."""
    return pairs[pairs["first"] != pairs["second"]].reset_index(drop=True)


def show_disagreements(
    pairs: pd.DataFrame, images_folder: str | os.PathLike, side: int = 96, margin: float = 0.2
) -> tuple[list[np.ndarray], list[str]]:
    """(faces, titles) of the disagreements, for `plots.plot_wall`: uint8 RGB of `side` × `side` pixels.

    A title has the first person's label above the second's, "no box" where one is missing. Pictures that
    cannot be read are passed over.
    """
    crops, titles = [], []
    for row in disagreements(pairs).itertuples():
        try:
            face = crop_face(load_image(Path(images_folder) / row.image), row[2:6], margin)
        except ImageError:
            continue
        crops.append(resize(face, (side, side)))
        titles.append(f"{row.first or 'no box'}\n{row.second or 'no box'}")
    return crops, titles
