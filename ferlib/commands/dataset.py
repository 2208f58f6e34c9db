"""Commands of the data set: build and audit."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER
from ferlib.common.errors import BadInputError


@click.command()
@click.option("--faces", type=FOLDER, help="Folder with faces.csv, as `ferlib crop` leaves it.")
@click.option("--data", type=FILE, help="A FER2013 CSV or a folder of class folders instead.")
@click.option("--fetch", help="'contest' or 'mirror': get FER2013 from Kaggle instead, with kagglehub.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the CSVs and the class folders.")
@click.option(
    "--classes", help="'seven' (default), 'six', 'eight', or names: happy,rest or happy+surprise,sad."
)
@click.option(
    "--votes", type=FILE, help="FER+'s fer2013new.csv: its majority labels replace those of --data."
)
@click.option("--contempt", default="drop", show_default=True, help="With --votes: keep, drop or ignore.")
@click.option("--unknown", default="drop", show_default=True, help="With --votes: drop or ignore.")
@click.option("--drop-leaks", is_flag=True, help="Without Training rows that have a twin in another part.")
@click.option("--extra", default=0, show_default=True, help="Drawn faces to add to --faces.")
@click.option("--seed", default=7, show_default=True, help="Seed of the split and of drawn faces.")
def dataset(
    faces: Path | None,
    data: Path | None,
    fetch: str | None,
    out: Path,
    classes: str | None,
    votes: Path | None,
    contempt: str,
    unknown: str,
    drop_leaks: bool,
    extra: int,
    seed: int,
) -> None:
    """Make a data set in FER2013's format: emotion_file.csv, three CSVs, class folders.

    --drop-leaks also leaves out Training rows that have a copy with another label; `ferlib audit` shows them.
    """
    from ferlib.common.labels import parse_classes
    from ferlib.dataset import audit, ferplus
    from ferlib.dataset.build import build_dataset, write_dataset
    from ferlib.dataset.splits import USAGES

    if [faces, data, fetch].count(None) != 2:
        raise BadInputError("give one of --faces, --data and --fetch, and only one")
    if votes and faces:
        raise BadInputError("--votes go with the rows of FER2013: give --data or --fetch")
    names = parse_classes(classes or ("eight" if votes and contempt == "keep" else "seven"))
    if fetch:
        from ferlib.dataset.kaggle import fetch_fer2013

        data = fetch_fer2013(fetch)
    if votes and data:
        built = ferplus.relabel(*ferplus.read_voted(data, votes), contempt, unknown).with_classes(names)
    else:
        built = build_dataset(faces, data or "", names, extra, seed)
    if drop_leaks:
        total = len(built)
        built = audit.drop_leaks(audit.audit_dataset(built))
        click.echo(
            f"{total - len(built):6}  Training rows left out: a twin in another part, or a disputed label"
        )
    write_dataset(built, out)
    for usage in USAGES:
        click.echo(f"{len(built.part(usage)):6}  {usage}")
    click.echo(f"data set: {out}")


@click.command()
@click.argument("data", type=FILE)
@click.option("--html", "page", type=FILE, help="Write a page with the pictures here.")
def audit(data: Path, page: Path | None) -> None:
    """Audit DATA (a CSV or a folder): copies, leaks, labels that differ, blank pictures, classes."""
    from ferlib.dataset import audit, audit_page
    from ferlib.dataset.build import read_data

    found = audit.audit_dataset(read_data(data, skip_bad=True))
    for what, number in audit.summary(found):
        click.echo(f"{number:6}  {what}")
    for name, counts in audit.balance(found.dataset):
        click.echo(f"{sum(counts):6}  {name}: " + ", ".join(map(str, counts)))
    largest, smallest, ratio = audit.imbalance(found.dataset)
    click.echo(f"{ratio:6.1f}  times as many {largest} as {smallest} in Training")
    if page:
        audit_page.write_page(found, page, data.name)
        click.echo(f"page: {page} (it holds pictures of the data set)")
