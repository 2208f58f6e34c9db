"""HTML pages from the templates in `common/templates`, which share one shell."""

from functools import cache

import jinja2


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("ferlib.common"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **values: object) -> str:
    """Fill a template of `common/templates`.

    Args:
        template: The file's name. In `*.html` all values are escaped; `*.md` is plain text.
        **values: What the template names. A name that is missing is an error, not an empty string.

    Returns:
        The text of the page.
    """
    return _environment().get_template(template).render(**values)
