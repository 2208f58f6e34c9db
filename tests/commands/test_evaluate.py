from click.testing import CliRunner

from ferlib.commands.evaluate import evaluate
from ferlib.common.errors import BadInputError


def test_targets_are_checked_before_the_data_are_read(tmp_path):
    arguments = ["--model", str(tmp_path), "--data", str(tmp_path / "absent.csv"), "--json", str(tmp_path)]
    result = CliRunner().invoke(evaluate, arguments)
    text = f"{result.output}{result.exception}"
    assert isinstance(result.exception, BadInputError) or result.exit_code == 2
    assert "name a file in it" in text
