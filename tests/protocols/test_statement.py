"""SQL with named parameters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.protocols.statement import find_missing, read_statement

READS = "write one 'select', 'with', 'values', 'table' or 'show'"


@pytest.mark.parametrize(
    ("sql", "sent", "names"),
    [
        ("select :a, :b, :a", "select $1, $2, $1", ("a", "b")),
        ("select :a::int, x::text", "select $1::int, x::text", ("a",)),
        ("select x=:a, y>=:b_2", "select x=$1, y>=$2", ("a", "b_2")),
        ("select ':a', 'it''s :b', E'\\':c', \"x:d\"", "select ':a', 'it''s :b', E'\\':c', \"x:d\"", ()),
        ("select 1 -- :a\n, :b", "select 1 -- :a\n, $1", ("b",)),
        ("select /* :a /* :b */ :c */ :d", "select /* :a /* :b */ :c */ $1", ("d",)),
        ("select $$ :a $$, $tag$ $$ :b $tag$, :c", "select $$ :a $$, $tag$ $$ :b $tag$, $1", ("c",)),
        ("select a$b$c, :d", "select a$b$c, $1", ("d",)),
        ("select list[1:n], list[:i]", "select list[1:n], list[$1]", ("i",)),
        ("select f(a => :a, b := :b)", "select f(a => $1, b := $2)", ("a", "b")),
        ("select 100 % 7, like 'a%' || :ä", "select 100 % 7, like 'a%' || $1", ("ä",)),
        ("select ':x' ; -- a;b", "select ':x' ", ()),
        ("table orders;", "table orders", ()),
    ],
)
def test_parameters_are_found_where_they_are_parameters(sql, sent, names):
    """Texts, quoted names, comments, dollar quotes, casts and slices hold no parameters."""
    statement = read_statement(sql)
    assert (statement.sent_text, statement.names, statement.faults) == (sent, names, ())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- why\n (select 1) union (select 2)",
        "with a as (select 1) select * from a for update",
        "values (1), (2)",
        "show server_version",
        "select coalesce(delete(tags, 'x'), '')",
        'select "update", "delete" from t',
        "select '{{1,2},{3,4}}'::int[]",
    ],
)
def test_statement_that_reads_is_taken(sql):
    """What begins with a reading keyword has no fault."""
    assert read_statement(sql).faults == ()


@pytest.mark.parametrize(
    ("sql", "fact", "hint"),
    [
        ("", "the SQL is empty", READS),
        (" /* ; */ ; ", "the SQL is empty", READS),
        ("delete from orders", "the SQL begins with 'delete', but a step only reads", READS),
        ("explain select 1", "the SQL begins with 'explain', but a step only reads", READS),
        ("select 1; select 2", "the SQL has more than one statement", READS),
        ("select 1;;", "the SQL has more than one statement", READS),
        (
            "with a as (delete from b returning 1) select 1",
            "the SQL has an inner 'delete', but a step only reads",
            READS,
        ),
        ("with a as (select 1) insert into b select 1", "the SQL has an inner 'insert', but a step only reads", READS),
        (
            "with a as (update b set c = 1 returning 1) table a",
            "the SQL has an inner 'update', but a step only reads",
            READS,
        ),
        (
            "select '{{ data.id }}'",
            "the SQL holds a template, '{{ data.id }}'",
            "write ':name', and the template in 'parameters'",
        ),
        ("select $1", "the SQL has a parameter by position, '$1'", "name it, as in ':orderId'"),
        ("select 'abc", "the SQL has a quote or comment that is not closed: ''abc'", "close it"),
        ('select "abc', "the SQL has a quote or comment that is not closed: '\"abc'", "close it"),
        ("select $a$ b", "the SQL has a quote or comment that is not closed: '$a$ b'", "close it"),
        ("select 1 /* /* */", "the SQL has a quote or comment that is not closed: '/* /* */'", "close it"),
    ],
)
def test_statement_that_does_more_than_read_is_refused(sql, fact, hint):
    """One statement that reads, with named parameters: anything else has a fault."""
    assert read_statement(sql).faults == ((fact, hint),)


def test_missing_parameters_are_named_with_what_may_be_meant():
    """A parameter without a value is told, and so is the value that was probably meant for it."""
    statement = read_statement("select :orderId, :tenant")
    assert list(find_missing(statement, ["orderid", "correlationId"])) == [
        ("the SQL needs parameter ':orderId'", "'orderid' may be meant for it"),
        ("the SQL needs parameter ':tenant'", "add 'tenant' to 'parameters'"),
    ]


def test_place_of_a_position_is_in_the_text_as_written():
    """What the server says about the text with '$1' is told for the text with ':orderId'."""
    statement = read_statement("select :orderId,\n  colour, :tenant from orders")
    sent = statement.sent_text
    assert statement.place_of(sent.index("colour") + 1) == (2, 3)
    assert statement.place_of(sent.index("$2") + 1) == (2, 11)
    assert statement.place_of(sent.index("from") + 1) == (2, 19)
    assert statement.place_of(1) == (1, 1)
    assert statement.place_of(10_000) == (2, 30)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (-5, "(-5)"),
        (2.5, "2.5"),
        (float("inf"), "'inf'::float8"),
        ("it's", "'it''s'"),
        ("a\\'", " E'a\\\\'''"),
        ([1, 2], "array[1, 2]"),
        ([], "'{}'"),
        ({"a": "'"}, "'{\"a\": \"''\"}'::jsonb"),
    ],
)
def test_literal_text_quotes_values_safely(value, literal):
    """What people paste means what was bound."""
    assert read_statement("select 1-:v").literal_text({"v": value}) == f"select 1-{literal}"


FRAGMENTS = [
    "'",
    "''",
    '"',
    "$$",
    "$t$",
    "--",
    "\n",
    "/*",
    "*/",
    ":name",
    ":",
    "::",
    "a",
    "1",
    "[",
    "]",
    " ",
    ";",
    "\\",
    "E'",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS)).map("".join) | st.text())
def test_any_text_is_read_without_loss(sql):
    """Reading never fails, and what is not closed is told rather than swallowed."""
    statement = read_statement(sql)
    written = "".join(f":{part}" if index % 2 else part for index, part in enumerate(statement.parts))
    assert sql.startswith(written)
    assert statement.faults or not sql[len(written) :].strip() or sql[len(written)] == ";"
