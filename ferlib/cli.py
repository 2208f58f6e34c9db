"""The command line: thin calls of the library. Bad input gets one line on stderr and exit code 2."""

import os
import sys
from pathlib import Path

import click

from ferlib import __version__
from ferlib.errors import BadInputError, FerlibError

_FOLDER = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ferlib")
def cli() -> None:
    """Facial expression recognition, from the first picture to the live camera."""


@cli.command()
@click.argument("out", type=_FOLDER)
@click.option("--count", default=70, show_default=True, help="How many pictures.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same pictures.")
@click.option("--photos", is_flag=True, help="Photos with one to four faces instead of single faces.")
def synth(out: Path, count: int, seed: int, photos: bool) -> None:
    """Draw faces into the folder OUT, with their truth in labels.csv."""
    from ferlib.synth import write_set

    write_set(out, count=count, seed=seed, photos=photos)
    click.echo(f"{count} {'photos' if photos else 'faces'} and labels.csv in {out}")


@cli.command()
@click.argument("keyword")
@click.option("--count", default=120, show_default=True, help="How many good pictures to get.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for the pictures and manifest.csv.")
@click.option(
    "--source",
    default="local",
    show_default=True,
    help="local, baidu, baidu-list, commons, openverse, list or folder.",
)
@click.option("--path", type=_FILE, help="The file of addresses of 'list', the folder of 'folder'.")
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


@cli.command()
@click.option("--annotations", type=_FILE, required=True, help="VoTT, COCO, Label Studio, or CSV.")
@click.option("--images", type=_FOLDER, required=True, help="Folder of the pictures.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for <class>/*.png and faces.csv.")
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
    _name_problems(problems)
    if not len(done):
        raise BadInputError(f"no face could be cropped from {annotations}; see the lines above")
    click.echo(f"{len(done)} faces in {out}")


