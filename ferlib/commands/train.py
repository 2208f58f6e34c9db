"""Commands that make models: train, teach, import, export."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ferlib.commands.common import FILE, FOLDER, LABELS, NAMES, read_labelled
from ferlib.commands.dataset import AS_IS
from ferlib.common.errors import BadInputError
from ferlib.common.extras import require_extras
from ferlib.common.files import check_targets

if TYPE_CHECKING:
    from ferlib.dataset.splits import Dataset


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
@click.option("--warm-up", type=float, help="Share of the steps in which the learning rate rises.")
@click.option("--label-smoothing", type=float)
@click.option(
    "--averaging/--no-averaging", "ema", default=None, help="Keep the moving average of the weights."
)
@click.option("--precision", help="float32, bfloat16, or auto: what is fast on this machine.")
@click.option("--balanced", is_flag=True, default=None, help="Rare classes count as much as frequent ones.")
@click.option("--seed", type=int)
@click.option("--votes", "votes_file", type=FILE, help="FER+'s fer2013new.csv: half of each target.")
@LABELS
@click.option("--classes", help="'seven', 'six', 'eight' or names with commas; default: the data's own.")
@NAMES
@click.option(
    "--begin", type=FOLDER, help="A bundle to start from; for other classes without its last layer."
)
@click.option("--checkpoints", type=FOLDER, help="Folder from which a stopped run is resumed.")
def train(
    data: Path,
    out: Path,
    recipe: str,
    votes_file: Path | None,
    labels: str,
    classes: str | None,
    names: str,
    begin: Path | None,
    checkpoints: Path | None,
    **options: Any,
) -> None:
    """Train a network and save it as a bundle.

    A tenth of the Training rows, split off by groups of copies, selects the epoch that is kept;
    other rows of the file are not used. A recipe that builds on others ('third' starts from one and
    learns from two) trains those first, into OUT-NAME, unless they are there already; so does one
    that trains another again on all Training rows, once everything is chosen ('shipped').
    """
    from ferlib.model.bundle import load_bundle
    from ferlib.model.metadata import read_metadata
    from ferlib.train.recipes import get_recipe, kept_epoch
    from ferlib.train.run import TrainingRows, TrainingRun

    require_extras("train")
    changes = {name: value for name, value in options.items() if value is not None}
    check_targets(out, folder=True)
    if recipe == "hog-svm" and changes.keys() - {"seed"}:
        raise BadInputError(
            f"hog-svm has no {', '.join(sorted(changes.keys() - {'seed'}))}; give --seed only"
        )
    settings = None if recipe == "hog-svm" else get_recipe(recipe, **changes)
    initial_bundle = load_bundle(begin) if begin else None
    dataset, votes = read_labelled(data, votes_file, labels, classes, names)
    if settings is None:
        _train_svm(dataset, data.name, out, changes)
        return
    if votes_file and not settings.vote_weight:
        settings = replace(settings, vote_weight=0.5)
    source = data.name + (f", {votes_file.name}" if votes_file else "")
    rows = TrainingRows(dataset, source, votes, labels)
    history = TrainingRun(rows, settings, out, checkpoints, initial_bundle, progress=True).run()
    accuracy = read_metadata(out)["data"].get("held_out_accuracy")
    result = "nothing was held out" if accuracy is None else f"{accuracy:.1%} right on the held-out tenth"
    click.echo(f"epoch {kept_epoch(history, settings.keep)} of {len(history)} kept: {result}")
    click.echo(f"bundle: {out}")


def _train_svm(dataset: "Dataset", source: str, out: Path, changes: dict[str, Any]) -> None:
    from ferlib.train import baselines

    started = time.perf_counter()
    svm = baselines.fit_svm(dataset, **changes)
    baselines.save_svm(svm, out, source, time.perf_counter() - started)
    click.echo(f"baseline: {out}")


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the bundle to write.")
@click.option("--model", type=FOLDER, help="The bundle to start from; default: the shipped models/fer2013.")
@click.option("--classes", help="Names with commas, of those in FOLDER; default: all of them.")
@NAMES
@AS_IS
@click.option("--seed", default=7, show_default=True, help="Seed of the choice of what is held out.")
def teach(
    folder: Path, out: Path, model: Path | None, classes: str | None, names: str, as_is: bool, seed: int
) -> None:
    """Teach a trained network the classes of FOLDER, which has one folder of pictures per class, in seconds.

    The pictures are faces or whole photographs. A quarter of each class is held out to measure how well it went.
    """
    from ferlib.common.labels import parse_classes, parse_names
    from ferlib.dataset.build import read_data
    from ferlib.dataset.classes import choose_classes, rename_classes
    from ferlib.train.teach import teach_classes

    require_extras("train")
    check_targets(out, folder=True)
    if out.exists():
        raise BadInputError(f"{out} is there already; name a folder that does not exist yet")
    faces = rename_classes(read_data(folder, skip_bad=True, as_is=as_is), parse_names(names))
    if classes:
        faces = choose_classes(faces, parse_classes(classes))
    lesson = teach_classes(faces, out, model, source=folder.name, seed=seed)
    click.echo(f"{', '.join(faces.class_names)}: {lesson}")
    click.echo(f"bundle: {out}")


@click.command("import")
@click.argument("source", type=FILE)
@click.argument("out", type=FOLDER)
@click.option("--classes", required=True, help="'seven', 'six', or names with commas, in the outputs' order.")
@click.option("--scaling", required=True, help="The values it was trained on: 0..255, 0..1 or -1..1.")
@click.option("--weights", type=FILE, help="The weights of an architecture JSON.")
@click.option("--kernels", help="theano or tensorflow, for channels-first weights of Keras 1.")
def import_(
    source: Path, out: Path, classes: str, scaling: str, weights: Path | None, kernels: str | None
) -> None:
    """Make the bundle OUT of SOURCE: a .keras, a whole-model .h5 or an architecture JSON of Keras 1, 2 or 3."""
    from ferlib.common.labels import parse_classes
    from ferlib.model.keras_import.architecture import import_model

    require_extras("train")
    check_targets(out, folder=True)
    click.echo(f"bundle: {import_model(source, out, parse_classes(classes), scaling, weights, kernels)}")
    click.echo(
        f"check it on a few labelled faces (ferlib evaluate --model {out} --data …): a wrong order of --classes "
        "or a wrong --scaling shows only there"
    )


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option(
    "--format", "form", default="litert", show_default=True, help="json, litert, litert-int8 or page."
)
@click.option("--check", type=FILE, help="Check on Training rows of this FER2013 CSV; default: drawn faces.")
def export(model: Path, out: Path, form: str, check: Path | None) -> None:
    """Write the bundle MODEL into the folder OUT in another format, checked to give the same predictions.

    OUT may be MODEL itself: the LiteRT formats are found there when the bundle is loaded. A page is a folder that
    reads expressions in a browser, without a server.
    """
    check_targets(out, folder=True)
    if form == "page":
        from ferlib.train.page.writer import export_page

        click.echo(export_page(model, out, check))
        return
    from ferlib.train.export import HOW_TO_LOAD, check_faces, export_bundle

    require_extras("train")
    facts = export_bundle(model, out, form, check_faces(model, check))
    click.echo(
        f"{form} in {out}: same class for {facts['same_answer']:.2%} of {facts['faces']} {facts['source']}, "
        f"largest difference {facts['largest_difference']:.1e}"
        + (f", accuracy {facts['accuracy_change']:+.2%}" if "accuracy_change" in facts else "")
    )
    if form == "json":
        click.echo(HOW_TO_LOAD)
