"""A file or folder is complete or not there."""

import errno
import threading

import pytest

from ferlib.common import files
from ferlib.common.errors import BadInputError


def test_the_new_file_takes_the_place_when_it_is_complete(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with files.whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.suffix == ".csv"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "expected", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            BadInputError,
            r"a.csv: cannot be written \(No space",
        ),
        (OSError(errno.ENOENT, "No such file", "elsewhere.csv"), OSError, "elsewhere.csv"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
        (ValueError("bad row"), ValueError, "bad row"),
    ],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error, expected, line):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(expected, match=line), files.whole(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.csv", tmp_path / "file" / "deeper" / "a.csv"):
        with pytest.raises(BadInputError, match=r"a.csv: cannot be written \("):
            files.write_text(path, "text")
        with pytest.raises(BadInputError, match=r"a.csv: cannot be written \("), files.whole(path) as part:
            part.write_text("text")


def test_missing_folders_are_made(tmp_path):
    with files.whole(tmp_path / "new" / "deeper" / "a.csv") as part:
        part.write_text("text")
    assert (tmp_path / "new" / "deeper" / "a.csv").read_text() == "text"


def test_every_reader_gets_a_complete_file_of_two_writers(tmp_path):
    path = tmp_path / "a.txt"
    texts = {letter * 200_000 for letter in "ab"}
    files.write_text(path, "a" * 200_000)

    def write(text):
        for _ in range(100):
            files.write_text(path, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    read = [path.read_text() for _ in range(1000)]
    for writer in writers:
        writer.join()
    assert set(read) <= texts and list(tmp_path.iterdir()) == [path]


def test_a_folder_is_swapped_in_when_it_is_complete(tmp_path):
    folder = tmp_path / "data"
    for text in ("first", "second"):
        with files.whole_folder(folder) as part:
            (part / "a.txt").write_text(text)
        assert (folder / "a.txt").read_text() == text and list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_folder_that_is_not_finished_leaves_the_old_one(tmp_path, error):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("old")
    with pytest.raises((KeyboardInterrupt, BadInputError)), files.whole_folder(folder) as part:
        (part / "a.txt").write_text("new")
        raise error
    assert (folder / "a.txt").read_text() == "old" and list(tmp_path.iterdir()) == [folder]


def test_text_is_utf8_and_its_folder_is_made(tmp_path):
    files.write_text(tmp_path / "new" / "a.md", "表情 ×\n")
    assert (tmp_path / "new" / "a.md").read_bytes() == "表情 ×\n".encode()
