"""One headless Chromium for the tests of a module."""

import pytest

from tests.browser.lab import launch


@pytest.fixture(scope="module")
def playwright():
    module = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with module.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright):
    browser = launch(playwright)
    yield browser
    browser.close()
