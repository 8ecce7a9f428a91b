//! The client of the identity provider: it returns the address at which people sign in, and
//! exchanges codes for verified claims. It reads the discovery document and the keys for every
//! sign-in, so that a replaced key takes effect at once; sign-ins are rare.

use std::pin::Pin;
use std::time::Duration;

use aws_config::SdkConfig;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use egress::{Client, Guard, Policy, Schemes, Target, Tls};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _,
};
use runtime::Platform;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::config::IdentityProvider;

/// The time limit for one request to the provider.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// The maximum size of a response that is read, in bytes. The documents have a few kilobytes.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// The accepted signature algorithms of ID tokens. All are asymmetric: under HS256 anyone who knows
/// the client secret could sign a token, even if the discovery document does not list HS256.
const SIGNED_BY_THE_PROVIDER: [CoreJwsSigningAlgorithm; 10] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EcdsaP521Sha512,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A client of the identity provider.
pub(crate) struct Provider {
    config: IdentityProvider,
    aws: SdkConfig,
    policy: Policy,
    schemes: Schemes,
    http: OnceCell<Client>,
}

/// The provider could not be reached, or its configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the identity provider is not available: {0}")]
pub(crate) struct Unavailable(String);

impl Unavailable {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Why a code could not be exchanged for claims.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// The provider refused the code, or its response is not valid.
    Refused(String),
    /// The provider could not be reached.
    Unavailable(Unavailable),
}

impl From<Unavailable> for ExchangeError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

/// A client of the library whose authorization and token endpoints are known.
type RelyingParty = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointSet,
    openidconnect::EndpointMaybeSet,
>;

impl Provider {
    pub(crate) fn new(
        config: IdentityProvider,
        platform: &Platform,
        front: &front::Config,
    ) -> Self {
        let schemes = Schemes::with_plain_http(front.plain_http);
        Self {
            config,
            aws: platform.aws.clone(),
            policy: front.egress.clone(),
            schemes,
            http: OnceCell::new(),
        }
    }

    pub(crate) fn config(&self) -> &IdentityProvider {
        &self.config
    }

    /// Returns the address to which a browser is redirected to sign in.
    pub(crate) async fn address(
        &self,
        redirect_uri: &str,
        state: &str,
        nonce: &str,
        verifier: &str,
    ) -> Result<String, Unavailable> {
        let client = self.relying(redirect_uri, None).await?;
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(
            verifier.to_owned(),
        ));
        let (state, nonce) = (
            CsrfToken::new(state.to_owned()),
            Nonce::new(nonce.to_owned()),
        );
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || state,
            || nonce,
        );
        let scopes = ["profile", "email"].map(|scope| Scope::new(scope.to_owned()));
        let (url, _, _) = request
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .url();
        Ok(url.into())
    }

    /// Exchanges a code for an ID token and returns its verified claims.
    pub(crate) async fn exchange(
        &self,
        code: String,
        redirect_uri: &str,
        nonce: &str,
        verifier: String,
    ) -> Result<Value, ExchangeError> {
        let secret = match &self.config.client_secret_arn {
            Some(arn) => Some(
                vault::own_secret(&self.aws, arn)
                    .await
                    .map_err(Unavailable::because)?,
            ),
            None => None,
        };
        let secret = secret.map(|secret| ClientSecret::new(secret.to_string()));
        let client = self.relying(redirect_uri, secret).await?;
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let answer = request
            .request_async(self)
            .await
            .map_err(|error| match error {
                RequestTokenError::Request(error) => ExchangeError::Unavailable(error),
                refused => ExchangeError::Refused(refused.to_string()),
            })?;
        let token = answer
            .id_token()
            .ok_or_else(|| ExchangeError::Refused("the response has no ID token".to_owned()))?;
        let nonce = Nonce::new(nonce.to_owned());
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(SIGNED_BY_THE_PROVIDER);
        token
            .claims(&verifier, &nonce)
            .map_err(|error| ExchangeError::Refused(error.to_string()))?;
        // The token is verified. Its payload is read as JSON, because the names of the claims for
        // the role and the organization are configured.
        let text = token.to_string();
        let payload = text
            .split('.')
            .nth(1)
            .and_then(|payload| BASE64.decode(payload).ok())
            .unwrap_or_default();
        serde_json::from_slice(&payload).map_err(|error| ExchangeError::Refused(error.to_string()))
    }

    /// Reads the discovery document and returns a client for it.
    async fn relying(
        &self,
        redirect_uri: &str,
        secret: Option<ClientSecret>,
    ) -> Result<RelyingParty, Unavailable> {
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(Unavailable::because)?;
        let metadata = CoreProviderMetadata::discover_async(issuer, self)
            .await
            .map_err(|error| {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                Unavailable(format!("{error}{}", source.unwrap_or_default()))
            })?;
        let tokens = metadata.token_endpoint().cloned().ok_or_else(|| {
            Unavailable("the discovery document has no token endpoint".to_owned())
        })?;
        let redirect_uri =
            RedirectUrl::new(redirect_uri.to_owned()).map_err(Unavailable::because)?;
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.clone()),
            secret,
        );
        Ok(client.set_token_uri(tokens).set_redirect_uri(redirect_uri))
    }

    /// Sends a request through the egress guard.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unavailable> {
        let http = self.http.get_or_try_init(|| async {
            Tls::native()
                .map(|tls| Client::new(Guard::new(self.policy.clone()), tls))
                .map_err(Unavailable::because)
        });
        let (parts, body) = request.into_parts();
        let request = egress::Request {
            method: parts.method,
            target: Target::parse(&parts.uri.to_string(), self.schemes)
                .map_err(Unavailable::because)?,
            headers: parts.headers,
            body: Bytes::from(body),
            deadline: Instant::now() + REQUEST_TIMEOUT,
        };
        let response = http
            .await?
            .send(request)
            .await
            .map_err(|failure| Unavailable(failure.detail().to_owned()))?;
        let mut answer = HttpResponse::new(Vec::new());
        *answer.status_mut() = response.status;
        *answer.headers_mut() = response.headers.clone();
        *answer.body_mut() = response.read(ANSWER_BYTES_MAX).await.bytes.to_vec();
        Ok(answer)
    }
}

/// Makes the library send its requests through the egress guard.
impl<'c> AsyncHttpClient<'c> for Provider {
    type Error = Unavailable;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unavailable>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
