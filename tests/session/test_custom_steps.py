"""Custom steps and assertions: plain steps take their place, and what is wrong with their use is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestra.data.custom_steps import expand_custom_steps
from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.readers.sidecar import read_sidecar
from pytest_orchestra.readers.step_library import read_step_libraries

Expand = Callable[..., tuple[Bindings, list[str]]]

PAY = """
customSteps:
  pay:
    inputs:
      amount:
      currency: {default: EUR}
      note: {required: false}
    steps:
      - alias: charge
        endpointRef: payments.charge
        inputTemplate: {body: {amount: "{{input.amount}}", text: "{{input.currency}} {{input.note}}"}}
        finally: {alias: refund, endpointRef: payments.refund, headers: {id: "{{step.charge.response.id}}"}}
      - alias: booked
        endpointRef: payments.get
        causedBy: charge
        until: response.body.amount == input.amount * 2
        exportAs: {paid: "step.charge.response.id"}
    outputs: {id: step.charge.response.body.id, whole: "[input.amount, step.booked.status]"}
"""


@pytest.fixture
def expand(tmp_path: Path) -> Expand:
    def read(sidecar: str, **files: str) -> tuple[Bindings, list[str]]:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        path = tmp_path / "order.orchestra.yaml"
        path.write_text(sidecar)
        bindings = read_sidecar(path)
        libraries = read_step_libraries({tmp_path / each: bindings.place_of("include") for each in bindings.include})
        expanded, problems = expand_custom_steps(bindings, libraries)
        return expanded, [str(problem).replace(f"{tmp_path}/", "") for problem in problems]

    return read


def test_custom_step_gives_way_to_its_steps_under_the_alias_of_its_use(expand: Expand) -> None:
    """Inputs keep their types, aliases get that of the use before them, in every field that names one."""
    bindings, problems = expand(
        PAY + "bindings: {Pay: {alias: card, use: pay, with: {amount: '{{data.amount + 1}}', note: 'no {{data.n}}'}}}"
    )
    assert problems == []
    charge, booked = bindings.bindings["Pay"]
    assert (charge.alias, booked.alias, booked.caused_by) == ("card_charge", "card_booked", "card_charge")
    assert charge.input_template == {
        "body": {"amount": "{{ data.amount + 1 }}", "text": "{{ 'EUR' }} {{ '' ~ 'no ' ~ data.n }}"}
    }
    assert booked.until == "response.body.amount == (data.amount + 1) * 2"
    assert booked.export_as == {"paid": "step.card_charge.response.id"}
    (refund,) = charge.clean_up
    assert refund.alias == "card_refund"
    assert refund.headers == {"id": "{{ step.card_charge.response.id }}"}
    assert str(charge.place).endswith("order.orchestra.yaml:9:9")


def test_outputs_of_a_custom_step_are_read_by_later_steps(expand: Expand) -> None:
    """``step.ALIAS.outputs.NAME`` is the expression of the output, wherever it is read, deeper too."""
    bindings, problems = expand(
        PAY
        + """
bindings:
  Pay: {alias: card, use: pay, with: {amount: 5}}
  Ship:
    alias: ship
    endpointRef: shop.ship
    inputTemplate: {body: ["{{step.card.outputs.id}}", "{{step.card.outputs.whole[0]}}"]}
    businessRules: [response.id == step.card.outputs.id]
"""
    )
    assert problems == []
    (ship,) = bindings.bindings["Ship"]
    assert ship.input_template == {
        "body": ["{{ step.card_charge.response.body.id }}", "{{ [5, step.card_booked.status][0] }}"]
    }
    assert ship.business_rules[0].rule == "response.id == step.card_charge.response.body.id"


def test_custom_steps_use_each_other_and_come_from_included_files(expand: Expand) -> None:
    """A file is read once, relative to who includes it; outputs pass through."""
    outer = """
include: [inner.yaml]
customSteps:
  order:
    inputs: {total: }
    steps:
      - {alias: money, use: pay, with: {amount: "{{input.total}}"}}
      - {alias: done, endpointRef: shop.done, inputTemplate: {path: {id: "{{step.money.outputs.id}}"}}}
    outputs: {id: step.money.outputs.id}
"""
    bindings, problems = expand(
        """
include: [outer.yaml, inner.yaml]
bindings:
  A: {use: order, with: {total: "{{data.t}}"}}
  B: {alias: b, endpointRef: shop.b, inputTemplate: {path: {id: "{{step.order.outputs.id}}"}}}
""",
        outer=outer,
        inner=PAY,
    )
    assert problems == []
    assert [step.alias for step in bindings.bindings["A"]] == [
        "order_money_charge",
        "order_money_booked",
        "order_done",
    ]
    assert bindings.bindings["A"][2].input_template == {
        "path": {"id": "{{ step.order_money_charge.response.body.id }}"}
    }
    assert bindings.bindings["B"][0].input_template == {
        "path": {"id": "{{ step.order_money_charge.response.body.id }}"}
    }


def test_steps_of_an_included_file_have_their_place_from_where_the_user_is(
    expand: Expand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the steps of a sidecar have it, and not by a path from the root of the machine."""
    monkeypatch.chdir(tmp_path)
    sidecar = "include: [steps.yaml]\nbindings: {Pay: {alias: card, use: pay, with: {amount: 1}}}"
    bindings, problems = expand(sidecar, steps=PAY)
    assert problems == []
    assert [str(step.place) for step in bindings.bindings["Pay"]] == ["steps.yaml:9:9", "steps.yaml:13:9"]


