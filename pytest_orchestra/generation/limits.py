"""How much work generation puts into one process.

Every limit is stated once, here. Where one of them cuts something short, the suite has a problem that says so.
"""

from __future__ import annotations

__all__ = [
    "ENUMERATION_BUDGET",
    "EXPLORATION_BUDGET",
    "MAX_ATTEMPTS",
    "MAX_AT_ONCE",
    "MAX_BASES_TRIED",
    "MAX_BOUNDARY_SETS",
    "MAX_BRANCHES_COMBINED",
    "MAX_BRANCHES_PAIRED",
    "MAX_CLUSTER_CELLS",
    "MAX_CLUSTER_FORMULAS",
    "MAX_CLUSTER_WORK",
    "MAX_CONDITION_CHAIN",
    "MAX_CONDITION_DEPTH",
    "MAX_CONDITION_LENGTH",
    "MAX_CONFLICTS",
    "MAX_CONTRACT_DEPTH",
    "MAX_CONTRACT_FACTS",
    "MAX_CORE_PARTS",
    "MAX_COVER_NODES",
    "MAX_DATA_CLASSES",
    "MAX_DATA_WORK",
    "MAX_DECISIONS_PAIRED",
    "MAX_FLOW_WORK",
    "MAX_FORMS",
    "MAX_INLINED_NODES",
    "MAX_INSTANCES",
    "MAX_ITEMS",
    "MAX_ITEMS_MADE",
    "MAX_KEY_LENGTH",
    "MAX_LONE_DECISIONS",
    "MAX_NAMES_COMPARED",
    "MAX_OPAQUE_TOLD",
    "MAX_PAIRS",
    "MAX_PATTERN_LENGTH",
    "MAX_PROBLEMS_OF_A_RULE",
    "MAX_QUESTIONS_SOLVED",
    "MAX_RUNS_ENUMERATED",
    "MAX_SCENARIOS",
    "MAX_SETS_OF_BRANCHES",
    "MAX_SIZE_ENUMERATED",
    "MAX_SOLVER_STEPS",
    "MAX_SOLVER_VARIABLES",
    "MAX_VARIABLE_CELLS",
    "MAX_VISITS",
    "MAX_Z3_STEPS",
    "search_budget",
    "steps_per_run",
]

MAX_SCENARIOS = 1_000
"""Generated scenarios of one suite."""

MAX_DATA_CLASSES = 200
"""Kinds of data sets (those that allow the same branches are one kind) that are tried one by one."""

MAX_ATTEMPTS = 100
"""Runs that are tried for one goal before it is given up."""

MAX_RUNS_ENUMERATED = 5_000
"""Runs of a process up to which all of them are looked at for the least set."""

MAX_SIZE_ENUMERATED = 2_000
"""Points and edges of a process up to which that is tried."""

ENUMERATION_BUDGET = 60_000
"""Tokens that are moved for it."""

MAX_COVER_NODES = 20_000
"""Choices of runs that are looked at for the least set."""

MAX_BRANCHES_PAIRED = 100
"""Branches of a decision up to which they are paired."""

MAX_DECISIONS_PAIRED = 1_000
"""Decisions of a process whose branches are paired."""

MAX_PAIRS = 20_000
"""Pairs of branches that are covered."""

MAX_CONFLICTS = 2_000
"""Pairs of concurrent steps that are run in both orders."""

MAX_AT_ONCE = 100
"""Scenarios that send conflicting actions at once."""

MAX_SETS_OF_BRANCHES = 16
"""Sets of branches of an inclusive gateway up to which all of them are played."""

MAX_KEY_LENGTH = 60
"""Characters of a scenario's key."""

MAX_CONDITION_LENGTH = 2_000
"""Characters of a condition that is still read; a longer one is opaque."""

MAX_CONDITION_DEPTH = 40
"""Nesting of parentheses and operators in a condition that is still read."""

MAX_CONTRACT_FACTS = 400
"""Parts of an operation's contract that a saved plan lists."""

MAX_CONTRACT_DEPTH = 8
"""How deep these parts may lie."""

MAX_CONDITION_CHAIN = 100
"""Sums, products and comparisons that follow each other in a condition that is still read."""

MAX_INLINED_NODES = 20_000
"""Nodes of a process, those of the called processes that it takes in among them."""

MAX_INSTANCES = 10
"""Instances of a multi-instance activity whose number the model fixes that are played."""

MAX_ITEMS = 1_000
"""Items of a list over which ``some`` and ``every`` are evaluated."""

MAX_VISITS = 12
"""Visits of a decision that are told apart where a condition asks which one it is."""

MAX_CLUSTER_CELLS = 1_000
"""Combinations of values that are told apart for variables which hang together, while runs are played."""

MAX_VARIABLE_CELLS = 5_000
"""Values of one variable, on which no other depends, that are told apart while runs are played."""

MAX_CLUSTER_FORMULAS = 120
"""Conditions on one variable that are watched where there are too many of them."""

MAX_CLUSTER_WORK = 40_000
"""Evaluations of conditions for that; of variables with more, only what concerns each alone is watched."""

MAX_LONE_DECISIONS = 50
"""Decisions whose conditions share no name with others and are still checked for contradicting themselves."""

MAX_FLOW_WORK = 300_000
"""Steps in which values that may reach each branch are followed through the process to find dead branches."""

MAX_OPAQUE_TOLD = 20
"""Conditions that are not understood and are told one by one."""

MAX_ITEMS_MADE = 20
"""Items of a list that is made because a condition asks for their number."""

MAX_SOLVER_VARIABLES = 40
"""Variables that hang together in conditions which are still solved."""

MAX_SOLVER_STEPS = 20_000
"""Evaluations of a condition in one search for values; what is not decided by then stays unknown."""

MAX_FORMS = 200
"""Sums of variables that eliminating one of them from their comparisons may leave."""

MAX_CORE_PARTS = 1_000
"""Conditions from which the least contradiction is still looked for; of more, all are named."""

EXPLORATION_BUDGET = 12_000
"""Tokens that are moved to find the deadlocks of one process where its shape alone does not rule them out."""

MAX_BRANCHES_COMBINED = 6
"""Branches of an inclusive decision up to which all combinations are looked at for deadlocks; of more, a few."""

MAX_QUESTIONS_SOLVED = 200
"""Questions about conditions of one process (can both hold, is there a gap) that are put to the solver to lint it."""

MAX_PROBLEMS_OF_A_RULE = 20
"""Problems of one rule in one process that are told one by one."""

MAX_Z3_STEPS = 2_000_000
"""Steps of Z3, as it counts them, for conditions that the exact search leaves open."""

MAX_PATTERN_LENGTH = 300
"""Characters of a regular expression in a schema for which texts are made, and of these texts."""

MAX_BASES_TRIED = 20
"""Data sets from which the data of a path that none fits is made by changing as little as possible."""

MAX_DATA_WORK = 8_000_000
"""Pairs of conditions of one scenario, of all scenarios of a suite together, for which data is made: solving holds each
condition against each other one."""

MAX_BOUNDARY_SETS = 24
"""Data sets around the boundaries of one scenario's comparisons."""

MAX_NAMES_COMPARED = 2_000
"""Names among which the nearest is looked for."""


def steps_per_run(size: int) -> int:
    """Give how many tokens one run may move in a process of ``size`` points and edges."""
    return 10_000 + 10 * size


def search_budget(size: int) -> int:
    """Give how many tokens all runs of one search may move together in a process of ``size`` points and edges."""
    return 200_000 + 100 * size
