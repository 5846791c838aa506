"""What users read when a BPMN file is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.problem import Severity
from pytest_orchestra.readers.bpmn import read_process_file

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
ROOT = f'<definitions xmlns="{MODEL}">'
EXPORT = "export the process from the modeller as BPMN 2.0 XML"

Read = Callable[[str | bytes], ProcessDocument]
Problems = Callable[[str], list[str]]


def errors_of(document: ProcessDocument) -> list[str]:
    assert document.processes == ()
    return [str(problem) for problem in document.problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"order.bpmn: the file is empty\nhint: {EXPORT}"),
        (" \n\t\n", f"order.bpmn: the file is empty\nhint: {EXPORT}"),
        ("\ufeff", f"order.bpmn: the file is empty\nhint: {EXPORT}"),
        ("\n  {}", f"order.bpmn:2:3: the file is not XML\nhint: {EXPORT}"),
        (
            "<html/>",
            f"order.bpmn:1:1: the root element is 'html', not BPMN 'definitions'\nhint: {EXPORT}",
        ),
        (
            f'<?xml version="1.0"?>\n<process xmlns="{MODEL}"/>',
            f"order.bpmn:2:1: the root element is 'process', not BPMN 'definitions'\nhint: {EXPORT}",
        ),
        (
            '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"><types/></definitions>',
            (
                "order.bpmn:1:1: the root element 'definitions' has the namespace 'http://schemas.xmlsoap.org/wsdl/' "
                f"and is not BPMN 2.0\nhint: {EXPORT}"
            ),
        ),
        (
            "<definitions><foo/></definitions>",
            f"order.bpmn:1:1: the root element 'definitions' has no namespace and is not BPMN 2.0\nhint: {EXPORT}",
        ),
        (
            f"\n{ROOT}</definitions>",
            (
                "order.bpmn:2:1: the file holds no process\n"
                "hint: draw a process in the modeller, and save it with the file"
            ),
        ),
        (
            '<?xml version="1.0" encoding="klingon"?><definitions/>',
            (
                "order.bpmn:1:31: the encoding 'klingon' is not known\n"
                'hint: save the file as UTF-8 and declare encoding="UTF-8"'
            ),
        ),
        (
            '<?xml version="1.0" encoding="hex"?><definitions/>',
            (
                "order.bpmn:1:31: the encoding 'hex' is not known\n"
                'hint: save the file as UTF-8 and declare encoding="UTF-8"'
            ),
        ),
        (
            '<?xml version="1.0" encoding="punycode"?><definitions/>',
            (
                "order.bpmn:1:31: the encoding 'punycode' is not known\n"
                'hint: save the file as UTF-8 and declare encoding="UTF-8"'
            ),
        ),
    ],
)
def test_file_that_is_no_bpmn_gives_one_error(read: Read, text: str, expected: str) -> None:
    """Whatever the file is instead, the error says so and where."""
    assert errors_of(read(text)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f'{ROOT}\n<process id="p">\n<task></process></definitions>',
            (
                "order.bpmn:3:7: '</process>' closes nothing; '<task>' of line 3 is open\n"
                "hint: close 'task' before 'process'"
            ),
        ),
        (
            f'{ROOT}\n <process id="p">\n  <task/>\n',
            (
                "order.bpmn:4:1: the file ends before '<process>' of line 2 is closed\n"
                "hint: the file is cut off: export it again from the modeller"
            ),
        ),
        (
            "<!-- only a comment -->",
            (
                "order.bpmn:1:24: the file ends before any element begins\n"
                "hint: the file is cut off: export it again from the modeller"
            ),
        ),
        (
            f'{ROOT}\n<process id="p"/></definitions>\n<more/>',
            "order.bpmn:3:1: text follows the end of the root element: '<more/>'\nhint: delete what follows it",
        ),
        (
            f'{ROOT}\n<process id="p"\n  camunda:ttl="1"/></definitions>',
            (
                "order.bpmn:3:3: the prefix 'camunda' is not declared\n"
                "hint: declare xmlns:camunda on the root element, or delete what bears the prefix"
            ),
        ),
        (
            f'{ROOT}\n<v:process id="p"/></definitions>',
            (
                "order.bpmn:2:2: the prefix 'v' is not declared\n"
                "hint: declare xmlns:v on the root element, or delete what bears the prefix"
            ),
        ),
        (
            f'{ROOT}\n<process id="p" name="x" id="q"/></definitions>',
            "order.bpmn:2:26: the attribute 'id' stands twice in one tag\nhint: delete one of the two",
        ),
        (
            f'{ROOT}\n<process id="p" name="&lt;a&nbsp;b"/></definitions>',
            (
                "order.bpmn:2:28: the entity '&nbsp;' is not defined\n"
                "hint: write the character itself, or its number such as '&#160;'"
            ),
        ),
        (
            f'{ROOT}\n<v:x xmlns:v="urn:v"/><v:y/></definitions>',
            (
                "order.bpmn:2:24: the prefix 'v' is not declared\n"
                "hint: declare xmlns:v on the root element, or delete what bears the prefix"
            ),
        ),
        (
            f'{ROOT}\n<process xmlns:a="urn:v" xmlns:b="urn:v"  a:x="1" b:x="2"/></definitions>',
            "order.bpmn:2:1: an attribute stands twice in one tag\nhint: delete one of the two",
        ),
        (
            f"{ROOT}\n<process id=p/></definitions>",
            (
                "order.bpmn:2:13: malformed XML at 'p/></definitions>'\n"
                "hint: correct the text there, or export the file again from the modeller"
            ),
        ),
        (
            f'{ROOT}\n<process name="äöü & co"/></definitions>',
            (
                "order.bpmn:2:21: malformed XML at 'co\"/></definitions>'\n"
                "hint: correct the text there, or export the file again from the modeller"
            ),
        ),
        (
            f'{ROOT}\n<process id="p',
            (
                "order.bpmn:2:1: the file ends within '<process id=\"p'\n"
                "hint: the file is cut off: export it again from the modeller"
            ),
        ),
        (
            f"{ROOT}\n<process><!-- why",
            (
                "order.bpmn:2:10: the file ends within '<!-- why'\n"
                "hint: the file is cut off: export it again from the modeller"
            ),
        ),
        (
            f"{ROOT}\n<process><![CDATA[ why ]]",
            (
                "order.bpmn:2:10: the file ends within '<![CDATA[ why ]]'\n"
                "hint: the file is cut off: export it again from the modeller"
            ),
        ),
    ],
)
def test_malformed_xml_gives_the_place_and_the_cause(read: Read, text: str, expected: str) -> None:
    """XML that no parser accepts yields no process, but says what is wrong where."""
    assert errors_of(read(text)) == [expected]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE definitions [<!ENTITY a "b">]>',
        '<!DOCTYPE definitions [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;">]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_doctype_is_refused_before_anything_is_read(read: Read, doctype: str, encoding: str) -> None:
    """Neither a file is fetched nor an entity expanded, however the file is encoded."""
    text = f'<!-- <!DOCTYPE no> -->\n <?note <!DOCTYPE no> ?>{doctype}{ROOT}<process id="p"/></definitions>'
    assert errors_of(read(text.encode(encoding))) == [
        (
            "order.bpmn:2:25: a DOCTYPE is not allowed, for it can fetch files and expand without bounds\n"
            "hint: delete the DOCTYPE; BPMN needs none"
        )
    ]


def test_file_that_does_not_exist_gives_a_problem(tmp_path: Path) -> None:
    """A wrong path is told like everything else that is wrong."""
    path = tmp_path / "none.bpmn"
    assert errors_of(read_process_file(path)) == [
        f"{path}: the file cannot be read: no such file or directory\nhint: check the path and its permissions"
    ]


def test_folder_gives_a_problem(tmp_path: Path) -> None:
    """What is no file is not opened."""
    assert errors_of(read_process_file(tmp_path)) == [
        f"{tmp_path}: this is no regular file\nhint: give the path of a BPMN file"
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipe_gives_a_problem(tmp_path: Path) -> None:
    """A pipe is not opened, for that would wait for ever."""
    pipe = tmp_path / "pipe.bpmn"
    os.mkfifo(pipe)
    assert errors_of(read_process_file(pipe)) == [
        f"{pipe}: this is no regular file\nhint: give the path of a BPMN file"
    ]


def test_path_with_a_null_character_gives_a_problem() -> None:
    """Even a path that the system refuses is no traceback."""
    [error] = errors_of(read_process_file(Path("a\0b")))
    assert "the file cannot be read: " in error
    assert "embedded null" in error


def test_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    """A file of any size takes bounded memory."""
    path = tmp_path / "large.bpmn"
    with path.open("wb") as file:
        file.truncate(32_000_001)
    assert errors_of(read_process_file(path)) == [
        f"{path}: the file is larger than 32 MB\nhint: split the process over several files"
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<task/>" * 1_000_001, "order.bpmn: the file has more than 1,000,000 tags"),
        (
            "<task a='' b='' c='' d=''/>" * 250_001,
            "order.bpmn: the file has more than 1,000,000 attributes",
        ),
        (
            "<task " + "".join(f"a{number}='' " for number in range(300_001)) + "/>",
            f"order.bpmn:1:{len(ROOT) + 10}: the file holds more than 300,000 elements and extensions",
        ),
        (
            f"<task>{'<documentation/>' * 20}</task><extensionElements>{'<x/>' * 300_001}</extensionElements>",
            "order.bpmn:1:1200415: the file holds more than 300,000 elements and extensions",
        ),
    ],
    ids=["tags", "attributes", "kept attributes", "kept elements"],
)
def test_file_of_very_many_elements_is_refused(read: Read, body: str, expected: str) -> None:
    """A small file that would grow large in memory is refused, too."""
    assert errors_of(read(f"{ROOT}<process>{body}</process></definitions>")) == [
        f"{expected}\nhint: split the process over several files"
    ]


@pytest.mark.parametrize("name", ["subProcess", "extensionElements", "v:x", "laneSet", "documentation", "outgoing"])
def test_very_deep_nesting_is_refused(read: Read, name: str) -> None:
    """No depth overflows the stack; what is deeper than 100 levels is told with its place."""
    text = (
        f'{ROOT}<process id="p" xmlns:v="urn:v">{f"<{name}>" * 50_000}{f"</{name}>" * 50_000}</process></definitions>'
    )
    column = len(f'{ROOT}<process id="p" xmlns:v="urn:v">') + 97 * len(f"<{name}>") + 1
    assert errors_of(read(text)) == [
        (
            f"order.bpmn:1:{column}: elements are nested deeper than 100 levels\n"
            "hint: move inner sub-processes to processes of their own, and call them by call activities"
        )
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '<task id="a"/>\n  <sequenceFlow id="f" sourceRef="a" targetRef="gone"/>',
            (
                "order.bpmn:4:3: sequence flow 'f' has 'gone' as its target, which does not exist\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
        (
            '<task id="a"/><dataObject id="d"/>\n<sequenceFlow id="f" sourceRef="d" targetRef="a"/>',
            (
                "order.bpmn:4:1: sequence flow 'f' has 'd' as its source, which is no flow node\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
        (
            '<task id="a"/>\n<sequenceFlow id="f" sourceRef="a"/>',
            (
                "order.bpmn:4:1: sequence flow 'f' has no target\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
        (
            '<task id="a"/>\n<sequenceFlow id="f" targetRef="gone"/>',
            (
                "order.bpmn:4:1: sequence flow 'f' has no source and has 'gone' as its target, which does not exist\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
        (
            '<task id="a"/>\n<sequenceFlow targetRef="a" sourceRef=" "/>',
            (
                "order.bpmn:4:1: sequence flow 'sequenceFlow#1' has no source\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
    ],
)
def test_dangling_flow_is_left_out_with_a_warning(
    read_root: Read, read_problems: Problems, body: str, expected: str
) -> None:
    """A flow that leads nowhere costs itself, not the process."""
    assert read_problems(body) == [expected]
    process = read_root(f'<process id="p">\n{body}\n</process>').processes[0]
    assert process.flows == ()
    assert len(process.nodes) == 1


def test_flow_across_the_border_of_a_sub_process_is_kept_with_a_warning(read_root: Read) -> None:
    """BPMN forbids such flows; the model holds them, and who walks it decides."""
    document = read_root(
        '<process id="p"><subProcess id="s"><task id="a"/></subProcess><task id="b"/>\n'
        '<sequenceFlow id="f" sourceRef="a" targetRef="b"/></process>'
    )
    assert [str(problem) for problem in document.problems] == [
        (
            "order.bpmn:3:1: sequence flow 'f' from 'a' to 'b' crosses the border of a sub-process\n"
            "hint: end the flow inside, and let another one leave the sub-process itself"
        )
    ]
    assert [problem.severity for problem in document.problems] == [Severity.WARNING]
    assert [flow.id for flow in document.processes[0].flows] == ["f"]


def test_flow_between_processes_is_left_out_with_a_warning(read_root: Read) -> None:
    """A sequence flow between two pools belongs to neither."""
    document = read_root(
        '<process id="p"><task id="a"/>\n<sequenceFlow id="f" sourceRef="a" targetRef="b"/></process>'
        '<process id="q"><task id="b"/></process>'
    )
    assert [str(problem) for problem in document.problems] == [
        (
            "order.bpmn:3:1: sequence flow 'f' leads from 'a' to 'b' in another process\n"
            "hint: use a message flow between pools; the flow is left out"
        )
    ]
    assert [process.flows for process in document.processes] == [(), ()]


def test_second_element_of_one_id_gets_a_suffix(read_root: Read) -> None:
    """Nothing is lost by a duplicate id, and the flows of each process mean its own elements."""
    body = '<task id="a" name="{0}"/>\n<task id="b"/><sequenceFlow id="f" sourceRef="b" targetRef="a"/>'
    document = read_root(
        f'<process id="p">{body.format("first")}</process>\n<process id="q">{body.format("second")}</process>'
    )
    assert [str(problem) for problem in document.problems] == [
        (
            "order.bpmn:4:17: id 'a' of 'task' belongs to 'task' of line 2 already\n"
            "hint: give it an id of its own; until then it is called 'a#2'"
        ),
        (
            "order.bpmn:5:1: id 'b' of 'task' belongs to 'task' of line 3 already\n"
            "hint: give it an id of its own; until then it is called 'b#2'"
        ),
        (
            "order.bpmn:5:15: id 'f' of 'sequenceFlow' belongs to 'sequenceFlow' of line 3 already\n"
            "hint: give it an id of its own; until then it is called 'f#2'"
        ),
    ]
    first, second = document.processes
    assert [(flow.id, flow.source, flow.target) for flow in first.flows] == [("f", "b", "a")]
    assert [(flow.id, flow.source, flow.target) for flow in second.flows] == [("f#2", "b#2", "a#2")]


def test_reference_means_the_element_of_its_own_scope(read_root: Read) -> None:
    """Of two elements with one id, a flow means the one beside it."""
    document = read_root(
        '<process id="p"><task id="a"/><subProcess id="s"><task id="a"/><task id="b"/>'
        '<sequenceFlow id="f" sourceRef="b" targetRef="a"/></subProcess></process>'
    )
    assert [flow.target for flow in document.processes[0].flows] == ["a#2"]


def test_suffix_of_a_duplicate_meets_no_other_id(read_root: Read) -> None:
    """Ids of the model are unique even where a file uses the suffix itself."""
    document = read_root('<process id="p"><task id="a"/><task id="a#2"/><task id="a"/><task id="a"/><task/></process>')
    assert [node.id for node in document.processes[0].nodes] == ["a", "a#2", "a#3", "a#4", "task#1"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '<boundaryEvent id="b" attachedToRef="gone"/>',
            (
                "order.bpmn:3:1: boundary event 'b' is attached to 'gone', which is no flow node of this file\n"
                "hint: attach it to an activity in the modeller"
            ),
        ),
        (
            '<exclusiveGateway id="g" default="f"/><task id="t"/><sequenceFlow id="f" sourceRef="t" targetRef="g"/>',
            (
                "order.bpmn:3:1: 'g' has 'f' as its default flow, which does not leave it\n"
                "hint: choose the default among its outgoing flows"
            ),
        ),
        (
            '<startEvent id="s"><eventDefinitionRef>gone</eventDefinitionRef></startEvent>',
            (
                "order.bpmn:3:1: 's' refers to event definition 'gone', which does not exist\n"
                "hint: define the event in the modeller"
            ),
        ),
        (
            (
                '<laneSet><lane id="l"><flowNodeRef>t</flowNodeRef><flowNodeRef>gone</flowNodeRef></lane></laneSet>'
                '<task id="t"/>'
            ),
            (
                "order.bpmn:3:10: lane 'l' holds 'gone', which does not exist\n"
                "hint: save the process again in the modeller; the lane is used without it"
            ),
        ),
        (
            '<startEvent id="s" isInterrupting="perhaps"/>',
            (
                "order.bpmn:3:1: attribute 'isInterrupting' of 'startEvent' is 'perhaps'\n"
                "hint: write true or false; it is ignored"
            ),
        ),
        (
            '<choreographyTask id="c" loopType="Often"/>',
            (
                "order.bpmn:3:1: attribute 'loopType' of 'choreographyTask' is 'Often'\n"
                "hint: write one of None, Standard, MultiInstanceSequential, MultiInstanceParallel; it is ignored"
            ),
        ),
        (
            '<task id="t"><standardLoopCharacteristics loopMaximum="many"/></task>',
            (
                "order.bpmn:3:14: attribute 'loopMaximum' of 'standardLoopCharacteristics' is 'many'\n"
                "hint: write a whole number; it is ignored"
            ),
        ),
        (
            f'<task id="t" name="{"x" * 10_001}"/>',
            (
                f"order.bpmn:3:1: attribute 'name' of 'task' is '{'x' * 40}'\n"
                "hint: write at most 10,000 characters; it is ignored"
            ),
        ),
        (
            '<task id="t"/><robotTask id="r"/>',
            (
                "order.bpmn:3:15: BPMN has no element 'robotTask'\n"
                "hint: correct 'robotTask' in the modeller; it is kept, but takes no part in the flow"
            ),
        ),
        (
            '<task id="t"><userTask id="u"/></task>',
            (
                "order.bpmn:3:14: 'userTask' does not belong into 'task'\n"
                "hint: correct 'userTask' in the modeller; it is kept, but takes no part in the flow"
            ),
        ),
    ],
)
def test_oddity_in_a_process_is_a_warning(read_problems: Problems, body: str, expected: str) -> None:
    """What costs only itself is told, and the process is used."""
    if "<task" not in body:
        body += '<task id="t"/>'
    assert read_problems(body) == [expected]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '<participant id="a" processRef="gone"/>',
            (
                "order.bpmn:2:25: participant 'a' refers to process 'gone', which does not exist\n"
                "hint: give the pool a process, or make it a black box"
            ),
        ),
        (
            '<messageFlow id="m" sourceRef="t"/>',
            (
                "order.bpmn:2:25: message flow 'm' has no target\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
        (
            '<messageFlow id="m" sourceRef="gone" targetRef="t"/>',
            (
                "order.bpmn:2:25: message flow 'm' has 'gone' as its source, which is no pool or flow node\n"
                "hint: reconnect it in the modeller, or delete it; it is left out"
            ),
        ),
    ],
)
def test_oddity_in_a_collaboration_is_a_warning(read_root: Read, body: str, expected: str) -> None:
    """Pools and messages that lead nowhere do not cost the process."""
    document = read_root(
        f'<collaboration id="c">\n{body}</collaboration><process><task id="t"/></process>'.replace("\n", " ")
    )
    assert [str(problem) for problem in document.problems] == [expected.replace(":25:", ":24:")]
    assert len(document.processes) == 1


def test_file_with_empty_processes_only_is_an_error(read: Read) -> None:
    """Where nothing at all can be played, the file is red, and the processes are there to be shown."""
    document = read(f'{ROOT}\n <process id="p" name="Order&#10;goods"/><process id="q"/></definitions>')
    assert [(str(problem.severity), str(problem)) for problem in document.problems] == [
        (
            "error",
            "order.bpmn:2:2: process 'Order goods' is empty\nhint: draw its steps in the modeller, or delete it",
        ),
        ("warning", "order.bpmn:2:42: process 'q' is empty\nhint: draw its steps in the modeller, or delete it"),
    ]
    assert [process.id for process in document.processes] == ["p", "q"]


def test_empty_process_beside_a_full_one_is_a_warning(read_root: Read) -> None:
    """A pool without content does not cost the other pools."""
    document = read_root('<process id="p"><task/></process>\n<process id="q"/>')
    assert [(str(problem.severity), problem.message, problem.element) for problem in document.problems] == [
        ("warning", "process 'q' is empty", "q")
    ]


def test_very_many_problems_are_counted(read_problems: Problems) -> None:
    """A hopeless file is told in some hundred lines, and nothing is kept silent."""
    problems = read_problems("<task/>" + "<sequenceFlow/>" * 600)
    assert len(problems) == 501
    assert problems[-1] == "order.bpmn: 100 more problems are not listed\nhint: mend those that are, then look again"


def test_problems_stand_in_the_order_of_their_places(read_problems: Problems) -> None:
    """Whoever reads the list can go down the file."""
    problems = read_problems(
        '<sequenceFlow id="f"/>\n<task id="t" isForCompensation="x"/>\n<sequenceFlow id="g" sourceRef="t"/>'
    )
    assert [problem.split(": ")[0] for problem in problems] == [
        "order.bpmn:3:1",
        "order.bpmn:4:1",
        "order.bpmn:5:1",
    ]


def test_names_in_messages_cannot_steer_the_terminal(read_problems: Problems) -> None:
    """Control characters and overlong ids of a file are shown as escapes, and cut."""
    long = "x" * 2_000
    [steering, overlong] = read_problems(
        f'<task/><sequenceFlow id="a\u009b31m\u202e" sourceRef="b"/>\n<sequenceFlow id="{long}" sourceRef="b"/>'
    )
    assert steering.startswith("order.bpmn:3:8: sequence flow 'a\\x9b31m\\u202e' has 'b' as its source")
    assert overlong == (
        f"order.bpmn:4:1: sequence flow '{'x' * 985}…\nhint: reconnect it in the modeller, or delete it; it is left out"
    )
