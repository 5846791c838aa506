"""Process files as pytest nodes: one item for each scenario and data set."""
