//! Which traces are in which groups.

use super::super::super::Columns;
use super::super::super::cause::RootCauses;
use super::super::{Expression, GroupBy, Groups, View};
use super::parse;
use super::traces::{all_names, check};
use std::cell::Cell;
use std::sync::Arc;

#[test]
fn groups_stand_for_their_filters() {
    check("group.name = \"high_response_time\"", "game, data");
    check("group.arn = \"arn:high_response_time\"", "game, data");
    check("group.name = \"Default\"", &all_names());
    check("group.name != \"high_response_time\" AND responsetime >= 4", "slow table");
    check("(group.name = \"high_response_time\") AND user", "game");
    check("group.name = \"slow_again\" OR group.name = \"high_response_time\"", "game, data");
    // The OR in its filter stays inside.
    check("group.name = \"either\" AND fault", "annotated");
    check("group.name = \"nobody\"", "");
    check("group.name != \"nobody\"", "");
    check("!group.name = \"nobody\"", &all_names());
}

#[test]
fn groups_in_a_circle_end() {
    check("group.name = \"circle_one\" AND responsetime < 0.3", "plain");
    check("group.name = \"circle_two\" AND responsetime < 0.3", "plain");
    check("group.name = \"self\"", &all_names());
    check("group.name = \"self\" AND !group.name = \"self\"", "");
}

/// Groups `0`, `1`, … that each name the next one many times over.
struct Chain {
    asked: Cell<usize>,
}

impl Groups for Chain {
    fn expression(&self, _: GroupBy, value: &str) -> Option<Arc<Expression>> {
        self.asked.set(self.asked.get() + 1);
        let next = value.parse::<usize>().unwrap() + 1;
        let text = vec![format!("!!!!!!!!group.name = \"{next}\""); 50].join(" OR ");
        (next < 1000).then(|| Arc::new(parse(&text)))
    }
}

#[test]
fn groups_of_groups_are_bounded() {
    let chain = Chain { asked: Cell::new(0) };
    let expression = parse("group.name = \"0\"");
    assert!(!expression.matches(&View::new(&[], &RootCauses::default), &chain));
    // Each once, and in the last one every mention of what is too deep.
    assert!(chain.asked.get() <= 16 + 50, "{}", chain.asked.get());
    let chain = Chain { asked: Cell::new(0) };
    assert_eq!(expression.columns(&chain), Columns::NONE);
    assert_eq!(chain.asked.get(), 1000);
}
