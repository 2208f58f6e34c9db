"""What is missing on this machine, in the base, the extras and for the lessons, and how to get it."""

import importlib.util
import os
import shutil
import subprocess
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from ferlib import __version__
from ferlib.common.extras import EXTRAS, missing_modules

APT_LINE = "sudo apt-get install -y libgl1 libglib2.0-0 libxcb1"
NEEDED_MEMORY = 3.0  # GiB; training the light network takes about 2
NEEDED_DISK = 1.0  # GiB for the results of all notebooks
BASE = (
    "PIL",
    "ai_edge_litert",
    "click",
    "filelock",
    "flask",
    "jinja2",
    "numpy",
    "pandas",
    "tqdm",
    "waitress",
)
"""The modules of the base install, next to OpenCV."""
_BASE_GROUP = "base: reads expressions, draws and cuts faces, builds data sets"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: What was looked for.
        fine: Whether it is there.
        found: What was found, or what follows from its absence.
        advice: How to get it.
        required: Whether nothing works without it.
        group: The heading under which the report shows it.
    """

    name: str
    fine: bool
    found: str
    advice: str = ""
    required: bool = False
    group: str = "this machine, for the notebooks"


def check_machine() -> list[Check]:
    """Look for the base, the extras and what the notebooks use; takes a second or two.

    Returns:
        One check per thing.
    """
    base = [_python(), _opencv(), _packages()]
    extras = [_extra(name) for name in EXTRAS]
    return [*base, *extras, _graphviz(), _camera(), _browser(), _memory(), _disk()]


def report(checks: list[Check]) -> str:
    """Format the checks.

    Args:
        checks: The checks.

    Returns:
        A heading per group, one line per check, and under what is missing how to get it.
    """
    width = max(len(check.name) for check in checks)
    lines: list[str] = []
    for before, check in zip([None, *checks], checks, strict=False):
        if before is None or check.group != before.group:
            lines.append(check.group)
        mark = "ok     " if check.fine else "MISSING" if check.required else "without"
        lines.append(f"{mark}  {check.name:{width}}  {check.found}")
        if not check.fine:
            lines.append(f"{'':9}{'':{width}}  → {check.advice}")
    return "\n".join(lines)


def _python() -> Check:
    version = sys.version_info
    fine = (3, 11) <= version[:2] <= (3, 13)
    found = f"{version.major}.{version.minor}.{version.micro}"
    return Check("Python", fine, found, "install Python 3.11, 3.12 or 3.13", True, _BASE_GROUP)


def _opencv() -> Check:
    """Tried in a separate process: a missing shared library can end the process that imports it."""
    code = (
        "import cv2, os; assert os.path.isfile(cv2.data.haarcascades + "
        "'haarcascade_frontalface_default.xml'), 'no cascade files (OpenCV 5 has none)'; print(cv2.__version__)"
    )
    done = _try(code)
    if done.returncode == 0:
        return Check("OpenCV", True, done.stdout.strip(), "", True, _BASE_GROUP)
    last = (done.stderr.strip().splitlines() or ["the import ended the process"])[-1]
    return Check("OpenCV", False, last, f"on Debian and Ubuntu: {APT_LINE}", True, _BASE_GROUP)


def _packages() -> Check:
    missing = [name for name in BASE if importlib.util.find_spec(name) is None]
    found = f"no {', '.join(missing)}" if missing else f"ferlib {__version__} and all that its base needs"
    advice = "run make, or install ferlib's wheel again; ai_edge_litert does not exist for Intel Macs"
    return Check("packages", not missing, found, advice, True, _BASE_GROUP)


def _extra(name: str) -> Check:
    missing, brings = missing_modules(name), EXTRAS[name].brings
    found = f"{brings} (no {', '.join(missing)})" if missing else brings
    return Check(name, not missing, found, f"pip install 'ferlib[{name}]'", group="extras")


def _graphviz() -> Check:
    dot = shutil.which("dot")
    return Check(
        "Graphviz",
        dot is not None,
        "dot is there" if dot else "no dot: the network is drawn with Mermaid instead",
        "on Debian and Ubuntu: sudo apt-get install -y graphviz; elsewhere graphviz.org/download",
    )


def _camera() -> Check:
    code = (
        "import cv2, os; os.environ['OPENCV_LOG_LEVEL'] = 'SILENT'; c = cv2.VideoCapture(0); "
        "ok, frame = c.read() if c.isOpened() else (False, None); c.release(); raise SystemExit(0 if ok else 1)"
    )
    fine = _try(code).returncode == 0
    found = "camera 0 gives pictures" if fine else "camera 0 gives no picture: notebook 06 plays a drawn film"
    return Check("Camera", fine, found, "connect one and close other programs that use it")


def _browser() -> Check:
    try:
        webbrowser.get()
        known = True
    except webbrowser.Error:
        known = any(map(shutil.which, ("chromium", "google-chrome", "firefox")))
    found = "there is one" if known else "none found here: open JupyterLab's address on another machine"
    return Check("Browser", known, found, "install Firefox or Chromium")


def _memory() -> Check:
    free = _free_memory()
    if free is None:
        return Check("Memory", True, "not known on this system")
    return Check(
        "Memory",
        free >= NEEDED_MEMORY,
        f"{free:.1f} GiB free",
        f"close other programs; training wants about {NEEDED_MEMORY:.0f} GiB",
    )


def _free_memory() -> float | None:
    """Free memory in GiB, or None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) / 2**20
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, OSError, ValueError):
        return None


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Check(
        "Disk", free >= NEEDED_DISK, f"{free:.1f} GiB free", f"free {NEEDED_DISK:.0f} GiB for the results"
    )


def _try(code: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(code, 1, "", "no answer within 30 seconds")
