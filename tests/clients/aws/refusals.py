"""What X-Ray refuses, and in which words. Needs no state; what does is with the lifecycles."""

import re

from report import one_of

INVALID, VALIDATION, SERIALIZATION = "InvalidRequestException", "ValidationException", "SerializationException"
NOT_FOUND = "ResourceNotFoundException"
TRACE = "1-581cf771-a006649127e371903a2de979"
OTHER = "1-581cf771-a006649127e371903a2de97{}"
INSIGHT = "12345678-1234-1234-8234-123456789012"
WINDOW = {"StartTime": 1000, "EndTime": 2000}
ARN = "arn:aws:xray:us-east-1:123456789012:group/none/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
EITHER = "Provide either GroupName or GroupARN"
NEITHER_RULE = "Request must contain either sampling rule name or sampling rule ARN"
BOTH_RULE = "Request cannot contain both sampling rule name and sampling rule ARN"
NOT_TEXT = "NUMBER_VALUE can not be converted to a String"
SAMPLED = "sampling rate must be specified and its value must be between [0, 1]"
RULE = {
    **dict.fromkeys(["ResourceARN", "ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath"], "*"),
    **{"RuleName": "never-made", "Priority": 9, "FixedRate": 0.5, "ReservoirSize": 1, "Version": 1},
}


def null(member):
    return violation("null", member, "Member must not be null")


def violation(value, member, constraint):
    text = f"Value {value} at '{member}' failed to satisfy constraint: {constraint}"
    return f"1 validation error detected: {text}"


def located(position, text):
    """Where a filter expression is wrong."""
    return f"Error Location: line 1, position {position} : {text}"


def search(**members):
    return {**WINDOW, **members}


def strategy(kind, value=None):
    name = {"Name": "FixedRate"} if value is None else {"Name": "FixedRate", "Value": value}
    return search(TimeRangeType=kind, Sampling=True, SamplingStrategy=name)


