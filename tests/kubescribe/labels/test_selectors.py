"""The labels of a foreign stream are read as Loki reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.labels.names import selector_text
from kubescribe.labels.selectors import parse_selector


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('{app="x", namespace="n"}', {"app": "x", "namespace": "n"}),
        ("{ app = 'x' , b=`a\\b`, }", {"app": "x", "b": "a\\b"}),
        ('{a="q\\"\\\\\\n\\t\\x41\\101\\u00e9\\U0001F600"}', {"a": 'q"\\\n\tAA\u00e9\U0001f600'}),
        ("{a='it\\'s'}", {"a": "it's"}),
        ('{a="\\xff"}', {"a": "\ufffd"}),
        ('{a="", b="x"}', {"b": "x"}),
        ('{"dotted.name"="x"}', {"dotted.name": "x"}),
        ('up{a="x"}', {"__name__": "up", "a": "x"}),
        ("{}", {}),
        ("{ # nothing\n}", {}),
    ],
)
def test_labels_are_quoted_as_go_quotes(text: str, labels: dict[str, str]) -> None:
    assert parse_selector(text) == labels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{a}",
        "{a=}",
        '{a="x}',
        '{a="\\q"}',
        '{a="\\\'"}',
        '{a="\\ud800"}',
        '{a="\\777"}',
        '{a="\\x4"}',
        '{1a="x"}',
        '{a="x" b="y"}',
        '{a="x"}}',
        '{a=~"x"}',
        '{,a="x"}',
        "{a=`x}",
        '{""="x"}',
        '{a="line\nfeed"}',
    ],
)
def test_what_loki_refuses_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(ValueError, match="at character"):
        parse_selector(text)


@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True),
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
        max_size=15,
    )
)
def test_what_we_write_is_read_back(labels: dict[str, str]) -> None:
    assert parse_selector(selector_text(labels)) == labels


@given(st.text(max_size=60))
def test_any_text_is_labels_or_a_clear_error(text: str) -> None:
    try:
        parse_selector("{" + text)
    except ValueError as error:
        assert "at character" in str(error)  # noqa: PT017 - both ends are fine
