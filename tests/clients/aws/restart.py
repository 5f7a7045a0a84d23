"""Leaves known state behind, and finds all of it again: what a restart must not lose."""

import json
import random
import time

from accounts import listed, policy
from report import having, one_of, present, unordered
from retrieving import documents_of
from sampling import rules

NAME = "contract-kept"
RULE = {
    **dict.fromkeys(["ResourceARN", "ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath"], "*"),
    **{"RuleName": NAME, "Priority": 42, "FixedRate": 0.125, "ReservoirSize": 7, "Version": 1},
    **{"Attributes": {"team": "kept"}, "SamplingRateBoost": {"MaxRate": 0.5, "CooldownWindowMinutes": 3}},
}
FILTER = 'service("kept") { ok } OR fault'
INSIGHTS = {"InsightsEnabled": True, "NotificationsEnabled": False}
PERCENTAGE = 7
LOOK_BACK_SECONDS = 3600
FOUND = "annotation.contract_kept"


def leave(xray, datagrams, report):
    """Makes the state; what an earlier run has left is replaced."""
    clear(xray)
    group = xray.call("CreateGroup", GroupName=NAME, FilterExpression=FILTER, InsightsConfiguration=INSIGHTS)
    arn = (group.get("Group") or {}).get("GroupARN") or "arn"
    # Tells its own ARN, which whoever comes after the restart cannot know.
    xray.call("TagResource", ResourceARN=arn, Tags=[{"Key": "arn", "Value": arn}])
    rule = xray.call("CreateSamplingRule", SamplingRule=RULE).get("SamplingRuleRecord") or {}
    created = rule["CreatedAt"].timestamp() if rule.get("CreatedAt") else 0
    tag = {"Key": "created", "Value": str(created)}
    xray.call("TagResource", ResourceARN=(rule.get("SamplingRule") or {}).get("RuleARN") or "arn", Tags=[tag])
    for sid in ("one", "two"):
        xray.call("PutResourcePolicy", PolicyName=NAME, PolicyDocument=policy(sid))
    xray.call("PutEncryptionConfig", Type="KMS", KeyId="alias/contract-kept")
    index(xray, PERCENTAGE)
    xray.call("UpdateTraceSegmentDestination", Destination="CloudWatchLogs")
    traces(xray, datagrams, report)


def clear(xray):
    """Takes away what is there of it, without a word about what is not."""
    groups = [group["GroupName"] for group in xray.every("GetGroups", "Groups")]
    if NAME in groups:
        xray.call("DeleteGroup", GroupName=NAME)
    if NAME in rules(xray):
        xray.call("DeleteSamplingRule", RuleName=NAME)
    if listed(xray, NAME):
        xray.call("DeleteResourcePolicy", PolicyName=NAME)


def index(xray, percentage):
    rule = {"Probabilistic": {"DesiredSamplingPercentage": percentage}}
    xray.call("UpdateIndexingRule", Name="Default", Rule=rule)


def traces(xray, datagrams, report):
    """One trace by UDP, one by HTTP, one that is not done yet; the last says how to find the others."""
    start = time.time() - 10
    ids = [f"1-{int(start):08x}-{random.getrandbits(96):024x}" for _ in range(3)]

    def segment(number, **more):
        document = {"trace_id": ids[number], "id": f"{number:016x}", "name": f"kept-{number}"}
        return json.dumps({**document, "start_time": start, **more})

    datagrams.send(segment(0, end_time=start + 1, fault=True))
    done = segment(1, end_time=start + 2, annotations={"whole": 5})
    xray.call("PutTraceSegments", TraceSegmentDocuments=[done])
    open_one = segment(2, in_progress=True, annotations={"contract_kept": " ".join(ids)})
    xray.call("PutTraceSegments", TraceSegmentDocuments=[open_one])
    for number, trace in enumerate(ids):
        report.until(
            f"BatchGetTraces: kept-{number} can be read",
            [{"name": f"kept-{number}"}],
            lambda trace=trace: documents_of(xray, trace),
        )


def find(xray, datagrams, report):
    """Finds all of it, and takes it away."""
    account(xray, report)
    tagged(xray, report)
    now = int(time.time())
    asked = {"StartTime": now - LOOK_BACK_SECONDS, "EndTime": now + 60, "FilterExpression": FOUND}
    summaries = xray.every("GetTraceSummaries", "TraceSummaries", **asked)
    report.expect("after a restart: traces with the annotation", True, len(summaries) > 0)
    if summaries:
        newest = max(summaries, key=lambda summary: summary["StartTime"])
        ids = newest["Annotations"]["contract_kept"][0]["AnnotationValue"]["StringValue"].split()
        found(xray, datagrams, report, ids)
    clear(xray)
    xray.call("PutEncryptionConfig", Type="NONE")
    index(xray, 1)
    xray.call("UpdateTraceSegmentDestination", Destination="XRay")


def account(xray, report):
    for operation, members, expected in [
        (
            "GetGroup",
            {"GroupName": NAME},
            {"Group": {"FilterExpression": FILTER, "InsightsConfiguration": INSIGHTS}},
        ),
        ("GetEncryptionConfig", {}, {"EncryptionConfig": {"Type": "KMS", "KeyId": present}}),
        (
            "GetIndexingRules",
            {},
            {"IndexingRules": having({"Rule": {"Probabilistic": {"DesiredSamplingPercentage": PERCENTAGE}}})},
        ),
        ("GetTraceSegmentDestination", {}, {"Destination": "CloudWatchLogs"}),
    ]:
        report.expect(f"after a restart: {operation}", expected, xray.call(operation, **members))
    expected = {"PolicyRevisionId": "2", "PolicyDocument": policy("two")}
    report.expect("after a restart: the resource policy", expected, listed(xray, NAME))


def tagged(xray, report):
    """Groups and rules keep their ARNs and their tags."""
    arn = (xray.call("GetGroup", GroupName=NAME).get("Group") or {}).get("GroupARN") or "arn"
    answer = xray.call("ListTagsForResource", ResourceARN=arn)
    report.expect("after a restart: tags of the group", {"Tags": [{"Key": "arn", "Value": arn}]}, answer)
    record = rules(xray).get(NAME) or {}
    report.expect("after a restart: the sampling rule", RULE, record.get("SamplingRule"))
    arn = (record.get("SamplingRule") or {}).get("RuleARN") or "arn"
    created = record["CreatedAt"].timestamp() if record.get("CreatedAt") else None
    answer = xray.call("ListTagsForResource", ResourceARN=arn)
    expected = {"Tags": [{"Key": "created", "Value": str(created)}]}
    report.expect("after a restart: the rule's tag says when it was made", expected, answer)


def found(xray, datagrams, report, ids):
    for number, expected in enumerate(
        [
            {"name": "kept-0", "fault": True, "in_progress": one_of(None, False)},
            {"name": "kept-1", "annotations": {"whole": 5}},
            {"name": "kept-2", "in_progress": True},
        ]
    ):
        documents = documents_of(xray, ids[number])
        report.expect(f"after a restart: documents of kept-{number}", unordered(expected), documents)
    # What was open before can still be completed.
    documents = documents_of(xray, ids[2])
    if not documents:
        return
    done = {key: value for key, value in documents[0].items() if key != "in_progress"}
    done |= {"trace_id": ids[2], "end_time": done["start_time"] + 5}
    datagrams.send(json.dumps(done))
    report.until(
        "after a restart: kept-2 is completed",
        unordered({"name": "kept-2", "in_progress": one_of(None, False), "end_time": present}),
        lambda: documents_of(xray, ids[2]),
    )
