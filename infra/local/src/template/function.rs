//! Functions: their limits, environment, permissions and triggers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::property::{AwsOnly, Number, Text};
use super::route::{Route, RouteProperties};
use super::schedule::{Schedule, ScheduleProperties};
use super::statement::StatementProperties;

/// The defaults of Lambda for what a template leaves out.
const TIMEOUT_SECONDS: Number = Number(3);
const MEMORY_MB: Number = Number(128);

/// A function, as the template declares it.
#[derive(Debug, Clone)]
pub struct Function {
    /// The logical id of the function.
    pub logical_id: String,
    /// The physical name of the function.
    pub name: String,
    /// The ARN of the function.
    pub arn: String,
    /// The binary of the function, which determines the crate that it runs.
    pub binary: String,
    /// The timeout of an invocation.
    pub timeout: Duration,
    /// The memory of the function on AWS, in megabytes.
    pub memory_mb: u32,
    /// The environment variables of the function.
    pub environment: BTreeMap<String, String>,
    /// The permissions of the function.
    pub statements: Vec<local_aws::Statement>,
    /// The HTTP routes of the function.
    pub routes: Vec<Route>,
    /// The schedules of the function.
    pub schedules: Vec<Schedule>,
    /// The rules that send it events from a bus.
    pub rules: Vec<local_aws::Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct FunctionProperties {
    function_name: Option<Text>,
    timeout: Option<Number>,
    memory_size: Option<Number>,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    policies: Vec<PolicyProperties>,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    architectures: Option<AwsOnly>,
    code_uri: Option<AwsOnly>,
    description: Option<AwsOnly>,
    event_invoke_config: Option<AwsOnly>,
    handler: Option<AwsOnly>,
    layers: Option<AwsOnly>,
    logging_config: Option<AwsOnly>,
    reserved_concurrent_executions: Option<AwsOnly>,
    runtime: Option<AwsOnly>,
    tracing: Option<AwsOnly>,
    vpc_config: Option<AwsOnly>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Environment {
    variables: BTreeMap<String, Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
struct PolicyProperties {
    version: Option<AwsOnly>,
    statement: Vec<StatementProperties>,
}

#[derive(Deserialize)]
#[serde(tag = "Type", content = "Properties", deny_unknown_fields)]
enum Event {
    HttpApi(RouteProperties),
    ScheduleV2(ScheduleProperties),
    #[serde(rename = "EventBridgeRule")]
    Rule(RuleProperties),
}

/// A rule that sends a function events from a bus.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
struct RuleProperties {
    event_bus_name: Text,
    pattern: RulePattern,
    retry_policy: Option<AwsOnly>,
    dead_letter_config: Option<AwsOnly>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RulePattern {
    detail_type: Vec<String>,
}

/// How the function is built.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct BuildMetadata {
    build_method: AwsOnly,
    build_properties: BuildProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BuildProperties {
    binary: String,
}

impl FunctionProperties {
    pub(super) fn function(
        self,
        logical_id: &str,
        name: String,
        arn: String,
        build: BuildMetadata,
    ) -> Result<Function, String> {
        if let Some(Text(other)) = self.function_name.filter(|own| own.0 != name) {
            return Err(format!(
                "FunctionName is {other}: it can only be {name}, the stack's name and the logical \
                 id"
            ));
        }
        let (mut routes, mut schedules, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        let physical = name.clone();
        for (name, event) in self.events {
            match event {
                Event::HttpApi(properties) => routes.push(properties.into()),
                Event::Rule(rule) => {
                    rules.push(local_aws::Rule {
                        bus: rule.event_bus_name.0,
                        detail_types: rule.pattern.detail_type,
                        function: physical.clone(),
                    });
                }
                Event::ScheduleV2(properties) => {
                    schedules.push(
                        properties
                            .schedule(name.clone())
                            .map_err(|what| format!("event {name}: {what}"))?,
                    );
                }
            }
        }
        Ok(Function {
            logical_id: logical_id.to_owned(),
            name,
            arn,
            binary: build.build_properties.binary,
            timeout: Duration::from_secs(self.timeout.unwrap_or(TIMEOUT_SECONDS).0.into()),
            memory_mb: self.memory_size.unwrap_or(MEMORY_MB).0,
            environment: self
                .environment
                .variables
                .into_iter()
                .map(|(name, value)| (name, value.0))
                .collect(),
            statements: self
                .policies
                .into_iter()
                .flat_map(|policy| policy.statement)
                .map(StatementProperties::statement)
                .collect::<Result<_, _>>()?,
            routes,
            schedules,
            rules,
        })
    }
}