# operation, body, code, text; None where no text is recorded.
REFUSALS = [
    ("GetTraceSummaries", {"EndTime": 2000}, VALIDATION, null("startTime")),
    ("GetTraceSummaries", {"StartTime": 1000}, VALIDATION, null("endTime")),
    (
        "GetTraceSummaries",
        {"StartTime": 2000, "EndTime": 1000},
        INVALID,
        "End time cannot be earlier than start time",
    ),
    ("GetTraceSummaries", search(NextToken="no-token"), INVALID, re.compile("Invalid token .+")),
    (
        "GetTraceSummaries",
        search(TimeRangeType="Nope"),
        VALIDATION,
        violation("'Nope'", "timeRangeType", "Member must satisfy enum value set: [TraceId, Service, Event]"),
    ),
    *(
        (
            "GetTraceSummaries",
            strategy(kind, 0.5),
            INVALID,
            f"Cannot use FixedRate with input time range type: {kind}. Please try using time range type: Event",
        )
        for kind in ("TraceId", "Service")
    ),
    ("GetTraceSummaries", strategy("Event"), INVALID, SAMPLED),
    ("GetTraceSummaries", strategy("Event", 1.5), INVALID, SAMPLED),
    ("GetTraceSummaries", strategy("Event", -0.5), INVALID, SAMPLED),
    ("GetTraceSummaries", search(FilterExpression=5), SERIALIZATION, NOT_TEXT),
    ("GetTraceSummaries", b"{", SERIALIZATION, None),
    ("GetTraceSummaries", b"[]", SERIALIZATION, None),
    ("BatchGetTraces", {}, VALIDATION, null("traceIds")),
    ("BatchGetTraces", b"", VALIDATION, null("traceIds")),
    ("BatchGetTraces", {"TraceIds": None}, VALIDATION, null("traceIds")),
    ("BatchGetTraces", {"TraceIds": [5]}, SERIALIZATION, NOT_TEXT),
    (
        "BatchGetTraces",
        {"TraceIds": [OTHER.format(digit) for digit in range(6)]},
        INVALID,
        "Exceeding maximum query size: 5",
    ),
    ("BatchGetTraces", {"TraceIds": [TRACE, TRACE]}, INVALID, "Containing duplicate trace ids"),
    (
        "BatchGetTraces",
        {"TraceIds": [TRACE, "1-nonsense"]},
        INVALID,
        "Invalid trace id 1-nonsense: incorrect id format",
    ),
    (
        "BatchGetTraces",
        {"TraceIds": [TRACE], "NextToken": "x"},
        INVALID,
        "NextToken is currently not supported",
    ),
    ("GetTraceGraph", {}, VALIDATION, null("traceIds")),
    ("GetTraceGraph", {"TraceIds": []}, INVALID, "Zero trace ids provided"),
    (
        "GetTraceGraph",
        {"TraceIds": [TRACE, OTHER.format(1)]},
        INVALID,
        "Currently only one trace Id is supported",
    ),
    ("GetTraceGraph", {"TraceIds": ["1-nonsense"]}, INVALID, "Invalid traceId. ErrorCode: InvalidId"),
    ("GetTraceGraph", {"TraceIds": [OTHER.format(0)]}, INVALID, "Trace id not found"),
    ("GetServiceGraph", {"EndTime": 2000}, VALIDATION, null("startTime")),
    ("GetServiceGraph", search(GroupName="never-made"), INVALID, "Group not found."),
    *(
        (
            "GetTimeSeriesServiceStatistics",
            search(Period=period),
            INVALID,
            "Time period must be one of [60, 300]",
        )
        for period in (0, -1, 61)
    ),
    (
        "GetTimeSeriesServiceStatistics",
        search(EntitySelectorExpression=""),
        VALIDATION,
        violation("''", "entitySelectorExpression", "Member must have length greater than or equal to 1"),
    ),
    *(
        (
            "GetTimeSeriesServiceStatistics",
            search(EntitySelectorExpression=selector),
            INVALID,
            re.compile(re.escape(located(position, "")) + ".*" + re.escape(quoted) + ".*"),
        )
        for selector, position, quoted in [
            ("service()", 9, "')'"),
            ("edge()", 6, "')'"),
            ('id(name: "a")', 1, "'id'"),
            ('service("a") { ok }', 14, "'{'"),
        ]
    ),
    ("CreateGroup", {"FilterExpression": "ok"}, VALIDATION, null("groupName")),
    ("CreateGroup", {"GroupName": "never-made"}, INVALID, "Filter Expression is empty"),
    ("CreateGroup", {"GroupName": "never-made", "FilterExpression": " "}, INVALID, "Filter Expression is empty"),
    (
        "CreateGroup",
        {"GroupName": "x" * 33, "FilterExpression": "ok"},
        VALIDATION,
        violation(f"'{'x' * 33}'", "groupName", "Member must have length less than or equal to 32"),
    ),
    ("GetGroup", {}, INVALID, EITHER),
    ("GetGroup", {"GroupName": "a", "GroupARN": ARN}, INVALID, EITHER),
    ("GetGroup", {"GroupName": "never-made"}, INVALID, "Group not found"),
    ("GetGroup", {"GroupARN": ARN}, INVALID, "Group not found"),
    ("GetGroup", {"GroupName": 5}, SERIALIZATION, NOT_TEXT),
    ("UpdateGroup", {"FilterExpression": "ok"}, INVALID, EITHER),
    ("UpdateGroup", {"GroupName": "never-made", "FilterExpression": "ok"}, INVALID, "Group not found"),
    ("DeleteGroup", {}, INVALID, EITHER),
    ("DeleteGroup", {"GroupName": "never-made"}, INVALID, "Group not found"),
    ("GetGroups", {"NextToken": "x"}, INVALID, "Next Token not supported"),
    ("CreateSamplingRule", {}, VALIDATION, null("samplingRule")),
    ("CreateSamplingRule", {"SamplingRule": {**RULE, "RuleName": None}}, INVALID, NEITHER_RULE),
    ("CreateSamplingRule", {"SamplingRule": {**RULE, "Version": 2}}, INVALID, "Sampling rule version must be 1"),
    (
        "CreateSamplingRule",
        {"SamplingRule": {**RULE, "Priority": 0}},
        VALIDATION,
        violation("'0'", "samplingRule.priority", "Member must have value greater than or equal to 1"),
    ),
    ("CreateSamplingRule", {"SamplingRule": {**RULE, "Host": None}}, VALIDATION, null("samplingRule.host")),
    ("UpdateSamplingRule", {}, VALIDATION, null("samplingRuleUpdate")),
    ("UpdateSamplingRule", {"SamplingRuleUpdate": {"FixedRate": 0.5}}, INVALID, NEITHER_RULE),
    (
        "UpdateSamplingRule",
        {"SamplingRuleUpdate": {"RuleName": "never-made", "FixedRate": 0.5}},
        INVALID,
        "Sampling rule does not exist",
    ),
    ("DeleteSamplingRule", {}, INVALID, NEITHER_RULE),
    ("DeleteSamplingRule", {"RuleName": "never-made"}, INVALID, "Sampling rule does not exist"),
    ("DeleteSamplingRule", {"RuleName": "Default"}, INVALID, "The default sampling rule cannot be deleted"),
    ("GetSamplingRules", {"NextToken": 5}, SERIALIZATION, NOT_TEXT),
    ("GetSamplingTargets", {}, VALIDATION, null("samplingStatisticsDocuments")),
    ("GetSamplingStatisticSummaries", {"NextToken": 5}, SERIALIZATION, NOT_TEXT),
    ("PutTraceSegments", {}, VALIDATION, null("traceSegmentDocuments")),
    ("PutTraceSegments", {"TraceSegmentDocuments": []}, INVALID, "Segments can not be empty"),
    ("PutTraceSegments", {"TraceSegmentDocuments": [5]}, SERIALIZATION, NOT_TEXT),
    ("PutTelemetryRecords", {}, VALIDATION, null("telemetryRecords")),
    *(
        (operation, {"ResourceARN": ARN, **more}, NOT_FOUND, f"Resource {ARN} not found", {"ResourceName": ARN})
        for operation, more in [
            ("ListTagsForResource", {}),
            ("TagResource", {"Tags": [{"Key": "a", "Value": "b"}]}),
            ("UntagResource", {"TagKeys": ["a"]}),
        ]
    ),
    ("ListTagsForResource", {}, VALIDATION, null("resourceARN")),
    ("GetEncryptionConfig", b"{", SERIALIZATION, None),
    ("PutEncryptionConfig", {}, VALIDATION, null("type")),
    ("PutEncryptionConfig", {"Type": "KMS"}, INVALID, None),
    ("PutResourcePolicy", {"PolicyDocument": "{}"}, VALIDATION, null("policyName")),
    (
        "PutResourcePolicy",
        {"PolicyName": "never-made", "PolicyDocument": "no JSON"},
        "MalformedPolicyDocumentException",
        None,
    ),
    (
        "DeleteResourcePolicy",
        {"PolicyName": "never-made"},
        INVALID,
        "The resource policy never-made does not exist.",
    ),
    (
        "DeleteResourcePolicy",
        {"PolicyName": "never-made", "PolicyRevisionId": "1"},
        "InvalidPolicyRevisionIdException",
        "Another concurrent request has modified or deleted the resource policy never-made",
    ),
    ("ListResourcePolicies", {"NextToken": 5}, SERIALIZATION, NOT_TEXT),
    ("GetIndexingRules", {"NextToken": 5}, SERIALIZATION, NOT_TEXT),
    (
        "UpdateIndexingRule",
        {"Rule": {"Probabilistic": {"DesiredSamplingPercentage": 5}}},
        VALIDATION,
        null("name"),
    ),
    (
        "UpdateIndexingRule",
        {"Name": "never-made", "Rule": {"Probabilistic": {"DesiredSamplingPercentage": 5}}},
        NOT_FOUND,
        None,
    ),
    ("GetTraceSegmentDestination", b"{", SERIALIZATION, None),
    (
        "UpdateTraceSegmentDestination",
        {"Destination": "Nope"},
        VALIDATION,
        one_of(
            *(
                violation("'Nope'", "destination", f"Member must satisfy enum value set: {values}")
                for values in ("[XRay, CloudWatchLogs]", "[CloudWatchLogs, XRay]")
            )
        ),
    ),
    ("StartTraceRetrieval", search(), VALIDATION, null("traceIds")),
    *(
        case
        for operation in ("CancelTraceRetrieval", "ListRetrievedTraces", "GetRetrievedTracesGraph")
        for case in [
            (operation, {}, VALIDATION, null("retrievalToken")),
            (operation, {"RetrievalToken": "never-made"}, NOT_FOUND, None),
        ]
    ),
    ("GetInsight", {}, VALIDATION, null("insightId")),
    ("GetInsight", {"InsightId": "no-id"}, VALIDATION, None),
    ("GetInsight", {"InsightId": INSIGHT}, INVALID, None),
    ("GetInsightEvents", {}, VALIDATION, null("insightId")),
    (
        "GetInsightEvents",
        {"InsightId": INSIGHT, "MaxResults": 51},
        VALIDATION,
        violation("'51'", "maxResults", "Member must have value less than or equal to 50"),
    ),
    ("GetInsightEvents", {"InsightId": INSIGHT}, INVALID, None),
    ("GetInsightImpactGraph", WINDOW, VALIDATION, null("insightId")),
    ("GetInsightImpactGraph", {"InsightId": INSIGHT, **WINDOW}, INVALID, None),
    ("GetInsightSummaries", {"EndTime": 2000}, VALIDATION, null("startTime")),
]


