"""Trace retrieval: started, listed page by page in both formats, drawn as a graph, cancelled."""

import json

from botocore.exceptions import ClientError

from refusals import NOT_FOUND
from report import having, one_of

PAGE_MAX = 5


def run(xray, report, corpus):
    names = ["plain", "shop", "auth", "sqs", "slow-call", "late", "weather"]
    window = corpus.window(margin=0)
    ids = [corpus.ids[name] for name in names]
    token = xray.call("StartTraceRetrieval", TraceIds=ids, **window).get("RetrievalToken") or "none"
    for extra in ({}, {"TraceFormat": "XRAY"}, {"TraceFormat": "OTEL"}):
        traces = listed(xray, report, token, extra)
        found = sorted(trace["Id"].lower() for trace in traces)
        report.expect(f"ListRetrievedTraces {extra}: ids", sorted(ids), found)
        wanted = extra.get("TraceFormat", "XRAY")
        spans = [span for trace in traces for span in trace["Spans"]]
        report.expect(f"ListRetrievedTraces {extra}: spans are well-formed", [], unreadable(spans, wanted))
        if wanted == "XRAY":
            plain = next((trace for trace in traces if trace["Id"].lower() == corpus.ids["plain"]), None)
            document = json.loads(plain["Spans"][0]["Document"]) if plain and plain["Spans"] else None
            report.expect(f"ListRetrievedTraces {extra}: document of plain", {"name": "web"}, document)
    graph(xray, report, token)
    cancel(xray, report, token)
    unknown = ["1-00000001-ffffffffffffffffffffffff"]
    token = xray.call("StartTraceRetrieval", TraceIds=unknown, **window).get("RetrievalToken") or "none"
    report.expect("ListRetrievedTraces of an unknown trace", [], listed(xray, report, token, {}))


def listed(xray, report, token, members):
    """All traces of a retrieval, in pages."""
    expected = {"RetrievalStatus": "COMPLETE", "TraceFormat": members.get("TraceFormat", "XRAY")}
    what = f"ListRetrievedTraces {members}"
    page = report.until(what, expected, lambda: xray.call("ListRetrievedTraces", RetrievalToken=token, **members))
    traces, pages = list(page.get("Traces") or []), 1
    while page.get("NextToken") and pages < 10:
        page = xray.call("ListRetrievedTraces", RetrievalToken=token, NextToken=page["NextToken"], **members)
        traces += page.get("Traces") or []
        pages += 1
        report.expect(f"{what}: traces on a page", True, len(page.get("Traces") or []) <= PAGE_MAX)
    report.expect(f"{what}: pages for {len(traces)} traces", True, len(traces) <= pages * PAGE_MAX)
    return traces


def unreadable(spans, wanted):
    """Documents that are not what their format says."""
    bad = []
    for span in spans:
        try:
            document = json.loads(span["Document"])
        except ValueError:
            bad.append(span)
            continue
        # An OpenTelemetry span has its times in nanoseconds; a segment has them in seconds, and its name outside.
        fine = "start_time" in document if wanted == "XRAY" else "startTimeUnixNano" in span["Document"]
        if not fine:
            bad.append(span)
    return bad


def graph(xray, report, token):
    answer = report.until(
        "GetRetrievedTracesGraph",
        {"RetrievalStatus": "COMPLETE"},
        lambda: xray.call("GetRetrievedTracesGraph", RetrievalToken=token),
    )
    services = [service.get("Service") for service in answer.get("Services") or []]
    expected = having({"Name": "web"}, {"Name": "gateway", "Root": True}, {"Name": "traces", "Type": "remote"})
    report.expect("GetRetrievedTracesGraph: services", expected, services)


def cancel(xray, report, token):
    """What is cancelled is gone, or says that it was cancelled."""
    report.expect("CancelTraceRetrieval", {}, xray.call("CancelTraceRetrieval", RetrievalToken=token))
    try:
        status = xray.client.list_retrieved_traces(RetrievalToken=token).get("RetrievalStatus")
    except ClientError as error:
        status = error.response["Error"]["Code"]
    expected = one_of("CANCELLED", "COMPLETE", NOT_FOUND)
    report.expect("ListRetrievedTraces after CancelTraceRetrieval", expected, status)
