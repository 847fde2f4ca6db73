"""What people may not read does not pass, and what they need does."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.lines.cards import is_card
from kubescribe.lines.patterns import BadPattern, Pattern
from kubescribe.lines.scrubbing import Scrubber

SCRUBBER = Scrubber()
SECRET = st.text(string.ascii_letters + string.digits, min_size=16, max_size=40).filter(
    lambda text: any(char.isdigit() for char in text)
)
PLACES = (
    "password={}",
    "DB_PASSWORD={} next=1",
    "login with pwd: {}",
    '{{"user":"bob","password":"{}","at":1}}',
    '{{"msg":"{{\\"api_key\\": \\"{}\\"}}"}}',
    "{{'secret': '{}'}}",
    '{{"clientSecret" : "{} with words"}}',
    "GET /login?user=bob&token={}&next=/ HTTP/1.1",
    "--db-password={} --verbose",
    "postgres://app:{}@db.shop.svc:5432/app",
    "amqps://app:a/b@{}@rabbit/vhost",
    "Authorization: Bearer {}",
    "authorization=Basic {}",
    "Cookie: theme=dark; session={}; x=1",
    "X-Api-Key: {}",
    "aws_secret_access_key = {}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{}",
    "ghp_{0}{0}",
    "-----BEGIN OPENSSH PRIVATE KEY-----\\n{}\\n-----END OPENSSH PRIVATE KEY----- end",
    "token => {}",
)
ORDINARY = (
    b"10.0.3.17 fe80::1 192.168.0.0/16 GET /api/cart/7c9e6679-7425-40de-944b-e07fc1f90ae7 200 in 12.345 ms",
    b"2026-11-25T22:46:54.123456789Z 1764110814123456789 1764110814123 0.4532015112830366",
    b"pulled registry.io/shop/app@sha256:4bf92f3577b34da6a3ce929d0e0e47364bf92f3577b34da6a3ce929d0e0e4736",
    b"commit 9fceb02d0ae598e95dc970b74767f19372d61af8 trace_id=4bf92f3577b34da6a3ce929d0e0e4736",
    b'secret "shop/db-credentials" not found; token expired; password incorrect for user bob',
    b"tokens=512 max_tokens: 4096 password: null",
    b"node rabbit@rabbitmq-0.rabbitmq.shop.svc.cluster.local joined, lodash@4.17.21",
    b"https://example.org:8443/path?x=1#y and kafka-0.kafka:9092",
    b"com.example.shop.CheckoutServiceFactoryBeanConfiguration",
    b"\tat com.example.Shop.buy(Shop.java:12)",
    "größer als 5 €, 日本語".encode(),
    b"",
)


@given(st.sampled_from(PLACES), SECRET, st.sampled_from(("", "2026-11-25 INFO ", '"quoted" ', "ä ")))
def test_a_planted_secret_never_passes(place: str, secret: str, before: str) -> None:
    scrubbed = SCRUBBER.scrub((before + place.format(secret)).encode())

    assert secret.encode() not in scrubbed
    assert b"[scrubbed" in scrubbed


@pytest.mark.parametrize("line", ORDINARY)
def test_an_ordinary_line_is_left_alone(line: bytes) -> None:
    assert SCRUBBER.scrub(line) == line


@given(st.binary(max_size=400) | st.text(alphabet="pasword=:\"'\\ @./-0123456789eyJ[]", max_size=200).map(str.encode))
def test_scrubbing_never_raises_and_twice_is_once(line: bytes) -> None:
    once = SCRUBBER.scrub(line)

    assert SCRUBBER.scrub(once) == once


@given(st.text(max_size=200))
def test_a_scrubbed_line_is_still_utf8(line: str) -> None:
    SCRUBBER.scrub(f"pässword={line}".encode()).decode()


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "4111111111111111", "3782-822463-10005", "5555555555554444"])
def test_card_numbers_are_hidden_among_other_numbers(number: str) -> None:
    scrubbed = SCRUBBER.scrub(f"order 12345 {number} 42, cardNumber{number}".encode())

    assert scrubbed == b"order 12345 [scrubbed card] 42, cardNumber[scrubbed card]"


def test_a_card_number_passes_the_luhn_check() -> None:
    assert is_card(b"4111111111111111")
    assert not is_card(b"4111111111111112")
    assert not is_card(b"1111111111111117")


def test_the_scheme_of_a_credential_stays() -> None:
    assert SCRUBBER.scrub(b"Authorization: Bearer abc") == b"Authorization: Bearer [scrubbed secret]"
    assert SCRUBBER.scrub(b"Authorization: Basic dXNlcjpwYXNzd29yZA==") == b"Authorization: Basic [scrubbed secret]"


def test_people_s_addresses_are_hidden() -> None:
    assert SCRUBBER.scrub(b"sent to a.b+c@mail.example.org.") == b"sent to [scrubbed email]."
    assert SCRUBBER.scrub(b"?to=bob%40example.org&x=1") == b"?to=[scrubbed email]&x=1"


def test_the_lines_of_a_private_key_are_hidden_one_by_one() -> None:
    lines = (
        b"-----BEGIN RSA PRIVATE KEY-----",
        b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
        b"q3Zx9sQTb8w=",
    )

    assert [SCRUBBER.scrub(line) for line in lines[:2]] == [b"[scrubbed secret]"] * 2


def test_own_patterns_are_hidden_too() -> None:
    scrubber = Scrubber([r"ACME-\d+", "x*"])

    assert scrubber.scrub("für ACME-1234 und ACME-5".encode()) == "für [scrubbed] und [scrubbed]".encode()


@pytest.mark.parametrize("text", ["(", "a" * 600, r"(?=x)", r"(a)\1", "(a{1000}){1000}"])
def test_a_pattern_that_cannot_be_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(BadPattern, match=r"\w"):
        Pattern(text)


@pytest.mark.parametrize("line", [b"a" * 40_000 + b"!", b"4 " * 20_000, b'\\"' * 20_000, b"://:" * 10_000])
def test_a_hostile_line_costs_no_more_than_its_length_allows(line: bytes) -> None:
    pattern = Pattern("(a+)+$")
    before = time.thread_time()

    SCRUBBER.scrub(line)
    pattern.is_in(line)

    assert time.thread_time() - before < 5  # a backtracking engine takes hours
