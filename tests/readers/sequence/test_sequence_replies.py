"""Which dotted arrows are replies."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.readers.sequence.open_calls import Call, OpenCalls


def test_dotted_arrow_that_answers_nothing_is_a_message(diagrams: Any) -> None:
    """A second answer comes of its own accord, like what comes back for a message that nobody waits for."""
    process = diagrams.mermaid(
        "A->>B: order\nB-->>A: accepted\nB-->>A: shipped\nA-)C: mail\nC--)A: read\nC-->>A: answered"
    )
    assert diagrams.nodes(process) == [
        "task order: order",
        "task shipped: shipped",
        "send mail: mail",
        "send read: read",
        "task answered: answered",
    ]


def test_every_case_may_answer_the_call_before(diagrams: Any) -> None:
    """The call has one reply for each case, and behind the cases none is open."""
    process = diagrams.mermaid("A->>B: ask\nalt ok\nB-->>A: 200\nelse\nB-->>A: 500\nend\nB-->>A: later")
    assert diagrams.nodes(process) == ["task ask: ask", "xor alt-ok: ok?", "xor alt-ok.join", "task later: later"]
    assert process.node["ask"].documentation == "reply: 200\nreply: 500"


def test_call_that_one_case_answers_is_still_open_behind(diagrams: Any) -> None:
    """Somewhere the other answer must come."""
    process = diagrams.mermaid("A->>B: ask\nopt early\nB-->>A: 202\nend\nB-->>A: 200\nB-->>A: later")
    assert process.node["ask"].documentation == "reply: 202\nreply: 200"
    assert "later" in process.node


def test_answer_on_the_way_out_leaves_the_call_open_on_the_way_on(diagrams: Any) -> None:
    """What happens before a break does not happen where the diagram goes on."""
    process = diagrams.mermaid("A->>B: ask\nbreak refused\nB-->>A: 403\nend\nB-->>A: 200")
    assert process.node["ask"].documentation == "reply: 403\nreply: 200"


def test_calls_of_several_cases_may_all_be_answered_behind(diagrams: Any) -> None:
    """Whichever case it was, its call is answered."""
    process = diagrams.mermaid("alt a\nA->>B: x\nelse b\nA->>C: y\nend\nB-->>A: one\nC-->>A: two")
    assert [process.node[id_].documentation for id_ in ("x", "y")] == ["reply: one", "reply: two"]


def test_reply_to_oneself_answers_ones_own_call(diagrams: Any) -> None:
    """A self message may end."""
    assert diagrams.nodes(diagrams.mermaid("A->>A: think\nA-->>A: done")) == ["task think: think"]


STEP = st.one_of(
    st.tuples(st.sampled_from(["call", "close", "activated"]), st.sampled_from("ab"), st.sampled_from("ab")),
    st.tuples(st.sampled_from(["latest", "split", "next", "join", "forget"])),
)


class Copying:
    """The same by copying sets at every split: slow, and easy to see through. Calls are (number, activated)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bool]] = []
        self.open: set[int] = set()
        self.splits: list[tuple[set[int], list[set[int]]]] = []

    def close(self, sender: str, receiver: str) -> int | None:
        return self._take([n for n in self.open if self.calls[n][:2] == (receiver, sender)])

    def latest(self) -> int | None:
        return self._take([n for n in self.open if self.calls[n][2]] or list(self.open))

    def _take(self, numbers: list[int]) -> int | None:
        if not numbers:
            return None
        self.open.discard(max(numbers))
        return max(numbers)

    def next(self) -> None:
        before, ways = self.splits[-1]
        ways.append(self.open)
        self.open = set(before)

    def join(self) -> None:
        self.next()
        _, ways = self.splits.pop()
        self.open = set().union(*ways)


@given(st.lists(STEP, max_size=60))
def test_open_calls_are_those_of_copied_sets(steps: list[tuple[str, ...]]) -> None:
    """Keeping a log of changes comes to the same as copying everything at each split."""
    real, model = OpenCalls(), Copying()
    for step, *ends in steps:
        if step in ("call", "activated"):
            real.add(Call(str(len(model.calls)), ends[0], ends[1]))
            if step == "activated":
                real.activate(ends[1])
            model.open.add(len(model.calls))
            model.calls.append((ends[0], ends[1], step == "activated"))
        elif step in ("close", "latest"):
            got = real.close(ends[0], ends[1]) if ends else real.close_latest()
            wanted = model.close(ends[0], ends[1]) if ends else model.latest()
            assert (got.node if got else None) == (None if wanted is None else str(wanted))
        elif step == "split":
            real.split()
            model.splits.append((set(model.open), []))
        elif model.splits and step == "next":
            real.next_way()
            model.next()
        elif model.splits and step == "join":
            real.join()
            model.join()
        elif model.splits and step == "forget":
            real.forget()
            model.open = model.splits.pop()[0]
