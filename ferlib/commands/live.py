"""Commands that read faces: in pictures and films, before a camera, on a web page."""

from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER, name_problems
from ferlib.common.errors import BadInputError

_READING = (
    click.option("--model", type=FOLDER, help="Folder of a bundle; default: the shipped models/fer2013."),
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


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE)
@click.option("--csv", "csv_path", type=FILE, help="Table to write, one row a face (and frame).")
@click.option("--annotated", type=FILE, help="Folder for annotated copies; of a film the .mp4 or .avi.")
@click.option("--chart", type=FILE, help="Figure of what was found in the pictures.")
@click.option("--timeline", type=FILE, help="Figure of a film's faces over time.")
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

    from ferlib import live
    from ferlib.common.paths import shipped_bundle
    from ferlib.detect.detector import load_detector
    from ferlib.live import film
    from ferlib.model import bundle

    films = [path for path in paths if path.suffix.lower() in film.SUFFIXES and not path.is_dir()]
    if films and (len(paths) > 1 or chart):
        raise BadInputError(f"{films[0]}: give a film alone, with --csv, --timeline or --annotated")
    if timeline and not films:
        raise BadInputError("--timeline is for a film; for pictures there is --chart")
    if not (csv_path or annotated or chart or timeline):
        raise BadInputError("nothing to write: give --csv, --annotated, --chart or --timeline")
    loaded = bundle.load_bundle(model or shipped_bundle(), form="fastest")
    found = load_detector(detector)
    if films:
        report = live.predict_film(
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
        name_problems(report.problems)
        click.echo(f"{report.rows} readings of {report.tracks} faces in {report.frames} frames")
    else:
        table, problems = live.predict_paths(
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
        name_problems(problems)
        if csv_path:
            live.write_table(table, csv_path)
        if chart:
            live.write_chart(table, loaded.class_names, chart)
        click.echo(f"{len(table)} faces in {csv_path or annotated or chart}")


@click.command()
@click.option("--source", default="0", show_default=True, help="A camera's number, a video file, or 'film'.")
@_reading
def webcam(source, model, detector, views, emoji, smoothing) -> None:
    """Read the faces before a camera, live in a window; q quits."""
    from ferlib.common.paths import shipped_bundle
    from ferlib.detect.detector import load_detector
    from ferlib.live import window
    from ferlib.model import bundle

    opened = window.open_window()
    loaded = bundle.load_bundle(model or shipped_bundle(), form="fastest")
    found = load_detector(detector)
    count, rate = window.show_live(opened, loaded, found, window.source_of(source), views, emoji, smoothing)
    click.echo(f"{count} frames, {rate:.0f} a second")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Another opens it to the network.")
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option("--model", type=FOLDER, help="Folder of a bundle; default: the shipped models/fer2013.")
@click.option("--detector", default="auto", show_default=True, help="auto, yunet, or a Haar cascade.")
def serve(host: str, port: int, model: Path | None, detector: str) -> None:
    """Open a web page, with an API, that reads the faces in pictures; nothing is kept."""
    from ferlib.common.paths import shipped_bundle
    from ferlib.live import serve
    from ferlib.model import bundle

    loaded = bundle.load_bundle(model or shipped_bundle(), form="fastest")
    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"{host}: others can reach this page; README.md says how to protect it", err=True)
    serve.serve(loaded, host, port, detector)
