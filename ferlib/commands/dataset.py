"""Commands of the data set: build and audit."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER, NAMES
from ferlib.common.errors import BadInputError
from ferlib.common.files import check_targets

AS_IS = click.option(
    "--as-is", is_flag=True, help="Take pictures of class folders as faces, whatever their size."
)


@click.command()
@click.option("--faces", type=FOLDER, help="Folder with faces.csv, as `ferlib crop` leaves it.")
@click.option(
    "--data",
    type=FILE,
    help="A FER2013 CSV (also zipped), or a folder of class folders or of a published data set.",
)
@click.option("--fetch", help="'contest' or 'mirror': get FER2013 from Kaggle instead, with kagglehub.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the CSVs and the class folders.")
@click.option(
    "--classes",
    help="'seven', 'six', 'eight', or names: happy,rest or happy+surprise,sad. Default: the data's own classes.",
)
@NAMES
@AS_IS
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
    names: str,
    as_is: bool,
    votes: Path | None,
    contempt: str,
    unknown: str,
    drop_leaks: bool,
    extra: int,
    seed: int,
) -> None:
    """Make a data set in FER2013's format: emotion_file.csv, three CSVs, class folders.

    Data without parts is split 70/10/20. Out of pictures larger than a face, the largest face is cut.

    --drop-leaks also leaves out Training rows that have a copy with another label; `ferlib audit` shows them.
    """
    from ferlib.common.labels import parse_classes, parse_names
    from ferlib.dataset import audit, ferplus
    from ferlib.dataset.build import build_dataset, write_dataset
    from ferlib.dataset.classes import choose_classes, rename_classes
    from ferlib.dataset.splits import USAGES

    if [faces, data, fetch].count(None) != 2:
        raise BadInputError("give one of --faces, --data and --fetch, and only one")
    if votes and faces:
        raise BadInputError("--votes go with the rows of FER2013: give --data or --fetch")
    if votes and not classes:
        classes = "eight" if contempt == "keep" else "seven"
    class_names, renamed = parse_classes(classes) if classes else None, parse_names(names)
    if data and out.resolve() == data.resolve():
        raise BadInputError(f"--out {out} is the data itself; name another folder")
    check_targets(out, folder=True)
    if fetch:
        from ferlib.dataset.kaggle import fetch_fer2013

        data = fetch_fer2013(fetch)
    if votes and data:
        voted = ferplus.relabel(*ferplus.read_voted(data, votes), contempt, unknown)
        built = choose_classes(rename_classes(voted, renamed), class_names or voted.class_names)
    else:
        built = build_dataset(faces, data or "", class_names, extra, seed, renamed, as_is)
    if drop_leaks:
        total = len(built)
        built = audit.drop_leaks(audit.audit_dataset(built))
        click.echo(
            f"{total - len(built):6}  Training rows left out: a twin in another part, or a disputed label"
        )
    write_dataset(built, out)
    for usage in USAGES:
        click.echo(f"{len(built.part(usage)):6}  {usage}")
    for name, counts in audit.balance(built):
        click.echo(f"{sum(counts):6}  {name}: " + ", ".join(map(str, counts)))
    click.echo(f"data set: {out}")


@click.command()
@click.argument("data", type=FILE)
@NAMES
@AS_IS
@click.option("--html", "page", type=FILE, help="Write a page with the pictures here.")
def audit(data: Path, names: str, as_is: bool, page: Path | None) -> None:
    """Audit DATA (a CSV or a folder): copies, leaks, labels that differ, blank pictures, classes."""
    from ferlib.common.labels import parse_names
    from ferlib.dataset import audit, audit_page
    from ferlib.dataset.build import read_data
    from ferlib.dataset.classes import rename_classes

    check_targets(page)
    rows = rename_classes(read_data(data, skip_bad=True, as_is=as_is), parse_names(names))
    found = audit.audit_dataset(rows)
    for what, number in audit.summary(found):
        click.echo(f"{number:6}  {what}")
    for name, counts in audit.balance(found.dataset):
        click.echo(f"{sum(counts):6}  {name}: " + ", ".join(map(str, counts)))
    largest, smallest, ratio = audit.imbalance(found.dataset)
    click.echo(f"{ratio:6.1f}  times as many {largest} as {smallest} in Training")
    if page:
        audit_page.write_page(found, page, data.name)
        click.echo(f"page: {page} (it holds pictures of the data set)")
