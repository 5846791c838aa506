"""What connectors and interfaces of all vendors name is the operation of a specification, with what is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from service_models import document_of, infer, messages_of, spec_of, step_of

from pytest_orchestra.generation.binding import infer_bindings
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.readers.process_file import read_process

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"

CAMUNDA = """
<serviceTask id="task" name="Do it"><extensionElements><camunda:connector>
  <camunda:inputOutput>
    <camunda:inputParameter name="url">{url}</camunda:inputParameter>
    <camunda:inputParameter name="method">{method}</camunda:inputParameter>
    <camunda:inputParameter name="headers"><camunda:map>
      <camunda:entry key="X-Tenant">${{tenant}}</camunda:entry>
      <camunda:entry key="Authorization">Basic ${{credentials}}</camunda:entry>
    </camunda:map></camunda:inputParameter>
    <camunda:inputParameter name="payload">{payload}</camunda:inputParameter>
  </camunda:inputOutput>
  <camunda:connectorId>http-connector</camunda:connectorId>
</camunda:connector></extensionElements></serviceTask>
"""


@pytest.fixture
def orders(tmp_path: Path) -> ProtocolSpec:
    """A service with a server of its own."""
    update = {"operationId": "updateOrder", "responses": {"200": {"description": "ok"}}}
    paths = {
        "/orders/{id}": {"get": "getOrder", "put": update},
        "/orders": {"post": "create"},
        "/orders/open": {"get": "open"},
    }
    return spec_of(tmp_path, "orders", paths, servers=[{"url": "https://shop.example/api"}])


def test_camunda_connector_is_the_operation_at_its_url(tmp_path: Path, orders: ProtocolSpec) -> None:
    """URL, method, headers and payload are carried over; a credential is left to the environment."""
    url = "https://shop.example/api/orders/${order.id}?dry=true&amp;by=${user}"
    text = CAMUNDA.format(url=url, method="PUT", payload='{"amount": ${amount}}')
    inferred = infer(document_of(tmp_path, text), orders)
    assert step_of(inferred, "task") == (
        "orders.updateOrder",
        {
            "path": {"id": "{{data.order.id}}"},
            "query": {"dry": "true", "by": "{{data.user}}"},
            "headers": {"X-Tenant": "{{data.tenant}}"},
            "body": {"amount": "{{data.amount}}"},
        },
    )
    assert inferred.how == {"task": "camunda:connector"}
    assert messages_of(inferred) == ["header Authorization of task 'Do it' is not carried over: it is a credential"]


def test_host_that_is_a_variable_is_any_service_with_that_path(tmp_path: Path, orders: ProtocolSpec) -> None:
    """Where the environment gives the host, the path tells the operation, with or without the server's own path."""
    for url in (
        "${BASE}/orders/1",
        "${BASE}/api/orders/1",
        "http://${host}/api/orders/1",
        "http://localhost:8080/orders/1",
    ):
        inferred = infer(document_of(tmp_path, CAMUNDA.format(url=url, method="GET", payload="")), orders)
        assert step_of(inferred, "task")[0] == "orders.getOrder", url


def test_concrete_path_goes_before_a_template(tmp_path: Path, orders: ProtocolSpec) -> None:
    """As OpenAPI has it, ``/orders/open`` is not the order called 'open'."""
    text = CAMUNDA.format(url="https://shop.example/api/orders/open", method="GET", payload="")
    assert step_of(infer(document_of(tmp_path, text), orders), "task")[0] == "orders.open"


