"""Run the notebooks one after the other, as copies, and show what came out: a table and one page."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferlib.common import paths
from ferlib.common.errors import FerlibError
from ferlib.pipeline import stages

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Facial expressions: the executed notebooks</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .4rem .7rem; border-bottom: 1px solid #ccc; vertical-align: top; }}
td.n {{ text-align: right; white-space: nowrap; }}
a {{ color: #0b57a4; }}
</style></head><body>
<h1>The executed notebooks</h1>
<p>{intro}</p>
<table><thead><tr><th>Notebook</th><th>Seconds</th><th>What it made</th><th>Accuracy</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</body></html>
"""


@dataclass(frozen=True)
class StageResult:
    """One executed notebook: seconds, what it made, and for 05 the accuracy beside the baseline."""

    name: str
    seconds: float
    made: str
    accuracy: str = ""


def run_notebooks(
    names: Sequence[str],
    parameters: Mapping[str, object],
    out: Path,
    said: Callable[[str], None] = print,
) -> list[StageResult]:
    """Execute copies of the notebooks into `out`, which then also holds index.html.

    Each notebook gets those of the `parameters` that its own parameters cell names. Raises
    FerlibError with the notebook, the cell and the error of the first that fails; the failed copy
    lies in `out` for a look.
    """
    out.mkdir(parents=True, exist_ok=True)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the debugger in the kernel warns otherwise
    results = []
    for name in names:
        started = time.perf_counter()
        said(f"{name} …")
        execute(paths.repository() / "notebooks" / f"{name}.ipynb", out / f"{name}.ipynb", parameters)
        results.append(StageResult(name, time.perf_counter() - started, *what_was_made(name)))
        said(f"{name}: {results[-1].seconds:.0f} s, {results[-1].made}")
    write_page(results, out)
    return results


def execute(notebook: Path, copy: Path, parameters: Mapping[str, object]) -> None:
    """Execute a copy of one notebook, in the notebook's folder, with its own share of the parameters."""
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


def what_was_made(name: str) -> tuple[str, ...]:
    """A line on what a stage left in the work folders; for 05 also accuracy and majority baseline."""
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
    """Write each executed notebook as HTML and an index over them; nothing in it asks a network."""
    from html import escape

    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)
    for name in exporter.trait_names():
        if name.endswith("_url"):
            setattr(exporter, name, "")  # else the page loads scripts from other hosts
    rows = []
    for result in results:
        html, _ = exporter.from_filename(str(out / f"{result.name}.ipynb"))
        (out / f"{result.name}.html").write_text(html, encoding="utf-8")
        rows.append(
            f'<tr><td><a href="{result.name}.html">{result.name}</a></td>'
            f'<td class="n">{result.seconds:.0f}</td><td>{escape(result.made)}</td>'
            f"<td>{escape(result.accuracy)}</td></tr>"
        )
    total = sum(result.seconds for result in results)
    intro = f"{len(results)} notebooks, {total:.0f} seconds in all. The pages open without a network."
    page = out / "index.html"
    page.write_text(_PAGE.format(intro=intro, rows="\n".join(rows)), encoding="utf-8")
    return page


def as_table(results: Sequence[StageResult]) -> str:
    """The results as lines of text with columns."""
    rows = [("stage", "seconds", "what it made", "accuracy")]
    rows += [(r.name, f"{r.seconds:.0f}", r.made, r.accuracy) for r in results]
    rows.append(("all", f"{sum(r.seconds for r in results):.0f}", "", ""))
    a, b, c = (max(len(row[k]) for row in rows) for k in range(3))
    return "\n".join(f"{r[0]:<{a}}  {r[1]:>{b}}  {r[2]:<{c}}  {r[3]}".rstrip() for r in rows)


def run_series(
    data: str = "",
    parameters: Mapping[str, object] | None = None,
    said: Callable[[str], None] = print,
) -> tuple[list[StageResult], Path]:
    """The main job: all six notebooks on drawn faces, or 03 to 06 on the FER2013 CSV `data`.

    Returns the results and the page's path. Results lie in the work folders (see `ferlib.common.paths`).
    """
    names = stages.NOTEBOOKS[2:] if data else stages.NOTEBOOKS
    given = dict(parameters or {})
    if data:
        given["DATA"] = str(Path(data).resolve())
    out = paths.data_work() / "run"
    return run_notebooks(names, given, out, said), out / "index.html"
