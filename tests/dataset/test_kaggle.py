"""Fetching FER2013: a fake kagglehub, the folders it leaves, and each way to fail. Nothing goes to the network."""

import sys
import types

import numpy as np
import pytest
import requests

from ferlib.common.errors import BadInputError, FerlibError
from ferlib.dataset import build
from ferlib.dataset import kaggle as fetch


@pytest.fixture
def kaggle(monkeypatch):
    """Puts a kagglehub in place whose two downloads do what the test says."""

    def put(answer):
        asked = []

        def download(handle):
            asked.append(handle)
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        fake = types.SimpleNamespace(competition_download=download, dataset_download=download)
        monkeypatch.setitem(sys.modules, "kagglehub", fake)
        return asked

    return put


@pytest.mark.parametrize("name", ["icml_face_data.csv", "fer2013/fer2013.csv"])
def test_the_contests_csv(kaggle, tmp_path, drawn, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    build.write_fer2013(drawn.select(np.arange(7)), tmp_path / name)
    asked = kaggle(tmp_path)
    assert fetch.fetch_fer2013() == tmp_path / name
    assert asked == [fetch.CONTEST] and len(build.read_data(fetch.fetch_fer2013())) == 7


def test_the_mirrors_folders(kaggle, tmp_path, drawn):
    build.write_splits(drawn.select(np.arange(7)), tmp_path)
    (tmp_path / "train.csv").unlink()
    asked = kaggle(tmp_path)
    assert len(build.read_data(fetch.fetch_fer2013("mirror"))) == 7 and asked == ["msambare/fer2013"]


def answered(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("Client Error.\n\nYou don't have permission", response=response)


CredentialError = type("CredentialError", (Exception,), {})


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (requests.ConnectionError("HTTPSConnectionPool: Max retries"), "no connection to kaggle.com"),
        (requests.Timeout(), "no connection to kaggle.com"),
        (answered(401), "accept the rules"),
        (answered(403), "accept the rules"),
        (CredentialError("none"), "accept the rules"),
        (answered(404), "HTTPError: Client Error"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_each_failure_has_its_line(kaggle, failure, words):
    kaggle(failure)
    with pytest.raises(FerlibError, match=words) as caught:
        fetch.fetch_fer2013()
    assert "by hand from https://www.kaggle.com/c/" in str(caught.value) and "--data" in str(caught.value)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(FerlibError, match=r"pip install 'ferlib\[fetch\]'"):
        fetch.fetch_fer2013("mirror")


def test_something_else_was_sent(kaggle, tmp_path):
    kaggle(tmp_path)
    with pytest.raises(FerlibError, match="is not FER2013"):
        fetch.fetch_fer2013()


def test_an_unknown_source():
    with pytest.raises(BadInputError, match="contest, mirror"):
        fetch.fetch_fer2013("torrent")


def test_nothing_is_fetched_unasked():
    """Neither the import nor reading data loads kagglehub."""
    import subprocess

    code = "import sys, ferlib.dataset.kaggle, ferlib.dataset.build, ferlib.cli; sys.exit('kagglehub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
