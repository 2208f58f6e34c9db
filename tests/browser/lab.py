"""A JupyterLab over a folder of notebooks, and Chromium pages on it, for the browser tests."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
import requests
from nbformat.v4 import new_code_cell, new_notebook

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
PICTURES = Path("build/browser")


def write_notebook(path, cells):
    # without a kernelspec a dialog would ask for one and block every click
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(c) for c in cells], metadata=metadata), path)


@contextmanager
def jupyterlab(project, home, options=(), environment=None):
    """Start a JupyterLab on this machine only; yields a function that gives a notebook's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    folders = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    # else a box asks whether to fetch news, over whatever is to be seen
    folders["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    asked = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    asked.parent.mkdir(parents=True, exist_ok=True)
    asked.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={project}", "--allow-root"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *options],
            cwd=project,
            env=os.environ | folders | (environment or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(240):
            try:
                requests.get(f"http://127.0.0.1:{port}/api", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                if server.poll() is not None:
                    break
                time.sleep(0.25)
        else:
            pytest.fail(f"JupyterLab did not start: {(home / 'log').read_text()[-2000:]}")
        assert server.poll() is None, (home / "log").read_text()[-2000:]
        yield lambda name, host="127.0.0.1": f"http://{host}:{port}/lab/tree/{name}?token={token}&reset"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


@contextmanager
def browser_page(address, arguments=(), viewport=(1100, 1250), script=""):
    """A page of a headless Chromium; `script` runs in it before any other."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        # as root Chromium runs only without its sandbox; it sees nothing but our own page
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        page = browser.new_page(viewport={"width": viewport[0], "height": viewport[1]})
        page.set_default_timeout(90_000)
        if script:
            page.add_init_script(script)
        page.goto(address)
        try:
            yield page
        finally:
            PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURES / "last.png")
            browser.close()


def run_all(page, restart=False):
    """Run every cell of the notebook, in a fresh kernel if `restart`."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # before that a dialog would ask for a kernel
    if restart:
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Restart Kernel and Run All Cells").click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
    else:
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def wait_for(condition, seconds=90):
    """What `condition` gives as soon as it is true; the test fails when that takes too long."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
    return value
