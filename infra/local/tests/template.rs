//! Reading templates: Waybill's own, and ones that must be refused.

use std::collections::BTreeMap;
use std::time::Duration;

use local::template::{COMPILED_IN, Physical, Route, Stack, Template};
use local_aws::{AttributeType, Engines, Options, Projection, SecretValue};
use serde_json::json;

fn ours(parameters: &[(&str, &str)]) -> Stack {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Template::read(COMPILED_IN, &parameters)
        .unwrap()
        .stack()
        .unwrap()
}

#[test]
fn our_template_gives_the_stack_the_code_expects() {
    let stack = ours(&[
        ("PublicUrl", "http://127.0.0.1:1"),
        ("MonitorIntervalSeconds", "2"),
    ]);
    let [table] = stack.resources.tables.as_slice() else {
        panic!("one table")
    };
    assert_eq!(
        (
            table.name.as_str(),
            table.key.hash.as_str(),
            table.key.range.as_deref()
        ),
        ("waybill-Table", "pk", Some("sk"))
    );
    assert_eq!(table.ttl_attribute.as_deref(), Some("ttl"));
    assert!(
        table
            .indexes
            .iter()
            .all(|index| index.projection == Projection::KeysOnly)
    );
    let indexes: Vec<_> = table
        .indexes
        .iter()
        .map(|index| index.name.as_str())
        .collect();
    assert_eq!(
        indexes,
        [
            "by_destination",
            "attention_org",
            "attention_dst",
            "due",
            "by_reference",
            "failing",
            "trouble"
        ]
    );
    assert!(
        table
            .attributes
            .contains(&("du_at".into(), AttributeType::Number))
    );
    assert_eq!(
        stack.resources.queues.len(),
        13,
        "a queue and its dead letters for each lane, the jobs' and what ingest did not take"
    );
    let [queue, dead_letters, ..] = stack.resources.queues.as_slice() else {
        panic!("two queues")
    };
    assert_eq!(
        (
            queue.visibility_timeout_seconds,
            queue.message_retention_seconds
        ),
        (540, 1_209_600)
    );
    let redrive = queue.redrive.as_ref().unwrap();
    assert_eq!(
        (
            redrive.dead_letter_queue.as_str(),
            redrive.max_receive_count
        ),
        (dead_letters.name.as_str(), 100)
    );
    assert_eq!(stack.resources.buckets[0].name, "waybill-payloads");
    assert!(stack.resources.buckets[0].versioned);
    assert_eq!(stack.resources.keys[0].name, "waybill-Key");
    let Some(SecretValue::Generated(secret)) = &stack.resources.secrets[0].value else {
        panic!("{:?}", stack.resources.secrets)
    };
    assert_eq!((secret.key.as_deref(), secret.length), (Some("root"), 64));

    let names: Vec<_> = stack
        .functions
        .iter()
        .map(|function| (function.binary.as_str(), function.timeout.as_secs()))
        .collect();
    let workers = [
        ("worker_webhook", 90),
        ("worker_email", 900),
        ("worker_storage", 900),
        ("worker_sftp", 900),
        ("worker_database", 900),
    ];
    assert_eq!(
        names,
        [
            &[("api", 29), ("ingest", 29), ("console", 29)],
            &workers[..],
            &[("monitor", 55), ("jobs", 180), ("dead_letters", 60)]
        ]
        .concat()
    );
    let api = &stack.functions[0];
    let paths: Vec<_> = api
        .routes
        .iter()
        .map(|route| route.path.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(
        paths,
        ["/docs", "/healthz", "/d/{token}", "/v1/{proxy+}", "/v1"]
    );
    let console = stack
        .functions
        .iter()
        .find(|function| function.binary == "console")
        .unwrap();
    assert_eq!(
        console.routes,
        [Route {
            method: None,
            path: None
        }],
        "the console answers everything else"
    );
    assert_eq!(api.environment["PUBLIC_URL"], "http://127.0.0.1:1");
    assert_eq!(api.environment["TABLE_NAME"], "waybill-Table");
    assert_eq!(
        api.environment["WEBHOOK_QUEUE_URL"],
        "https://sqs.us-east-1.amazonaws.com/000000000000/waybill-WebhookQueue"
    );
    assert_eq!(
        api.environment["WORKER_WEBHOOK_FUNCTION"],
        "waybill-WorkerWebhook"
    );
    assert_eq!(
        api.environment["FUNCTION_TIMEOUT_SECONDS"],
        api.timeout.as_secs().to_string()
    );
    let monitor = stack
        .functions
        .iter()
        .find(|function| function.binary == "monitor")
        .unwrap();
    assert_eq!(monitor.environment["MONITOR_INTERVAL_SECONDS"], "2");
    let schedules: Vec<_> = monitor
        .schedules
        .iter()
        .map(|one| (one.name.as_str(), one.period.as_secs(), one.input.clone()))
        .collect();
    assert_eq!(
        schedules,
        [
            ("Reconcile", 3_600, json!({"reconcile": "hourly"})),
            (local::instance::SWEEP, 60, json!({}))
        ]
    );

    let mappings: Vec<_> = stack
        .mappings
        .iter()
        .map(|mapping| (mapping.queue_url(), mapping.function.as_str()))
        .collect();
    assert_eq!(
        mappings[0],
        (
            api.environment["WEBHOOK_QUEUE_URL"].clone(),
            "waybill-WorkerWebhook"
        )
    );
    assert_eq!(mappings[1].1, "waybill-DeadLetters");
    assert!(
        stack
            .mappings
            .iter()
            .all(|mapping| mapping.reports_item_failures)
    );
    let single = [
        "waybill-WorkerStorage",
        "waybill-WorkerSftp",
        "waybill-WorkerDatabase",
        "waybill-Jobs",
    ];
    let size = |function: &str| if single.contains(&function) { 1 } else { 10 };
    assert!(
        stack
            .mappings
            .iter()
            .all(|mapping| mapping.batch_size == size(&mapping.function))
    );
}

#[test]
fn no_function_may_do_everything() {
    for function in ours(&[]).functions {
        for statement in &function.statements {
            assert!(
                !statement.actions.iter().any(|action| action.contains('*')),
                "{}: {:?}",
                function.logical_id,
                statement.actions
            );
            assert!(
                !statement.resources.iter().any(|resource| resource == "*"),
                "{}: {:?}",
                function.logical_id,
                statement.resources
            );
        }
    }
}

#[tokio::test]
async fn identifiers_that_engines_issue_reach_the_functions() {
    let directory = tempfile::tempdir().unwrap();
    let mut template = Template::read(COMPILED_IN, &BTreeMap::new()).unwrap();
    let engines = Engines::open(
        directory.path(),
        &template.stack().unwrap().resources,
        Options::local(),
    )
    .unwrap();
    local::run::assign(&mut template, &engines);
    let api = template.stack().unwrap().functions.remove(0);
    let key_arn = engines.key_arn("waybill-Key").unwrap();
    assert_eq!(api.environment["KMS_KEY_ID"], key_arn);
    assert!(
        api.statements
            .iter()
            .any(|statement| statement.resources.contains(&key_arn))
    );
    let arn = |name: &str| engines.secret_arn(&format!("waybill-{name}")).unwrap();
    assert_eq!(
        api.environment["SIGNING_KEYS_SECRET_ARN"],
        arn("SigningKeys")
    );
    let own = ["SigningKeys", "CursorKeys", "LinkKeys", "SessionKeys"]
        .map(arn)
        .join(",");
    assert_eq!(api.environment["OWN_SECRET_ARNS"], own);
    engines.close().await;
}

/// Makes a template with these resources.
fn around(resources: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Size:\n    Type: Number\n    Default: 7\nConditions:\n  Big: !Equals [!Ref Size, 9]\n\
         Globals:\n  Function:\n    Timeout: 5\n    Environment:\n      Variables:\n        SHARED: yes\nResources:\n{resources}"
    )
}

