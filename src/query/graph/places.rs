//! Where the ids of one trace are: which document a parent is in, and which service that document is of.

use super::super::id::SegmentId;
use super::super::row::{Call, Row};
use crate::segment::Kind;

/// Where an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The row whose document it is in.
    pub(crate) row: u32,
    /// The call it is the id of.
    pub(crate) call: Option<u32>,
}

/// What is known of the segment that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Unknown,
    /// Being looked for: who comes here again goes in circles.
    Sought,
    Known(Option<u32>),
}

/// All ids of one trace. Its buffers are reused for the next one.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Calls and rows, sorted by id. Each id once.
    main: Vec<(SegmentId, Place)>,
    /// Subsegments that are no calls, sorted. Read only when a parent is not among the others, which is seldom.
    locals: Vec<(SegmentId, u32)>,
    parents: Vec<Option<Place>>,
    owners: Vec<Owner>,
    way: Vec<u32>,
}

impl Places {
    /// Takes in the rows of a trace, and their calls with the rows they are in.
    pub(crate) fn arrange(&mut self, rows: &[Row<'_>], calls: &[(u32, Call<'_>)]) {
        self.read_main(rows, calls);
        self.find_parents(rows);
        self.find_owners(rows);
    }

    /// Of each row: where its parent is. None when it has none, or when that is missing.
    pub(crate) fn parents(&self) -> &[Option<Place>] {
        &self.parents
    }

    /// The row of the segment that a row belongs to.
    pub(crate) fn owner(&self, row: u32) -> Option<u32> {
        match self.owners[row as usize] {
            Owner::Known(owner) => owner,
            Owner::Unknown | Owner::Sought => None,
        }
    }

    /// The row of the segment that a row is below.
    pub(crate) fn above(&self, row: u32) -> Option<u32> {
        self.owner(self.parents[row as usize]?.row)
    }

    /// Whether this is the call that counts of all with its id.
    pub(crate) fn is_counted(&self, id: SegmentId, call: u32) -> bool {
        self.find_main(id).is_some_and(|place| place.call == Some(call))
    }

    fn read_main(&mut self, rows: &[Row<'_>], calls: &[(u32, Call<'_>)]) {
        self.main.clear();
        self.main.extend((0..).zip(rows).map(|(row, found)| (found.id, Place { row, call: None })));
        let call_places =
            (0..).zip(calls).map(|(call, &(row, ref found))| (found.id, Place { row, call: Some(call) }));
        self.main.extend(call_places);
        // A subsegment that was sent by itself is a row and its own first call; it is the call that is answered. Of the
        // same call in two documents the complete one counts, else the first.
        let in_progress = |call: Option<u32>| call.is_some_and(|call| calls[call as usize].1.end.is_none());
        self.main.sort_unstable_by_key(|&(id, place)| {
            (id, place.call.is_none(), in_progress(place.call), place.call, place.row)
        });
        self.main.dedup_by_key(|&mut (id, _)| id);
    }

    fn find_parents(&mut self, rows: &[Row<'_>]) {
        self.locals.clear();
        self.parents.clear();
        let mut is_missing = false;
        for row in rows {
            let parent = row.parent_id.and_then(|parent| self.find_main(parent));
            is_missing |= parent.is_none() && row.parent_id.is_some();
            self.parents.push(parent);
        }
        if is_missing {
            self.read_locals(rows);
            for (parent, row) in self.parents.iter_mut().zip(rows) {
                *parent = parent.or_else(|| find_local(&self.locals, row.parent_id?));
            }
        }
    }

    fn find_main(&self, id: SegmentId) -> Option<Place> {
        let at = self.main.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.main[at].1)
    }

    fn read_locals(&mut self, rows: &[Row<'_>]) {
        for (at, row) in (0..).zip(rows) {
            self.locals.extend(row.locals().map(|id| (id, at)));
        }
        self.locals.sort_unstable();
    }

    fn find_owners(&mut self, rows: &[Row<'_>]) {
        self.owners.clear();
        let own = |(at, row): (u32, &Row<'_>)| match row.kind {
            Kind::Segment => Owner::Known(Some(at)),
            Kind::Subsegment => Owner::Unknown,
        };
        self.owners.extend((0..).zip(rows).map(own));
        for row in (0..).take(rows.len()) {
            let owner = self.go_up(row);
            for passed in self.way.drain(..) {
                self.owners[passed as usize] = Owner::Known(owner);
            }
        }
    }

    /// Goes from a row up to where the owner is known, or to where there is none.
    fn go_up(&mut self, row: u32) -> Option<u32> {
        let mut at = row;
        loop {
            match self.owners[at as usize] {
                Owner::Known(owner) => return owner,
                Owner::Sought => return None,
                Owner::Unknown => {}
            }
            self.owners[at as usize] = Owner::Sought;
            self.way.push(at);
            at = self.parents[at as usize]?.row;
        }
    }
}

fn find_local(locals: &[(SegmentId, u32)], id: SegmentId) -> Option<Place> {
    let at = locals.partition_point(|&(local, _)| local < id);
    locals.get(at).filter(|&&(local, _)| local == id).map(|&(_, row)| Place { row, call: None })
}
