//! All operations and the members of their requests.

use super::{Length, Member, Operation, Pattern, Presence, Range, Shape};

/// Every operation of X-Ray, by name.
pub const OPERATIONS: [Operation; 38] = [
    operation("BatchGetTraces", "/Traces", &[required("TraceIds", TRACE_IDS), optional("NextToken", TEXT)]),
    operation(
        "CancelTraceRetrieval",
        "/CancelTraceRetrieval",
        &[required("RetrievalToken", RETRIEVAL_TOKEN)],
    ),
    operation(
        "CreateGroup",
        "/CreateGroup",
        &[
            required("GroupName", GROUP_NAME),
            optional("FilterExpression", TEXT),
            optional("InsightsConfiguration", INSIGHTS_CONFIGURATION),
            optional("Tags", TAGS),
        ],
    ),
    operation(
        "CreateSamplingRule",
        "/CreateSamplingRule",
        &[required("SamplingRule", SAMPLING_RULE), optional("Tags", TAGS)],
    ),
    operation("DeleteGroup", "/DeleteGroup", GROUP),
    operation(
        "DeleteResourcePolicy",
        "/DeleteResourcePolicy",
        &[required("PolicyName", POLICY_NAME), optional("PolicyRevisionId", TEXT)],
    ),
    operation(
        "DeleteSamplingRule",
        "/DeleteSamplingRule",
        &[optional("RuleName", TEXT), optional("RuleARN", TEXT)],
    ),
    operation("GetEncryptionConfig", "/EncryptionConfig", &[]),
    operation("GetGroup", "/GetGroup", GROUP),
    operation("GetGroups", "/Groups", &[optional("NextToken", text(1, 100))]),
    operation("GetIndexingRules", "/GetIndexingRules", &[optional("NextToken", TEXT)]),
    operation("GetInsight", "/Insight", &[required("InsightId", INSIGHT_ID)]),
    operation(
        "GetInsightEvents",
        "/InsightEvents",
        &[
            required("InsightId", INSIGHT_ID),
            optional("MaxResults", integer(1, 50)),
            optional("NextToken", text(1, 2000)),
        ],
    ),
    operation(
        "GetInsightImpactGraph",
        "/InsightImpactGraph",
        &[
            required("InsightId", INSIGHT_ID),
            required("StartTime", Shape::Timestamp),
            required("EndTime", Shape::Timestamp),
            optional("NextToken", text(1, 2000)),
        ],
    ),
    operation(
        "GetInsightSummaries",
        "/InsightSummaries",
        &[
            optional("States", Shape::List(between(0, 1), &INSIGHT_STATE)),
            optional("GroupARN", GROUP_ARN),
            optional("GroupName", GROUP_NAME),
            required("StartTime", Shape::Timestamp),
            required("EndTime", Shape::Timestamp),
            optional("MaxResults", integer(1, 100)),
            optional("NextToken", text(1, 2000)),
        ],
    ),
    operation(
        "GetRetrievedTracesGraph",
        "/GetRetrievedTracesGraph",
        &[required("RetrievalToken", RETRIEVAL_TOKEN), optional("NextToken", TEXT)],
    ),
    operation("GetSamplingRules", "/GetSamplingRules", &[optional("NextToken", TEXT)]),
    operation("GetSamplingStatisticSummaries", "/SamplingStatisticSummaries", &[optional("NextToken", TEXT)]),
    operation(
        "GetSamplingTargets",
        "/SamplingTargets",
        &[
            // X-Ray's model has 25; OpenTelemetry's sampler for JavaScript reports all rules at once, which can be one more.
            required("SamplingStatisticsDocuments", Shape::List(at_most(26), &SAMPLING_STATISTICS)),
            optional(
                "SamplingBoostStatisticsDocuments",
                Shape::List(at_most(25), &SAMPLING_BOOST_STATISTICS),
            ),
        ],
    ),
    operation(
        "GetServiceGraph",
        "/ServiceGraph",
        &[
            required("StartTime", Shape::Timestamp),
            required("EndTime", Shape::Timestamp),
            optional("GroupName", GROUP_NAME),
            optional("GroupARN", GROUP_ARN),
            optional("NextToken", TEXT),
        ],
    ),
    operation(
        "GetTimeSeriesServiceStatistics",
        "/TimeSeriesServiceStatistics",
        &[
            required("StartTime", Shape::Timestamp),
            required("EndTime", Shape::Timestamp),
            optional("GroupName", GROUP_NAME),
            optional("GroupARN", GROUP_ARN),
            optional("EntitySelectorExpression", text(1, 500)),
            optional("Period", INTEGER),
            optional("ForecastStatistics", Shape::Boolean),
            optional("NextToken", TEXT),
        ],
    ),
    operation(
        "GetTraceGraph",
        "/TraceGraph",
        &[required("TraceIds", TRACE_IDS), optional("NextToken", TEXT)],
    ),
    operation("GetTraceSegmentDestination", "/GetTraceSegmentDestination", &[]),
    operation(
        "GetTraceSummaries",
        "/TraceSummaries",
        &[
            required("StartTime", Shape::Timestamp),
            required("EndTime", Shape::Timestamp),
            // The order of the recorded answers, not that of the public model.
            optional("TimeRangeType", Shape::Enum(&["TraceId", "Service", "Event"])),
            optional("Sampling", Shape::Boolean),
            optional("SamplingStrategy", SAMPLING_STRATEGY),
            optional("FilterExpression", TEXT),
            optional("NextToken", TEXT),
        ],
    ),
    operation("ListResourcePolicies", "/ListResourcePolicies", &[optional("NextToken", text(1, 100))]),
    operation(
        "ListRetrievedTraces",
        "/ListRetrievedTraces",
        &[
            required("RetrievalToken", RETRIEVAL_TOKEN),
            optional("TraceFormat", Shape::Enum(&["XRAY", "OTEL"])),
            optional("NextToken", TEXT),
        ],
    ),
    operation(
        "ListTagsForResource",
        "/ListTagsForResource",
        &[required("ResourceARN", RESOURCE_NAME), optional("NextToken", TEXT)],
    ),
    operation(
        "PutEncryptionConfig",
        "/PutEncryptionConfig",
        &[optional("KeyId", text(1, 3000)), required("Type", Shape::Enum(&["NONE", "KMS"]))],
    ),
    operation(
        "PutResourcePolicy",
        "/PutResourcePolicy",
        &[
            required("PolicyName", POLICY_NAME),
            required("PolicyDocument", TEXT),
            optional("PolicyRevisionId", TEXT),
            optional("BypassPolicyLockoutCheck", Shape::Boolean),
        ],
    ),
    operation(
        "PutTelemetryRecords",
        "/TelemetryRecords",
        &[
            required("TelemetryRecords", Shape::List(ANY_LENGTH, &TELEMETRY_RECORD)),
            optional("EC2InstanceId", text_to(20)),
            optional("Hostname", text_to(255)),
            optional("ResourceARN", text_to(500)),
        ],
    ),
    operation(
        "PutTraceSegments",
        "/TraceSegments",
        &[required("TraceSegmentDocuments", Shape::List(ANY_LENGTH, &TEXT))],
    ),
    operation(
        "StartTraceRetrieval",
        "/StartTraceRetrieval",
        &[
            required("TraceIds", Shape::List(between(0, 100), &TRACE_ID)),
            required("StartTime", Shape::Timestamp),
            required("EndTime", Shape::Timestamp),
        ],
    ),
    operation(
        "TagResource",
        "/TagResource",
        &[required("ResourceARN", RESOURCE_NAME), required("Tags", TAGS)],
    ),
    operation(
        "UntagResource",
        "/UntagResource",
        &[
            required("ResourceARN", RESOURCE_NAME),
            required("TagKeys", Shape::List(between(0, 200), &text(1, 128))),
        ],
    ),
    operation(
        "UpdateGroup",
        "/UpdateGroup",
        &[
            optional("GroupName", GROUP_NAME),
            optional("GroupARN", GROUP_ARN),
            optional("FilterExpression", TEXT),
            optional("InsightsConfiguration", INSIGHTS_CONFIGURATION),
        ],
    ),
    operation(
        "UpdateIndexingRule",
        "/UpdateIndexingRule",
        &[required("Name", TEXT), required("Rule", INDEXING_RULE)],
    ),
    operation(
        "UpdateSamplingRule",
        "/UpdateSamplingRule",
        &[required("SamplingRuleUpdate", SAMPLING_RULE_UPDATE)],
    ),
    operation(
        "UpdateTraceSegmentDestination",
        "/UpdateTraceSegmentDestination",
        &[
            optional("Destination", Shape::Enum(&["XRay", "CloudWatchLogs"])),
            optional(
                "CloudWatchLogsConfiguration",
                Shape::Structure(&[optional("SpansLogGroupKmsKeyId", text(1, 256))]),
            ),
        ],
    ),
];

