"""The command line: thin calls of the library.

Bad input gets one line on stderr and exit code 2. What the library leaves out and logs is printed on stderr, too.
"""

import logging
import os
import sys

import click

from ferlib import __version__
from ferlib.commands import annotate, crawl, dataset, evaluate, live, run, train
from ferlib.common.errors import FerlibError, logger


class _Stderr(logging.Handler):
    """Prints each record as one line on stderr, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(record.getMessage(), file=sys.stderr)
        else:
            click.echo(record.getMessage(), err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ferlib")
def cli() -> None:
    """Facial expression recognition, from the first picture to the live camera."""
    handler = _Stderr()
    logger.addHandler(handler)
    click.get_current_context().call_on_close(lambda: logger.removeHandler(handler))


for _command in (
    crawl.synth,
    crawl.crawl,
    annotate.crop,
    dataset.dataset,
    dataset.audit,
    train.train,
    train.teach,
    train.import_,
    train.export,
    evaluate.evaluate,
    evaluate.leaderboard,
    evaluate.card,
    live.predict,
    live.webcam,
    live.serve,
    run.run,
    run.doctor,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; every failure becomes one line on stderr and its exit code."""
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
        sys.exit(_fail(f"{type(error).__name__}: {error} (FERLIB_DEBUG=1 shows the traceback)", 1))


def _fail(message: str, code: int) -> int:
    click.echo("ferlib: " + " ".join(message.split()), err=True)
    return code
