//! What is taken from a document when it is received, to be kept beside it.
//!
//! The store keeps records as columns, so that a million segments can be asked without reading their documents.

mod annotations;
mod entity;
mod inside;
mod part;
mod skip;

use self::entity::{Entity, text};
use self::inside::{Inside, Texts};
use self::part::Part;
use super::id::{SegmentId, TraceId};
use super::row::{Outcome, Row};
use crate::segment::{Document, InvalidDocument, Kind};
use std::borrow::Cow;

/// Deepest nesting of subsegments that is followed. JSON itself ends at 128.
const DEPTH_MAX: usize = 128;

/// X-Ray cuts longer names of services and calls (X-Ray developer guide, "segment documents").
const NAME_MAX_CHARACTERS: usize = 200;

/// An owned [`Row`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of Row, which has their meaning")]
pub struct Record {
    pub trace_id: TraceId,
    pub id: SegmentId,
    pub parent_id: Option<SegmentId>,
    pub kind: Kind,
    /// Given by the store.
    pub sequence: u64,
    /// Given by the store.
    pub received_at: f64,
    pub start: f64,
    pub end: Option<f64>,
    pub outcome: Outcome,
    pub status: Option<i32>,
    pub name: Box<str>,
    pub origin: Option<Box<str>>,
    pub account_id: Option<Box<str>>,
    pub url: Option<Box<str>>,
    pub method: Option<Box<str>>,
    pub user_agent: Option<Box<str>>,
    pub client_ip: Option<Box<str>>,
    pub user: Option<Box<str>>,
    pub availability_zone: Option<Box<str>>,
    pub instance_id: Option<Box<str>>,
    pub resource_arn: Option<Box<str>>,
    pub annotations: Box<str>,
    pub calls: Box<str>,
    pub locals: Box<str>,
}

/// What has been checked of a document.
#[derive(Debug, Clone, Copy)]
struct Checked {
    trace_id: TraceId,
    id: SegmentId,
    parent_id: Option<SegmentId>,
    kind: Kind,
    start: f64,
    end: Option<f64>,
}

impl Record {
    /// The record of a document as it was received, and the document as it is to be kept: as it is when it is JSON,
    /// else a repaired copy that is. `sequence` and `received_at` (seconds since 1970) are the store's.
    ///
    /// Says what [`Document::parse`] and [`Record::of`] say, in a third of the time for a document that is as usual.
    ///
    /// # Errors
    /// What X-Ray would refuse it for.
    pub fn read(
        raw: &[u8],
        sequence: u64,
        received_at: f64,
    ) -> Result<(Self, Cow<'_, [u8]>), InvalidDocument> {
        if let Some(record) = Self::read_usual(raw, sequence, received_at) {
            return Ok((record, Cow::Borrowed(raw)));
        }
        let (document, kept) = Document::parse_repaired(raw)?;
        Ok((Self::of(&document, sequence, received_at), kept))
    }

    /// None for whatever is unusual, be it good or bad.
    fn read_usual(raw: &[u8], sequence: u64, received_at: f64) -> Option<Self> {
        let entity = Entity::read(std::str::from_utf8(raw).ok()?)?;
        let checked = Checked::of(&entity)?;
        Some(Self::build(entity, checked, sequence, received_at))
    }

    /// The record of a document. `sequence` and `received_at` (seconds since 1970) are the store's.
    pub fn of(document: &Document, sequence: u64, received_at: f64) -> Self {
        let checked = Checked {
            trace_id: TraceId::parse(&document.trace_id).expect("a document's ids have been checked"),
            id: SegmentId::parse(&document.id).expect("a document's ids have been checked"),
            parent_id: document.parent_id.as_deref().and_then(SegmentId::parse),
            kind: document.kind,
            start: document.start_time,
            end: document.end_time,
        };
        Self::build(Entity::of(&document.fields, DEPTH_MAX), checked, sequence, received_at)
    }

