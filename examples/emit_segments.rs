//! Sends a segment with a subsegment, as an X-Ray SDK would.
//!
//! ```sh
//! AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:2000 cargo run --example emit_segments
//! ```

use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xrayd::address::DaemonAddress;
use xrayd::emit::Emitter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut emitter = Emitter::new(&DaemonAddress::from_env()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (segment, subsegment) = (fastrand::u64(..), fastrand::u64(..));
    // The trace id begins with the time, so that X-Ray knows where to look for it.
    let trace_id = format!("1-{:08x}-{:024x}", now.as_secs(), fastrand::u128(..) >> 32);
    let at = |offset: u64| (now + Duration::from_millis(offset)).as_secs_f64();
    let document = json!({
        "name": "checkout", "id": format!("{segment:016x}"), "trace_id": trace_id,
        "start_time": at(0), "end_time": at(40),
        "http": { "request": { "method": "POST", "url": "https://shop.example/orders" }, "response": { "status": 200 } },
        "annotations": { "customer": "c-17" },
        "subsegments": [{
            "name": "orders", "id": format!("{subsegment:016x}"), "namespace": "aws",
            "start_time": at(5), "end_time": at(30), "aws": { "operation": "PutItem", "table_name": "orders" },
        }],
    });
    emitter.send(document.to_string().as_bytes())?;
    print_line(&trace_id)
}

fn print_line(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
