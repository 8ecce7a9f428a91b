//! The console: HTML pages for people, rendered on the server from the same operations as the API.
//!
//! A request passes through these layers, in this order:
//!
//! 1. [`envelope`] assigns the request's id, adds the security headers to the response, and renders
//!    a refusal as a page that explains it.
//! 2. [`same_site`] refuses a request that changes something unless it comes from the console's own
//!    pages.
//! 3. [`visitor`] redirects a request without a session to [`sign_in`]. A person signs in with an
//!    API key, a portal link or the operator's [`identity`] provider, and then returns to the page
//!    that they requested.
//! 4. A handler in [`pages`] calls operations and renders a template of `templates/`. A POST must
//!    carry the token of its [`form`], so that no other site can send it, and is answered with a
//!    redirect.
//!
//! Pages work without scripts. `assets/console.js` and htmx add live updates.

mod action_form;
mod answer;
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

/// Builds the router of the whole console.
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
