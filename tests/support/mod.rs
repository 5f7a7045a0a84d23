//! What the integration tests share: a fake X-Ray and its signature check.

pub mod fake_xray;
pub mod sigv4;
