"""What the tests of the data floor share."""

from __future__ import annotations

from hypothesis import settings

# a shared machine may stop for longer than hypothesis' deadline allows; nothing here is about single slow examples
settings.register_profile("data", parent=settings(), deadline=None)
settings.load_profile("data")
