//! What is known of all nodes and edges, and the answer that is made of it.

use super::super::histogram::Histogram;
use super::answer::{Alias, Edge, NoMembers, Service, State};
use super::nodes::{Key, Node, Nodes, REMOTE};
use super::tally::{Seen, Tally};
use super::walk::{Observer, Role};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// Most other names of a service that are told of one edge. Of more, the first in the alphabet are, in whatever order
/// they came.
const ALIASES_MAX: usize = 50;
/// Most edges that are told apart, for the sake of memory.
const EDGES_MAX: usize = 200_000;

/// Counts by node and by edge.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    nodes: Nodes,
    /// Of each node, by its number.
    counted: Vec<Counted>,
    /// By caller and callee.
    edges: HashMap<(Node, Node), Calls>,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Counted {
    roles: Roles,
    span: Span,
    tally: Tally,
    durations: Histogram,
}

#[derive(Debug, Default)]
struct Calls {
    tally: Tally,
    aliases: BTreeSet<String>,
}

/// Seconds in which something began.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    first: f64,
    last: f64,
}

/// A node may be called by some who know nothing of its segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Roles(u8);

/// Which answer is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form<'a> {
    /// Of `GetServiceGraph`.
    Service,
    /// Of `GetTraceGraph`: without times, with a region for AWS services that send no segments.
    Trace { region: &'a str },
}

impl Default for Span {
    fn default() -> Self {
        Self { first: f64::INFINITY, last: f64::NEG_INFINITY }
    }
}

