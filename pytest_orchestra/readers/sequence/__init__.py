"""Reads sequence diagrams, written for Mermaid or PlantUML, into the process model."""

from pytest_orchestra.readers.sequence.document import holds_sequence, read_sequence_file

__all__ = ["holds_sequence", "read_sequence_file"]
