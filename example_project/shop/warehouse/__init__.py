"""Puts goods aside, has them picked, and sends them off."""