const FUNCTION: &str = "  F:\n    Type: AWS::Serverless::Function\n    Metadata:\n      BuildMethod: rust-cargolambda\n      BuildProperties:\n        \
                        Binary: f\n    Properties:\n";

#[test]
fn globals_parameters_and_conditions_are_applied() {
    let text = around(&format!(
        "{FUNCTION}      MemorySize: !Ref Size\n      Environment:\n        Variables:\n          OWN: !If [Big, large, small]\n          \
         GONE: !Ref AWS::NoValue\n  Q:\n    Condition: Big\n    Type: AWS::SQS::Queue\n"
    ));
    let read = |parameters: &[(&str, &str)]| {
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Template::read(&text, &parameters).unwrap().stack().unwrap()
    };
    let small = read(&[]);
    let function = &small.functions[0];
    assert_eq!(
        (function.timeout, function.memory_mb),
        (Duration::from_secs(5), 7)
    );
    let environment = [("OWN", "small"), ("SHARED", "yes")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(function.environment, BTreeMap::from(environment));
    assert!(small.resources.queues.is_empty());
    let big = read(&[("Size", "9")]);
    assert_eq!(big.functions[0].environment["OWN"], "large");
    assert_eq!(big.resources.queues.len(), 1);
}

#[test]
fn unsupported_parts_are_named_with_their_line() {
    let function = |properties: &str| around(&format!("{FUNCTION}{properties}"));
    let queue = |property: &str| {
        around(&format!(
            "  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      {property}\n"
        ))
    };
    let events = |event: &str| function(&format!("      Events:\n        E:\n          {event}\n"));
    let policies = |policy: &str| function(&format!("      Policies:\n        - {policy}\n"));
    let cases = [
        (
            around("  T:\n    Type: AWS::SNS::Topic\n"),
            "Type: AWS::SNS::Topic",
            "Resources.T.Type: AWS::SNS::Topic is not supported",
        ),
        (
            around("  Q:\n    Type: AWS::SQS::Queue\n    CreationPolicy: x\n"),
            "CreationPolicy",
            "Resources.Q.CreationPolicy",
        ),
        (
            around("  Q:\n    Type: AWS::SQS::Queue\n    Condition: Tiny\n"),
            "Q:",
            "Tiny is no condition",
        ),
        (
            queue("FifoQueue: true"),
            "FifoQueue",
            "Resources.Q.Properties.FifoQueue: unknown field",
        ),
        (
            queue("DelaySeconds: !Ref Gone"),
            "DelaySeconds",
            "Gone is no parameter",
        ),
        (
            queue("DelaySeconds: soon"),
            "DelaySeconds",
            "must be a whole number",
        ),
        (
            function("      ImageUri: x\n"),
            "ImageUri",
            "Resources.F.Properties.ImageUri",
        ),
        (events("Type: SNS"), "Type: SNS", "unknown variant `SNS`"),
        (
            events(
                "Type: ScheduleV2\n          Properties: {ScheduleExpression: cron(0), Input: '{}'}",
            ),
            "Properties:",
            "event E: cron(0) is not supported",
        ),
        (
            policies("AmazonSQSFullAccess"),
            "- AmazonSQSFullAccess",
            "Resources.F.Properties.Policies.0",
        ),
        (
            policies(
                "Statement:\n            - Effect: Allow\n              NotAction: \
                 x\n              Resource: y",
            ),
            "NotAction",
            "unknown field",
        ),
        (
            policies(
                "Statement: [{Effect: Allow, Action: x, Resource: y, Condition: {IpAddress: {a: \
                 b}}}]",
            ),
            "Properties:",
            "IpAddress is not supported",
        ),
        (
            around("  Q: {Type: AWS::SQS::Queue}\n")
                .replace("Globals:\n  Function:", "Globals:\n  Api:"),
            "Api:",
            "Globals.Api",
        ),
        (
            around("  Q: {Type: AWS::SQS::Queue}\n").replace("Conditions", "Mappings"),
            "Mappings:",
            "Mappings: this section is not supported",
        ),
        (
            around("  Q: {Type: AWS::SQS::Queue}\n").replace("Serverless", "Other"),
            "Transform",
            "Transform",
        ),
        (
            around("  Q: {Type: AWS::SQS::Queue}\n").replace("    Default: 7\n", ""),
            "Size:",
            "Parameters.Size: has no default",
        ),
    ];
    for (text, line, expected) in cases {
        let error = match Template::read(&text, &BTreeMap::new()) {
            Err(error) => error,
            Ok(template) => template.stack().unwrap_err(),
        };
        assert!(error.to_string().contains(expected), "{error}\n{text}");
        let named = text.lines().nth(error.line - 1).unwrap().trim();
        assert!(named.starts_with(line), "{error}: {named}\n{text}");
    }
}

#[test]
fn parameters_must_exist_and_fit() {
    let read = |name: &str, value: &str| {
        Template::read(
            COMPILED_IN,
            &BTreeMap::from([(name.to_owned(), value.to_owned())]),
        )
    };
    assert!(read("RateLimits", "off").is_ok());
    let cases = [
        ("RateLimits", "maybe", "\"maybe\" is not among on, off"),
        ("MonitorIntervalSeconds", "soon", "is not a number"),
        ("Colour", "red", "there is no parameter Colour to set"),
    ];
    for (name, value, expected) in cases {
        let error = read(name, value).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_assigned_name_replaces_the_given_one() {
    let mut template =
        Template::read(&around("  K:\n    Type: AWS::KMS::Key\n"), &BTreeMap::new()).unwrap();
    template.assign("K", Physical::new("id-1").with("Arn", "arn:1".into()));
    assert_eq!(template.physical("K").unwrap().attributes["Arn"], "arn:1");
}
