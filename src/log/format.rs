//! One event, one line.
//!
//! Text: `2026-11-22T13:05:59.123456Z [Info] message key=value`, the official daemon's form
//! (`aws/aws-xray-daemon`, `pkg/cfg/cfg.go` `LogFormat`) with the data behind the message.

use serde_json::Value;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

pub(super) struct LineFormat {
    pub(super) json: bool,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = name_of(*event.metadata().level());
        let mut fields = Fields::default();
        event.record(&mut fields);
        writer.write_str(&render(&time, level, fields, self.json))?;
        writer.write_char('\n')
    }
}

fn name_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "Error",
        Level::WARN => "Warn",
        Level::INFO => "Info",
        Level::DEBUG => "Debug",
        Level::TRACE => "Trace",
    }
}

fn render(time: &str, level: &str, fields: Fields, json: bool) -> String {
    if json {
        // Written one by one, because a map would sort the keys and put the time last.
        let level = level.to_ascii_lowercase();
        let first = [("time", time.into()), ("level", level.into()), ("message", fields.message.into())];
        let members: Vec<_> = first
            .into_iter()
            .chain(fields.others)
            .map(|(name, value): (&str, Value)| format!("\"{name}\":{value}"))
            .collect();
        return format!("{{{}}}", members.join(","));
    }
    let mut line = format!("{time} [{level}] {}", one_line(&fields.message));
    for (name, value) in fields.others {
        // `more=0` stands in most lines and says nothing.
        if name == "more" && value == 0 {
            continue;
        }
        let value = match value {
            Value::String(text) if text.is_empty() || text.contains([' ', '"', '\n']) => {
                Value::String(text).to_string()
            }
            Value::String(text) => one_line(&text),
            value => value.to_string(),
        };
        let _ = write!(line, " {name}={value}");
    }
    line
}

/// Nothing from outside may start a new line in the log.
fn one_line(text: &str) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.push((field.name(), text.into()));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.others.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.push((field.name(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: bool, others: Vec<(&'static str, Value)>, expected: &str) {
        let fields = Fields { message: "datagram refused".to_owned(), others };
        assert_eq!(render("T", "Warn", fields, json), expected);
    }

    #[test]
    fn text_has_the_official_form_and_the_data_behind_it() {
        check(
            false,
            vec![("reason", "empty".into()), ("bytes", 3.into()), ("more", 0.into())],
            "T [Warn] datagram refused reason=empty bytes=3",
        );
        check(
            false,
            vec![("error", "no answer".into()), ("more", 7.into())],
            "T [Warn] datagram refused error=\"no answer\" more=7",
        );
    }

    #[test]
    fn nothing_from_outside_starts_a_new_line() {
        check(
            false,
            vec![("path", "/a\n2026 [Error] forged".into())],
            "T [Warn] datagram refused path=\"/a\\n2026 [Error] forged\"",
        );
        check(
            false,
            vec![("path", "/a\r\u{1b}[31m".into())],
            "T [Warn] datagram refused path=/a\\r\\u{1b}[31m",
        );
    }

    #[test]
    fn json_is_one_object() {
        check(
            true,
            vec![("bytes", 3.into())],
            r#"{"time":"T","level":"warn","message":"datagram refused","bytes":3}"#,
        );
    }
}
