"""How-to pages that are whole projects, done by a reader who takes them literally."""

from __future__ import annotations

from typing import Any

from doc_pages import DOCS


def test_plugin_page_followed_to_the_letter_shows_what_it_says(reader: Any) -> None:
    """The protocol, the listener and the test of the page are written as shown, and work."""
    assert reader.follow(DOCS / "how-to" / "write-a-plugin.md") == 3
