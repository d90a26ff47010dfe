"""Reads the body of a webhook: compression, charset, JSON or a form. Its sender has been checked before.

Proxies and HTTP libraries label bodies wrongly, so a label counts only where the bytes agree with it.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from django.utils.http import parse_header_parameters

from apps.mengla.upstream.wire_json import NotJSON, loads, unicode_text
from apps.mengla.upstream.wire_values import ERROR_KEYS, RESULT_KEYS, excerpt, execution_id_in, type_name
from apps.mengla.words import (
    BODY_DAMAGED,
    BODY_EMPTY,
    BODY_ENCODED,
    BODY_NO_JSON,
    BODY_TOO_LARGE,
    NO_OBJECT,
)

MAX_EXCERPT_CHARACTERS = 200
MAX_REASON_CHARACTERS = 60
MAX_SHOWN_BYTES = 4000
MAX_CODINGS = 3
MAX_GZIP_MEMBERS = 64
MAX_JSON_TEXTS = 10
MAX_FORM_FIELDS = 100
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_BITS = 16 + zlib.MAX_WBITS
_FORM = "application/x-www-form-urlencoded"
# The fields of a form that hold a whole body; a result is in a result key, as it is in JSON.
_CARRIERS = ("payload", "body", "json", "result")
_FORM_FIELDS = frozenset(
    {*RESULT_KEYS, *ERROR_KEYS, *_CARRIERS, "executionId", "execution_id", "status", "success"}
)
# The declared charsets that are used, by the name of Python's codec. Unicode is recognized by its bytes.
_CHARSETS: Mapping[str, str] = {
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    **{
        name: name
        for name in (
            *("big5", "big5hkscs", "cp1250", "cp1251", "cp1252", "cp932", "cp949", "euc_jp", "euc_kr"),
            *("iso8859-1", "iso8859-2", "iso8859-5", "iso8859-15", "koi8-r", "shift_jis"),
        )
    },
}
Body = dict[str, Any] | list[Any]


class UnreadableBody(ValueError):
    """The body cannot be used. ``reason`` is a message of :mod:`apps.mengla.words`; ``excerpt`` is logged."""

    def __init__(self, reason: str, raw: bytes = b"", *, hidden: Collection[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.excerpt = _shown(raw, hidden)[:MAX_EXCERPT_CHARACTERS]


def read_webhook_body(
    raw: bytes,
    *,
    content_type: str,
    content_encoding: str,
    limit_bytes: int,
    hidden: Collection[str] = (),
) -> Body:
    """Return the JSON object or list in a body.

    :param limit_bytes: the largest size after decompression.
    :param hidden: secrets that the excerpt and the reason do not show, if the body contains them.
    :raises UnreadableBody: when there is none.
    """
    try:
        plain = _decompressed(raw, content_encoding, limit_bytes)
    except UnreadableBody as error:
        raise UnreadableBody(error.reason, raw, hidden=hidden) from error
    if not plain.removeprefix(codecs.BOM_UTF8).strip():
        raise UnreadableBody(BODY_EMPTY())
    kind, parameters = parse_header_parameters(content_type)
    charset = _charset_of(parameters.get("charset", ""), plain)
    try:
        value = _value(plain, charset)
    except NotJSON as error:
        form = _form(plain, charset) if kind == _FORM else {}
        if not form:
            raise UnreadableBody(_reason(plain, hidden), plain, hidden=hidden) from error
        value = form
    if isinstance(value, list) and len(value) == 1 and _is_envelope(value[0]):
        value = value[0]
    if not isinstance(value, dict | list):
        raise UnreadableBody(NO_OBJECT(kind=type_name(value)), plain, hidden=hidden)
    return value


def _value(plain: bytes, charset: str | None) -> Any:
    """Parse the bytes; while the result is a text, parse it as JSON again."""
    value = loads(plain.decode(charset)) if charset else loads(plain)
    for _ in range(MAX_JSON_TEXTS):
        if not isinstance(value, str):
            break
        value = loads(value)
    return value


def _is_envelope(value: object) -> bool:
    return (
        isinstance(value, dict)
        and execution_id_in(value) is not None
        and not (RESULT_KEYS | {"status"}).isdisjoint(value)
    )


# --- Compression ----------------------------------------------------------------------------------


def _decompressed(raw: bytes, content_encoding: str, limit_bytes: int) -> bytes:
    codings = [one for one in content_encoding.lower().replace(" ", "").split(",") if one != "identity"]
    known = {"gzip": _gunzipped, "x-gzip": _gunzipped, "deflate": _inflated, "": _gunzipped}
    unreadable = UnreadableBody(
        BODY_ENCODED(coding=excerpt(content_encoding or "gzip", MAX_REASON_CHARACTERS))
    )
    if len(codings) > MAX_CODINGS:
        raise unreadable
    for coding in reversed(codings):
        # Bytes that look like JSON were decompressed on their way, by a proxy that kept the header.
        if coding not in known and not raw.lstrip().startswith((b"{", b"[")):
            raise unreadable
        try:
            raw = known.get(coding, _gunzipped)(raw, limit_bytes)
        except zlib.error as error:
            raise unreadable from error
    return raw


def _gunzipped(raw: bytes, limit_bytes: int) -> bytes:
    return _inflate(raw, _GZIP_BITS, limit_bytes) if raw.startswith(_GZIP_MAGIC) else raw


def _inflated(raw: bytes, limit_bytes: int) -> bytes:
    """Decompress "deflate", which many programs send without the header of zlib (RFC 9110, 8.4.1.2)."""
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            return _inflate(raw, bits, limit_bytes)
        except zlib.error:
            continue
    return raw


def _inflate(raw: bytes, bits: int, limit_bytes: int) -> bytes:
    inflated = bytearray()
    for _ in range(MAX_GZIP_MEMBERS):
        stream = zlib.decompressobj(bits)
        inflated += stream.decompress(raw, limit_bytes + 1 - len(inflated))
        if len(inflated) > limit_bytes:
            raise UnreadableBody(BODY_TOO_LARGE(count=limit_bytes))
        if not stream.eof:
            raise zlib.error("it ends early")
        raw = stream.unused_data
        if not raw.startswith(_GZIP_MAGIC):
            break
    return bytes(inflated)


# --- Text -----------------------------------------------------------------------------------------


def _charset_of(declared: str, plain: bytes) -> str | None:
    """Return the codec of a declared charset; None when the bytes are Unicode or it cannot decode them."""
    try:
        charset = _CHARSETS.get(codecs.lookup(declared[:MAX_REASON_CHARACTERS]).name)
        if charset is None or plain.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return None
        plain.decode(charset)
    except (LookupError, ValueError):
        return None
    return charset


def _form(plain: bytes, charset: str | None) -> dict[str, Any]:
    """Return the fields of a form as a body; empty when it has no field that we know."""
    try:
        fields = dict(
            parse_qsl(
                plain.decode(charset or "utf-8", "replace"),
                keep_blank_values=True,
                encoding=charset or "utf-8",
                max_num_fields=MAX_FORM_FIELDS,
            )
        )
    except ValueError:
        return {}
    if _FORM_FIELDS.isdisjoint(fields):
        return {}
    body: dict[str, Any] = {name: _field_value(text) for name, text in fields.items()}
    for carrier in _CARRIERS:
        carried = body.get(carrier)
        if isinstance(carried, dict):
            del body[carrier]
            body |= carried
        elif isinstance(carried, list):
            body.setdefault("data", body.pop(carrier))
    return body


def _field_value(text: str) -> Any:
    """Return the JSON in a field; numbers stay as they are written, like any other text."""
    if not text.lstrip().startswith(("{", "[", "true", "false", "null")):
        return text
    try:
        return loads(text)
    except NotJSON:
        return text


def _reason(plain: bytes, hidden: Collection[str]) -> str:
    shown = _shown(plain, hidden)
    if shown.startswith(("{", "[")):
        return BODY_DAMAGED(count=len(plain))
    return BODY_NO_JSON(text=shown[:MAX_REASON_CHARACTERS])


def _shown(raw: bytes, hidden: Collection[str]) -> str:
    raw = raw[:MAX_SHOWN_BYTES]
    try:
        text = unicode_text(raw)
    except ValueError:
        text = raw.decode("utf-8", "backslashreplace")
    for secret in filter(None, hidden):
        text = text.replace(secret, "***")
    return excerpt(text.removeprefix("\ufeff").strip(), MAX_EXCERPT_CHARACTERS)
