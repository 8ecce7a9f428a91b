//! The provider's side: where people sign in, and what the code that they bring back is worth.
//! Asked each time, so that a key that it replaced is not missed; people sign in once a day.

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

/// For one answer of the provider's.
const PATIENCE: Duration = Duration::from_secs(8);
/// Its keys and documents are a few kilobytes.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// How an ID token may be signed: with a key that the provider alone has. Under HS256 whoever knows
/// the client secret could sign one, whatever the provider's document says that it uses.
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

/// The identity provider.
pub(crate) struct Provider {
    config: IdentityProvider,
    aws: SdkConfig,
    policy: Policy,
    schemes: Schemes,
    http: OnceCell<Client>,
}

/// The provider could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the identity provider could not be asked: {0}")]
pub(crate) struct Unavailable(String);

impl Unavailable {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Why a code was worth nothing.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// The provider, or what it said, did not stand up to a look.
    Refused(String),
    /// It could not be asked.
    Unavailable(Unavailable),
}

impl From<Unavailable> for ExchangeError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

/// The metadata names more endpoints than are used; these are the ones that must be there.
type Relying = CoreClient<
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

    /// Where a browser is sent to sign in.
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

    /// The verified claims of whoever brings this code.
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
            .ok_or_else(|| ExchangeError::Refused("it gave no ID token".to_owned()))?;
        let nonce = Nonce::new(nonce.to_owned());
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(SIGNED_BY_THE_PROVIDER);
        token
            .claims(&verifier, &nonce)
            .map_err(|error| ExchangeError::Refused(error.to_string()))?;
        // Verified just now; read whole, for what the claims of interest are called is the
        // operator's to say.
        let text = token.to_string();
        let payload = text
            .split('.')
            .nth(1)
            .and_then(|payload| BASE64.decode(payload).ok())
            .unwrap_or_default();
        serde_json::from_slice(&payload).map_err(|error| ExchangeError::Refused(error.to_string()))
    }

    async fn relying(
        &self,
        redirect_uri: &str,
        secret: Option<ClientSecret>,
    ) -> Result<Relying, Unavailable> {
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(Unavailable::because)?;
        let metadata = CoreProviderMetadata::discover_async(issuer, self)
            .await
            .map_err(|error| {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                Unavailable(format!("{error}{}", source.unwrap_or_default()))
            })?;
        let tokens = metadata
            .token_endpoint()
            .cloned()
            .ok_or_else(|| Unavailable("it has no token endpoint".to_owned()))?;
        let redirect_uri =
            RedirectUrl::new(redirect_uri.to_owned()).map_err(Unavailable::because)?;
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.clone()),
            secret,
        );
        Ok(client.set_token_uri(tokens).set_redirect_uri(redirect_uri))
    }

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
            deadline: Instant::now() + PATIENCE,
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

/// The library's requests go out by the egress guard.
impl<'c> AsyncHttpClient<'c> for Provider {
    type Error = Unavailable;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unavailable>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
