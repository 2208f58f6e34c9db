"""The runner executes copies, gives each notebook its own parameters, and says where one failed."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from ferlib.common import paths
from ferlib.common.errors import BadInputError, FerlibError
from ferlib.pipeline import runner


@pytest.fixture
def series(tmp_path, monkeypatch):
    """A checkout with two small notebooks: one fine, one that fails."""
    (tmp_path / "pyproject.toml").write_text("")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    tagged = new_code_cell("SEED = 1\nCLASSES = 'seven'", metadata={"tags": ["parameters"]})
    where = new_code_cell("from pathlib import Path\nprint(SEED, CLASSES, Path.cwd().name)")
    cells = [new_markdown_cell("# One\n\n**bold**"), tagged, where]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "one.ipynb")
    failing = [tagged, new_code_cell("raise ValueError('the sky is down')")]
    nbformat.write(new_notebook(cells=failing, metadata=kernel), folder / "two.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERLIB_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(runner, "describe_output", lambda name: (f"what <{name}> made",))
    return folder


def test_copies_are_executed_with_their_parameters_and_the_originals_stay(series, tmp_path):
    before = (series / "one.ipynb").read_bytes()
    results = runner.run_notebooks(["one"], {"SEED": 5, "EPOCHS": 3}, tmp_path / "out", lambda line: None)
    assert (series / "one.ipynb").read_bytes() == before
    copy = nbformat.read(tmp_path / "out" / "one.ipynb", as_version=4)
    printed = "".join(
        o["text"] for c in copy.cells if c.cell_type == "code" for o in c.outputs if "text" in o
    )
    assert printed == "5 seven notebooks\n"
    assert results[0].name == "one" and results[0].seconds > 0


def test_the_page_has_the_table_and_asks_no_network(series, tmp_path):
    runner.run_notebooks(["one"], {}, tmp_path / "out", lambda line: None)
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "one.html").read_text(encoding="utf-8")
    assert 'href="one.html"' in index and "what &lt;one&gt; made" in index
    assert "<strong>bold</strong>" in page
    for address in ("https://cdn", "cdnjs.", "unpkg.com", "jsdelivr"):
        assert address not in page and address not in index


def test_a_failing_notebook_is_named_with_its_error(series, tmp_path):
    with pytest.raises(FerlibError, match=r"two, cell \d+: ValueError: the sky is down"):
        runner.run_notebooks(["two"], {}, tmp_path / "out", lambda line: None)


def test_the_table_lines_up():
    results = [
        runner.StageResult("01_crawl", 9.7, "120 pictures"),
        runner.StageResult("04_cnn_train", 61, "a model"),
    ]
    lines = runner.as_table(results).splitlines()
    assert lines[0].split() == ["stage", "seconds", "what", "it", "made", "accuracy"]
    assert lines[-1].split() == ["all", "71"]
    assert (
        len({line.index(word) for line, word in zip(lines[:3], ("what", "120", "a model"), strict=True)}) == 1
    )


def test_paths_are_shown_without_the_machine(series, tmp_path):
    assert paths.shown(tmp_path / "work" / "data" / "raw") == "data/work/raw"
    assert paths.shown(tmp_path / "work" / "models" / "faces") == "models/work/faces"
    assert paths.shown(tmp_path / "notebooks" / "one.ipynb") == "notebooks/one.ipynb"
    assert paths.shown("/somewhere/else/fer2013.csv") == "fer2013.csv"


def test_a_second_run_in_the_same_folder_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data_work", lambda: tmp_path)
    monkeypatch.setattr(runner, "run_notebooks", lambda *_: runner.run_series())  # while the first is running
    with pytest.raises(BadInputError, match="another run"):
        runner.run_series()
    monkeypatch.setattr(runner, "run_notebooks", lambda *_: [])
    assert runner.run_series() == ([], tmp_path / "run" / "index.html")  # the lock is free again