const ANY_LENGTH: Length = Length { min: None, max: None };
const TEXT: Shape = Shape::Text(ANY_LENGTH);
const INTEGER: Shape = Shape::Integer(Range { min: None, max: None });
const DOUBLE: Shape = Shape::Double(Range { min: None, max: None });
const COUNT: Shape = Shape::Integer(Range { min: Some(0), max: None });
const RATE: Shape = Shape::Double(Range { min: Some(0.0), max: Some(1.0) });

const TRACE_ID: Shape = text(1, 35);
const TRACE_IDS: Shape = Shape::List(ANY_LENGTH, &TRACE_ID);
const RETRIEVAL_TOKEN: Shape = text(0, 1020);
const GROUP_NAME: Shape = text(1, 32);
const GROUP_ARN: Shape = text(1, 400);
const GROUP: &[Member] = &[optional("GroupName", GROUP_NAME), optional("GroupARN", GROUP_ARN)];
const RESOURCE_NAME: Shape = text(1, 1011);
const TAGS: Shape = Shape::List(between(0, 200), &TAG);
const TAG: Shape = Shape::Structure(&[required("Key", text(1, 128)), required("Value", text(0, 256))]);
const POLICY_NAME: Shape = Shape::Pattern(between(1, 128), &POLICY_NAME_PATTERN);
const INSIGHT_ID: Shape = Shape::Pattern(ANY_LENGTH, &INSIGHT_ID_PATTERN);
const INSIGHT_STATE: Shape = Shape::Enum(&["ACTIVE", "CLOSED"]);
const INSIGHTS_CONFIGURATION: Shape = Shape::Structure(&[
    optional("InsightsEnabled", Shape::Boolean),
    optional("NotificationsEnabled", Shape::Boolean),
]);
const INDEXING_RULE: Shape = Shape::Structure(&[optional(
    "Probabilistic",
    Shape::Structure(&[required("DesiredSamplingPercentage", DOUBLE)]),
)]);
const SAMPLING_STRATEGY: Shape = Shape::Structure(&[
    optional("Name", Shape::Enum(&["PartialScan", "FixedRate"])),
    optional("Value", DOUBLE),
]);
const ATTRIBUTES: Shape = Shape::Map(at_most(5), &text(1, 32), &text(1, 32));
const SAMPLING_RATE_BOOST: Shape =
    Shape::Structure(&[required("MaxRate", RATE), required("CooldownWindowMinutes", COUNT)]);
