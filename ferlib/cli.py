"""The command line: thin calls of the library. Bad input gets one line on stderr and exit code 2."""

import os
import sys
from pathlib import Path

import click

from ferlib import __version__
from ferlib.commands import models, pictures, reading
from ferlib.errors import BadInputError, FerlibError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ferlib")
def cli() -> None:
    """Facial expression recognition, from the first picture to the live camera."""


for _command in (
    pictures.synth,
    pictures.crawl,
    pictures.crop,
    pictures.dataset,
    pictures.audit,
    models.train,
    models.evaluate,
    models.leaderboard,
    models.card,
    models.import_,
    models.export,
    reading.predict,
    reading.webcam,
    reading.serve,
):
    cli.add_command(_command)


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
