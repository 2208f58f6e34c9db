"""What several commands share."""

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path)


def name_problems(problems: list[str]) -> None:
    """Every problem on a line of its own, on stderr."""
    for line in problems:
        click.echo(line, err=True)
