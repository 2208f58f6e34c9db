"""Commands that recognise faces: in pictures and videos, in front of a camera, on a web page."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from ferlib.commands.common import FILE, FOLDER
from ferlib.common.errors import BadInputError


def _seconds(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Seconds, given as 75, 75.5, 1:15 or 0:01:15.5."""
    if text is None:
        return None
    try:
        hours, minutes, seconds = ["0", "0", *text.split(":")][-3:]
        total = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        total = -1.0
    if text.count(":") > 2 or not 0 <= total < 1e9:
        raise click.BadParameter(f"{text!r}: give seconds, m:ss or h:mm:ss")
    return total


def _region(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """A box in pixels, given as x,y,width,height."""
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r}: give four whole numbers of pixels, x,y,width,height") from None
    return x, y, width, height


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
        default="flip",
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
@click.option("--annotated", type=FILE, help="Folder for annotated copies; of one video the .mp4 or .avi.")
@click.option("--chart", type=FILE, help="Figure of what was found in the pictures.")
@click.option("--timeline", type=FILE, help="Figure of one video's faces over time.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Read every n-th frame.")
@click.option("--start", callback=_seconds, default="0", help="Where to begin in videos: seconds or m:ss.")
@click.option("--end", callback=_seconds, help="Where to stop in videos: seconds or m:ss.")
@click.option("--region", callback=_region, help="x,y,width,height in pixels: look for faces only there.")
@click.option("--largest", is_flag=True, help="Only the largest face of each picture or frame.")
@click.option(
    "--min-face", default=30, show_default=True, type=click.IntRange(1), help="Smallest face, in pixels."
)
@click.option("--bars/--no-bars", default=True, show_default=True, help="Draw bars of the probabilities.")
@click.option("--empty", is_flag=True, help="A row with empty fields for pictures and frames without a face.")
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
    recursive: bool,
    rules: str,
    model: Path | None,
    detector: str,
    tta: str,
    **options: Any,
) -> None:
    """Recognise the faces in pictures, videos and folders of them."""
    from tqdm import tqdm

    from ferlib.live.folder import is_video, predict_paths
    from ferlib.live.outputs import Outputs, Selection
    from ferlib.live.video_faces import predict_video
    from ferlib.model.recognise import load

    one_video = len(paths) == 1 and is_video(paths[0]) and not paths[0].is_dir()
    annotated: Path | None = options["annotated"]
    if annotated and one_video and (annotated.is_dir() or not annotated.suffix):
        options["annotated"] = annotated / f"{paths[0].stem}.mp4"
    outputs = Outputs(**{field.name: options[field.name] for field in fields(Outputs)})
    selection = Selection(**{field.name: options[field.name] for field in fields(Selection)})
    if one_video and outputs.chart:
        raise BadInputError(f"{paths[0]}: --chart is for pictures; for a video there is --timeline")
    if outputs.timeline and not one_video:
        raise BadInputError("--timeline is for one video; for pictures there is --chart")
    written = outputs.csv or outputs.annotated or outputs.chart
    if not (written or outputs.timeline):
        raise BadInputError("nothing to write: give --csv, --annotated, --chart or --timeline")
    recognizer = load(model or "fer2013", detector, tta, rules)

    def bar(items: Iterable) -> Iterable:
        return tqdm(items, unit="frame" if one_video else "file", disable=None)

    if one_video:
        summary = predict_video(paths[0], recognizer, outputs, selection, bar)
        click.echo(f"{summary.rows} readings of {summary.tracks} faces in {summary.frames} frames")
    else:
        summary = predict_paths(paths, recognizer, outputs, selection, recursive, bar)
        click.echo(f"{summary.rows} faces in {written}")


@click.command()
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="A camera's number, an rtsp:// or http(s):// address, a video file, or 'film'.",
)
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
