"""Commands that make and judge models: train, evaluate, compare, describe, import, export."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER, name_problems
from ferlib.errors import BadInputError

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
    from ferlib import dataset, ferplus
    from ferlib.labels import map_labels, parse_classes

    if labels == "ferplus" and votes_file is None:
        raise BadInputError("--labels ferplus needs FER+'s fer2013new.csv: give it with --votes")
    if votes_file and dataset.find_csv(data) is None:
        raise BadInputError(f"{data} has no CSV: FER+'s votes go with FER2013's rows in the order of its CSV")
    rows = dataset.read_data(data)
    votes = ferplus.read_votes(votes_file, rows) if votes_file else None
    if labels == "ferplus":
        rows, votes = ferplus.relabel(rows, votes), votes[ferplus.majority_labels(votes) >= 0]
    if classes is None:
        return rows, votes
    names = parse_classes(classes)
    keep = map_labels(rows.labels, rows.class_names, names) >= 0
    return rows.with_classes(names), None if votes is None else votes[keep]


@click.command()
@click.option(
    "--data", type=FILE, required=True, help="A CSV in FER2013's format; its Training rows are used."
)
@click.option("--out", type=FOLDER, required=True, help="Folder of the bundle to write.")
@click.option(
    "--recipe",
    default="light",
    show_default=True,
    help="light, shipped, ferplus, quick-pair; A to E, E-small: as published; hog-svm: a baseline. "
    "The options below replace single settings of it.",
)
@click.option("--network", help="A, B, C, D, E, E-small, small, medium or quick.")
@click.option("--epochs", type=int)
@click.option("--batch-size", type=int)
@click.option("--augmentation", help="none, A, D, mild, ours or strong.")
@click.option("--learning-rate", type=float, help="The largest, after the warm-up.")
@click.option("--schedule", help="cosine (with warm-up), constant, decay (A's) or plateau (D's).")
@click.option("--warm-up", type=float, help="Share of the steps before the learning rate is full.")
@click.option("--label-smoothing", type=float)
@click.option("--averaging/--no-averaging", default=None, help="Keep the running mean of the weights.")
@click.option("--precision", help="float32, bfloat16, or auto: what the machine does fast.")
@click.option("--balanced", is_flag=True, default=None, help="Rare classes count as much as frequent ones.")
@click.option("--seed", type=int)
@click.option("--votes", "votes_file", type=FILE, help="FER+'s fer2013new.csv: half of each target.")
@LABELS
@click.option("--classes", help="'seven', 'six', 'eight' or names with commas; all that the labels know.")
@click.option(
    "--begin", type=FOLDER, help="A bundle to go on from; for other classes without its last layer."
)
@click.option("--checkpoints", type=FOLDER, help="Folder from which a stopped run goes on.")
def train(data, out, recipe, votes_file, labels, classes, begin, checkpoints, **given) -> None:
    """Train a network and save it as a bundle.

    A tenth of the Training rows, split off by groups of copies, chooses the epoch that is kept;
    other rows of the file are not looked at. A recipe that goes on from others or learns from them
    ('third') trains those first, into OUT-NAME, where they are not there yet; so does one that repeats
    another on all Training rows, once everything is chosen ('shipped').
    """
    from ferlib import training
    from ferlib.bundle import load_bundle, read_metadata
    from ferlib.recipes import kept_epoch

    given = {name: value for name, value in given.items() if value is not None}
    classes = classes or ("seven" if labels == "fer2013" else "eight")
    if recipe == "hog-svm":
        _train_svm(data, out, classes, given, votes_file, labels)
        return
    settings = training.with_votes(training.recipe(recipe, **given), votes_file is not None)
    first = load_bundle(begin) if begin else None
    rows, votes = _read_rows(data, votes_file, labels, classes)
    source = data.name + (f", {votes_file.name}" if votes_file else "")
    history = training.train_bundle(
        rows, out, settings, source, checkpoints, True, votes, begin=first, labelled=labels
    )
    kept = kept_epoch(history, settings.keep)
    right = read_metadata(out)["data"].get("held_out_accuracy")
    judged = "nothing was held out" if right is None else f"{right:.1%} right on the held-out tenth"
    click.echo(f"epoch {kept} of {len(history)} kept: {judged}")
    click.echo(f"bundle: {out}")


def _train_svm(
    data: Path, out: Path, classes: str, given: dict, votes_file: Path | None, labels: str
) -> None:
    import time

    from ferlib import baselines

    if set(given) - {"seed"}:
        raise BadInputError(f"hog-svm has no {', '.join(sorted(given.keys() - {'seed'}))}; give --seed only")
    rows, _ = _read_rows(data, votes_file, labels, classes)
    started = time.perf_counter()
    svm = baselines.fit_svm(rows, **given)
    baselines.save_svm(svm, out, data.name, time.perf_counter() - started)
    click.echo(f"baseline: {out}")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder for leaderboard.csv, .md and .png.")
def leaderboard(folders, out) -> None:
    """Compare the models in FOLDERS by the metrics*.json that `ferlib evaluate --json` left in them."""
    from ferlib import leaderboard

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
    from ferlib import baselines, measure, report
    from ferlib.evaluate import write_report

    if pictures and not html_path:
        raise BadInputError("--pictures goes into a page; name it with --html")
    rows, counted = _read_rows(data, votes, labels, None)
    if labels == "ferplus":
        counted = None  # the voters agree with their own labels
    loaded = baselines.load_model(model)
    measured, predictions, problems = measure.measure_bundle(
        loaded, model, rows, usage, classes, flip, counted, photos, drawn
    )
    measured = {**measured, "data": data.name, "labels": labels}
    name_problems(problems)
    if measured["note"]:
        click.echo(measured["note"], err=True)
    if json_path:
        write_report(measured, json_path)
    if html_path:
        wall = report.worst_wall(loaded, predictions, rows.pixels[predictions.rows]) if pictures else None
        report.write_html(measured, html_path, [wall] if wall else [])
    click.echo(
        f"accuracy {measured['accuracy']:.2%} on {measured['n']} {measured['usage']} rows, balanced "
        f"{measured['balanced_accuracy']:.2%}, majority baseline {measured['majority_baseline']:.2%}"
    )


@click.command()
@click.argument("model", type=FOLDER)
def card(model: Path) -> None:
    """Write the card of the bundle MODEL from its history.csv and metrics.json."""
    from ferlib.card import write_card

    click.echo(f"card: {write_card(model)}")


@click.command("import")
@click.argument("source", type=FILE)
@click.argument("out", type=FOLDER)
@click.option("--classes", required=True, help="'seven', 'six', or names with commas, in the outputs' order.")
@click.option("--scaling", required=True, help="The values it was trained on: 0..255, 0..1 or -1..1.")
@click.option("--weights", type=FILE, help="The weights of an architecture JSON.")
@click.option("--kernels", help="theano or tensorflow, for channels-first weights of Keras 1.")
def import_(source, out, classes, scaling, weights, kernels) -> None:
    """Make the bundle OUT of SOURCE: a whole-model .h5 or an architecture JSON of Keras 1, 2 or 3."""
    from ferlib.labels import parse_classes
    from ferlib.legacy import import_model

    click.echo(f"bundle: {import_model(source, out, parse_classes(classes), scaling, weights, kernels)}")


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--format", "form", default="litert", show_default=True, help="json, litert or litert-int8.")
@click.option("--check", type=FILE, help="Check on Training rows of this FER2013 CSV; default: drawn faces.")
def export(model, out, form, check) -> None:
    """Write the bundle MODEL into the folder OUT in another form, checked to give the same answers.

    OUT may be MODEL itself: LiteRT's forms are found there when the bundle is loaded.
    """
    from ferlib import export

    faces, truth, source = export.check_faces(model, check)
    facts = export.export_bundle(model, out, form, faces, truth, source)
    click.echo(
        f"{form} in {out}: same class for {facts['same_answer']:.2%} of {facts['faces']} {source}, "
        f"largest difference {facts['largest_difference']:.1e}"
        + (f", accuracy {facts['accuracy_change']:+.2%}" if "accuracy_change" in facts else "")
    )
    if form == "json":
        click.echo(export.HOW_TO_LOAD)
