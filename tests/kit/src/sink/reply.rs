//! One step of a sink's script.

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use std::{convert::Infallible, time::Duration};

const ENDLESS_CHUNK: &[u8] = &[b'.'; 8 * 1024];

/// How a sink responds to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) delay: Duration,
    answer: Answer,
}

#[derive(Debug, Clone)]
enum Answer {
    Drop,
    Send {
        status: u16,
        headers: Vec<(String, String)>,
        body: Content,
    },
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Bytes),
    Drip { bytes: usize, every: Duration },
    Endless,
}

impl Reply {
    /// Responds with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::send(status, Content::Whole(Bytes::new()))
    }

    /// Responds with a redirect (302).
    pub fn redirect(url: &str) -> Self {
        Self::status(302).header("location", url)
    }

    /// Responds with 200 and a body of `bytes` bytes, sent one at a time.
    pub fn drip(bytes: usize, every: Duration) -> Self {
        Self::send(200, Content::Drip { bytes, every })
    }

    /// Responds with 200 and an endless body, sent as fast as it is read.
    pub fn endless() -> Self {
        Self::send(200, Content::Endless)
    }

    /// Closes the connection without a response.
    pub fn drop() -> Self {
        Self {
            delay: Duration::ZERO,
            answer: Answer::Drop,
        }
    }

    fn send(status: u16, body: Content) -> Self {
        Self {
            delay: Duration::ZERO,
            answer: Answer::Send {
                status,
                headers: Vec::new(),
                body,
            },
        }
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Answer::Send { headers, .. } = &mut self.answer {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Sets the body of the response.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        if let Answer::Send { body, .. } = &mut self.answer {
            *body = Content::Whole(bytes.into());
        }
        self
    }

    /// Delays the response by this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Returns the response, if one is sent.
    pub(super) fn into_response(self) -> Option<Response<BoxBody<Bytes, Infallible>>> {
        let Answer::Send {
            status,
            headers,
            body,
        } = self.answer
        else {
            return None;
        };
        let mut response = Response::builder()
            .status(StatusCode::from_u16(status).expect("a status of three digits"));
        for (name, value) in headers {
            response = response.header(name, value);
        }
        Some(
            response
                .body(body.into_body())
                .expect("headers that HTTP allows"),
        )
    }
}

impl Content {
    fn into_body(self) -> BoxBody<Bytes, Infallible> {
        match self {
            Self::Whole(bytes) => Full::new(bytes).boxed(),
            Self::Endless => StreamBody::new(stream::repeat_with(|| {
                Ok(Frame::data(Bytes::from_static(ENDLESS_CHUNK)))
            }))
            .boxed(),
            Self::Drip { bytes, every } => {
                StreamBody::new(stream::unfold(bytes, move |left| async move {
                    let left = left.checked_sub(1)?;
                    tokio::time::sleep(every).await;
                    Some((Ok(Frame::data(Bytes::from_static(b"."))), left))
                }))
                .boxed()
            }
        }
    }
}
