"""Proves that the checks can fail: answers made by hand, each of the wrong ones wrong in one way."""

import io
import json
import re

import botocore.session

from report import Report, difference, having, near, one_of, unordered
from shapes import Shapes

ID = "1-581cf771-a006649127e371903a2de979"
COUNTS = {
    "OkCount": 1,
    "ErrorStatistics": {"ThrottleCount": 1, "OtherCount": 2, "TotalCount": 3},
    "FaultStatistics": {"OtherCount": 4, "TotalCount": 4},
    "TotalCount": 8,
    "TotalResponseTime": 1.5,
}
EDGE = {"ReferenceId": 1, "StartTime": 1.5e9, "SummaryStatistics": COUNTS, "ResponseTimeHistogram": []}
SERVICE = {"ReferenceId": 0, "Name": "a", "Names": ["a"], "Edges": [EDGE], "Region": None, "KeyAttributes": {}}
ENTITY = {"Name": "a", "Exceptions": [{"Name": "Boom", "Message": None}], "Remote": False}
CAUSE_SERVICE = {"Name": "a", "Names": ["a"], "Type": "remote", "EntityPath": [ENTITY], "Inferred": None}
CAUSE = {"Services": [CAUSE_SERVICE], "ClientImpacting": True}
SUMMARY = {
    "Id": ID,
    "StartTime": 1.790161902e9,
    "Duration": None,
    "HasFault": True,
    "HasError": False,
    "HasThrottle": False,
    "IsPartial": False,
    "Http": {"HttpURL": None},
    "Annotations": {"a": [{"AnnotationValue": {"NumberValue": 1}, "ServiceIds": None}]},
    "FaultRootCauses": [CAUSE],
    "MatchedEdge": None,
}
SUMMARIES = {"TraceSummaries": [SUMMARY], "TracesProcessedCount": 1, "NextToken": None}
TRACES = {
    "Traces": [{"Id": ID, "Segments": [{"Id": "a", "Document": '{"id": "a"}'}]}],
    "UnprocessedTraceIds": [],
}
GROUP = {
    "GroupName": "a",
    "GroupARN": "arn",
    "InsightsConfiguration": {"InsightsEnabled": False, "NotificationsEnabled": False},
}
RULE = {
    **dict.fromkeys(["RuleName", "RuleARN", "ResourceARN", "ServiceName", "ServiceType", "Host", "URLPath"], "*"),
    **{"HTTPMethod": "*", "Priority": 1, "FixedRate": 1, "ReservoirSize": 0, "Version": 1, "Attributes": {}},
}
RECORD = {"SamplingRule": RULE, "CreatedAt": 0.0, "ModifiedAt": 0}
RULES = {"SamplingRuleRecords": [RECORD], "NextToken": None}
TARGETS = {
    "SamplingTargetDocuments": [{"RuleName": "a", "FixedRate": 0.5, "ReservoirQuota": None}],
    "LastRuleModification": 1.6e9,
    "UnprocessedStatistics": [],
}

GOOD = [
    ("GetTraceSummaries", SUMMARIES),
    ("BatchGetTraces", TRACES),
    ("GetServiceGraph", {"Services": [SERVICE], "StartTime": None, "ContainsOldGroupVersions": False}),
    ("GetGroup", {"Group": GROUP}),
    ("GetSamplingRules", RULES),
    ("GetSamplingTargets", TARGETS),
    ("GetTraceSegmentDestination", {"Destination": "XRay", "Status": "ACTIVE", "CompositeConfiguration": None}),
    ("DeleteGroup", {}),
]

REMOVED = object()

