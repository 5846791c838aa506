"""How an activity finds the operation that it stands for, without anything written in the sidecar."""

from __future__ import annotations

from pytest_orchestra.generation.binding.inference import InferredBindings, infer_bindings
from pytest_orchestra.generation.binding.suggestions import Suggestion

__all__ = ["InferredBindings", "Suggestion", "infer_bindings"]
