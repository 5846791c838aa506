"""Runs scenarios. Owns the ports that protocols, stores and listeners implement; knows no pytest and no driver."""
