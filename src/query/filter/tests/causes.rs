//! Which traces have which root causes.

use super::super::super::Row;
use super::super::super::cause::RootCauses;
use super::super::{NoGroups, View};
use super::parse;
use super::traces::check;
use std::cell::Cell;

#[test]
fn root_causes_are_ways_with_places() {
    check("rootcause.fault.service { first and name = \"Door\" }", "weather");
    check("rootcause.fault.service { last and name = \"Door\" }", "");
    check(
        "rootcause.fault.service { index = 0 and first and !last }",
        "bad table, deep, weather, weather turned",
    );
    check("rootcause.fault.service { inferred }", "bad table");
    check("rootcause.fault.service { type }", "bad table");
    check("rootcause.fault.service { account.id }", "");
    check("rootcause.fault.entity { index = 2 and name = \"retry\" }", "weather");
    check("rootcause.fault.entity { remote }", "");
    check("rootcause.responsetime.entity { first and coverage = 1 and !remote }", "slow table");
    check("rootcause.responsetime.entity { coverage < 0.7 }", "");
    check(
        "rootcause.fault.exception { name = \"Unauthorized\" and first and message CONTAINS \"who\" }",
        "deep",
    );
    check("rootcause.fault.exception { first and name = \"AccessDenied\" }", "");
    check("rootcause.error.service { index >= 0 }", "");
    check("rootcause.error.exception { index >= 0 }", "");
}

#[test]
fn a_shape_is_contained_in_a_root_cause() {
    let weather = "weather, weather turned";
    check("rootcause.fault.json = #[{\"Services\":[{\"Name\":\"GetTemperature\"}]}]", weather);
    check("rootcause.json = #[{\"services\":[{\"name\":\"GetTemperature\",\"ENTITYPATH\":[]}]}]", weather);
    check(
        "rootcause.json = #[{\"Services\":[{\"Name\":\"Door\"},{\"Name\":\"GetTemperature\"}]}]",
        "weather",
    );
    check("rootcause.responsetime.json = #[{\"Services\":[{\"Name\":\"GetTemperature\"}]}]", "");
    check(
        "rootcause.json = #[{\"Services\":[{\"Inferred\":true,\"Type\":\"AWS::DynamoDB\"}]}]",
        "slow table, bad table",
    );
    check("rootcause.json = #[{\"Services\":[{\"EntityPath\":[{\"Coverage\":1}]}]}]", "slow table");
    check(
        "rootcause.json = #[{\"Services\":[{\"Name\":\"Auth\",\"Type\":null,\"AccountId\":null}]}]",
        "deep",
    );
    check("rootcause.json = #{\"Services\":[{\"Name\":\"Auth\"}]}", "deep");
    check("rootcause.json = #[{\"Services\":[{\"Nonsense\":1}]}]", "");
    check("rootcause.json = #[{\"Services\":{}}]", "");
    check("rootcause.json = #[]", "slow table, bad table, deep, weather, weather turned");
    check("rootcause.responsetime.json = #[]", "slow table");
    check("rootcause.json = #[{},{}]", "");
    check("rootcause.json = #true", "");
}

#[test]
fn root_causes_are_looked_for_once_and_only_when_asked_for() {
    let asked = Cell::new(0);
    let causes = || {
        asked.set(asked.get() + 1);
        RootCauses::default()
    };
    let rows: [Row<'_>; 0] = [];
    let view = View::new(&rows, &causes);
    assert!(!parse("ok AND rootcause.fault.service { last }").matches(&view, &NoGroups));
    assert_eq!(asked.get(), 0);
    let twice = parse("rootcause.fault.service { last } OR rootcause.json = #[{}]");
    assert!(!twice.matches(&view, &NoGroups));
    assert_eq!(asked.get(), 1);
}
