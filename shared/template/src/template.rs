//! A compiled template.

use std::sync::Arc;

use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::output::Bounded;
use crate::{Limits, RenderError, TemplateError, Variables, filters, shape};

/// The one template of each environment.
const NAME: &str = "template";

/// A compiled template; cheap to clone.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    limits: Limits,
    uses_payload: bool,
}

impl Template {
    /// Compiles text: what variables hold is written as it is.
    pub fn compile(source: &str, limits: Limits) -> Result<Self, TemplateError> {
        Self::compile_as(source, limits, AutoEscape::None)
    }

    /// Compiles HTML: what variables hold is escaped.
    pub fn compile_html(source: &str, limits: Limits) -> Result<Self, TemplateError> {
        Self::compile_as(source, limits, AutoEscape::Html)
    }

    fn compile_as(source: &str, limits: Limits, escape: AutoEscape) -> Result<Self, TemplateError> {
        if source.len() > limits.source_bytes_max {
            return Err(TemplateError::TooLong { max: limits.source_bytes_max });
        }
        let tree = parse(source, NAME, SyntaxConfig::default()).map_err(|error| TemplateError::syntax(&error))?;
        shape::check(&tree)?;
        let mut environment = environment(limits, escape);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| TemplateError::syntax(&error))?;
        let template = environment.get_template(NAME).map_err(|error| TemplateError::syntax(&error))?;
        let names = template.undeclared_variables(false);
        let is_function = |name: &str| environment.globals().any(|(global, _)| global == name);
        let mut unknown: Vec<&String> =
            names.iter().filter(|name| !Variables::NAMES.contains(&name.as_str()) && !is_function(name)).collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            return Err(TemplateError::UnknownVariable { name: (*name).clone() });
        }
        let uses_payload = names.contains("payload");
        Ok(Self { environment: Arc::new(environment), limits, uses_payload })
    }

    /// Whether it says anything about the payload, which is then worth parsing.
    #[must_use]
    pub fn uses_payload(&self) -> bool {
        self.uses_payload
    }

    /// The template with these values.
    pub fn render(&self, variables: &Variables<'_>) -> Result<String, RenderError> {
        let mut output = Bounded::new(self.limits.output_bytes_max);
        match self.write(variables, &mut output) {
            Ok(()) => Ok(output.into_text()),
            Err(_) if output.overflowed() => Err(RenderError::TooLong { max: self.limits.output_bytes_max }),
            Err(error) => Err(RenderError::of(&error)),
        }
    }

    fn write(&self, variables: &Variables<'_>, output: &mut Bounded) -> Result<(), minijinja::Error> {
        let template = self.environment.get_template(NAME)?;
        template.render_captured_to(variables.to_value(self.uses_payload), output).map(drop)
    }
}

fn environment(limits: Limits, escape: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(limits.fuel));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_formatter(
        |output, state, value: &Value| {
            if value.is_none() { Ok(()) } else { minijinja::escape_formatter(output, state, value) }
        },
    );
    filters::add(&mut environment, limits.output_bytes_max);
    environment
}
