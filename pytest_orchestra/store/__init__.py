"""Stores of runs: PostgreSQL (shared or embedded) and memory, both behind the engine port."""
