"""Where each element of BPMN lands in the process model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_orchestra.model.process import (
    Assignment,
    Condition,
    EventDefinition,
    EventKind,
    Extension,
    FlowNode,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Point,
    Process,
    ProcessDocument,
    RootElement,
    Shape,
)
from pytest_orchestra.problem import Place

ReadRoot = Callable[[str], ProcessDocument]
ReadProcess = Callable[[str], Process]


def node_of(process: Process, id_: str = "n") -> FlowNode:
    return process.node[id_]


def text_of(condition: Condition | None) -> str | None:
    return condition.text if condition else None


# ---- flow nodes


@pytest.mark.parametrize("kind", NodeKind)
def test_every_kind_of_node_is_read(read_process: ReadProcess, kind: NodeKind) -> None:
    """Each flow node of BPMN has its kind, its folded name, its documentation and its place."""
    process = read_process(
        f'<{kind} id="n" name=" Check&#10;  the order "><documentation>one</documentation>'
        f"<documentation>\n two \n</documentation><incoming>x</incoming></{kind}>"
    )
    assert process.nodes == (
        FlowNode(id="n", kind=kind, name="Check the order", place=Place("order.bpmn", 3, 1), documentation="one\ntwo"),
    )


@pytest.mark.parametrize("kind", [kind for kind in NodeKind if kind.is_container])
def test_nodes_in_containers_have_their_scope(read_process: ReadProcess, kind: NodeKind) -> None:
    """Nesting is data: the node that holds another stands before it and is its scope."""
    process = read_process(
        f'<{kind} id="outer"><{kind} id="inner"><task id="t"/><dataObject id="d"/></{kind}>'
        '<sequenceFlow id="f" sourceRef="inner" targetRef="inner"/>'
        '<association id="a" sourceRef="inner" targetRef="t"/><textAnnotation id="x"/></'
        f'{kind}><task id="after"/>'
    )
    assert [(node.id, node.scope) for node in process.nodes] == [
        ("outer", None),
        ("inner", "outer"),
        ("t", "inner"),
        ("after", None),
    ]
    assert [flow.id for flow in process.flows] == ["f"]
    assert [(data.id, data.scope) for data in process.data] == [("d", "inner")]
    assert [(association.id, association.scope) for association in process.associations] == [("a", "outer")]
    assert [(artifact.id, artifact.scope) for artifact in process.artifacts] == [("x", "outer")]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('<task id="n" isForCompensation="true"/>', {"is_for_compensation": True}),
        ('<task id="n" isForCompensation=" 0 "/>', {"is_for_compensation": False}),
        ('<userTask id="n" implementation="##unspecified"/>', {"implementation": "##unspecified"}),
        (
            '<serviceTask id="n" implementation="##WebService" operationRef="placeOrder"/>',
            {"implementation": "##WebService", "operation_ref": "placeOrder"},
        ),
        ('<sendTask id="n" messageRef="m" operationRef="o"/>', {"message_ref": "m", "operation_ref": "o"}),
        ('<receiveTask id="n" messageRef="m" instantiate="true"/>', {"message_ref": "m", "instantiate": True}),
        (
            '<scriptTask id="n" scriptFormat="groovy"><script>  a = 1\n  b = "&lt;"</script></scriptTask>',
            {"script_format": "groovy", "script": '  a = 1\n  b = "<"'},
        ),
        (
            '<scriptTask id="n"><script><![CDATA[if (a < b) run();]]></script></scriptTask>',
            {"script": "if (a < b) run();", "script_format": None},
        ),
        ('<scriptTask id="n"><script>\n</script></scriptTask>', {"script": None}),
        ('<businessRuleTask id="n" implementation="drools"/>', {"implementation": "drools"}),
        ('<callActivity id="n" calledElement="Other"/>', {"called_element": "Other"}),
        ('<callActivity id="n" calledElement=""/>', {"called_element": None}),
        ('<callActivity id="n" calledElement="v:Other"/>', {"called_element": "Other"}),
        ('<callActivity id="n" calledElement="v:p"/>', {"called_element": "p"}),
        (
            '<callActivity id="n" calledElement="${fast ? a : b}"/>',
            {"called_element": "${fast ? a : b}"},
        ),
        ('<subProcess id="n" triggeredByEvent="true"/>', {"triggered_by_event": True}),
        (
            (
                '<adHocSubProcess id="n" ordering="Sequential" cancelRemainingInstances="false">'
                "<completionCondition>done</completionCondition></adHocSubProcess>"
            ),
            {
                "ordering": "Sequential",
                "attributes": (("cancelRemainingInstances", "false"),),
                "completion_condition": Condition("done", None, Place("order.bpmn", 3, 80)),
            },
        ),
        ('<transaction id="n" method="##Image"/>', {"attributes": (("method", "##Image"),)}),
        (
            '<exclusiveGateway id="n" gatewayDirection="Diverging"/>',
            {"attributes": (("gatewayDirection", "Diverging"),)},
        ),
        (
            '<eventBasedGateway id="n" instantiate="true" eventGatewayType="Parallel"/>',
            {"instantiate": True, "event_gateway_type": "Parallel"},
        ),
        (
            '<complexGateway id="n"><activationCondition language="feel">two</activationCondition></complexGateway>',
            {"activation_condition": Condition("two", "feel", Place("order.bpmn", 3, 24))},
        ),
        ('<startEvent id="n" isInterrupting="false"/>', {"is_interrupting": False}),
        ('<startEvent id="n" parallelMultiple="true"/>', {"parallel_multiple": True}),
        ('<endEvent id="n"/>', {"is_interrupting": True, "events": ()}),
        (
            (
                '<choreographyTask id="n" initiatingParticipantRef="buyer" loopType="MultiInstanceSequential">'
                "<participantRef>buyer</participantRef><participantRef> seller </participantRef>"
                "<messageFlowRef>m</messageFlowRef></choreographyTask>"
            ),
            {
                "initiating_participant": "buyer",
                "participants": ("buyer", "seller"),
                "message_flows": ("m",),
                "loop": LoopCharacteristics(LoopKind.SEQUENTIAL_MULTI_INSTANCE),
            },
        ),
        ('<choreographyTask id="n" loopType="None"/>', {"loop": None}),
        ('<callChoreography id="n" calledChoreographyRef="other"/>', {"called_element": "other"}),
    ],
)
def test_what_a_node_says_lands_in_its_fields(read_process: ReadProcess, text: str, fields: dict[str, object]) -> None:
    """Attributes and children of each kind of node have a field, or are kept as pairs."""
    node = node_of(read_process(text))
    assert {name: getattr(node, name) for name in fields} == fields


def test_node_without_id_gets_one(read_process: ReadProcess) -> None:
    """Ids that the file leaves out are made of the kind and a number, the same every time."""
    process = read_process('<task/><task id=""/><userTask/><task id="t"/>')
    assert [node.id for node in process.nodes] == ["task#1", "task#2", "userTask#1", "t"]


def test_default_flow_and_conditions_are_read(read_process: ReadProcess) -> None:
    """A flow has its condition with language and place; an empty condition is none."""
    process = read_process(
        '<exclusiveGateway id="g" default="no"/><task id="t"/>\n'
        '<sequenceFlow id="yes" name="it  is" sourceRef="g" targetRef="t" isImmediate="true">\n'
        ' <conditionExpression xsi:type="tFormalExpression" language="feel"> amount &gt; 10 </conditionExpression>\n'
        "</sequenceFlow>\n"
        '<sequenceFlow id="no" sourceRef="g" targetRef="t"><conditionExpression/></sequenceFlow>\n'
        '<sequenceFlow id="mixed" sourceRef="g" targetRef="t"><documentation>why</documentation>'
        "<conditionExpression>a<!-- and --> == <b>1</b>!</conditionExpression></sequenceFlow>"
    )
    assert node_of(process, "g").default_flow == "no"
    yes, no, mixed = process.flows
    assert (yes.name, yes.source, yes.target, yes.attributes) == ("it is", "g", "t", (("isImmediate", "true"),))
    assert yes.place == Place("order.bpmn", 4, 1)
    assert yes.condition == Condition("amount > 10", "feel", Place("order.bpmn", 5, 2))
    assert no.condition is None
    assert text_of(mixed.condition) == "a == 1!"
    assert mixed.documentation == "why"


def test_flow_is_found_wherever_it_is_declared(read_root: ReadRoot) -> None:
    """References are global, and the process of a flow is that of its nodes."""
    document = read_root(
        '<process id="p"><sequenceFlow id="f" sourceRef="a" targetRef="b"/></process>'
        '<process id="q"><subProcess id="s"><task id="a"/><task id="b"/></subProcess>'
        '<sequenceFlow id="g" sourceRef="b" targetRef="a"/></process>'
        '<collaboration id="c"><sequenceFlow id="h" sourceRef="a" targetRef="a"/></collaboration>'
        '<sequenceFlow id="i" sourceRef="b" targetRef="b"/>'
    )
    assert [[flow.id for flow in process.flows] for process in document.processes] == [[], ["f", "g", "h", "i"]]


def test_incoming_and_outgoing_children_are_not_believed(read_process: ReadProcess) -> None:
    """The sequence flows alone say what is connected."""
    process = read_process(
        '<task id="a"><outgoing>other</outgoing></task><task id="b"><incoming>none</incoming></task>'
        '<sequenceFlow id="f" sourceRef="a" targetRef="b"/>'
    )
    assert [flow.id for flow in process.outgoing["a"]] == ["f"]
    assert [flow.id for flow in process.incoming["b"]] == ["f"]


# ---- loops


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            (
                '<standardLoopCharacteristics id="l" testBefore="true" loopMaximum="3">'
                "<loopCondition>again</loopCondition></standardLoopCharacteristics>"
            ),
            LoopCharacteristics(
                LoopKind.STANDARD,
                condition=Condition("again", None, Place("order.bpmn", 3, 84)),
                maximum=3,
                test_before=True,
                attributes=(("id", "l"),),
            ),
        ),
        ('<standardLoopCharacteristics loopMaximum=" "/>', LoopCharacteristics(LoopKind.STANDARD)),
        ("<multiInstanceLoopCharacteristics/>", LoopCharacteristics(LoopKind.PARALLEL_MULTI_INSTANCE)),
        (
            (
                '<multiInstanceLoopCharacteristics isSequential="true" behavior="One">'
                "<loopCardinality>3</loopCardinality><loopDataInputRef>orders</loopDataInputRef>"
                '<loopDataOutputRef>results</loopDataOutputRef><inputDataItem id="i" name="order"/>'
                '<outputDataItem id="result"/><completionCondition>enough</completionCondition>'
                "<complexBehaviorDefinition><condition>x</condition></complexBehaviorDefinition>"
                "</multiInstanceLoopCharacteristics>"
            ),
            LoopCharacteristics(
                LoopKind.SEQUENTIAL_MULTI_INSTANCE,
                condition=Condition("enough", None, Place("order.bpmn", 3, 273)),
                cardinality=Condition("3", None, Place("order.bpmn", 3, 83)),
                collection="orders",
                input_item="order",
                output_collection="results",
                output_item="result",
                behavior="One",
                details=(
                    RootElement(
                        "",
                        "complexBehaviorDefinition",
                        scope="n",
                        place=Place("order.bpmn", 3, 322),
                        children=(
                            RootElement("", "condition", text="x", scope="n", place=Place("order.bpmn", 3, 349)),
                        ),
                    ),
                ),
            ),
        ),
        (
            (
                '<multiInstanceLoopCharacteristics xmlns:f="http://flowable.org/bpmn" f:collection="orders" '
                'f:elementVariable="order"/>'
            ),
            LoopCharacteristics(
                LoopKind.PARALLEL_MULTI_INSTANCE,
                collection="orders",
                input_item="order",
                extensions=(
                    Extension("{http://flowable.org/bpmn}collection", text="orders", is_attribute=True),
                    Extension("{http://flowable.org/bpmn}elementVariable", text="order", is_attribute=True),
                ),
            ),
        ),
    ],
)
def test_loops_are_read(read_process: ReadProcess, text: str, expected: LoopCharacteristics) -> None:
    """Standard loops and multi-instance keep all that they say."""
    assert node_of(read_process(f'<task id="n">{text}</task>')).loop == expected


def test_zeebe_loop_and_called_element_are_understood(read_process: ReadProcess) -> None:
    """Camunda 8 says in extensions what BPMN says in attributes."""
    node = node_of(
        read_process(
            '<callActivity id="n" xmlns:z="http://camunda.org/schema/zeebe/1.0"><extensionElements>'
            '<z:calledElement processId="Other"/></extensionElements><multiInstanceLoopCharacteristics>'
            '<extensionElements><z:loopCharacteristics inputCollection="=orders" inputElement="order"/>'
            "</extensionElements></multiInstanceLoopCharacteristics></callActivity>"
        )
    )
    assert node.called_element == "Other"
    assert node.extensions == (
        Extension("{http://camunda.org/schema/zeebe/1.0}calledElement", (("processId", "Other"),)),
    )
    assert node.loop is not None
    assert (node.loop.collection, node.loop.input_item) == ("=orders", "order")


# ---- events

ROOTS = (
    '<message id="m" name="Order placed"/><signal id="s" name="Alarm"/><error id="e" name="Failed" errorCode="E1"/>'
    '<escalation id="x" name="Late" escalationCode="L1"/>'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '<messageEventDefinition id="d" messageRef="m"><operationRef>o</operationRef></messageEventDefinition>',
            EventDefinition(EventKind.MESSAGE, "d", "m", "Order placed", operation_ref="o"),
        ),
        ('<messageEventDefinition messageRef="v:m"/>', EventDefinition(EventKind.MESSAGE, None, "m", "Order placed")),
        ('<messageEventDefinition messageRef="gone"/>', EventDefinition(EventKind.MESSAGE, None, "gone")),
        ("<messageEventDefinition/>", EventDefinition(EventKind.MESSAGE)),
        ('<signalEventDefinition signalRef="s"/>', EventDefinition(EventKind.SIGNAL, ref="s", reference="Alarm")),
        ('<errorEventDefinition errorRef="e"/>', EventDefinition(EventKind.ERROR, ref="e", reference="E1")),
        (
            '<escalationEventDefinition escalationRef="x"/>',
            EventDefinition(EventKind.ESCALATION, ref="x", reference="L1"),
        ),
        (
            '<compensateEventDefinition activityRef="t" waitForCompletion="false"/>',
            EventDefinition(EventKind.COMPENSATE, ref="t", wait_for_completion=False),
        ),
        ("<cancelEventDefinition/>", EventDefinition(EventKind.CANCEL)),
        ("<terminateEventDefinition/>", EventDefinition(EventKind.TERMINATE)),
        (
            (
                '<linkEventDefinition name=" to  B "><source>a</source><source>b</source><target>c</target>'
                "</linkEventDefinition>"
            ),
            EventDefinition(EventKind.LINK, ref="to B", link_sources=("a", "b"), link_target="c"),
        ),
        (
            '<conditionalEventDefinition><condition language="feel">x > 1</condition></conditionalEventDefinition>',
            EventDefinition(EventKind.CONDITIONAL, expression=Condition("x > 1", "feel", Place("order.bpmn", 3, 53))),
        ),
        (
            "<timerEventDefinition><timeDate>2030-01-01T00:00:00Z</timeDate></timerEventDefinition>",
            EventDefinition(
                EventKind.TIMER,
                timer="timeDate",
                expression=Condition("2030-01-01T00:00:00Z", None, Place("order.bpmn", 3, 47)),
            ),
        ),
        (
            "<timerEventDefinition><timeDuration>\n PT5M \n</timeDuration></timerEventDefinition>",
            EventDefinition(
                EventKind.TIMER,
                timer="timeDuration",
                expression=Condition("PT5M", None, Place("order.bpmn", 3, 47)),
            ),
        ),
        (
            "<timerEventDefinition><timeDate/><timeCycle>R3/PT1H</timeCycle></timerEventDefinition>",
            EventDefinition(
                EventKind.TIMER,
                timer="timeCycle",
                expression=Condition("R3/PT1H", None, Place("order.bpmn", 3, 58)),
            ),
        ),
        (
            "<timerEventDefinition><timeDate></timeDate></timerEventDefinition>",
            EventDefinition(EventKind.TIMER, timer="timeDate"),
        ),
        ("<timerEventDefinition/>", EventDefinition(EventKind.TIMER)),
    ],
)
def test_event_definitions_are_read(read_root: ReadRoot, text: str, expected: EventDefinition) -> None:
    """Every event definition has its kind, what it refers to, and the name or code of that."""
    document = read_root(
        f'<process id="p"><task id="t"/>\n<intermediateCatchEvent>{text}</intermediateCatchEvent></process>\n{ROOTS}'
    )
    assert document.problems == ()
    [event] = document.processes[0].nodes[1].events
    assert event.place == Place("order.bpmn", 3, 25)
    assert event == EventDefinition(
        **{name: getattr(expected, name) for name in EventDefinition.__dataclass_fields__ if name != "place"},
        place=event.place,
    )


def test_several_definitions_of_one_event_keep_their_order(read_root: ReadRoot) -> None:
    """Definitions in the event and references to root definitions stand as the file has them."""
    document = read_root(
        '<timerEventDefinition id="daily"><timeCycle>R/P1D</timeCycle></timerEventDefinition>'
        '<process id="p"><startEvent id="n" parallelMultiple="true"><messageEventDefinition/>'
        "<eventDefinitionRef>daily</eventDefinitionRef><signalEventDefinition/>"
        "<eventDefinitionRef>v:daily</eventDefinitionRef></startEvent></process>"
    )
    node = document.processes[0].nodes[0]
    assert node.parallel_multiple
    assert [event.kind for event in node.events] == [
        EventKind.MESSAGE,
        EventKind.TIMER,
        EventKind.SIGNAL,
        EventKind.TIMER,
    ]
    assert [text_of(event.expression) for event in node.events] == [None, "R/P1D", None, "R/P1D"]
    assert [(element.id, element.kind, element.text) for element in document.elements] == [
        ("daily", "timerEventDefinition", "R/P1D")
    ]


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_definition_may_stand_at_the_root(read_root: ReadRoot, kind: EventKind) -> None:
    """Root definitions are elements of the document and can be referred to."""
    document = read_root(
        f'<{kind} id="d"/><process id="p"><endEvent><eventDefinitionRef>d</eventDefinitionRef></endEvent></process>'
    )
    assert [event.kind for event in document.processes[0].nodes[0].events] == [kind]
    assert [(element.id, element.kind) for element in document.elements] == [("d", kind)]


def test_boundary_events_know_their_activity(read_process: ReadProcess) -> None:
    """Interrupting is the default, and the activity may stand after the event."""
    process = read_process(
        '<boundaryEvent id="b" attachedToRef="t" cancelActivity="false"/><boundaryEvent id="c" attachedToRef="t"/>'
        '<task id="t"/>'
    )
    assert [(node.attached_to, node.is_interrupting) for node in process.nodes[:2]] == [("t", False), ("t", True)]


def test_compensation_is_an_association(read_process: ReadProcess) -> None:
    """The handler hangs on the boundary event by an association."""
    process = read_process(
        '<task id="t"/><boundaryEvent id="b" attachedToRef="t"><compensateEventDefinition/></boundaryEvent>'
        '<task id="undo" isForCompensation="true"/>'
        '<association id="a" associationDirection="One" sourceRef="b" targetRef="undo"/>'
    )
    [association] = process.associations
    assert (association.source, association.target, association.direction) == ("b", "undo", "One")


# ---- lanes, data, artifacts


def test_lanes_nest_and_hold_nodes(read_process: ReadProcess) -> None:
    """A lane names its nodes, its parent, and the sub-process that it divides."""
    process = read_process(
        '<laneSet id="ls"><lane id="l" name="Sales"><flowNodeRef>t</flowNodeRef>'
        '<childLaneSet><lane id="m"><flowNodeRef>s</flowNodeRef><flowNodeRef>d</flowNodeRef></lane></childLaneSet>'
        '</lane></laneSet><task id="t"/><dataObject id="d"/>'
        '<subProcess id="s"><laneSet><lane id="k" partitionElementRef="r"/></laneSet></subProcess>'
    )
    assert [(lane.id, lane.name, lane.nodes, lane.parent, lane.scope) for lane in process.lanes] == [
        ("l", "Sales", ("t",), None, None),
        ("m", "", ("s",), "l", None),
        ("k", "", (), None, "s"),
    ]
    assert process.lanes[2].attributes == (("partitionElementRef", "r"),)


def test_data_elements_are_read(read_root: ReadRoot) -> None:
    """Objects, stores, references, properties, inputs and outputs are data elements of the process."""
    document = read_root(
        '<dataStore id="st" name="Stock" itemSubjectRef="i" capacity="5"/>'
        '<process id="p"><ioSpecification><dataInput id="pi"/><inputSet id="is"><dataInputRefs>pi</dataInputRefs>'
        '</inputSet></ioSpecification><property id="pp" name="total"/>'
        '<dataObject id="do" name="Order" itemSubjectRef="v:st" isCollection="1"><dataState name="new"/></dataObject>'
        '<dataObjectReference id="dr" dataObjectRef="do"/><dataStoreReference id="sr" dataStoreRef="v:st"/>'
        '<task id="t"><ioSpecification><dataInput id="ti" name="x"/><dataOutput id="to"/></ioSpecification>'
        '<property id="tp"/></task><endEvent id="e"><dataInput id="ei"/></endEvent></process>'
    )
    process = document.processes[0]
    assert [(data.id, data.kind, data.name, data.ref, data.scope) for data in process.data] == [
        ("pi", "dataInput", "", None, None),
        ("pp", "property", "total", None, None),
        ("do", "dataObject", "Order", None, None),
        ("dr", "dataObjectReference", "", "do", None),
        ("sr", "dataStoreReference", "", "st", None),
        ("ti", "dataInput", "x", None, "t"),
        ("to", "dataOutput", "", None, "t"),
        ("tp", "property", "", None, "t"),
        ("ei", "dataInput", "", None, "e"),
    ]
    order = process.data[2]
    assert (order.item_ref, order.is_collection, order.state) == ("st", True, "new")
    assert [(detail.kind, detail.children[0].text) for detail in process.details] == [("inputSet", "pi")]
    assert [(element.id, element.kind, element.name, element.ref) for element in document.elements] == [
        ("st", "dataStore", "Stock", "i")
    ]


def test_data_associations_are_read(read_process: ReadProcess) -> None:
    """Sources, target, transformation and assignments are kept, with the node that they belong to."""
    process = read_process(
        '<dataObject id="d"/><task id="t"><ioSpecification><dataInput id="i"/></ioSpecification>'
        '<dataInputAssociation id="a"><sourceRef>d</sourceRef><sourceRef>v:i</sourceRef><targetRef>i</targetRef>'
        '<transformation language="x">f(d)</transformation><assignment language="y" id="z" v:a="1"><v:b/>'
        "<from>d.id</from><to>i</to></assignment></dataInputAssociation></task>"
        '<endEvent><dataOutputAssociation id="b"><targetRef>elsewhere</targetRef></dataOutputAssociation></endEvent>'
    )
    first, second = process.associations
    assert (first.kind, first.source, first.sources, first.target, first.scope) == (
        "dataInputAssociation",
        "d",
        ("d", "i"),
        "i",
        "t",
    )
    assert first.transformation == Condition("f(d)", "x", Place("order.bpmn", 3, 191))
    [assignment] = first.assignments
    assert isinstance(assignment, Assignment)
    assert (text_of(assignment.source), text_of(assignment.target), assignment.language) == ("d.id", "i", "y")
    assert (second.kind, second.source, second.target) == ("dataOutputAssociation", None, "elsewhere")


def test_annotations_and_groups_are_artifacts(read_process: ReadProcess) -> None:
    """What is only drawn is kept beside the flow."""
    process = read_process(
        '<task/><textAnnotation id="a"><text>Mind <b>the</b> gap</text></textAnnotation>'
        '<textAnnotation id="b" text="short"/><group id="g" categoryValueRef="c"/>'
    )
    assert [(item.id, item.kind, item.text, item.ref) for item in process.artifacts] == [
        ("a", "textAnnotation", "Mind the gap", None),
        ("b", "textAnnotation", "short", None),
        ("g", "group", "", "c"),
    ]


# ---- what surrounds the processes


def test_collaboration_is_read(read_root: ReadRoot) -> None:
    """Pools, messages between them and conversations are there, black boxes too."""
    document = read_root(
        '<collaboration id="c" name="Order" isClosed="true"><participant id="a" name="Shop" processRef="v:p">'
        '<interfaceRef>i</interfaceRef><endPointRef>e</endPointRef><participantMultiplicity minimum="2" maximum="5"/>'
        '</participant><participant id="b"><participantMultiplicity/></participant>'
        '<messageFlow id="m" name="the order" sourceRef="b" targetRef="t" messageRef="msg"/>'
        '<messageFlow id="n" sourceRef="a" targetRef="b"/><conversation id="talk"><participantRef>a</participantRef>'
        '</conversation><subConversation id="sub"/><callConversation id="call"/><conversationLink id="link"/>'
        '<correlationKey id="key" name="k"><correlationPropertyRef>cp</correlationPropertyRef></correlationKey>'
        '<association id="as" sourceRef="a" targetRef="x"/><textAnnotation id="x"/><group id="g"/></collaboration>'
        '<process id="p"><task id="t"/></process><message id="msg"/>'
    )
    assert document.problems == ()
    [collaboration] = document.collaborations
    assert (collaboration.id, collaboration.name, collaboration.kind, collaboration.is_closed) == (
        "c",
        "Order",
        "collaboration",
        True,
    )
    shop, black_box = collaboration.participants
    assert (shop.process_ref, shop.multiplicity, shop.interfaces, shop.end_points) == ("p", (2, 5), ("i",), ("e",))
    assert (black_box.process_ref, black_box.multiplicity) == (None, (0, 1))
    assert [(flow.source, flow.target, flow.name, flow.message_ref) for flow in collaboration.message_flows] == [
        ("b", "t", "the order", "msg"),
        ("a", "b", "", None),
    ]
    assert [(item.kind, item.id) for item in collaboration.conversations] == [
        ("conversation", "talk"),
        ("subConversation", "sub"),
        ("callConversation", "call"),
        ("conversationLink", "link"),
    ]
    assert collaboration.conversations[0].children[0].text == "a"
    assert [(item.kind, item.children[0].text) for item in collaboration.details] == [("correlationKey", "cp")]
    assert [item.id for item in collaboration.associations] == ["as"]
    assert [item.kind for item in collaboration.artifacts] == ["textAnnotation", "group"]


def test_choreography_is_a_process_and_a_collaboration(read_root: ReadRoot) -> None:
    """Its tasks form a control flow, its participants exchange messages."""
    document = read_root(
        '<choreography id="c" name="Haggle"><participant id="a"/><participant id="b"/>'
        '<messageFlow id="m" sourceRef="a" targetRef="b"/><startEvent id="s"/><choreographyTask id="t"/>'
        '<sequenceFlow id="f" sourceRef="s" targetRef="t"/></choreography>'
    )
    assert document.problems == ()
    [process] = document.processes
    assert (process.id, process.kind, len(process.nodes), len(process.flows)) == ("c", "choreography", 2, 1)
    [collaboration] = document.collaborations
    assert (collaboration.id, collaboration.kind, collaboration.name) == ("c", "choreography", "Haggle")
    assert [participant.id for participant in collaboration.participants] == ["a", "b"]
    assert [flow.id for flow in collaboration.message_flows] == ["m"]


def test_global_conversation_is_a_collaboration(read_root: ReadRoot) -> None:
    """The kind tells it from others."""
    document = read_root(
        '<globalConversation id="g"><participant id="a"/></globalConversation><process><task/></process>'
    )
    assert [(item.kind, item.participants[0].id) for item in document.collaborations] == [("globalConversation", "a")]


def test_interfaces_have_operations(read_root: ReadRoot) -> None:
    """Operations keep their messages, errors and what vendors say of the HTTP call."""
    document = read_root(
        '<interface id="i" name="Orders" implementationRef="urn:orders" v:server="https://x"><operation id="o" '
        'name="place" implementationRef="impl" v:method="post"><inMessageRef>v:m</inMessageRef>'
        "<outMessageRef>m</outMessageRef><errorRef>e</errorRef><errorRef>v:e</errorRef></operation></interface>"
        '<message id="m"/><error id="e"/><process><task id="t" name="x"/></process>'
    )
    [interface] = document.interfaces
    assert (interface.id, interface.name, interface.implementation) == ("i", "Orders", "urn:orders")
    assert interface.extensions == (Extension("{urn:vendor}server", text="https://x", is_attribute=True),)
    [operation] = interface.operations
    assert (operation.id, operation.name, operation.implementation) == ("o", "place", "impl")
    assert (operation.in_message, operation.out_message, operation.errors) == ("m", "m", ("e", "e"))
    assert operation.extensions == (Extension("{urn:vendor}method", text="post", is_attribute=True),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<message id="r" name="Order" itemRef="i"/>', {"name": "Order", "ref": "i"}),
        ('<signal id="r" name="Alarm" structureRef="i"/>', {"name": "Alarm", "ref": "i"}),
        ('<error id="r" name="F" errorCode="E1" structureRef="i"/>', {"name": "F", "code": "E1", "ref": "i"}),
        ('<escalation id="r" escalationCode="L1"/>', {"code": "L1"}),
        (
            '<itemDefinition id="r" structureRef="xsd:string" itemKind="Information" isCollection="true"/>',
            {"ref": "xsd:string", "attributes": (("itemKind", "Information"), ("isCollection", "true"))},
        ),
        ('<correlationProperty id="r" name="id" type="t"/>', {"name": "id", "ref": "t"}),
        (
            '<import id="r" namespace="urn:x" location="x.wsdl" importType="http://www.w3.org/TR/wsdl20/"/>',
            {"ref": "x.wsdl", "attributes": (("namespace", "urn:x"), ("importType", "http://www.w3.org/TR/wsdl20/"))},
        ),
        ('<resource id="r" name="Clerk"/>', {"name": "Clerk"}),
        ('<globalTask id="r"/>', {}),
        ('<globalUserTask id="r" implementation="form"/>', {"attributes": (("implementation", "form"),)}),
        ('<globalManualTask id="r"/>', {}),
        ('<globalBusinessRuleTask id="r"/>', {}),
        ('<globalScriptTask id="r" scriptLanguage="js"/>', {"attributes": (("scriptLanguage", "js"),)}),
        ('<globalChoreographyTask id="r"/>', {}),
        ('<partnerEntity id="r"/>', {}),
        ('<partnerRole id="r"/>', {}),
        ('<endPoint id="r"/>', {}),
        ('<relationship id="r" type="uses"/>', {"attributes": (("type", "uses"),)}),
        ('<extension id="r" definition="x"/>', {"attributes": (("definition", "x"),)}),
    ],
)
def test_root_elements_are_kept(read_root: ReadRoot, text: str, expected: dict[str, object]) -> None:
    """Everything beside the processes is there, by its BPMN name."""
    document = read_root(f"<process><task/></process>\n{text}")
    assert document.problems == ()
    [element] = document.elements
    assert (element.id, element.kind, element.place) == ("r", text[1:].split(maxsplit=1)[0], Place("order.bpmn", 3, 1))
    assert {name: getattr(element, name) for name in expected} == expected


def test_root_elements_keep_their_children(read_root: ReadRoot) -> None:
    """Trees of standard elements are kept whole, texts and ids included."""
    document = read_root(
        '<category id="c"><categoryValue id="v1" value="important"/></category>'
        '<globalScriptTask id="g"><script>x = 1</script><ioSpecification><dataInput id="di"/></ioSpecification>'
        "</globalScriptTask><correlationProperty id='p'><correlationPropertyRetrievalExpression messageRef='m'>"
        "<messagePath>/order/id</messagePath></correlationPropertyRetrievalExpression></correlationProperty>"
        "<process><task/></process>"
    )
    category, task, correlation = document.elements
    assert [(child.kind, child.id, child.name) for child in category.children] == [("categoryValue", "v1", "important")]
    script, io = task.children
    assert (script.kind, script.text) == ("script", "x = 1")
    assert [(child.kind, child.id) for child in io.children] == [("dataInput", "di")]
    assert correlation.children[0].attributes == (("messageRef", "m"),)
    assert correlation.children[0].children[0].text == "/order/id"


def test_resources_of_a_task_are_details(read_process: ReadProcess) -> None:
    """Who does the work is kept, though nobody asks."""
    node = node_of(
        read_process(
            '<userTask id="n"><potentialOwner id="o" name="Clerk"><resourceAssignmentExpression><formalExpression>'
            "user(x)</formalExpression></resourceAssignmentExpression></potentialOwner><rendering/></userTask>"
        )
    )
    owner, rendering = node.details
    assert (owner.kind, owner.id, owner.name, owner.scope) == ("potentialOwner", "o", "Clerk", "n")
    assert owner.children[0].children[0].text == "user(x)"
    assert rendering.kind == "rendering"


def test_document_says_what_wrote_it(read_root: ReadRoot, read: Callable[[str], ProcessDocument]) -> None:
    """Exporter, languages and namespace of the definitions are fields of the document."""
    document = read(
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" name="All" targetNamespace="urn:t" '
        'exporter="Modeller" exporterVersion="5" expressionLanguage="feel" typeLanguage="xsd" '
        'xmlns:m="urn:m" m:platform="Cloud"><documentation>why</documentation><extensionElements><m:x/>'
        '</extensionElements><process id="p" name="Order" isExecutable="false" processType="None"><task/></process>'
        "</definitions>"
    )
    assert (document.id, document.name, document.target_namespace) == ("d", "All", "urn:t")
    assert (document.exporter, document.exporter_version, document.expression_language) == ("Modeller", "5", "feel")
    assert document.attributes == (("typeLanguage", "xsd"),)
    assert document.documentation == "why"
    assert document.extensions == (Extension("{urn:m}platform", text="Cloud", is_attribute=True), Extension("{urn:m}x"))
    process = document.processes[0]
    assert (process.name, process.is_executable, process.attributes) == ("Order", False, (("processType", "None"),))
    assert read_root("<process><task/></process>").processes[0].is_executable is None


# ---- extensions


def test_extensions_of_vendors_are_kept_as_they_stand(read_process: ReadProcess) -> None:
    """Elements, attributes and strangers among the children are kept, not understood and not fatal."""
    node = node_of(
        read_process(
            '<serviceTask id="n" v:topic="orders" v:retries="3"><extensionElements>\n'
            ' <v:in name="url" v:kind="x">http://x<v:sub> deep </v:sub> tail</v:in>\n'
            ' <task xmlns="" id="n">same id</task>\n <task id="n"/>\n</extensionElements>'
            '<v:field>direct</v:field><Grid xmlns="" width="5"/></serviceTask>'
        )
    )
    assert node.extensions == (
        Extension("{urn:vendor}topic", text="orders", is_attribute=True),
        Extension("{urn:vendor}retries", text="3", is_attribute=True),
        Extension(
            "{urn:vendor}in",
            (("name", "url"), ("{urn:vendor}kind", "x")),
            "http://x tail",
            (Extension("{urn:vendor}sub", text=" deep "),),
        ),
        Extension("task", (("id", "n"),), "same id"),
        Extension("{http://www.omg.org/spec/BPMN/20100524/MODEL}task", (("id", "n"),)),
        Extension("{urn:vendor}field", text="direct"),
        Extension("Grid", (("width", "5"),)),
    )


@pytest.mark.parametrize(
    ("body", "find"),
    [
        ('<sequenceFlow id="f" sourceRef="n" targetRef="n">@</sequenceFlow>', lambda process: process.flows[0]),
        ('<dataObject id="d">@</dataObject>', lambda process: process.data[0]),
        ('<association id="a" sourceRef="n" targetRef="n">@</association>', lambda process: process.associations[0]),
        ('<laneSet><lane id="l">@</lane></laneSet>', lambda process: process.lanes[0]),
        ('<textAnnotation id="x">@</textAnnotation>', lambda process: process.artifacts[0]),
        (
            '<endEvent id="e"><signalEventDefinition>@</signalEventDefinition></endEvent>',
            lambda process: process.node["e"].events[0],
        ),
        (
            '<task id="m"><standardLoopCharacteristics>@</standardLoopCharacteristics></task>',
            lambda process: process.node["m"].loop,
        ),
        ("@", lambda process: process),
        ("<laneSet>@</laneSet>", lambda process: process),
    ],
)
def test_every_element_keeps_extensions(
    read_process: ReadProcess, body: str, find: Callable[[Process], FlowNode]
) -> None:
    """Not only nodes are extended."""
    extension = "<extensionElements><v:x/></extensionElements>"
    found = find(read_process('<task id="n"/>' + body.replace("@", extension)))
    assert found.extensions == (Extension("{urn:vendor}x"),)


# ---- diagrams


def test_diagram_interchange_is_read(read_root: ReadRoot) -> None:
    """Shapes and way points are found by the element that they draw."""
    document = read_root(
        '<process id="p"><task id="t"/><task id="u"/><sequenceFlow id="f" sourceRef="t" targetRef="u"/></process>'
        '<di:BPMNDiagram><di:BPMNPlane bpmnElement="p">'
        '<di:BPMNShape bpmnElement="t" isExpanded="true" isHorizontal="false" isMarkerVisible="1">'
        '<dc:Bounds x="1" y="-2.5" width="1e2" height="80"/><di:BPMNLabel><dc:Bounds x="1" y="2" width="3" height="4"/>'
        '</di:BPMNLabel></di:BPMNShape><di:BPMNShape bpmnElement="v:u"><dc:Bounds x="0" y="0" width="1" height="1"/>'
        '</di:BPMNShape><di:BPMNEdge bpmnElement="f"><dd:waypoint x="1" y="2"/><dd:waypoint x="3" y="4"/>'
        '<di:BPMNLabel/></di:BPMNEdge><di:BPMNEdge bpmnElement="v:f"/><di:BPMNShape/><di:Note bpmnElement="t"/>'
        "</di:BPMNPlane></di:BPMNDiagram>"
    )
    assert document.problems == ()
    assert document.diagram.shapes == (
        Shape("t", 1, -2.5, 100, 80, True, False, True, "p", (1, 2, 3, 4)),
        Shape("u", 0, 0, 1, 1, plane="p"),
    )
    assert document.diagram.edges == (("f", (Point(1, 2), Point(3, 4))), ("f", ()))


@pytest.mark.parametrize(
    "drawing",
    [
        '<di:BPMNShape bpmnElement="t"></di:BPMNShape>',
        '<di:BPMNShape bpmnElement="t"><dc:Bounds x="1" y="2" width="wide" height="4"/></di:BPMNShape>',
        '<di:BPMNShape bpmnElement="t"><dc:Bounds x="1" y="2" height="4"/></di:BPMNShape>',
        '<di:BPMNShape bpmnElement="t"><dc:Bounds x="nan" y="2" width="3" height="4"/></di:BPMNShape>',
        '<di:BPMNEdge bpmnElement="t"><dd:waypoint x="1"/></di:BPMNEdge>',
        '<di:BPMNEdge bpmnElement="t"><dd:waypoint x="inf" y="-inf"/></di:BPMNEdge>',
    ],
)
def test_drawing_without_numbers_is_left_out(read_root: ReadRoot, drawing: str) -> None:
    """A broken drawing costs itself."""
    document = read_root(
        '<process id="p"><task id="t"/></process><di:BPMNDiagram><di:BPMNPlane bpmnElement="p">'
        f"{drawing}</di:BPMNPlane></di:BPMNDiagram>"
    )
    assert [(problem.message, problem.hint) for problem in document.problems] == [
        (
            "the drawing of 't' lacks numbers for its position",
            "move the element in the modeller and save again; it is not painted",
        )
    ]
    assert document.diagram.shapes == ()
    assert document.diagram.edges == ()
    assert len(document.processes[0].nodes) == 1


def test_diagram_may_stand_before_the_process(read_root: ReadRoot) -> None:
    """The order of the file does not matter."""
    document = read_root(
        '<di:BPMNDiagram><di:BPMNPlane><di:BPMNShape bpmnElement="v:t"><dc:Bounds x="1" y="2" width="3" height="4"/>'
        '</di:BPMNShape></di:BPMNPlane></di:BPMNDiagram><process id="p"><task id="t"/></process>'
    )
    assert document.diagram.shapes == (Shape("t", 1, 2, 3, 4),)
