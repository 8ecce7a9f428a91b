//! A compiled template.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::machinery::{CodeGenerator, eval, make_string_output, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use crate::meter::Meter;
use crate::{
    Limits, RenderError, Stop, TemplateError, Variables, depth, filters, metered, operators, shape,
};

/// The name of the only template in each environment.
const NAME: &str = "template";

/// A template that has been checked. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Template {
    source: Arc<str>,
    limits: Limits,
    escape: AutoEscape,
    uses_payload: bool,
}

impl Template {
    /// Compiles a text template. Values are not escaped.
    pub fn compile(source: &str, limits: Limits) -> Result<Self, TemplateError> {
        Self::compile_as(source, limits, AutoEscape::None, &[])
    }

    /// Compiles the plain text of an e-mail, which may also use the variable `link`.
    pub fn compile_mail_text(source: &str, limits: Limits) -> Result<Self, TemplateError> {
        Self::compile_as(source, limits, AutoEscape::None, &[Variables::LINK])
    }

    /// Compiles the HTML of an e-mail, which may also use the variable `link`. Values are escaped.
    pub fn compile_mail_html(source: &str, limits: Limits) -> Result<Self, TemplateError> {
        Self::compile_as(source, limits, AutoEscape::Html, &[Variables::LINK])
    }

    fn compile_as(
        source: &str,
        limits: Limits,
        escape: AutoEscape,
        more: &[&str],
    ) -> Result<Self, TemplateError> {
        if source.len() > limits.source_bytes_max {
            return Err(TemplateError::TooLong {
                max: limits.source_bytes_max,
            });
        }
        // This check comes first, because everything after it is recursive.
        depth::check(source)?;
        let tree = parse(source, NAME, SyntaxConfig::default())
            .map_err(|error| TemplateError::syntax(&error))?;
        shape::check(&tree)?;
        let environment = Environment::new();
        let template = environment
            .template_from_named_str(NAME, source)
            .map_err(|error| TemplateError::syntax(&error))?;
        let names = template.undeclared_variables(false);
        let is_function = |name: &str| environment.globals().any(|(global, _)| global == name);
        let is_known = |name: &str| {
            Variables::NAMES.contains(&name) || more.contains(&name) || is_function(name)
        };
        if let Some(name) = names.iter().filter(|name| !is_known(name)).min() {
            return Err(TemplateError::UnknownVariable { name: name.clone() });
        }
        Ok(Self {
            source: source.into(),
            limits,
            escape,
            uses_payload: names.contains("payload"),
        })
    }

    /// Whether the template uses the payload, which then has to be read.
    #[must_use]
    pub fn uses_payload(&self) -> bool {
        self.uses_payload
    }

    /// Renders the template with these values. Ends early when `stop` is set.
    pub fn render(&self, variables: &Variables<'_>, stop: &Stop) -> Result<String, RenderError> {
        let Limits {
            work,
            output_bytes_max,
            ..
        } = self.limits;
        let meter = Arc::new(Meter::new(work, output_bytes_max, stop.clone()));
        let mut output = String::new();
        let rendered = self.write(variables, &meter, &mut output);
        if output.len() > output_bytes_max {
            return Err(RenderError::TooLong {
                max: output_bytes_max,
            });
        }
        match rendered {
            Ok(()) => Ok(output),
            Err(_) if stop.is_set() => Err(RenderError::Stopped {
                costly: meter.exceeded_work_limit(),
            }),
            Err(_) if meter.is_exhausted() => Err(RenderError::TooCostly),
            Err(error) => Err(self.explained(&error, variables)),
        }
    }

    fn write(
        &self,
        variables: &Variables<'_>,
        meter: &Arc<Meter>,
        output: &mut String,
    ) -> Result<(), Error> {
        let environment = self.environment(meter);
        let tree = parse(&self.source, NAME, SyntaxConfig::default())?;
        let mut generator = CodeGenerator::new(NAME, &self.source);
        generator.compile_stmt(&metered::statement(&tree));
        let (instructions, _) = generator.finish();
        let (root, blocks) = (
            variables.to_value(self.uses_payload, meter),
            BTreeMap::new(),
        );
        let mut output = make_string_output(output);
        eval(
            &environment,
            &instructions,
            root,
            &blocks,
            &mut output,
            self.escape.clone(),
        )
        .map(drop)
    }

    fn environment(&self, meter: &Arc<Meter>) -> Environment<'_> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(self.limits.fuel));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let escape = self.escape.clone();
        environment.set_auto_escape_callback(move |_| escape.clone());
        let paid = meter.clone();
        environment.set_formatter(move |output, state, value: &Value| {
            if value.is_none() {
                return paid.pay(0);
            }
            operators::pay_deep(&paid, value)?;
            paid.write(operators::written_bytes(value))?;
            minijinja::escape_formatter(output, state, value)
        });
        filters::add(&mut environment, meter, self.limits.output_bytes_max);
        operators::add(&mut environment, meter);
        environment
    }

    /// Returns the error of a render. If the payload does not exist, it says why.
    fn explained(&self, error: &Error, variables: &Variables<'_>) -> RenderError {
        let found = RenderError::of(error);
        match (found, variables.payload.absence()) {
            (RenderError::Failed { line, detail }, Some(why))
                if self.uses_payload && error.kind() == ErrorKind::UndefinedError =>
            {
                RenderError::Failed {
                    line,
                    detail: format!("{detail}; there is no payload variable: {why}"),
                }
            }
            (found, _) => found,
        }
    }
}
