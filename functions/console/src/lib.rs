//! The console: pages for people, made on the server from the same operations as the API.
//!
//! A request passes, in this order:
//!
//! 1. [`envelope`]: gets its id and the headers that keep a browser safe; a refusal becomes a page that says why;
//! 2. [`visitor`]: whoever has no session is sent to sign in and comes back to the page they asked for;
//! 3. a handler in [`pages`], which asks operations and fills a template of `templates/`. A POST carries the [`form`]'s token, so that no
//!    other site can send it, and answers with a redirect.
//!
//! Pages work without script; `assets/console.js` and htmx make them live.

mod answer;
mod assets;
mod chart;
mod envelope;
mod filter;
mod form;
mod names;
mod pages;
mod schema_form;
mod show;
mod sign_in;
mod visitor;

use axum::Router;
use axum::middleware::from_fn_with_state;
use front::{Config, Front};
use runtime::Platform;

/// The router of the whole console.
pub fn build(platform: &Platform, config: Config) -> Router {
    let front = Front::new(platform.clone(), config);
    let inside = pages::router().layer(from_fn_with_state(front.clone(), visitor::signed_in));
    Router::new()
        .merge(sign_in::router())
        .merge(assets::router())
        .merge(inside)
        .fallback(pages::unknown)
        .layer(from_fn_with_state(front.clone(), envelope::envelope))
        .with_state(front)
}
