"""Commands that make data: draw, collect, crop, put together, audit."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER, name_problems
from ferlib.errors import BadInputError


@click.command()
@click.argument("out", type=FOLDER)
@click.option("--count", default=70, show_default=True, help="How many pictures.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same pictures.")
@click.option("--photos", is_flag=True, help="Photos with one to four faces instead of single faces.")
def synth(out: Path, count: int, seed: int, photos: bool) -> None:
    """Draw faces into the folder OUT, with their truth in labels.csv."""
    from ferlib.synth import write_set

    write_set(out, count=count, seed=seed, photos=photos)
    click.echo(f"{count} {'photos' if photos else 'faces'} and labels.csv in {out}")


@click.command()
@click.argument("keyword")
@click.option("--count", default=120, show_default=True, help="How many good pictures to get.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures and manifest.csv.")
@click.option(
    "--source",
    default="local",
    show_default=True,
    help="local, baidu, baidu-list, commons, openverse, list or folder.",
)
@click.option("--path", type=FILE, help="The file of addresses of 'list', the folder of 'folder'.")
@click.option("--workers", default=4, show_default=True, help="Downloads at a time.")
@click.option("--seed", default=7, show_default=True, help="Seed of the local site.")
@click.option("--min-side", default=160, show_default=True, help="Smaller pictures are left out, in pixels.")
@click.option("--min-faces", default=0, show_default=True, help="Pictures with fewer faces are left out.")
@click.option("--retry", is_flag=True, help="Try rejected results of an earlier crawl again.")
@click.option("--robots/--no-robots", default=True, show_default=True, help="Obey robots.txt.")
@click.option("--contact", default="", help="Your e-mail address or web page, told to the site asked.")
def crawl(
    keyword, count, out, source, path, workers, seed, min_side, min_faces, retry, robots, contact
) -> None:
    """Collect pictures for KEYWORD: search, download, check, and list them in manifest.csv.

    'local' is a search site of drawn photos on this machine. A crawl that was stopped goes on where it was.
    """
    from ferlib import crawl as crawler

    limits = crawler.Limits(min_side=min_side, min_faces=min_faces)
    with crawler.open_source(source, seed=seed, path=path or "") as opened:
        manifest = crawler.crawl(
            opened, keyword, count, out, workers, limits, robots=robots, retry=retry, contact=contact
        )
    for state, number in manifest["state"].value_counts().items():
        click.echo(f"{number} {state}")
    click.echo(f"manifest: {out / 'manifest.csv'}")


@click.command()
@click.option("--annotations", type=FILE, required=True, help="VoTT, COCO, Label Studio, or CSV.")
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--out", type=FOLDER, required=True, help="Folder for <class>/*.png and faces.csv.")
@click.option("--classes", default="seven", show_default=True, help="'seven', 'six', or names with commas.")
@click.option("--margin", default=0.0, show_default=True, help="Share of the box added on each side.")
@click.option(
    "--tags",
    type=click.Choice(["first", "all"]),
    default="first",
    show_default=True,
    help="Of a region with several.",
)
def crop(annotations: Path, images: Path, out: Path, classes: str, margin: float, tags: str) -> None:
    """Cut the labelled faces out of pictures."""
    from ferlib.annotations import read_boxes
    from ferlib.faces import crop_regions
    from ferlib.labels import parse_classes

    table, problems = read_boxes(annotations)
    done = crop_regions(table, images, out, parse_classes(classes), margin, problems, tags)
    name_problems(problems)
    if not len(done):
        raise BadInputError(f"no face could be cropped from {annotations}; see the lines above")
    click.echo(f"{len(done)} faces in {out}")


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
def dataset(faces, data, fetch, out, classes, votes, contempt, unknown, drop_leaks, extra, seed) -> None:
    """Make a data set in FER2013's format: emotion_file.csv, three CSVs, class folders.

    --drop-leaks also leaves out Training rows that have a copy with another label; `ferlib audit` shows them.
    """
    from ferlib import audit, ferplus
    from ferlib.dataset import collect, write_dataset
    from ferlib.labels import parse_classes

    if [faces, data, fetch].count(None) != 2:
        raise BadInputError("give one of --faces, --data and --fetch, and only one")
    if votes and faces:
        raise BadInputError("--votes go with the rows of FER2013: give --data or --fetch")
    names = parse_classes(classes or ("eight" if votes and contempt == "keep" else "seven"))
    if fetch:
        from ferlib.fetch import fetch_fer2013

        data = fetch_fer2013(fetch)
    problems: list[str] = []
    if votes:
        made = ferplus.read_voted(data, votes, contempt, unknown).with_classes(names)
    else:
        made = collect(faces, data or "", names, extra, seed, problems)
    name_problems(problems)
    if drop_leaks:
        whole = len(made)
        made = audit.drop_leaks(audit.audit(made))
        click.echo(
            f"{whole - len(made):6}  Training rows left out: a twin in another part, or a disputed label"
        )
    write_dataset(made, out)
    for usage in ("Training", "PublicTest", "PrivateTest"):
        click.echo(f"{len(made.part(usage)):6}  {usage}")
    click.echo(f"data set: {out}")


@click.command()
@click.argument("data", type=FILE)
@click.option("--html", "page", type=FILE, help="Write a page with the pictures here.")
def audit(data: Path, page: Path | None) -> None:
    """Look DATA (a CSV or a folder) through: copies, leaks, labels that differ, blank pictures, classes."""
    from ferlib import audit, auditpage
    from ferlib.dataset import read_data

    problems: list[str] = []
    found = audit.audit(read_data(data, problems))
    name_problems(problems)
    for what, number in audit.summary(found):
        click.echo(f"{number:6}  {what}")
    for name, counts in audit.balance(found.dataset):
        click.echo(f"{sum(counts):6}  {name}: " + ", ".join(map(str, counts)))
    most, least, times = audit.imbalance(found.dataset)
    click.echo(f"{times:6.1f}  times as many {most} as {least} in Training")
    if page:
        auditpage.write_page(found, page, data.name)
        click.echo(f"page: {page} (it holds pictures of the data set)")
