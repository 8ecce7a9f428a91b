//! Tests the crate from outside, against real servers and scripted names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod answers;
mod connections;
mod heads;
mod name_servers;
mod names;
mod spellings;
mod tls;

use egress::{Client, Guard, Policy, Request, Resolve, Schemes, Target, Tls};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use rustls::RootCertStore;
use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

const LOOPBACK: &str = "127.0.0.0/8, ::1";

fn guard() -> Guard {
    Guard::new(Policy::parse(LOOPBACK).unwrap())
}

fn client() -> Client {
    client_of(guard(), RootCertStore::empty())
}

fn client_of(guard: Guard, roots: RootCertStore) -> Client {
    Client::new(guard, Tls::with_roots(roots).unwrap())
}

fn target(url: &str) -> Target {
    Target::parse(url, Schemes::HttpAndHttps).unwrap()
}

fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

fn post(url: &str) -> Request {
    Request {
        method: Method::POST,
        target: target(url),
        headers: HeaderMap::new(),
        body: "{}".into(),
        deadline: within(5_000),
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Resolves names from a script with one answer for each lookup. After the last one, names do not
/// exist.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<VecDeque<Vec<IpAddr>>>>);

impl Script {
    fn of(answers: &[&[&str]]) -> Self {
        Self(Arc::new(Mutex::new(
            answers.iter().map(|answer| addresses(answer)).collect(),
        )))
    }

    fn lookups_left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let answer = self.0.lock().unwrap().pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)) })
    }
}
