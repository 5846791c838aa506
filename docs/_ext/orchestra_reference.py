# ruff: noqa: INP001  a folder on sphinx's path, no package
"""The directive ``orchestra-reference``: a part of the reference, written from the code that it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import reference_text
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": reference_text.commands,
    "data-files": reference_text.data_files,
    "environments": reference_text.environments,
    "errors": reference_text.errors,
    "events": reference_text.events,
    "fixtures": reference_text.fixtures,
    "hooks": reference_text.hooks,
    "language": reference_text.language,
    "migrations": reference_text.migrations,
    "settings": reference_text.settings,
    "sidecar": reference_text.sidecar,
    "states": reference_text.states,
    "values": reference_text.values,
}


class OrchestraReference(SphinxDirective):
    """Write one part, named by the argument, as Markdown and parse it where the directive stands."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Give the part's nodes."""
        name = self.arguments[0]
        if name not in PARTS:
            raise self.error(f"no part '{name}'; parts: {', '.join(PARTS)}")
        return self.parse_text_to_nodes(PARTS[name](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("orchestra-reference", OrchestraReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
