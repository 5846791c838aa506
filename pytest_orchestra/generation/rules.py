"""The rules that a process model can break, by the codes that its problems have."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Rule"]


class Rule(StrEnum):
    """What is looked for; the value is the code of the problems, which stays what it is."""

    DEADLOCK = "deadlock"
    LACK_OF_SYNCHRONISATION = "lack-of-synchronisation"
    ENDLESS_LOOP = "endless-loop"
    UNREACHABLE_END = "unreachable-end"
    DEAD_ELEMENT = "dead-element"
    DEAD_MESSAGE = "dead-message"
    MISSING_DEFAULT = "missing-default"
    OVERLAPPING_CONDITIONS = "overlapping-conditions"
    DEAD_BRANCH = "dead-branch"
    CONSTANT_CONDITION = "constant-condition"
    CONDITION_ON_DEFAULT = "condition-on-default"
    CONDITION_ON_ONLY_FLOW = "condition-on-only-flow"
    UNNAMED_DECISION = "unnamed-decision"
    DUPLICATE_BRANCH_NAME = "duplicate-branch-name"
    NEEDLESS_GATEWAY = "needless-gateway"
    AMBIGUOUS_START = "ambiguous-start"
    MISSING_START = "missing-start"
    MISSING_END = "missing-end"
    DANGLING_FLOW = "dangling-flow"
    DANGLING_LINK = "dangling-link"
    CROSSING_FLOW = "crossing-flow"
    NO_AGREED_MEANING = "no-agreed-meaning"
