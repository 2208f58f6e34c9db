"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ferlib.common.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np

    from ferlib.dataset.splits import Dataset

FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path)


LABELS = click.option(
    "--labels",
    type=click.Choice(["fer2013", "ferplus"]),
    default="fer2013",
    show_default=True,
    help="ferplus: the majority labels of FER+'s voters (--votes), eight classes.",
)


NAMES = click.option(
    "--names", default="", help="Other names for the data's classes: Freude=happy,Trauer=sad."
)


def read_labelled(
    data: Path, votes_file: Path | None, labels: str, classes: str | None, names: str = ""
) -> "tuple[Dataset, np.ndarray | None]":
    """Read FER2013 with its own labels or FER+'s majority labels.

    Args:
        data: What `ferlib.dataset.build.read_data` reads; FER2013's CSV where there are votes.
        votes_file: FER+'s `fer2013new.csv`, or None.
        labels: `"fer2013"` or `"ferplus"`.
        classes: The class set to map to; None keeps the classes of the labels. Faces of other classes are left out,
            with their count logged.
        names: Other names for the classes, as `ferlib.common.labels.parse_names` takes them.

    Returns:
        (the faces, the votes on the same rows, int64 (n, 10), or None without a file of votes).

    Raises:
        BadInputError: The labels are `"ferplus"` and there is no file of votes.
    """
    from ferlib.common.labels import map_labels, parse_classes, parse_names
    from ferlib.dataset import build, ferplus
    from ferlib.dataset.classes import choose_classes, rename_classes

    if labels == "ferplus" and votes_file is None:
        raise BadInputError("--labels ferplus needs FER+'s fer2013new.csv: give it with --votes")
    if votes_file is None:
        rows, votes = build.read_data(data), None
    else:
        rows, votes = ferplus.read_voted(data, votes_file)
        if labels == "ferplus":
            rows, votes = ferplus.relabel(rows, votes), votes[ferplus.majority_labels(votes) >= 0]
    rows = rename_classes(rows, parse_names(names))
    if classes is None:
        return rows, votes
    class_names = parse_classes(classes)
    keep = map_labels(rows.labels, rows.class_names, class_names) >= 0
    return choose_classes(rows, class_names), None if votes is None else votes[keep]
