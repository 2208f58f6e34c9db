"""Options that several commands share."""

from pathlib import Path

import click

from ferlib.common.errors import BadInputError

FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path)


def name_problems(problems: list[str]) -> None:
    """Every problem on a line of its own, on stderr."""
    for line in problems:
        click.echo(line, err=True)


LABELS = click.option(
    "--labels",
    type=click.Choice(["fer2013", "ferplus"]),
    default="fer2013",
    show_default=True,
    help="ferplus: the majority labels of FER+'s voters (--votes), eight classes.",
)


def _read_rows(data: Path, votes_file: Path | None, labels: str, classes: str | None):
    """(rows, votes or None): FER2013 under its own labels or the voters', and their votes on the same rows.

    `classes`: the class set to map to; None leaves the labels as they are.
    """
    from ferlib.common.labels import map_labels, parse_classes
    from ferlib.dataset import build, ferplus

    if labels == "ferplus" and votes_file is None:
        raise BadInputError("--labels ferplus needs FER+'s fer2013new.csv: give it with --votes")
    if votes_file and build.find_csv(data) is None:
        raise BadInputError(f"{data} has no CSV: FER+'s votes go with FER2013's rows in the order of its CSV")
    rows = build.read_data(data)
    votes = ferplus.read_votes(votes_file, rows) if votes_file else None
    if labels == "ferplus":
        rows, votes = ferplus.relabel(rows, votes), votes[ferplus.majority_labels(votes) >= 0]
    if classes is None:
        return rows, votes
    names = parse_classes(classes)
    keep = map_labels(rows.labels, rows.class_names, names) >= 0
    return rows.with_classes(names), None if votes is None else votes[keep]
