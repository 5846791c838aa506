"""Participants that the plugin stands in for: services that answer, consumers that publish what they are asked for."""
