"""A file is whole or not there."""

import pytest

from ferlib.common import files


def test_the_new_file_takes_the_place_when_it_is_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with files.whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.suffix == ".csv"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), files.whole(path) as part:
        part.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_text_is_utf8_and_its_folder_is_made(tmp_path):
    files.write_text(tmp_path / "new" / "a.md", "表情 ×\n")
    assert (tmp_path / "new" / "a.md").read_bytes() == "表情 ×\n".encode()
