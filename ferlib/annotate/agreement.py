"""Labels of the same faces compared: two people with each other, or one person with the ground truth."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.annotate.table import BOX, NO_FACE, Records
from ferlib.common.boxes import match_boxes
from ferlib.common.images import crop_face, load_image, resize


@dataclass(frozen=True)
class Agreement:
    """How far two people agree on the faces that both have labelled.

    Attributes:
        confusion: Counts; one row per label of the first person, one column per label of the second.
        faces: The number of faces that both have labelled.
        agreed: The share of equal labels, 0 to 1; NaN without faces.
        by_chance: The share of equal labels to expect if both chose at random with their own frequencies.
        kappa: Cohen's kappa: 1 is full agreement, 0 what chance alone gives, below 0 less than that. NaN if
            there is nothing to compare, or if both gave one and the same label to everything.
        only_first: The number of boxes that the second person did not draw.
        only_second: The number of boxes that the first person did not draw.
    """

    confusion: pd.DataFrame
    faces: int
    agreed: float
    by_chance: float
    kappa: float
    only_first: int
    only_second: int


def pair_labels(first: pd.DataFrame, second: pd.DataFrame, min_iou: float = 0.5) -> pd.DataFrame:
    """Match the boxes that two people drew in the same pictures.

    Args:
        first: The first person's table of boxes (see `ferlib.annotate.table`).
        second: The second person's table of boxes.
        min_iou: The smallest overlap of two boxes that are the same face; each box is used once.

    Returns:
        One row per face: `image, x, y, width, height, first, second, iou`. The box is the first person's if
        there is one. A face that only one person has boxed has "" as the other's label and an IoU of 0.
        Pictures that only one of the tables has are left out: that person may not have come to them yet.
    """
    both = first["image"][first["image"].isin(second["image"])].unique()
    return _match(first, second, both, min_iou)


def compare_with_truth(truth: pd.DataFrame, labels: pd.DataFrame, min_iou: float = 0.5) -> pd.DataFrame:
    """Match labelled boxes with the true ones.

    Args:
        truth: The table of the true boxes (see `ferlib.annotate.table`).
        labels: The table of the labelled boxes; only its pictures are compared.
        min_iou: The smallest overlap of two boxes that are the same face; each box is used once.

    Returns:
        One row per face: `image, truth, label, iou`. A labelled box that matches no true one has the truth
        `NO_FACE`; a true one that nobody has labelled has the label "".
    """
    pairs = _match(truth, labels, labels["image"].unique(), min_iou)
    pairs = pairs.rename(columns={"first": "truth", "second": "label"})
    pairs["truth"] = pairs["truth"].where((pairs["iou"] > 0) | (pairs["truth"] != ""), NO_FACE)
    return pairs[["image", "truth", "label", "iou"]]


def _match(first: pd.DataFrame, second: pd.DataFrame, images: Iterable[str], min_iou: float) -> pd.DataFrame:
    """Match the boxes of two tables picture by picture; see `pair_labels` for the columns."""
    rows: list[tuple] = []
    of_first, of_second = (dict(list(table.groupby("image", sort=False))) for table in (first, second))
    for image in images:
        tables = (of_first.get(image, first[:0]), of_second.get(image, second[:0]))
        ours, theirs = (list(table[[*BOX, "emotion"]].itertuples(index=False, name=None)) for table in tables)
        matches = match_boxes([box for *box, _ in ours], [box for *box, _ in theirs], min_iou)
        only_ours = sorted({*range(len(ours))} - {i for i, _, _ in matches})
        only_theirs = sorted({*range(len(theirs))} - {j for _, j, _ in matches})
        rows += [(image, *ours[i], theirs[j][-1], overlap) for i, j, overlap in sorted(matches)]
        rows += [(image, *ours[i], "", 0.0) for i in only_ours]
        rows += [(image, *theirs[j][:-1], "", theirs[j][-1], 0.0) for j in only_theirs]
    return pd.DataFrame(rows, columns=["image", *BOX, "first", "second", "iou"])


def measure_agreement(pairs: pd.DataFrame, class_names: Sequence[str] = ()) -> Agreement:
    """Measure the agreement of two people, with Cohen's kappa.

    kappa = (p - e) / (1 - e), where p is the share of equal labels and e the share to expect by chance:
    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20
    (1960), https://doi.org/10.1177/001316446002000104.

    Args:
        pairs: Faces with two labels, as `pair_labels` returns them.
        class_names: The order of the confusion matrix; other labels, such as "not a face", follow, sorted.

    Returns:
        The confusion matrix and the measures.
    """
    both = pairs[(pairs["first"] != "") & (pairs["second"] != "")]
    names = [*class_names, *sorted({*both["first"], *both["second"]} - {*class_names})]
    confusion = pd.crosstab(both["first"], both["second"]).reindex(index=names, columns=names, fill_value=0)
    confusion = confusion.astype("int64")
    counts, faces = confusion.to_numpy(np.float64), len(both)
    agreed = float(np.trace(counts) / faces) if faces else np.nan
    by_chance = float(counts.sum(axis=1) @ counts.sum(axis=0) / faces**2) if faces else np.nan
    kappa = (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else np.nan
    only_first = int(((pairs["first"] != "") & (pairs["second"] == "")).sum())
    only_second = int(((pairs["first"] == "") & (pairs["second"] != "")).sum())
    return Agreement(confusion, faces, agreed, by_chance, kappa, only_first, only_second)


def crop_disagreements(
    pairs: pd.DataFrame, images_folder: str | os.PathLike, side: int = 96, margin: float = 0.2
) -> tuple[list[np.ndarray], list[str]]:
    """Crop the faces that have two different labels, or only one, for `ferlib.common.plots.plot_wall`.

    Pictures that cannot be read are left out, with a warning.

    Args:
        pairs: Faces with two labels, as `pair_labels` returns them.
        images_folder: The folder of the pictures.
        side: The side of a cropped face in pixels.
        margin: The share of the box that is added on each side.

    Returns:
        The faces, uint8 RGB (side, side, 3), and a title per face: the first person's label above the
        second's, "no box" if there is none.
    """
    records, folder = Records(), Path(images_folder)
    for row in pairs[pairs["first"] != pairs["second"]].itertuples():
        with records.leave_out_if_bad(f"face of {row.image}", folder):
            face = crop_face(load_image(folder / row.image), row[2:6], margin)
            title = f"{row.first or 'no box'}\n{row.second or 'no box'}"
            records.rows.append((resize(face, (side, side)), title))
    records.warn()
    return [face for face, _ in records.rows], [title for _, title in records.rows]
