"""Diagrams as texts for the tests of the reader, and processes as texts for their assertions."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.model.process import NodeKind, Process, ProcessDocument
from pytest_orchestra.readers.sequence import read_sequence_file

_SHORT = {
    NodeKind.SERVICE_TASK: "task",
    NodeKind.SEND_TASK: "send",
    NodeKind.CALL_ACTIVITY: "call",
    NodeKind.EXCLUSIVE_GATEWAY: "xor",
    NodeKind.PARALLEL_GATEWAY: "and",
    NodeKind.START_EVENT: "start",
    NodeKind.END_EVENT: "end",
}


class Diagrams:
    """Reads texts as files in the working directory, so that places are short."""

    def document(self, text: str | bytes, name: str) -> ProcessDocument:
        path = Path(name)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_sequence_file(path)

    def mermaid(self, body: str) -> Process:
        """Read what follows ``sequenceDiagram``, from line 2 on; nothing may be wrong with it."""
        return self._only(self.document(f"sequenceDiagram\n{body}", "flow.mmd"))

    def plantuml(self, body: str) -> Process:
        """Read what follows ``@startuml``, from line 2 on; nothing may be wrong with it."""
        return self._only(self.document(f"@startuml\n{body}\n@enduml", "flow.puml"))

    def mermaid_problems(self, body: str) -> list[str]:
        """Give the problems of a diagram as a user sees them, each with its severity."""
        return self.problems(f"sequenceDiagram\n{body}", "flow.mmd")

    def plantuml_problems(self, body: str) -> list[str]:
        return self.problems(f"@startuml\n{body}\n@enduml", "flow.puml")

    def problems(self, text: str | bytes, name: str) -> list[str]:
        return [f"{problem.severity} {problem}" for problem in self.document(text, name).problems]

    def nodes(self, process: Process) -> list[str]:
        """Give the nodes but for start and end, in document order: ``task place-order: Place order``."""
        return [
            f"{_SHORT[node.kind]} {node.id}" + (f": {node.name}" if node.name else "")
            for node in process.nodes
            if node.id not in ("start-event", "end-event")
        ]

    def flows(self, process: Process) -> list[str]:
        """Give the flows: ``a -> b``, or ``a -[yes]-> b``."""
        return [
            f"{flow.source} -[{flow.name}]-> {flow.target}" if flow.name else f"{flow.source} -> {flow.target}"
            for flow in process.flows
        ]

    def exchange(self, process: Process) -> list[str]:
        """Give the tasks with who sends and who receives: ``A > B: name``."""
        return [
            "{sender} > {receiver}".format(**dict(node.attributes)) + f": {node.name}"
            for node in process.nodes
            if node.attributes
        ]

    def _only(self, document: ProcessDocument) -> Process:
        assert [str(problem) for problem in document.problems] == []
        (process,) = document.processes
        return process


@pytest.fixture
def diagrams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagrams:
    monkeypatch.chdir(tmp_path)
    return Diagrams()