impl Span {
    fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Roles {
    fn one(role: Role) -> Self {
        Self(1 << role as u8)
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn has(self, role: Role) -> bool {
        self.0 & Self::one(role).0 != 0
    }

    /// Nothing but a client.
    fn is_client(self) -> bool {
        self == Self::one(Role::Client)
    }

    /// Called in AWS, without segments.
    fn is_inferred_aws(self) -> bool {
        self.has(Role::Aws) && !self.has(Role::Segment)
    }

    /// As recorded; of SQL databases, which are called over the network, nothing is recorded.
    fn state(self) -> State {
        if self.has(Role::Segment) {
            State::Active
        } else if self.has(Role::Remote) {
            State::Passive
        } else {
            State::Unknown
        }
    }
}

impl Observer for Counts {
    fn node(&mut self, key: Key<'_>, role: Role, start: f64) -> Option<Node> {
        let second = start.floor();
        self.at(key, Roles::one(role), &Span { first: second, last: second })
    }

    fn count(&mut self, node: Node, seen: &Seen, duration: u64) {
        let counted = &mut self.counted[node as usize];
        counted.tally.add(seen);
        counted.durations.add(duration);
    }

    fn call(&mut self, from: Node, to: Node, seen: &Seen, alias: Option<&str>) {
        let Some(calls) = self.edge(from, to) else { return };
        calls.tally.add(seen);
        if let Some(alias) = alias.filter(|&alias| !calls.aliases.contains(alias)) {
            calls.alias(alias.to_owned());
        }
    }
}

impl Calls {
    fn alias(&mut self, alias: String) {
        self.aliases.insert(alias);
        if self.aliases.len() > ALIASES_MAX {
            self.aliases.pop_last();
        }
    }
}

impl Counts {
    fn at(&mut self, key: Key<'_>, roles: Roles, span: &Span) -> Option<Node> {
        let Some((node, is_new)) = self.nodes.number(key) else {
            self.left_out += 1;
            return None;
        };
        if is_new {
            self.counted.push(Counted::default());
        }
        let counted = &mut self.counted[node as usize];
        counted.roles.add(roles);
        counted.span.merge(span);
        Some(node)
    }

    fn edge(&mut self, from: Node, to: Node) -> Option<&mut Calls> {
        let is_full = self.edges.len() >= EDGES_MAX;
        match self.edges.entry((from, to)) {
            Entry::Vacant(_) if is_full => {
                self.left_out += 1;
                None
            }
            entry => Some(entry.or_default()),
        }
    }

    /// How often something was left out because there were too many different nodes or edges.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Adds what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.left_out += other.left_out;
        let mut numbers = Vec::with_capacity(other.counted.len());
        for (at, theirs) in (0..).zip(&other.counted) {
            let node = self.at(other.nodes.key(at).borrowed(), theirs.roles, &theirs.span);
            if let Some(node) = node {
                let ours = &mut self.counted[node as usize];
                ours.tally.merge(&theirs.tally);
                ours.durations.merge(&theirs.durations);
            }
            numbers.push(node);
        }
        for (&(from, to), theirs) in &other.edges {
            let (Some(from), Some(to)) = (numbers[from as usize], numbers[to as usize]) else { continue };
            let Some(ours) = self.edge(from, to) else { continue };
            ours.tally.merge(&theirs.tally);
            for alias in &theirs.aliases {
                ours.alias(alias.clone());
            }
        }
    }

    /// The seconds in which the first and the last segment began.
    pub(crate) fn span(&self) -> Option<(f64, f64)> {
        let mut all = Span::default();
        self.counted.iter().for_each(|counted| all.merge(&counted.span));
        (!self.counted.is_empty()).then_some((all.first, all.last))
    }

    /// All nodes, in the order of their names, with their edges.
    pub(crate) fn services(&self, form: Form<'_>) -> Vec<Service> {
        let order = self.nodes.sorted();
        let mut references = vec![0; order.len()];
        for (reference, &node) in (0..).zip(&order) {
            references[node as usize] = reference;
        }
        let mut edges: Vec<_> = order.iter().map(|_| Vec::new()).collect();
        let mut entries = vec![false; order.len()];
        for (&(from, to), calls) in &self.edges {
            let caller = &self.counted[from as usize];
            entries[to as usize] |= caller.roles.has(Role::Client);
            edges[from as usize].push(edge(references[to as usize], caller, calls, form));
        }
        order
            .iter()
            .map(|&node| {
                let mut edges = std::mem::take(&mut edges[node as usize]);
                edges.sort_unstable_by_key(|edge: &Edge| edge.reference_id);
                let root = entries[node as usize].then_some(true);
                Service { reference_id: references[node as usize], root, edges, ..self.service(node, form) }
            })
            .collect()
    }

    fn service(&self, node: Node, form: Form<'_>) -> Service {
        let key = self.nodes.key(node);
        let counted = &self.counted[node as usize];
        let own = |text: &Option<_>| text.as_deref().map(str::to_owned);
        let counts = Some(counted).filter(|counted| !counted.roles.is_client());
        let (start_time, end_time) = times(counted, form);
        let (region, members) = match form {
            Form::Service => (None, Some(NoMembers {})),
            Form::Trace { region } => (counted.roles.is_inferred_aws().then(|| region.to_owned()), None),
        };
        Service {
            reference_id: 0,
            name: key.name.to_string(),
            names: vec![key.name.to_string()],
            root: None,
            account_id: own(&key.account_id),
            r#type: own(&key.r#type),
            state: counted.roles.state(),
            region,
            start_time,
            end_time,
            edges: Vec::new(),
            summary_statistics: counts.map(|counted| counted.tally.statistics()),
            duration_histogram: counts.map(|counted| counted.durations.entries()),
            response_time_histogram: counts.map(|counted| counted.tally.histogram()),
            hosted_in: members,
            key_attributes: members,
        }
    }
}

/// A node lasts until the end of the second in which its last segment began, as recorded.
fn times(counted: &Counted, form: Form<'_>) -> (Option<f64>, Option<f64>) {
    match form {
        Form::Service => (Some(counted.span.first), Some(counted.span.last + 1.0)),
        Form::Trace { .. } => (None, None),
    }
}

/// An edge has the times of its caller, as recorded.
fn edge(reference_id: u32, caller: &Counted, calls: &Calls, form: Form<'_>) -> Edge {
    let (start_time, end_time) = times(caller, form);
    let alias = |name: &String| Alias { name: name.clone(), names: vec![name.clone()], r#type: REMOTE };
    Edge {
        reference_id,
        start_time,
        end_time,
        summary_statistics: calls.tally.statistics(),
        response_time_histogram: calls.tally.histogram(),
        aliases: calls.aliases.iter().map(alias).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Record;
    use super::super::super::row::{Outcome, settle};
    use super::super::Graph;
    use super::*;
    use crate::segment::{Document, Kind};

    /// All that SDKs were seen to send.
    #[test]
    fn every_captured_segment_is_counted() {
        let mut folders =
            vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")];
        let mut all: Vec<Record> = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|found| found == "dgram") {
                    let datagram = std::fs::read(&path).unwrap();
                    let document = datagram.split(|&byte| byte == b'\n').next_back().unwrap();
                    all.extend(
                        Document::parse(document)
                            .map(|document| Record::of(&document, all.len() as u64, 1.0)),
                    );
                }
            }
        }
        all.sort_by_key(|record| (record.trace_id, record.sequence));
        let (mut graph, mut complete) = (Graph::default(), 0);
        for trace in all.chunk_by(|one, other| one.trace_id == other.trace_id) {
            let mut rows: Vec<_> = trace.iter().map(Record::row).collect();
            settle(&mut rows);
            complete += rows.iter().filter(|row| row.kind == Kind::Segment && !row.is_in_progress()).count();
            graph.add(&rows);
        }
        let services = graph.service_graph().services;
        let active = services.iter().filter(|service| service.state == State::Active);
        let counted: u64 =
            active.map(|service| service.summary_statistics.as_ref().unwrap().total_count).sum();
        assert_eq!(counted, complete as u64);
        assert!(complete > 60, "{complete}");
        let types: Vec<_> = services.iter().filter_map(|service| service.r#type.as_deref()).collect();
        for wanted in ["client", "remote", "Database::SQL", "AWS::DynamoDB::Table"] {
            assert!(types.contains(&wanted), "{wanted} is not in {types:?}");
        }
    }

    #[test]
    fn edges_end_somewhere() {
        let mut counts = Counts::default();
        let seen = Seen { start: 1.0, micros: 1, outcome: Outcome::default() };
        let call = |counts: &mut Counts, to: usize| counts.call(0, Node::try_from(to).unwrap(), &seen, None);
        for to in 0..EDGES_MAX {
            call(&mut counts, to);
        }
        call(&mut counts, 7);
        assert_eq!(counts.left_out(), 0);
        call(&mut counts, EDGES_MAX);
        assert_eq!((counts.left_out(), counts.edges.len()), (1, EDGES_MAX));
    }
}
