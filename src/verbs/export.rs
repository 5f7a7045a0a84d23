//! `xrayd export`: traces of the running daemon's store, to standard output.

use super::daemon::Daemon;
use super::progress::Progress;
use crate::config::{Config, VerbOptions};
use anyhow::Context;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::fmt::Write as _;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where an export begins when nothing else is said, as long ago as X-Ray's console shows at most.
const FROM_DEFAULT: &str = "6h";

/// Writes the traces of a range of time.
///
/// # Errors
/// When a time cannot be read, the daemon does not answer or has no store, or the answer ends too early.
pub fn run(options: &VerbOptions, config: &Config) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let from = moment(options.from.as_deref().unwrap_or(FROM_DEFAULT), now).context("--from")?;
    let to = options.to.as_deref().map_or(Ok(now), |to| moment(to, now)).context("--to")?;
    let mut target = format!("/export?from={from}&to={to}");
    if options.raw {
        target.push_str("&raw=true");
    }
    if let Some(filter) = &options.filter {
        target.push_str("&filter=");
        encode(filter, &mut target);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(write(config, &target, options.raw))
}

async fn write(config: &Config, target: &str, raw: bool) -> anyhow::Result<()> {
    let mut daemon = Daemon::connect(config).await?;
    let mut body = daemon.ask("GET", target, Bytes::new()).await?.into_body();
    let mut out = std::io::stdout().lock();
    let mut progress = Progress::new(if raw { "documents" } else { "traces" }, None);
    let (mut bytes, mut count) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(part) =
            frame.context("the daemon's answer ended too early; this export is not whole")?.into_data()
        else {
            continue;
        };
        out.write_all(&part).context("cannot write to standard output")?;
        bytes += part.len() as u64;
        // Each document and each trace stands in a line of its own.
        count += memchr::memchr_iter(b'\n', &part).count() as u64;
        progress.at(bytes, count);
    }
    out.flush().context("cannot write to standard output")?;
    progress.end(bytes, count);
    Ok(())
}

/// A moment in seconds since 1970: a date with a time, seconds, or an age.
fn moment(text: &str, now: f64) -> anyhow::Result<f64> {
    const HELP: &str =
        "is no time; write 2026-11-25T10:00:00Z, seconds since 1970, or an age like 90s, 15m, 6h, 2d";
    let unit = |unit: char| match unit {
        's' => Some(1.0),
        'm' => Some(60.0),
        'h' => Some(3600.0),
        'd' => Some(86_400.0),
        _ => None,
    };
    let finite =
        |number: &str| number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let age = || {
        let (at, last) = text.char_indices().next_back()?;
        Some(now - unit(last)? * finite(&text[..at])?)
    };
    let date = || {
        let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
        Some(nanoseconds as f64 / 1e9)
    };
    if text == "now" {
        return Ok(now);
    }
    finite(text).or_else(age).or_else(date).with_context(|| format!("{text:?} {HELP}"))
}

/// Percent-encodes everything but letters and digits.
fn encode(text: &str, target: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            target.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(target, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_a_number_or_an_age() {
        for (text, expected) in [
            ("now", 1e9),
            ("15m", 1e9 - 900.0),
            ("1.5h", 1e9 - 5400.0),
            ("2d", 1e9 - 172_800.0),
            ("1700000000.5", 1_700_000_000.5),
            ("2001-09-09T01:46:40Z", 1e9),
            ("2001-09-09T03:46:40.5+02:00", 1e9 + 0.5),
        ] {
            assert_eq!(moment(text, 1e9).ok(), Some(expected), "{text}");
        }
        for bad in ["", "m", "yesterday", "5y", "-5m", "2001-09-09", "nan", "infm", "5µ"] {
            let error = moment(bad, 1e9).unwrap_err().to_string();
            assert!(error.contains("is no time; write"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_filter_stands_whole_in_the_query() {
        let mut target = String::new();
        encode("http.url = \"a&b\" ü", &mut target);
        assert_eq!(target, "http%2Eurl%20%3D%20%22a%26b%22%20%C3%BC");
    }
}