def wrong_types(xray, operation):
    """A value of another type is told before anything else, whichever member has it."""
    members = xray.model.operation_model(operation).input_shape.members
    for name, shape in members.items():
        value = "x" if shape.type_name in ("structure", "list", "map") else {}
        xray.refused(operation, {name: value}, SERIALIZATION, None)


def missing_members(xray, operation):
    """All that are missing are told."""
    required = xray.model.operation_model(operation).input_shape.required_members
    if required:
        texts = [null(name[0].lower() + name[1:]).split(": ", 1)[1] for name in required]
        everyone = "".join(f"(?=.*{re.escape(text)})" for text in texts)
        text = re.compile(rf"{everyone}{len(required)} validation errors? detected: .*")
        xray.refused(operation, {}, VALIDATION, text)


def run(xray, report):
    for operation, body, code, message, *more in REFUSALS:
        xray.refused(operation, body, code, message, *more)
    for operation in xray.model.operation_names:
        wrong_types(xray, operation)
        missing_members(xray, operation)
    # Operations without input are sent an empty body by every SDK.
    for operation in ("GetEncryptionConfig", "GetGroups", "GetSamplingRules", "GetTraceSegmentDestination"):
        xray.plain(operation, b"")
    # X-Ray itself answers 200 to a path that it does not know, which boto3 takes for an empty answer.
    status, _, _ = xray.post_path("/NoSuchOperation", {})
    report.expect("POST /NoSuchOperation: status", one_of(400, 404), status)
