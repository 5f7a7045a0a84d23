//! Answers that are made while they are sent.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Parts that wait for a slow reader.
const PARTS_MAX: usize = 8;

/// Where parts of an answer are given.
pub(super) type Parts = mpsc::Sender<Result<Bytes, Cut>>;

/// The answer could not be made to its end. The connection is closed, so that the reader notices.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be made to its end: {0}")]
pub(super) struct Cut(pub(super) String);

/// A body of parts that are still to come.
#[derive(Debug)]
pub(super) struct Arriving(mpsc::Receiver<Result<Bytes, Cut>>);

/// Ends when all who give parts are gone.
pub(super) fn body() -> (Parts, axum::body::Body) {
    let (parts, arriving) = mpsc::channel(PARTS_MAX);
    (parts, axum::body::Body::new(Arriving(arriving)))
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
