//! Filter expressions: any text is an expression or an error with a place in it, and an expression can be asked of any
//! trace. The first line is the expression, each further one a document.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xrayd::query::cause::RootCauses;
use xrayd::query::filter::{Expression, NoGroups, View};
use xrayd::query::row::settle;
use xrayd::query::{Record, Row};

fuzz_target!(|input: &str| {
    let (text, documents) = input.split_once('\n').unwrap_or((input, ""));
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(error.line >= 1 && error.position >= 1, "{error}");
            assert!(error.position <= text.chars().count() + 1, "{error}");
            return;
        }
    };
    let records: Vec<_> = documents
        .lines()
        .zip(1..)
        .filter_map(|(document, sequence)| Record::read(document.as_bytes(), sequence, 1.0).ok())
        .map(|(record, _)| record)
        .collect();
    let mut rows: Vec<Row<'_>> = records.iter().map(Record::row).collect();
    settle(&mut rows);
    let causes = RootCauses::default;
    let view = View::new(&rows, &causes);
    let matches = expression.matches(&view, &NoGroups);
    let not = Expression::Not(Box::new(expression));
    assert_eq!(not.matches(&view, &NoGroups), !matches, "{text}");
});
