//! What has to be read for an expression.

use super::super::super::{Columns, Row};
use super::super::{Expression, GroupBy, Groups, NoGroups, View};
use super::traces::{known_groups, traces};
use super::{IN_USE, parse};
use std::sync::Arc;

#[test]
fn columns_are_those_that_are_read() {
    let shape = Columns::CALLS.and(Columns::LOCALS);
    let service = shape.and(Columns::NAME);
    for (expression, expected) in [
        ("ok AND duration > 1 OR responsetime < 2", Columns::NONE),
        ("!http.status = 3", Columns::STATUS),
        ("http.url OR http.clientip = \"x\"", Columns::HTTP),
        ("user AND resource.arn", Columns::USER.and(Columns::RESOURCE)),
        ("annotation.a", Columns::ANNOTATIONS),
        ("partial", shape),
        ("inferred", shape),
        ("service(\"a\")", service),
        ("service(id(account.id: \"1\"))", service.and(Columns::ACCOUNT)),
        ("service() { account.id }", service.and(Columns::ACCOUNT)),
        (
            "service() { http.status = 1 AND annotation.k }",
            service.and(Columns::STATUS).and(Columns::ANNOTATIONS),
        ),
        ("edge(\"a\", id(account.id: \"1\")) { http.url }", service.and(Columns::ACCOUNT).and(Columns::HTTP)),
        ("rootcause.fault.service { name = \"a\" }", Columns::NONE),
        ("rootcause.json = #[]", Columns::NONE),
        ("group.name = \"either\" AND user", service.and(Columns::USER)),
        ("group.name = \"circle_one\"", Columns::NONE),
        ("group.name = \"nobody\"", Columns::NONE),
    ] {
        assert_eq!(parse(expression).columns(&known_groups()), expected, "{expression}");
    }
    let everything = Expression::everything();
    assert_eq!(everything.columns(&NoGroups), Columns::NONE);
}

/// Every group asks for root causes.
struct Causes;

impl Groups for Causes {
    fn expression(&self, _: GroupBy, _: &str) -> Option<Arc<Expression>> {
        Some(Arc::new(parse("rootcause.error.service { first }")))
    }
}

#[test]
fn what_else_an_expression_needs_is_known_before() {
    let needs = |text: &str| {
        let expression = parse(text);
        (expression.uses_groups(), expression.needs_causes(&known_groups()))
    };
    assert_eq!(needs("ok AND service() { fault }"), (false, false));
    assert_eq!(needs("!(ok OR rootcause.json = #[])"), (false, true));
    assert_eq!(needs("rootcause.error.service { first }"), (false, true));
    assert_eq!(needs("ok OR !group.name = \"either\""), (true, false));
    assert!(parse("group.name = \"any\"").needs_causes(&Causes));
}

/// The columns an expression names are enough: without the others it finds the same.
#[test]
fn other_columns_are_not_read() {
    let traces = traces();
    for (expression, _) in IN_USE {
        let parsed = parse(expression);
        let columns = parsed.columns(&known_groups());
        for trace in &traces {
            let rows: Vec<_> = trace.rows().iter().map(|row| only(row, columns)).collect();
            let causes = || trace.causes();
            let found = parsed.matches(&View::new(&rows, &causes), &known_groups());
            assert_eq!(found, trace.matches(expression), "{expression} {}", trace.name);
        }
    }
}

fn only<'a>(row: &Row<'a>, columns: Columns) -> Row<'a> {
    let has = |column| columns.has(column);
    Row {
        status: row.status.filter(|_| has(Columns::STATUS)),
        name: if has(Columns::NAME) { row.name } else { "" },
        origin: row.origin.filter(|_| has(Columns::NAME)),
        account_id: row.account_id.filter(|_| has(Columns::ACCOUNT)),
        url: row.url.filter(|_| has(Columns::HTTP)),
        method: row.method.filter(|_| has(Columns::HTTP)),
        user_agent: row.user_agent.filter(|_| has(Columns::HTTP)),
        client_ip: row.client_ip.filter(|_| has(Columns::HTTP)),
        user: row.user.filter(|_| has(Columns::USER)),
        availability_zone: row.availability_zone.filter(|_| has(Columns::RESOURCE)),
        instance_id: row.instance_id.filter(|_| has(Columns::RESOURCE)),
        resource_arn: row.resource_arn.filter(|_| has(Columns::RESOURCE)),
        annotations: if has(Columns::ANNOTATIONS) { row.annotations } else { "" },
        calls: if has(Columns::CALLS) { row.calls } else { "" },
        locals: if has(Columns::LOCALS) { row.locals } else { "" },
        ..*row
    }
}
