"""Commands that make and judge models: train, evaluate, compare, describe, import, export."""

from pathlib import Path

import click

from ferlib.commands.common import (
    FILE,
    FOLDER,
    LABELS,
    _read_rows,
)
from ferlib.common.errors import BadInputError
from ferlib.train.recipes import with_votes


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
    from ferlib.model.bundle import load_bundle
    from ferlib.model.metadata import read_metadata
    from ferlib.train import run
    from ferlib.train.recipes import kept_epoch

    given = {name: value for name, value in given.items() if value is not None}
    classes = classes or ("seven" if labels == "fer2013" else "eight")
    if recipe == "hog-svm":
        _train_svm(data, out, classes, given, votes_file, labels)
        return
    settings = with_votes(run.recipe(recipe, **given), votes_file is not None)
    first = load_bundle(begin) if begin else None
    rows, votes = _read_rows(data, votes_file, labels, classes)
    source = data.name + (f", {votes_file.name}" if votes_file else "")
    history = run.train_bundle(
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

    from ferlib.train import baselines

    if set(given) - {"seed"}:
        raise BadInputError(f"hog-svm has no {', '.join(sorted(given.keys() - {'seed'}))}; give --seed only")
    rows, _ = _read_rows(data, votes_file, labels, classes)
    started = time.perf_counter()
    svm = baselines.fit_svm(rows, **given)
    baselines.save_svm(svm, out, data.name, time.perf_counter() - started)
    click.echo(f"baseline: {out}")


@click.command("import")
@click.argument("source", type=FILE)
@click.argument("out", type=FOLDER)
@click.option("--classes", required=True, help="'seven', 'six', or names with commas, in the outputs' order.")
@click.option("--scaling", required=True, help="The values it was trained on: 0..255, 0..1 or -1..1.")
@click.option("--weights", type=FILE, help="The weights of an architecture JSON.")
@click.option("--kernels", help="theano or tensorflow, for channels-first weights of Keras 1.")
def import_(source, out, classes, scaling, weights, kernels) -> None:
    """Make the bundle OUT of SOURCE: a whole-model .h5 or an architecture JSON of Keras 1, 2 or 3."""
    from ferlib.common.labels import parse_classes
    from ferlib.model.keras_import.architecture import import_model

    click.echo(f"bundle: {import_model(source, out, parse_classes(classes), scaling, weights, kernels)}")


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--format", "form", default="litert", show_default=True, help="json, litert, litert-int8 or page.")
@click.option("--check", type=FILE, help="Check on Training rows of this FER2013 CSV; default: drawn faces.")
def export(model, out, form, check) -> None:
    """Write the bundle MODEL into the folder OUT in another form, checked to give the same answers.

    OUT may be MODEL itself: LiteRT's forms are found there when the bundle is loaded. A page is a folder that reads
    expressions in a browser, without a server.
    """
    if form == "page":
        from ferlib.train.page.writer import export_page

        click.echo(export_page(model, out, check))
        return
    from ferlib.train import export

    faces, truth, source = export.check_faces(model, check)
    facts = export.export_bundle(model, out, form, faces, truth, source)
    click.echo(
        f"{form} in {out}: same class for {facts['same_answer']:.2%} of {facts['faces']} {source}, "
        f"largest difference {facts['largest_difference']:.1e}"
        + (f", accuracy {facts['accuracy_change']:+.2%}" if "accuracy_change" in facts else "")
    )
    if form == "json":
        click.echo(export.HOW_TO_LOAD)
