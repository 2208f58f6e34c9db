"""A progress bar that leaves one line behind, in a terminal and in a notebook alike."""

import sys

from tqdm import tqdm


def progress_bar(total: int, unit: str, quiet: bool = False) -> tqdm:
    """tqdm's bar: on stderr in a terminal, as one line of output in a notebook, nothing when quiet.

    tqdm's own notebook bar is a live widget, of which nothing is left when the notebook is stored;
    its plain bar leaves a line for each step.
    """
    file = None if quiet else _notebook_line()
    return tqdm(total=total, unit=unit, disable=quiet, file=file, ncols=90 if file else None, mininterval=0.2)


def _notebook_line() -> "_NotebookLine | None":
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return _NotebookLine() if getattr(shell, "kernel", None) is not None else None


class _NotebookLine:
    """A file as tqdm wants it; what is written becomes the text of one output, which is updated."""

    def __init__(self) -> None:
        from IPython.display import display

        self._output = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        line = text.strip("\r\n")
        if line.strip():
            self._output.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        pass
