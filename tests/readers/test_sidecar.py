"""The sidecar of a process, and the words in which its mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.errors import DefinitionError, UnreadableFileError
from pytest_orchestra.model.definition import Bindings, ChannelType, Criterion, StepKind
from pytest_orchestra.problem import Place, Severity
from pytest_orchestra.readers.sidecar import read_sidecar, sidecar_path


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "order.orchestra.yaml") -> Path:
        Path(name).write_text(text, encoding="utf-8")
        return Path(name)

    return write


def told(path: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read_sidecar(path)
    assert all(problem.severity is Severity.ERROR for problem in caught.value.problems)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


COMPLETE = """\
specs: {orders: specs/orders.openapi.json}
coverage: [edge, decision]
bindings:
  Place order:
    - alias: place
      endpointRef: orders.placeOrder
      inputTemplate: {body: {customer: "{{data.customer}}"}}
      expectedStatusCode: 202
      businessRules: ["response.body.total == data.amount"]
      exportAs: {orderId: response.body.id}
    - dataSource: warehouse
      sql: select count(*) from reservation where order_id = :orderId
      until: value == 1
  Ship:
    endpointRef: orders.ship
  Wait:
decisions:
  Delivery?: {yes: data.express, no: not data.express, 1: "true"}
scenarios:
  - {key: small}
  - key: large
    decisions: {Large order?: yes, Retry?: [no, yes]}
    dependsOn: [small]
