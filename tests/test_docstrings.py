"""Every public function says what it takes and what it returns, in Google style.

ruff checks that there is a docstring; here: that the sections are there and, by pydoclint, that they are right.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ferlib

ROOT = Path(ferlib.__file__).parent
MODULES = sorted(
    path for path in ROOT.rglob("*.py") if "commands" not in path.parts
)  # click shows its own help


def functions(tree):
    """Public functions of a module and public methods of its public classes, with whether they are methods."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from ((f"{node.name}.{name}", each) for name, each in functions(node))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node


def missing_sections(function):
    """The sections that a function's docstring lacks."""
    text = ast.get_docstring(function) or ""
    kinds = {getattr(each, "id", getattr(each, "attr", "")) for each in function.decorator_list}
    arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    arguments += [a.arg for a in (function.args.vararg, function.args.kwarg) if a]
    returned = ast.unparse(function.returns) if function.returns else "None"
    if kinds & {"property", "cached_property", "setter", "override", "overload"}:
        return []
    lacks = []
    if set(arguments) - {"self", "cls"} and "\nArgs:" not in text:
        lacks.append("Args")
    if returned not in ("None", "NoReturn", "Self") and not ("\nReturns:" in text or "\nYields:" in text):
        lacks.append("Returns")
    return lacks


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_public_functions_describe_arguments_and_results(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lacking = {name: missing_sections(each) for name, each in functions(tree)}
    assert {name: lacks for name, lacks in lacking.items() if lacks} == {}


def test_a_function_without_sections_is_found():
    (function,) = ast.parse('def f(a) -> int:\n    """Do it."""').body
    assert missing_sections(function) == ["Args", "Returns"]


def test_the_sections_fit_the_signatures():
    # DOC502, DOC503: a docstring may name the errors of what it calls, which pydoclint does not see
    done = subprocess.run(
        [sys.executable, "-m", "pydoclint.main", "ferlib"], capture_output=True, text=True, cwd=ROOT.parent
    )
    found = re.findall(r"^.*DOC\d.*$", done.stdout + done.stderr, re.MULTILINE)
    assert [line for line in found if not re.search("DOC50[23]", line)] == []
