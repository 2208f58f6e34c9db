"""The lock, pyproject.toml and environment.yml say the same, and the lock installs anywhere."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.tools import lock

TEXT = lock.LOCK.read_text(encoding="utf-8")
PROJECT = tomllib.loads((lock.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = [Requirement(line) for line in lock.wanted()]


def test_environment_is_what_the_lock_makes():
    assert lock.ENVIRONMENT.read_text(encoding="utf-8") == lock.environment()


def test_each_direct_dependency_has_its_reason():
    kept = lock.reasons()
    missing = [name for name in lock.direct_dependencies() if len(kept.get(name, "?")) < 5]
    assert missing == []


@pytest.mark.parametrize("wanted", WANTED, ids=lambda r: r.name)
def test_each_wanted_package_is_locked_within_its_range(wanted):
    pins = [Requirement(pin) for name, pin in lock.locked() if name == lock.normal(wanted.name)]
    assert pins, f"{wanted.name} is not in the lock"
    for pin in pins:
        exact = str(pin.specifier).removeprefix("==")
        assert wanted.specifier.contains(exact), f"{pin} is outside {wanted}"


def test_the_installed_versions_are_the_locked_ones():
    for name in lock.direct_dependencies():
        pins = [Requirement(pin) for other, pin in lock.locked() if other == name]
        here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
        assert [str(pin.specifier) for pin in here] == [f"=={version(name)}"]


def test_every_locked_package_has_hashes():
    blocks = re.split(r"^(?=[A-Za-z0-9])", TEXT, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(lock.locked()) > 100
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize(
    "word", ["file:", "--index-url", "--extra-index-url", "--find-links", "http:", "https:", " @ "]
)
def test_the_lock_names_no_place(word):
    assert word not in TEXT


def test_the_conda_python_is_allowed():
    python = re.search(r"python=([\d.]+)", lock.ENVIRONMENT.read_text(encoding="utf-8"))[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")


def test_opencv_stays_below_5_and_ipykernel_above_6():
    pins = dict(lock.locked())
    assert pins["opencv-python"].split("==")[1].startswith("4.")
    assert int(pins["ipykernel"].split("==")[1].split(".")[0]) >= 7


def test_importing_the_package_is_instant_and_alone():
    code = "import sys, ferlib; print(len({'numpy', 'cv2', 'tensorflow', 'keras'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
