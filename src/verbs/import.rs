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
        for file in files {
            import.file(file).await.with_context(|| file.clone())?;
        }
        let Import { taken, refused, .. } = import;
        super::print(&format!("{taken} documents imported, {refused} refused\n"))?;
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
        let answer = self.daemon.ask("POST", "/import", Bytes::from(body)).await?;
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

/// The documents of a file in any of its forms.
fn documents(content: &[u8]) -> anyhow::Result<Vec<String>> {
    let text = String::from_utf8_lossy(content);
    // The first value tells the forms apart: an answer has Traces, a document has not.
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>();
    if let Some(Ok(first)) = values.next()
        && let Ok(answer) = serde_json::from_str::<Traces<'_>>(first.get())
    {
        let documents = answer.traces.into_iter().flat_map(|trace| trace.segments);
        let documents = documents
            .map(|segment| segment.document.into_owned())
            .filter(|document| !serde_json::from_str(document).is_ok_and(|Inferred { inferred }| inferred));
        return Ok(documents.collect());
    }
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    if lines.is_empty() {
        bail!("nothing in it");
    }
    if let Some((number, _)) = lines.iter().enumerate().find(|(_, line)| !line.trim_start().starts_with('{'))
    {
        bail!(
            "line {}: neither an answer of aws xray batch-get-traces nor a segment document in a line of its own",
            number + 1
        );
    }
    Ok(lines)
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
    }

    #[test]
    fn lines_are_documents_strict_json_or_not() {
        check("{\"id\":\"1\"}\n\n{\"x\":NaN}\r\n", &[r#"{"id":"1"}"#, r#"{"x":NaN}"#]);
    }

    #[test]
    fn what_is_neither_is_told_with_its_line() {
        let error = documents(b"{\"id\":\"1\"}\nhello").unwrap_err().to_string();
        assert!(error.starts_with("line 2: neither"), "{error}");
        assert_eq!(documents(b" \n").unwrap_err().to_string(), "nothing in it");
    }
}
