"""Says what things cost."""
