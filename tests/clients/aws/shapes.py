"""Holds answers, as they came over the wire, against botocore's own model of X-Ray.

botocore itself lets nearly everything pass: members it does not know, wrong types, values outside an enum. Stricter
clients (Go, Java, Rust, Grafana's data source) do not, so this is as strict as the strictest of them.
"""

import json
import math
import re

# Members that X-Ray gives although its model does not know them, as recorded.
EXTRAS = {
    "TraceSummary": {"MatchedEdge", "MatchedService"},
    "Service": {"Region", "HostedIn", "KeyAttributes"},
    "GetTraceSegmentDestinationResult": {"CompositeConfiguration"},
    "UpdateTraceSegmentDestinationResult": {"CompositeConfiguration"},
}

STATISTICS = "OkCount ErrorStatistics FaultStatistics TotalCount TotalResponseTime"
SAMPLING_RULE = (
    "RuleName RuleARN ResourceARN Priority FixedRate ReservoirSize ServiceName ServiceType Host HTTPMethod URLPath"
    " Version Attributes"
)

# Members that must be there and not null: without them Grafana's data source panics, an SDK refuses the whole
# answer, or the answer says nothing.
NEEDED = {
    "TraceSummary": "Id StartTime Http HasFault HasError HasThrottle IsPartial",
    "ServiceStatistics": STATISTICS,
    "EdgeStatistics": STATISTICS,
    "ErrorStatistics": "ThrottleCount OtherCount TotalCount",
    "FaultStatistics": "OtherCount TotalCount",
    "Edge": "ReferenceId SummaryStatistics ResponseTimeHistogram",
    "HistogramEntry": "Value Count",
    "Service": "ReferenceId Name Names Edges",
    "ServiceId": "Name",
    "FaultRootCause": "Services ClientImpacting",
    "ErrorRootCause": "Services ClientImpacting",
    "ResponseTimeRootCause": "Services ClientImpacting",
    "FaultRootCauseService": "Name Type EntityPath",
    "ErrorRootCauseService": "Name Type EntityPath",
    "ResponseTimeRootCauseService": "Name Type EntityPath",
    "FaultRootCauseEntity": "Name Exceptions",
    "ErrorRootCauseEntity": "Name Exceptions",
    "ResponseTimeRootCauseEntity": "Name Coverage",
    "RootCauseException": "Name",
    "TraceUser": "UserName",
    "ValueWithServiceIds": "AnnotationValue",
    "Trace": "Id Segments",
    "Segment": "Id Document",
    "RetrievedTrace": "Id Spans",
    "Span": "Id Document",
    "RetrievedService": "Service",
    "Group": "GroupName GroupARN InsightsConfiguration",
    "GroupSummary": "GroupName GroupARN InsightsConfiguration",
    "InsightsConfiguration": "InsightsEnabled NotificationsEnabled",
    "SamplingRule": SAMPLING_RULE,
    "SamplingRuleRecord": "SamplingRule CreatedAt ModifiedAt",
    "SamplingTargetDocument": "RuleName FixedRate",
    "SamplingStatisticSummary": "RuleName Timestamp RequestCount BorrowCount SampledCount",
    "UnprocessedStatistics": "RuleName ErrorCode Message",
    "UnprocessedTraceSegment": "ErrorCode Message",
    "ResourcePolicy": "PolicyName PolicyDocument PolicyRevisionId LastUpdatedTime",
    "EncryptionConfig": "Status Type",
    "IndexingRule": "Name Rule",
    "TimeSeriesServiceStatistics": "Timestamp",
    "BatchGetTracesResult": "Traces UnprocessedTraceIds",
    "CreateGroupResult": "Group",
    "CreateSamplingRuleResult": "SamplingRuleRecord",
    "DeleteSamplingRuleResult": "SamplingRuleRecord",
    "GetEncryptionConfigResult": "EncryptionConfig",
    "GetGroupResult": "Group",
    "GetGroupsResult": "Groups",
    "GetIndexingRulesResult": "IndexingRules",
    "GetInsightSummariesResult": "InsightSummaries",
    "GetRetrievedTracesGraphResult": "RetrievalStatus Services",
    "GetSamplingRulesResult": "SamplingRuleRecords",
    "GetSamplingStatisticSummariesResult": "SamplingStatisticSummaries",
    "GetSamplingTargetsResult": "SamplingTargetDocuments LastRuleModification UnprocessedStatistics",
    "GetServiceGraphResult": "Services",
    "GetTimeSeriesServiceStatisticsResult": "TimeSeriesServiceStatistics",
    "GetTraceGraphResult": "Services",
    "GetTraceSegmentDestinationResult": "Destination Status",
    "GetTraceSummariesResult": "TraceSummaries TracesProcessedCount",
    "ListResourcePoliciesResult": "ResourcePolicies",
    "ListRetrievedTracesResult": "RetrievalStatus TraceFormat Traces",
    "ListTagsForResourceResponse": "Tags",
    "PutEncryptionConfigResult": "EncryptionConfig",
    "PutResourcePolicyResult": "ResourcePolicy",
    "PutTraceSegmentsResult": "UnprocessedTraceSegments",
    "StartTraceRetrievalResult": "RetrievalToken",
    "UpdateGroupResult": "Group",
    "UpdateIndexingRuleResult": "IndexingRule",
    "UpdateSamplingRuleResult": "SamplingRuleRecord",
    "UpdateTraceSegmentDestinationResult": "Destination Status",
}

