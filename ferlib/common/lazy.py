"""Names that a package offers without importing the modules that define them."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ferlib.common.extras import explain_missing


def lazy_attributes(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package whose names are imported when they are first used.

    Args:
        package: The package's `__name__`.
        names: Module to the names that it defines, with spaces between; a module with a leading dot is in the package.

    Returns:
        The function, to be called `__getattr__` in the package. Where a module needs a package that is not
        installed, it raises `MissingExtraError`.
    """
    modules = {name: module for module, text in names.items() for name in text.split()}

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with explain_missing():
            return getattr(import_module(modules[name], package), name)

    return get
