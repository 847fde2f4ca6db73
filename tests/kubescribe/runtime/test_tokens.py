"""A token is read from either kind of header; the file it is held against is aggregator/web's test_guarding."""

import base64

import pytest

from kubescribe.runtime.tokens import token_of


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("header", "takes_basic", "token"),
    [
        ("Bearer abc", False, "abc"),
        ("bearer  abc ", True, "abc"),
        (basic(b"anybody:a:bc"), True, "a:bc"),
        (basic(b"anybody:abc"), False, ""),
        (basic(b"nobody"), True, ""),
        (basic(b"x:\xff"), True, ""),
        ("Basic !", True, ""),
        ("Digest abc", True, ""),
        ("", True, ""),
    ],
)
def test_a_token_is_what_either_header_carries(header: str, takes_basic: bool, token: str) -> None:
    assert token_of(header, takes_basic=takes_basic) == token
