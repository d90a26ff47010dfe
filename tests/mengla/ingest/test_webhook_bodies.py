"""Webhooks of known attempts in unexpected forms: each is stored, or ends its attempt at once."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient
from structlog.testing import capture_logs

from apps.mengla.ingest import receive
from apps.mengla.ingest.receive import receive_deferred
from apps.mengla.queue.overdue import fail_overdue
from apps.mengla.queue.wakeup import DISPATCH_TASK
from apps.mengla.upstream.signature import sign
from apps.mengla.upstream.wire_json import NotJSON, loads
from tests.mengla.support import (
    Document,
    begin_attempt,
    body_for,
    change,
    claim,
    hot,
    ranking,
    records,
    reload,
    trend,
)
from tests.silence import no_mongo

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
PATH = "/api/webhook/mengla-notify"
SECRET = "a-webhook-secret"
ASK = {"action": "hot", "primaryCatId": "1001", "timest": "2025-06"}
BOM = b"\xef\xbb\xbf"
ROW = {"catName": "Кухня 厨房", "sales": 5}
BODY = {"executionId": "x1", "status": "completed", "resultData": {"hotList": {"list": [ROW]}}}
TEXT = json.dumps(BODY, ensure_ascii=False)
RAW = TEXT.encode()
FORM = "application/x-www-form-urlencoded"


def gzipped(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)  # the names of the tests hold these bytes


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.WEBHOOK_SECRET = SECRET


def call(
    api: APIClient,
    raw: bytes,
    attempt: Document,
    *,
    content_type: str = "application/json",
    encoding: str | None = None,
    token: str | None = None,
) -> Any:
    origin = {"collection": str(attempt["_id"]), "token": token or attempt["attempt_token"]}
    headers = {"X-Signature-256": sign(raw, SECRET)} | ({"Content-Encoding": encoding} if encoding else {})
    return api.generic("POST", f"{PATH}?{urlencode(origin)}", raw, content_type=content_type, headers=headers)


def status_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    status: str = response.json()["data"]["status"]
    return status


def rows(*values: str) -> bytes:
    """A result with one row per value, which is JSON as it is written here."""
    listed = ", ".join(f'{{"v": {value}}}' for value in values)
    return f'{{"executionId": "x1", "resultData": {{"hotList": {{"list": [{listed}]}}}}}}'.encode()


def stored_rows() -> list[Document]:
    return list(records()[hot().identity]["data"]["list"])


def deflated(raw: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(raw) + stream.flush()


# A value as it is written, and as it is stored and served.
KEPT: dict[str, Any] = {
    "9223372036854775807": 9223372036854775807,
    "-9223372036854775808": -9223372036854775808,
    "9223372036854775808": "9223372036854775808",
    "-9223372036854775809": "-9223372036854775809",
    "18446744073709551615": "18446744073709551615",
    "18446744073709551617": "18446744073709551617",
    "1" * 5000: "1" * 5000,
    "1000000000000000000": 10**18,
    "0.33333333333333333333333": 1 / 3,
    '"18446744073709551617"': "18446744073709551617",
    "NaN": None,
    "Infinity": None,
    "-Infinity": None,
    "1e400": None,
    "-1e400": None,
    '"a\\ud800b"': "a\ufffdb",
    '"\\ud83d\\ude00"': "😀",
    '"NaN"': "NaN",
    '"厨房"': "厨房",
}


class TestReadable:
    @pytest.mark.parametrize(
        ("raw", "options"),
        [
            (BOM + RAW, {}),
            (TEXT.encode("utf-16"), {}),
            (TEXT.encode("utf-16-be"), {"content_type": "application/json; charset=utf-16"}),
            (TEXT.encode("gbk"), {"content_type": "application/json; charset=GBK"}),
            (TEXT.encode("gb18030"), {"content_type": 'application/json; charset="gb2312"'}),
            (RAW, {"content_type": "application/json; charset=klingon"}),
            (RAW, {"content_type": "application/json; charset=ascii"}),
            (gzipped(RAW), {"encoding": "gzip"}),
            (gzipped(RAW), {}),  # a proxy dropped the header
            (RAW, {"encoding": "gzip"}),  # a proxy decompressed it and kept the header
            (RAW, {"encoding": "br"}),
            (gzipped(RAW[:50]) + gzipped(RAW[50:]), {"encoding": "X-GZIP"}),
            (zlib.compress(RAW), {"encoding": "deflate"}),
            (deflated(RAW), {"encoding": "deflate"}),
            (RAW, {"encoding": "deflate"}),
            (gzipped(zlib.compress(BOM + RAW)), {"encoding": "deflate, gzip"}),
            (RAW, {"encoding": "identity"}),
            (json.dumps(TEXT).encode(), {}),
            (json.dumps(json.dumps(TEXT)).encode(), {}),
            (json.dumps([BODY]).encode(), {}),
            (RAW, {"content_type": FORM}),
            (json.dumps({**BODY, "resultData": json.dumps(BODY["resultData"])}).encode(), {}),
        ],
    )
    def test_a_result_in_another_form_is_stored(
        self, api: APIClient, raw: bytes, options: dict[str, str]
    ) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, raw, attempt, **options)) == "stored"
        assert stored_rows() == [ROW]

    @pytest.mark.parametrize(
        "fields",
        [
            {"payload": TEXT},
            {"body": TEXT, "sent": "2025-06-01"},
            {"result": json.dumps(BODY["resultData"]), "executionId": "x1", "status": "completed"},
            {"data": json.dumps({"hotList": [ROW]}), "executionId": "x1"},
            {"data": TEXT},
            {"executionId": "x1", "status": "completed", "resultData": json.dumps(BODY["resultData"])},
            {"executionId": "x1", "success": "true", "hotList": json.dumps([ROW])},
        ],
    )
    @pytest.mark.parametrize("charset", ["utf-8", "gbk"])
    def test_a_form_is_read(self, api: APIClient, fields: dict[str, str], charset: str) -> None:
        attempt = begin_attempt(hot())
        raw = urlencode(fields, encoding="gb18030" if charset == "gbk" else charset).encode()
        content_type = f"{FORM}; charset={charset}"
        assert status_of(call(api, raw, attempt, content_type=content_type)) == "stored"
        assert stored_rows() == [ROW]

    @pytest.mark.parametrize("fields", [{"status": "failed", "error": "captcha"}, {"success": "false"}])
    def test_a_form_may_report_a_failure(self, api: APIClient, fields: dict[str, str]) -> None:
        attempt = begin_attempt(hot())
        response = call(api, urlencode(fields).encode(), attempt, content_type=FORM)
        assert status_of(response) == "failed"
        assert reload(attempt)["error_code"] == "execution_failed"

    def test_a_list_can_only_be_a_trend(self, api: APIClient) -> None:
        query = trend("202505", "202506")
        points = [{"timest": 202505, "monthSales": 1}, {"timest": "2025-06-01 00:00:00", "monthSales": 2}]
        attempt = begin_attempt(query)
        assert status_of(call(api, json.dumps(points).encode(), attempt)) == "stored"
        assert [records()[key]["data"]["monthSales"] for key in query.record_ids] == [1, 2]

    @pytest.mark.parametrize("is_text", [False, True])
    def test_a_value_that_json_or_mongodb_cannot_hold_is_kept_by_one_rule(
        self, api: APIClient, admin: APIClient, is_text: bool
    ) -> None:
        attempt = begin_attempt(hot())
        raw = rows(*KEPT)
        if is_text:
            raw = json.dumps({"executionId": "x1", "data": raw.decode()}).encode()
        assert status_of(call(api, raw, attempt)) == "stored"
        kept = [{"v": value} for value in KEPT.values()]
        assert stored_rows() == kept
        assert admin.get("/api/mengla/", ASK).json()["data"]["list"] == kept

    def test_what_was_replaced_is_noted(self, api: APIClient) -> None:
        attempt = begin_attempt(hot())
        with capture_logs() as lines:
            call(api, rows("NaN", "1e999", '"\\udfff"', "9" * 30), attempt)
        (line,) = [line for line in lines if line["event"] == "answer_values_replaced"]
        assert (line["non_finite_count"], line["surrogate_text_count"], line["big_integer_count"]) == (
            2,
            1,
            1,
        )


HTML = "<html><body>登录已过期</body></html>"
BOMB = gzipped(b" " * 3000 + RAW)


@pytest.fixture
def woken(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks sent from now on; bodies are small here."""
    settings.WEBHOOK_MAX_BYTES = 2000
    sent: list[str] = []
    monkeypatch.setattr("apps.mengla.queue.wakeup.send_task", lambda task, **_: sent.append(task))
    return sent


