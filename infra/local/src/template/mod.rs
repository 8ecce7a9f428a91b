//! Reads `template.yaml` as CloudFormation and SAM would, as far as it is written here, so that every local start exercises it.
//!
//! A **source** is the text and its tree. **Parameters** get their values, **conditions** are decided, every **resource** gets its
//! physical name; in that **scope** the intrinsic functions are **evaluated**, and each resource's properties are **read** into the
//! data its engine or the runner works with: the **stack**. What is not understood stops the reading, with its place and line.
//!
//! A property that has no meaning on a laptop is listed in its resource's struct all the same: the structs are the whole of what a
//! template may say.

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
/// Outputs are for those who deploy.
const SECTIONS: [&str; 8] =
    ["AWSTemplateFormatVersion", "Transform", "Description", "Parameters", "Conditions", "Globals", "Resources", "Outputs"];

/// A template whose parameters have their values.
pub struct Template {
    source: Source,
    scope: Scope,
}

/// What a template declares, as far as it runs here.
#[derive(Debug)]
pub struct Stack {
    /// For the engines.
    pub resources: local_aws::Resources,
    /// The functions.
    pub functions: Vec<Function>,
    /// The queues that feed them.
    pub mappings: Vec<Mapping>,
}

impl Template {
    /// Reads the text, with these parameters instead of their defaults.
    pub fn read(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let source = Source::parse(text)?;
        match scope_of(&source, parameters) {
            Ok(scope) => Ok(Self { source, scope }),
            Err(fault) => Err(source.locate(fault)),
        }
    }

    /// The resources that exist under these parameters.
    pub fn logical_ids(&self) -> Vec<String> {
        self.scope.resources.keys().cloned().collect()
    }

    /// Takes what an engine called a resource in the place of the name given here.
    pub fn assign(&mut self, logical_id: &str, physical: Physical) {
        self.scope.resources.insert(logical_id.to_owned(), physical);
    }

    /// What a resource is called.
    pub fn physical(&self, logical_id: &str) -> Option<&Physical> {
        self.scope.resources.get(logical_id)
    }

    /// The whole template, evaluated.
    pub fn stack(&self) -> Result<Stack, TemplateError> {
        resource::read_all(&self.source, &self.scope).map_err(|fault| self.source.locate(fault))
    }
}

fn scope_of(source: &Source, parameters: &BTreeMap<String, String>) -> Result<Scope, Fault> {
    for (key, _) in source.root() {
        match key.as_str() {
            Some(section) if SECTIONS.contains(&section) => {}
            section => return Err(Fault::new("this section is not supported").under(section.unwrap_or("?"))),
        }
    }
    if source.root().get("Transform").and_then(Yaml::as_str) != Some(TRANSFORM) {
        return Err(Fault::new(format!("must be {TRANSFORM}")).under("Transform"));
    }
    let mut scope = Scope { parameters: parameter::read(source, parameters)?, ..Scope::default() };
    for (name, expression) in source.section("Conditions")? {
        let decided = scope.decide(expression).map_err(|fault| fault.under(name).under("Conditions"))?;
        scope.conditions.insert(name.to_owned(), decided);
    }
    for (logical_id, declaration) in source.section("Resources")? {
        let declared = Declared::read(declaration).map_err(|fault| fault.under(logical_id).under("Resources"))?;
        if declared.exists(&scope).map_err(|fault| fault.under(logical_id).under("Resources"))? {
            scope.resources.insert(logical_id.to_owned(), declared.kind.physical(logical_id));
        }
    }
    Ok(scope)
}
