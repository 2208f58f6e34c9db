"""Labels of the same faces compared: two people with each other, or one person with the truth."""

import pandas as pd

from ferlib.annotate.table import BOX
from ferlib.common.boxes import match_boxes


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
    rows: list[tuple] = []
    of_second = dict(list(second.groupby("image", sort=False)))
    for image, of_first in first[first["image"].isin(second["image"])].groupby("image", sort=False):
        ours, theirs = (
            list(t[[*BOX, "emotion"]].itertuples(index=False, name=None))
            for t in (of_first, of_second[image])
        )
        matches = match_boxes([box for *box, _ in ours], [box for *box, _ in theirs], min_iou)
        rows += [(image, *ours[i], theirs[j][-1], overlap) for i, j, overlap in sorted(matches)]
        rows += [(image, *ours[i], "", 0.0) for i in range(len(ours)) if i not in {m[0] for m in matches}]
        rows += [
            (image, *b, "", e, 0.0) for j, (*b, e) in enumerate(theirs) if j not in {m[1] for m in matches}
        ]
    return pd.DataFrame(rows, columns=["image", *BOX, "first", "second", "iou"])
