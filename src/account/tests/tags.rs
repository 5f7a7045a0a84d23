use super::*;

const RULE: &str = "arn:aws:xray:eu-west-1:000000000000:sampling-rule/Default";
const GROUP: &str = "arn:aws:xray:eu-west-1:000000000000:group/Default";

fn tag(arn: &str, tags: &[(&str, &str)]) -> Value {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"ResourceARN": arn, "Tags": tags})
}

fn listed(tags: &[(&str, &str)]) -> Value {
    json!({"NextToken": null, "Tags": tag("", tags)["Tags"]})
}

#[test]
fn tags_are_put_replaced_and_taken_away() {
    for arn in [RULE, GROUP] {
        let mut desk = Desk::new();
        let list = json!({"ResourceARN": arn, "NextToken": "means nothing"});
        desk.outlives("ListTagsForResource", list.clone(), &listed(&[]));
        assert_eq!(desk.ask("TagResource", tag(arn, &[("a", "1"), ("email@owner", "x@y")])), json!({}));
        desk.outlives("ListTagsForResource", list.clone(), &listed(&[("a", "1"), ("email@owner", "x@y")]));
        desk.ask("TagResource", tag(arn, &[("a", "2"), ("b", "")]));
        let three = [("a", "2"), ("b", ""), ("email@owner", "x@y")];
        desk.outlives("ListTagsForResource", list.clone(), &listed(&three));
        let untag = json!({"ResourceARN": arn, "TagKeys": ["a", "absent"]});
        assert_eq!(desk.ask("UntagResource", untag), json!({}));
        desk.outlives("ListTagsForResource", list, &listed(&[("b", ""), ("email@owner", "x@y")]));
    }
}

#[test]
fn groups_and_rules_are_tagged_when_they_are_made() {
    let mut desk = Desk::new();
    let tags = &tag("", &[("a", "1")])["Tags"];
    let group = json!({"GroupName": "g", "FilterExpression": "ok", "Tags": tags});
    let group = desk.ask("CreateGroup", group)["Group"]["GroupARN"].clone();
    let rule = json!({"SamplingRule": rules::rule("r"), "Tags": tags});
    let rule = desk.ask("CreateSamplingRule", rule)["SamplingRuleRecord"]["SamplingRule"]["RuleARN"].clone();
    for arn in [group, rule] {
        desk.outlives("ListTagsForResource", json!({"ResourceARN": arn}), &listed(&[("a", "1")]));
    }
}

#[test]
fn tags_are_refused_in_the_words_of_the_service() {
    let mut desk = Desk::new();
    let arn = "arn:aws:xray:eu-west-1:000000000000:group/none";
    for (operation, members) in [
        ("ListTagsForResource", json!({"ResourceARN": arn})),
        ("TagResource", tag(arn, &[])),
        ("UntagResource", json!({"ResourceARN": arn, "TagKeys": []})),
    ] {
        let text = format!("Resource {arn} not found");
        let refusal = desk.refuses(operation, members, Code::ResourceNotFound, &text);
        assert_eq!(refusal.resource.as_deref(), Some(arn));
    }
    let system = "Caller is an end user and not allowed to mutate system tags";
    desk.refuses_as_invalid("TagResource", tag(RULE, &[("aws:a", "1")]), system);
    desk.refuses_as_invalid("UntagResource", json!({"ResourceARN": RULE, "TagKeys": ["aws:a"]}), system);
    desk.refuses("TagResource", tag(RULE, &[("a", "1"), ("a", "2")]), Code::InternalFailure, "");
}

#[test]
fn a_resource_has_no_more_than_50_tags() {
    let mut desk = Desk::new();
    let keys: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
    let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
    let text = "The resultant tag set must not have more than 50 user tags.";
    desk.refuses_as_invalid("TagResource", tag(RULE, &tags), text);
    desk.ask("TagResource", tag(RULE, &tags[..50]));
    desk.refuses_as_invalid("TagResource", tag(RULE, &tags[50..]), text);
    desk.ask("TagResource", tag(RULE, &tags[..1]));
}
