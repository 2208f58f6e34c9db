"""A JupyterLab over a folder of notebooks, and pages in Chromium, for the browser tests."""

import os
import re
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
FAKE = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


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


def launch(playwright, *more):
    # as root Chromium runs only without its sandbox; it sees nothing but our own page
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *more])


def opened(browser, url, **context):
    """The page at `url`; `problems` has its errors, warnings and requests to other places."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(60_000)
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    own = (url.rsplit("/", 1)[0] if url.startswith("file:") else url, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else page.problems.append(r.url))
    page.on("filechooser", lambda _: None)  # from now on: a key press would be quicker than the subscription
    page.goto(url)
    return page


def choose(page, file):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files(file)


def status(page, words):
    """Wait until the status line fits `words`; gives it."""
    line = page.get_by_role("status").filter(has_text=re.compile(words))
    line.wait_for()
    return line.inner_text()


def keep(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(300)  # the bars grow
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@contextmanager
def browser_page(address, arguments=(), viewport=(1100, 1250), script=""):
    """A page of a headless Chromium; `script` runs in it before any other."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        browser = launch(p, *arguments)
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
