//! `xrayd import`: traces from files into the running daemon's store.
//!
//! A file is what `aws xray batch-get-traces` or `xrayd export` wrote, or segment documents in JSON, one each line.

use super::daemon::Daemon;
use super::progress::Progress;
use crate::config::Config;
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Documents of one request, and bytes of it.
const DOCUMENTS_MAX: usize = 50;
const REQUEST_MAX_BYTES: usize = 256 * 1024;

/// Refused documents that are shown one by one.
const SHOWN_MAX: usize = 10;

/// Reads files and puts what is in them into the store.
///
/// # Errors
/// A file that cannot be read or is none of the forms; a daemon that does not answer or has no store; refused documents.
pub fn run(files: &[String], config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut import = Import { daemon: Daemon::connect(config).await?, taken: 0, refused: 0 };
        let mut ended = Ok(());
        for file in files {
            ended = import.file(file).await.with_context(|| file.clone());
            if ended.is_err() {
                break;
            }
        }
        let Import { taken, refused, .. } = import;
        super::print(&format!("{taken} documents imported, {refused} refused\n"))?;
        ended?;
        if refused > 0 {
            bail!("{refused} documents were refused");
        }
        Ok(())
    })
}

struct Import {
    daemon: Daemon,
    taken: u64,
    refused: u64,
}

/// What `batch-get-traces` answers, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Traces<'a> {
    #[serde(borrow)]
    traces: Vec<Trace<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trace<'a> {
    #[serde(borrow, default)]
    segments: Vec<Segment<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Segment<'a> {
    #[serde(borrow)]
    document: Cow<'a, str>,
}

/// Segments that X-Ray made up for calls nobody answered; the store makes them up again.
#[derive(Deserialize)]
struct Inferred {
    #[serde(default)]
    inferred: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    unprocessed_trace_segments: Vec<Unprocessed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unprocessed {
    id: Option<String>,
    error_code: Option<String>,
}

impl Import {
    async fn file(&mut self, file: &str) -> anyhow::Result<()> {
        let content = super::send::read(file)?;
        let documents = documents(&content)?;
        let total = documents.iter().map(|document| document.len() as u64).sum();
        let mut progress = Progress::new("documents", Some(total));
        let (mut done, mut count, mut batch, mut bytes) = (0, 0, Vec::new(), 0);
        for document in &documents {
            if !batch.is_empty()
                && (batch.len() == DOCUMENTS_MAX || bytes + document.len() > REQUEST_MAX_BYTES)
            {
                self.put(&std::mem::take(&mut batch)).await?;
                bytes = 0;
                progress.at(done, count);
            }
            batch.push(document.as_str());
            bytes += document.len();
            done += document.len() as u64;
            count += 1;
        }
        if !batch.is_empty() {
            self.put(&batch).await?;
        }
        progress.end(done, count);
        Ok(())
    }

    async fn put(&mut self, documents: &[&str]) -> anyhow::Result<()> {
        let body = serde_json::json!({ "TraceSegmentDocuments": documents }).to_string();
        let Some(answer) = self.daemon.ask_large("/import", Bytes::from(body)).await? else {
            // A batch holds several documents only where they are small.
            self.refused += documents.len() as u64;
            super::complain(&anyhow::anyhow!(
                "a document of {} bytes is larger than the daemon takes; its memory for that is a part of -m",
                documents.iter().map(|document| document.len()).sum::<usize>()
            ));
            return Ok(());
        };
        let answer = answer.into_body().collect().await.context("the daemon's answer ended too early")?;
        let answer: Answer = serde_json::from_slice(&answer.to_bytes())
            .context("the answer is not what a daemon with a store gives")?;
        let refused = answer.unprocessed_trace_segments;
        for one in &refused {
            self.refused += 1;
            if self.refused <= SHOWN_MAX as u64 {
                let (id, code) = (one.id.as_deref().unwrap_or("unknown"), one.error_code.as_deref());
                super::complain(&anyhow::anyhow!(
                    "document {id} refused: {}",
                    code.unwrap_or("no reason given")
                ));
            }
        }
        self.taken += (documents.len() - refused.len()) as u64;
        Ok(())
    }
}

/// The documents of a file: answers of `batch-get-traces`, documents, and lists of either, one behind the other.
fn documents(content: &[u8]) -> anyhow::Result<Vec<String>> {
    let text = decode(content);
    let (mut documents, mut rest) = (Vec::new(), &*text);
    while !rest.trim_start().is_empty() {
        let line = text[..text.len() - rest.trim_start().len()].matches('\n').count() + 1;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        if let Some(Ok(value)) = values.next() {
            add(value, &mut documents).with_context(|| format!("line {line}"))?;
            rest = &rest[values.byte_offset()..];
        } else {
            // SDKs write documents that are not quite JSON; the store reads those that stand in a line of their own.
            let here = rest.trim_start();
            let (document, behind) = here.split_once('\n').unwrap_or((here, ""));
            if !document.starts_with('{') {
                bail!("line {line}: {NEITHER}");
            }
            documents.push(document.trim_end().to_owned());
            rest = behind;
        }
    }
    if text.trim().is_empty() {
        bail!("nothing in it");
    }
    Ok(documents)
}

const NEITHER: &str = "neither an answer of aws xray batch-get-traces nor a segment document";

/// UTF-8, or UTF-16 with a byte order mark, as PowerShell writes it.
fn decode(content: &[u8]) -> Cow<'_, str> {
    let utf16 = |content: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = content.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
        Cow::Owned(text.collect())
    };
    match content {
        [0xff, 0xfe, content @ ..] => utf16(content, u16::from_le_bytes),
        [0xfe, 0xff, content @ ..] => utf16(content, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, content @ ..] | content => String::from_utf8_lossy(content),
    }
}

