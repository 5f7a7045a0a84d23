//! Expressions of AWS's documents and tools, what they mean, and where wrong ones are wrong.

mod agreement;
mod causes;
mod columns;
mod evaluation;
mod groups;
mod properties;
mod traces;

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn condition(text: &str) -> Condition {
    match parse(text) {
        Expression::Condition(condition) => condition,
        other => panic!("{text}: {other:?}"),
    }
}

fn compare(operator: Operator, value: impl Into<Value>) -> Test {
    Test::Compare(operator, value.into())
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

fn named(name: &str) -> Selector {
    Selector { name: Some(name.to_owned()), ..Selector::default() }
}

fn typed(name: Option<&str>, r#type: &str) -> Selector {
    Selector { name: name.map(str::to_owned), r#type: Some(r#type.to_owned()), account_id: None }
}

fn boxed(text: &str) -> Box<Expression> {
    Box::new(parse(text))
}

/// Printed in the X-Ray developer guide and API reference, made by the console, by Grafana's data source, or by AWS's own
/// tests of Application Signals. Beside each, which of the [`traces`] match.
const IN_USE: [(&str, &str); 47] = [
    ("responsetime > 5", "game, data"),
    ("duration >= 5 AND duration <= 8", "game, data"),
    ("ok", "plain, shop, gateway, random, typed, untyped, pair, open, slow table"),
    ("!ok", "game, orphan, lambda, data, annotated, throttled, bad table, deep, weather, weather turned"),
    (
        "ok = false",
        "game, orphan, lambda, data, annotated, throttled, bad table, deep, weather, weather turned",
    ),
    (r#"rootcause.fault.entity { last and name = "deserialize" }"#, "deep"),
    (r#"rootcause.responsetime.entity { remote and coverage > 0.7 and name = "traces" }"#, "slow table"),
    (r#"rootcause.fault.service { inferred and name = traces and type = "AWS::DynamoDB" }"#, "bad table"),
    (r#"service("data-plane") {root = true and fault = true}"#, "data"),
    ("http.status != 200", "game, throttled"),
    ("ok !partial duration <3", "plain, shop, random, typed, untyped, pair"),
    ("rootcause.fault.service { index > 5 }", "deep"),
    ("rootcause.responsetime.entity { last and coverage > 0.8 }", "slow table"),
    (r#"http.url CONTAINS "/api/game/""#, "game"),
    (r#"user CONTAINS """#, "game, orphan, open"),
    (r#"rootcause.fault.service { name = "Auth" }"#, "deep"),
    (r#"rootcause.responsetime.service { last and type = "AWS::DynamoDB" }"#, "slow table"),
    (
        r#"rootcause.fault.exception { last and message = "Access Denied for account_id: 1234567890" }"#,
        "deep",
    ),
    (r#"service("api.example.com") { fault }"#, "pair"),
    (
        "service() { fault }",
        "game, data, typed, untyped, pair, annotated, bad table, deep, weather, weather turned",
    ),
    (r#"edge("api.example.com", "backend.example.com") { error }"#, "shop"),
    (
        r#"http.url BEGINSWITH "http://api.example.com/" AND http.url CONTAINS "/v2/" AND !service("api.example.com")"#,
        "gateway",
    ),
    ("http.url AND responseTime > 2", "game, shop, gateway"),
    (r#"annotation.gameid = "817DL6VO""#, "game"),
    ("annotation.age", "game, orphan"),
    (
        "!annotation.age",
        "plain, shop, gateway, lambda, random, data, typed, untyped, pair, annotated, throttled, open, slow table, bad table, deep, weather, weather turned",
    ),
    ("annotation.age > 29", "game"),
    (r#"group.name = "high_response_time" AND user = "alice""#, "game"),
    (
        r#"rootcause.json = #[{ "Services": [ { "Name": "GetWeatherData", "EntityPath": [{ "Name": "GetWeatherData" }, { "Name": "get_temperature" } ] }, { "Name": "GetTemperature" } ] }]"#,
        "weather",
    ),
    (r#"service(id(name: "n", type: "t")) { fault }"#, "typed"),
    (r#"edge(id(name: "a", type: "t"), id(name: "b", type: "t")) { error }"#, "typed"),
    (r#"service("function-name") { error }"#, "lambda"),
    (r#"service(id(name: "random-name", type: "AWS::Lambda::Function")) { error }"#, "random"),
    (r#"service(id(type: "AWS::Lambda::Function")) { error }"#, "random"),
    (r#"service(id(account.id: "account-id"))"#, "typed"),
    (
        r#"service("api.amazon.com") { fault = true OR responsetime > 2.5 } AND annotation.foo = "bar""#,
        "game",
    ),
    (r#"fault = true AND http.url CONTAINS "example/game" AND responsetime >= 5"#, "game"),
    (r#"service("example.com") {fault OR error}"#, "pair"),
    (r#"annotation.account = "12345""#, "orphan"),
    (
        r#"(service(id(name: "frontend"  ))) AND (Annotation[aws.local.environment] = "k8s:default")"#,
        "gateway",
    ),
    (r#"annotation[aws.remote.operation]="ListOwners""#, "gateway"),
    (
        r#"annotation.aws_local_service = "x" AND (annotation.aws_local_service = "y" OR annotation.aws_local_operation = "z")"#,
        "annotated",
    ),
    (r#"annotation.a != "x" AND annotation.b = "y""#, "annotated"),
    (r#"service(id(name: "N", type: "T"))"#, "typed"),
    (r#"edge("src", "dst")"#, "pair"),
    (r#"service("api"){fault = true} AND annotation[aws.local.operation]="GET /x""#, "annotated"),
    (
        "service { fault }",
        "game, data, typed, untyped, pair, annotated, bad table, deep, weather, weather turned",
    ),
];

#[test]
fn every_expression_in_use_is_read() {
    for (text, _) in IN_USE {
        parse(text);
    }
}

#[test]
fn single_conditions_mean_what_they_say() {
    assert_eq!(condition("ok"), Condition::Flag(Flag::Ok, Test::Is));
    assert_eq!(condition("ok = false"), Condition::Flag(Flag::Ok, compare(Operator::Equal, false)));
    assert_eq!(
        condition("ResponseTime >= -1.5e3"),
        Condition::Measure(Measure::ResponseTime, compare(Operator::GreaterOrEqual, -1500.0))
    );
    assert_eq!(
        condition("http.url contains \"a\\\"b\\u00e9\""),
        Condition::Text(Text::HttpUrl, compare(Operator::Contains, "a\"bé"))
    );
    assert_eq!(condition("user"), Condition::Text(Text::User, Test::Is));
    assert_eq!(
        condition("duration = \"slow\""),
        Condition::Measure(Measure::Duration, compare(Operator::Equal, "slow")),
        "another type matches nothing, and is no error"
    );
    assert_eq!(
        condition("group.arn != \"arn\""),
        Condition::Group(GroupBy::Arn, compare(Operator::NotEqual, "arn"))
    );
}

#[test]
fn keys_of_annotations_keep_their_case_and_their_dots() {
    let key = |text: &str| match condition(text) {
        Condition::Annotation(Side::Any, key, Test::Is) => key,
        other => panic!("{text}: {other:?}"),
    };
    for (text, expected) in [
        ("annotation.GameId", "GameId"),
        ("ANNOTATION.aws_local_service", "aws_local_service"),
        ("annotation.a-b", "a-b"),
        ("annotation[aws.local.Operation]", "aws.local.Operation"),
        ("annotation[ \"any key: at all\" ]", "any key: at all"),
    ] {
        assert_eq!(key(text), expected);
    }
}

#[test]
fn services_edges_and_root_causes_hold_expressions_of_their_own() {
    assert_eq!(condition("service()"), Condition::Service(Selector::default(), None));
    assert_eq!(condition("service { fault }"), Condition::Service(Selector::default(), Some(boxed("fault"))));
    assert_eq!(
        condition("service(\"a\") { fault OR error }"),
        Condition::Service(named("a"), Some(boxed("fault or error")))
    );
    assert_eq!(
        condition("edge(id(type: \"client\"), \"b\") { error }"),
        Condition::Edge(typed(None, "client"), named("b"), Some(boxed("error")))
    );
    assert_eq!(
        condition("service(id(type: \"t\", name: \"n\"))"),
        Condition::Service(typed(Some("n"), "t"), None)
    );
    let Condition::RootCause(Cause::ResponseTime, CauseElement::Entity, inner) =
        condition("RootCause.ResponseTime.Entity { remote coverage > 0.7 }")
    else {
        panic!("a root cause")
    };
    assert_eq!(
        *inner,
        Expression::And(vec![
            Expression::Condition(Condition::Flag(Flag::Remote, Test::Is)),
            Expression::Condition(Condition::Measure(Measure::Coverage, compare(Operator::Greater, 0.7))),
        ])
    );
    assert_eq!(
        condition("rootcause.fault.json = #[{\"Services\":[{\"Name\":\"a\"}]}]"),
        Condition::RootCauseJson(Some(Cause::Fault), json!([{ "Services": [{ "Name": "a" }] }]))
    );
    let Expression::Condition(Condition::Edge(_, _, Some(inner))) =
        parse("edge(\"a\", \"b\") { source.annotation.x = 1 }")
    else {
        panic!("an edge")
    };
    assert_eq!(
        *inner,
        Expression::Condition(Condition::Annotation(
            Side::Source,
            "x".to_owned(),
            compare(Operator::Equal, 1.0)
        ))
    );
}

#[test]
fn not_binds_most_then_and_then_or() {
    let flag = |flag| Expression::Condition(Condition::Flag(flag, Test::Is));
    let not = |inner| Expression::Not(Box::new(inner));
    let [ok, error, fault, partial] = [Flag::Ok, Flag::Error, Flag::Fault, Flag::Partial].map(flag);
    let expected = Expression::Or(vec![
        Expression::And(vec![not(ok.clone()), error.clone()]),
        Expression::And(vec![fault.clone(), partial.clone()]),
    ]);
    for text in [
        "!ok and error or fault and partial",
        "NOT ok error OR fault partial",
        "((!ok) error) or (fault partial)",
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
    assert_eq!(
        parse("ok and (error or fault)"),
        Expression::And(vec![ok, Expression::Or(vec![error, fault])])
    );
    assert_eq!(parse("!!partial"), not(not(partial)));
}

#[track_caller]
fn wrong(text: &str, expected: &str) {
    match Expression::parse(text) {
        Ok(read) => panic!("{text}: {read:?}"),
        Err(error) => assert_eq!(error.to_string(), format!("Error Location: {expected}"), "{text}"),
    }
}

#[test]
fn errors_say_where_and_what_in_the_words_of_x_ray() {
    // Recorded from X-Ray.
    wrong("(ok", "line 1, position 4 : missing ')' at end of expression");
    wrong("ok AND madeup = 1", "line 1, position 8 : Invalid input symbol: 'ma'");
    wrong("fault AND (", "line 1, position 12 : Invalid input symbol: 'fault AND ('");
    // In the same manner.
    wrong("", "line 1, position 1 : Invalid input symbol: ''");
    wrong("service(\"a\"", "line 1, position 12 : missing ')' at end of expression");
    wrong("service(\"a\") { fault", "line 1, position 21 : missing '}' at end of expression");
    wrong("rootcause.fault.exception { last ", "line 1, position 34 : missing '}' at end of expression");
    wrong("groupname = \"Default\"", "line 1, position 1 : Invalid input symbol: 'groupn'");
    wrong("responsetime >", "line 1, position 15 : Invalid input symbol: 'responsetime >'");
    wrong("responsetime", "line 1, position 13 : Invalid input symbol: 'responsetime'");
    wrong("fault AND", "line 1, position 10 : Invalid input symbol: 'fault AND'");
    wrong("fault AND OR ok", "line 1, position 11 : Invalid input symbol: 'OR'");
    wrong("ok)", "line 1, position 3 : Invalid input symbol: ')'");
    wrong("ok\n  and ~", "line 2, position 7 : Invalid input symbol: '~'");
    wrong("user = \"é\" and §", "line 1, position 16 : Invalid input symbol: '§'");
    wrong("user = \"open", "line 1, position 8 : Invalid input symbol: '\"open'");
    wrong("duration > 1.2.3", "line 1, position 12 : Invalid input symbol: '1.2.3'");
    wrong("duration > 1e999", "line 1, position 12 : Invalid input symbol: '1e999'");
    wrong("edge(\"a\")", "line 1, position 9 : Invalid input symbol: ')'");
    wrong("edge()", "line 1, position 6 : Invalid input symbol: ')'");
    wrong("id(name: \"a\")", "line 1, position 1 : Invalid input symbol: 'id'");
    wrong("service(id(name: \"a\", name: \"b\"))", "line 1, position 23 : Invalid input symbol: 'name'");
    wrong("rootcause.fault.entity", "line 1, position 23 : Invalid input symbol: 'rootcause.fault.entity'");
    wrong("rootcause.json = 1", "line 1, position 18 : Invalid input symbol: '1'");
    wrong("rootcause.json = #nothing", "line 1, position 18 : Invalid input symbol: '#'");
}

/// A word that means nothing where it stands would match nothing, or everything, in silence.
#[test]
fn words_are_refused_where_they_mean_nothing() {
    for text in [
        "name = \"a\"",
        "last",
        "coverage > 1",
        "source.annotation.a",
        "service(\"a\") { service(\"b\") }",
        "service(\"a\") { last }",
        "rootcause.fault.entity { coverage > 1 }",
        "rootcause.fault.entity { ok }",
        "rootcause.responsetime.exception { last }",
        "edge(\"a\", \"b\") { partial }",
    ] {
        assert!(Expression::parse(text).is_err(), "{text}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = format!("{}ok{}", "(".repeat(1000), ")".repeat(1000));
    wrong(&deep, "line 1, position 66 : the expression is nested too deeply");
    wrong(&"!".repeat(5000), "line 1, position 66 : the expression is nested too deeply");
    let long = "ok ".repeat(10_000);
    assert!(Expression::parse(&long).unwrap_err().to_string().ends_with("the expression is too long"));
    assert!(Expression::parse(&"ok ".repeat(5000)).is_ok());
}

fn any_condition() -> impl Strategy<Value = (String, Expression)> {
    let number = (-1e6..1e6_f64).prop_map(|number| (number.to_string(), Value::Number(number)));
    let text = any::<String>().prop_map(|text| (serde_json::to_string(&text).unwrap(), Value::Text(text)));
    let value =
        prop_oneof![number, text, any::<bool>().prop_map(|value| (value.to_string(), Value::Bool(value)))];
    let operators = [
        ("=", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
        (" contains ", Operator::Contains),
        (" BeginsWith ", Operator::BeginsWith),
        (" ENDSWITH ", Operator::EndsWith),
    ];
    ("[A-Za-z_][A-Za-z0-9_]{0,8}", proptest::sample::select(operators.to_vec()), value).prop_map(
        |(key, (sign, operator), (written, value))| {
            let text = format!("annotation.{key}{sign}{written}");
            (
                text,
                Expression::Condition(Condition::Annotation(Side::Any, key, Test::Compare(operator, value))),
            )
        },
    )
}

/// An expression, and one way to write it.
fn any_expression() -> impl Strategy<Value = (String, Expression)> {
    any_condition().prop_recursive(4, 24, 4, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|(text, one)| (format!("!({text})"), Expression::Not(Box::new(one)))),
            (several.clone(), proptest::sample::select(vec![" and ", " ", " AND\n"])).prop_map(
                |(all, word)| {
                    let (texts, all): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                    let texts: Vec<_> = texts.iter().map(|text| format!("({text})")).collect();
                    (texts.join(word), Expression::And(all))
                }
            ),
            several.prop_map(|all| {
                let (texts, all): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                let texts: Vec<_> = texts.iter().map(|text| format!("({text})")).collect();
                (texts.join(" or "), Expression::Or(all))
            }),
        ]
    })
}

proptest! {
    /// What was written is what is read, in whole.
    #[test]
    fn property_an_expression_is_read_as_it_was_meant((text, expected) in any_expression()) {
        prop_assert_eq!(Expression::parse(&text), Ok(expected), "{}", text);
    }

    /// Any text is an expression or an error inside it.
    #[test]
    fn property_errors_point_into_the_text(text in "[ -~\n§é]{0,40}") {
        if let Err(error) = Expression::parse(&text) {
            let line = text.split('\n').nth(error.line - 1).unwrap();
            prop_assert!(error.position <= line.chars().count() + 1, "{}: {}", text, error);
        }
    }
}
