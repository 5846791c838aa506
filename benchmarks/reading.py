"""How long the reading of a BPMN file takes, beside what lxml alone needs to parse it and walk it into a dict graph.

The process is series-parallel, with diagram interchange. Both sides take turns, so that noise falls on both; the times
are processor time. Prints medians and the ratio; with ``--check``, the exit status is 1 where that is over 3.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, Final

from lxml import etree

from pytest_orchestra.readers.bpmn import read_process_file

MODEL: Final = "http://www.omg.org/spec/BPMN/20100524/MODEL"
ROUNDS: Final = 9
LIMIT: Final = 3.0
ACTIVITIES: Final = ("task", "userTask", "serviceTask")
HEAD: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="{MODEL}" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI"
    xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:di="http://www.omg.org/spec/DD/20100524/DI"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="Definitions" targetNamespace="urn:benchmark">
  <bpmn:process id="Process" isExecutable="true">"""


class SeriesParallel:
    """A process of tasks and of blocks between two gateways, nested, with a given number of nodes."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.nodes: list[tuple[str, str]] = []
        self.flows: list[tuple[str, str, str, str]] = []
        start = self._node("startEvent")
        end = self._series(start, size - 2)
        self._flow(end, self._node("endEvent"))

    def _node(self, kind: str) -> str:
        self.nodes.append((f"{kind}_{len(self.nodes)}", kind))
        return self.nodes[-1][0]

    def _flow(self, source: str, target: str, name: str = "") -> None:
        self.flows.append((f"Flow_{len(self.flows)}", source, target, name))

    def _series(self, entry: str, size: int) -> str:
        while size > 0:
            if size < 6 or self._random.random() > 0.3:
                task = self._node(self._random.choice(ACTIVITIES))
                self._flow(entry, task)
                entry, size = task, size - 1
            else:
                entry, used = self._block(entry, size)
                size -= used
        return entry

    def _block(self, entry: str, size: int) -> tuple[str, int]:
        kind = self._random.choice(("exclusiveGateway", "parallelGateway"))
        branches = self._random.randint(2, 4)
        length = max(1, min(size - 2, self._random.randint(2, 20)) // branches)
        split = self._node(kind)
        self._flow(entry, split)
        ends = []
        for number in range(branches):
            first = self._node("serviceTask")
            self._flow(split, first, f"branch {number}" if kind == "exclusiveGateway" else "")
            ends.append(self._series(first, length - 1))
        join = self._node(kind)
        for end in ends:
            self._flow(end, join)
        return join, 2 + branches * length

    def to_xml(self) -> str:
        """Write the process as modellers do, diagram interchange included."""
        leaving: dict[str, list[str]] = {}
        entering: dict[str, list[str]] = {}
        for flow, source, target, _ in self.flows:
            leaving.setdefault(source, []).append(flow)
            entering.setdefault(target, []).append(flow)
        lines = [HEAD]
        for node, kind in self.nodes:
            lines.append(f'    <bpmn:{kind} id="{node}" name="The step {node}">')
            lines += (f"      <bpmn:incoming>{flow}</bpmn:incoming>" for flow in entering.get(node, ()))
            lines += (f"      <bpmn:outgoing>{flow}</bpmn:outgoing>" for flow in leaving.get(node, ()))
            lines.append(f"    </bpmn:{kind}>")
        for flow, source, target, name in self.flows:
            ends = f'id="{flow}" sourceRef="{source}" targetRef="{target}"'
            if not name:
                lines.append(f"    <bpmn:sequenceFlow {ends} />")
                continue
            lines.append(f'    <bpmn:sequenceFlow {ends} name="{name}">')
            lines.append('      <bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">')
            lines.append(f"        ${{branch == '{name}'}}</bpmn:conditionExpression>")
            lines.append("    </bpmn:sequenceFlow>")
        lines += ("  </bpmn:process>", '  <bpmndi:BPMNDiagram><bpmndi:BPMNPlane bpmnElement="Process">')
        for number, (node, _) in enumerate(self.nodes):
            lines.append(f'    <bpmndi:BPMNShape id="{node}_di" bpmnElement="{node}">')
            lines.append(f'      <dc:Bounds x="{number * 120}" y="80" width="100" height="80" />')
            lines.append("    </bpmndi:BPMNShape>")
        for number, (flow, *_) in enumerate(self.flows):
            lines.append(f'    <bpmndi:BPMNEdge id="{flow}_di" bpmnElement="{flow}">')
            lines.append(f'      <di:waypoint x="{number * 120}" y="120" />')
            lines.append(f'      <di:waypoint x="{number * 120 + 20}" y="120" />')
            lines.append("    </bpmndi:BPMNEdge>")
        lines += ("  </bpmndi:BPMNPlane></bpmndi:BPMNDiagram>", "</bpmn:definitions>")
        return "\n".join(lines)


def read_bare(path: Path) -> dict[str, dict[str, Any]]:
    """Parse with lxml and put nodes and flows into a graph of dicts: the least that a reader must do."""
    root = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
    nodes: dict[str, dict[str, Any]] = {}
    flows: list[dict[str, Any]] = []
    for process in root.iter(f"{{{MODEL}}}process"):
        for element in process:
            if element.tag == f"{{{MODEL}}}sequenceFlow":
                flows.append(dict(element.attrib))
            else:
                nodes[element.get("id")] = {"kind": element.tag, **element.attrib, "outgoing": []}
    for flow in flows:
        nodes[flow["sourceRef"]]["outgoing"].append(flow)
    return nodes


def time_of(work: Callable[[Path], object], path: Path) -> float:
    """Give the seconds that one piece of work takes."""
    began = process_time()
    result = work(path)
    seconds = process_time() - began
    del result
    return seconds


def measure(size: int, folder: Path) -> float:
    """Print the medians for a process of that many nodes, and give their ratio."""
    path = folder / f"{size}.bpmn"
    path.write_text(SeriesParallel(size).to_xml(), encoding="utf-8")
    rounds = [(time_of(read_bare, path), time_of(read_process_file, path)) for _ in range(ROUNDS)]
    bare, read = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"{size:>8} {path.stat().st_size:>10} {bare:>9.4f} {read:>9.4f} {read / bare:>6.2f}")
    return read / bare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000, 10_000], help="numbers of nodes")
    parser.add_argument("--check", action="store_true", help="exit with 1 where the ratio is over its limit")
    options = parser.parse_args()
    print(f"{'nodes':>8} {'bytes':>10} {'lxml s':>9} {'read s':>9} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        ratios = [measure(size, Path(folder)) for size in options.sizes]
    return 1 if options.check and max(ratios) > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
