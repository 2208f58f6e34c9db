"""`make wheel`: build the wheel, install it into an empty environment, and use it there.

Wheel and source archive are left in dist/. The environment is in a temporary folder away from the checkout, with
the versions of requirements.lock and no extra. In it are run: the three lines of the README, `ferlib synth`,
`predict` (table, annotated pictures and video), `serve` with a picture by HTTP, `doctor`, and what needs an extra.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.tools import lock  # noqa: E402

MOST_WHEEL, MOST_ENVIRONMENT = 24, 500  # MB as `du -m --apparent-size` counts them, 1,048,576 bytes
MB = 2**20
BUNDLES = {
    "fer2013": ("README.md", "metadata.json", "model.int8.tflite", "model.keras", "model.browser.json"),
    "ferplus": ("README.md", "metadata.json", "model.int8.tflite"),
}
LARGE = ("tensorflow", "keras", "scipy", "sklearn", "matplotlib", "seaborn", "IPython", "requests")
THREE_LINES = """
import ferlib

recognizer = ferlib.load()
faces = recognizer.read("photos/00000.png")
print(faces[0].emotion, faces[0].probabilities)
"""
MORE = """
import json
from ferlib.common.images import load_image
from ferlib.live import write_video
assert len(ferlib.load("ferplus").read("photos/00000.png")[0].probabilities) == 8
write_video("film.mp4", [load_image("photos/00000.png")] * 12)
"""
REFUSED = {  # without TensorFlow, matplotlib, requests and papermill: one line that names the extra
    "plots": ["predict", "photos", "--chart", "chart.png"],
    "collect": ["crawl", "faces", "--out", "raw"],
    "train": ["export", "MODEL", "exported"],
}


def main() -> None:
    """Build, install and check."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, ROOT])
    run([sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir()])
    [wheel] = dist.glob("*.whl")
    content = set(zipfile.ZipFile(wheel).namelist())
    wanted = [f"ferlib/bundles/{name}/{file}" for name, files in BUNDLES.items() for file in files]
    sources = (file for file in (ROOT / "ferlib").rglob("*") if file.is_file() and file.suffix != ".pyc")
    missing = {*wanted, *(file.relative_to(ROOT).as_posix() for file in sources)} - content
    assert not missing, f"the wheel lacks {sorted(missing)}"
    size = wheel.stat().st_size / MB
    assert size <= MOST_WHEEL, f"the wheel has {size:.1f} MB, more than {MOST_WHEEL}"
    with tempfile.TemporaryDirectory(prefix="ferlib-wheel-") as name:
        folder = Path(name).resolve()
        megabytes = install(wheel, folder)
        assert megabytes <= MOST_ENVIRONMENT, (
            f"the environment takes {megabytes:.0f} MB, more than {MOST_ENVIRONMENT}"
        )
        use(folder)
    print(
        f"wheel {size:.1f} MB, environment {megabytes:.0f} MB with pip: reads, draws and serves without TensorFlow"
    )


def install(wheel: Path, folder: Path) -> float:
    """Install the wheel into folder/venv; returns the size of the environment in MB."""
    run([sys.executable, "-m", "venv", folder / "venv"])
    # the versions without their hashes: with hashes pip would refuse the wheel, which has none
    (folder / "versions.txt").write_text("\n".join(pin for _, pin in lock.locked()), encoding="utf-8")
    options = ["--quiet", "--disable-pip-version-check", "--constraint", folder / "versions.txt"]
    run([folder / "venv" / "bin" / "python", "-m", "pip", "install", *options, wheel], folder)
    return sum(file.lstat().st_size for file in (folder / "venv").rglob("*")) / MB


def use(folder: Path) -> None:
    """Do what a user does who has only the wheel."""
    python, ferlib = folder / "venv" / "bin" / "python", folder / "venv" / "bin" / "ferlib"
    run([ferlib, "synth", "photos", "--photos", "--count", "3"], folder)
    unloaded = f"\nimport sys\nloaded = {{*sys.modules}} & {set(LARGE)}\nassert not loaded, loaded"
    print(run([python, "-c", THREE_LINES + MORE + unloaded], folder).strip())
    trap = (  # the command line in a Python that cannot import the large libraries, and says who tries
        f"import sys\nsys.modules.update(dict.fromkeys({LARGE}))\nsys.argv[0] = 'ferlib'\n"
        "from ferlib.cli import main\nmain()"
    )
    run(
        [python, "-c", trap, "predict", "photos", "--csv", "faces.csv", "--annotated", "read", "--emoji"],
        folder,
    )
    run([python, "-c", trap, "predict", "film.mp4", "--csv", "film.csv", "--annotated", "read.mp4"], folder)
    rows = (folder / "faces.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 3 and len((folder / "film.csv").read_text(encoding="utf-8").splitlines()) > 12, rows
    assert len(list((folder / "read").glob("*.png"))) == 3 and (folder / "read.mp4").stat().st_size > 1000
    serve([python, "-c", trap, "serve", "--port", "0"], folder)
    assert "without  extra train" in run([ferlib, "doctor"], folder)
    shipped = "from ferlib.common.paths import shipped_bundle; print(shipped_bundle())"
    model = run([python, "-c", shipped], folder).strip()
    for extra, command in REFUSED.items():
        done = subprocess.run(
            [ferlib, *(model if word == "MODEL" else word for word in command)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(),
        )
        assert done.returncode == 2 and done.stderr.count("\n") == 1, (command, done)
        assert f"pip install 'ferlib[{extra}]'" in done.stderr, (command, done)


def serve(command: list, folder: Path) -> None:
    """Start the web page, send it a picture, and stop it."""
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=clean_environment())
    try:
        assert server.stdout
        url = server.stdout.readline().split()[0]
        data = (folder / "photos" / "00000.png").read_bytes()
        with urllib.request.urlopen(f"{url}/api/predict", data=data, timeout=60) as answer:
            faces = json.load(answer)["faces"]
        assert faces and 0 < faces[0]["probability"] <= 1, faces
        with urllib.request.urlopen(url, timeout=60) as page:
            assert b"<html" in page.read()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def clean_environment() -> dict[str, str]:
    """Ours without what would lead to the checkout or to other packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FERLIB_"))}


def run(command: list, cwd: Path | None = None) -> str:
    """Run a command; returns what it printed. What fails is shown and ends the program."""
    environment = clean_environment() if cwd else None
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=600, env=environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
