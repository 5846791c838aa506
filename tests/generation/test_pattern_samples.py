"""Texts for the regular expressions of schemas: they match, or there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.generation.solving.pattern_samples import is_pattern, matches, sample_of


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^[A-Z]{3}-\\d{4}$", "AAA-0000"),
        ("^(red|green)$", "red"),
        ("^a+b*c?$", "a"),
        ("^\\w+@\\w+\\.[a-z]{2,3}$", "a@a.aa"),
        ("^(?:x[0-9]){2}y$", "x0x0y"),
        ("^[^a-z]$", "0"),
        ("^\\+?[1-9]\\d{1,14}$", "10"),
    ],
)
def test_sample_matches_the_pattern(pattern: str, expected: str) -> None:
    """The shortest text that the pattern describes."""
    assert sample_of(pattern) == expected
    assert matches(pattern, expected)


def test_sample_is_as_long_as_it_has_to_be() -> None:
    """A repetition is used more often where the schema wants more characters."""
    assert sample_of("^[a-z]+$", 5) == "aaaaa"
    assert sample_of("^ab$", 5) is None


@pytest.mark.parametrize(
    "pattern", ["^(?=a)b$", "\\p{Lu}", "a{1000}", "(", "[", "a**", "^a$^b$", "\\1", "(" * 50 + ")" * 50]
)
def test_pattern_that_is_not_plain_has_no_sample(pattern: str) -> None:
    """No text is better than one that does not match."""
    assert sample_of(pattern) is None


def test_pattern_that_explodes_elsewhere_is_checked_at_once() -> None:
    """Checking takes linear time."""
    assert not matches("^(a+)+$", "a" * 200 + "!")


@given(st.text("ab[](){}|^$.*+?\\dw-,012", max_size=15))
def test_any_pattern_has_a_matching_sample_or_none(pattern: str) -> None:
    """Nothing is raised, and what is given matches."""
    sample = sample_of(pattern)
    assert sample is None or (is_pattern(pattern) and matches(pattern, sample))
