"""The protocols of a session: the built-in ones come through the same hook as anyone's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from pytest_orchestra import hookspecs
from pytest_orchestra.engine.ports import ProtocolPlugin
from pytest_orchestra.session.project_plugins import find_project_plugins

if TYPE_CHECKING:
    import pytest

__all__ = ["BuiltinProtocols", "collect_protocols", "command_hooks"]

hookimpl = pluggy.HookimplMarker("pytest")


class BuiltinProtocols:
    """The protocols in the box, as a pluggy plugin."""

    @hookimpl(trylast=True)
    def pytest_orchestra_protocols(self) -> Sequence[ProtocolPlugin]:
        """Give one for each channel in the box."""
        from pytest_orchestra.protocols.database import DatabaseProtocol  # noqa: PLC0415  built when asked for
        from pytest_orchestra.protocols.grpc import GrpcProtocol  # noqa: PLC0415
        from pytest_orchestra.protocols.http import HttpProtocol  # noqa: PLC0415
        from pytest_orchestra.protocols.kafka import KafkaProtocol  # noqa: PLC0415
        from pytest_orchestra.protocols.queue import QueueProtocol  # noqa: PLC0415
        from pytest_orchestra.protocols.webhook import WebhookProtocol  # noqa: PLC0415

        return [
            HttpProtocol(),
            DatabaseProtocol(),
            KafkaProtocol(),
            QueueProtocol(),
            GrpcProtocol(),
            WebhookProtocol(),
        ]


def collect_protocols(hook: Any, config: pytest.Config | None) -> Mapping[str, ProtocolPlugin]:
    """Ask every plugin for its protocols; give one for each channel, the latest registered plugin's first."""
    found: dict[str, ProtocolPlugin] = {}
    for protocols in hook.pytest_orchestra_protocols(config=config):
        for protocol in protocols:
            found.setdefault(protocol.channel_type, protocol)
    return found


def command_hooks(project: Sequence[Path] = ()) -> Any:
    """Give the hooks as the ``orchestra`` command has them, without a pytest session.

    The built-in plugins, and with folders and files of a ``project`` what its ``conftest.py`` and installed plugins
    give. Raises ``SettingsError``.
    """
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    manager.register(BuiltinProtocols(), "orchestra-builtin-protocols")
    for plugin in find_project_plugins(project) if project else ():
        manager.register(plugin)
    return manager.hook
