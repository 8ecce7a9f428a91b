//! The console: pages for people, made on the server from the same operations as the API.
//!
//! A request passes, in this order:
//!
//! 1. [`envelope`]: gets its id and the headers that keep a browser safe; a refusal becomes a page
//!    that says why;
//! 2. [`same_site`]: what would change something must come from our own pages;
//! 3. [`visitor`]: whoever has no session is sent to [`sign_in`], with a key, a portal link or the
//!    operator's [`identity`] provider, and comes back to the page they asked for;
//! 4. a handler in [`pages`], which asks operations and fills a template of `templates/`. A POST
//!    carries the [`form`]'s token, so that no other site can send it, and answers with a redirect.
//!
//! Pages work without script; `assets/console.js` and htmx make them live.

mod answer;
mod ask;
mod assets;
mod captions;
mod chart;
mod config;
mod confirm;
mod envelope;
mod filter;
mod form;
mod guide;
mod icon;
mod identity;
mod labels;
mod names;
mod notice;
mod pages;
mod retries;
mod same_site;
mod schema_form;
mod sent;
mod show;
mod sign_in;
mod visitor;

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use front::Front;
use runtime::Platform;

pub use config::{Config, IdentityProvider};

/// The router of the whole console.
pub fn build(platform: &Platform, config: Config) -> Router {
    let provider: identity::Configured = config
        .identity_provider
        .map(|provider| Arc::new(identity::Provider::new(provider, platform, &config.front)));
    let mail = pages::inbox::Folder(config.mail_folder.map(Arc::new));
    let front = Front::new(platform.clone(), config.front);
    let inside = pages::router().layer(from_fn_with_state(front.clone(), visitor::signed_in));
    Router::new()
        .merge(sign_in::router())
        .merge(confirm::router())
        .merge(identity::router())
        .merge(assets::router())
        .merge(inside)
        .fallback(pages::unknown)
        .layer(Extension(provider))
        .layer(Extension(mail))
        .layer(from_fn(same_site::same_site))
        .layer(from_fn_with_state(front.clone(), envelope::envelope))
        .with_state(front)
}