@pytest.mark.parametrize(
    ("url", "method"),
    [
        ("https://elsewhere.example/api/orders/1", "GET"),
        ("https://shop.example/orders/1", "GET"),
        ("https://shop.example/api/orders/1", "DELETE"),
        ("https://shop.example/api/orders/1/lines", "GET"),
    ],
)
def test_call_that_no_specification_declares_is_a_problem(
    tmp_path: Path, orders: ProtocolSpec, url: str, method: str
) -> None:
    """Nothing is invented: another host, path or method binds nothing, and says so."""
    inferred = infer(document_of(tmp_path, CAMUNDA.format(url=url, method=method, payload="")), orders)
    assert inferred.steps == {}
    [problem] = inferred.problems
    assert problem.message == f"task 'Do it' calls '{method} {url}', which no specification declares"
    assert (problem.severity, problem.element, problem.hint) == ("info", "task", "bind it in the sidecar")
    assert problem.place.line > 0


def test_call_that_two_specifications_declare_is_a_problem(tmp_path: Path) -> None:
    """Which service is meant is not guessed."""
    first = spec_of(tmp_path, "first", {"/orders": {"get": "listOrders"}})
    second = spec_of(tmp_path, "second", {"/orders": {"get": "allOrders"}})
    inferred = infer(document_of(tmp_path, CAMUNDA.format(url="${a}/orders", method="GET", payload="")), first, second)
    assert inferred.steps == {}
    assert messages_of(inferred) == [
        "task 'Do it' calls 'GET ${a}/orders', which may be 'first.listOrders', 'second.allOrders'"
    ]


def test_expression_that_cannot_be_carried_over_is_named(tmp_path: Path, orders: ProtocolSpec) -> None:
    """The parameter is read from the data by its name, and the problem names the expression."""
    text = CAMUNDA.format(url="${base}/orders/${ids.next()}", method="PUT", payload="${S(x).prop('y')}")
    inferred = infer(document_of(tmp_path, text), orders)
    assert step_of(inferred, "task")[1] == {
        "path": {"id": "{{data.id}}"},
        "headers": {"X-Tenant": "{{data.tenant}}"},
    }
    assert messages_of(inferred)[:2] == [
        "'${ids.next()}' in the url of task 'Do it' cannot be carried over to 'orders.updateOrder'",
        "'${S(x).prop('y')}' in the body of task 'Do it' cannot be carried over to 'orders.updateOrder'",
    ]
    assert [problem.severity for problem in inferred.problems] == ["warning", "warning", "info"]


def test_zeebe_connector_with_feel(tmp_path: Path, orders: ProtocolSpec) -> None:
    """Sources behind '=' are FEEL; members may be mapped one by one."""
    text = """<serviceTask id="task"><extensionElements><zeebe:taskDefinition type="io.camunda:http-json:1"/>
      <zeebe:ioMapping>
        <zeebe:input source="PUT" target="method"/>
        <zeebe:input source="=&quot;https://shop.example/api/orders/&quot; + order id" target="url"/>
        <zeebe:input source="={dry: true, by: user.name}" target="queryParameters"/>
        <zeebe:input source="=tenant" target="headers.X-Tenant"/>
        <zeebe:input source="={amount: amount, kind: &quot;small&quot;}" target="body"/>
      </zeebe:ioMapping></extensionElements></serviceTask>"""
    inferred = infer(document_of(tmp_path, text), orders)
    assert step_of(inferred, "task") == (
        "orders.updateOrder",
        {
            "path": {"id": "{{data['order id']}}"},
            "query": {"dry": True, "by": "{{data.user.name}}"},
            "headers": {"X-Tenant": "{{data.tenant}}"},
            "body": {"amount": "{{data.amount}}", "kind": "small"},
        },
    )
    assert inferred.how["task"] == "zeebe http-json"
    assert inferred.problems == ()


