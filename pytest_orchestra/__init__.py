"""Concurrent, durable scenario tests of distributed systems from BPMN and OpenAPI, run by pytest."""

__version__ = "0.1.0"

__all__ = ["__version__"]
