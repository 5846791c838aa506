"""The protocols in the box; each file is one implementation of the engine port."""
