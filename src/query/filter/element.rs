//! Services and calls of a trace: what the braces of `service() { … }` and `edge() { … }` are asked of.
//!
//! A service is looked for among the segments first. Only where calls may lead to one that has no segments is the trace
//! put together, which costs far more.

use super::super::row::{Call, Outcome, Row};
use super::annotation::{self, may_contain};
use super::compare::{seconds, went};
use super::evaluate::View;
use super::scope::{Scope, holds_inside, is_http, passes};
use super::shape::Edge;
use super::{Expression, Flag, Measure, Selector, Side, Test, Text};
use crate::segment::Kind;

/// Whether a trace has a service that is meant and for which the inner expression holds.
pub(super) fn any_service(view: &View<'_>, selector: &Selector, inner: Option<&Expression>) -> bool {
    let segments = view.rows().iter().enumerate().filter(|(_, row)| is_meant(selector, row));
    for (index, row) in segments {
        if holds_inside(inner, &Segment { view, index, row }) {
            return true;
        }
    }
    let is_client = |root: &Row<'_>| selector.matches_client(root.name, root.account_id);
    let mut roots = view.entries().map(|index| &view.rows()[index]);
    if roots.any(|root| is_client(root) && holds_inside(inner, &Client { root })) {
        return true;
    }
    let is_it = |call: &Call<'_>| {
        selector.matches(call.callee(), Some(&call.r#type), None) && holds_inside(inner, &Inferred { call })
    };
    // Most calls are not meant, or went well: that is seen before it is looked up whether a segment answers them.
    let calls_it = |row: &Row<'_>| may_call(row, selector) && row.calls().iter().any(is_it);
    view.rows().iter().any(calls_it) && view.shape().unanswered().any(is_it)
}

/// Whether a trace has a call between two services that are meant and for which the inner expression holds. What is in
/// progress is no call yet, as in the graph.
pub(super) fn any_edge(view: &View<'_>, from: &Selector, to: &Selector, inner: Option<&Expression>) -> bool {
    let rows = view.rows();
    let is_client = |root: &Row<'_>| from.matches_client(root.name, root.account_id);
    let is_entry = |root: &Row<'_>| root.end.is_some() && is_client(root) && is_meant(to, root);
    let holds = |index| holds_inside(inner, &Between { view, caller: None, call: None, callee: Some(index) });
    if view.entries().any(|index| is_entry(&rows[index]) && holds(index)) {
        return true;
    }
    let is_there = |selector| rows.iter().any(|row| is_meant(selector, row));
    let may_be_called = |selector| rows.iter().any(|row| may_call(row, selector));
    if !is_there(from) || !(is_there(to) || may_be_called(to)) {
        return false;
    }
    view.shape().edges().any(|edge| {
        is_meant(from, &rows[edge.caller])
            && leads_to(edge, to, rows)
            && holds_inside(inner, &Between::of(view, edge))
    })
}

fn is_meant(selector: &Selector, row: &Row<'_>) -> bool {
    row.kind == Kind::Segment && selector.matches(row.name, row.origin, row.account_id)
}

fn leads_to(edge: &Edge<'_>, selector: &Selector, rows: &[Row<'_>]) -> bool {
    match (edge.callee, &edge.call) {
        (Some(callee), _) => is_meant(selector, &rows[callee]),
        (None, Some(call)) => selector.matches(call.callee(), Some(&call.r#type), None),
        (None, None) => false,
    }
}

/// Whether a call in a row could lead to what is meant: a look at the text of the calls, before they are read. Of what has
/// no segments the account is not known.
fn may_call(row: &Row<'_>, selector: &Selector) -> bool {
    let has = |text: &Option<String>| text.as_deref().is_none_or(|text| may_contain(row.calls, text));
    selector.account_id.is_none() && !row.calls.is_empty() && has(&selector.name) && has(&selector.r#type)
}

/// A segment of a service, with the subsegments that belong to it.
struct Segment<'v, 'a> {
    view: &'v View<'a>,
    index: usize,
    row: &'v Row<'a>,
}

impl Scope for Segment<'_, '_> {
    fn flag(&self, flag: Flag) -> bool {
        match flag {
            Flag::Root => self.view.root_index() == Some(self.index),
            _ => went(self.row.outcome, flag),
        }
    }

    fn measure(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::ResponseTime => seconds(self.row.start, self.row.end),
            // What it started may outlive it.
            Measure::Duration => {
                let ended = self.row.end.is_some();
                seconds(self.row.start, self.view.shape().latest_end(self.index).filter(|_| ended))
            }
            Measure::HttpStatus => self.row.status.map(f64::from),
            Measure::Index | Measure::Coverage => None,
        }
    }

    fn any_text(&self, which: Text, test: &Test) -> bool {
        passes(self.row, which, test)
    }

    fn any_annotation(&self, _: Side, key: &str, test: &Test) -> bool {
        any_annotation_of(self.view, self.index, key, test)
    }
}

/// Annotations of a segment and of the subsegments in it, also of those that were sent by themselves.
fn any_annotation_of(view: &View<'_>, segment: usize, key: &str, test: &Test) -> bool {
    let rows = view.rows();
    let has = |row: usize| annotation::any(rows[row].annotations, key, test);
    has(segment)
        || rows.iter().any(|row| row.kind == Kind::Subsegment) && view.shape().parts_of(segment).any(has)
}

/// A node without segments: the call is all that is known of it.
struct Inferred<'v, 'a> {
    call: &'v Call<'a>,
}

impl Scope for Inferred<'_, '_> {
    fn flag(&self, flag: Flag) -> bool {
        flag == Flag::Inferred || went(self.call.outcome(), flag)
    }

    fn measure(&self, measure: Measure) -> Option<f64> {
        measure_of_call(self.call, measure)
    }

    fn any_text(&self, which: Text, test: &Test) -> bool {
        match which {
            Text::Name => test.text(self.call.callee()),
            Text::Type => test.text(&self.call.r#type),
            _ => false,
        }
    }

    /// The annotations of the call are those of the caller.
    fn any_annotation(&self, _: Side, _: &str, _: &Test) -> bool {
        false
    }
}

fn measure_of_call(call: &Call<'_>, measure: Measure) -> Option<f64> {
    match measure {
        Measure::ResponseTime | Measure::Duration => seconds(call.began()?, call.end),
        Measure::HttpStatus => call.status.map(f64::from),
        Measure::Index | Measure::Coverage => None,
    }
}

/// Whoever called a segment without parent. X-Ray gives it a name and a type, and neither times nor statistics.
struct Client<'v, 'a> {
    root: &'v Row<'a>,
}

impl Scope for Client<'_, '_> {
    fn flag(&self, _: Flag) -> bool {
        false
    }

    fn measure(&self, _: Measure) -> Option<f64> {
        None
    }

    fn any_text(&self, which: Text, test: &Test) -> bool {
        match which {
            Text::Name | Text::AccountId => passes(self.root, which, test),
            Text::Type => test.text(Selector::CLIENT),
            _ => false,
        }
    }

    fn any_annotation(&self, _: Side, _: &str, _: &Test) -> bool {
        false
    }
}

/// A call between two services. What can be said of both sides is said of the caller's: it has seen the network, too.
struct Between<'v, 'a> {
    view: &'v View<'a>,
    /// None is the client.
    caller: Option<usize>,
    call: Option<&'v Call<'a>>,
    callee: Option<usize>,
}

impl<'v, 'a> Between<'v, 'a> {
    fn of(view: &'v View<'a>, edge: &'v Edge<'a>) -> Self {
        Self { view, caller: Some(edge.caller), call: edge.call.as_ref(), callee: edge.callee }
    }

    fn row(&self, segment: Option<usize>) -> Option<&'v Row<'a>> {
        self.view.rows().get(segment?)
    }

    fn outcome(&self) -> Option<Outcome> {
        let call = self.call.map(Call::outcome);
        call.or_else(|| self.row(self.callee).map(|row| row.outcome))
    }
}

impl Scope for Between<'_, '_> {
    fn flag(&self, flag: Flag) -> bool {
        self.outcome().is_some_and(|outcome| went(outcome, flag))
    }

    fn measure(&self, measure: Measure) -> Option<f64> {
        if let Some(call) = self.call {
            return measure_of_call(call, measure);
        }
        let callee = self.row(self.callee)?;
        match measure {
            Measure::ResponseTime | Measure::Duration => seconds(callee.start, callee.end),
            Measure::HttpStatus => callee.status.map(f64::from),
            Measure::Index | Measure::Coverage => None,
        }
    }

    /// The request is known from the side that got it; all else is of either side.
    fn any_text(&self, which: Text, test: &Test) -> bool {
        let caller = self.row(self.caller).filter(|_| !is_http(which));
        [caller, self.row(self.callee)].into_iter().flatten().any(|row| passes(row, which, test))
    }

    fn any_annotation(&self, side: Side, key: &str, test: &Test) -> bool {
        let sides = [(Side::Source, self.caller), (Side::Destination, self.callee)];
        sides
            .into_iter()
            .filter(|&(one, _)| side == Side::Any || side == one)
            .filter_map(|(_, segment)| segment)
            .any(|segment| any_annotation_of(self.view, segment, key, test))
    }
}
