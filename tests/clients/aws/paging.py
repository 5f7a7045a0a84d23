"""Reads more summaries than fit on a page: each trace once, whatever comes in between."""

import json
import random
import time

from refusals import INVALID, WINDOW
from report import one_of
from retrieving import chunks

TRACES = 460
# Many start in the same second and some at the same instant: a page must be able to end among them.
SAME_SECOND, SAME_INSTANT = 40, 4


def run(xray, report, corpus):
    mark = f"page-{corpus.run}"
    start = int(time.time()) - 90
    ids = put(xray, report, mark, start, TRACES)
    asked = {
        "StartTime": start - 1,
        "EndTime": start + 61,
        "FilterExpression": f'annotation.mark = "{mark}"',
    }
    report.until(
        "GetTraceSummaries: all traces of the paging check can be found",
        TRACES,
        lambda: len(xray.every("GetTraceSummaries", "TraceSummaries", **asked)),
        seconds=30,
    )
    for kind in ("TraceId", "Event", "Service"):
        # Events are now.
        window = {**asked, "TimeRangeType": kind, **({} if kind == "TraceId" else {"EndTime": int(time.time()) + 60})}
        paged(report, f"GetTraceSummaries by {kind}", xray.pages("GetTraceSummaries", **window), ids)
    between(xray, report, mark, start, asked, ids)
    first = xray.call("GetTraceSummaries", **asked)
    report.expect(
        "GetTraceSummaries: ApproximateTime is on the first page alone",
        one_of(None),
        xray.call("GetTraceSummaries", **asked, NextToken=first.get("NextToken") or "none").get("ApproximateTime"),
    )
    xray.refused("GetTraceSummaries", {**WINDOW, "NextToken": (first.get("NextToken") or "no") + "x"}, INVALID, None)


def paged(report, what, pages, ids):
    found = [summary["Id"] for page in pages for summary in page.get("TraceSummaries") or []]
    report.expect(f"{what}: more than one page", True, len(pages) > 1)
    report.expect(f"{what}: traces found twice", [], sorted({id for id in found if found.count(id) > 1}))
    report.expect(f"{what}: traces not found", [], sorted(ids - set(found)))
    report.expect(f"{what}: traces too many", [], sorted(set(found) - ids))
    processed = sum(page.get("TracesProcessedCount") or 0 for page in pages)
    report.expect(f"{what}: at least what was found was processed", True, processed >= len(set(found)))


def between(xray, report, mark, start, asked, ids):
    """Traces that come while somebody reads on must not shift the pages."""
    pages = [xray.call("GetTraceSummaries", **asked)]
    put(xray, report, mark, start + 30, 20)
    while pages[-1].get("NextToken") and len(pages) < 50:
        pages.append(xray.call("GetTraceSummaries", **asked, NextToken=pages[-1]["NextToken"]))
    found = [summary["Id"] for page in pages for summary in page.get("TraceSummaries") or []]
    what = "GetTraceSummaries while traces come in"
    report.expect(f"{what}: traces found twice", [], sorted({id for id in found if found.count(id) > 1}))
    report.expect(f"{what}: traces not found", [], sorted(ids - set(found)))


def put(xray, report, mark, start, count):
    """Small traces, some of them at the same time; gives their ids."""
    documents, ids = [], set()
    for index in range(count):
        at = start + index // SAME_SECOND + index % SAME_SECOND // SAME_INSTANT * 0.01
        trace = f"1-{int(at):08x}-{random.getrandbits(96):024x}"
        ids.add(trace)
        segment = {"name": "many", "id": f"{random.getrandbits(64):016x}", "trace_id": trace}
        segment |= {"start_time": at, "end_time": at + 0.05, "annotations": {"mark": mark}}
        documents.append(json.dumps(segment))
    for some in chunks(documents, 50):
        answer = xray.call("PutTraceSegments", TraceSegmentDocuments=some)
        report.expect("PutTraceSegments of many traces", {"UnprocessedTraceSegments": []}, answer)
    return ids
