"""A real aws-xray-sdk program. `client.py emit N` | `client.py sample RULE SECONDS`; see ../README.md."""

import json
import logging
import sys
import time

from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.models.trace_header import TraceHeader
from aws_xray_sdk.ext.util import calculate_sampling_decision

NAME = "cap-python"
TEXT = 'zażółć 東京 🚀 "quoted" back\\slash <a&b> tab\t newline\n bell\x07 nul\x00 line\u2028separator'
DECISIONS_PER_SECOND = 10
# Targets are reported every 10 s, counted from the first decision, with up to 0.1 s of jitter.
REPORT_WAIT_SECONDS = 13
# The SDK streams subsegments once a segment has more than 30 of them.
STREAMED_SUBSEGMENTS = 40


def plain(segment):
    pass


def annotated(segment):
    segment.set_user("użytkownik")
    for key, value in {"text": "plain", "whole": 42, "float": 2.5, "yes": True}.items():
        segment.put_annotation(key, value)


def text(segment):
    segment.put_annotation("city", "東京")
    segment.put_metadata("text", TEXT)
    segment.put_metadata("deep", {"list": [1, None, {"a": [TEXT]}], "empty": {}}, namespace=NAME)


def nested(segment):
    with xray_recorder.in_subsegment("outer") as outer:
        outer.put_annotation("level", 1)
        with xray_recorder.in_subsegment("s3", namespace="aws") as s3:
            s3.set_aws({"operation": "GetObject", "region": "us-east-1", "bucket_name": "bucket"})
            with xray_recorder.in_subsegment("api.example.com", namespace="remote") as remote:
                remote.put_http_meta("url", "https://api.example.com/cap")
                remote.put_http_meta("method", "GET")
                remote.put_http_meta("status", 404)
        with xray_recorder.in_subsegment("db.example.com", namespace="remote") as database:
            database.set_sql({"sanitized_query": "SELECT ?", "database_type": "PostgreSQL"})


def failed(segment):
    segment.add_fault_flag()
    try:
        with xray_recorder.in_subsegment("failing"):
            raise ValueError(TEXT)
    except ValueError:
        pass  # in_subsegment has recorded it


def http(segment):
    segment.put_http_meta("method", "GET")
    segment.put_http_meta("url", "http://example.com/cap?q=1")
    segment.put_http_meta("user_agent", "client.py")
    segment.put_http_meta("client_ip", "203.0.113.7")
    segment.put_http_meta("status", 429)


def big(segment):
    segment.put_metadata("big", "x" * 50_000)


def streamed(segment):
    for number in range(STREAMED_SUBSEGMENTS):
        with xray_recorder.in_subsegment(f"step-{number}"):
            pass


SMALL = [plain, annotated, text, nested, failed, http]


def shape(number):
    """Segments 6 and 7 are the large and the streamed one, once each; the others go round the small shapes."""
    return {6: big, 7: streamed}.get(number, SMALL[number % len(SMALL)])


class Errors(logging.Handler):
    """The SDK only logs what it could not send; a lost document must not look like a success here."""

    seen = False

    def emit(self, record):
        self.seen = True


def emit(count):
    errors = Errors(level=logging.ERROR)
    logging.getLogger("aws_xray_sdk").addHandler(errors)
    for number in range(count):
        segment = xray_recorder.begin_segment(NAME, sampling=1)
        segment.put_annotation("number", number)
        shape(number)(segment)
        xray_recorder.end_segment()  # sends before it returns
        time.sleep(0.001)  # the receiver's buffer is not what is tested
    if errors.seen:
        sys.exit("the SDK reported an error")
    print(json.dumps({"emitted": count}))


def decide():
    """One request as the SDK's middlewares treat it. Returns the rule's name, if any, and the decision's time."""
    request = {"host": "example.com", "method": "GET", "path": "/cap", "service": NAME}
    began = time.monotonic()
    decision = calculate_sampling_decision(TraceHeader(), xray_recorder, request)
    took_ms = (time.monotonic() - began) * 1000
    segment = xray_recorder.begin_segment(NAME, sampling=decision)
    rule = segment.aws["xray"].get("sampling_rule_name") if segment.sampled else None
    xray_recorder.end_segment()
    return rule, took_ms


def sample(wanted, seconds):
    start = time.monotonic()
    rules_seen, decisions, max_decision_ms, matched_at = set(), 0, 0.0, None
    while True:
        now = time.monotonic() - start
        if now > (seconds if matched_at is None else matched_at + REPORT_WAIT_SECONDS):
            break
        rule, took_ms = decide()
        decisions += 1
        max_decision_ms = max(max_decision_ms, took_ms)
        if rule is not None:
            rules_seen.add(rule)
        if rule == wanted and matched_at is None:
            matched_at = time.monotonic() - start
            answer = {"rule": rule, "after_ms": round(matched_at * 1000), "max_decision_ms": round(max_decision_ms, 3)}
            print(json.dumps(answer), flush=True)
        time.sleep(1 / DECISIONS_PER_SECOND)
    if matched_at is None:
        answer = {"rule": None, "rules_seen": sorted(rules_seen), "decisions": decisions}
        print(json.dumps(answer | {"max_decision_ms": round(max_decision_ms, 3)}))


def main():
    logging.basicConfig(level=logging.WARNING)
    match sys.argv[1:]:
        case ["emit", count]:
            emit(int(count))
        case ["sample", rule, seconds]:
            sample(rule, float(seconds))
        case _:
            sys.exit("usage: client.py emit N | client.py sample RULE SECONDS")


main()
