//! Signs in at a mail server: PLAIN, LOGIN and XOAUTH2 (RFC 4954).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::check::StepName;
use mail_send::{Credentials, SmtpClient};
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2, EhloResponse};
use worker::ConnectorError;

use crate::reply::Reply;
use crate::session::Stream;
use crate::verdict;

type Client = SmtpClient<Box<dyn Stream>>;

/// Signs in with the first mechanism that the server offers and the credentials permit.
pub(crate) async fn sign_in(
    client: &mut Client,
    capabilities: &EhloResponse<String>,
    credentials: &Credentials<String>,
) -> Result<(), ConnectorError> {
    let offers = |mechanism: u64| capabilities.auth_mechanisms & mechanism != 0;
    let mut refusal = None;
    match credentials {
        Credentials::Plain { username, secret } => {
            if offers(AUTH_PLAIN) {
                let response = BASE64.encode(format!("\0{username}\0{secret}"));
                refusal = Some(at_once(client, "PLAIN", &response, &response).await?);
            }
            // Some servers offer a mechanism that they do not support.
            if offers(AUTH_LOGIN) && refusal.as_ref().is_none_or(is_unsupported) {
                refusal = Some(login(client, username, secret).await?);
            }
        }
        Credentials::XOauth2 { username, secret } if offers(AUTH_XOAUTH2) => {
            let response =
                BASE64.encode(format!("user={username}\x01auth=Bearer {secret}\x01\x01"));
            // A challenge contains the error. An empty response ends the exchange.
            refusal = Some(at_once(client, "XOAUTH2", &response, "").await?);
        }
        _ => {}
    }
    match refusal {
        Some(reply) if reply.code == 235 => Ok(()),
        Some(reply) => Err(verdict::of_reply(StepName::Authenticate, &reply)),
        None => {
            let detail = "the mail server offers no way to sign in with these credentials";
            Err(ConnectorError::unauthenticated(detail).at(StepName::Authenticate))
        }
    }
}

/// Uses a mechanism whose response is sent with the command. A server may ask for it again.
async fn at_once(
    client: &mut Client,
    mechanism: &str,
    response: &str,
    again: &str,
) -> Result<Reply, ConnectorError> {
    let reply = ask(client, &format!("AUTH {mechanism} {response}")).await?;
    if reply.code == 334 {
        ask(client, again).await
    } else {
        Ok(reply)
    }
}

/// Sends the user name, then the password. The text of the prompts differs between servers and is
/// ignored.
async fn login(
    client: &mut Client,
    username: &str,
    password: &str,
) -> Result<Reply, ConnectorError> {
    let mut reply = ask(client, "AUTH LOGIN").await?;
    for answer in [username, password] {
        if reply.code != 334 {
            break;
        }
        reply = ask(client, &BASE64.encode(answer)).await?;
    }
    Ok(reply)
}

async fn ask(client: &mut Client, line: &str) -> Result<Reply, ConnectorError> {
    client
        .cmd(format!("{line}\r\n"))
        .await
        .map_err(|error| verdict::of_smtp(StepName::Authenticate, &error))
}

/// Whether the reply refuses the mechanism and not the credentials: 500, 502 and 504.
fn is_unsupported(reply: &Reply) -> bool {
    matches!(reply.code, 500 | 502 | 504)
}
