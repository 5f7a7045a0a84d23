//! What counts now. A reader takes the view once and sees each document exactly once, whatever happens meanwhile:
//! every step that moves documents is the exchange of one view for the next.

use super::block::Block;
use super::folder::BlockName;
use super::head::Generation;
use std::sync::{Arc, PoisonError, RwLock};

/// A block that counts.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: BlockName,
    pub(super) block: Block,
}

/// All that counts at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Rising by sequence within a day.
    pub(super) blocks: Vec<Arc<Part>>,
    /// Blocks that are there and could not be opened. They may count again after the next start.
    pub(super) unreadable: Vec<BlockName>,
    /// Nothing is added to these any more. Oldest first: it is sealed first.
    pub(super) frozen: Vec<Arc<Generation>>,
    /// Documents are added to this one.
    pub(super) active: Arc<Generation>,
}

impl View {
    /// All documents that are in no block.
    pub(super) fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        self.frozen.iter().chain([&self.active])
    }

    /// Bytes of all blocks.
    pub(super) fn block_bytes(&self) -> u64 {
        self.blocks.iter().map(|part| part.block.summary().bytes).sum()
    }

    pub(super) fn add(&mut self, part: Arc<Part>) {
        let at = self.blocks.partition_point(|known| known.name < part.name);
        self.blocks.insert(at, part);
    }

    /// Takes blocks out. False, and nothing is changed, when one of them is not there any more.
    pub(super) fn remove(&mut self, parts: &[Arc<Part>]) -> bool {
        let before = self.blocks.len();
        let mut blocks = self.blocks.clone();
        blocks.retain(|known| !parts.iter().any(|part| Arc::ptr_eq(part, known)));
        let all = before - blocks.len() == parts.len();
        if all {
            self.blocks = blocks;
        }
        all
    }
}

/// The view of now.
#[derive(Debug)]
pub(super) struct Current(RwLock<Arc<View>>);

impl Current {
    pub(super) fn new(view: View) -> Self {
        Self(RwLock::new(Arc::new(view)))
    }

    pub(super) fn get(&self) -> Arc<View> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Exchanges the view.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = View::clone(&current);
        let result = change(&mut next);
        let before = std::mem::replace(&mut *current, Arc::new(next));
        drop(current);
        // What only this view held is freed here, and nobody waits for that.
        drop(before);
        result
    }
}
