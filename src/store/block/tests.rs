//! Records to write, and what a fold over them must show.

use super::*;
