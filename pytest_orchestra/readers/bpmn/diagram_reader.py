"""The diagram interchange of a BPMN file (BPMN 2.0.2, chapter 12; Diagram Definition 1.0): where elements are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite, nan
from typing import Final

from pytest_orchestra.model.diagram import Diagram, Point, Shape
from pytest_orchestra.readers.bpmn.element_stream import IGNORED, SEPARATOR, ElementStream, Frame
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["DiagramReader"]

_NAMESPACES: Final = (
    "http://www.omg.org/spec/BPMN/20100524/DI",
    "http://www.omg.org/spec/DD/20100524/DC",
    "http://www.omg.org/spec/DD/20100524/DI",
)


def _tags(name: str) -> frozenset[str]:
    """Give the tags of a name; documents without namespaces write it without, too."""
    return frozenset({name, *(namespace + SEPARATOR + name for namespace in _NAMESPACES)})


_DIAGRAM: Final = _tags("BPMNDiagram")
_PLANE: Final = _tags("BPMNPlane")
_SHAPE: Final = _tags("BPMNShape")
_EDGE: Final = _tags("BPMNEdge")
_LABEL: Final = _tags("BPMNLabel")
_BOUNDS: Final = _tags("Bounds")
_WAYPOINT: Final = _tags("waypoint")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_NOWHERE: Final = (nan, nan, nan, nan)


class DiagramReader(Frame):
    """The frame of every diagram of a document. A drawing without proper numbers is left out, with a warning."""

    def __init__(self, stream: ElementStream, problems: ProblemList) -> None:
        self._shapes: list[Shape] = []
        self._edges: list[tuple[str, tuple[Point, ...]]] = []
        self._stream = stream
        self._problems = problems

    @property
    def frames(self) -> Mapping[str, Frame]:
        """The frames for children of the root."""
        return dict.fromkeys(_DIAGRAM, self)

    def make_diagram(self, local_of: Callable[[str], str]) -> Diagram:
        """Give all that was read; ``local_of`` takes the prefix off the names of elements that bear one."""
        shapes = [
            replace(shape, element=local_of(shape.element)) if ":" in shape.element else shape for shape in self._shapes
        ]
        edges = [(local_of(element) if ":" in element else element, points) for element, points in self._edges]
        return Diagram(tuple(shapes), tuple(edges))

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        """Take what is drawn on a plane."""
        return _Plane(self, attributes.get("bpmnElement")) if tag in _PLANE else IGNORED

    def add_shape(self, shape: Shape) -> None:
        """Take a shape that has been read."""
        if isfinite(shape.x + shape.y + shape.width + shape.height):
            self._shapes.append(shape)
        else:
            self._report(shape.element)

    def add_edge(self, element: str, points: tuple[Point, ...], total: float) -> None:
        """Take an edge that has been read; ``total`` is the sum of its numbers."""
        if isfinite(total):
            self._edges.append((element, points))
        else:
            self._report(element)

    def _report(self, element: str) -> None:
        message = f"the drawing of '{element}' lacks numbers for its position"
        hint = "move the element in the modeller and save again; it is not painted"
        self._problems.add_warning(self._stream.place(), message, hint, element)


class _Plane(Frame):
    __slots__ = ("_element", "_reader")

    def __init__(self, reader: DiagramReader, element: str | None) -> None:
        self._reader = reader
        self._element = element

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        if "bpmnElement" in attributes:
            if tag in _SHAPE:
                return _Shape(self._reader, attributes, self._element)
            if tag in _EDGE:
                return _Edge(self._reader, attributes["bpmnElement"])
        return IGNORED


class _Shape(Frame):
    __slots__ = ("_attributes", "_bounds", "_label", "_plane", "_reader")

    def __init__(self, reader: DiagramReader, attributes: dict[str, str], plane: str | None) -> None:
        self._reader = reader
        self._attributes = attributes
        self._plane = plane
        self._bounds = _NOWHERE
        self._label: _Label | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        if tag in _BOUNDS:
            self._bounds = _read_bounds(attributes)
        elif tag in _LABEL:
            self._label = _Label()
            return self._label
        return IGNORED

    def end(self) -> None:
        get = self._attributes.get
        self._reader.add_shape(
            Shape(
                self._attributes["bpmnElement"],
                *self._bounds,
                is_expanded=_FLAGS.get(get("isExpanded", "")),
                is_horizontal=_FLAGS.get(get("isHorizontal", "")),
                is_marker_visible=_FLAGS.get(get("isMarkerVisible", "")),
                plane=self._plane,
                label=self._label.bounds if self._label else None,
            )
        )


class _Label(Frame):
    __slots__ = ("bounds",)

    def __init__(self) -> None:
        self.bounds: tuple[float, float, float, float] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        if tag in _BOUNDS:
            bounds = _read_bounds(attributes)
            self.bounds = bounds if isfinite(sum(bounds)) else None
        return IGNORED


class _Edge(Frame):
    __slots__ = ("_element", "_points", "_reader", "_total")

    def __init__(self, reader: DiagramReader, element: str) -> None:
        self._reader = reader
        self._element = element
        self._points: list[Point] = []
        self._total = 0.0

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        if tag in _WAYPOINT:
            try:
                point = Point(float(attributes["x"]), float(attributes["y"]))
            except (KeyError, ValueError):
                point = Point(nan, nan)
            self._total += point.x + point.y
            self._points.append(point)
        return IGNORED

    def end(self) -> None:
        self._reader.add_edge(self._element, tuple(self._points), self._total)


def _read_bounds(attributes: dict[str, str]) -> tuple[float, float, float, float]:
    try:
        x, y = float(attributes["x"]), float(attributes["y"])
        return x, y, float(attributes["width"]), float(attributes["height"])
    except (KeyError, ValueError):
        return _NOWHERE
