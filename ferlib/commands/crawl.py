"""Commands of notebook 01: draw, collect."""

from pathlib import Path
from typing import Any

import click

from ferlib.commands.common import FILE, FOLDER
from ferlib.common.files import check_targets


@click.command()
@click.argument("out", type=FOLDER)
@click.option("--count", default=70, show_default=True, help="How many pictures.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same pictures.")
@click.option("--photos", is_flag=True, help="Photos with one to four faces instead of single faces.")
def synth(out: Path, count: int, seed: int, photos: bool) -> None:
    """Draw faces into the folder OUT, with their ground truth in labels.csv."""
    from ferlib.synth import write_set

    check_targets(out, folder=True)
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
@click.option("--path", type=FILE, help="The file of addresses for 'list', or the folder for 'folder'.")
@click.option("--workers", default=4, show_default=True, help="Downloads at a time.")
@click.option("--seed", default=7, show_default=True, help="Seed of the local site.")
@click.option("--min-side", default=160, show_default=True, help="Smaller pictures are left out, in pixels.")
@click.option("--min-faces", default=0, show_default=True, help="Pictures with fewer faces are left out.")
@click.option(
    "--retry", "retry_rejected", is_flag=True, help="Try rejected results of an earlier crawl again."
)
@click.option("--robots/--no-robots", default=True, show_default=True, help="Obey robots.txt.")
@click.option("--contact", default="", help="Your e-mail address or web page, for the User-Agent.")
def crawl(
    keyword: str,
    count: int,
    out: Path,
    source: str,
    path: Path | None,
    seed: int,
    robots: bool,
    **settings: Any,
) -> None:
    """Collect pictures for KEYWORD: search, download, check, and list them in manifest.csv.

    'local' is a search site of drawn photos on this machine. A crawl that was stopped goes on where it was.
    """
    from ferlib.crawl import CrawlSettings, collect_pictures, open_source

    check_targets(out, folder=True)
    limits = CrawlSettings(obey_robots=robots, **settings)
    with open_source(source, seed=seed, path=path or "") as opened:
        manifest = collect_pictures(opened, keyword, count, out, limits)
    for state, number in manifest["state"].value_counts().items():
        click.echo(f"{number} {state}")
    click.echo(f"manifest: {out / 'manifest.csv'}")
