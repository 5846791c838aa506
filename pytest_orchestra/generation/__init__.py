"""From a process and its bindings to a suite of scenarios: pure and deterministic."""
