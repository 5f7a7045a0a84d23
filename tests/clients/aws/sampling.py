"""Sampling rules, from made to gone, and the targets that SDKs are given."""

import re
import time

from refusals import BOTH_RULE, INVALID, RULE
from report import having, number, one_of, present

ARN = r"arn:aws:xray:[a-z0-9-]+:\d{{12}}:sampling-rule/{}"
BOOST = {"MaxRate": 0.8, "CooldownWindowMinutes": 5}
CUSTOM_RULES_MAX = 25


def run(xray, report, run):
    name = f"contract-{run}"
    arn = create(xray, report, name)
    update(xray, report, name, arn)
    default(xray, report)
    targets(xray, report, name)
    delete(xray, report, name, arn)
    limit(xray, report, f"limit-{run}")


def rules(xray):
    """All rules, by name."""
    records = xray.every("GetSamplingRules", "SamplingRuleRecords")
    return {record["SamplingRule"]["RuleName"]: record for record in records}


def seconds(record, member):
    """A time of a rule; 0 when there is none."""
    time_of = (record or {}).get(member)
    return time_of.timestamp() if time_of else 0


def create(xray, report, name):
    tag = {"Key": "stage", "Value": "test"}
    given = {**RULE, "RuleName": name, "Attributes": {"team": "a*"}, "SamplingRateBoost": BOOST}
    expected = {**given, "RuleARN": re.compile(ARN.format(name))}
    before = int(time.time())
    answer = xray.call("CreateSamplingRule", SamplingRule=given, Tags=[tag])
    record = answer.get("SamplingRuleRecord") or {}
    report.expect("CreateSamplingRule: SamplingRule", expected, record.get("SamplingRule"))
    about_now = before - 5 <= seconds(record, "CreatedAt") <= time.time() + 5
    report.expect("CreateSamplingRule: CreatedAt is now", True, about_now)
    arn = (record.get("SamplingRule") or {}).get("RuleARN") or "arn"
    report.expect("GetSamplingRules", expected, rules(xray).get(name, {}).get("SamplingRule"))
    report.expect("ListTagsForResource of a rule", {"Tags": [tag]}, xray.call("ListTagsForResource", ResourceARN=arn))
    xray.refused("CreateSamplingRule", {"SamplingRule": given}, INVALID, "Sampling rule already exists")
    both = {**RULE, "RuleName": name, "RuleARN": arn}
    xray.refused("CreateSamplingRule", {"SamplingRule": both}, INVALID, BOTH_RULE)
    xray.refused("DeleteSamplingRule", {"RuleName": name, "RuleARN": arn}, INVALID, BOTH_RULE)
    return arn


def update(xray, report, name, arn):
    for members, expected in [
        ({"RuleName": name, "FixedRate": 0.25, "SamplingRateBoost": BOOST}, {"FixedRate": 0.25}),
        ({"RuleARN": arn, "Priority": 77, "Host": "a.example.com"}, {"Priority": 77, "FixedRate": 0.25}),
        # What an update does not say stays, but for the boost.
        ({"RuleName": name}, {"Priority": 77, "Host": "a.example.com", "SamplingRateBoost": None}),
        ({"RuleName": name, "Attributes": {}}, {"Attributes": {}}),
        # A boost below the rate is taken.
        (
            {"RuleName": name, "SamplingRateBoost": {**BOOST, "MaxRate": 0.125}},
            {"SamplingRateBoost": {**BOOST, "MaxRate": 0.125}},
        ),
    ]:
        before = rules(xray).get(name)
        answer = xray.call("UpdateSamplingRule", SamplingRuleUpdate=members)
        record = answer.get("SamplingRuleRecord")
        expected = {"SamplingRule": {"RuleName": name, "RuleARN": arn, **expected}}
        report.expect(f"UpdateSamplingRule {members}", expected, record)
        report.expect(f"GetSamplingRules after {members}", expected, rules(xray).get(name))
        later = seconds(record, "ModifiedAt") >= seconds(before, "ModifiedAt") > 0
        report.expect(f"UpdateSamplingRule {members}: ModifiedAt does not go back", True, later)
        same = seconds(record, "CreatedAt") == seconds(before, "CreatedAt")
        report.expect(f"UpdateSamplingRule {members}: CreatedAt stays", True, same)
    before = seconds(rules(xray).get(name), "ModifiedAt")

    def bumped():
        answer = xray.call("UpdateSamplingRule", SamplingRuleUpdate={"RuleName": name})
        return seconds(answer.get("SamplingRuleRecord"), "ModifiedAt") > before

    report.until("UpdateSamplingRule: ModifiedAt tells of an update that changes nothing", True, bumped, seconds=5)
    wrong = {"SamplingRuleUpdate": {"RuleName": name, "Priority": -1, "FixedRate": 0.5}}
    xray.refused("UpdateSamplingRule", wrong, INVALID, "Invalid update request for sampling rule")
    both = {"SamplingRuleUpdate": {"RuleName": name, "RuleARN": arn, "FixedRate": 0.5}}
    xray.refused("UpdateSamplingRule", both, INVALID, BOTH_RULE)
    kept = rules(xray).get(name, {}).get("SamplingRule")
    report.expect("GetSamplingRules after a refused update", {"Priority": 77, "FixedRate": 0.25}, kept)


