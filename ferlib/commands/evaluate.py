"""Commands of notebook 05: evaluate, compare, describe."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER, LABELS, read_labelled, name_problems
from ferlib.common.errors import BadInputError


@click.command()
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder for leaderboard.csv, .md and .png.")
def leaderboard(folders, out) -> None:
    """Compare the models in FOLDERS by the metrics*.json that `ferlib evaluate --json` left in them."""
    from ferlib.evaluate import leaderboard

    problems: list[str] = []
    try:
        table = leaderboard.leaderboard(folders, problems)
    finally:
        name_problems(problems)
    leaderboard.write_leaderboard(table, out)
    click.echo(leaderboard.to_markdown(table))
    click.echo(f"table and chart: {out}")


@click.command()
@click.option("--model", type=FOLDER, required=True, help="Folder of a bundle.")
@click.option("--data", type=FILE, required=True, help="A CSV in FER2013's format.")
@click.option(
    "--usage", help="PrivateTest (default; PublicTest where there is none), PublicTest or Training."
)
@click.option("--classes", help="Keep the rows of these classes and take the larger of their probabilities.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Average with the mirrored face.")
@LABELS
@click.option("--votes", type=FILE, help="FER+'s fer2013new.csv: what its voters say of the mistakes.")
@click.option("--photos", type=FOLDER, help="A folder of photographs with legend.csv (image,emotion).")
@click.option(
    "--drawn", default=0, show_default=True, help="Read this many drawn faces, too: skin, light, pose."
)
@click.option("--json", "json_path", type=FILE, help="Write the report here.")
@click.option("--html", "html_path", type=FILE, help="Write the report here, as a page with figures.")
@click.option(
    "--pictures", is_flag=True, help="Show the worst mistakes in the page: pictures of the data set."
)
def evaluate(
    model, data, usage, classes, flip, labels, votes, photos, drawn, json_path, html_path, pictures
) -> None:
    """Measure a bundle on a data set: every figure, with and without twins of Training rows."""
    from ferlib.evaluate import full_report, html_report
    from ferlib.evaluate.predictions import write_report
    from ferlib.train import baselines

    if pictures and not html_path:
        raise BadInputError("--pictures goes into a page; name it with --html")
    rows, counted = read_labelled(data, votes, labels, None)
    if labels == "ferplus":
        counted = None  # the voters agree with their own labels
    loaded = baselines.load_model(model)
    measured, predictions, problems = full_report.measure_bundle(
        loaded, model, rows, usage, classes, flip, counted, photos, drawn
    )
    measured = {**measured, "data": data.name, "labels": labels}
    name_problems(problems)
    if measured["note"]:
        click.echo(measured["note"], err=True)
    if json_path:
        write_report(measured, json_path)
    if html_path:
        wall = (
            html_report.worst_wall(loaded, predictions, rows.pixels[predictions.rows]) if pictures else None
        )
        html_report.write_html(measured, html_path, [wall] if wall else [])
    click.echo(
        f"accuracy {measured['accuracy']:.2%} on {measured['n']} {measured['usage']} rows, balanced "
        f"{measured['balanced_accuracy']:.2%}, majority baseline {measured['majority_baseline']:.2%}"
    )


@click.command()
@click.argument("model", type=FOLDER)
def card(model: Path) -> None:
    """Write the card of the bundle MODEL from its history.csv and metrics.json."""
    from ferlib.evaluate.model_card import write_card

    click.echo(f"card: {write_card(model)}")
