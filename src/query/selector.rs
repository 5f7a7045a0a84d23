//! The selectors of time series: one service, or the calls between two.

use super::filter::{FilterError, Selector, parse_entity};

/// Whose statistics are asked for.
///
/// `EntitySelectorExpression` of X-Ray's `GetTimeSeriesServiceStatistics`: a single `service("api")` or
/// `edge("api", "table")`, with names or `id(name: "api", type: "AWS::EC2::Instance")`, and nothing else: no empty
/// parentheses, no braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntitySelector {
    /// `service("api")`
    Service(Selector),
    /// `edge("api", "table")`
    Edge(Selector, Selector),
}

impl EntitySelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// The first thing in it that does not belong there, and where it is, as X-Ray says it of filters.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(match parse_entity(text)? {
            (service, None) => Self::Service(service),
            (from, Some(to)) => Self::Edge(from, to),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<EntitySelector, &str>) {
        let parsed = EntitySelector::parse(text).map_err(|error| error.to_string());
        let expected = expected.map_err(|reason| format!("Error Location: line 1, position {reason}"));
        assert_eq!(parsed, expected, "{text}");
    }

    fn named(name: &str) -> Selector {
        Selector { name: Some(name.to_owned()), ..Selector::default() }
    }

    #[test]
    fn services_and_edges_are_selected_by_name_or_id() {
        check("service(\"a\")", Ok(EntitySelector::Service(named("a"))));
        check(" Service ( \"a\" ) ", Ok(EntitySelector::Service(named("a"))));
        check("edge(\"a\", \"b\")", Ok(EntitySelector::Edge(named("a"), named("b"))));
        let table = Selector { r#type: Some("t".to_owned()), account_id: Some("1".to_owned()), ..named("b") };
        let id = "id(name: \"b\", type: \"t\", account.id: \"1\")";
        check(&format!("service({id})"), Ok(EntitySelector::Service(table.clone())));
        check(&format!("edge(\"a\", {id})"), Ok(EntitySelector::Edge(named("a"), table)));
    }

    #[test]
    fn errors_are_those_of_x_ray() {
        // Recorded from X-Ray.
        check("service()", Err("9 : Invalid input symbol: ')'"));
        check("edge()", Err("6 : Invalid input symbol: ')'"));
        check("id(name: \"a\")", Err("1 : Invalid input symbol: 'id'"));
        check("service(\"x\") { fault }", Err("14 : Invalid input symbol: '{'"));
        // In the same manner.
        check("edge(\"a\", \"b\") { ok }", Err("16 : Invalid input symbol: '{'"));
        check("edge(\"a\")", Err("9 : Invalid input symbol: ')'"));
        check("service(\"a\"", Err("12 : missing ')' at end of expression"));
        check("service(\"a\") service(\"b\")", Err("14 : Invalid input symbol: 'service'"));
        check("service", Err("8 : Invalid input symbol: 'service'"));
        check("service { ok }", Err("9 : Invalid input symbol: '{'"));
        check("", Err("1 : Invalid input symbol: ''"));
        check("fault", Err("1 : Invalid input symbol: 'fault'"));
        check("(service(\"a\"))", Err("1 : Invalid input symbol: '('"));
        check("madeup", Err("1 : Invalid input symbol: 'ma'"));
    }
}
