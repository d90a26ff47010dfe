"""The webhook signature: only the exact body under the exact secret passes, and nothing raises."""

from __future__ import annotations

import hashlib
import hmac
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.mengla.upstream.signature import is_valid, sign
from tests.missing import leave_out

BODY = '{"executionId":"e1","标题":"萌啦"}'.encode()
SECRET = "s3cret-0123456789"


def test_the_signature_is_the_hex_hmac_of_the_raw_body() -> None:
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert sign(BODY, SECRET) == f"sha256={expected}"


def test_another_implementation_agrees() -> None:
    openssl = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET], input=BODY, capture_output=True, check=False
    )
    if openssl.returncode:
        leave_out("no openssl here")
    assert sign(BODY, SECRET) == f"sha256={openssl.stdout.decode().split()[-1]}"


def test_a_right_signature_is_valid_in_either_letter_case_of_hex() -> None:
    header = sign(BODY, SECRET)
    assert is_valid(BODY, header, SECRET)
    assert is_valid(BODY, "sha256=" + header.removeprefix("sha256=").upper(), SECRET)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        sign(BODY, SECRET).removeprefix("sha256="),
        sign(BODY, SECRET).replace("sha256", "sha1"),
        sign(BODY, SECRET).replace("sha256", "SHA256"),
        sign(BODY, SECRET) + " ",
        " " + sign(BODY, SECRET),
        sign(BODY, SECRET) + "\n",
        sign(BODY, SECRET)[:-1],
        sign(BODY, SECRET) + "0",
        sign(BODY, SECRET)[:-2] + " 0",
        sign(BODY, SECRET)[:-1] + "é",
        "sha256=" + "٣" * 64,
        "sha256=" + "\ud800" * 64,
        "萌啦",
        sign(BODY, SECRET).encode(),
        12,
        ["sha256=00"],
        sign(BODY, SECRET + "x"),
        sign(BODY + b" ", SECRET),
        sign(b"", SECRET),
    ],
)
def test_any_other_header_is_invalid(header: object) -> None:
    assert is_valid(BODY, header, SECRET) is False


def test_without_a_secret_nothing_is_valid() -> None:
    assert is_valid(BODY, sign(BODY, ""), "") is False


def test_a_secret_outside_ascii_works() -> None:
    for secret in ("пароль", "\udcff-not-utf-8"):
        assert is_valid(BODY, sign(BODY, secret), secret)


@settings(deadline=None)
@given(body=st.binary(max_size=200), other=st.binary(max_size=200), secret=st.text(min_size=1, max_size=40))
def test_a_signature_fits_its_own_body_only(body: bytes, other: bytes, secret: str) -> None:
    assert is_valid(body, sign(body, secret), secret)
    assert is_valid(other, sign(body, secret), secret) is (body == other)


@settings(deadline=None)
@given(header=st.one_of(st.none(), st.text(), st.binary(), st.text().map("sha256={}".format)))
def test_arbitrary_headers_never_raise(header: object) -> None:
    assert is_valid(BODY, header, SECRET) is False
