"""How a file may be written: encodings, declarations, prefixes, namespaces, places."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.bpmn import read_process_file

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
PROCESS = '<process id="p"><task id="t" name="Prüfe die Bestellung"/></process>'
TEXT = f'<definitions xmlns="{MODEL}">\n{PROCESS}</definitions>'

Read = Callable[[str | bytes], ProcessDocument]


def names_of(document: ProcessDocument) -> list[str]:
    return [node.name for process in document.processes for node in process.nodes]


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        f'<?xml version="1.0" encoding="utf-8"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{TEXT}'.encode("utf-8-sig"),
        f'<?xml version="1.0"?>{TEXT}'.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        f'<?xml version="1.0" encoding="UTF-16"?>{TEXT}'.encode("utf-16"),
        f"<?xml version='1.0' encoding='windows-1252'?>{TEXT}".encode("cp1252"),
        f'<?xml version="1.0" encoding="ISO-8859-1"?>{TEXT}'.encode("latin-1"),
        f'<?xml version="1.0" encoding="us-ascii"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="ascii"?>{TEXT}'.encode("ascii", "xmlcharrefreplace"),
    ],
)
def test_text_in_any_encoding_is_read(read: Read, data: bytes) -> None:
    """The byte order mark wins, then the declaration, else it is UTF-8."""
    document = read(data)
    assert document.problems == ()
    assert names_of(document) == ["Prüfe die Bestellung"]
    assert document.text_hash == hashlib.sha256(data).hexdigest()


def test_bytes_that_are_no_utf8_are_read_as_windows_1252(read: Read) -> None:
    """Some modellers declare UTF-8 and write something else; the rest of the text is still UTF-8."""
    data = TEXT.encode().replace("ü".encode(), b"\xfc\x80").replace(b"die", "dié".encode())
    document = read(b'<?xml version="1.0" encoding="UTF-8"?>' + data)
    assert names_of(document) == ["Prü€fe dié Bestellung"]
    assert [(str(problem.severity), str(problem)) for problem in document.problems] == [
        (
            "warning",
            (
                "order.bpmn:2:38: the byte 0xFC is not UTF-8; it and others like it are read as Windows-1252\n"
                "hint: save the file as UTF-8, or declare the encoding that it is written in"
            ),
        )
    ]


def test_bytes_that_the_declared_encoding_lacks_are_replaced(read: Read) -> None:
    """A stray byte costs a character, not the file."""
    document = read(f'<?xml version="1.0" encoding="windows-1252"?>{TEXT}'.encode("cp1252").replace(b"\xfc", b"\x81"))
    assert names_of(document) == ["Pr\ufffdfe die Bestellung"]
    assert [problem.message for problem in document.problems] == ["the byte 0x81 is not CP1252"]


def test_utf8_that_calls_itself_utf16_is_read(read: Read) -> None:
    """Programs that serialize to a string write so."""
    document = read(f'<?xml version="1.0" encoding="utf-16"?>{TEXT}')
    assert names_of(document) == ["Prüfe die Bestellung"]
    assert [str(problem) for problem in document.problems] == [
        (
            "order.bpmn:1:31: the file declares 'utf-16', but it is not written so; it is read as UTF-8\n"
            'hint: save the file as UTF-8 and declare encoding="UTF-8"'
        )
    ]


def test_declaration_after_white_space_is_read_with_a_warning(read: Read) -> None:
    """The places of all that follows stay what they are in the file."""
    document = read(f'\n  <?xml version="1.0"\n encoding="UTF-8"?>{TEXT}')
    assert [str(problem) for problem in document.problems] == [
        "order.bpmn:2:3: the XML declaration is not at the start of the file\nhint: delete what stands before it"
    ]
    assert names_of(document) == ["Prüfe die Bestellung"]
    assert document.processes[0].place == Place("order.bpmn", 4, 1)


@pytest.mark.parametrize("prefix", ["bpmn", "bpmn2", "semantic", "x"])
def test_prefixes_do_not_matter(read: Read, prefix: str) -> None:
    """Elements are known by their namespace alone."""
    text = TEXT.replace("xmlns=", f"xmlns:{prefix}=")
    for name in ("definitions", "process", "task"):
        text = text.replace(f"<{name}", f"<{prefix}:{name}").replace(f"</{name}", f"</{prefix}:{name}")
    document = read(text)
    assert document.problems == ()
    assert names_of(document) == ["Prüfe die Bestellung"]


def test_foreign_elements_with_names_of_bpmn_are_no_nodes(read: Read) -> None:
    """A vendor's 'task' is the vendor's, whatever its prefix is."""
    document = read(
        f'<bpmn:definitions xmlns:bpmn="{MODEL}" xmlns="urn:vendor"><bpmn:process id="p"><bpmn:task id="t"/>'
        "<task id='t'/><sequenceFlow sourceRef='t' targetRef='t'/></bpmn:process></bpmn:definitions>"
    )
    assert document.problems == ()
    [process] = document.processes
    assert [node.id for node in process.nodes] == ["t"]
    assert [extension.name for extension in process.extensions] == ["{urn:vendor}task", "{urn:vendor}sequenceFlow"]


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("<definitions>", "no namespace"),
        (
            '<definitions xmlns="http://schema.omg.org/spec/BPMN/2.0">',
            "the namespace 'http://schema.omg.org/spec/BPMN/2.0'",
        ),
    ],
)
def test_document_of_another_namespace_is_read_with_a_warning(read: Read, root: str, said: str) -> None:
    """Roots without namespace, or with that of the draft, are accepted when what they hold is BPMN."""
    document = read(f"{root}{PROCESS}</definitions>")
    assert names_of(document) == ["Prüfe die Bestellung"]
    assert [str(problem) for problem in document.problems] == [
        f"order.bpmn:1:1: the root element has {said}; it is read as BPMN 2.0\nhint: declare '{MODEL}'"
    ]


def test_diagram_of_a_document_without_namespaces_is_read(read: Read) -> None:
    """Where nothing has a namespace, the diagram needs none either."""
    drawing = '<BPMNShape bpmnElement="t"><Bounds x="1" y="2" width="3" height="4"/></BPMNShape>'
    document = read(f"<definitions>{PROCESS}<BPMNDiagram><BPMNPlane>{drawing}</BPMNPlane></BPMNDiagram></definitions>")
    assert [shape.element for shape in document.diagram.shapes] == ["t"]


def test_children_of_bpmn_in_a_root_without_namespace_are_read(read: Read) -> None:
    """The namespace may be declared on the children only."""
    process = PROCESS.replace("<process", f'<process xmlns="{MODEL}"')
    document = read(f"<definitions>{process}</definitions>")
    assert names_of(document) == ["Prüfe die Bestellung"]
    assert len(document.problems) == 1


def test_namespace_that_is_no_uri_does_no_harm(read: Read) -> None:
    """Some modellers build namespaces from names with spaces."""
    document = read(TEXT.replace("<definitions", '<definitions xmlns:x="http://x/Collapsed Process"'))
    assert document.problems == ()
    assert names_of(document) == ["Prüfe die Bestellung"]


def test_places_are_counted_in_characters(read: Read) -> None:
    """Line and column are where an editor goes, in tags over several lines and after characters of several bytes."""
    document = read(
        f'<definitions\n  xmlns="{MODEL}"><!-- <task/> 😀 -->\n<![CDATA[ <task/> ]]>\n<process id="p"\n>'
        '<task id="a"\n name="ü"/>äöü😀<task id="b"/></process></definitions>'
    )
    process = document.processes[0]
    assert process.place == Place("order.bpmn", 4, 1)
    assert [node.place for node in process.nodes] == [Place("order.bpmn", 5, 2), Place("order.bpmn", 6, 16)]


def test_places_are_known_beyond_65535_lines(read: Read) -> None:
    """Long files have places, too."""
    gap = "\n" * 70_000
    document = read(f'<definitions xmlns="{MODEL}"><process id="p">{gap} <task id="t"/></process></definitions>')
    assert document.processes[0].nodes[0].place == Place("order.bpmn", 70_001, 2)


@pytest.mark.parametrize("name", ["order.bpmn", "order.bpmn2", "order.bpmn20.xml", "order.xml", "ORDER"])
def test_any_file_name_is_read(tmp_path: Path, name: str) -> None:
    """What a file is called says nothing of what it holds."""
    path = tmp_path / name
    path.write_text(TEXT, encoding="utf-8")
    document = read_process_file(path)
    assert document.problems == ()
    assert document.file == str(path)
    assert names_of(document) == ["Prüfe die Bestellung"]