const SAMPLING_RULE: Shape = Shape::Structure(&[
    optional("RuleName", text(1, 32)),
    optional("RuleARN", TEXT),
    required("ResourceARN", text_to(500)),
    required("Priority", integer(1, 9999)),
    required("FixedRate", RATE),
    required("ReservoirSize", COUNT),
    required("ServiceName", text_to(64)),
    required("ServiceType", text_to(64)),
    required("Host", text_to(64)),
    required("HTTPMethod", text_to(10)),
    required("URLPath", text_to(128)),
    required("Version", Shape::Integer(Range { min: Some(1), max: None })),
    optional("Attributes", ATTRIBUTES),
    optional("SamplingRateBoost", SAMPLING_RATE_BOOST),
]);
/// Numbers have no ranges here: those of a wrong update are refused by the operation itself, as a whole.
const SAMPLING_RULE_UPDATE: Shape = Shape::Structure(&[
    optional("RuleName", text(1, 32)),
    optional("RuleARN", TEXT),
    optional("ResourceARN", text_to(500)),
    optional("Priority", INTEGER),
    optional("FixedRate", DOUBLE),
    optional("ReservoirSize", INTEGER),
    optional("Host", text_to(64)),
    optional("ServiceName", text_to(64)),
    optional("ServiceType", text_to(64)),
    optional("HTTPMethod", text_to(10)),
    optional("URLPath", text_to(128)),
    optional("Attributes", ATTRIBUTES),
    optional("SamplingRateBoost", SAMPLING_RATE_BOOST),
]);
const SAMPLING_STATISTICS: Shape = Shape::Structure(&[
    required("RuleName", text(1, 32)),
    required("ClientID", text(24, 24)),
    required("Timestamp", Shape::Timestamp),
    required("RequestCount", COUNT),
    // The sampler of OpenTelemetry for Python calls it `SampleCount`.
    expected("SampledCount", COUNT),
    optional("BorrowCount", COUNT),
]);
const SAMPLING_BOOST_STATISTICS: Shape = Shape::Structure(&[
    required("RuleName", text(1, 32)),
    required("ServiceName", text_to(64)),
    required("Timestamp", Shape::Timestamp),
    required("AnomalyCount", COUNT),
    required("TotalCount", COUNT),
    required("SampledAnomalyCount", COUNT),
]);
const TELEMETRY_RECORD: Shape = Shape::Structure(&[
    required("Timestamp", Shape::Timestamp),
    optional("SegmentsReceivedCount", INTEGER),
    optional("SegmentsSentCount", INTEGER),
    optional("SegmentsSpilloverCount", INTEGER),
    optional("SegmentsRejectedCount", INTEGER),
    optional("BackendConnectionErrors", BACKEND_CONNECTION_ERRORS),
]);
const BACKEND_CONNECTION_ERRORS: Shape = Shape::Structure(&[
    optional("TimeoutCount", INTEGER),
    optional("ConnectionRefusedCount", INTEGER),
    optional("HTTPCode4XXCount", INTEGER),
    optional("HTTPCode5XXCount", INTEGER),
    optional("UnknownHostCount", INTEGER),
    optional("OtherCount", INTEGER),
]);

