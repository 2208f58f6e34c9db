"""Commands that recognise faces: in pictures and videos, in front of a camera, on a web page."""

from collections.abc import Callable
from pathlib import Path

import click

from ferlib.commands.common import FILE, FOLDER
from ferlib.common.errors import BadInputError

_MODEL = click.option("--model", type=FOLDER, help="Folder of a bundle; default: the shipped models/fer2013.")
_READING = (
    _MODEL,
    click.option(
        "--detector",
        default="yunet",
        show_default=True,
        help="yunet, or the name of one of OpenCV's Haar cascades.",
    ),
    click.option(
        "--tta",
        type=click.Choice(["none", "flip", "three", "ten"]),
        default="none",
        show_default=True,
        help="Test-time augmentation: the face alone; also mirrored; system A's three views; ten.",
    ),
    click.option("--emoji", is_flag=True, help="Draw an emoji over each face."),
    click.option(
        "--smoothing",
        default=0.3,
        show_default=True,
        help="In videos: weight of the newest frame, above 0; 1: not smoothed.",
    ),
)


def _reading(command: Callable) -> Callable:
    """Add the options of all commands that recognise faces."""
    for option in reversed(_READING):
        command = option(command)
    return command


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE)
@click.option("--csv", type=FILE, help="Table to write, one row per face (and frame).")
@click.option("--annotated", type=FILE, help="Folder for annotated copies; of a video the .mp4 or .avi.")
@click.option("--chart", type=FILE, help="Figure of what was found in the pictures.")
@click.option("--timeline", type=FILE, help="Figure of a video's faces over time.")
@click.option("--recursive/--flat", default=True, show_default=True, help="With the folders inside folders.")
@click.option(
    "--rules",
    type=click.Choice(["ours", "A"]),
    default="ours",
    show_default=True,
    help="A: no face under 0.8 of the widest; without a face the whole picture.",
)
@_reading
def predict(
    paths: tuple[Path, ...],
    csv: Path | None,
    annotated: Path | None,
    chart: Path | None,
    timeline: Path | None,
    recursive: bool,
    rules: str,
    model: Path | None,
    detector: str,
    tta: str,
    emoji: bool,
    smoothing: float,
) -> None:
    """Recognise the faces in pictures and folders of pictures, or in one video."""
    from tqdm import tqdm

    from ferlib.live.folder import predict_paths
    from ferlib.live.outputs import Outputs
    from ferlib.live.video_faces import SUFFIXES, predict_video
    from ferlib.model.recognise import load

    videos = [path for path in paths if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if videos and (len(paths) > 1 or chart):
        raise BadInputError(f"{videos[0]}: give a video alone, with --csv, --timeline or --annotated")
    if timeline and not videos:
        raise BadInputError("--timeline is for a video; for pictures there is --chart")
    if not (csv or annotated or chart or timeline):
        raise BadInputError("nothing to write: give --csv, --annotated, --chart or --timeline")
    outputs = Outputs(csv, annotated, chart, timeline, emoji)
    recognizer = load(model or "fer2013", detector, tta, rules)
    if videos:
        summary = predict_video(
            videos[0],
            recognizer,
            outputs,
            smoothing,
            progress=lambda stream: tqdm(stream, unit="frame", disable=None),
        )
        click.echo(f"{summary.rows} readings of {summary.tracks} faces in {summary.frames} frames")
    else:
        table = predict_paths(
            paths,
            recognizer,
            outputs,
            recursive,
            progress=lambda files: tqdm(files, unit="picture", disable=None),
        )
        click.echo(f"{len(table)} faces in {csv or annotated or chart}")


@click.command()
@click.option("--source", default="0", show_default=True, help="A camera's number, a video file, or 'film'.")
@_reading
def webcam(source: str, model: Path | None, detector: str, tta: str, emoji: bool, smoothing: float) -> None:
    """Recognise the faces in front of a camera, live in a window; q quits."""
    from ferlib.live.window import open_window, show_live
    from ferlib.model.recognise import load

    window = open_window()
    recognizer = load(model or "fer2013", detector, tta)
    count, rate = show_live(window, recognizer, source, emoji, smoothing)
    click.echo(f"{count} frames, {rate:.0f} per second")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Another opens it to the network.")
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@_MODEL
@click.option("--detector", default="yunet", show_default=True, help="yunet, or a Haar cascade.")
def serve(host: str, port: int, model: Path | None, detector: str) -> None:
    """Open a web page, with an API, that recognises the faces in pictures; nothing is kept."""
    from ferlib.live.serve.server import run_server
    from ferlib.model.recognise import load

    recognizer = load(model or "fer2013", detector)
    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"{host}: others can reach this page; README.md says how to protect it", err=True)
    run_server(recognizer, host, port)