@pytest.mark.parametrize("space", ["flowable", "activiti"])
def test_flowable_http_task(tmp_path: Path, orders: ProtocolSpec, space: str) -> None:
    """Fields hold text or expressions, as elements or attributes."""
    text = f"""<serviceTask id="task" {space}:type="http"><extensionElements>
      <{space}:field name="requestMethod"><{space}:string>PUT</{space}:string></{space}:field>
      <{space}:field name="requestUrl"><{space}:expression>${{base}}/orders/${{id}}</{space}:expression></{space}:field>
      <{space}:field name="requestHeaders" stringValue="X-Tenant: ${{tenant}}"/>
      <{space}:field name="requestBody"><{space}:string><![CDATA[{{"note": "${{note}}"}}]]></{space}:string>
      </{space}:field>
    </extensionElements></serviceTask>"""
    inferred = infer(document_of(tmp_path, text), orders)
    assert step_of(inferred, "task") == (
        "orders.updateOrder",
        {
            "path": {"id": "{{data.id}}"},
            "headers": {"X-Tenant": "{{data.tenant}}"},
            "body": {"note": "{{data.note}}"},
        },
    )
    assert inferred.how["task"] == "flowable http task"


def test_rest_work_item_of_kogito(tmp_path: Path, orders: ProtocolSpec) -> None:
    """Data inputs are the call: parameters of the path where the URL names them, else members of the body."""

    def given(name: str, text: str = "", variable: str = "") -> str:
        source = f"<sourceRef>{variable}</sourceRef>" if variable else ""
        assignment = f"<assignment><from>{text}</from><to>{name}_in</to></assignment>" if text else ""
        return f"<dataInputAssociation>{source}<targetRef>{name}_in</targetRef>{assignment}</dataInputAssociation>"

    inputs = "".join(
        f'<dataInput id="{name}_in" name="{name}"/>' for name in ("Url", "Method", "key", "note", "TaskName")
    )
    text = f"""<task id="task" drools:taskName="Rest"><ioSpecification>{inputs}<inputSet/><outputSet/></ioSpecification>
      {given("Url", "/api/orders/{key}")}{given("Method", "PUT")}{given("TaskName", "Rest")}
      {given("key", variable="orderKey")}{given("note", "kept")}</task>"""
    inferred = infer(document_of(tmp_path, text), orders)
    assert step_of(inferred, "task") == (
        "orders.updateOrder",
        {"path": {"id": "{{data.orderKey}}"}, "body": {"note": "kept"}},
    )
    assert inferred.how["task"] == "Rest work item"


ROUTE = """<startEvent id="start"><extensionElements>
  <ep:elementParameter name="StartSignalRoute">{{"method":"GET","route":"{{id}}"}}</ep:elementParameter>
</extensionElements></startEvent><task id="look" name="Look"/>
<endEvent id="found"><extensionElements>
  <ep:elementParameter name="EndSignalRoute">{{"code":200}}</ep:elementParameter></extensionElements></endEvent>
<endEvent id="lost"><extensionElements>
  <ep:elementParameter name="EndSignalRoute">{{"code":404}}</ep:elementParameter></extensionElements></endEvent>
<sequenceFlow id="a" sourceRef="start" targetRef="look"/><sequenceFlow id="b" sourceRef="look" targetRef="found"/>
<sequenceFlow id="c" sourceRef="look" targetRef="lost"/>""".format()


def test_signal_route_is_called_at_the_ends_with_their_status(tmp_path: Path) -> None:
    """The process is one operation; the status that is expected is that of the end which the path leads to."""
    spec = spec_of(tmp_path, "usage", {"/tmf/usageReport/{id}": {"get": "report"}, "/tmf/other/{id}": {"get": "other"}})
    inferred = infer(document_of(tmp_path, ROUTE, name="UsageReport_GET"), spec)
    assert {element: steps[0].expected_status_code for element, steps in inferred.steps.items()} == {
        "found": 200,
        "lost": 404,
    }
    assert step_of(inferred, "found") == ("usage.report", {"path": {"id": "{{data.id}}"}})