def default(xray, report):
    """The rule that is always there, last and matching everything."""
    listed = xray.plain("GetSamplingRules", {"NextToken": "ignored"}).get("SamplingRuleRecords") or []
    names = [record["SamplingRule"]["RuleName"] for record in listed]
    custom = sorted(set(names) - {"Default"})
    report.expect("GetSamplingRules: by name, Default last", [*custom, "Default"], names)
    matchers = ("ResourceARN", "ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath")
    rule = {**dict.fromkeys(matchers, "*"), "Priority": 10000, "Version": 1, "Attributes": {}}
    expected = {"SamplingRule": {**rule, "RuleARN": re.compile(ARN.format("Default"))}, "CreatedAt": 0}
    report.expect("GetSamplingRules: Default", expected, listed[-1] if listed else None)
    kept = (listed[-1] if listed else {}).get("SamplingRule", {})
    kept = {key: kept.get(key, 1) for key in ("FixedRate", "ReservoirSize")}
    for members in ({"FixedRate": 0.5, "ReservoirSize": 3}, kept):
        answer = xray.call("UpdateSamplingRule", SamplingRuleUpdate={"RuleName": "Default", **members})
        report.expect(
            f"UpdateSamplingRule of Default {members}",
            members,
            (answer.get("SamplingRuleRecord") or {}).get("SamplingRule"),
        )


def targets(xray, report, name):
    """What an SDK reports of its sampling, and what it is told."""
    client, now = "0123456789abcdef01234567", int(time.time())

    def asked(rule):
        counts = {"RequestCount": 10, "SampledCount": 2, "BorrowCount": 1}
        return {"RuleName": rule, "ClientID": client, "Timestamp": now, **counts}

    boosts = [
        {
            "RuleName": "never-made",
            "ServiceName": "a",
            "Timestamp": now,
            "AnomalyCount": 1,
            "TotalCount": 2,
            "SampledAnomalyCount": 1,
        }
    ]
    unknown = [{"RuleName": "never-made", "ErrorCode": "400", "Message": "Unknown rule"}]
    answer = xray.call(
        "GetSamplingTargets",
        SamplingStatisticsDocuments=[asked(name), asked("never-made"), asked("Default")],
        SamplingBoostStatisticsDocuments=boosts,
    )
    target = {"RuleName": name, "FixedRate": 0.25, "Interval": one_of(None, 10)}
    expected = {
        "SamplingTargetDocuments": having(target, {"RuleName": "Default", "FixedRate": number}),
        "LastRuleModification": present,
        "UnprocessedStatistics": unknown,
        "UnprocessedBoostStatistics": unknown,
    }
    report.expect("GetSamplingTargets", expected, answer)
    # The reservoir is shared out once a client is known, at the latest after its interval of 10 s.
    quota = {"RuleName": name, "FixedRate": 0.25, "ReservoirQuota": RULE["ReservoirSize"], "Interval": 10}
    quota["ReservoirQuotaTTL"] = present
    last = report.until(
        "GetSamplingTargets: a single client gets the whole reservoir",
        {"SamplingTargetDocuments": [quota]},
        lambda: xray.call("GetSamplingTargets", SamplingStatisticsDocuments=[asked(name)]),
        seconds=25,
    )
    newest = max((seconds(record, "ModifiedAt") for record in rules(xray).values()), default=0)
    told = seconds(last, "LastRuleModification")
    # Told as "now", it would make SDKs ask for all rules every ten seconds.
    report.expect("GetSamplingTargets: LastRuleModification", True, newest - 1 <= told <= newest + 1)
    xray.call("GetSamplingStatisticSummaries")


def delete(xray, report, name, arn):
    answer = xray.call("DeleteSamplingRule", RuleARN=arn)
    expected = {"SamplingRuleRecord": {"SamplingRule": {"RuleName": name, "Priority": 77}}}
    report.expect("DeleteSamplingRule", expected, answer)
    report.expect("GetSamplingRules after deletion: the rule is gone", False, name in rules(xray))
    xray.refused("DeleteSamplingRule", {"RuleName": name}, INVALID, "Sampling rule does not exist")
    # The name comes from the ARN.
    by_arn = {key: value for key, value in RULE.items() if key != "RuleName"}
    answer = xray.call("CreateSamplingRule", SamplingRule={**by_arn, "RuleARN": arn})
    named = {"SamplingRuleRecord": {"SamplingRule": {"RuleName": name, "RuleARN": arn}}}
    report.expect("CreateSamplingRule with an ARN alone", named, answer)
    xray.call("DeleteSamplingRule", RuleName=name)


def limit(xray, report, name):
    """No more than 25 of one's own."""
    room = CUSTOM_RULES_MAX + 1 - len(rules(xray))
    made = [f"{name}-{index}" for index in range(room)]
    for rule in made:
        xray.call("CreateSamplingRule", SamplingRule={**RULE, "RuleName": rule})
    over = {"SamplingRule": {**RULE, "RuleName": f"{name}-over"}}
    xray.refused("CreateSamplingRule", over, "RuleLimitExceededException", None)
    for rule in made:
        xray.call("DeleteSamplingRule", RuleName=rule)
