"""The operation of a specification that a model's call means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.generation.binding.address import Address, Server, match_path, read_address
from pytest_orchestra.generation.binding.model_call import ModelCall
from pytest_orchestra.generation.binding.words import joined
from pytest_orchestra.model.specification import Operation, ProtocolSpec

__all__ = ["Match", "OperationIndex"]


@dataclass(frozen=True, slots=True)
class Match:
    """An operation with what the URL says of its parameters."""

    spec: ProtocolSpec
    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The operation as ``endpointRef`` names it."""
        return f"{self.spec.service_name}.{self.operation.name}"


class OperationIndex:
    """The operations of all specifications, by name and by path."""

    def __init__(self, specs: Mapping[str, ProtocolSpec]) -> None:
        self.specs = tuple(specs.values())
        self._by_name: dict[str, list[Match]] = {}
        self._by_spelling: dict[str, list[Match]] = {}
        self._by_method: dict[str, list[tuple[ProtocolSpec, tuple[Server, ...], Operation]]] = {}
        for spec in self.specs:
            servers = tuple(dict.fromkeys(Server.read(url) for url in spec.servers)) or (Server(None, ""),)
            for operation in spec.operations:
                match = Match(spec, operation)
                for name in dict.fromkeys((operation.name, operation.signature)):
                    for spelling in (name, f"{spec.service_name}.{name}"):
                        self._by_name.setdefault(spelling, []).append(match)
                if operation.name != operation.signature:
                    self._by_spelling.setdefault(joined(operation.name), []).append(match)
                self._by_method.setdefault(operation.method.upper(), []).append((spec, servers, operation))

    def find_named(self, names: Iterable[str | None], service: str | None = None) -> tuple[Match, ...]:
        """Give the operations that one of the names is: exactly, else in another spelling.

        The first name that is any operation's counts. Several are given where several services have it, unless
        ``service`` is one of these (by its name or title).
        """
        given = [name.strip() for name in names if name and name.strip()]
        for name in given:
            found = _of_service(self._by_name.get(name, []), service)
            if found:
                return found
        for name in given:
            found = _of_service(self._by_spelling.get(joined(name) or name, []), service)
            if found:
                return found
        return ()

    def find_addressed(self, call: ModelCall) -> tuple[Match, ...]:
        """Give the operations of which a call's URL is an address; several where it does not tell them apart."""
        address = read_address(call.url) if call.url is not None else None
        if address is None:
            return ()
        methods = [call.method] if call.method else list(self._by_method)
        found = [match for method in methods for match in self._addressed(call, address, method)]
        if not found:
            return ()
        best = min(rank for rank, _ in found)
        unique = {(match.spec.service_name, match.operation.signature): match for rank, match in found if rank == best}
        return tuple(unique.values())

    def _addressed(self, call: ModelCall, address: Address, method: str) -> Iterator[tuple[tuple[bool, int], Match]]:
        """Give matches with their rank: those on the same host first, then concrete paths before templates."""
        for spec, servers, operation in self._by_method.get(method, ()):
            for server in servers:
                if None not in (address.host, server.host) and address.host != server.host:
                    continue
                path = match_path(address, server, operation.path, call.suffix_of)
                if path is not None:
                    query = tuple((name, address.value(value)) for name, value in address.query)
                    is_guess = address.host is None or server.host is None
                    yield (is_guess, len(path)), Match(spec, operation, path, query)
                    break


def _of_service(matches: Sequence[Match], service: str | None) -> tuple[Match, ...]:
    if len(matches) > 1 and service is not None:
        own = [m for m in matches if joined(service) in (joined(m.spec.service_name), joined(m.spec.title))]
        return tuple(own or matches)
    return tuple(matches)
