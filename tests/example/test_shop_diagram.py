"""The drawing of the example's process: complete, and readable at a glance."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree

BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
WAYPOINT = "{http://www.omg.org/spec/DD/20100524/DI}waypoint"
BOUNDS = "{http://www.omg.org/spec/DD/20100524/DC}Bounds"


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    def touches(self, x: float, y: float) -> bool:
        """Whether a point lies on the border."""
        on_side = x in {self.x, self.x + self.width} and self.y <= y <= self.y + self.height
        on_edge = y in {self.y, self.y + self.height} and self.x <= x <= self.x + self.width
        return on_side or on_edge

    def overlaps(self, other: Box) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def contains(self, other: Box) -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )


@pytest.fixture(scope="module")
def tree(example: Path) -> etree._Element:
    return etree.parse(example / "order.bpmn").getroot()


@pytest.fixture(scope="module")
def boxes(tree: etree._Element) -> dict[str, Box]:
    return {shape.get("bpmnElement"): _box(shape.find(BOUNDS)) for shape in tree.iter(f"{DI}BPMNShape")}


@pytest.fixture(scope="module")
def lines(tree: etree._Element) -> dict[str, list[tuple[float, float]]]:
    return {
        edge.get("bpmnElement"): [(float(p.get("x")), float(p.get("y"))) for p in edge.iter(WAYPOINT)]
        for edge in tree.iter(f"{DI}BPMNEdge")
    }


def test_every_id_is_used_once(tree: etree._Element) -> None:
    """Nothing in the file has the id of something else."""
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_every_node_has_a_shape_and_every_flow_a_line(
    tree: etree._Element, boxes: dict[str, Box], lines: dict[str, list[tuple[float, float]]]
) -> None:
    """The diagram shows all of the process and nothing else."""
    nodes = {
        node for flow in tree.iter(f"{BPMN}sequenceFlow") for node in (flow.get("sourceRef"), flow.get("targetRef"))
    }
    notes = {note.get("id") for note in tree.iter(f"{BPMN}textAnnotation")}
    links = {link.get("id") for link in tree.iter(f"{BPMN}association")}
    assert boxes.keys() == nodes | notes
    assert lines.keys() == {flow.get("id") for flow in tree.iter(f"{BPMN}sequenceFlow")} | links


def test_incoming_and_outgoing_agree_with_the_flows(tree: etree._Element) -> None:
    """What a node says of its flows is what the flows say."""
    for flow in tree.iter(f"{BPMN}sequenceFlow"):
        for tag, node_id in [("outgoing", flow.get("sourceRef")), ("incoming", flow.get("targetRef"))]:
            node = next(element for element in tree.iter() if element.get("id") == node_id)
            assert flow.get("id") in [child.text for child in node.findall(f"{BPMN}{tag}")]


def test_flows_begin_and_end_at_their_nodes(
    tree: etree._Element, boxes: dict[str, Box], lines: dict[str, list[tuple[float, float]]]
) -> None:
    """Each line runs from the border of its source to the border of its target, straight or at right angles."""
    for flow in tree.iter(f"{BPMN}sequenceFlow"):
        points = lines[flow.get("id")]
        assert boxes[flow.get("sourceRef")].touches(*points[0]), flow.get("id")
        assert boxes[flow.get("targetRef")].touches(*points[-1]), flow.get("id")
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(points)), flow.get("id")


def test_no_two_flows_cross(tree: etree._Element, lines: dict[str, list[tuple[float, float]]]) -> None:
    """Lines have nothing in common but, at a node, their ends."""
    flows = [flow.get("id") for flow in tree.iter(f"{BPMN}sequenceFlow")]
    for one, other in combinations(flows, 2):
        ends = {lines[one][0], lines[one][-1]} & {lines[other][0], lines[other][-1]}
        for first in pairwise(lines[one]):
            for second in pairwise(lines[other]):
                assert ends or not _segment_box(*first).meets(_segment_box(*second)), (one, other)


def test_no_two_shapes_overlap(tree: etree._Element, boxes: dict[str, Box]) -> None:
    """Shapes lie side by side, or one wholly in its sub-process; only boundary events sit on a border."""
    boundary = {event.get("id") for event in tree.iter(f"{BPMN}boundaryEvent")}
    for one, other in combinations(boxes.keys() - boundary, 2):
        a, b = boxes[one], boxes[other]
        assert not a.overlaps(b) or a.contains(b) or b.contains(a), (one, other)


class Segment(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Segment) -> bool:
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )


def _segment_box(one: tuple[float, float], other: tuple[float, float]) -> Segment:
    xs, ys = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return Segment(xs[0], ys[0], xs[1], ys[1])


def _box(bounds: etree._Element | None) -> Box:
    assert bounds is not None
    return Box(*(float(bounds.get(name, "nan")) for name in ("x", "y", "width", "height")))
