//! Reads the parts of CloudFormation and SAM that `template.yaml` uses, so that every local start
//! exercises it.
//!
//! A source is the text and its tree. Parameters get their values, conditions are evaluated, and
//! every resource gets its physical name. In this scope the intrinsic functions are evaluated, and
//! the properties of each resource are read into the data that its engine or the runner uses: the
//! stack. Anything that is not supported is an error with its position.
//!
//! Properties that have no meaning locally are still listed in the structs of their resources, so
//! that the structs define everything that a template may contain.

mod fault;
mod function;
mod kind;
mod parameter;
mod property;
mod queue;
mod resource;
mod route;
mod schedule;
mod scope;
mod source;
mod statement;
mod storage;
mod table;

use std::collections::BTreeMap;

use yaml_serde::Value as Yaml;

pub use fault::TemplateError;
pub use function::Function;
pub use kind::{ACCOUNT, Physical, REGION, STACK, physical_name};
pub use queue::Mapping;
pub use route::Route;
pub use schedule::Schedule;

use fault::Fault;
use resource::Declared;
use scope::Scope;
use source::Source;

/// The template that this binary was built with.
pub const COMPILED_IN: &str = include_str!("../../../../template.yaml");

const TRANSFORM: &str = "AWS::Serverless-2016-10-31";
/// The supported sections. Outputs are only for deployments.
const SECTIONS: [&str; 8] = [
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Parameters",
    "Conditions",
    "Globals",
    "Resources",
    "Outputs",
];

/// A template with the values of its parameters.
pub struct Template {
    source: Source,
    scope: Scope,
}

/// What a template declares, as far as it runs locally.
#[derive(Debug)]
pub struct Stack {
    /// The resources of the engines.
    pub resources: local_aws::Resources,
    /// The functions of the stack.
    pub functions: Vec<Function>,
    /// The queues that trigger functions.
    pub mappings: Vec<Mapping>,
}

impl Template {
    /// Reads the text. `parameters` override the defaults.
    pub fn read(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let source = Source::parse(text)?;
        match scope_of(&source, parameters) {
            Ok(scope) => Ok(Self { source, scope }),
            Err(fault) => Err(source.locate(fault)),
        }
    }

    /// Returns the logical ids of the resources that exist with these parameters.
    pub fn logical_ids(&self) -> Vec<String> {
        self.scope.resources.keys().cloned().collect()
    }

    /// Replaces the derived identifiers of a resource by those that an engine issued.
    pub fn assign(&mut self, logical_id: &str, physical: Physical) {
        self.scope.resources.insert(logical_id.to_owned(), physical);
    }

    /// Returns the identifiers of a resource.
    pub fn physical(&self, logical_id: &str) -> Option<&Physical> {
        self.scope.resources.get(logical_id)
    }

    /// Evaluates the whole template.
    pub fn stack(&self) -> Result<Stack, TemplateError> {
        resource::read_all(&self.source, &self.scope).map_err(|fault| self.source.locate(fault))
    }
}

fn scope_of(source: &Source, parameters: &BTreeMap<String, String>) -> Result<Scope, Fault> {
    for (key, _) in source.root() {
        match key.as_str() {
            Some(section) if SECTIONS.contains(&section) => {}
            section => {
                return Err(
                    Fault::new("this section is not supported").under(section.unwrap_or("?"))
                );
            }
        }
    }
    if source.root().get("Transform").and_then(Yaml::as_str) != Some(TRANSFORM) {
        return Err(Fault::new(format!("must be {TRANSFORM}")).under("Transform"));
    }
    let mut scope = Scope {
        parameters: parameter::read(source, parameters)?,
        ..Scope::default()
    };
    for (name, expression) in source.section("Conditions")? {
        let decided = scope
            .decide(expression)
            .map_err(|fault| fault.under(name).under("Conditions"))?;
        scope.conditions.insert(name.to_owned(), decided);
    }
    for (logical_id, declaration) in source.section("Resources")? {
        let declared = Declared::read(declaration)
            .map_err(|fault| fault.under(logical_id).under("Resources"))?;
        if declared
            .exists(&scope)
            .map_err(|fault| fault.under(logical_id).under("Resources"))?
        {
            scope
                .resources
                .insert(logical_id.to_owned(), declared.kind.physical(logical_id));
        }
    }
    Ok(scope)
}
