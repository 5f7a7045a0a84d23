//! Nodes as numbers: each is named once, however many segments it has.

use super::super::node::cut;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Type of the node that stands for whoever called the root.
pub(crate) const CLIENT: &str = "client";
/// Type of the node of a call over the network that no segment answers.
pub(crate) const REMOTE: &str = "remote";
/// Most nodes that are told apart. The console draws 10,000; names made of ids would otherwise take any amount of memory.
const NODES_MAX: usize = 50_000;

/// Number of a node, from 0.
pub(crate) type Node = u32;

/// What makes a node: X-Ray shows the same name with two types as two nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) r#type: Option<Cow<'a, str>>,
    pub(crate) account_id: Option<Cow<'a, str>>,
}

impl<'a> Key<'a> {
    /// The node of a segment.
    pub(crate) fn of_segment(name: &'a str, origin: Option<&'a str>, account_id: Option<&'a str>) -> Self {
        Self {
            name: Cow::Borrowed(cut(name)),
            r#type: origin.map(Cow::Borrowed),
            account_id: account_id.map(Cow::Borrowed),
        }
    }

    /// The node a call leads to when no segment answers it.
    pub(crate) fn of_callee(name: &'a str, r#type: &'a str) -> Self {
        Self { name: Cow::Borrowed(cut(name)), r#type: Some(Cow::Borrowed(r#type)), account_id: None }
    }

    /// The node that stands for whoever called this one: X-Ray gives it the name of the service it calls.
    pub(crate) fn client(self) -> Self {
        Self { r#type: Some(Cow::Borrowed(CLIENT)), ..self }
    }

    /// The same, without a copy of its texts.
    pub(crate) fn borrowed(&self) -> Key<'_> {
        Key {
            name: Cow::Borrowed(&self.name),
            r#type: self.r#type.as_deref().map(Cow::Borrowed),
            account_id: self.account_id.as_deref().map(Cow::Borrowed),
        }
    }

    fn into_owned(self) -> Key<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Key { name: owned(self.name), r#type: self.r#type.map(owned), account_id: self.account_id.map(owned) }
    }
}

/// All nodes, numbered in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    hash: RandomState,
    /// The latest node with this hash.
    by_hash: HashMap<u64, Node, BuildHasherDefault<Hashed>>,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    key: Key<'static>,
    /// An earlier node whose key has the same hash.
    earlier: Option<Node>,
}

impl Nodes {
    /// The number of a node, and whether it is a new one. None when there are too many.
    pub(crate) fn number(&mut self, key: Key<'_>) -> Option<(Node, bool)> {
        let hash = self.hash.hash_one(&key);
        let latest = self.by_hash.get(&hash).copied();
        let mut at = latest;
        while let Some(node) = at {
            let known = &self.known[node as usize];
            if known.key == key {
                return Some((node, false));
            }
            at = known.earlier;
        }
        if self.known.len() == NODES_MAX {
            return None;
        }
        let node = Node::try_from(self.known.len()).ok()?;
        self.by_hash.insert(hash, node);
        self.known.push(Known { key: key.into_owned(), earlier: latest });
        Some((node, true))
    }

    /// What makes a node.
    pub(crate) fn key(&self, node: Node) -> &Key<'static> {
        &self.known[node as usize].key
    }

    /// All of them, sorted by name, type and account.
    pub(crate) fn sorted(&self) -> Vec<Node> {
        let mut all: Vec<Node> = (0..).take(self.known.len()).collect();
        all.sort_unstable_by_key(|&node| self.key(node));
        all
    }
}

/// Takes what is a hash already as it is.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_number_and_another_type_or_account_another() {
        let mut nodes = Nodes::default();
        let mut number = |key| nodes.number(key).unwrap();
        assert_eq!(number(Key::of_segment("api", None, None)), (0, true));
        assert_eq!(number(Key::of_segment("api", Some("remote"), None)), (1, true));
        assert_eq!(number(Key::of_segment("api", None, Some("remote"))), (2, true));
        assert_eq!(number(Key::of_segment("api", None, None).client()), (3, true));
        assert_eq!(number(Key::of_callee("api", "remote")), (1, false), "the same as a segment's");
        assert_eq!(number(Key::of_segment("api", None, None)), (0, false));
        assert_eq!(nodes.sorted(), [0, 2, 3, 1]);
    }

    #[test]
    fn a_name_is_cut_where_x_ray_cuts_it() {
        let long = "é".repeat(300);
        assert_eq!(Key::of_segment(&long, None, None).name, "é".repeat(200));
        assert_eq!(Key::of_callee(&long, REMOTE).name, "é".repeat(200));
    }

    #[test]
    fn names_made_of_ids_end_somewhere() {
        let mut nodes = Nodes::default();
        for id in 0..NODES_MAX {
            assert!(nodes.number(Key::of_callee(&id.to_string(), REMOTE)).is_some());
        }
        assert_eq!(nodes.number(Key::of_callee("one more", REMOTE)), None);
        assert!(nodes.number(Key::of_callee("7", REMOTE)).is_some());
    }
}
