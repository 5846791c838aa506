"""What is wrong with a process itself: deadlocks, dead elements, gaps and overlaps between conditions, slips."""

from __future__ import annotations

from pytest_orchestra.generation.linting.judgement import lint_process

__all__ = ["lint_process"]
