"""Execute copies of the notebooks one after the other, and show the results: a table and a page."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferlib.common import paths
from ferlib.common.errors import FerlibError
from ferlib.common.files import lock_folder, write_text
from ferlib.common.html import render
from ferlib.pipeline import stages


@dataclass(frozen=True)
class StageResult:
    """One executed notebook.

    Attributes:
        name: The notebook.
        seconds: How long it took.
        made: One line on what it left in the work folders.
        accuracy: For 05: the accuracy and the majority baseline.
    """

    name: str
    seconds: float
    made: str
    accuracy: str = ""


def run_notebooks(
    names: Sequence[str],
    parameters: Mapping[str, object],
    out: Path,
    report: Callable[[str], None] = print,
) -> list[StageResult]:
    """Execute copies of notebooks and write them as pages.

    Args:
        names: The notebooks, in order.
        parameters: Values for the notebooks' parameters; each notebook gets those that its parameters cell names.
        out: Folder for the executed copies, their pages and index.html.
        report: Takes a line of progress before and after each notebook.

    Returns:
        One result per notebook.
    """
    out.mkdir(parents=True, exist_ok=True)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the debugger in the kernel warns otherwise
    results = []
    for name in names:
        started = time.perf_counter()
        report(f"{name} …")
        execute(paths.repository() / "notebooks" / f"{name}.ipynb", out / f"{name}.ipynb", parameters)
        results.append(StageResult(name, time.perf_counter() - started, *describe_output(name)))
        report(f"{name}: {results[-1].seconds:.0f} s, {results[-1].made}")
    write_page(results, out)
    return results


def execute(notebook: Path, copy: Path, parameters: Mapping[str, object]) -> None:
    """Execute a copy of a notebook, in the notebook's folder.

    Args:
        notebook: The notebook.
        copy: Where the executed copy is written, also when a cell fails.
        parameters: Values for its parameters; those that its parameters cell does not name are left out.

    Raises:
        FerlibError: A cell failed; the message has the notebook, the cell and the error.
    """
    import logging

    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    known = papermill.inspect_notebook(str(notebook))
    try:
        papermill.execute_notebook(
            str(notebook),
            str(copy),
            {name: value for name, value in parameters.items() if name in known},
            kernel_name="python3",
            cwd=str(notebook.parent),
            progress_bar=False,
            extra_arguments=["--IPKernelApp.log_level=50"],  # it warns of running over TCP
        )
    except PapermillExecutionError as error:
        raise FerlibError(
            f"{notebook.stem}, cell {error.cell_index}: {error.ename}: {error.evalue} (see {copy})"
        ) from error


def describe_output(name: str) -> tuple[str, ...]:
    """Describe what a notebook left in the work folders.

    Args:
        name: The notebook.

    Returns:
        One line; for 05 also the accuracy and the majority baseline.
    """
    import json

    import pandas as pd

    data, models = paths.data_work(), paths.models_work()
    match name[:2]:
        case "01":
            manifest = pd.read_csv(data / "raw" / "manifest.csv")
            good = int((manifest["state"] == "ok").sum())
            return (f"{good} pictures kept of {len(manifest)} found",)
        case "02":
            return (f"{len(pd.read_csv(data / 'faces' / 'faces.csv'))} faces cropped and labelled",)
        case "03":
            parts = {n: (data / "dataset" / f"{n}.csv") for n in ("train", "val", "test")}
            counts = [f"{_rows(path):,} {part}" for part, path in parts.items() if path.is_file()]
            return (", ".join(counts) + " faces",)
        case "04":
            metadata = json.loads((models / "faces" / "metadata.json").read_text())
            return (f"a model of {metadata['parameters']:,} parameters",)
        case "05":
            report = json.loads((data / "evaluation" / "metrics.json").read_text())
            accuracy = f"{report['accuracy']:.1%} (baseline {report['majority_baseline']:.1%})"
            return f"{report['n']:,} {report['usage']} faces read", accuracy
        case _:
            return (f"{len(list((data / 'live').glob('frame-*.png')))} annotated frames and a timeline",)


def _rows(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file) - 1


def write_page(results: Sequence[StageResult], out: Path) -> Path:
    """Write each executed notebook as HTML, and an index; the pages need no network.

    Args:
        results: One result per notebook.
        out: The folder with the executed copies; the pages are written into it.

    Returns:
        The path of index.html.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)
    for name in exporter.trait_names():
        if name.endswith("_url"):
            setattr(exporter, name, "")  # otherwise the page loads scripts from other hosts
    for result in results:
        html, _ = exporter.from_filename(str(out / f"{result.name}.ipynb"))
        (out / f"{result.name}.html").write_text(html, encoding="utf-8")
    page = out / "index.html"
    write_text(page, render("run.html", title="Facial expressions: the executed notebooks", results=results))
    return page


def as_table(results: Sequence[StageResult]) -> str:
    """Format the results as a text table.

    Args:
        results: One result per notebook.

    Returns:
        A header, one line per notebook, and the sum of the seconds.
    """
    rows = [("stage", "seconds", "what it made", "accuracy")]
    rows += [(r.name, f"{r.seconds:.0f}", r.made, r.accuracy) for r in results]
    rows.append(("all", f"{sum(r.seconds for r in results):.0f}", "", ""))
    a, b, c = (max(len(row[k]) for row in rows) for k in range(3))
    return "\n".join(f"{r[0]:<{a}}  {r[1]:>{b}}  {r[2]:<{c}}  {r[3]}".rstrip() for r in rows)


def run_series(
    data: str = "",
    parameters: Mapping[str, object] | None = None,
    report: Callable[[str], None] = print,
) -> tuple[list[StageResult], Path]:
    """Execute the series: all six notebooks on drawn faces, or 03 to 06 on FER2013.

    Args:
        data: A FER2013 CSV; "" for drawn faces.
        parameters: Values for the notebooks' parameters.
        report: Takes a line of progress before and after each notebook.

    Returns:
        The results, and the path of the page over them in the work folder (see `ferlib.common.paths`).

    Raises:
        BadInputError: Another run is using the folder.
    """
    names = stages.NOTEBOOKS[2:] if data else stages.NOTEBOOKS
    values = dict(parameters or {})
    if data:
        values["DATA"] = str(Path(data).resolve())
    out = paths.data_work() / "run"
    with lock_folder(out, "run"):
        return run_notebooks(names, values, out, report), out / "index.html"
