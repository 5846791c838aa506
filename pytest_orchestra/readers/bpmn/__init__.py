"""Reads BPMN 2.0 files of any vendor (OMG formal/13-12-09) into the process model."""

from pytest_orchestra.readers.bpmn.document import read_process_file

__all__ = ["read_process_file"]