    fn build(mut entity: Entity<'_>, checked: Checked, sequence: u64, received_at: f64) -> Self {
        let (aws, request) = (&entity.aws, &entity.http.request);
        let record = Self {
            trace_id: checked.trace_id,
            id: checked.id,
            parent_id: checked.parent_id,
            kind: checked.kind,
            sequence,
            received_at,
            start: checked.start,
            end: checked.end,
            outcome: entity.outcome(),
            status: entity.status(),
            name: cut(Cow::Borrowed(text(&entity.name).unwrap_or_default())).into(),
            origin: text(&entity.origin).map(Box::from),
            account_id: text(&aws.account_id).map(Box::from),
            url: text(&request.url).map(Box::from),
            method: text(&request.method).map(Box::from),
            user_agent: text(&request.user_agent).map(Box::from),
            client_ip: text(&request.client_ip).map(Box::from),
            user: text(&entity.user).map(Box::from),
            availability_zone: text(&aws.ec2.availability_zone).map(Box::from),
            instance_id: text(&aws.ec2.instance_id).map(Box::from),
            resource_arn: text(&entity.resource_arn).map(Box::from),
            annotations: Box::default(),
            calls: Box::default(),
            locals: Box::default(),
        };
        let inside = Inside::of(Part::of(&mut entity), checked.kind == Kind::Subsegment);
        let Texts { annotations, calls, locals } = inside.into_texts();
        Self { annotations, calls, locals, ..record }
    }

    /// As queries see it.
    pub fn row(&self) -> Row<'_> {
        Row {
            trace_id: self.trace_id,
            id: self.id,
            parent_id: self.parent_id,
            kind: self.kind,
            sequence: self.sequence,
            received_at: self.received_at,
            start: self.start,
            end: self.end,
            outcome: self.outcome,
            status: self.status,
            name: &self.name,
            origin: self.origin.as_deref(),
            account_id: self.account_id.as_deref(),
            url: self.url.as_deref(),
            method: self.method.as_deref(),
            user_agent: self.user_agent.as_deref(),
            client_ip: self.client_ip.as_deref(),
            user: self.user.as_deref(),
            availability_zone: self.availability_zone.as_deref(),
            instance_id: self.instance_id.as_deref(),
            resource_arn: self.resource_arn.as_deref(),
            annotations: &self.annotations,
            calls: &self.calls,
            locals: &self.locals,
        }
    }
}

impl From<&Row<'_>> for Record {
    /// The record of a row with all its columns.
    fn from(row: &Row<'_>) -> Self {
        let own = |text: Option<&str>| text.map(Box::from);
        Self {
            trace_id: row.trace_id,
            id: row.id,
            parent_id: row.parent_id,
            kind: row.kind,
            sequence: row.sequence,
            received_at: row.received_at,
            start: row.start,
            end: row.end,
            outcome: row.outcome,
            status: row.status,
            name: row.name.into(),
            origin: own(row.origin),
            account_id: own(row.account_id),
            url: own(row.url),
            method: own(row.method),
            user_agent: own(row.user_agent),
            client_ip: own(row.client_ip),
            user: own(row.user),
            availability_zone: own(row.availability_zone),
            instance_id: own(row.instance_id),
            resource_arn: own(row.resource_arn),
            annotations: row.annotations.into(),
            calls: row.calls.into(),
            locals: row.locals.into(),
        }
    }
}

impl Checked {
    /// None for whatever [`Document::parse`] would refuse, and for trace ids in another form than X-Ray's.
    fn of(entity: &Entity<'_>) -> Option<Self> {
        text(&entity.name).filter(|name| !name.is_empty())?;
        let kind = match text(&entity.kind) {
            None => Kind::Segment,
            Some("subsegment") => Kind::Subsegment,
            Some(_) => return None,
        };
        let parent_id = match text(&entity.parent_id) {
            Some(parent) => Some(SegmentId::parse(parent)?),
            None if kind == Kind::Subsegment => return None,
            None => None,
        };
        if entity.end_time.is_some() == (entity.in_progress == Some(true)) {
            return None;
        }
        Some(Self {
            trace_id: TraceId::parse(text(&entity.trace_id)?)?,
            id: SegmentId::parse(text(&entity.id)?)?,
            parent_id,
            kind,
            start: entity.start_time?,
            end: entity.end_time,
        })
    }
}

/// As much of a name as X-Ray keeps.
fn cut(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.len() <= NAME_MAX_CHARACTERS {
        return name;
    }
    let Some((end, _)) = name.char_indices().nth(NAME_MAX_CHARACTERS) else { return name };
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.get(..end).unwrap_or(name)),
        Cow::Owned(mut name) => {
            name.truncate(end);
            Cow::Owned(name)
        }
    }
}

#[cfg(test)]
mod tests;