def test_signal_route_is_called_at_the_start_where_the_sidecar_has_steps(tmp_path: Path) -> None:
    """Steps of the user's own follow the call, which may then end in any of the statuses."""
    spec = spec_of(tmp_path, "usage", {"/usageReport/{id}": {"get": "report"}})
    bindings = Bindings.model_validate({"bindings": {"Look": {"endpointRef": "usage.report"}}})
    inferred = infer(document_of(tmp_path, ROUTE, name="UsageReport_GET"), spec, bindings=bindings)
    assert inferred.steps.keys() == {"start"}
    assert inferred.steps["start"][0].expected_status_code == [200, 404]


def test_operation_ref_with_the_openapi_extension(tmp_path: Path) -> None:
    """Server, path and method are on the interface; what fills its parameters is on the task."""
    roots = """<message id="in"><extensionElements><openapi:parameter name="key" in="path"/>
      <openapi:parameter name="$filter" in="query"/>
      <openapi:parameter name="Prefer" in="header" defaultValue="minimal"/>
      <openapi:parameter name="note" in="body"/></extensionElements></message>
      <interface id="i" name="HR" openapi:server="https://hr.example/odata">
      <operation id="op" name="Update" openapi:method="PATCH" openapi:path="/vacation({key})">
      <inMessageRef>in</inMessageRef></operation></interface>"""

    def entry(name: str, text: str) -> str:
        return f"""<dmn:contextEntry><dmn:variable name="{name}"/><dmn:literalExpression>
          <dmn:text>{text}</dmn:text></dmn:literalExpression></dmn:contextEntry>"""

    entries = (
        entry("key", "Badge Number") + entry("$filter", '"id eq " + string(Badge Number)') + entry("note", "note.text")
    )
    text = f"""<serviceTask id="task" operationRef="op"><extensionElements><dmn:context>{entries}</dmn:context>
      </extensionElements></serviceTask>"""
    paths = {"/vacation({employee})": {"patch": "updateVacation"}}
    spec = spec_of(tmp_path, "hr", paths, servers=[{"url": "https://hr.example/odata"}])
    inferred = infer(document_of(tmp_path, text, roots), spec)
    assert step_of(inferred, "task") == (
        "hr.updateVacation",
        {
            "path": {"employee": "{{data['Badge Number']}}"},
            "query": {"$filter": "id eq {{data['Badge Number']}}"},
            "headers": {"Prefer": "minimal"},
            "body": {"note": "{{data.note.text}}"},
        },
    )
    assert inferred.how["task"] == "operationRef"


def test_operation_ref_by_name_or_implementation(tmp_path: Path) -> None:
    """Without the extension, the interface operation's implementation, else its name, is the operationId."""
    roots = """<interface id="i" name="stock"><operation id="one" name="x" implementationRef="reserveGoods"/>
      <operation id="two" name="Release goods"/></interface>"""
    text = '<serviceTask id="a" operationRef="one"/><sendTask id="b" operationRef="tns:two"/>'
    paths = {"/a": {"post": "reserveGoods"}, "/b": {"post": "releaseGoods"}}
    inferred = infer(document_of(tmp_path, text, roots), spec_of(tmp_path, "stock", paths))
    assert {element: step_of(inferred, element)[0] for element in inferred.steps} == {
        "a": "stock.reserveGoods",
        "b": "stock.releaseGoods",
    }


def test_receive_task_makes_no_call(tmp_path: Path, orders: ProtocolSpec) -> None:
    """Its operation is the one by which the process is called."""
    roots = '<interface id="i" name="orders"><operation id="op" name="create"/></interface>'
    inferred = infer(document_of(tmp_path, '<receiveTask id="r" name="create" operationRef="op"/>', roots), orders)
    assert inferred.steps == {}


def test_url_in_the_model_counts_only_if_a_specification_has_it(tmp_path: Path, orders: ProtocolSpec) -> None:
    """The name of a language is a URL too; nobody is told of it."""
    text = """<serviceTask id="a" implementation="https://shop.example/api/orders/open"/>
      <businessRuleTask id="b" implementation="http://www.jboss.org/drools/dmn"/>"""
    inferred = infer(document_of(tmp_path, text), orders)
    assert {element: step_of(inferred, element)[0] for element in inferred.steps} == {"a": "orders.open"}
    assert inferred.how["a"] == "URL in the model"
    assert inferred.problems == ()


