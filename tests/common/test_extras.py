"""The base works without the extras' packages, and what needs one is refused with one line that names it.

The packages are blocked: None in sys.modules makes Python treat a package as not installed.
"""

import json
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from PIL import Image

from ferlib.common.errors import MissingExtraError
from ferlib.common.extras import BASE, EXTRAS, explain_missing, missing_modules, require_extras
from tests.tools import lock

BLOCKED = sorted({module for extra in EXTRAS.values() for module in extra.modules.split()})
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED}))
"""
RUN_ALL = """
import contextlib, io, json
from ferlib import cli
results = []
for command in json.loads(sys.argv.pop()):
    sys.argv = ["ferlib", *command]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    results.append((code, err.getvalue()))
print(json.dumps(results))
"""
WORK = [
    "synth photos --photos --count 2",
    "synth faces --count 4",
    "predict photos --csv faces.csv --annotated read",
    "predict photos/00000.png --csv emoji.csv --annotated emoji --emoji --tta flip",
    "dataset --data classes --out set",
    "audit set",
    "export MODEL page --format page",
    "serve --help",
    "doctor",
]
REFUSED = {
    "predict photos --chart chart.png": "plots",
    "predict film.mp4 --timeline lines.png": "plots",
    "leaderboard MODEL --out board": "plots",
    "crawl people --out raw": "collect",
    "train --data faces.csv --out model": "train",
    "export MODEL exported": "train",
    "teach classes --out mine": "train",
    "import model.h5 imported --classes a,b --scaling 0..1": "train",
    "evaluate --model MODEL --data faces.csv": "train",
    "evaluate --model MODEL --data faces.csv --html page.html": "train,plots",
    "card MODEL": "plots",
    "run": "plots,collect,train,notebooks",
}


@pytest.fixture(scope="module")
def without_extras(tmp_path_factory):
    """(command, exit code, stderr) of every command, in one Python that has none of the extras' packages."""
    from ferlib.common.paths import shipped_bundle

    folder = tmp_path_factory.mktemp("base")
    (folder / "film.mp4").touch()
    random = np.random.default_rng(7)
    for name in ["happy", "sad"] * 12:
        file = folder / "classes" / name / f"{random.integers(10**9)}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (48, 48), np.uint8)).save(file)
    commands = [*WORK, *REFUSED]
    words = [
        [str(shipped_bundle()) if word == "MODEL" else word for word in line.split()] for line in commands
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + RUN_ALL, json.dumps(words)],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("command", WORK)
def test_the_base_does_its_work_without_the_extras(without_extras, command):
    code, stderr = without_extras[command]
    assert code == 0, stderr


@pytest.mark.parametrize("command", REFUSED)
def test_what_needs_an_extra_is_refused_in_one_line(without_extras, command):
    code, stderr = without_extras[command]
    assert code == 2 and stderr.count("\n") == 1, stderr
    assert f"pip install 'ferlib[{REFUSED[command]}]'" in stderr


def test_names_of_packages_and_keras_name_the_extra():
    code = WITHOUT + (
        "import ferlib.crawl, ferlib.evaluate, ferlib.model.bundle as bundle\n"
        "from ferlib.common.paths import shipped_bundle\n"
        "for use in (lambda: ferlib.crawl.open_source, lambda: ferlib.evaluate.plot_curves,\n"
        "            lambda: bundle.load_bundle(shipped_bundle(), 'keras')):\n"
        "    try:\n"
        "        use()\n"
        "    except ImportError as error:\n"
        "        print(type(error).__name__, str(error).split('install ')[-1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"MissingExtraError 'ferlib[{extra}]'" for extra in ("collect", "plots", "train")
    ]


def test_what_is_no_extra_is_not_explained():
    with pytest.raises(ModuleNotFoundError, match="nonsense"), explain_missing():
        import nonsense  # noqa: F401


def test_each_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "seaborn", None)
    assert missing_modules(EXTRAS["plots"].modules) == ["seaborn"]
    with pytest.raises(MissingExtraError, match=r"^this needs seaborn, .* 'ferlib\[plots\]'$"):
        require_extras("collect", "plots")


def test_the_extras_are_those_of_pyproject():
    """The modules have other names than their packages, so only their numbers are compared."""
    project = tomllib.loads((lock.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = project["optional-dependencies"]
    assert len(BASE.split()) + 1 == len(project["dependencies"])
    assert {*EXTRAS, "test", "all", "fetch"} == {*packages}
    more = {"notebooks": 1}  # IPython comes with ipykernel
    for name, extra in EXTRAS.items():
        assert len(extra.modules.split()) == len(packages[name]) + more.get(name, 0)
