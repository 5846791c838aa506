"""The tutorial, done by a reader who takes it literally."""

from __future__ import annotations

from typing import Any

from doc_pages import DOCS


def test_tutorial_followed_to_the_letter_shows_what_it_says(reader: Any) -> None:
    """Every file is written as shown, every command is typed, and what it prints is what the page shows."""
    assert reader.follow(DOCS / "tutorial" / "first-scenario.md") == 9
