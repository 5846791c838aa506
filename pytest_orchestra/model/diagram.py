"""The diagram interchange of a process: where its elements are drawn."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Diagram", "Point", "Shape"]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the diagram, in its own units (pixels, in practice)."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The box of an element in the diagram.

    ``plane`` is the element that the shape's plane is for (a process, a collaboration, or a sub-process drawn on a page
    of its own); ``label`` is x, y, width and height of the text.
    """

    element: str
    x: float
    y: float
    width: float
    height: float
    is_expanded: bool | None = None
    is_horizontal: bool | None = None
    is_marker_visible: bool | None = None
    plane: str | None = None
    label: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Diagram:
    """The diagram interchange of a file: shapes by element, way points of edges by element."""

    shapes: tuple[Shape, ...] = ()
    edges: tuple[tuple[str, tuple[Point, ...]], ...] = ()
