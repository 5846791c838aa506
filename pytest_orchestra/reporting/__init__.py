"""Reports: listeners of the engine and renderers of its results."""
