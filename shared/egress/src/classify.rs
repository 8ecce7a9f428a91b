//! Maps the errors of libraries to categories, by their types only.

use crate::{Failure, FailureKind, connecting::Attempt};
use http::{HeaderValue, StatusCode, header::CONNECTION};
use hyper_util::client::legacy::connect::HttpInfo;
use std::{error::Error, io};

/// Returns an error and its causes, outermost first. Looks inside `io::Error`, whose `source` skips
/// the error that it wraps.
pub fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// Maps an error of the HTTP client. Failures of the connector pass through unchanged.
pub(crate) fn classify(error: &reqwest::Error) -> Failure {
    if let Some(failure) = sources(error).find_map(|source| source.downcast_ref::<Failure>()) {
        return failure.clone();
    }
    let known = sources(error)
        .find_map(of_type)
        .map(|(kind, detail)| Failure::new(kind, detail));
    known.unwrap_or_else(|| {
        Failure::new(
            FailureKind::Protocol,
            "the connection failed before an answer arrived",
        )
    })
}

/// Whether a request can be sent once more on a new connection. It can if it was not processed, or
/// if a connection that carried other requests was lost before an answer arrived: receivers close
/// kept connections at any time, so the request was most likely never read (RFC 9110, section
/// 9.2.2). The receiver can recognise a repeated request by its delivery id.
pub(crate) fn may_be_sent_again(
    exchange: &reqwest::Result<reqwest::Response>,
    attempt: &Attempt,
) -> bool {
    let error = match exchange {
        Ok(answer) => return closes_an_idle_connection(answer, attempt),
        Err(error) => error,
    };
    if sources(error).any(was_not_processed) {
        return true;
    }
    let client = sources(error)
        .find_map(|source| source.downcast_ref::<hyper_util::client::legacy::Error>());
    let Some(connected) = client.and_then(hyper_util::client::legacy::Error::connect_info) else {
        return false;
    };
    let mut extensions = http::Extensions::new();
    connected.get_extras(&mut extensions);
    let Some(info) = extensions.get::<HttpInfo>() else {
        return false;
    };
    !attempt.was_only_request_on(info.local_addr(), connected.is_negotiated_h2())
        && sources(error).any(is_lost_connection)
}

/// A server that closes a kept connection because it is idle may send 408 first (RFC 9110, section
/// 15.5.9), even if a request is already on its way.
fn closes_an_idle_connection(answer: &reqwest::Response, attempt: &Attempt) -> bool {
    let has_close = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case("close"))
        })
    };
    answer.status() == StatusCode::REQUEST_TIMEOUT
        && answer.headers().get_all(CONNECTION).iter().any(has_close)
        && answer
            .extensions()
            .get::<HttpInfo>()
            .is_some_and(|info| !attempt.was_only_request_on(info.local_addr(), false))
}

/// Whether the request was never sent, or HTTP/2 reports that it was not processed (RFC 9113,
/// section 8.7).
fn was_not_processed(error: &(dyn Error + 'static)) -> bool {
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        return http.is_canceled();
    }
    error.downcast_ref::<h2::Error>().is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away()
                || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
    })
}

/// Whether the connection was closed or reset.
fn is_lost_connection(error: &(dyn Error + 'static)) -> bool {
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        return http.is_incomplete_message() || http.is_closed();
    }
    if let Some(http_2) = error.downcast_ref::<h2::Error>() {
        return http_2.is_io();
    }
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| is_closed(error.kind()))
}

fn is_closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    matches!(
        kind,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected
    )
}

/// Returns the category of a network error: `error` or one of its causes is a TLS error, or a
/// connection that was refused, was lost or timed out.
#[must_use]
pub fn failure_kind(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    sources(error).find_map(|source| {
        of_type(source)
            .map(|(kind, _)| kind)
            .or_else(|| is_unconnected(source).then_some(FailureKind::Connect))
    })
}

fn is_unconnected(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(ConnectionRefused | HostUnreachable | NetworkUnreachable)
    )
}

/// Returns the TLS library's error that is `error` or one of its causes.
pub fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    sources(error).find_map(|source| source.downcast_ref::<rustls::Error>())
}

fn of_type(error: &(dyn Error + 'static)) -> Option<(FailureKind, String)> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        if refuses_identity(tls) {
            return Some((
                FailureKind::Identity,
                "the server does not accept the client certificate, or requires one".to_owned(),
            ));
        }
        return Some((
            FailureKind::Tls,
            format!("the TLS connection failed: {tls}"),
        ));
    }
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        let detail = match http {
            _ if http.is_incomplete_message() => CLOSED,
            _ if http.is_parse_too_large() => "the answer's headers are too large",
            _ if http.is_parse() => "the answer is not valid HTTP",
            _ => return None,
        };
        return Some((FailureKind::Protocol, detail.to_owned()));
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::TimedOut => {
            Some((FailureKind::Timeout, "the connection timed out".to_owned()))
        }
        kind if is_closed(kind) => Some((FailureKind::Protocol, CLOSED.to_owned())),
        _ => None,
    }
}

/// Whether an alert means that the server rejects the client certificate or requires one (RFC 8446
/// §6.2).
#[must_use]
pub fn refuses_identity(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else {
        return false;
    };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

const CLOSED: &str = "the connection was closed without an answer";