@cli.command()
@click.option("--faces", type=_FOLDER, help="Folder with faces.csv, as `ferlib crop` leaves it.")
@click.option("--data", type=_FILE, help="A FER2013 CSV or a folder of class folders instead.")
@click.option("--fetch", help="'contest' or 'mirror': get FER2013 from Kaggle instead, with kagglehub.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for the CSVs and the class folders.")
@click.option(
    "--classes", help="'seven' (default), 'six', 'eight', or names: happy,rest or happy+surprise,sad."
)
@click.option(
    "--votes", type=_FILE, help="FER+'s fer2013new.csv: its majority labels replace those of --data."
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
    _name_problems(problems)
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


@cli.command()
@click.argument("data", type=_FILE)
@click.option("--html", "page", type=_FILE, help="Write a page with the pictures here.")
def audit(data: Path, page: Path | None) -> None:
    """Look DATA (a CSV or a folder) through: copies, leaks, labels that differ, blank pictures, classes."""
    from ferlib import audit, auditpage
    from ferlib.dataset import read_data

    problems: list[str] = []
    found = audit.audit(read_data(data, problems))
    _name_problems(problems)
    for what, number in audit.summary(found):
        click.echo(f"{number:6}  {what}")
    for name, counts in audit.balance(found.dataset):
        click.echo(f"{sum(counts):6}  {name}: " + ", ".join(map(str, counts)))
    most, least, times = audit.imbalance(found.dataset)
    click.echo(f"{times:6.1f}  times as many {most} as {least} in Training")
    if page:
        auditpage.write_page(found, page, data.name)
        click.echo(f"page: {page} (it holds pictures of the data set)")


@cli.command()
@click.option(
    "--data", type=_FILE, required=True, help="A CSV in FER2013's format; its Training rows are used."
)
@click.option("--out", type=_FOLDER, required=True, help="Folder of the bundle to write.")
@click.option(
    "--recipe",
    default="light",
    show_default=True,
    help="light, shipped, quick-pair; A to E, E-small: as published; hog-svm: a baseline. "
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
@click.option("--votes", "votes_file", type=_FILE, help="FER+'s fer2013new.csv: half of each target.")
@click.option("--classes", default="seven", show_default=True, help="'seven', 'six', or names with commas.")
@click.option("--checkpoints", type=_FOLDER, help="Folder from which a stopped run goes on.")
def train(data, out, recipe, votes_file, classes, checkpoints, **given) -> None:
    """Train a network and save it as a bundle.

    A tenth of the Training rows, split off by groups of copies, chooses the epoch that is kept;
    other rows of the file are not looked at.
    """
    from ferlib import dataset, ferplus, training
    from ferlib.labels import map_labels, parse_classes

    given = {name: value for name, value in given.items() if value is not None}
    names = parse_classes(classes)
    if recipe == "hog-svm":
        _train_svm(data, out, names, given)
        return
    settings = training.with_votes(training.recipe(recipe, **given), votes_file is not None)
    if votes_file and dataset.find_csv(data) is None:
        raise BadInputError(f"{data} has no CSV: FER+'s votes go with FER2013's rows in the order of its CSV")
    rows = dataset.read_data(data)
    votes = None
    if votes_file:
        votes = ferplus.read_votes(votes_file, rows)[map_labels(rows.labels, rows.class_names, names) >= 0]
    source = data.name + (f", {votes_file.name}" if votes_file else "")
    history = training.train_bundle(
        rows.with_classes(names), out, settings, source, checkpoints, progress=True, votes=votes
    )
    best = max(history, key=lambda row: row["val_accuracy"])
    click.echo(
        f"epoch {best['epoch']} of {len(history)} kept: {best['val_accuracy']:.1%} right on the held-out tenth"
    )
    click.echo(f"bundle: {out}")


def _train_svm(data: Path, out: Path, names: tuple[str, ...], given: dict) -> None:
    import time

    from ferlib import baselines, dataset

    if set(given) - {"seed"}:
        raise BadInputError(f"hog-svm has no {', '.join(sorted(given.keys() - {'seed'}))}; give --seed only")
    rows = dataset.read_data(data).with_classes(names)
    started = time.perf_counter()
    svm = baselines.fit_svm(rows, **given)
    baselines.save_svm(svm, out, data.name, time.perf_counter() - started)
    click.echo(f"baseline: {out}")


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER)
@click.option("--out", type=_FOLDER, required=True, help="Folder for leaderboard.csv, .md and .png.")
def leaderboard(folders, out) -> None:
    """Compare the models in FOLDERS by the metrics*.json that `ferlib evaluate --json` left in them."""
    from ferlib import leaderboard

    problems: list[str] = []
    try:
        table = leaderboard.leaderboard(folders, problems)
    finally:
        _name_problems(problems)
    leaderboard.write_leaderboard(table, out)
    click.echo(leaderboard.to_markdown(table))
    click.echo(f"table and chart: {out}")


@cli.command()
@click.option("--model", type=_FOLDER, required=True, help="Folder of a bundle.")
@click.option("--data", type=_FILE, required=True, help="A CSV in FER2013's format.")
@click.option(
    "--usage", help="PrivateTest (default; PublicTest where there is none), PublicTest or Training."
)
@click.option("--classes", help="Keep the rows of these classes and take the larger of their probabilities.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Average with the mirrored face.")
@click.option("--votes", type=_FILE, help="FER+'s fer2013new.csv: what its voters say of the mistakes.")
@click.option("--photos", type=_FOLDER, help="A folder of photographs with legend.csv (image,emotion).")
@click.option(
    "--drawn", default=0, show_default=True, help="Read this many drawn faces, too: skin, light, pose."
)
@click.option("--json", "json_path", type=_FILE, help="Write the report here.")
@click.option("--html", "html_path", type=_FILE, help="Write the report here, as a page with figures.")
@click.option(
    "--pictures", is_flag=True, help="Show the worst mistakes in the page: pictures of the data set."
)
def evaluate(model, data, usage, classes, flip, votes, photos, drawn, json_path, html_path, pictures) -> None:
    """Measure a bundle on a data set: every figure, with and without twins of Training rows."""
    from ferlib import baselines, dataset, ferplus, measure, report
    from ferlib.evaluate import write_report

    if pictures and not html_path:
        raise BadInputError("--pictures goes into a page; name it with --html")
    rows = dataset.read_data(data)
    counted = None if votes is None else ferplus.read_votes(votes, rows)
    loaded = baselines.load_model(model)
    measured, predictions, problems = measure.measure_bundle(
        loaded, model, rows, usage, classes, flip, counted, photos, drawn
    )
    measured = {**measured, "data": data.name}
    _name_problems(problems)
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


@cli.command()
@click.argument("model", type=_FOLDER)
def card(model: Path) -> None:
    """Write the card of the bundle MODEL from its history.csv and metrics.json."""
    from ferlib.card import write_card

    click.echo(f"card: {write_card(model)}")


@cli.command("import")
@click.argument("source", type=_FILE)
@click.argument("out", type=_FOLDER)
@click.option("--classes", required=True, help="'seven', 'six', or names with commas, in the outputs' order.")
@click.option("--scaling", required=True, help="The values it was trained on: 0..255, 0..1 or -1..1.")
@click.option("--weights", type=_FILE, help="The weights of an architecture JSON.")
@click.option("--kernels", help="theano or tensorflow, for channels-first weights of Keras 1.")
def import_(source, out, classes, scaling, weights, kernels) -> None:
    """Make the bundle OUT of SOURCE: a whole-model .h5 or an architecture JSON of Keras 1, 2 or 3."""
    from ferlib.labels import parse_classes
    from ferlib.legacy import import_model

    click.echo(f"bundle: {import_model(source, out, parse_classes(classes), scaling, weights, kernels)}")


@cli.command()
@click.argument("model", type=_FOLDER)
@click.argument("out", type=_FOLDER)
@click.option("--format", "form", default="litert", show_default=True, help="json, litert or litert-int8.")
@click.option("--check", type=_FILE, help="Check on Training rows of this FER2013 CSV; default: drawn faces.")
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


_READING = (
    click.option("--model", type=_FOLDER, help="Folder of a bundle; default: the shipped models/fer2013."),
    click.option(
        "--detector",
        default="auto",
        show_default=True,
        help="auto (YuNet, or Haar without its file), yunet, or one of OpenCV's cascades.",
    ),
    click.option(
        "--views",
        type=click.Choice(["one", "flip", "three"]),
        default="one",
        show_default=True,
        help="The face; also mirrored; system A's three.",
    ),
    click.option("--emoji", is_flag=True, help="Draw an emoji over each face."),
    click.option(
        "--smoothing",
        default=0.3,
        show_default=True,
        help="In films: what the newest frame counts, above 0; 1: not smoothed.",
    ),
)


def _reading(command):
    """The options of all commands that read faces."""
    for option in reversed(_READING):
        command = option(command)
    return command


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE)
@click.option("--csv", "csv_path", type=_FILE, help="Table to write, one row a face (and frame).")
@click.option("--annotated", type=_FILE, help="Folder for annotated copies; of a film the .mp4 or .avi.")
@click.option("--chart", type=_FILE, help="Figure of what was found in the pictures.")
@click.option("--timeline", type=_FILE, help="Figure of a film's faces over time.")
@click.option("--recursive/--flat", default=True, show_default=True, help="Folders with the folders in them.")
@click.option(
    "--rules",
    type=click.Choice(["ours", "A"]),
    default="ours",
    show_default=True,
    help="A: no face under 0.8 of the widest; without a face the whole picture.",
)
@_reading
def predict(
    paths, csv_path, annotated, chart, timeline, recursive, rules, model, detector, views, emoji, smoothing
) -> None:
    """Read the faces in pictures and folders of pictures, or in one film."""
    from tqdm import tqdm

    from ferlib import bundle, faces, film, predict
    from ferlib.paths import shipped_bundle

    films = [path for path in paths if path.suffix.lower() in film.SUFFIXES and not path.is_dir()]
    if films and (len(paths) > 1 or chart):
        raise BadInputError(f"{films[0]}: give a film alone, with --csv, --timeline or --annotated")
    if timeline and not films:
        raise BadInputError("--timeline is for a film; for pictures there is --chart")
    if not (csv_path or annotated or chart or timeline):
        raise BadInputError("nothing to write: give --csv, --annotated, --chart or --timeline")
    loaded = bundle.load_bundle(model or shipped_bundle())
    found = faces.load_detector(detector, say=click.echo)
    if films:
        report = predict.predict_film(
            films[0],
            loaded,
            found,
            views,
            smoothing,
            csv_path,
            timeline,
            annotated,
            emoji,
            progress=lambda stream: tqdm(stream, unit="frame", disable=None),
        )
        _name_problems(report.problems)
        click.echo(f"{report.rows} readings of {report.tracks} faces in {report.frames} frames")
    else:
        table, problems = predict.predict_paths(
            paths,
            loaded,
            found,
            views,
            progress=lambda files: tqdm(files, unit="picture", disable=None),
            recursive=recursive,
            annotated=annotated,
            emoji=emoji,
            rules=rules,
        )
        _name_problems(problems)
        if csv_path:
            predict.write_table(table, csv_path)
        if chart:
            predict.write_chart(table, loaded.class_names, chart)
        click.echo(f"{len(table)} faces in {csv_path or annotated or chart}")


