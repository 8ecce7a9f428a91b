//! What an operation is asked to do: a command, or the request from which it is read.

use domain::input::{Errors, Fields};
use serde_json::{Map, Value};

use crate::body::read_members;
use crate::organization::no_parameters;
use crate::{Body, Query, Refusal};

/// The input of an operation. Code in this process passes a command of the type `C`. The API passes
/// the request of a client. The operation reads the command after it has checked the caller, the
/// role and the object, in the order of refusal that the crate's documentation describes.
#[derive(Debug)]
pub struct Input<C> {
    /// The query parameters, of which `organization_id` names the organization.
    pub(crate) query: Query,
    content: Content<C>,
}

#[derive(Debug)]
enum Content<C> {
    Command(C),
    Request(Body),
}

impl<C> Input<C> {
    /// Creates the input from the query parameters and the body of a request.
    #[must_use]
    pub fn request(query: Query, body: Body) -> Self {
        Self {
            query,
            content: Content::Request(body),
        }
    }

    /// Creates the input from the query parameters and the fields of a form. They are read and
    /// refused as the members of a JSON object are.
    #[must_use]
    pub fn form(query: Query, fields: Map<String, Value>) -> Self {
        Self::request(query, Body::form(fields))
    }

    /// Creates the input from a command, for the organization that `query` names.
    #[must_use]
    pub fn command(query: Query, command: C) -> Self {
        Self {
            query,
            content: Content::Command(command),
        }
    }

    /// Returns the command, which `read` reads from the parameters and the body of a request.
    pub(crate) fn read_with(
        self,
        read: impl FnOnce(Query, Body) -> Result<C, Refusal>,
    ) -> Result<C, Refusal> {
        match self.content {
            Content::Command(command) => {
                no_parameters(self.query)?;
                Ok(command)
            }
            Content::Request(body) => read(self.query, body),
        }
    }

    /// Like [`Self::read_with`], for a command that takes so long to read that another thread
    /// reads it.
    pub(crate) async fn read_async(
        self,
        read: impl AsyncFnOnce(Query, Body) -> Result<C, Refusal>,
    ) -> Result<C, Refusal> {
        match self.content {
            Content::Command(command) => {
                no_parameters(self.query)?;
                Ok(command)
            }
            Content::Request(body) => read(self.query, body).await,
        }
    }

    /// Returns the command, which `read` reads from the members of a body. All of them are
    /// optional, so the body may be empty.
    pub(crate) fn optional(
        self,
        read: impl FnOnce(&mut Fields<'_>) -> Option<C>,
    ) -> Result<C, Refusal> {
        self.read_with(|query, body| {
            let members = body.object_or_empty()?;
            no_parameters(query)?;
            Ok(read_members(members, Errors::default(), read)?)
        })
    }

    /// Returns the command, which `read` reads from the members of a body. The body is required.
    pub(crate) fn required(
        self,
        read: impl FnOnce(&mut Fields<'_>) -> Option<C>,
    ) -> Result<C, Refusal> {
        self.read_with(|query, body| {
            let members = body.object()?;
            no_parameters(query)?;
            Ok(read_members(members, Errors::default(), read)?)
        })
    }
}

impl Input<()> {
    /// Checks that the body of an action without fields is empty or an empty object.
    pub(crate) fn nothing(self) -> Result<(), Refusal> {
        self.optional(|_| Some(()))
    }
}

/// A merge patch (RFC 7396). Its members are read onto the stored object when it is applied, and
/// again if another request changed the object in the meantime.
#[derive(Clone, Debug)]
pub struct MergePatch(pub(crate) Map<String, Value>);

impl MergePatch {
    /// Reads the patch from the body of a request without query parameters.
    pub(crate) fn read(query: Query, body: Body) -> Result<Self, Refusal> {
        let members = body.object()?;
        no_parameters(query)?;
        Ok(Self(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefusalCode;

    fn force(fields: &mut Fields<'_>) -> Option<bool> {
        Some(fields.boolean("force").unwrap_or(false))
    }

    fn sent(body: &'static [u8]) -> Input<bool> {
        Input::request(Query::default(), Body::new(body.into()))
    }

    #[test]
    fn a_command_is_returned_as_it_is() {
        let input = Input::command(Query::default(), true);
        assert!(input.required(|_| unreachable!()).unwrap());
        let unknown = Input::command(Query::of([("limit", "1")]), true);
        let refusal = unknown.optional(|_| unreachable!()).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::ValidationFailed);
        assert_eq!(refusal.errors[0].parameter.as_deref(), Some("limit"));
    }

    #[test]
    fn a_request_and_a_form_are_read_in_the_same_way() {
        assert!(sent(br#"{"force": true}"#).required(force).unwrap());
        assert!(!sent(b"  ").optional(force).unwrap());
        let empty = sent(b"").required(force).unwrap_err();
        assert_eq!(empty.code, RefusalCode::MalformedRequest);
        let fields = [("force".to_owned(), "yes".into())].into_iter().collect();
        let form = Input::form(Query::default(), fields);
        let (form, json) = (
            form.required(force).unwrap_err(),
            sent(br#"{"force": "yes"}"#).required(force).unwrap_err(),
        );
        assert_eq!(form.errors, json.errors);
        assert_eq!(form.errors[0].pointer.as_deref(), Some("/force"));
    }
}
