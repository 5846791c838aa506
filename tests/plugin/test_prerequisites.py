"""What becomes of prerequisites that a selection leaves out."""

from __future__ import annotations

from typing import Any

import pytest
from orders_service import SIDECAR, bpmn

CHAIN = (
    SIDECAR.replace("expectedStatusCode: 202", "expectedStatusCode: 202\n    exportAs: {orderId: response.body.id}")
    + "scenarios:\n- {key: first}\n- {key: second, dependsOn: [first]}\n- {key: third, dependsOn: [second]}\n"
    "- {key: alone}\n"
)


def test_selected_scenario_runs_with_all_that_it_depends_on(project: Any) -> None:
    """Direct and indirect prerequisites that ``-k`` left out are run too, and a line says so."""
    project.orders(sidecar=CHAIN)
    result = project.run("-k", "third", "-v")
    result.assert_outcomes(passed=3, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "orchestra: runs 'order.bpmn::first[[]small[]]', 'order.bpmn::second[[]small[]]' as well, because*",
            "order.bpmn::first*PASSED*",
            "order.bpmn::second*PASSED*",
            "order.bpmn::third*PASSED*",
        ]
    )


@pytest.mark.parametrize("selection", [("order.bpmn::third[small]",), ("-m", "wanted")], ids=["node id", "marker"])
def test_other_ways_to_select_run_prerequisites_too(project: Any, selection: tuple[str, ...]) -> None:
    """A node id, and a marker that only the dependant has, leave out what is run all the same."""
    project.orders(sidecar=CHAIN.replace("{key: third,", "{key: third, tags: [wanted],"))
    assert project.run(*selection).parseoutcomes()["passed"] == 3


def test_last_failed_runs_the_prerequisites_of_what_failed(project: Any) -> None:
    """``--lf``, which selects behind all others, has its dependants run with what they depend on."""
    project.orders(
        {"small": {"amount": 10}, "wrong": {"amount": 13}},
        sidecar=SIDECAR
        + (
            "scenarios:\n- {key: first, dataSets: [small]}\n- {key: second, dependsOn: [first], dataSets: [wrong]}\n"
            "- {key: other, dataSets: [small]}\n"
        ),
    )
    options = ("--orchestra", "--orchestra-store=memory")
    project.pytester.runpytest_subprocess(*options).assert_outcomes(passed=2, failed=1)
    result = project.pytester.runpytest_subprocess(*options, "--lf", "-v")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["order.bpmn::first*PASSED*", "order.bpmn::second*FAILED*"])


def test_prerequisites_that_are_ignored_leave_their_dependants_to_themselves(project: Any) -> None:
    """With ``ignore`` a scenario runs without those that are left out, and in order behind those that are not."""
    project.orders(sidecar=CHAIN)
    result = project.run("-k", "second or third", "--orchestra-deps=ignore", "-v")
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines(["order.bpmn::second*PASSED*", "order.bpmn::third*PASSED*"])


def test_prerequisite_in_a_file_beside_is_collected_for_its_dependant(project: Any) -> None:
    """A scenario of another file of the folder is run although only the dependant's file was named."""
    project.orders(sidecar=SIDECAR + "scenarios:\n- {key: second, dependsOn: ['base.bpmn::first']}\n")
    project.write(base_dot_bpmn=bpmn(["Place order", "Order paid"], process="base"))
    project.write(base_dot_orchestra_dot_yaml=SIDECAR + "scenarios:\n- {key: first}\n")
    project.run("order.bpmn").assert_outcomes(passed=2)
    project.run("order.bpmn", "--orchestra-deps=skip").assert_outcomes(skipped=1)


@pytest.mark.parametrize("name", ["gone.bpmn::first", "base.bpmn::frist"])
def test_unknown_scenario_of_another_file_is_an_error(project: Any, name: str) -> None:
    """A file or a scenario that there is not is told, and nothing of the dependant is run."""
    project.orders(sidecar=SIDECAR + f"scenarios:\n- {{key: second, dependsOn: ['{name}']}}\n")
    project.write(base_dot_bpmn=bpmn(["Place order", "Order paid"], process="base"))
    project.write(base_dot_orchestra_dot_yaml=SIDECAR + "scenarios:\n- {key: first}\n")
    result = project.run("order.bpmn")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*depends on unknown scenario '{name}'"])


def test_shards_run_left_out_prerequisites_once(project: Any) -> None:
    """Prerequisites that ``-k`` left out are taken back in before the parts are made, and so are run by one of them."""
    sidecar = (
        SIDECAR + "scenarios:\n- {key: base}\n" + "".join(f"- {{key: next{n}, dependsOn: [base]}}\n" for n in range(3))
    )
    project.orders(sidecar=sidecar)
    results = [project.run("-k", "next", f"--orchestra-shard={n}/2") for n in (1, 2)]
    counts = [result.parseoutcomes().get("passed", 0) for result in results]
    told = [result.stdout.str().count("as well, because selected scenarios depend on it") for result in results]
    assert told == [int(count > 0) for count in counts], "only who runs it says so"
    assert sorted(counts) == [0, 4]
