"""The command line in this process: as a person types it, without starting Python each time."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

from ferlib import cli


def ferlib(*args, cwd=None):
    """Run a command of ferlib in this process; gives returncode, stdout and stderr as subprocess.run does."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, Path.cwd()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["ferlib", *map(str, args)]
        os.chdir(cwd or before[1])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.argv = before[0]
            os.chdir(before[1])
    return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())


def ferlib_process(*args, **kwargs):
    """Run a command of ferlib in a process of its own."""
    command = [sys.executable, "-m", "ferlib", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **kwargs)
