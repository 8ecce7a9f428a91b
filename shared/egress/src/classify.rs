//! From a library's error to a category, by types alone.

use crate::{Failure, FailureKind};
use std::{error::Error, io};

/// An error and everything that caused it, outermost first. Looks inside of `io::Error`, whose `source` skips the error it wraps.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// What the HTTP client's error means. The connector's own failures come through as they were.
pub(crate) fn classify(error: hyper_util::client::legacy::Error) -> Failure {
    let known = sources(&error).find_map(|source| {
        if let Some(failure) = source.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        of_type(source).map(|(kind, detail)| Failure::new(kind, detail))
    });
    known.unwrap_or_else(|| Failure::new(FailureKind::Protocol, "the exchange broke off before an answer came")).because(error)
}

fn of_type(error: &(dyn Error + 'static)) -> Option<(FailureKind, String)> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        if refuses_identity(tls) {
            return Some((FailureKind::Identity, "the server does not take the client certificate, or misses one".to_owned()));
        }
        return Some((FailureKind::Tls, format!("TLS broke off: {tls}")));
    }
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        if http.is_incomplete_message() {
            return Some((FailureKind::Protocol, CLOSED.to_owned()));
        }
        if http.is_parse_too_large() {
            return Some((FailureKind::Protocol, "the answer's headers are too large".to_owned()));
        }
        if http.is_parse() {
            return Some((FailureKind::Protocol, "the answer is not valid HTTP".to_owned()));
        }
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::TimedOut => Some((FailureKind::Timeout, "the connection timed out".to_owned())),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            Some((FailureKind::Protocol, CLOSED.to_owned()))
        }
        _ => None,
    }
}

/// Whether an alert says that the server does not like our certificate, or misses one (RFC 8446 §6.2).
#[must_use]
pub fn refuses_identity(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else { return false };
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
