//! A page with one small form, for actions that need input. If the action is refused, the page
//! shows the form again with the values that were typed and with each mistake at its field.

use askama::Template;
use http::StatusCode;
use operations::{Refusal, RefusalCode};

use crate::answer::{Answer, page_as};
use crate::form::Form;
use crate::schema_form::{Control, Field};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// A page with one form.
#[derive(Template)]
#[template(path = "action_form.html")]
pub(crate) struct ActionForm<'a> {
    pub(crate) page: Page<'a>,
    pub(crate) v: &'a Visitor,
    /// The address and name of the page that the form belongs to. Cancel leads to it.
    pub(crate) parent: (String, String),
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) action: String,
    pub(crate) submit: String,
    pub(crate) is_danger: bool,
    pub(crate) problem: Option<String>,
    /// The mistakes that belong to no field of the form.
    pub(crate) others: Vec<String>,
}

impl<'a> ActionForm<'a> {
    /// Creates a form without fields, which is sent to the address of the current page.
    pub(crate) fn new(
        v: &'a Visitor,
        part: &'static str,
        parent: (String, String),
        title: impl Into<String>,
    ) -> Self {
        Self {
            page: Page::of(Some(v), part),
            v,
            parent,
            title: title.into(),
            about: String::new(),
            fields: Vec::new(),
            action: v.href(&v.path),
            submit: "Save".to_owned(),
            is_danger: false,
            problem: None,
            others: Vec::new(),
        }
    }

    /// Responds with the form as it was created.
    pub(crate) fn shown(self) -> Answer {
        page_as(StatusCode::OK, &self)
    }

    /// Responds with the form, the values that were typed and the mistakes of the refusal. A
    /// refusal that other values cannot correct is returned.
    pub(crate) fn show_again(mut self, form: &Form, refusal: Refusal) -> Answer {
        if !refusal.is_correctable() {
            return Err(refusal.into());
        }
        for field in &mut self.fields {
            field.refill(form);
        }
        let mut others = Vec::new();
        for error in &refusal.errors {
            let pointer = error.pointer.as_deref().unwrap_or_default();
            let is_at = |field: &&mut Field| {
                let is_within = pointer.starts_with(&format!("{}/", field.pointer));
                field.counts(form) && (pointer == field.pointer || is_within)
            };
            match self.fields.iter_mut().find(is_at) {
                Some(field) => field.mistake = Some(error.detail.clone()),
                None => others.push(show::sentence(&error.detail)),
            }
        }
        self.others = others;
        self.problem = match refusal.code {
            RefusalCode::ValidationFailed => {
                Some("Correct the marked fields and try again.".to_owned())
            }
            _ => Some(show::sentence(&refusal.detail)),
        };
        page_as(
            StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
            &self,
        )
    }
}
