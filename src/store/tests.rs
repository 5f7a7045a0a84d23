//! The store as a whole.

mod basics;
mod crash;
mod disk;
mod load;
mod model;
mod support;
