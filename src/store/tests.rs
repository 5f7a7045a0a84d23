//! The store as a whole.

mod bad_disk;
mod basics;
mod crash;
mod disk;
mod end;
mod files;
mod load;
mod model;
mod support;
