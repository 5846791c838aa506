"""All rules together: what is wrong with a process, whatever its scenarios are."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_orchestra.generation.linting.findings import problems_from
from pytest_orchestra.generation.linting.messages import judge_messages
from pytest_orchestra.generation.linting.overlaps import judge_conditions
from pytest_orchestra.generation.linting.played import judge_play
from pytest_orchestra.generation.linting.questions import Oracle
from pytest_orchestra.generation.linting.reachability import judge_ends, judge_reach, judge_starts
from pytest_orchestra.generation.linting.slips import judge_decisions, judge_gateways
from pytest_orchestra.generation.linting.soundness import judge_soundness
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Failure, Run
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.problem import Place, Problem

__all__ = ["lint_process"]


def lint_process(
    view: View, flaws: Iterable[Failure], runs: Iterable[Run], document: ProcessDocument | None, home: Place
) -> tuple[Problem, ...]:
    """Give what is wrong with a process, sorted by place; every problem has the code of its rule.

    ``view`` is the game without regard to data, ``flaws`` are failures of runs that only the process can be blamed for,
    ``runs`` those that ended, ``document`` the file that the process stands in, with the pools that send it messages.
    """
    game = view.game
    oracle = Oracle()
    verdict = judge_soundness(game, oracle)
    ends = list(judge_ends(view))
    endless = {finding.subject for finding in ends}
    findings = [
        *(found for found in verdict.findings if found.rule is Rule.DEADLOCK or found.subject not in endless),
        *judge_play(game, verdict, flaws, runs),
        *ends,
        *judge_reach(game),
        *judge_starts(game),
        *judge_messages(game, document),
        *judge_conditions(game, oracle),
        *judge_decisions(game),
        *judge_gateways(game.graph.process),
    ]
    return problems_from(findings, home, game.graph.process.id)
