"""Command of notebook 02: crop."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER
from ferlib.common.errors import BadInputError


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
    help="Tags to use of a box with several.",
)
def crop(annotations: Path, images: Path, out: Path, classes: str, margin: float, tags: str) -> None:
    """Cut the labelled faces out of pictures."""
    from ferlib.annotate.crop import crop_regions
    from ferlib.annotate.formats import read_boxes
    from ferlib.common.labels import parse_classes

    class_names = parse_classes(classes)
    faces = crop_regions(read_boxes(annotations), images, out, class_names, margin, tags)
    if faces.empty:
        raise BadInputError(f"no face could be cropped from {annotations}; see the lines above")
    click.echo(f"{len(faces)} faces in {out}")