"""


def test_complete_sidecar_is_read_with_places(write):
    """Bindings, steps and scenarios know where they stand; branches called yes, no and 1 need no quotes."""
    bindings = read_sidecar(write(COMPLETE))
    file = "order.orchestra.yaml"
    assert bindings.place == Place(file, 1, 1)
    assert bindings.coverage == [Criterion.EDGE, Criterion.DECISION]
    place, query = bindings.bindings["Place order"]
    assert (place.alias, str(place.endpoint_ref), place.place) == ("place", "orders.placeOrder", Place(file, 5, 7))
    assert (query.kind, query.channel_type, query.place) == (StepKind.ASSERTION, ChannelType.DB, Place(file, 11, 7))
    assert bindings.bindings["Ship"][0].place == Place(file, 15, 5)
    assert bindings.bindings["Wait"] == []
    assert bindings.decisions["Delivery?"] == {"yes": "data.express", "no": "not data.express", "1": "true"}
    assert [scenario.place for scenario in bindings.scenarios] == [Place(file, 20, 5), Place(file, 21, 5)]
    assert bindings.scenarios[1].decisions == {"Large order?": "yes", "Retry?": ["no", "yes"]}


def test_nested_groups_of_a_step_are_read(write):
    """Action, meta and expectations are as good as the flat form."""
    bindings = read_sidecar(
        write(
            "bindings:\n  A:\n    alias: a\n    action:\n      endpointRef: s.o\n      mode: FIRE_AND_FORGET\n"
            "      meta: {timeoutMs: 5}\n    expectations: {expectedStatusCode: 202}\n"
        )
    )
    (step,) = bindings.bindings["A"]
    assert (step.timeout_ms, step.expected_status_code, step.mode.value) == (5, 202, "FIRE_AND_FORGET")


def test_json_sidecar_is_read(write):
    """A sidecar may be JSON."""
    bindings = read_sidecar(write('{"bindings":\n {"A": {"endpointRef": "s.o"}}}', "order.orchestra.json"))
    assert bindings.bindings["A"][0].place == Place("order.orchestra.json", 2, 8)


def test_empty_sidecar_binds_nothing(write):
    """An empty file is a valid start."""
    assert read_sidecar(write("# to do\n")) == Bindings(place=Place("order.orchestra.yaml", 1, 1))


def test_misspelt_field_is_told_with_the_nearest(write):
    """A typo names the field that was meant, at the key."""
    assert told(write("timoutMs: 5\n")) == ["1:1: unknown field 'timoutMs'\nhint: did you mean 'timeoutMs'?"]


def test_misspelt_field_in_a_nested_group_is_told_where_it_stands(write):
    """The flattening of groups does not lose the place."""
    text = (
        "bindings:\n  A:\n    - endpointRef: s.o\n      action:\n        meta:\n          pollIntervallMs: 3\n"
        "      expectations:\n        bussinessRules: []\n"
    )
    assert told(write(text)) == [
        "6:11: unknown field 'pollIntervallMs'\nhint: did you mean 'pollIntervalMs'?",
        "8:9: unknown field 'bussinessRules'\nhint: did you mean 'businessRules'?",
    ]


def test_misspelt_group_of_a_step_is_told_with_the_nearest(write):
    """The groups are known, too."""
    text = "bindings:\n  A: {endpointRef: s.o, expectation: {}}\n"
    assert told(write(text)) == ["2:25: unknown field 'expectation'\nhint: did you mean 'expectations'?"]


def test_unknown_field_that_resembles_none_is_told_with_all(write):
    """Where nothing is near, the hint lists what there is."""
    assert told(write("scenarios:\n- {key: a, xyz: 1}\n")) == [
        (
            "2:12: unknown field 'xyz'\nhint: known here: key, name, decisions, dataSets, "
            "tags, dependsOn, locks, finally, status, active, retries, scenarioTimeoutMs"
        )
    ]


def test_place_is_no_field_of_the_file(write):
    """What readers set is not for users to write."""
    assert told(write("scenarios:\n- {key: a, place: 1}\n")) == [
        (
            "2:12: unknown field 'place'\nhint: known here: key, name, decisions, dataSets, "
            "tags, dependsOn, locks, finally, status, active, retries, scenarioTimeoutMs"
        )
    ]
    assert told(write("scenarios:\n- {key: a, place: {file: x}}\n"))[0].startswith("2:12: unknown field 'place'")


def test_missing_field_is_told_where_it_should_be(write):
    """The place is that of the mapping."""
    assert told(write("scenarios:\n  - tags: [a]\n  - dependsOn:\n    - {outcome: ANY}\n")) == [
        "2:5: missing field 'key'\nhint: for example key: large-order",
        "3:5: missing field 'key'\nhint: for example key: large-order",
        "4:7: missing field 'scenario'\nhint: for example scenario: small-order",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "timeoutMs: soon",
            "1:12: 'timeoutMs' takes a whole number, not the text 'soon'\nhint: for example timeoutMs: 10000",
        ),
        (
            "timeout_ms: soon",
            "1:13: 'timeout_ms' takes a whole number, not the text 'soon'\nhint: for example timeoutMs: 10000",
        ),
        (
            "timeoutMs: 1.5",
            "1:12: 'timeoutMs' takes a whole number, not the number 1.5\nhint: for example timeoutMs: 10000",
        ),
        (
            "timeoutMs: 0",
            "1:12: 'timeoutMs' takes a number above 0, not the number 0\nhint: for example timeoutMs: 10000",
        ),
        (
            "maxLoopIterations: 101",
            (
                "1:20: 'maxLoopIterations' takes a number of at most 100, not the number 101\n"
                "hint: for example maxLoopIterations: 1"
            ),
        ),
        (
            "correlationHeader:",
            "1:19: 'correlationHeader' takes a text, not nothing\nhint: give it a value, or remove it",
        ),
        (
            "correlationHeader: 7",
            "1:20: 'correlationHeader' takes a text, not the number 7\nhint: put it in quotes: \"7\"",
        ),
        ("coverage: edge", "1:11: 'coverage' takes a list, not the text 'edge'\nhint: write a list: [\"edge\"]"),
        ("coverage: {edge: 1}", "1:11: 'coverage' takes a list, not a mapping\nhint: for example coverage: [edge]"),
        (
            "coverage: [egde]",
            (
                "1:12: 'coverage' takes 'node', 'edge', 'decision', 'pairwise', 'loop' or 'race', not 'egde'\n"
                "hint: did you mean 'edge'?"
            ),
        ),
        ("coverage: [x]", "1:12: 'coverage' takes 'node', 'edge', 'decision', 'pairwise', 'loop' or 'race', not 'x'"),
        (
            "mode: run_all_steps",
            (
                "1:7: 'mode' takes 'RUN_ALL_STEPS', 'STOP_ON_FIRST_FAILURE', 'SINGLE_STEP' or 'FROM_STEP',"
                " not 'run_all_steps'\nhint: did you mean 'RUN_ALL_STEPS'?"
            ),
        ),
        (
            "bindings: [a]",
            (
                "1:11: 'bindings' takes a mapping, not a list\n"
                "hint: for example bindings: {Place order: {endpointRef: orders.placeOrder}}"
            ),
        ),
        (
            "bindings: {A: [7]}",
            (
                "1:16: 'A' takes a mapping, not the number 7\n"
                "hint: for example bindings: {Place order: {endpointRef: orders.placeOrder}}"
            ),
        ),
        (
            "bindings: {A: x}",
            (
                "1:15: 'A' takes a list, not the text 'x'\n"
                "hint: for example bindings: {Place order: {endpointRef: orders.placeOrder}}"
            ),
        ),
        ("loops: {A: x}", "1:12: 'A' takes a whole number, not the text 'x'\nhint: for example loops: {Ask again: 2}"),
        (
            "- a",
            (
                "1:1: the file takes a mapping, not a list\n"
                "hint: for example bindings: {Place order: {endpointRef: orders.placeOrder}}"
            ),
        ),
        (
            "scenarios: [{key: a/b}]",
            "1:19: 'key' takes a name without '/', ':', '[' and ']', not 'a/b'\nhint: for example key: large-order",
        ),
        (
            "scenarios: [{key: a, active: maybe}]",
            "1:30: 'active' takes true or false, not the text 'maybe'\nhint: for example active: true",
        ),
        (
            "scenarios: [{key: a, decisions: {Large?: true}}]",
            "1:42: 'Large?' takes a text or a list, not true\nhint: put it in quotes: \"true\"",
        ),
        (
            "scenarios: [{key: a, decisions: {Large?: [yes, 1]}}]",
            "1:48: 'Large?' takes a text, not the number 1\nhint: put it in quotes: \"1\"",
        ),
        (
            "scenarios: [{key: a, decisions: {Large?: {yes: 1}}}]",
            "1:42: 'Large?' takes a text or a list, not a mapping\nhint: for example decisions: {Large?: \"yes\"}",
        ),
        (
            "scenarios: [{key: a, dependsOn: [{scenario: b, outcome: PASS}]}]",
            "1:57: 'outcome' takes 'PASSED', 'FAILED' or 'ANY', not 'PASS'\nhint: did you mean 'PASSED'?",
        ),
        (
            "scenarios: [{key: a, dependsOn: b}]",
            "1:33: 'dependsOn' takes a list, not the text 'b'\nhint: write a list: [\"b\"]",
        ),
        (
            "scenarios: [{key: a, dependsOn: [1]}]",
            "1:34: 'dependsOn' takes a text or a mapping, not the number 1\nhint: put it in quotes: \"1\"",
        ),
        (
            "bindings: {A: {alias: a-b, endpointRef: s.o}}",
            "1:23: 'alias' takes a name of letters, digits and '_', not 'a-b'\nhint: for example 'a_b'",
        ),
        (
            "bindings: {A: {endpointRef: s.o, exportAs: {1-b: x}}}",
            "1:45: 'exportAs' takes a name of letters, digits and '_', not '1-b'\nhint: for example '_1_b'",
        ),
        (
            "bindings: {A: {endpointRef: placeOrder}}",
            (
                "1:29: an endpoint reads 'service.operation', not 'placeOrder'\n"
                "hint: for example endpointRef: orders.placeOrder"
            ),
        ),
        (
            "bindings: {A: {endpointRef: s.o, expectedStatusCode: [200, 1.5]}}",
            (
                "1:60: 'expectedStatusCode' takes a whole number or a text, not the number 1.5\n"
                'hint: put it in quotes: "1.5"'
            ),
        ),
        (
            "bindings: {A: {endpointRef: s.o, expectedStatusCode: 999}}",
            "1:54: '999' is neither a status code nor a range such as '2XX'\nhint: for example expectedStatusCode: 202",
        ),
        (
            "timeoutMs: 1.5 s",
            (
                "1:12: 'timeoutMs' takes a whole number, not the text '1.5 s'\n"
                "hint: it is in milliseconds: timeoutMs: 1500"
            ),
        ),
        (
            "bindings: {A: {endpointRef: s.o, until: true}}",
            "1:41: 'until' takes a text, not true\nhint: for example until: response.body.state == 'PAID'",
        ),
        (
            "finally: true",
            "1:10: 'finally' takes a list, not true\nhint: for example finally: [{endpointRef: orders.cancelOrder}]",
        ),
        (
            "bindings: {A: {endpointRef: s.o, expectedStatusCode: ok}}",
            "1:54: 'ok' is neither a status code nor a range such as '2XX'\nhint: for example expectedStatusCode: 202",
        ),
        (
            "bindings: {A: {name: x}}",
            "1:15: an HTTP step needs 'endpointRef'\nhint: write for example 'endpointRef: orders.placeOrder'",
        ),
        (
            "bindings: {A: {action: 3}}",
            "1:15: 'action' holds fields\nhint: write 'action:' and the fields below it",
        ),
    ],
)
def test_wrong_value_is_told_with_what_is_expected_and_what_is_there(write, text, expected):
    """The message says what the field takes and what stands there, in the words of the file."""
    assert told(write(text)) == [expected]


def test_repeated_scenario_is_told_with_both_lines(write):
    """A key must name one scenario."""
    assert told(write("scenarios:\n  - key: a\n  - key: b\n  - key: a\n")) == [
        "4:10: scenario 'a' occurs twice, first in line 2\nhint: give one of them another key"
    ]


def test_repeated_alias_in_one_element_is_told_with_both_lines(write):
    """An alias must name one step; in another element it may be used again."""
    text = (
        "bindings:\n  A:\n    - {alias: x, endpointRef: s.o}\n"
        "    - action: {endpointRef: s.o}\n      meta: {alias: x}\n"
        "  B: {alias: x, endpointRef: s.o}\n"
    )
    assert told(write(text)) == [
        "5:21: alias 'x' occurs twice in 'A', first in line 3\nhint: give one of them another alias"
    ]


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        ("normal", "Card declined", False),
        ("[normal, Slow]", "Card declined", False),
        ("normal", " Normal", True),
        ("[normal, Slow]", "[Slow, Other]", True),
        ("any", "Card declined", True),
    ],
)
def test_alias_may_occur_twice_where_an_element_never_has_both_steps(write, first, second, is_told):
    """Whatever ends the activity, later steps read its step by one name."""
    text = (
        f"bindings:\n  A:\n    - {{alias: x, endpointRef: s.o, outcome: {first}}}\n"
        f"    - {{alias: x, endpointRef: s.o, outcome: {second}}}\n"
    )
    expected = "4:15: alias 'x' occurs twice in 'A', first in line 3\nhint: give one of them another alias"
    assert (told(write(text)) if is_told else read_sidecar(write(text)).bindings.keys()) == (
        [expected] if is_told else {"A"}
    )


def test_all_problems_of_a_file_are_told_at_once_in_order(write):
    """Duplicate keys, typos and wrong values come in one error."""
    text = "scenarios: [{key: a}, {key: a, actve: 1}]\ntimeoutMs: x\ntimeoutMs: y\n"
    assert told(write(text)) == [
        "1:29: scenario 'a' occurs twice, first in line 1\nhint: give one of them another key",
        "1:32: unknown field 'actve'\nhint: did you mean 'active'?",
        "3:1: key 'timeoutMs' occurs twice, first in line 2\nhint: remove one of the two",
        "3:12: 'timeoutMs' takes a whole number, not the text 'y'\nhint: for example timeoutMs: 10000",
    ]


def test_problem_at_an_anchor_is_told_once(write):
    """What two aliases bring is one mistake."""
    text = "bindings:\n  A: &s {endpointRef: s.o, timoutMs: 1}\n  B: *s\n"
    assert told(write(text)) == ["2:28: unknown field 'timoutMs'\nhint: did you mean 'timeoutMs'?"]


def test_malformed_sidecar_is_unreadable(write):
    """A syntax error is told with line, column and hint."""
    path = write("bindings:\n  A: {inputTemplate: {body: {{data.order}}}}\n")
    with pytest.raises(UnreadableFileError) as caught:
        read_sidecar(path)
    assert str(caught.value) == (
        'order.orchestra.yaml:2:29: a template must stand in quotes\nhint: write it as "{{data.order}}"'
    )


def test_long_text_is_shortened(write):
    """A whole page in the wrong field does not fill the terminal."""
    assert told(write(f"timeoutMs: {'x' * 500}\n")) == [
        f"1:12: 'timeoutMs' takes a whole number, not the text '{'x' * 57}...'\nhint: for example timeoutMs: 10000"
    ]


@pytest.mark.parametrize(
    ("process", "present", "sidecar"),
    [
        ("order.bpmn", (), "order.orchestra.yaml"),
        ("order.bpmn2", (), "order.orchestra.yaml"),
        ("order.bpmn20.xml", (), "order.orchestra.yaml"),
        ("Order.BPMN", (), "Order.orchestra.yaml"),
        ("order.v2.bpmn", (), "order.v2.orchestra.yaml"),
        ("order.mmd", (), "order.orchestra.yaml"),
        ("order.bpmn", ("order.orchestra.yml",), "order.orchestra.yml"),
        ("order.bpmn", ("order.orchestra.json",), "order.orchestra.json"),
        ("order.bpmn", ("order.orchestra.json", "order.orchestra.yaml"), "order.orchestra.yaml"),
    ],
)
def test_sidecar_lies_beside_its_process(tmp_path, process, present, sidecar):
    """The name is the process's, and the file that is there is taken."""
    for name in present:
        (tmp_path / name).touch()
    assert sidecar_path(tmp_path / process) == tmp_path / sidecar


