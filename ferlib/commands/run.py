"""Commands that run all notebooks and check the machine."""

from pathlib import Path

import click

from ferlib.common.errors import BadInputError, FerlibError


@click.command()
@click.option(
    "--data", default="", help="A FER2013 CSV: run 03 to 06 on it instead of all six on drawn faces."
)
@click.option("--classes", default="seven", show_default=True, help="'seven', 'six', or names with commas.")
@click.option("--network", help="quick, small, A or D; default: what notebook 04 says.")
@click.option("--epochs", type=int, help="Default: what notebook 04 says.")
def run(data: str, classes: str, network: str | None, epochs: int | None) -> None:
    """Execute copies of the notebooks, in order, and show the results."""
    from ferlib.common.extras import require_extras
    from ferlib.common.labels import SEVEN, emotions_of, parse_classes
    from ferlib.common.paths import repository
    from ferlib.pipeline import doctor, runner

    if not (repository() / "notebooks").is_dir():
        raise BadInputError(
            "there are no notebooks here: call `ferlib run` inside a copy of ferlib's repository"
        )
    require_extras("plots", "collect", "train", "notebooks")
    _print_report(doctor.check_machine())
    names = parse_classes(classes)
    undrawn = [each for name in names for each in emotions_of(name) if each not in SEVEN]
    if undrawn and not data:
        raise BadInputError(
            f"{', '.join(undrawn)}: the drawn faces show {', '.join(SEVEN)} only; give --data with such faces"
        )
    if data and not Path(data).is_file():
        raise BadInputError(f"{data}: no such file; give the path of a FER2013 CSV, gzipped or not")
    options = {"CLASSES": classes, "NETWORK": network, "EPOCHS": epochs}
    parameters = {name: value for name, value in options.items() if value is not None}
    click.echo()
    results, page = runner.run_series(data, parameters, click.echo)
    click.echo("\n" + runner.as_table(results) + f"\n\nthe executed notebooks: {page}")


@click.command()
def doctor() -> None:
    """Say what is installed (base and extras), what is missing on this machine, and how to get it."""
    from ferlib.pipeline import doctor

    _print_report(doctor.check_machine())


def _print_report(checks: list) -> None:
    from ferlib.pipeline import doctor

    click.echo(doctor.report(checks))
    missing = [check.name for check in checks if check.required and not check.fine]
    if missing:
        raise FerlibError(f"{', '.join(missing)} missing: see the line with the arrow")
