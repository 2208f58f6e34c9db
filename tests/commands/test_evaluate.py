from click.testing import CliRunner

from ferlib.commands.evaluate import evaluate
from ferlib.common.errors import BadInputError


def test_targets_are_checked_before_the_data_are_read(tmp_path):
    arguments = ["--model", str(tmp_path), "--data", str(tmp_path / "absent.csv"), "--json", str(tmp_path)]
    error = CliRunner().invoke(evaluate, arguments).exception
    assert isinstance(error, BadInputError) and "name a file in it" in str(error)
