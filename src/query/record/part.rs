//! What is kept of each segment and subsegment until the whole document has been read.

use super::annotations::Annotations;
use super::cut;
use super::entity::{Entity, Text, text};
use crate::query::callee::{AWS_NAMESPACE, Clues};
use crate::query::id::SegmentId;
use crate::query::row::Call;

/// A segment or subsegment, much smaller than its fields.
#[derive(Debug, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) what: What<'a>,
    pub(super) annotations: Annotations<'a>,
    pub(super) subsegments: Vec<Part<'a>>,
}

/// What it is to others.
#[derive(Debug, PartialEq)]
pub(super) enum What<'a> {
    /// A call of something else.
    Call(Call<'a>),
    /// Work inside of the service.
    Local(SegmentId),
    /// Without a legal id nothing can refer to it.
    Nobody,
}

impl<'a> Part<'a> {
    /// Takes what it needs.
    pub(super) fn of(entity: &mut Entity<'a>) -> Self {
        let annotations = std::mem::take(&mut entity.annotations);
        let subsegments = std::mem::take(&mut entity.subsegments);
        Self { what: What::of(entity), annotations, subsegments }
    }
}

impl<'a> What<'a> {
    fn of(entity: &mut Entity<'a>) -> Self {
        let Some(id) = text(&entity.id).and_then(SegmentId::parse) else { return Self::Nobody };
        let Text(name) = entity.name.take().unwrap_or_default();
        let name = cut(name);
        let clues = Clues {
            name: &name,
            namespace: text(&entity.namespace),
            sql: entity.sql.0,
            operation: entity.aws.operation.0,
        };
        let resource = |key| entity.aws.take_resource(key);
        let Some((resource, r#type)) = clues.callee(resource) else { return Self::Local(id) };
        let outcome = entity.outcome();
        Self::Call(Call {
            id,
            resource: resource.map(cut).filter(|resource| *resource != name),
            name,
            r#type,
            aws: text(&entity.namespace) == Some(AWS_NAMESPACE),
            start: entity.start_time.unwrap_or_default(),
            end: entity.end_time,
            status: entity.status(),
            error: outcome.error,
            fault: outcome.fault,
            throttle: outcome.throttle,
        })
    }
}
