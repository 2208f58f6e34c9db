"""What the packages offer at their top is there, and is imported only when it is used."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ferlib
from ferlib.common.lazy import lazy_attributes

PACKAGES = (
    "ferlib",
    *(f"ferlib.{name}" for name in ("annotate", "dataset", "detect", "evaluate", "live", "train")),
)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_that_a_package_offers_is_there(name):
    package = importlib.import_module(name)
    table = Path(package.__file__).read_text(encoding="utf-8").split("lazy_attributes(")[1]
    offered = " ".join(re.findall(r'": "([\w ]+)"', table)).split()
    assert offered and all(getattr(package, each) is not None for each in offered)
    assert name != "ferlib" or {*offered, "__version__"} == {*ferlib.__all__}


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'ferlib.common' has no attribute 'cv3'"):
        lazy_attributes("ferlib.common", {".images": "load_image"})("cv3")
    with pytest.raises(ImportError):
        from ferlib.live import nothing  # noqa: F401


def test_importing_the_packages_imports_no_large_library():
    code = f"import sys, {', '.join(PACKAGES)}; print(*({{'cv2', 'pandas', 'keras', 'matplotlib'}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