@cli.command()
@click.option("--source", default="0", show_default=True, help="A camera's number, a video file, or 'film'.")
@_reading
def webcam(source, model, detector, views, emoji, smoothing) -> None:
    """Read the faces before a camera, live in a window; q quits."""
    from ferlib import bundle, faces, window
    from ferlib.paths import shipped_bundle

    opened = window.open_window()
    loaded = bundle.load_bundle(model or shipped_bundle())
    found = faces.load_detector(detector, say=click.echo)
    count, rate = window.show_live(opened, loaded, found, window.source_of(source), views, emoji, smoothing)
    click.echo(f"{count} frames, {rate:.0f} a second")


@cli.command()
@click.option(
    "--data", default="", help="A FER2013 CSV: run 03 to 06 on it instead of all six on drawn faces."
)
@click.option("--classes", default="seven", show_default=True, help="'seven', 'six', or names with commas.")
@click.option("--network", help="A, D or small; default: what notebook 04 says.")
@click.option("--epochs", type=int, help="Default: what notebook 04 says.")
def run(data: str, classes: str, network: str | None, epochs: int | None) -> None:
    """Execute copies of the notebooks, in order, and show what came out."""
    from ferlib import doctor, runner
    from ferlib.labels import parse_classes

    _doctor(doctor.examine())
    parse_classes(classes)
    if data and not Path(data).is_file():
        raise BadInputError(f"{data}: no such file; give the path of a FER2013 CSV, gzipped or not")
    parameters = {"CLASSES": classes, "NETWORK": network, "EPOCHS": epochs}
    given = {name: value for name, value in parameters.items() if value is not None}
    click.echo()
    results, page = runner.run_series(data, given, click.echo)
    click.echo("\n" + runner.as_table(results) + f"\n\nthe executed notebooks: {page}")


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Another opens it to the network.")
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option("--model", type=_FOLDER, help="Folder of a bundle; default: the shipped models/fer2013.")
@click.option("--detector", default="auto", show_default=True, help="auto, yunet, or a Haar cascade.")
def serve(host: str, port: int, model: Path | None, detector: str) -> None:
    """Open a web page, with an API, that reads the faces in pictures; nothing is kept."""
    from ferlib import bundle, serve
    from ferlib.paths import shipped_bundle

    loaded = bundle.load_bundle(model or shipped_bundle())
    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"{host}: others can reach this page; README.md says how to protect it", err=True)
    serve.serve(loaded, host, port, detector, say=click.echo)


@cli.command()
def doctor() -> None:
    """Say what this machine lacks for the lessons, and how to get it."""
    from ferlib import doctor

    _doctor(doctor.examine())


def _doctor(checks: list) -> None:
    from ferlib import doctor

    click.echo(doctor.report(checks))
    missing = [check.name for check in checks if check.required and not check.fine]
    if missing:
        raise FerlibError(f"{', '.join(missing)} missing: see the line with the arrow")


def _name_problems(problems: list[str]) -> None:
    for line in problems:
        click.echo(line, err=True)


def main() -> None:
    """Entry point: every failure becomes one line on stderr and its exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        sys.exit(_fail(error.format_message(), 2))
    except click.Abort:
        sys.exit(_fail("stopped", 1))
    except FerlibError as error:
        sys.exit(_fail(str(error), error.exit_code))
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if os.environ.get("FERLIB_DEBUG"):
            raise
        sys.exit(_fail(f"{type(error).__name__}: {error} (FERLIB_DEBUG=1 shows where)", 1))


def _fail(message: str, code: int) -> int:
    click.echo("ferlib: " + " ".join(message.split()), err=True)
    return code
