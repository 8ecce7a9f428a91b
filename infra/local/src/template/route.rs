//! Determines which function handles a request, by API Gateway's route matching.

use std::cmp::Reverse;

use serde::Deserialize;

use super::property::AwsOnly;

/// A route of an HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method; `None` for any method.
    pub method: Option<String>,
    /// The path; `None` for `$default`, which matches what no other route does.
    pub path: Option<String>,
}

/// The properties of an `HttpApi` event.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct RouteProperties {
    path: Option<String>,
    method: Option<String>,
    api_id: Option<AwsOnly>,
}

impl From<RouteProperties> for Route {
    fn from(properties: RouteProperties) -> Self {
        let method = properties
            .method
            .map(|method| method.to_uppercase())
            .filter(|method| method != "ANY" && method != "*");
        Self {
            method,
            path: properties.path.filter(|path| path != "$default"),
        }
    }
}

impl Route {
    /// Returns how closely the route matches a request, greater for closer; `None` if it does not
    /// match. A full match precedes one with a greedy variable (`{proxy+}`), which precedes
    /// `$default`. Of equal matches the one with a method wins.
    pub fn fit(&self, method: &str, path: &str) -> Option<impl Ord + use<>> {
        if self.method.as_deref().is_some_and(|own| own != method) {
            return None;
        }
        let (greedy, variables, length) = match &self.path {
            None => (2, 0, 0),
            Some(pattern) => fit_path(pattern, path)?,
        };
        Some((
            Reverse(greedy),
            length,
            Reverse(variables),
            self.method.is_some(),
        ))
    }
}

/// Returns (1 for a greedy match, variables used, literal segments before them).
fn fit_path(pattern: &str, path: &str) -> Option<(u8, usize, usize)> {
    let mut segments = path.split('/').skip(1);
    let (mut variables, mut literals) = (0, 0);
    for part in pattern.split('/').skip(1) {
        if part.starts_with('{') && part.ends_with("+}") {
            return segments.next().map(|_| (1, variables, literals));
        }
        let segment = segments.next()?;
        if part.starts_with('{') && part.ends_with('}') {
            variables += 1;
        } else if part == segment {
            literals += 1;
        } else {
            return None;
        }
    }
    segments
        .next()
        .is_none()
        .then_some((0, variables, literals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_route_answers() {
        let route = |method: Option<&str>, path: Option<&str>| Route {
            method: method.map(str::to_owned),
            path: path.map(str::to_owned),
        };
        let routes = [
            route(None, None),
            route(None, Some("/v1/{proxy+}")),
            route(None, Some("/v1/messages/{id}")),
            route(Some("GET"), Some("/v1/messages/{id}")),
            route(None, Some("/v1/messages/batch")),
            route(None, Some("/")),
        ];
        let cases = [
            ("GET", "/", 5),
            ("GET", "/v1", 0),
            ("GET", "/v1/x", 1),
            ("GET", "/v1/messages/7", 3),
            ("POST", "/v1/messages/7", 2),
            ("POST", "/v1/messages/batch", 4),
            ("GET", "/v1/messages/7/payload", 1),
            ("GET", "/other", 0),
        ];
        for (method, path, expected) in cases {
            let chosen = (0..routes.len())
                .filter_map(|i| routes[i].fit(method, path).map(|fit| (fit, i)))
                .max_by(|a, b| a.0.cmp(&b.0))
                .map(|(_, i)| i);
            assert_eq!(chosen, Some(expected), "{method} {path}");
        }
    }
}
