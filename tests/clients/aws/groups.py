"""Groups, from made to gone, and their tags."""

import contextlib
import re

from refusals import EITHER, INVALID, NOT_FOUND, located
from report import having, unordered

ARN = r"arn:aws:xray:[a-z0-9-]+:\d{{12}}:group/{}/[A-Z2-7]{{52}}"
QUIET = {"InsightsEnabled": False, "NotificationsEnabled": False}


@contextlib.contextmanager
def made(xray, groups):
    """Groups that are there for a while: their names and filters."""
    for name, expression in groups.items():
        xray.call("CreateGroup", GroupName=name, FilterExpression=expression)
    try:
        yield
    finally:
        for name in groups:
            xray.call("DeleteGroup", GroupName=name)


def run(xray, report, run):
    name = f"contract-{run}"
    arn = create(xray, report, name)
    update(xray, report, name, arn)
    tags(xray, report, arn)
    default(xray, report)
    delete(xray, report, name, arn)


def create(xray, report, name):
    tag = {"Key": "stage", "Value": "test"}
    expected = {
        "GroupName": name,
        "GroupARN": re.compile(ARN.format(name)),
        "FilterExpression": "fault",
        "InsightsConfiguration": QUIET,
    }
    group = xray.call("CreateGroup", GroupName=name, FilterExpression="fault", Tags=[tag]).get("Group") or {}
    report.expect("CreateGroup: Group", expected, group)
    arn = group.get("GroupARN") or "arn"
    seen(xray, report, name, arn, expected)
    report.expect(
        "ListTagsForResource: tags made with the group",
        {"Tags": [tag]},
        xray.call("ListTagsForResource", ResourceARN=arn),
    )
    body = {"GroupName": name, "FilterExpression": "ok"}
    xray.refused("CreateGroup", body, INVALID, f"{name} already exists")
    xray.refused("GetGroup", {"GroupName": name, "GroupARN": arn}, INVALID, EITHER)
    return arn


def seen(xray, report, name, arn, expected):
    """By name, by ARN and in the list."""
    for by in ({"GroupName": name}, {"GroupARN": arn}):
        report.expect(f"GetGroup {by}", {"Group": expected}, xray.call("GetGroup", **by))
    report.expect("GetGroups: Groups", having(expected), xray.every("GetGroups", "Groups"))


def update(xray, report, name, arn):
    insights = {"InsightsEnabled": True, "NotificationsEnabled": False}
    for by, members, expected in [
        ({"GroupName": name}, {"FilterExpression": "error"}, {"FilterExpression": "error"}),
        (
            {"GroupARN": arn},
            {"FilterExpression": "ok OR error", "InsightsConfiguration": insights},
            {"FilterExpression": "ok OR error", "InsightsConfiguration": insights},
        ),
    ]:
        answer = xray.call("UpdateGroup", **by, **members)
        expected = {"GroupName": name, "GroupARN": arn, **expected}
        report.expect(f"UpdateGroup {by} {members}: Group", {"Group": expected}, answer)
        seen(xray, report, name, arn, expected)
    wrong = "fault AND ("
    text = located(12, f"Invalid input symbol: '{wrong}'")
    xray.refused("UpdateGroup", {"GroupName": name, "FilterExpression": wrong}, INVALID, text)
    xray.refused("UpdateGroup", {"GroupName": name}, INVALID, "Filter Expression is empty")
    answer = xray.call("GetGroup", GroupName=name)
    report.expect("GetGroup after refused updates", {"Group": {"FilterExpression": "ok OR error"}}, answer)


def tags(xray, report, arn):
    """Tagging merges; only own tags, and not too many."""

    def tag(key, value="v"):
        return {"Key": key, "Value": value}

    def listed(what, *expected):
        answer = xray.call("ListTagsForResource", ResourceARN=arn)
        report.expect(f"ListTagsForResource {what}", {"Tags": unordered(*expected)}, answer)

    xray.call("TagResource", ResourceARN=arn, Tags=[tag("stage", "live"), tag("owner")])
    listed("after tagging", tag("stage", "live"), tag("owner"))
    xray.call("UntagResource", ResourceARN=arn, TagKeys=["stage", "absent"])
    listed("after untagging", tag("owner"))
    many = {"ResourceARN": arn, "Tags": [tag(f"key-{number}") for number in range(50)]}
    text = "The resultant tag set must not have more than 50 user tags."
    xray.refused("TagResource", many, INVALID, text)
    text = "Caller is an end user and not allowed to mutate system tags"
    xray.refused("TagResource", {"ResourceARN": arn, "Tags": [tag("aws:mine")]}, INVALID, text)
    # That it is AWS's own failure is recorded, too.
    twice = {"ResourceARN": arn, "Tags": [tag("same"), tag("same")]}
    xray.refused("TagResource", twice, "InternalFailure", None)
    listed("after refused tagging", tag("owner"))
    xray.call("TagResource", ResourceARN=arn, Tags=many["Tags"][1:])
    listed("when full", tag("owner"), *many["Tags"][1:])


def default(xray, report):
    """The group that is always there and has no filter."""
    expected = {
        "GroupName": "Default",
        "GroupARN": re.compile(r"arn:aws:xray:[a-z0-9-]+:\d{12}:group/Default"),
        "FilterExpression": None,
        "InsightsConfiguration": QUIET,
    }
    report.expect("GetGroups: Default", having(expected), xray.every("GetGroups", "Groups"))
    report.expect("GetGroup of Default", {"Group": expected}, xray.call("GetGroup", GroupName="Default"))


def delete(xray, report, name, arn):
    xray.call("DeleteGroup", GroupName=name)
    xray.refused("GetGroup", {"GroupName": name}, INVALID, "Group not found")
    xray.refused("DeleteGroup", {"GroupARN": arn}, INVALID, "Group not found")
    gone = {"ResourceName": arn}
    xray.refused("ListTagsForResource", {"ResourceARN": arn}, NOT_FOUND, f"Resource {arn} not found", gone)
    answer = xray.call("CreateGroup", GroupName=name, FilterExpression="ok")
    again = (answer.get("Group") or {}).get("GroupARN")
    report.expect("CreateGroup again: a new ARN", True, again is not None and again != arn)
    report.expect(
        "ListTagsForResource of the new one", {"Tags": []}, xray.call("ListTagsForResource", ResourceARN=again or "arn")
    )
    xray.refused("ListTagsForResource", {"ResourceARN": arn}, NOT_FOUND, f"Resource {arn} not found", gone)
    xray.call("DeleteGroup", GroupARN=again or "arn")
    names = [group["GroupName"] for group in xray.every("GetGroups", "Groups")]
    report.expect("GetGroups after deletion: the group is gone", False, name in names)
