"""The one module that touches pytest's private names.

pytest has no public way to give fixtures to an item that is no Python function (pytest#2471), nor to set session-scoped
fixtures up before the first item's own protocol. Both are done here, the first as doctest items do it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import pytest
from _pytest.fixtures import TopRequest

__all__ = ["Anchor", "ItemFixtures", "enter_item_wrappers", "refusal", "set_up_ahead"]

_CONFTESTS: Final = pytest.StashKey[dict[Path, list[object]]]()


class Anchor(pytest.Item):
    """An item that never runs. As ``nextitem`` it keeps the session's fixtures alive without naming who comes next."""

    def runtest(self) -> None:
        """Refuse: nobody runs an anchor."""
        raise AssertionError("an anchor never runs")


@cache
def _placeholder(names: tuple[str, ...]) -> Callable[..., None]:
    """Make a function that asks for fixtures by its signature, which is how pytest finds out what an item wants."""

    def scenario() -> None:
        """Stand where pytest and its plugins expect a test function."""

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    scenario.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take any attribute
    return scenario


class ItemFixtures:
    """The fixtures of one item: which it uses, of which scope, and their values."""

    def __init__(
        self,
        item: pytest.Item,
        names: Sequence[str],
        *,
        if_overridden: Sequence[str] = (),
        only_session_autouse: bool,
    ) -> None:
        self._item = cast("Any", item)
        self._names = tuple(names)
        self._if_overridden = tuple(if_overridden)
        self._item.obj = _placeholder(self._names)
        self._only_session_autouse = only_session_autouse
        self._closure: tuple[str, ...] | None = None

    def resolve(self) -> tuple[str, ...]:
        """Find out which fixtures the item uses, dependencies included; costs too much to do it at collection."""
        if self._closure is None:
            manager = self._item.session._fixturemanager  # noqa: SLF001  see the module's docstring
            self._names += tuple(name for name in self._if_overridden if self._is_overridden(name))
            self._item.obj = _placeholder(self._names)
            info = manager.getfixtureinfo(node=self._item, func=self._item.obj, cls=None)
            self._item._fixtureinfo = info  # noqa: SLF001
            asked = [name for name in info.initialnames if name in self._names or self._is_wanted(name, info)]
            self._closure = self._closed(asked, info)
            self._item.fixturenames = list(self._closure)
        return self._closure

    def _is_wanted(self, autouse: str, info: Any) -> bool:
        marked = any(autouse in mark.args for mark in self._item.iter_markers("usefixtures"))
        return marked or not self._only_session_autouse or _scope(info, autouse) == "session"

    @staticmethod
    def _closed(asked: Sequence[str], info: Any) -> tuple[str, ...]:
        """Give the names with what they depend on, dependencies first where they are known."""
        ordered: dict[str, None] = {}

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in ordered or name in trail or name == "request":
                return
            for definition in info.name2fixturedefs.get(name, ())[-1:]:
                for needed in definition.argnames:
                    visit(needed, (*trail, name))
            ordered[name] = None

        for name in asked:
            visit(name, ())
        return tuple(ordered)

    def scopes(self) -> dict[str, str]:
        """Give the scope of every fixture that the item uses, those that it cannot find left out."""
        names = self.resolve()
        info = self._item._fixtureinfo  # noqa: SLF001
        return {name: _scope(info, name) for name in names if info.name2fixturedefs.get(name)}

    def missing(self) -> str | None:
        """Give the first fixture asked for by name that there is not."""
        self.resolve()
        found = self._item._fixtureinfo.name2fixturedefs  # noqa: SLF001
        return next((name for name in self._names if name != "request" and not found.get(name)), None)

    def parametrized(self) -> str | None:
        """Give the first fixture that wants a parameter, which only pytest's own functions have."""
        names = self.resolve()
        found = self._item._fixtureinfo.name2fixturedefs  # noqa: SLF001
        return next((name for name in names if any(each.params for each in found.get(name, ())[-1:])), None)

    def _is_overridden(self, name: str) -> bool:
        """Tell whether a conftest or plugin has put a fixture of its own over one of ours."""
        definitions = self._item.session._fixturemanager.getfixturedefs(name, self._item)  # noqa: SLF001
        return definitions is not None and len(definitions) > 1

    def request(self) -> None:
        """Give the item a fresh request, as core asks of ``_initrequest``."""
        self.resolve()
        self._item.funcargs = {}
        self._item._request = TopRequest(self._item, _ispytest=True)  # noqa: SLF001

    def fill(self, scope: str | None = None) -> None:
        """Set up the fixtures, all or those of one scope; their values are in ``item.funcargs``."""
        if not self._item._request:  # noqa: SLF001
            self.request()
        scopes = self.scopes() if scope is not None else {}
        for name in self.resolve():
            if scope is None or scopes.get(name) == scope:
                self._item.funcargs[name] = self._item._request.getfixturevalue(name)  # noqa: SLF001


def _scope(info: Any, name: str) -> str:
    definitions = info.name2fixturedefs.get(name)
    return str(definitions[-1].scope) if definitions else "function"


@contextmanager
def set_up_ahead(item: pytest.Item, anchor: Anchor) -> Iterator[None]:
    """Set an item up before its own protocol, and take down again all but the session.

    What ``item.setup()`` does meanwhile is up to the item; fixtures of the session stay.
    """
    state = item.session._setupstate  # noqa: SLF001
    state.teardown_exact(anchor)  # under xdist the item before has left the folders of its successor set up
    try:
        state.setup(item)
        yield
    finally:
        state.teardown_exact(anchor)


def refusal(item: pytest.Item) -> BaseException | None:
    """Ask those who may forbid an item to run before it has any effect: skip and xfail marks, and its conftests.

    Gives the outcome exception (skip or fail) that one of them raised, or None. They are asked again when the item is
    reported.
    """
    conftests = _conftests(item)
    if not any(hasattr(each, "pytest_runtest_setup") for each in conftests) and not _is_marked(item):
        return None
    manager = item.config.pluginmanager
    asked = {manager.getplugin("skipping"), *conftests}
    others = [plugin for plugin in manager.get_plugins() if plugin not in asked]
    try:
        manager.subset_hook_caller("pytest_runtest_setup", remove_plugins=others)(item=item)
    except (pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception) as outcome:
        return outcome
    return None


def _is_marked(item: pytest.Item) -> bool:
    return any(marker.name in ("skip", "skipif", "xfail") for marker in item.iter_markers())


def _conftests(item: pytest.Item) -> list[object]:
    """Give the conftest modules that lie beside or above the item's file, found once for each folder."""
    known = item.config.stash.setdefault(_CONFTESTS, {})
    folder = item.path.parent
    if folder not in known:
        folders = {folder, *folder.parents}
        known[folder] = [
            plugin
            for plugin in item.config.pluginmanager.get_plugins()
            if (file := getattr(plugin, "__file__", None)) and _is_conftest_in(Path(str(file)), folders)
        ]
    return known[folder]


def _is_conftest_in(file: Path, folders: set[Path]) -> bool:
    return file.name == "conftest.py" and file.parent in folders


@contextmanager
def enter_item_wrappers(config: pytest.Config, item: pytest.Item) -> Iterator[None]:
    """Do around a stretch of time what core's plugins do around an item: assertion details and warnings' filters."""
    with ExitStack() as stack:
        for name in ("assertion", "warnings"):
            plugin = config.pluginmanager.getplugin(name)
            if plugin is not None:
                stack.enter_context(contextmanager(plugin.pytest_runtest_protocol)(item=item))
        yield