/// The documents of one value.
fn add(value: &RawValue, documents: &mut Vec<String>) -> anyhow::Result<()> {
    if let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        return values.into_iter().try_for_each(|value| add_one(value, documents));
    }
    add_one(value, documents)
}

fn add_one(value: &RawValue, documents: &mut Vec<String>) -> anyhow::Result<()> {
    // An answer has Traces, a document has not.
    if let Ok(answer) = serde_json::from_str::<Traces<'_>>(value.get()) {
        let segments = answer.traces.into_iter().flat_map(|trace| trace.segments);
        let sent = segments
            .map(|segment| segment.document.into_owned())
            .filter(|document| !serde_json::from_str(document).is_ok_and(|Inferred { inferred }| inferred));
        documents.extend(sent);
    } else if value.get().starts_with('{') {
        documents.push(value.get().to_owned());
    } else {
        bail!(NEITHER);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: &[&str]) {
        assert_eq!(documents(content.as_bytes()).unwrap(), expected, "{content}");
    }

    #[test]
    fn the_form_of_batch_get_traces_is_read_without_what_x_ray_made_up() {
        let answer = r#"{"UnprocessedTraceIds":[],"Traces":[{"Id":"1-a-b","Duration":1.5,"Segments":[
            {"Id":"1","Document":"{\"id\":\"1\"}"},{"Id":"2","Document":"{\"id\":\"2\",\"inferred\":true}"}]},
            {"Id":"1-a-c","Segments":[]}]}"#;
        check(answer, &[r#"{"id":"1"}"#]);
        check(r#"{"Traces":[]}"#, &[]);
        check(&format!("{answer}\n{answer} {answer}"), &[r#"{"id":"1"}"#; 3]);
    }

    #[test]
    fn documents_stand_in_lines_in_lists_or_wherever_they_end() {
        check("{\"id\":\"1\"}\n\n{\"x\":NaN}\r\n", &[r#"{"id":"1"}"#, r#"{"x":NaN}"#]);
        check("{\n  \"id\": \"1\"\n}\n{\"id\":\"2\"}", &["{\n  \"id\": \"1\"\n}", r#"{"id":"2"}"#]);
        check("[{\"id\":\"1\"}, {\"id\":\"2\"}]", &[r#"{"id":"1"}"#, r#"{"id":"2"}"#]);
    }

    #[test]
    fn what_windows_writes_is_read() {
        let text = "{\"id\":\"ü\"}";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| {
            let mut file = bytes(0xfeff).to_vec();
            file.extend(text.encode_utf16().flat_map(bytes));
            file
        };
        for file in
            [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes), ["\u{feff}", text].concat().into_bytes()]
        {
            assert_eq!(documents(&file).unwrap(), [text]);
        }
    }

    #[test]
    fn what_is_neither_is_told_with_its_line() {
        for (text, expected) in [
            ("{\"id\":\"1\"}\nhello", "line 2: neither"),
            ("\n\n3", "line 3: neither"),
            ("[1]", "line 1: neither"),
            (" \n", "nothing in it"),
        ] {
            let error = format!("{:#}", documents(text.as_bytes()).unwrap_err());
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
