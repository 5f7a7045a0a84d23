//! What conditions on values are asked of, and how a whole trace answers them.

use super::super::row::Row;
use super::compare::{seconds, went};
use super::evaluate::View;
use super::{Condition, Expression, Flag, Measure, Side, Test, Text, annotation};
use crate::segment::Kind;

/// Something conditions are asked of. What it does not have matches nothing.
pub(super) trait Scope {
    /// Whether a flag is set.
    fn flag(&self, flag: Flag) -> bool;

    /// A number it has.
    fn measure(&self, measure: Measure) -> Option<f64>;

    /// Whether one of its texts of this kind passes.
    fn any_text(&self, which: Text, test: &Test) -> bool;

    /// Whether one of the values of an annotation passes.
    fn any_annotation(&self, side: Side, key: &str, test: &Test) -> bool;
}

/// Whether a condition on values holds. What looks inside of a trace is none of those.
pub(super) fn holds(condition: &Condition, scope: &impl Scope) -> bool {
    match condition {
        Condition::Flag(flag, test) => test.flag(scope.flag(*flag)),
        Condition::Measure(measure, test) => {
            scope.measure(*measure).is_some_and(|number| test.number(number))
        }
        Condition::Text(which, test) => scope.any_text(*which, test),
        Condition::Annotation(side, key, test) => scope.any_annotation(*side, key, test),
        Condition::Service(..)
        | Condition::Edge(..)
        | Condition::Group(..)
        | Condition::RootCause(..)
        | Condition::RootCauseJson(..) => false,
    }
}

/// Whether what stands in braces holds for one element, all of it for the same. Without braces it is enough to be there.
pub(super) fn holds_inside(inner: Option<&Expression>, scope: &impl Scope) -> bool {
    inner.is_none_or(|inner| inner.holds(&|condition| holds(condition, scope)))
}

/// A text of a row.
fn text_of<'a>(row: &Row<'a>, text: Text) -> Option<&'a str> {
    match text {
        Text::HttpUrl => row.url,
        Text::HttpMethod => row.method,
        Text::HttpUserAgent => row.user_agent,
        Text::HttpClientIp => row.client_ip,
        Text::User => row.user,
        Text::AvailabilityZone => row.availability_zone,
        Text::InstanceId => row.instance_id,
        Text::ResourceArn => row.resource_arn,
        Text::Name => Some(row.name),
        Text::Type => row.origin,
        Text::AccountId => row.account_id,
        Text::Message => None,
    }
}

pub(super) fn is_http(text: Text) -> bool {
    matches!(text, Text::HttpUrl | Text::HttpMethod | Text::HttpUserAgent | Text::HttpClientIp)
}

pub(super) fn passes(row: &Row<'_>, which: Text, test: &Test) -> bool {
    text_of(row, which).is_some_and(|text| test.text(text))
}

/// A whole trace. How it went, its response time and its request are those of the root alone, as recorded of X-Ray: a
/// failure downstream that was handled is not found.
pub(super) struct Trace<'v, 'a>(pub(super) &'v View<'a>);

impl Scope for Trace<'_, '_> {
    fn flag(&self, flag: Flag) -> bool {
        match flag {
            Flag::Partial => self.0.is_partial(),
            Flag::Inferred => self.0.has_unanswered_calls(),
            _ => self.0.root().is_some_and(|root| went(root.outcome, flag)),
        }
    }

    fn measure(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Duration => self.duration(),
            Measure::ResponseTime => self.0.root().and_then(|root| seconds(root.start, root.end)),
            Measure::HttpStatus => self.0.root()?.status.map(f64::from),
            Measure::Index | Measure::Coverage => None,
        }
    }

    fn any_text(&self, which: Text, test: &Test) -> bool {
        if is_http(which) {
            return self.0.root().is_some_and(|root| passes(root, which, test));
        }
        self.0.rows().iter().any(|row| passes(row, which, test))
    }

    fn any_annotation(&self, _: Side, key: &str, test: &Test) -> bool {
        self.0.rows().iter().any(|row| annotation::any(row.annotations, key, test))
    }
}

impl Trace<'_, '_> {
    /// From the earliest start of its segments to their latest end; none while one is in progress.
    fn duration(&self) -> Option<f64> {
        let segments = || self.0.rows().iter().filter(|row| row.kind == Kind::Segment);
        let start = segments().map(|row| row.start).reduce(f64::min)?;
        let end = segments().try_fold(f64::MIN, |latest, row| Some(latest.max(row.end?)));
        seconds(start, end)
    }
}
