"""Participants are simulated by the names of the model's pools as well."""

from __future__ import annotations

import pytest
from simulated_shop import BPMN, SIDECAR, write_project

from pytest_orchestra.cli.loading import loader_of_commands
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.session.pools import participants_by_pool
from pytest_orchestra.session.simulation import SessionSimulation, participants_of

POOLS = (
    "<collaboration id='all'><participant id='shop' name='Shop' processRef='pay'/>"
    "<participant id='bank' name='Payment provider'/><participant id='guard' name='Guard'/>"
    "<participant id='stock' name='Stock-Keeper'/>"
    "<messageFlow id='m' sourceRef='charge' targetRef='bank'/>"
    "<messageFlow id='n' sourceRef='bank' targetRef='settled'/>"
    "<messageFlow id='o' sourceRef='guard' targetRef='shop'/></collaboration><process "
)


WITH_POOLS = BPMN.replace("<process ", POOLS, 1)


def test_pool_stands_for_the_service_that_its_message_flows_call(project, pytester):
    """The real one is not asked: nobody is there."""
    run = project()
    write_project(pytester.path, bpmn=WITH_POOLS)
    run("--orchestra-simulate=Payment provider", "-k", "n5").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("name", "fact", "hint"),
    [
        (
            "Guard",
            "of the pool 'Guard' nobody knows what it does",
            "add 'Guard' to 'simulations' of the sidecar, or bind what exchanges messages with it",
        ),
        ("Shop", "nobody is called 'Shop'", "participants: payments, stock_keeper"),
    ],
)
def test_pool_that_would_simulate_nothing_is_refused(tmp_path, name, fact, hint):
    """A name must not pass for one that does something, and the pool under test is nobody to simulate."""
    sidecar = {**SIDECAR, "simulations": {**SIDECAR["simulations"], "stock_keeper": {}}}
    definitions = loader_of_commands().load(write_project(tmp_path, sidecar, WITH_POOLS))
    assert participants_by_pool(definitions, participants_of(definitions)) == {
        "Payment provider": ("payments",),
        "Guard": (),
        "Stock-Keeper": ("stock_keeper",),
    }
    with pytest.raises(SettingsError) as caught:
        SessionSimulation({}, simulate=name).check_names([definitions])
    assert (caught.value.fact, caught.value.hint) == (f"--orchestra-simulate: {fact}", hint)
