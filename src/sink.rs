//! Where documents go. One file for each place.

pub mod xray;
