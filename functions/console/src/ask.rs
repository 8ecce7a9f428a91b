//! One small form on a page of its own: what a thing needs before it is done. A refusal shows the
//! form again, with what was typed and the mistakes at their fields.

use askama::Template;
use http::StatusCode;
use operations::{Refusal, RefusalCode};

use crate::answer::{Answer, page_as};
use crate::form::Form;
use crate::schema_form::{Control, Field};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// A page that asks one question with a form, and shows it again with its mistakes.
#[derive(Template)]
#[template(path = "ask.html")]
pub(crate) struct Ask<'a> {
    pub(crate) page: Page<'a>,
    pub(crate) v: &'a Visitor,
    /// Address and name of the page that it belongs to; also where Cancel leads.
    pub(crate) parent: (String, String),
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) action: String,
    pub(crate) submit: String,
    pub(crate) is_danger: bool,
    pub(crate) problem: Option<String>,
    /// Mistakes at no field of the form.
    pub(crate) others: Vec<String>,
}

impl<'a> Ask<'a> {
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

    /// Answers with the form before anything is typed.
    pub(crate) fn shown(self) -> Answer {
        page_as(StatusCode::OK, &self)
    }

    /// Answers with the form as it was typed and the mistakes in it. A refusal that the form cannot
    /// correct has its own page.
    pub(crate) fn again(mut self, form: &Form, refusal: Refusal) -> Answer {
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
