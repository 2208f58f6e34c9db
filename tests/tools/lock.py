"""`make lock`: requirements.lock and environment.yml from pyproject.toml.

The lock is made with uv (`pip install uv`), for Python 3.11 to 3.13 on Linux, macOS and Windows at
once. In environment.yml each direct dependency keeps the reason that stands beside it; a new one
gets "?" and a test fails until somebody says why it is there.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
ENVIRONMENT = ROOT / "environment.yml"
PYTHON = "3.12"

_HEAD = """\
# For conda: `conda env create -f environment.yml`, then `conda activate ferlib`.
# conda gives Python; pip installs the exact versions of requirements.lock. Made by `make lock`.
name: ferlib
channels:
  - conda-forge
dependencies:
  - python={python}
  - pip
  - pip:
"""


def normal(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_dependencies() -> list[str]:
    """The names that pyproject.toml asks for itself, with the extra `all`."""
    return [normal(re.match(r"[\w.-]+", line)[0]) for line in wanted()]


def wanted() -> list[str]:
    """What pyproject.toml asks for: the base and all that the extra `all` names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = re.search(r"\[(.*)\]", extras["all"][0])[1].split(",")
    return [*project["dependencies"], *(line for name in names for line in extras[name])]


def locked() -> list[tuple[str, str]]:
    """(name, requirement) of each line of the lock: `numpy==2.4.6 ; python_full_version < '3.12'`."""
    text = LOCK.read_text(encoding="utf-8")
    lines = re.findall(r"^([A-Za-z0-9_.-]+)(==[^\s\\]+)((?: ;[^\\\n]*)?)", text, re.MULTILINE)
    return [(normal(name), f"{name}{version}{marker.rstrip()}") for name, version, marker in lines]


def reasons() -> dict[str, str]:
    """The comments beside the direct dependencies in environment.yml."""
    if not ENVIRONMENT.is_file():
        return {}
    lines = re.findall(
        r'^ +- "?([A-Za-z0-9_.-]+)==[^#\n]*# (.*)$', ENVIRONMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {normal(name): reason for name, reason in lines}


def environment() -> str:
    """The text of environment.yml: first what we ask for, each with its reason, then what that draws in."""
    kept, direct, pins = reasons(), set(direct_dependencies()), locked()
    asked = [f'      - "{pin}"  # {kept.get(name, "?")}' for name, pin in pins if name in direct]
    drawn = [f'      - "{pin}"' for name, pin in pins if name not in direct]
    lines = [*asked, "      # drawn in by these", *drawn, "      - -e ."]
    return _HEAD.format(python=PYTHON) + "\n".join(lines) + "\n"


def main() -> None:
    """Write both files."""
    command = "uv pip compile pyproject.toml --extra all --universal --python-version 3.11 --generate-hashes"
    options = ["--no-emit-index-url", "--no-emit-find-links", "--quiet", "--custom-compile-command"]
    done = subprocess.run([*command.split(), *options, "make lock", "-o", "requirements.lock"], cwd=ROOT)
    if done.returncode:
        sys.exit("uv could not solve the versions; see above")
    ENVIRONMENT.write_text(environment(), encoding="utf-8")


if __name__ == "__main__":
    main()
