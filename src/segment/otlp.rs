//! Spans in place of segment documents: what OpenTelemetry exporters of AWS send to the daemon's port.
//!
//! Such a body is no JSON: `T1S` (sampled) or `T1U` (not sampled) and an OTLP `ExportTraceServiceRequest` in base64.
//! Each span becomes one segment document, by the rules of the OpenTelemetry collector's X-Ray exporter
//! (`open-telemetry/opentelemetry-collector-contrib`, `exporter/awsxrayexporter`) in both the old and the stable
//! semantic conventions; where we differ, the code says why.

mod attributes;
mod aws;
mod cause;
mod http;
mod object;
mod proto;
mod span;

use self::attributes::Attributes;
use self::proto::TracesData;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;

/// Longest body that is read; none in a datagram is longer.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Most that the documents of one body may take together. The attributes of a resource stand once in the body but in
/// each of its segments, so that a small body could ask for a great many bytes.
const DOCUMENTS_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Every exporter pads; that some day one does not is no reason to lose its spans.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether the sampling decision was to keep a trace. Spans of others are sent too, because AWS counts them in its
/// metrics; they are no part of any trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled {
    /// `T1S`: they belong to traces.
    Yes,
    /// `T1U`: whoever keeps traces leaves them out, and counts them.
    No,
}

/// Why no documents could be made of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// The body has none of the prefixes.
    #[error("the body is no OpenTelemetry data: it does not begin with T1S or T1U")]
    NotOtlp,
    /// `M1`: metrics, which are no business of X-Ray.
    #[error("the body holds OpenTelemetry metrics; send them to a metrics receiver")]
    Metrics,
    /// The body, or what would become of it, is too large.
    #[error("the body has {bytes} bytes of spans or makes too many of documents; send fewer spans at once")]
    TooLarge {
        /// Length of the body.
        bytes: usize,
    },
    /// What follows the prefix is no base64.
    #[error("the spans are not base64: {reason}")]
    Base64 {
        /// In the decoder's words.
        reason: String,
    },
    /// What was in base64 is no `ExportTraceServiceRequest`.
    #[error("the spans are not an OTLP export request: {reason}")]
    Protobuf {
        /// In the decoder's words.
        reason: String,
    },
    /// A span without ids that X-Ray could use.
    #[error("span {place} of the request has an {field} that is no id")]
    InvalidSpan {
        /// Counted from 0, over the whole request.
        place: usize,
        /// Name of the field in OTLP.
        field: &'static str,
    },
}

/// Whether a body is OpenTelemetry data of any kind. No JSON begins as these do.
pub fn is_otlp(body: &[u8]) -> bool {
    !matches!(kind(body), Err(OtlpError::NotOtlp))
}

/// What the prefix of a body says of its spans.
///
/// # Errors
/// When it has no prefix of spans.
pub fn kind(body: &[u8]) -> Result<Sampled, OtlpError> {
    match body {
        [b'T', b'1', b'S', ..] => Ok(Sampled::Yes),
        [b'T', b'1', b'U', ..] => Ok(Sampled::No),
        [b'M', b'1', ..] => Err(OtlpError::Metrics),
        _ => Err(OtlpError::NotOtlp),
    }
}

/// One segment document for each span, sampled or not ([`kind`] tells). All of them pass
/// [`Document::parse`](super::Document::parse).
///
/// # Errors
/// When there is anything in the body that cannot be read. Exporters send whole spans only, so that nothing good is
/// lost with the bad.
pub fn documents(body: &[u8]) -> Result<Vec<String>, OtlpError> {
    kind(body)?;
    if body.len() > BODY_MAX_BYTES {
        return Err(OtlpError::TooLarge { bytes: body.len() });
    }
    let encoded = body.get(3..).unwrap_or_default().trim_ascii();
    let request = BASE64.decode(encoded).map_err(|error| OtlpError::Base64 { reason: error.to_string() })?;
    let request = TracesData::decode(request.as_slice())
        .map_err(|error| OtlpError::Protobuf { reason: error.to_string() })?;
    let mut documents = Vec::new();
    let mut bytes = 0;
    for of_resource in &request.resource_spans {
        let resource = of_resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let resource = Attributes::of(resource);
        for span in of_resource.scope_spans.iter().flat_map(|of_scope| &of_scope.spans) {
            let document = span::document(span, &resource)
                .map_err(|field| OtlpError::InvalidSpan { place: documents.len(), field })?;
            bytes += document.len();
            if bytes > DOCUMENTS_MAX_BYTES {
                return Err(OtlpError::TooLarge { bytes: body.len() });
            }
            documents.push(document);
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests;
