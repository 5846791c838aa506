"""The composition root: loads definitions, builds store, protocols, listeners and the event loop, and closes them."""
