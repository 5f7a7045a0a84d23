"""Puts the corpus, and checks what comes back of it: documents, summaries, and what is not taken."""

import json
import time

from corpus import BY_UDP
from expected import DOCUMENTS, LATE, OK, SUMMARIES, UNPROCESSED
from report import near, one_of
from retrieving import chunks, documents_of, summaries_of


def put(xray, datagrams, report, corpus):
    """Sends everything, some by UDP, and waits until all of it can be read."""
    corpus.put_at = time.time()
    by_http = []
    for name, documents in corpus.documents.items():
        if name in LATE:
            documents = documents[:-1]
        if name in BY_UDP:
            for document in documents:
                datagrams.send(document)
        else:
            by_http += documents
    for some in chunks(by_http, 50):
        answer = xray.call("PutTraceSegments", TraceSegmentDocuments=some)
        report.expect("PutTraceSegments of the corpus", {"UnprocessedTraceSegments": []}, answer)
    wait(xray, report, corpus)
    for name, before in LATE.items():
        report.expect(f"BatchGetTraces: documents of {name} so far", before, documents_of(xray, corpus.ids[name]))
        datagrams.send(corpus.documents[name][-1])


def wait(xray, report, corpus):
    """Until every whole segment that was sent is there."""
    for some in chunks(list(corpus.ids), 5):
        wanted = set()
        for name in some:
            sent = [json.loads(text) for text in corpus.documents[name]]
            sent = sent[:-1] if name in LATE else sent
            wanted |= {segment["id"].lower() for segment in sent if "type" not in segment}
        ids = [corpus.ids[name] for name in some]

        def missing(ids=ids, wanted=wanted):
            traces = xray.every("BatchGetTraces", "Traces", TraceIds=ids)
            found = {segment["Id"].lower() for trace in traces for segment in trace["Segments"]}
            return sorted(wanted - found)

        report.until(f"segments of {', '.join(some)} can be read (missing ones)", [], missing)


def run(xray, report, corpus):
    unprocessed(xray, report)
    batch(xray, report, corpus)
    for name, expected in DOCUMENTS.items():
        report.until(
            f"BatchGetTraces: documents of {name}", expected, lambda name=name: documents_of(xray, corpus.ids[name])
        )
    summaries = summaries_of(xray, corpus)
    # Whether a trace of nothing but a stray subsegment has a summary is not recorded.
    whole = set(corpus.ids) - {"orphan-part"}
    report.expect("GetTraceSummaries: traces of the corpus", whole, set(summaries) - {"orphan-part"})
    for name, expected in SUMMARIES.items():
        report.expect(f"GetTraceSummaries: summary of {name}", expected, summaries.get(name))
        start = summaries.get(name, {}).get("StartTime")
        started = start and start.timestamp()
        report.expect(f"GetTraceSummaries: StartTime of {name}", int(corpus.starts[name]), started)
    ranges(xray, report, corpus)


def unprocessed(xray, report):
    texts = [text if isinstance(text, str) else json.dumps(text) for _, text in UNPROCESSED]
    answers = xray.call("PutTraceSegments", TraceSegmentDocuments=texts).get("UnprocessedTraceSegments", [])
    report.expect("PutTraceSegments: as many are unprocessed as are wrong", len(UNPROCESSED), len(answers))
    for code, document in UNPROCESSED:
        answer = xray.call(
            "PutTraceSegments", TraceSegmentDocuments=[document if isinstance(document, str) else json.dumps(document)]
        )
        expected = {"ErrorCode": code, "Message": f"Invalid segment. ErrorCode: {code}"}
        if isinstance(document, dict) and document.get("id") == OK["id"]:
            expected["Id"] = OK["id"]
        report.expect(f"PutTraceSegments {document}", {"UnprocessedTraceSegments": [expected]}, answer)


def batch(xray, report, corpus):
    """Ids in any case and order, unknown ones, none."""
    unknown = "1-00000001-ffffffffffffffffffffffff"
    plain, upper = corpus.ids["plain"], corpus.ids["upper"]
    for ids, expected in [
        ([], []),
        ([unknown], []),
        ([plain, unknown], [plain]),
        ([plain.upper(), upper], [plain, upper]),
        ([upper.upper(), corpus.ids["w3c"]], [upper, corpus.ids["w3c"]]),
    ]:
        answer = xray.call("BatchGetTraces", TraceIds=ids)
        found = sorted(trace["Id"].lower() for trace in answer.get("Traces", []))
        report.expect(f"BatchGetTraces {ids}: ids", sorted(expected), found)
        report.expect(f"BatchGetTraces {ids}: unprocessed", [], answer.get("UnprocessedTraceIds"))
    for name, duration in [("plain", near(0.2)), ("late", near(7)), ("open", None), ("orphan-part", None)]:
        answer = xray.call("BatchGetTraces", TraceIds=[corpus.ids[name]])
        expected = {"Traces": [{"Duration": duration, "LimitExceeded": one_of(None, False)}]}
        report.expect(f"BatchGetTraces: Duration of {name}", expected, answer)


def ranges(xray, report, corpus):
    """The three ways to say when."""
    start = corpus.base + corpus.index["plain"]
    inside = {"StartTime": start, "EndTime": start + 1}
    before = {"StartTime": start - 5, "EndTime": start - 1}
    for window, kind, expected in [
        (inside, {}, ["plain"]),
        (before, {}, []),
        # boto3 and the command line cut times to whole seconds, so the last one counts whole.
        ({"StartTime": start - 5, "EndTime": start}, {}, ["plain"]),
        (corpus.window(), {"TimeRangeType": "TraceId"}, ["plain"]),
        (corpus.window(), {"TimeRangeType": "Event"}, ["plain"]),
        (corpus.window(), {"TimeRangeType": "Service"}, ["plain"]),
        (corpus.window(), {"Sampling": False, "SamplingStrategy": {"Name": "FixedRate", "Value": 0.0}}, ["plain"]),
        (corpus.window(), {"Sampling": True, "SamplingStrategy": {"Name": "PartialScan", "Value": 0.5}}, ["plain"]),
    ]:
        found = summaries_of(xray, corpus, **window, **kind)
        got = [name for name in found if name == "plain"]
        report.expect(f"GetTraceSummaries {window} {kind}: plain among them", expected, got)
        if kind.get("TimeRangeType") in ("Event", "Service"):
            summary = found.get("plain", {})
            matched = "MatchedEventTime" if summary.get("MatchedEventTime") else None
            report.expect(f"GetTraceSummaries {kind}: MatchedEventTime of plain", "MatchedEventTime", matched)
    half = {"TimeRangeType": "Event", "Sampling": True, "SamplingStrategy": {"Name": "FixedRate", "Value": 1.0}}
    found = set(summaries_of(xray, corpus, **half)) - {"orphan-part"}
    report.expect("GetTraceSummaries with a fixed rate of 1: all", set(corpus.ids) - {"orphan-part"}, found)
    # With a service in the filter it is the end of that service's segments that counts.
    by_service = {"TimeRangeType": "Service", "FilterExpression": 'service("web")'}
    for window, expected in [(inside, ["plain"]), (before, [])]:
        found = [name for name in summaries_of(xray, corpus, **window, **by_service) if name == "plain"]
        report.expect(f"GetTraceSummaries {window} {by_service}: plain among them", expected, found)
    answer = xray.call("GetTraceSummaries", StartTime=start, EndTime=start + 1)
    asked = answer.get("ApproximateTime")
    report.expect("GetTraceSummaries: ApproximateTime", start, asked and asked.timestamp())
