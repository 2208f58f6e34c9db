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
def crawl(keyword, count, out, source, path, workers, seed, min_side, min_faces, retry, robots) -> None:
    """Collect pictures for KEYWORD: search, download, check, and list them in manifest.csv.

    'local' is a search site of drawn photos on this machine. A crawl that was stopped goes on where it was.
    """
    from ferlib import crawl as crawler

    limits = crawler.Limits(min_side=min_side, min_faces=min_faces)
    with crawler.open_source(source, seed=seed, path=path or "") as opened:
        manifest = crawler.crawl(opened, keyword, count, out, workers, limits, robots=robots, retry=retry)
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
@click.option("--data", type=_FILE, help="A FER2013 CSV instead, gzipped or not.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for the CSVs and the class folders.")
@click.option("--classes", default="seven", show_default=True, help="'seven', 'six', or names with commas.")
@click.option("--extra", default=0, show_default=True, help="Drawn faces to add to --faces.")
@click.option("--seed", default=7, show_default=True, help="Seed of the split and of drawn faces.")
def dataset(faces: Path | None, data: Path | None, out: Path, classes: str, extra: int, seed: int) -> None:
    """Make a data set in FER2013's format: emotion_file.csv, three CSVs, class folders."""
    from ferlib.dataset import build_dataset
    from ferlib.labels import parse_classes

    if (faces is None) == (data is None):
        raise BadInputError("give either --faces or --data")
    made = build_dataset(faces, data or "", parse_classes(classes), extra, seed, out)
    for usage in ("Training", "PublicTest", "PrivateTest"):
        click.echo(f"{len(made.part(usage)):6}  {usage}")
    click.echo(f"data set: {out}")


@cli.command()
@click.option(
    "--data", type=_FILE, required=True, help="A CSV in FER2013's format; its Training rows are used."
)
@click.option("--out", type=_FOLDER, required=True, help="Folder of the bundle to write.")
@click.option("--network", default="small", show_default=True, help="A, D or small.")
@click.option("--epochs", default=12, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--augmentation", default="ours", show_default=True, help="none, A, D or ours.")
@click.option("--classes", default="seven", show_default=True, help="'seven', 'six', or names with commas.")
@click.option("--seed", default=7, show_default=True)
@click.option("--checkpoints", type=_FOLDER, help="Folder from which a stopped run goes on.")
def train(data, out, network, epochs, batch_size, augmentation, classes, seed, checkpoints) -> None:
    """Train a network and save it as a bundle.

    A tenth of the Training rows, split off by groups of copies, chooses the epoch that is kept;
    other rows of the file are not looked at.
    """
    from ferlib import dataset, training
    from ferlib.labels import parse_classes

    settings = training.Settings(network, epochs, batch_size, augmentation, seed=seed)
    rows = dataset.read_fer2013(data).with_classes(parse_classes(classes))
    history = training.train_bundle(
        rows, out, settings, source=data.name, checkpoints=checkpoints, progress=True
    )
    best = max(history, key=lambda row: row["val_accuracy"])
    click.echo(
        f"epoch {best['epoch']} of {len(history)} kept: {best['val_accuracy']:.1%} right on the held-out tenth"
    )
    click.echo(f"bundle: {out}")


@cli.command()
@click.option("--model", type=_FOLDER, required=True, help="Folder of a bundle.")
@click.option("--data", type=_FILE, required=True, help="A CSV in FER2013's format.")
@click.option(
    "--usage", help="PrivateTest (default; PublicTest where there is none), PublicTest or Training."
)
@click.option("--classes", help="Keep the rows of these classes and take the larger of their probabilities.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Average with the mirrored face.")
@click.option("--json", "json_path", type=_FILE, help="Write the report here.")
def evaluate(model, data, usage, classes, flip, json_path) -> None:
    """Measure a bundle on a data set: accuracy, confusion matrix, rates by class."""
    from ferlib import bundle, dataset
    from ferlib.evaluate import evaluate_bundle, write_report

    report = evaluate_bundle(bundle.load_bundle(model), dataset.read_fer2013(data), usage, classes, flip=flip)
    if report.get("note"):
        click.echo(report["note"], err=True)
    if json_path:
        write_report({**report, "flip": flip}, json_path)
    click.echo(
        f"accuracy {report['accuracy']:.2%} on {report['n']} {report['usage']} rows, balanced "
        f"{report['balanced_accuracy']:.2%}, majority baseline {report['majority_baseline']:.2%}"
    )


@cli.command()
@click.argument("model", type=_FOLDER)
def card(model: Path) -> None:
    """Write the card of the bundle MODEL from its history.csv and metrics.json."""
    from ferlib.card import write_card

    click.echo(f"card: {write_card(model)}")


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
