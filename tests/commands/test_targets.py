"""Every command looks at its target before its input: a missing input comes second."""

import pytest

from tests.commands import ferlib

COMMANDS = [
    ["synth", "FILE"],
    ["crawl", "faces", "--out", "FILE"],
    ["crop", "--annotations", "absent.csv", "--images", "absent", "--out", "FILE"],
    ["dataset", "--data", "absent.csv", "--out", "FILE"],
    ["audit", "absent.csv", "--html", "FOLDER"],
    ["train", "--data", "absent.csv", "--out", "FILE"],
    ["train", "--data", "absent.csv", "--out", "FILE", "--recipe", "hog-svm"],
    ["teach", "absent", "--out", "FILE"],
    ["import", "absent.h5", "FILE", "--classes", "seven", "--scaling", "0..1"],
    ["export", "absent", "FILE"],
    ["export", "absent", "FILE", "--format", "page"],
    ["evaluate", "--model", "absent", "--data", "absent.csv", "--json", "FOLDER"],
    ["evaluate", "--model", "absent", "--data", "absent.csv", "--html", "FOLDER"],
    ["evaluate", "--model", "absent", "--data", "absent.csv", "--json", "one", "--html", "one"],
    ["leaderboard", "absent", "--out", "FILE"],
    ["predict", "picture.png", "--csv", "FOLDER"],
    ["predict", "picture.png", "--annotated", "FILE"],
    ["predict", "picture.png", "--csv", "one.png", "--chart", "one.png"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_target_that_cannot_be_written_is_refused_first(tmp_path, command):
    (tmp_path / "FILE").write_text("kept")
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "picture.png").write_bytes(b"not read")
    done = ferlib(*command, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    target = next(word for word in reversed(command) if word in ("FILE", "FOLDER", "one", "one.png"))
    assert target in done.stderr and "absent" not in done.stderr and "name a" in done.stderr
    assert (tmp_path / "FILE").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"FILE", "FOLDER", "picture.png"}


def test_a_wrong_setting_is_refused_before_the_data_are_read(tmp_path):
    for options in (["--recipe", "lihgt"], ["--recipe", "hog-svm", "--epochs", "3"], ["--begin", "nowhere"]):
        done = ferlib("train", "--data", "absent.csv", "--out", "m", *options, cwd=tmp_path)
        assert done.returncode == 2 and "absent.csv" not in done.stderr, done