CALLS = [
    ("camunda+camunda-bpm-examples/invokeRestService.bpmn", "ServiceTask_1", "camunda:connector",
     "GET http://feiertage.jarmedia.de/api/?jahr=2014&nur_land=BE"),
    ("flowable+flowable-engine/HttpServiceTaskTest.testHttpPost2XX.bpmn20.xml", "httpPost", "flowable http task",
     "POST https://localhost:9799/api?code=201"),
    ("camunda-community-hub+bpmn-driven-testing/outboundConnectorError.bpmn", "outboundConnector", "zeebe http-json",
     'GET =""'),
    ("apache+incubator-kie-kogito-examples/users.bpmn", "_296CCA4D-3C70-469C-A10E-2FF421D4D7A8", "Rest work item",
     "GET /v2/user/{username}"),
    ("mef-dev+bpmn-examples/TMF677_Get_QueryUsageConsumption.bpmn", "Event_1hk2ab0", "signal route",
     "GET /QueryUsageConsumption/{id}"),
    ("mef-dev+bpmn-examples/TMF622_Post_CancelProductOrder.bpmn", "Event_1hk2ab0", "signal route",
     "POST /cancelProductOrder"),
    ("bpmn-miwg+bpmn-miwg-test-suite/Reference/C.8.1.bpmn", "_2b960d84-feb1-46a9-a1a1-c300dd996b99", "operationRef",
     "GET https://odata.triso.tech/simon/simon/vacation"),
    ("bpmn-miwg+bpmn-miwg-test-suite/Reference/C.8.1.bpmn", "_4b72053b-8ebb-4ae6-99c6-7c93cf1c1d1b", "operationRef",
     "PATCH https://odata.triso.tech/simon/simon/vacation({employeeId})"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "element", "rule", "label"), CALLS)
def test_real_file_names_its_call(file: str, element: str, rule: str, label: str) -> None:
    """Files of every vendor tell method and URL."""
    path = CORPUS / "bpmn" / file
    if not path.is_file():
        pytest.skip("the corpus is not beside this repository")
    document = read_process(path)
    call = infer_bindings(document.processes[0], document, {}, None).calls[element]
    assert (call.rule, call.label) == (rule, label)


@pytest.mark.parametrize(
    ("model", "spec", "operation", "statuses"),
    [
        ("TMF677_Get_QueryUsageConsumption.bpmn", "tmf677_usageconsumption.json", "GET /queryusageconsumption/{id}",
         [200, 204, 206, 404, 500]),
        ("TMF622_Post_CancelProductOrder.bpmn", "TMF622-ProductOrdering-v5.0.0.oas.yaml", "createCancelProductOrder",
         [200, 500]),
    ],
)  # fmt: skip
def test_real_process_of_the_tm_forum_is_an_operation_of_its_specification(
    model: str, spec: str, operation: str, statuses: list[int]
) -> None:
    """Process and specification of the same API find each other, with a status for each end."""
    folder = CORPUS / "bpmn" / "mef-dev+bpmn-examples"
    if not folder.is_dir():
        pytest.skip("the corpus is not beside this repository")
    document = read_process(folder / model)
    service = read_openapi(CORPUS / "openapi" / "mef-dev+bpmn-examples" / spec, "tmf")
    inferred = infer_bindings(document.processes[0], document, {"tmf": service}, None)
    steps = [step for steps in inferred.steps.values() for step in steps]
    assert {step.endpoint_ref.endpoint_name for step in steps if step.endpoint_ref} == {operation}
    assert sorted(step.expected_status_code for step in steps if isinstance(step.expected_status_code, int)) == statuses
    assert json.dumps([step.model_dump(mode="json") for step in steps])
