//! An HTTP answer: its head, and its body within limits.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use std::{net::SocketAddr, time::Duration};
use tokio::time::{Instant, timeout_at};

/// The largest number of bytes that are read of an answer's body.
pub const BODY_READ_BYTES_MAX: usize = 64 * 1024;
/// How long to read on after enough is kept, so that the connection can be reused.
const DRAIN_MAX: Duration = Duration::from_millis(250);

/// An answer whose status line and headers have arrived. The body can be read.
#[derive(Debug)]
pub struct Response {
    /// The status code of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The address that answered.
    pub peer: Option<SocketAddr>,
    body: reqwest::Body,
    deadline: Instant,
}

/// The part of a body that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The beginning of the body.
    pub bytes: Bytes,
    /// Whether the body was longer, or did not end.
    pub truncated: bool,
}

impl Response {
    pub(crate) fn new(response: reqwest::Response, deadline: Instant) -> Self {
        let peer = response.remote_addr();
        let (head, body) = http::Response::from(response).into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            peer,
            body,
            deadline,
        }
    }

    /// Reads the body until its end, [`BODY_READ_BYTES_MAX`] or the request's deadline, and keeps
    /// the beginning. Never fails: the status line has decided the outcome, and a body that ends
    /// early is truncated.
    pub async fn read(mut self, keep_bytes_max: usize) -> Body {
        let mut buffer = BytesMut::new();
        let mut read_bytes = 0;
        let mut until = self.deadline;
        loop {
            let data = match timeout_at(until, self.body.frame()).await {
                Ok(None) => {
                    return Body {
                        truncated: read_bytes > buffer.len(),
                        bytes: buffer.freeze(),
                    };
                }
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(_))) | Err(_) => break,
            };
            read_bytes += data.len();
            let room = keep_bytes_max.saturating_sub(buffer.len());
            buffer.extend_from_slice(&data[..data.len().min(room)]);
            if read_bytes >= BODY_READ_BYTES_MAX {
                break;
            }
            if read_bytes > keep_bytes_max {
                until = until.min(Instant::now() + DRAIN_MAX);
            }
        }
        Body {
            bytes: buffer.freeze(),
            truncated: true,
        }
    }
}