# operation, good answer, path to a member, what stands there instead, a part of the problem that must be told.
BAD = [
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Http", None, "Http: must be there"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Http", REMOVED, "Http: must be there"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Http.HttpStatus", "200", "must be a integer"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Http.HttpStatus", True, "must be a integer"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.StartTime", "2026-01-01T00:00:00Z", "must be a timestamp"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.StartTime", 1.79e12, "no time in seconds"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.IsParital", True, "has no such member"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.HasFault", 1, "must be a boolean"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Id", "a", "is no trace id"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.EntryPoint", [], "must be an object"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Users", {}, "must be a list"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Annotations.a", {}, "must be a list"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.Annotations.a", None, "null in a map"),
    (
        "GetTraceSummaries",
        SUMMARIES,
        "TraceSummaries.0.Annotations.a.0.AnnotationValue",
        {"NumberValue": 1, "StringValue": "1"},
        "one value",
    ),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.FaultRootCauses.0.Services", [], "must not be empty"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.FaultRootCauses.0.Services.0.Type", None, "Type: must be"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.FaultRootCauses.0.Services.0.Name", 1, "must be a string"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries.0.FaultRootCauses.0.Services.0.EntityPath", [], "be empty"),
    (
        "GetTraceSummaries",
        SUMMARIES,
        "TraceSummaries.0.FaultRootCauses.0.Services.0.EntityPath.0.Exceptions.0.Name",
        None,
        "Name: must be there",
    ),
    ("GetTraceSummaries", SUMMARIES, "NextToken", "", "never an empty text"),
    ("GetTraceSummaries", SUMMARIES, "NextToken", 1, "must be a string"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries", None, "TraceSummaries: must be there"),
    ("GetTraceSummaries", SUMMARIES, "TraceSummaries", [None], "null in a list"),
    ("GetTraceSummaries", SUMMARIES, "TracesProcessedCount", 1.0, "must be a long"),
    ("BatchGetTraces", TRACES, "Traces.0.Segments.0.Document", {"id": "a"}, "must be a string"),
    ("BatchGetTraces", TRACES, "Traces.0.Segments.0.Document", '{"id": "b"}', "the document's id is"),
    ("BatchGetTraces", TRACES, "Traces.0.Segments.0.Document", '{"id": "a", "x": NaN}', "NaN is not JSON"),
    ("BatchGetTraces", TRACES, "Traces.0.Segments.0.Document", "", "Document"),
    ("BatchGetTraces", TRACES, "UnprocessedTraceIds", None, "UnprocessedTraceIds: must be there"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.ResponseTimeHistogram", None, "must be there"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.ResponseTimeHistogram", {}, "must be a list"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.SummaryStatistics.TotalResponseTime", None, "must be"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.SummaryStatistics.OkCount", 2, "are not the total"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.SummaryStatistics.OkCount", "1", "must be a long"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.SummaryStatistics.FaultStatistics", {}, "must be there"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges.0.Region", None, "has no such member"),
    ("GetServiceGraph", GOOD[2][1], "Services.0.Edges", None, "Edges: must be there"),
    ("GetGroup", {"Group": GROUP}, "Group.InsightsConfiguration", None, "must be there"),
    ("GetGroup", {"Group": GROUP}, "Group.InsightsConfiguration.InsightsEnabled", None, "must be there"),
    ("GetSamplingRules", RULES, "SamplingRuleRecords.0.SamplingRule.Priority", 100.0, "must be a integer"),
    ("GetSamplingRules", RULES, "SamplingRuleRecords.0.SamplingRule.Attributes", None, "must be there"),
    ("GetSamplingRules", RULES, "SamplingRuleRecords.0.SamplingRule.Host", REMOVED, "must be there"),
    ("GetSamplingRules", RULES, "SamplingRuleRecords.0.CreatedAt", "2026", "must be a timestamp"),
    ("GetSamplingTargets", TARGETS, "UnprocessedStatistics", REMOVED, "must be there"),
    ("GetSamplingTargets", TARGETS, "LastRuleModification", REMOVED, "must be there"),
    ("GetTraceSegmentDestination", GOOD[6][1], "Status", "RUNNING", "is none of"),
    ("GetTraceSegmentDestination", GOOD[6][1], "Composite", None, "has no such member"),
]

REFUSALS = [
    # operation, status, x-amzn-errortype, body, a part of the problem; None is no problem.
    ("GetGroup", 400, "InvalidRequestException", {"Message": "a"}, None),
    ("GetGroup", 400, "ValidationException", {"message": "a"}, None),
    ("GetGroup", 429, "ThrottledException", {"Message": "a"}, None),
    ("TagResource", 404, "ResourceNotFoundException", {"Message": "a", "ResourceName": "b"}, None),
    ("GetGroup", 404, "InvalidRequestException", {"Message": "a"}, "has status 404"),
    ("TagResource", 400, "ResourceNotFoundException", {"Message": "a"}, "has status 400"),
    ("GetGroup", 404, "ResourceNotFoundException", {"Message": "a"}, "has no error"),
    ("GetGroup", 400, "InvalidRequestException", {"message": "a"}, "must tell its text in 'Message'"),
    ("GetGroup", 400, "ValidationException", {"Message": "a"}, "must tell its text in 'message'"),
    ("GetGroup", 400, None, {"Message": "a"}, "no header"),
    ("GetGroup", 400, "InvalidRequestException", ["a"], "must be an object"),
    ("GetGroup", 400, "InvalidRequestException", {"Message": "a", "b": 1}, "has no member 'b'"),
]

COMPARISONS = [
    # expected, got, equal
    ({"a": 1}, {"a": 1.0, "b": 2}, True),
    ({"a": None}, {}, True),
    ({"a": None}, {"a": 0}, False),
    ({"a": True}, {"a": 1}, False),
    ({"a": 1}, {"a": True}, False),
    ([1, 2], [1], False),
    ([], None, False),
    ([{"a": 1}], [{"a": 1, "b": 2}], True),
    (re.compile("a.c"), "abc", True),
    (re.compile("a.c"), "abcd", False),
    (near(0.5), 0.5004, True),
    (near(0.5), 0.51, False),
    (near(0.5), None, False),
    (having({"a": 1}), [{"a": 2}, {"a": 1}], True),
    (having({"a": 1}), [{"a": 2}], False),
    (unordered(1, 2), [2, 1], True),
    (unordered(1, 2), [2, 1, 3], False),
    (one_of(None, 3), 3, True),
    (one_of(None, 3), 4, False),
    ("a", "b", False),
    (list, [], True),
    (list, {}, False),
    ({"a": 1}, None, False),
]


def put(answer, path, value):
    """A copy of an answer with another value at a path."""
    copy = json.loads(json.dumps(answer))
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    inside = copy
    for key in parents:
        inside = inside[key]
    if value is REMOVED:
        del inside[last]
    else:
        inside[last] = value
    return copy


def run(report):
    """Checks the checks themselves; needs no X-Ray."""
    shapes = Shapes(botocore.session.get_session().get_service_model("xray"))
    json_head = {"content-type": "application/json"}
    for operation, answer in GOOD:
        body = json.dumps(answer).encode()
        report.expect(f"good {operation}", [], shapes.answer(operation, 200, json_head, body))
    for operation, answer, path, value, problem in BAD:
        body = json.dumps(put(answer, path, value)).encode()
        told = shapes.answer(operation, 200, json_head, body)
        what = f"{operation} with {path} = {'nothing' if value is REMOVED else repr(value)}"
        report.expect(what, True, any(problem in text for text in told) or told)
    for operation, status, code, body, problem in REFUSALS:
        head = {**json_head, **({"x-amzn-errortype": code} if code else {})}
        told = shapes.refusal(operation, status, head, json.dumps(body).encode())
        what = f"{operation} refused as {status} {code} {body}"
        fine = told == [] if problem is None else any(problem in text for text in told)
        report.expect(what, True, fine or told)
    for body, head, problem in [
        (b'{"Groups": [], "x": NaN}', json_head, "NaN is not JSON"),
        (b"<html>", json_head, "not JSON"),
        (b"", json_head, "not JSON"),
        (b'{"Groups": []}', {"content-type": "text/plain"}, "content-type"),
    ]:
        told = shapes.answer("GetGroups", 200, head, body)
        report.expect(f"GetGroups {body!r}", True, any(problem in text for text in told) or told)
    for expected, got, equal in COMPARISONS:
        report.expect(f"difference of {expected!r} and {got!r}", equal, difference(expected, got) is None)
    inner = Report(out=io.StringIO())
    inner.expect("a", 1, 2)
    inner.until("b", 1, lambda: 2, seconds=0)
    report.expect("failures are counted", (2, 2), (inner.checks, len(inner.failed)))