class TestUnreadable:
    @pytest.mark.parametrize(
        ("raw", "options", "reason"),
        [
            (HTML.encode(), {"content_type": "text/html"}, "not JSON; it begins with: <html><body>登录"),
            (RAW[:60], {}, "is cut off or damaged"),
            (RAW + b"}", {}, "is cut off or damaged"),
            (b'{"executionId": "x1", "resultData": {"hotList": [{"a": \xff}]}}', {}, "is cut off or damaged"),
            (b"", {}, "an empty body"),
            (b" \r\n", {}, "an empty body"),
            (BOM, {}, "an empty body"),
            (gzipped(b""), {"encoding": "gzip"}, "an empty body"),
            (b"null", {}, "Null instead of an object"),
            (b"5", {}, "A number instead of an object"),
            (b'"text"', {}, "not JSON"),
            (b"NaN", {}, "not JSON"),
            (b"[]", {}, "has no result"),
            (json.dumps([ROW]).encode(), {}, "has no result: a bare list instead of hotList"),
            (b'[{"executionId": "x1"}]', {}, "has no result"),
            (b"a=b&c=d", {"content_type": FORM}, "not JSON"),
            (
                gzipped(RAW)[:-20],
                {"encoding": "gzip"},
                "compressed in a form that cannot be read: gzip",
            ),
            (b"\x0b\x05\x80", {"encoding": "br"}, "compressed in a form that cannot be read: br"),
            (RAW, {"encoding": "gzip, gzip, gzip, gzip"}, "compressed in a form"),
            (BOMB, {"encoding": "gzip"}, "larger than 2000 bytes when it is decompressed"),
            (BOMB, {}, "larger than 2000 bytes"),
            (zlib.compress(b" " * 3000), {"encoding": "deflate"}, "larger than 2000 bytes"),
            (b"[" * 1900, {}, "is cut off or damaged"),
            (b'{"executionId": "x1", "status": "completed"}', {}, "has no result"),
            (b'{"data": {"executionId": "x1", "status": "success"}}', {}, "has no result"),
        ],
    )
    def test_the_attempt_ends_at_once_with_the_reason(
        self,
        api: APIClient,
        woken: list[str],
        raw: bytes,
        options: dict[str, str],
        reason: str,
    ) -> None:
        attempt = begin_attempt(hot())
        woken.clear()
        assert status_of(call(api, raw, attempt, **options)) == "failed"
        failed = reload(attempt)
        assert (failed["status"], failed["error_code"], failed["slot"]) == (
            "PENDING",
            "unreadable_payload",
            None,
        )
        assert reason in failed["error_message"]
        assert woken == [DISPATCH_TASK]
        assert records() == {}
        assert status_of(call(api, raw, attempt, **options)) == "duplicate"

    def test_after_the_last_attempt_it_has_failed_and_a_late_result_still_counts(
        self, api: APIClient
    ) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, b"<html>", attempt)) == "failed"
        second = claim()
        assert status_of(call(api, b"<html>", attempt)) == "duplicate"  # of the first attempt
        assert status_of(call(api, b"<html>", second)) == "failed"
        assert reload(attempt)["status"] == "FAILED"
        assert status_of(call(api, RAW, attempt)) == "stored"
        assert reload(attempt)["status"] == "SUCCEEDED"

    @pytest.mark.parametrize("depth", [300, 900, 5000])
    @pytest.mark.parametrize("inner", ["1", "NaN", '"\\ud800"', "1" * 30])
    def test_absurd_nesting_is_a_failure_whatever_is_inside(
        self, api: APIClient, depth: int, inner: str
    ) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, rows("[" * depth + inner + "]" * depth), attempt)) == "failed"
        assert reload(attempt)["error_code"] in ("unreadable_payload", "unstorable_payload")

    def test_without_a_secret_the_token_is_enough(self, api: APIClient, settings: Any) -> None:
        settings.WEBHOOK_SECRET = ""
        attempt = begin_attempt(hot())
        assert call(api, b"<html>", attempt, token="wrong").status_code == 403
        assert status_of(call(api, b"<html>", attempt)) == "failed"

    @pytest.mark.parametrize("raw", [b"<html>", b"", b"[]", b"{"])
    def test_of_an_unknown_attempt_it_is_refused(self, api: APIClient, raw: bytes) -> None:
        attempt = begin_attempt(hot())
        for origin in ({"token": "wrong"}, {"token": "ф"}):
            response = call(api, raw, attempt, **origin)
            assert (response.status_code, response.json()["error"]) == (400, "VALIDATION_ERROR")
        assert reload(attempt) == attempt

    def test_the_log_has_an_excerpt_without_secrets_and_control_characters(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.COLLECT_SERVICE_API_KEY = "the-key-of-the-service"
        attempt = begin_attempt(hot())
        hidden = (attempt["attempt_token"], SECRET, settings.COLLECT_SERVICE_API_KEY)
        raw = "\x1b[31m<p>\n\u202e厨房 ".encode() + " ".join(hidden).encode() + b" " + b"x" * 5000
        with capture_logs() as lines:
            assert status_of(call(api, raw, attempt)) == "failed"
        (line,) = [line for line in lines if line["event"] == "webhook_unreadable"]
        assert line["excerpt"].startswith("\\x1b[31m<p>\\n\\u202e厨房 *** *** *** xxx")
        assert len(line["excerpt"]) == 200
        assert line["size_bytes"] == len(raw)
        text = f"{lines} {reload(attempt)['error_message']}"
        assert not any(secret in text for secret in hidden)

    def test_while_mongodb_is_down_it_is_parked(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempt = begin_attempt(hot())
        with monkeypatch.context() as down:
            down.setattr(receive.selectors, "find_collection", no_mongo)
            assert status_of(call(api, HTML.encode(), attempt)) == "parked"
        assert reload(attempt) == attempt
        assert receive_deferred() == 1
        failed = reload(attempt)
        assert (failed["status"], failed["error_code"]) == ("PENDING", "unreadable_payload")
        assert "登录已过期" in failed["error_message"]


class TestProgress:
    @pytest.mark.parametrize(
        "status", ["in_progress", "Processing", "IN-PROGRESS", "step 3 of 5", "retrying", None, 200, True, ""]
    )
    def test_what_is_no_result_is_a_heartbeat_and_the_result_is_the_success(
        self, api: APIClient, status: Any
    ) -> None:
        attempt = begin_attempt(hot())
        for more in (
            {},
            {"progress": 40},
            {"data": {"progress": 40}},
            {"success": True},
            {"message": "p. 3"},
        ):
            beat = {"executionId": "x1", "status": status, **more}
            for body in (beat, {"data": beat}):
                assert status_of(call(api, json.dumps(body).encode(), attempt)) == "heartbeat", body
        assert reload(attempt) == attempt
        assert status_of(call(api, RAW, attempt)) == "stored"
        assert reload(attempt)["status"] == "SUCCEEDED"

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"status": "in_progress", "resultData": None}, "heartbeat"),
            ({"status": "processing", "data": {}}, "heartbeat"),
            ({"status": "processing", "resultData": {"hotList": None}}, "heartbeat"),
            ({"status": "processing", "resultData": {"hotList": [ROW]}}, "stored"),
            ({"status": "running", "resultData": {"hotList": [ROW]}}, "heartbeat"),
            ({"resultData": None}, "empty"),
            ({"data": []}, "empty"),
            ({"hotList": None}, "empty"),
            ({"hotList": []}, "empty"),
            ({"data": {"hotList": []}}, "empty"),
            ({"data": {"hotList": {"code": 500, "data": None}}}, "empty"),
            ({"status": "whatever", "resultData": {"hotList": {"data": []}}}, "empty"),
            ({"status": "completed", "data": {}}, "empty"),
            ({"data": {"code": 401, "message": "登录已过期"}}, "empty"),
            ({"status": "failed"}, "failed"),
            ({"status": 503}, "failed"),
            ({"status": "in_progress", "success": False}, "failed"),
            ({"status": "in_progress", "error": "captcha"}, "failed"),
            ({"data": {"progress": 40}, "error": "captcha"}, "failed"),
            ({"resultData": HTML}, "failed"),
            ({"status": "step 3", "data": 5}, "failed"),
        ],
    )
    def test_empty_needs_a_result_key_that_is_there_and_empty(
        self, api: APIClient, body: Document, status: str
    ) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, json.dumps({"executionId": "x1", **body}).encode(), attempt)) == status

    @pytest.mark.parametrize("first", ["empty", "failed", "unreadable", "lost"])
    def test_a_result_after_a_wrongly_assumed_end_is_the_success_it_is(
        self, api: APIClient, admin: APIClient, settings: Any, first: str
    ) -> None:
        settings.COLLECT_MAX_ATTEMPTS = 1
        attempt = begin_attempt(hot())
        if first == "lost":
            change(attempt, lease_until=attempt["dispatched_at"])
            fail_overdue()
        else:
            ends = {
                "empty": {"executionId": "x1", "resultData": None},
                "failed": {"executionId": "x1", "status": "failed"},
                "unreadable": 5,
            }
            call(api, json.dumps(ends[first]).encode(), attempt)
        assert reload(attempt)["status"] == ("EMPTY" if first == "empty" else "FAILED")
        assert (
            status_of(call(api, json.dumps(body_for(attempt, ranking("late"))).encode(), attempt)) == "stored"
        )
        ended = reload(attempt)
        assert (ended["status"], ended["empty_reason"], ended["error_code"]) == ("SUCCEEDED", "", "")
        assert [row["catName"] for row in stored_rows()] == ["late"]
        counted = admin.get("/api/admin/metrics").json()["data"]["total"]["collections"]
        assert (counted["recovered"], counted["success_rate"]) == (1, 1.0)
        assert status_of(call(api, RAW, attempt)) == "duplicate"


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
).map(json.dumps)


@hypothesis_settings(max_examples=200)
@given(text=json_texts | st.text(max_size=10), codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_json_is_read_or_no_json_and_what_is_read_can_be_stored(text: str, codec: str) -> None:
    try:
        value = loads(text.encode(codec, "surrogatepass"))
    except NotJSON:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    json.dumps(value, ensure_ascii=False).encode()
