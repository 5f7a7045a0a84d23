//! What is found in a document at any depth.

use super::annotations::Scalar;
use super::part::{Part, What};
use crate::query::id::SegmentId;
use crate::query::row::{Call, calls};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::collections::HashMap;

/// Most values of one annotation that one document is found by. X-Ray indexes 50 annotations of a whole trace (X-Ray
/// developer guide, "segment documents").
const VALUES_MAX: usize = 50;

/// Ids among which one is looked for by going through them.
const FEW: usize = 32;

/// Room for the texts of a usual document.
const TEXT_BYTES: usize = 1024;

/// Annotations, calls and other subsegments of a document, at any depth.
#[derive(Debug, Default)]
pub(super) struct Inside<'a> {
    annotations: Vec<(Cow<'a, str>, Scalar<'a>)>,
    calls: Vec<Call<'a>>,
    locals: Vec<SegmentId>,
    known_calls: Known,
    known_locals: Known,
}

/// The same as texts, in the form of [`Row`](crate::query::Row).
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) annotations: Box<str>,
    pub(super) calls: Box<str>,
    pub(super) locals: Box<str>,
}

impl<'a> Inside<'a> {
    /// Goes through a document. What is a subsegment itself is the first part of its own.
    pub(super) fn of(document: Part<'a>, is_subsegment: bool) -> Self {
        let mut inside = Self::default();
        if is_subsegment {
            inside.part(document.what);
        }
        inside.annotations = document.annotations.0;
        inside.below(document.subsegments);
        inside
    }

    /// As deep as the document was read, which is bounded.
    fn below(&mut self, subsegments: Vec<Part<'a>>) {
        for subsegment in subsegments {
            self.annotations.extend(subsegment.annotations.0);
            self.part(subsegment.what);
            self.below(subsegment.subsegments);
        }
    }

    /// Of two with the same id the complete one stays: an SDK may list a subsegment first as it was and then as it
    /// ended.
    fn part(&mut self, part: What<'a>) {
        match part {
            What::Nobody => {}
            What::Local(id) => {
                if self.known_locals.find(id, &self.locals, |local| *local).is_none() {
                    self.locals.push(id);
                }
            }
            What::Call(call) => {
                let known = self.known_calls.find(call.id, &self.calls, |call| call.id);
                match known.and_then(|place| self.calls.get_mut(place)) {
                    Some(known) if known.end.is_none() && call.end.is_some() => *known = call,
                    Some(_) => {}
                    None => self.calls.push(call),
                }
            }
        }
    }

    /// Written one by one into the same room, from which each takes what it needs.
    pub(super) fn into_texts(mut self) -> Texts {
        let mut room = Vec::new();
        self.annotations.sort_by(|(one, _), (other, _)| one.cmp(other));
        Texts {
            annotations: text_of(self.annotations.is_empty(), &mut room, |room| {
                serde_json::to_writer(room, &ByKey(&self.annotations)).expect("annotations become JSON");
            }),
            calls: text_of(self.calls.is_empty(), &mut room, |room| calls::write(&self.calls, room)),
            locals: self.locals.iter().flat_map(|id| id.digits()).map(char::from).collect(),
        }
    }
}

fn text_of(is_empty: bool, room: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Box<str> {
    if is_empty {
        return Box::default();
    }
    room.clear();
    room.reserve(TEXT_BYTES);
    write(room);
    std::str::from_utf8(room).expect("JSON is text").into()
}

/// Where each id of a list stands. Few are gone through, which is quicker; many are looked up.
#[derive(Debug, Default)]
struct Known(HashMap<SegmentId, usize>);

impl Known {
    /// Where it stands. What is not found is going to be the next of the list.
    fn find<T>(&mut self, id: SegmentId, list: &[T], id_of: impl Fn(&T) -> SegmentId) -> Option<usize> {
        if list.len() < FEW {
            return list.iter().position(|item| id_of(item) == id);
        }
        for (place, item) in list.iter().enumerate().skip(self.0.len()) {
            self.0.insert(id_of(item), place);
        }
        self.0.get(&id).copied()
    }
}

/// Annotations in the order of their keys, written as an object: a value, or a list where one key has several.
struct ByKey<'a>(&'a [(Cow<'a, str>, Scalar<'a>)]);

impl Serialize for ByKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for same_key in self.0.chunk_by(|(one, _), (other, _)| one == other) {
            match same_key {
                [(key, value)] => map.serialize_entry(key, value)?,
                [(key, _), ..] => match different(same_key).as_slice() {
                    [value] => map.serialize_entry(key, value)?,
                    values => map.serialize_entry(key, values)?,
                },
                [] => {}
            }
        }
        map.end()
    }
}

fn different<'a>(same_key: &'a [(Cow<'_, str>, Scalar<'_>)]) -> Vec<&'a Scalar<'a>> {
    let mut values: Vec<&Scalar<'_>> = Vec::new();
    for (_, value) in same_key {
        if values.len() < VALUES_MAX && !values.contains(&value) {
            values.push(value);
        }
    }
    values
}