def test_custom_assertion_gives_way_to_its_rules(expand: Expand) -> None:
    """Its rules are rules of the step, with the inputs in place; a name of the use goes before that of the rule."""
    bindings, problems = expand(
        """
customAssertions:
  money: {inputs: {of: , least: {default: 0}}, rules: ["input.of >= input.least", {rule: input.of < 100, name: small}]}
bindings:
  A:
    alias: a
    endpointRef: shop.a
    businessRules: [status == 200, {use: money, with: {of: "{{response.body.total}}"}}]
"""
    )
    assert problems == []
    assert [(rule.rule, rule.name) for rule in bindings.bindings["A"][0].business_rules] == [
        ("status == 200", None),
        ("response.body.total >= 0", None),
        ("response.body.total < 100", "small"),
    ]


@pytest.mark.parametrize(
    ("sidecar", "told"),
    [
        (
            PAY + "bindings: {A: {use: payy, with: {amount: 1}}}",
            "order.orchestra.yaml:19:15: unknown custom step 'payy'\nhint: did you mean 'pay'?",
        ),
        (
            PAY + "bindings: {A: {use: pay}}",
            "order.orchestra.yaml:19:15: custom step 'pay' needs input 'amount'\nhint: give it: 'with: {amount: ...}'",
        ),
        (
            PAY + "bindings: {A: {use: pay, with: {amount: 1, curency: USD}}}",
            "order.orchestra.yaml:19:15: custom step 'pay' has no input 'curency'\nhint: did you mean 'currency'?",
        ),
        (
            PAY + "bindings:\n  A: {use: pay, with: {amount: 1}}\n  B: {endpointRef: s.b, until: step.pay.outputs.x}",
            "order.orchestra.yaml:21:6: step 'pay' has no output 'x'\nhint: known: id, whole",
        ),
        (
            "customSteps: {a: {steps: {use: b}}, b: {steps: {use: a}}}\nbindings: {A: {use: a}}",
            "order.orchestra.yaml:1:48: custom steps use each other in a circle: 'a' uses 'b' uses 'a'",
        ),
        (
            "customSteps: {a: {steps: {alias: x, endpointRef: s.a, until: input.z > 1}}}\nbindings: {A: {use: a}}",
            "order.orchestra.yaml:1:1: 'a' reads an input 'z' that it does not declare",
        ),
        (
            "bindings: {A: {alias: a, endpointRef: s.a, businessRules: [{use: money}]}}",
            "order.orchestra.yaml:1:15: unknown custom assertion 'money'",
        ),
        (
            PAY + "bindings: {A: {use: pay, with: {amount: '{{1 + }}'}}}",
            "order.orchestra.yaml:19:15: cannot read the expression '1 + ': unexpected 'end of the expression'",
        ),
    ],
)
def test_wrong_use_is_told_with_its_place(expand: Expand, sidecar: str, told: str) -> None:
    """Nothing is left out in silence."""
    _, problems = expand(sidecar)
    assert problems[0] == told or problems[0].startswith(f"{told}\nhint: ")


def test_fields_beside_use_are_refused(expand: Expand) -> None:
    """What a custom step does is said in one place."""
    with pytest.raises(DefinitionError, match="'until' cannot stand beside 'use': the custom step has that"):
        expand(PAY + "bindings: {A: {use: pay, with: {amount: 1}, until: status == 200}}")
    with pytest.raises(DefinitionError, match="a rule has either 'rule' or 'use'"):
        expand("bindings: {A: {alias: a, endpointRef: s.a, businessRules: [{name: empty}]}}")


def test_missing_file_of_custom_steps_is_told_with_the_place_of_its_include(expand: Expand) -> None:
    """So is one that cannot be read."""
    with pytest.raises(DefinitionError, match=r"the file of custom steps 'nowhere\.yaml' is missing") as missing:
        expand("bindings: {}\ninclude: [nowhere.yaml]")
    assert str(missing.value.place).endswith("order.orchestra.yaml:2:1")
    with pytest.raises(DefinitionError, match="unknown field 'customStep'"):
        expand("include: [wrong.yaml]", wrong="customStep: {}")


def test_outcome_is_said_where_a_custom_step_is_used(expand: Expand) -> None:
    """All its steps belong to that end of the activity; it knows nothing of activities itself."""
    use = "bindings: {Pay: {use: pay, outcome: normal, with: {amount: 1}}}"
    bindings, problems = expand(PAY + use)
    assert problems == []
    assert [step.outcome for step in bindings.bindings["Pay"]] == ["normal", "normal"]
    _, problems = expand(PAY.replace("causedBy: charge", "outcome: normal") + use)
    assert problems == [
        (
            "order.orchestra.yaml:13:9: a step of custom step 'pay' has an 'outcome'\n"
            "hint: give it to the step that uses the custom one"
        )
    ]
