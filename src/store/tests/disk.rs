//! What an end at any moment leaves.
