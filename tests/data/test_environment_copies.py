"""Copies of an environment in which connections lead elsewhere."""

from __future__ import annotations

from pytest_orchestra.model.environment import Environment

WRITTEN = {
    "services": {"orders": {"baseUrl": "http://a", "verifyTls": False}},
    "dbProfiles": {"shop": {"url": "postgresql://a/shop", "defaultSchema": "orders"}},
    "kafkaProfiles": {"events": {"bootstrapServers": "a:9092", "createTopics": True}},
    "queueProfiles": {"tasks": {"endpoint": "amqp://a", "passwordRef": "env:PASSWORD"}},
    "variables": {"approver": "Joan"},
}


def test_copy_leads_elsewhere_and_keeps_all_other_settings() -> None:
    """A fixture that starts services on free ports changes addresses only; what is new has just its address."""
    written = Environment.model_validate(WRITTEN)
    copy = (
        written.with_services(orders="http://b", payments="http://c")
        .with_databases(shop="postgresql://b/shop", ledger="postgresql://c/ledger")
        .with_kafka(events="b:9092", logs="c:9092")
        .with_queues(tasks="amqp://b", mails="amqp://c")
        .with_variables(approver="Grace", limit=3)
    )
    assert [(each.base_url, each.verify_tls) for each in copy.services.values()] == [
        ("http://b", False),
        ("http://c", True),
    ]
    assert [(each.url, each.default_schema) for each in copy.db_profiles.values()] == [
        ("postgresql://b/shop", "orders"),
        ("postgresql://c/ledger", None),
    ]
    assert [(each.bootstrap_servers, each.create_topics) for each in copy.kafka_profiles.values()] == [
        ("b:9092", True),
        ("c:9092", False),
    ]
    assert [(each.endpoint, each.password_ref) for each in copy.queue_profiles.values()] == [
        ("amqp://b", "env:PASSWORD"),
        ("amqp://c", None),
    ]
    assert copy.variables == {"approver": "Grace", "limit": 3}
    assert written == Environment.model_validate(WRITTEN)
