"""Print the plans of a few processes; run by a test in interpreters with different hash seeds."""

from __future__ import annotations

import json
import sys

from process_text import events, process_of

from pytest_orchestra.generation.plans.plan import plan_json, plan_text
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import EventKind

PROCESSES = (
    process_of(
        "start > and1; and1 > a > xor; xor -again> a; xor -on [amount > 5]> and2; and1 > sub > and2; and2 > or1;"
        "or1 -x> b > or2; or1 -y [vip]> c > or2; or1 -z> d > or2; or2 > end; border > e > end;"
        "i > xori; xori > j; xori > k",
        sub={"name": "Inside"},
        border={"attached_to": "sub", "events": events(EventKind.TIMER)},
        i={"scope": "sub"},
        xori={"scope": "sub"},
        j={"scope": "sub"},
        k={"scope": "sub"},
    ),
    process_of("start > xor; xor > a > and; xor > b > and; and > end; lost > end"),
    process_of(";".join(f"start{n} > xor{n}; xor{n} > a{n} > end; xor{n} > b{n} > end" for n in range(5))),
)
BINDINGS = Bindings.model_validate(
    {
        "tags": ["t"],
        "bindings": {
            "a": [{"endpointRef": "s.o"}, {"endpointRef": "s.p", "until": "x"}],
            "j": {"endpointRef": "s.q"},
            "b": [],
            "no such": [],
        },
        "scenarios": [{"key": "mine", "decisions": {"xor": "on", "nowhere": "x"}}],
        "decisions": {"or1": {"x": "data.amount > 7"}},
    }
)
DATA = tuple(TestDataSet(f"d{n}", {"amount": n, "vip": n % 2 == 0}, tags=(f"t{n % 3}",)) for n in range(12))

for process in PROCESSES:
    for bindings in (None, BINDINGS):
        suite = build_suite(process, bindings, DATA, criteria=tuple(Criterion))
        versions = [scenario.version for scenario in suite.scenarios]
        sys.stdout.write(json.dumps([plan_json(suite, "x"), plan_text(suite, process), versions, repr(suite)]) + "\n")
