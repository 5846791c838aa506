"""Looking into vendors' extension elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_orchestra.model.process import Extension

__all__ = ["children", "local_name", "namespace", "vendor_attribute", "walk"]


def namespace(extension: Extension) -> str:
    """Give the namespace of an extension's name."""
    return extension.name[1:].partition("}")[0] if extension.name.startswith("{") else ""


def local_name(extension: Extension) -> str:
    """Give an extension's name without its namespace."""
    return extension.name.rpartition("}")[2]


def children(extensions: Iterable[Extension], name: str, spaces: Iterable[str]) -> Iterator[Extension]:
    """Give those elements of a local name that are of one of these namespaces."""
    wanted = {f"{{{space}}}{name}" for space in spaces}
    return (extension for extension in extensions if extension.name in wanted and not extension.is_attribute)


def vendor_attribute(extensions: Iterable[Extension], name: str, spaces: Iterable[str]) -> str | None:
    """Give the value of a vendor's attribute on the BPMN element itself."""
    wanted = {f"{{{space}}}{name}" for space in spaces}
    return next(
        (extension.text for extension in extensions if extension.is_attribute and extension.name in wanted), None
    )


def walk(extensions: Iterable[Extension]) -> Iterator[Extension]:
    """Give all elements, with those inside of them, in document order."""
    waiting = list(extensions)[::-1]
    while waiting:
        extension = waiting.pop()
        yield extension
        waiting.extend(reversed(extension.children))
