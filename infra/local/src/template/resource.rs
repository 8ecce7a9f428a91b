//! Resource declarations, and the data that their properties become.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use serde_path_to_error::Segment;
use yaml_serde::{Mapping as YamlMapping, Value as Yaml};

use super::Stack;
use super::fault::Fault;
use super::function::{BuildMetadata, FunctionProperties};
use super::kind::Kind;
use super::queue::{MappingProperties, QueueProperties};
use super::scope::Scope;
use super::source::{Source, entries};
use super::storage::{BucketProperties, KeyProperties, SecretProperties};
use super::table::TableProperties;

/// A resource as it is declared.
pub(super) struct Declared<'a> {
    pub(super) kind: Kind,
    properties: Option<&'a Yaml>,
    metadata: Option<&'a Yaml>,
    condition: Option<&'a str>,
}

impl<'a> Declared<'a> {
    pub(super) fn read(declaration: &'a Yaml) -> Result<Self, Fault> {
        let (mut kind, mut properties, mut metadata, mut condition) = (None, None, None, None);
        for (name, value) in entries(declaration)? {
            match name {
                "Type" => {
                    let name = value
                        .as_str()
                        .ok_or_else(|| Fault::new("must be text").under("Type"))?;
                    kind = Some(Kind::parse(name).ok_or_else(|| {
                        Fault::new(format!("{name} is not supported")).under("Type")
                    })?);
                }
                "Properties" => properties = Some(value),
                "Metadata" => metadata = Some(value),
                "Condition" => condition = value.as_str(),
                "DeletionPolicy" | "UpdateReplacePolicy" | "DependsOn" => {}
                other => return Err(Fault::new("is not supported").under(other)),
            }
        }
        let kind = kind.ok_or_else(|| Fault::new("has no Type"))?;
        Ok(Self {
            kind,
            properties,
            metadata,
            condition,
        })
    }

    pub(super) fn exists(&self, scope: &Scope) -> Result<bool, Fault> {
        self.condition
            .map_or(Ok(true), |condition| scope.condition(condition))
    }

    /// Returns the evaluated properties, merged with the `Globals` of functions.
    fn evaluate(&self, scope: &Scope, globals: &Map<String, Json>) -> Result<Json, Fault> {
        let empty = Yaml::Mapping(YamlMapping::new());
        let own = scope
            .evaluate(self.properties.unwrap_or(&empty))
            .map_err(|fault| fault.under("Properties"))?;
        let own = own.unwrap_or_else(|| Json::Object(Map::new()));
        Ok(if self.kind == Kind::Function {
            merged(Json::Object(globals.clone()), own)
        } else {
            own
        })
    }
}

pub(super) fn read_all(source: &Source, scope: &Scope) -> Result<Stack, Fault> {
    let globals = globals(source, scope)?;
    let mut stack = Stack {
        resources: local_aws::Resources::empty(),
        functions: Vec::new(),
        mappings: Vec::new(),
    };
    super::ACCOUNT.clone_into(&mut stack.resources.account);
    super::REGION.clone_into(&mut stack.resources.region);
    for (logical_id, declaration) in source.section("Resources")? {
        read_one(logical_id, declaration, scope, &globals, &mut stack)
            .map_err(|fault| fault.under(logical_id).under("Resources"))?;
    }
    Ok(stack)
}

fn read_one(
    logical_id: &str,
    declaration: &Yaml,
    scope: &Scope,
    globals: &Map<String, Json>,
    stack: &mut Stack,
) -> Result<(), Fault> {
    let declared = Declared::read(declaration)?;
    if !declared.exists(scope)? {
        return Ok(());
    }
    let properties = declared.evaluate(scope, globals)?;
    let name = declared.kind.name(logical_id);
    let resources = &mut stack.resources;
    match declared.kind {
        Kind::Function => {
            let build = declared.metadata.map_or(Ok(Json::Null), |metadata| {
                scope.evaluate(metadata).map(Option::unwrap_or_default)
            });
            let build: BuildMetadata = typed("Metadata", build?)?;
            let arn = scope.attribute(logical_id, "Arn")?;
            let function = typed::<FunctionProperties>("Properties", properties)?
                .function(logical_id, name, arn, build);
            resources.functions.push(declared.kind.name(logical_id));
            stack.functions.push(function.map_err(in_properties)?);
        }
        Kind::EventSourceMapping => {
            stack.mappings.push(
                typed::<MappingProperties>("Properties", properties)?
                    .mapping()
                    .map_err(in_properties)?,
            );
        }
        Kind::Queue => resources
            .queues
            .push(typed::<QueueProperties>("Properties", properties)?.spec(name)),
        Kind::Table => resources.tables.push(
            typed::<TableProperties>("Properties", properties)?
                .spec(name)
                .map_err(in_properties)?,
        ),
        Kind::Bucket => resources
            .buckets
            .push(typed::<BucketProperties>("Properties", properties)?.spec(name)),
        Kind::Key => {
            let _: KeyProperties = typed("Properties", properties)?;
            resources.keys.push(local_aws::KeySpec { name });
        }
        Kind::Secret => resources.secrets.push(
            typed::<SecretProperties>("Properties", properties)?
                .spec(name)
                .map_err(in_properties)?,
        ),
        Kind::EventBus => resources.event_buses.push(name),
        // Routes belong to their functions; the rest matters on AWS only.
        Kind::HttpApi
        | Kind::EventRule
        | Kind::LogGroup
        | Kind::BucketPolicy
        | Kind::QueuePolicy
        | Kind::LogResourcePolicy
        | Kind::NestedStack
        | Kind::DomainName
        | Kind::ApiMapping => {}
    }
    Ok(())
}

fn in_properties(what: String) -> Fault {
    Fault::new(what).under("Properties")
}

/// Returns the `Globals` of functions.
fn globals(source: &Source, scope: &Scope) -> Result<Map<String, Json>, Fault> {
    let mut globals = Map::new();
    for (section, value) in source.section("Globals")? {
        let fault_here = |fault: Fault| fault.under(section).under("Globals");
        if section != "Function" {
            return Err(fault_here(Fault::new("is not supported")));
        }
        if let Some(Json::Object(values)) = scope.evaluate(value).map_err(fault_here)? {
            globals = values;
        }
    }
    Ok(globals)
}

/// Merges a global value with a resource's own, as SAM does: mappings are merged, lists appended,
/// other values replaced.
fn merged(global: Json, own: Json) -> Json {
    match (global, own) {
        (Json::Object(mut global), Json::Object(own)) => {
            for (key, value) in own {
                let value = match global.remove(&key) {
                    Some(below) => merged(below, value),
                    None => value,
                };
                global.insert(key, value);
            }
            Json::Object(global)
        }
        (Json::Array(mut global), Json::Array(own)) => {
            global.extend(own);
            Json::Array(global)
        }
        (_, own) => own,
    }
}

/// Deserializes a value. One that does not fit is an error at its position.
fn typed<T: DeserializeOwned>(section: &str, value: Json) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let steps: Vec<String> = error.path().iter().filter_map(step).collect();
        let fault = Fault::new(error.into_inner().to_string());
        steps
            .into_iter()
            .rev()
            .fold(fault, Fault::under)
            .under(section)
    })
}

fn step(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}
