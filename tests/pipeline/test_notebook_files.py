"""The notebooks as files: their anatomy, their stored outputs, their solutions' names."""

import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from ruff import find_ruff_bin

from ferlib.pipeline import stages

ROOT = Path(__file__).resolve().parents[2]
PATHS = [ROOT / "notebooks" / f"{name}.ipynb" for name in stages.NOTEBOOKS]
NAMES = list(stages.NOTEBOOKS)


def read(path):
    return nbformat.read(path, as_version=4)


def solutions(notebook):
    """The python blocks of the folded solutions, in order."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    folded = re.findall(r"<details>(.*?)</details>", text, re.DOTALL)
    return [code for block in folded for code in re.findall(r"```python\n(.*?)```", block, re.DOTALL)]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_anatomy(path):
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert sum("NBVAL_CHECK_OUTPUT" in cell.source for cell in code) >= 5
    assert len(solutions(notebook)) >= 3
    assert "You will learn" in prose and "You learned" in prose
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert not any("sys.path" in cell.source for cell in code)
    # one cell at the top imports all that comes from ferlib, at most eight names
    [top] = [cell for cell in code if re.search(r"^(from|import) ferlib", cell.source, re.M)]
    ours = [line for line in top.source.splitlines() if re.match(r"(from|import) ferlib", line)]
    assert len(", ".join(line.split("import ")[1] for line in ours).split(", ")) <= 8
    assert top is code[0]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_stored_outputs_are_fresh_whole_and_nobodys(path):
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    text = json.dumps(outputs)
    assert not re.search(r"(?<![\w./:])/(?:root|home|Users|tmp|work|farm|mnt|var)/", text)
    assert str(ROOT) not in text


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_parameters_are_those_of_the_stages(path):
    cell = next(c for c in read(path).cells if "parameters" in c.metadata.get("tags", []))
    found = {}
    exec(cell.source, found)
    for name, value in (
        ("SEED", stages.SEED),
        ("COUNT", stages.PICTURES),
        ("EXTRA_FACES", stages.EXTRA_FACES),
    ):
        assert found.get(name, value) == value
    for name in ("DATA", "MODEL"):
        assert found.get(name, "") == ""


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_solutions_use_only_names_that_their_notebook_defines(path):
    notebook = read(path)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"] + solutions(notebook)
    lines = [line for cell in code for line in cell.splitlines() if not line.lstrip().startswith(("%", "!"))]
    command = [find_ruff_bin(), "check", "--isolated", "--select", "F821", "--output-format", "concise", "-"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
