"""The notebooks as they run: stored outputs by nbval, each alone in an empty checkout, other classes.

nbval runs as a student would run it, in a process of its own, because it is a pytest run itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from ferlib.common import labels
from ferlib.dataset import build
from ferlib.dataset.splits import split
from ferlib.pipeline import runner
from tests.pipeline.test_notebook_files import NAMES, ROOT, read, solutions


def nbval(paths, work, *extra):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval-lax",
        "--nbval-current-env",
    ]
    options = [
        "--nbval-sanitize-with",
        str(ROOT / "tests" / "nbval.cfg"),
        "--nbval-cell-timeout",
        "600",
        *extra,
    ]
    environment = {**os.environ, "FERLIB_TEST_WORK": str(work), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    return subprocess.run(
        [*command, *options, *map(str, paths)], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What git holds, and nothing else: no work folders, no leftovers."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, folder / name)
    return folder


def test_nbval_in_one_walk_with_the_solutions(checkout, tmp_path):
    """As a student works: in order, in an empty checkout, each notebook's solutions at its end."""
    copies = []
    for name in NAMES:
        notebook = read(checkout / "notebooks" / f"{name}.ipynb")
        added = [nbformat.v4.new_code_cell(code) for code in solutions(notebook)]
        assert len(added) >= 3
        notebook.cells.extend(added)
        copies.append(checkout / "notebooks" / f"{name}_solved.ipynb")
        nbformat.write(notebook, copies[-1])
    done = nbval(copies, tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "failed" not in done.stdout and re.search(r"\d+ passed", done.stdout)
    report = json.loads((tmp_path / "data" / "evaluation" / "metrics.json").read_text())
    assert report["accuracy"] >= 0.85, "the model of the walk reads less than 85 % of unseen drawn faces"


def execute(notebook, folder):
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()


@pytest.mark.parametrize("name", NAMES[1:])
def test_alone_in_an_empty_checkout(name, checkout, tmp_path, monkeypatch):
    """What a notebook misses it makes; 02 to 04, which the walk runs whole, are run until they have made it."""
    monkeypatch.setenv("FERLIB_WORK", str(tmp_path))
    notebook = read(checkout / "notebooks" / f"{name}.ipynb")
    calls = [
        k for k, cell in enumerate(notebook.cells) if "ensure_" in cell.source and cell.cell_type == "code"
    ]
    if name in NAMES[1:4]:
        notebook.cells = notebook.cells[: calls[0] + 1]
    execute(notebook, checkout / "notebooks")
    printed = "".join(output.get("text", "") for output in notebook.cells[calls[0]].outputs)
    assert "missing: " in printed or "using the shipped one" in printed


def test_a_changed_stored_number_makes_nbval_fail(tmp_path, checkout):
    path = checkout / "notebooks" / "01_crawl.ipynb"
    notebook = read(path)
    changed = False
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if (
                not changed
                and "NBVAL_CHECK_OUTPUT" in cell.source
                and "170 results" in output.get("text", "")
            ):
                output["text"] = output["text"].replace("170 results", "171 results")
                changed = True
    assert changed, "no checked cell shows how many results were looked at"
    copy = checkout / "notebooks" / "changed.ipynb"
    nbformat.write(notebook, copy)
    done = nbval([copy], tmp_path)
    copy.unlink()
    assert done.returncode == 1 and "171 results" in done.stdout


def test_two_classes_have_their_route(tmp_path, monkeypatch):
    """System A's story, happy against the rest, from labels to crops."""
    monkeypatch.setenv("FERLIB_WORK", str(tmp_path))
    runner.run_notebooks(NAMES[1:2], {"CLASSES": "happy,rest"}, tmp_path / "run", lambda line: None)
    folders = [path.name for path in (tmp_path / "data" / "faces").iterdir() if path.is_dir()]
    assert sorted(folders) == ["happy", "rest"]


def test_two_classes_of_a_fer2013_file_without_privatetest_rows_run_03_to_06(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_WORK", str(tmp_path / "work"))
    faces = split(build.from_drawn(420, 11, labels.SEVEN), (0.8, 0.2, 0.0), seed=1)
    build.write_fer2013(faces, tmp_path / "fer2013.csv.gz")
    settings = {"EPOCHS": 1, "CLASSES": "happy,rest"}
    results, page = runner.run_series(str(tmp_path / "fer2013.csv.gz"), settings, lambda line: None)
    assert [result.name for result in results] == NAMES[2:]
    report = json.loads((tmp_path / "work" / "data" / "evaluation" / "metrics.json").read_text())
    assert report["class_names"] == ["happy", "rest"]
    assert report["usage"] == "PublicTest" and report["n"] == (faces.usage == "PublicTest").sum()
    assert "PublicTest" in page.with_name("05_evaluate_confusion.html").read_text(encoding="utf-8")
    for file in page.parent.glob("*.html"):
        assert outside_loads(file.read_text(encoding="utf-8")) == []


def outside_loads(html):
    """What a page would load from other hosts: scripts, styles, pictures, frames."""
    tags = re.findall(r"<(?:script|link|img|iframe|source|video)\b[^>]*>", html)
    return [tag for tag in tags if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag)]


def test_a_page_that_loads_from_outside_is_found():
    for tag in (
        '<script src="https://a.b/c.js">',
        "<img alt='' src=//a.b/c.png>",
        '<link href="http://a.b/c.css">',
    ):
        assert outside_loads(f"<p>{tag}</p>") == [tag]
    assert (
        outside_loads('<a href="https://a.b">A</a><img src="data:image/png;base64,AA//"><script src="a.js">')
        == []
    )
