"""Commands of notebook 05: evaluate, leaderboard, card."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER, LABELS, NAMES, read_labelled
from ferlib.common.errors import BadInputError
from ferlib.common.extras import require_extras
from ferlib.common.files import check_targets


@click.command()
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder for leaderboard.csv, .md and .png.")
def leaderboard(folders: tuple[Path, ...], out: Path) -> None:
    """Compare the models in FOLDERS by the metrics*.json that `ferlib evaluate --json` left in them."""
    require_extras("plots")
    from ferlib.evaluate.leaderboard import build_leaderboard, to_markdown, write_leaderboard

    check_targets(out, folder=True)
    table = build_leaderboard(folders)
    write_leaderboard(table, out)
    click.echo(to_markdown(table))
    click.echo(f"table and chart: {out}")


@click.command()
@click.option("--model", type=FOLDER, required=True, help="Folder of a bundle.")
@click.option("--data", type=FILE, required=True, help="A CSV in FER2013's format.")
@click.option(
    "--usage", help="PrivateTest (default; PublicTest where there is none), PublicTest or Training."
)
@click.option("--classes", help="Keep the rows of these classes and compare only their probabilities.")
@NAMES
@click.option(
    "--tta",
    type=click.Choice(["none", "flip", "three", "ten"]),
    default="flip",
    show_default=True,
    help="Test-time augmentation: the views of a face whose predictions are averaged.",
)
@click.option("--flip/--no-flip", default=None, hidden=True, help="The earlier name of --tta flip and none.")
@LABELS
@click.option("--votes", type=FILE, help="FER+'s fer2013new.csv: what its voters say of the mistakes.")
@click.option("--photos", type=FOLDER, help="A folder of photographs with legend.csv (image,emotion).")
@click.option(
    "--drawn", default=0, show_default=True, help="Number of drawn faces to read, too: skin, light, pose."
)
@click.option("--json", "json_path", type=FILE, help="Write the report to this file.")
@click.option("--html", "html_path", type=FILE, help="Write the report to this file, as a page with figures.")
@click.option(
    "--pictures", is_flag=True, help="Show the worst mistakes in the page: pictures of the data set."
)
def evaluate(
    model: Path,
    data: Path,
    usage: str | None,
    classes: str | None,
    names: str,
    tta: str,
    flip: bool | None,
    labels: str,
    votes: Path | None,
    photos: Path | None,
    drawn: int,
    json_path: Path | None,
    html_path: Path | None,
    pictures: bool,
) -> None:
    """Measure a bundle on a data set: every figure, with and without copies of Training rows."""
    from ferlib.evaluate import html_report
    from ferlib.evaluate.full_report import Extras, measure_bundle
    from ferlib.evaluate.predictions import write_report
    from ferlib.model.predictor import fit_input
    from ferlib.train.baselines import load_model

    require_extras("train", *(["plots"] if html_path else []))
    if pictures and not html_path:
        raise BadInputError("--pictures adds pictures to a page; name the page with --html")
    check_targets(json_path, html_path)
    if flip is not None:
        tta = "flip" if flip else "none"
    dataset, counts = read_labelled(data, votes, labels, None, names)
    # under FER+'s labels the voters have nothing to add: they agree with themselves
    extras = Extras(None if labels == "ferplus" else counts, photos, drawn)
    loaded = load_model(model)
    report, predictions = measure_bundle(loaded, model, dataset, usage, classes, tta, extras)
    report |= {"data": data.name, "labels": labels}
    if json_path:
        write_report(report, json_path)
    if html_path:
        faces = fit_input(dataset.pixels[predictions.rows], loaded.input_shape)
        wall = html_report.worst_mistakes(loaded, predictions, faces) if pictures else None
        html_report.write_html(report, html_path, [wall] if wall else [])
    click.echo(
        f"accuracy {report['accuracy']:.2%} on {report['n']} {report['usage']} rows, balanced "
        f"{report['balanced_accuracy']:.2%}, majority baseline {report['majority_baseline']:.2%}"
    )


@click.command()
@click.argument("model", type=FOLDER)
def card(model: Path) -> None:
    """Write the card of the bundle MODEL from its history.csv and metrics.json."""
    require_extras("plots")
    from ferlib.evaluate.model_card import write_card

    click.echo(f"card: {write_card(model)}")