# Lists that mean nothing when they are empty; Grafana reads their first element.
NEVER_EMPTY = {
    "FaultRootCause": "Services",
    "ErrorRootCause": "Services",
    "ResponseTimeRootCause": "Services",
    "FaultRootCauseService": "EntityPath",
    "ErrorRootCauseService": "EntityPath",
    "ResponseTimeRootCauseService": "EntityPath",
    "Service": "Names",
}

TRACE_ID = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}", re.IGNORECASE)

# Later than any time in seconds, earlier than any in milliseconds.
SECONDS_MAX = 1e11

# Errors of the service's front end, which its model does not know; their text is in lower-case `message`.
FRONT_END = {"ValidationException", "SerializationException", "InternalFailure", "UnknownOperationException"}


def strict_json(body):
    """JSON without Python's own NaN and Infinity."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(body, parse_constant=refuse)


class Shapes:
    """Tells what is wrong with an answer. Every method gives a list of problems, empty when there are none."""

    def __init__(self, service_model):
        self.service = service_model

    def answer(self, operation, status, headers, body):
        """Of an answer that is no error."""
        problems = [] if status == 200 else [f"status {status}"]
        output = self.service.operation_model(operation).output_shape
        if not body and not output.members:
            return problems
        problems += json_type(headers)
        try:
            parsed = strict_json(body)
        except ValueError as error:
            return [*problems, f"not JSON: {error}: {body[:200]!r}"]
        return problems + list(self.value("", output, parsed))

    def refusal(self, operation, status, headers, body):
        """Of an error."""
        problems = json_type(headers)
        try:
            parsed = strict_json(body)
        except ValueError as error:
            return [*problems, f"not JSON: {error}: {body[:200]!r}"]
        if not isinstance(parsed, dict):
            return [*problems, f"an error must be an object: {parsed!r}"]
        code = headers.get("x-amzn-errortype")
        if not code:
            return [*problems, "no header x-amzn-errortype"]
        known = {shape.name: shape for shape in self.service.operation_model(operation).error_shapes}
        known.setdefault("ThrottledException", self.service.shape_for("ThrottledException"))
        if code in FRONT_END:
            expected, key = 500 if code == "InternalFailure" else 400, "message"
            allowed = {"message", "__type"}
        elif code in known:
            expected, key = known[code].metadata.get("error", {}).get("httpStatusCode", 400), "Message"
            allowed = {*known[code].members, "__type"}
        else:
            return [*problems, f"{operation} has no error {code!r}; it has {sorted(known)}"]
        if status != expected:
            problems.append(f"{code} has status {status}, not {expected}")
        if not isinstance(parsed.get(key), str) and code != "InternalFailure":
            problems.append(f"{code} must tell its text in {key!r}: {parsed!r}")
        problems += [f"{code} has no member {name!r}" for name in parsed if name not in allowed]
        if "ResourceName" in allowed and not isinstance(parsed.get("ResourceName"), (str, type(None))):
            problems.append(f"ResourceName is not text: {parsed!r}")
        return problems

    def value(self, path, shape, value):
        """Of a value, at any depth; null is looked at by whom it belongs to."""
        kind = shape.type_name
        checks = {"structure": self.structure, "list": self.list, "map": self.map}
        if kind in checks:
            yield from checks[kind](path, shape, value)
        else:
            yield from scalar(path, shape, value)

    def structure(self, path, shape, value):
        if not isinstance(value, dict):
            yield f"{path}: {shape.name} must be an object, not {value!r:.100}"
            return
        needed = {*NEEDED.get(shape.name, "").split(), *shape.required_members}
        for name in needed:
            if value.get(name) is None:
                yield f"{path}.{name}: must be there and not null"
        for name, member in value.items():
            if name in shape.members:
                if member is not None:
                    yield from self.value(f"{path}.{name}", shape.members[name], member)
            elif name not in EXTRAS.get(shape.name, ()):
                yield f"{path}.{name}: {shape.name} has no such member"
        empty = NEVER_EMPTY.get(shape.name)
        if empty and value.get(empty) == []:
            yield f"{path}.{empty}: must not be empty"
        rule = RULES.get(shape.name)
        if rule:
            yield from (f"{path}: {problem}" for problem in rule(value))

    def list(self, path, shape, value):
        if not isinstance(value, list):
            yield f"{path}: must be a list, not {value!r:.100}"
            return
        for index, element in enumerate(value):
            if element is None:
                yield f"{path}[{index}]: null in a list"
            else:
                yield from self.value(f"{path}[{index}]", shape.member, element)

    def map(self, path, shape, value):
        if not isinstance(value, dict):
            yield f"{path}: must be an object, not {value!r:.100}"
            return
        for key, element in value.items():
            if element is None:
                yield f"{path}.{key}: null in a map"
            else:
                yield from self.value(f"{path}.{key}", shape.value, element)


def json_type(headers):
    kind = headers.get("content-type") or ""
    return [] if re.match(r"application/(x-amz-)?json", kind) else [f"content-type is {kind!r}, not JSON"]


def scalar(path, shape, value):
    """What is wrong with a text, number, flag or time."""
    kind = shape.type_name
    if kind == "string":
        fine = isinstance(value, str)
    elif kind == "boolean":
        fine = isinstance(value, bool)
    elif kind in ("integer", "long"):
        fine = isinstance(value, int) and not isinstance(value, bool)
    else:
        fine = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not fine:
        yield f"{path}: must be a {kind}, not {value!r:.100}"
        return
    if kind == "timestamp" and not 0 <= value < SECONDS_MAX:
        yield f"{path}: {value!r} is no time in seconds"
    if kind == "string":
        yield from text(path, shape, value)


def text(path, shape, value):
    limits = shape.metadata
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"
    if not limits.get("min", 0) <= len(value) <= limits.get("max", math.inf):
        yield f"{path}: {shape.name} has a length from {limits.get('min')} to {limits.get('max')}: {value!r:.100}"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        yield f"{path}: {value!r:.100} is not like {limits['pattern']}"
    if path.endswith(".NextToken") and not value:
        yield f"{path}: no further page is null or nothing, never an empty text"


def statistics(value):
    """Counts are in exclusive buckets, so they add up."""
    error, fault = value.get("ErrorStatistics") or {}, value.get("FaultStatistics") or {}
    counts = {
        "ok": value.get("OkCount"),
        "error": error.get("TotalCount"),
        "throttle": error.get("ThrottleCount"),
        "other error": error.get("OtherCount"),
        "fault": fault.get("TotalCount"),
        "total": value.get("TotalCount"),
    }
    if not all(isinstance(count, int) for count in counts.values()):
        return
    if min(counts.values()) < 0:
        yield f"a negative count: {counts}"
    if counts["error"] != counts["throttle"] + counts["other error"]:
        yield f"throttles and other errors are not all errors: {counts}"
    if counts["total"] != counts["ok"] + counts["error"] + counts["fault"]:
        yield f"ok, errors and faults are not the total: {counts}"


def annotation(value):
    set_members = [name for name, member in value.items() if member is not None]
    if len(set_members) != 1:
        yield f"an annotation has one value, not {set_members}"


def trace_id(value):
    if isinstance(value.get("Id"), str) and not TRACE_ID.fullmatch(value["Id"]):
        yield f"{value['Id']!r} is no trace id"


def document(value):
    """Clients hand it to their own JSON parsers."""
    if not isinstance(value.get("Document"), str):
        return
    try:
        parsed = strict_json(value["Document"])
    except ValueError as error:
        yield f"Document: {error}"
        return
    if not isinstance(parsed, dict):
        yield f"Document is no object: {parsed!r:.100}"
    elif "id" in parsed and str(parsed["id"]).lower() != str(value.get("Id")).lower():
        yield f"Id is {value.get('Id')!r}, but the document's id is {parsed['id']!r}"


RULES = {
    "EdgeStatistics": statistics,
    "ServiceStatistics": statistics,
    "AnnotationValue": annotation,
    "TraceSummary": trace_id,
    "Trace": trace_id,
    "Segment": document,
}