static POLICY_NAME_PATTERN: Pattern = Pattern {
    expression: r"[\w+=,.@-]+",
    matches: |text| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
    },
};
static INSIGHT_ID_PATTERN: Pattern = Pattern {
    expression: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}",
    matches: is_insight_id,
};

/// A UUID of one of the versions 1 to 5.
fn is_insight_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').take(6).collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(is_hex)
        && parts[2].starts_with(['1', '2', '3', '4', '5'])
        && parts[3].starts_with(['8', '9', 'a', 'b', 'A', 'B'])
}

const fn operation(name: &'static str, path: &'static str, input: &'static [Member]) -> Operation {
    Operation { name, path, input }
}

const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, presence: Presence::Required, shape }
}

const fn expected(name: &'static str, shape: Shape) -> Member {
    Member { name, presence: Presence::Expected, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, presence: Presence::Optional, shape }
}

const fn between(min: usize, max: usize) -> Length {
    Length { min: Some(min), max: Some(max) }
}

const fn at_most(max: usize) -> Length {
    Length { min: None, max: Some(max) }
}

const fn text(min: usize, max: usize) -> Shape {
    Shape::Text(between(min, max))
}

const fn text_to(max: usize) -> Shape {
    Shape::Text(at_most(max))
}

const fn integer(min: i64, max: i64) -> Shape {
    Shape::Integer(Range { min: Some(min), max: Some(max) })
}