_words = st.sampled_from([
    "bindings", "scenarios", "decisions", "coverage", "action", "meta", "expectations", "alias", "endpointRef", "key",
    "endpoint_ref", "expectedStatusCode", "businessRules", "exportAs", "dependsOn", "backoff", "factor", "timeoutMs",
    "sql", "until", "place", "loops", "name", "rule", "A", "s.o", "edge", "yes", "1",
])  # fmt: skip
_trees = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 500) | st.floats() | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=6),
    max_leaves=30,
)


@settings(deadline=None)
@given(_trees)
def test_any_tree_gives_bindings_or_a_definition_error(tmp_path_factory, tree):
    """No content brings the reader down, and every problem has file and line."""
    path = tmp_path_factory.getbasetemp() / "any.orchestra.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    problems = None
    try:
        read_sidecar(path)
    except DefinitionError as error:
        problems = error.problems
    assert problems != ()
    assert all(problem.place.file == str(path) and problem.place.line for problem in problems or ())


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_give_bindings_or_a_definition_error(tmp_path_factory, content):
    """No file brings the reader down."""
    path = tmp_path_factory.getbasetemp() / "bytes.orchestra.yaml"
    path.write_bytes(content)
    problems = None
    try:
        read_sidecar(path)
    except DefinitionError as error:
        problems = error.problems
    assert problems is None or {problem.place.file for problem in problems} == {str(path)}
