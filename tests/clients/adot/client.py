"""A real ADOT (OpenTelemetry) program. `client.py emit N` | `client.py sample RULE SECONDS`; see ../README.md.

ADOT does not understand the `tcp:H:P udp:H:P` form, so this program takes AWS_XRAY_DAEMON_ADDRESS apart itself: the
UDP part goes to the span exporter, the TCP part to the sampler.
"""

import json
import logging
import os
import sys
import time

from amazon.opentelemetry.distro.otlp_udp_exporter import OTLPUdpSpanExporter
from amazon.opentelemetry.distro.sampler.aws_xray_remote_sampler import AwsXRayRemoteSampler
from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode

NAME = "cap-adot"
TEXT = 'zażółć 東京 🚀 "quoted" back\\slash <a&b> tab\t newline\n bell\x07 nul\x00 line\u2028separator'
# What the sampler writes on a span it sampled by a central rule; its local fallback writes nothing.
RULE_ATTRIBUTE = "aws.xray.sampling_rule"
DECISIONS_PER_SECOND = 10
# Targets are reported every 10 s, counted from the sampler's start, with up to 0.1 s of jitter.
REPORT_WAIT_SECONDS = 13
# As ADOT does in Lambda, the only place where it exports to the daemon's port by itself.
SPANS_PER_DATAGRAM = 10
MANY_SPANS = 25


def endpoints():
    """The daemon's UDP and TCP `host:port`."""
    parts = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000").split()
    tagged = dict(part.split(":", 1) for part in parts if part.startswith(("udp:", "tcp:")))
    return tagged.get("udp", parts[0]), tagged.get("tcp", parts[0])


def build(sampler_for):
    """A provider whose spans go to the daemon, and its tracer."""
    udp, tcp = endpoints()
    resource = Resource.create({"service.name": NAME})
    provider = TracerProvider(
        resource=resource, sampler=sampler_for(resource, f"http://{tcp}"), id_generator=AwsXRayIdGenerator()
    )
    exporter = OTLPUdpSpanExporter(endpoint=udp)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=SPANS_PER_DATAGRAM))
    return provider, provider.get_tracer("client")


def request_span(tracer):
    attributes = {
        "http.request.method": "GET",
        "url.path": "/cap",
        "url.full": "http://example.com/cap",
        "server.address": "example.com",
    }
    return tracer.start_as_current_span("GET /cap", kind=SpanKind.SERVER, attributes=attributes)


def plain(tracer, span):
    pass


def annotated(tracer, span):
    span.set_attributes({"text": "plain", "whole": 42, "float": 2.5, "yes": True, "list": ["a", "b"]})
    span.set_attribute("enduser.id", "użytkownik")


def text(tracer, span):
    span.set_attribute("text", TEXT)
    span.add_event("event", {"text": TEXT})


def nested(tracer, span):
    with tracer.start_as_current_span("outer"):
        aws = {"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "GetObject"}
        with tracer.start_as_current_span("S3.GetObject", kind=SpanKind.CLIENT, attributes=aws):
            pass
        sql = {"db.system": "postgresql", "db.statement": "SELECT ?"}
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=sql):
            pass


def failed(tracer, span):
    try:
        with tracer.start_as_current_span("failing"):
            raise ValueError(TEXT)
    except ValueError as error:
        span.set_status(Status(StatusCode.ERROR, str(error)))


def http(tracer, span):
    span.set_attributes({"http.response.status_code": 429, "client.address": "203.0.113.7"})


def big(tracer, span):
    span.set_attribute("big", "x" * 45_000)  # base64 makes 60 KB of it


def many(tracer, span):
    for number in range(MANY_SPANS):
        with tracer.start_as_current_span(f"step-{number}"):
            pass


SMALL = [plain, annotated, text, nested, failed, http]


def shape(number):
    """Traces 6 and 7 are the large one and the one of many spans, once each; the others go round the small shapes."""
    return {6: big, 7: many}.get(number, SMALL[number % len(SMALL)])


class Errors(logging.Handler):
    """The SDK only logs what it could not send; a lost document must not look like a success here."""

    seen = False

    def emit(self, record):
        self.seen = True


def emit(count):
    errors = Errors(level=logging.ERROR)
    logging.getLogger().addHandler(errors)
    provider, tracer = build(lambda resource, endpoint: ALWAYS_ON)
    for number in range(count):
        with request_span(tracer) as span:
            # As in AWS: only what is listed here is an annotation, the rest is metadata.
            span.set_attributes({"number": number, "aws.xray.annotations": ["number"]})
            shape(number)(tracer, span)
        provider.force_flush()  # one trace at a time: no datagram holds spans of two
    provider.shutdown()
    if errors.seen:
        sys.exit("the SDK reported an error")
    print(json.dumps({"emitted": count}))


def decide(tracer):
    """One request. Returns the rule's name, if any, and how long starting the span, hence the decision, took."""
    began = time.monotonic()
    with request_span(tracer) as span:
        took_ms = (time.monotonic() - began) * 1000
        return (span.attributes.get(RULE_ATTRIBUTE) if span.is_recording() else None), took_ms


def sample(wanted, seconds):
    provider, tracer = build(lambda resource, endpoint: AwsXRayRemoteSampler(resource=resource, endpoint=endpoint))
    start = time.monotonic()
    rules_seen, decisions, max_decision_ms, matched_at = set(), 0, 0.0, None
    while True:
        now = time.monotonic() - start
        if now > (seconds if matched_at is None else matched_at + REPORT_WAIT_SECONDS):
            break
        rule, took_ms = decide(tracer)
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
    provider.shutdown()


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
