//! What the integration tests share: a fake X-Ray and its signature check, and the binary.

pub mod fake_xray;
pub mod load;
pub mod process;
pub mod sigv4;
