//! X-Ray's operations on the TCP port, where there is a store to answer them.

use super::error::{ApiError, refused};
use super::{Api, Local, guard};
use crate::account::model::Operation;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// What SDKs ask, under whatever name they know the daemon by, and from whatever host: it tells nothing of any trace.
const OF_SDKS: [&str; 4] =
    ["GetSamplingRules", "GetSamplingTargets", "GetSamplingStatisticSummaries", "PutTelemetryRecords"];

pub(super) async fn answer(
    api: &Api,
    local: &Local,
    operation: &'static Operation,
    request: Request,
) -> Result<Response, ApiError> {
    if !OF_SDKS.contains(&operation.name) {
        guard::check_reader(&request, &api.http).inspect_err(|error| {
            api.events.request_refused("POST", operation.path, error.message());
        })?;
    }
    let (body, charge) = api.read_small(request).await?;
    let answered = local.call(operation, &body).await;
    drop(charge);
    Ok(match answered {
        Ok(answer) => ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response(),
        Err(refusal) => refused(&refusal),
    })
}
