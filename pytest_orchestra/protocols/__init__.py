"""The protocols in the box: ``http`` and ``database`` implement the engine's port, the other files are their parts."""
