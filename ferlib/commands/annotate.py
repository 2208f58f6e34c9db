"""Command of notebook 02: crop."""

import logging
from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER
from ferlib.common.errors import BadInputError, logger
from ferlib.common.files import check_targets


class _Counter(logging.Handler):
    """Counts the lines that are logged."""

    lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += 1


@click.command()
@click.option(
    "--annotations",
    type=FILE,
    required=True,
    help="Labels of VoTT, COCO, Label Studio, labelme, Pascal VOC, YOLO, or CSV: a file, or a folder of them.",
)
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--out", type=FOLDER, required=True, help="Folder for <class>/*.png and faces.csv.")
@click.option(
    "--classes",
    default="seven",
    show_default=True,
    help="'seven', 'six', 'eight', or names with commas, of any kind: 'bored,attentive'.",
)
@click.option("--names", default="", help="Rename tags before they are classes: 'Freude=happy,Trauer=sad'.")
@click.option("--margin", default=0.0, show_default=True, help="Share of the box added on each side.")
@click.option(
    "--tags",
    type=click.Choice(["first", "all"]),
    default="first",
    show_default=True,
    help="Tags to use of a box with several; first: the first that is an emotion or a class.",
)
@click.option("--annotator", help="Whose labels to read of a Label Studio export: number or e-mail address.")
def crop(
    annotations: Path,
    images: Path,
    out: Path,
    classes: str,
    names: str,
    margin: float,
    tags: str,
    annotator: str | None,
) -> None:
    """Cut the labelled faces out of pictures."""
    from ferlib.annotate.crop import crop_regions, rename_tags
    from ferlib.annotate.formats import read_boxes
    from ferlib.common.labels import parse_classes, parse_names

    check_targets(out, folder=True)
    class_names, new_names = parse_classes(classes), parse_names(names)
    counter = _Counter()
    logger.addHandler(counter)
    try:
        table = rename_tags(read_boxes(annotations, None, images, annotator), new_names)
        faces = crop_regions(table, images, out, class_names, margin, tags)
    finally:
        logger.removeHandler(counter)
    if faces.empty:
        reason = "; see the lines above" if counter.lines else ": there is no labelled box in it"
        raise BadInputError(f"no face could be cropped from {annotations}{reason}")
    click.echo(f"{len(faces)} faces in {out}")
