"""What an account remembers besides groups and sampling rules: policies, encryption, indexing, destination."""

import json

from refusals import INSIGHT, INVALID, WINDOW
from report import having, one_of, present

STALE = "InvalidPolicyRevisionIdException"
POLICIES_MAX = 5


def run(xray, report, run):
    policies(xray, report, f"contract-{run}")
    policy_limits(xray, report, f"limit-{run}")
    encryption(xray, report)
    indexing(xray, report)
    destination(xray, report)
    telemetry(xray, report)
    insights(xray, report)


def policy(sid):
    """A policy as the X-Ray guide prints it for another service that sends traces."""
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": ["xray:PutTraceSegments"],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def listed(xray, name):
    """A policy by its name."""
    every = xray.every("ListResourcePolicies", "ResourcePolicies")
    return next((policy for policy in every if policy["PolicyName"] == name), None)


def policies(xray, report, name):
    """Revisions count up, and who gives an old one is refused."""
    for revision, given, sid in [("1", "0", "one"), ("2", None, "two"), ("3", "2", "three")]:
        members = {"PolicyName": name, "PolicyDocument": policy(sid)}
        if given is not None:
            members["PolicyRevisionId"] = given
        expected = {
            "PolicyName": name,
            "PolicyDocument": policy(sid),
            "PolicyRevisionId": revision,
            "LastUpdatedTime": present,
        }
        answer = xray.call("PutResourcePolicy", **members)
        report.expect(f"PutResourcePolicy of revision {given}", {"ResourcePolicy": expected}, answer)
        report.expect(f"ListResourcePolicies at revision {revision}", expected, listed(xray, name))
    stale = f"Another concurrent request has modified the resource policy {name}"
    for given in ("0", "2"):
        body = {"PolicyName": name, "PolicyDocument": policy("four"), "PolicyRevisionId": given}
        xray.refused("PutResourcePolicy", body, STALE, stale)
    xray.refused("DeleteResourcePolicy", {"PolicyName": name, "PolicyRevisionId": "2"}, STALE, None)
    report.expect("ListResourcePolicies after refusals", {"PolicyRevisionId": "3"}, listed(xray, name))
    xray.call("DeleteResourcePolicy", PolicyName=name, PolicyRevisionId="3")
    report.expect("ListResourcePolicies after deletion", None, listed(xray, name))
    gone = f"The resource policy {name} does not exist."
    xray.refused("DeleteResourcePolicy", {"PolicyName": name}, INVALID, gone)


def policy_limits(xray, report, name):
    """At most five policies, of at most 5 KB."""
    long = {"PolicyName": name, "PolicyDocument": policy("x" * 6000)}
    xray.refused("PutResourcePolicy", long, "PolicySizeLimitExceededException", None)
    room = POLICIES_MAX - len(xray.every("ListResourcePolicies", "ResourcePolicies"))
    made = [f"{name}-{index}" for index in range(room)]
    for one in made:
        xray.call("PutResourcePolicy", PolicyName=one, PolicyDocument=policy("limit"))
    over = {"PolicyName": f"{name}-over", "PolicyDocument": policy("limit")}
    xray.refused("PutResourcePolicy", over, "PolicyCountLimitExceededException", None)
    for one in made:
        xray.call("DeleteResourcePolicy", PolicyName=one)


def encryption(xray, report):
    key = "alias/contract"
    for members, expected in [
        ({"Type": "KMS", "KeyId": key}, {"Type": "KMS", "KeyId": present}),
        ({"Type": "NONE"}, {"Type": "NONE", "KeyId": None}),
    ]:
        answer = xray.call("PutEncryptionConfig", **members)
        report.expect(f"PutEncryptionConfig {members}", {"EncryptionConfig": {"Type": expected["Type"]}}, answer)
        expected = {"EncryptionConfig": {**expected, "Status": "ACTIVE"}}
        report.until(f"GetEncryptionConfig after {members}", expected, lambda: xray.call("GetEncryptionConfig"))


def indexing(xray, report):
    """One rule, of which the percentage can be changed."""

    def read():
        return xray.call("GetIndexingRules").get("IndexingRules")

    def rule(percentage):
        return {"Name": "Default", "Rule": {"Probabilistic": {"DesiredSamplingPercentage": percentage}}}

    report.expect("GetIndexingRules", [{"Name": "Default", "Rule": {"Probabilistic": {}}}], read())
    for percentage in (5, 1):
        answer = xray.call("UpdateIndexingRule", **rule(percentage))
        report.expect(f"UpdateIndexingRule to {percentage} %", {"IndexingRule": rule(percentage)}, answer)
        report.expect(f"GetIndexingRules at {percentage} %", [rule(percentage)], read())


def destination(xray, report):
    """It is told, and stays; a local X-Ray has no logs to send to."""
    for name in ("CloudWatchLogs", "XRay"):
        answer = xray.call("UpdateTraceSegmentDestination", Destination=name)
        report.expect(f"UpdateTraceSegmentDestination {name}", {"Destination": name}, answer)
        expected = {"Destination": name, "Status": "ACTIVE"}
        report.until(
            f"GetTraceSegmentDestination after {name}", expected, lambda: xray.call("GetTraceSegmentDestination")
        )


def telemetry(xray, report):
    """What the daemon says of itself once a minute."""
    counts = dict.fromkeys(
        ["SegmentsReceivedCount", "SegmentsSentCount", "SegmentsSpilloverCount", "SegmentsRejectedCount"], 1
    )
    errors = dict.fromkeys(["TimeoutCount", "ConnectionRefusedCount", "HTTPCode4XXCount", "OtherCount"], 0)
    record = {"Timestamp": 1767225700, **counts, "BackendConnectionErrors": errors}
    answer = xray.call("PutTelemetryRecords", TelemetryRecords=[record], Hostname="host", EC2InstanceId="i-1")
    report.expect("PutTelemetryRecords", {}, answer)


def insights(xray, report):
    """There are none, and that must be said well; see refusals.py for single ones."""
    for members in ({}, {"States": ["ACTIVE"], "MaxResults": 1}, {"GroupName": "Default"}):
        answer = xray.call("GetInsightSummaries", **WINDOW, **members)
        expected = {"InsightSummaries": [], "NextToken": None}
        report.expect(f"GetInsightSummaries {members}", expected, answer)
    xray.refused("GetInsightEvents", {"InsightId": INSIGHT}, one_of(INVALID), None)
    report.expect(
        "GetGroups: Default is there to have insights",
        having({"GroupName": "Default"}),
        xray.every("GetGroups", "Groups"),
    )
