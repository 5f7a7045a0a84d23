//! Whether a trace matches an expression.
//!
//! Most conditions can be told from a row or two; what costs more (putting the trace together, finding its root causes)
//! is done when a condition first asks for it, and once.

use super::super::cause::RootCauses;
use super::super::row::Row;
use super::scope::Trace;
use super::shape::Shape;
use super::{Condition, Expression, GroupBy, Operator, Test, Value, causes, element, scope};
use crate::segment::Kind;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::sync::Arc;

/// How deep groups may refer to groups. What goes deeper matches nothing.
const GROUP_DEPTH_MAX: usize = 16;

/// Whoever knows groups and their filters.
pub trait Groups {
    /// The filter of a group. None when there is no such group; a group without a filter, as `Default` is, has
    /// [`Expression::everything`].
    fn expression(&self, by: GroupBy, value: &str) -> Option<Arc<Expression>>;
}

/// There are no groups.
#[derive(Debug, Clone, Copy)]
pub struct NoGroups;

impl Groups for NoGroups {
    fn expression(&self, _: GroupBy, _: &str) -> Option<Arc<Expression>> {
        None
    }
}

/// One trace, as expressions see it.
pub struct View<'a> {
    rows: &'a [Row<'a>],
    find_causes: &'a dyn Fn() -> RootCauses,
    root: OnceCell<Option<usize>>,
    shape: OnceCell<Shape<'a>>,
    causes: OnceCell<RootCauses>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<'a> View<'a> {
    /// All rows of one trace, settled, with the columns [`Expression::columns`] names. `causes` is asked at most once,
    /// and only for an expression that [`Expression::needs_causes`].
    pub fn new(rows: &'a [Row<'a>], causes: &'a dyn Fn() -> RootCauses) -> Self {
        Self {
            rows,
            find_causes: causes,
            root: OnceCell::new(),
            shape: OnceCell::new(),
            causes: OnceCell::new(),
        }
    }

    pub(super) fn rows(&self) -> &'a [Row<'a>] {
        self.rows
    }

    /// Segments without parent, each called by a client.
    pub(super) fn entries(&self) -> impl Iterator<Item = usize> {
        let is_entry = |row: &Row<'_>| row.kind == Kind::Segment && row.parent_id.is_none();
        let rows = self.rows.iter().enumerate();
        rows.filter(move |(_, row)| is_entry(row)).map(|(index, _)| index)
    }

    /// The segment the trace began with: one without parent. Of several, the one that started first, and of those the
    /// one with the lowest id.
    pub(super) fn root_index(&self) -> Option<usize> {
        *self.root.get_or_init(|| {
            let first = |one: &usize, other: &usize| {
                let (one, other) = (&self.rows[*one], &self.rows[*other]);
                one.start.total_cmp(&other.start).then(one.id.cmp(&other.id))
            };
            self.entries().min_by(first)
        })
    }

    pub(super) fn root(&self) -> Option<&'a Row<'a>> {
        self.rows.get(self.root_index()?)
    }

    pub(super) fn shape(&self) -> &Shape<'a> {
        self.shape.get_or_init(|| Shape::of(self.rows))
    }

    pub(super) fn is_partial(&self) -> bool {
        self.rows.iter().any(|row| row.parent_id.is_some()) && self.shape().is_partial
    }

    pub(super) fn has_unanswered_calls(&self) -> bool {
        self.rows.iter().any(|row| !row.calls.is_empty()) && self.shape().unanswered().next().is_some()
    }

    fn causes(&self) -> &RootCauses {
        self.causes.get_or_init(self.find_causes)
    }
}

impl Expression {
    /// What every trace matches.
    pub fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Whether a trace matches. A group that is not known matches nothing, and so does one that is part of its own filter.
    pub fn matches(&self, view: &View<'_>, groups: &dyn Groups) -> bool {
        Evaluation { view, groups, met: RefCell::default() }.holds(self)
    }

    /// Whether it holds, given which conditions do.
    pub(super) fn holds(&self, condition: &impl Fn(&Condition) -> bool) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.holds(condition)),
            Self::Or(all) => all.iter().any(|one| one.holds(condition)),
            Self::Not(inner) => !inner.holds(condition),
            Self::Condition(one) => condition(one),
        }
    }
}

/// One expression asked of one trace.
struct Evaluation<'e, 'a> {
    view: &'e View<'a>,
    groups: &'e dyn Groups,
    met: RefCell<Vec<Met>>,
}

/// A group some filter named, so that each is evaluated once, however often it is named.
struct Met {
    by: GroupBy,
    value: String,
    /// None while it is being found out.
    holds: Option<bool>,
}

impl Evaluation<'_, '_> {
    fn holds(&self, expression: &Expression) -> bool {
        expression.holds(&|condition| self.condition(condition))
    }

    fn condition(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Service(selector, inner) => {
                element::any_service(self.view, selector, inner.as_deref())
            }
            Condition::Edge(from, to, inner) => element::any_edge(self.view, from, to, inner.as_deref()),
            Condition::Group(by, test) => self.group(*by, test),
            Condition::RootCause(cause, part, inner) => {
                causes::any_part(self.view.causes(), *cause, *part, inner)
            }
            Condition::RootCauseJson(cause, shape) => causes::contain(self.view.causes(), *cause, shape),
            Condition::Flag(..)
            | Condition::Measure(..)
            | Condition::Text(..)
            | Condition::Annotation(..) => scope::holds(condition, &Trace(self.view)),
        }
    }

    fn group(&self, by: GroupBy, test: &Test) -> bool {
        let Test::Compare(operator, Value::Text(value)) = test else { return false };
        match (operator, self.is_member(by, value)) {
            (Operator::Equal, Some(is_member)) => is_member,
            (Operator::NotEqual, Some(is_member)) => !is_member,
            _ => false,
        }
    }

    /// Whether the trace is in a group. None when that cannot be told.
    fn is_member(&self, by: GroupBy, value: &str) -> Option<bool> {
        let met = self.met.borrow();
        if let Some(met) = met.iter().find(|met| met.by == by && met.value == value) {
            return met.holds;
        }
        let (place, depth) = (met.len(), met.iter().filter(|met| met.holds.is_none()).count());
        drop(met);
        let expression = self.groups.expression(by, value).filter(|_| depth < GROUP_DEPTH_MAX)?;
        self.met.borrow_mut().push(Met { by, value: value.to_owned(), holds: None });
        let holds = self.holds(&expression);
        if let Some(met) = self.met.borrow_mut().get_mut(place) {
            met.holds = Some(holds);
        }
        Some(holds)
    }
}
