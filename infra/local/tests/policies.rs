//! The permissions of each function's role on AWS: the template's statements, evaluated for
//! Waybill's own resources, for those of others, and for public ones.

use std::collections::{BTreeMap, BTreeSet};

use local::template::{COMPILED_IN, Function, Template};
use local_aws::{Caller, Decision, Effect, Policy, Target};
use runtime::platform::system_clock;
use vault::KeyUse;

use crate::opened::Opened;

const OWN: &str = "000000000000";
const FOREIGN: &str = "123456789012";
const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/waybill-Key";
const WORKERS: [&str; 5] = [
    "worker_webhook",
    "worker_email",
    "worker_storage",
    "worker_sftp",
    "worker_database",
];
const FRONTS: [&str; 3] = ["api", "console", "ingest"];

fn functions(parameters: &[(&str, &str)]) -> Vec<Function> {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Template::read(COMPILED_IN, &parameters)
        .unwrap()
        .stack()
        .unwrap()
        .functions
}

/// Returns the functions that may do this, by their binaries.
fn who_may(functions: &[Function], target: &Target) -> BTreeSet<String> {
    let may = |function: &&Function| {
        Policy {
            statements: function.statements.clone(),
        }
        .decide(target)
            == Decision::Allowed
    };
    functions
        .iter()
        .filter(may)
        .map(|function| function.binary.clone())
        .collect()
}

fn set<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn in_account(target: Target, account: &str) -> Target {
    target.with("aws:ResourceAccount", account)
}

#[test]
fn customers_roles_are_assumed_with_an_external_id_and_our_own_never() {
    let functions = functions(&[]);
    let assume = |account: &str, role: &str| {
        Target::new(
            "sts:AssumeRole",
            format!("arn:aws:iam::{account}:role/{role}"),
        )
    };
    let with_id = |target: Target| target.with("sts:ExternalId", "issued");
    let foreign = in_account(with_id(assume(FOREIGN, "reports")), FOREIGN);
    assert_eq!(
        who_may(&functions, &foreign),
        set(FRONTS.into_iter().chain(WORKERS))
    );
    let without_id = in_account(assume(FOREIGN, "reports"), FOREIGN);
    assert_eq!(who_may(&functions, &without_id), set([]));
    for role in [
        "waybill-ApiRole",
        "waybill-WorkerStorageRole-AbC",
        "Administrator",
        "path/to/role",
        "*",
    ] {
        for target in [
            with_id(assume(OWN, role)),
            in_account(with_id(assume(OWN, role)), OWN),
        ] {
            assert_eq!(who_may(&functions, &target), set([]), "{role}");
            let denied = functions.iter().filter(|function| {
                Policy {
                    statements: function.statements.clone(),
                }
                .decide(&target)
                    == Decision::Denied
            });
            assert_eq!(
                denied.count(),
                FRONTS.len() + WORKERS.len(),
                "whatever else is attached to a role, {role} stays denied"
            );
        }
    }
    // The account decides, however the ARN is written.
    let disguised = in_account(with_id(assume("*", "reports")), OWN);
    assert_eq!(who_may(&functions, &disguised), set([]));
}

#[test]
fn buckets_are_this_accounts_and_those_that_may_be_granted() {
    let functions = functions(&[]);
    let object =
        |action: &str, bucket: &str| Target::new(action, format!("arn:aws:s3:::{bucket}/a"));
    for (action, bucket, expected) in [
        (
            "s3:GetObject",
            "waybill-payloads",
            set(FRONTS.into_iter().chain(WORKERS).chain(["jobs"])),
        ),
        (
            "s3:GetObject",
            "waybill-grantable-acme",
            set(FRONTS.into_iter().chain(WORKERS)),
        ),
        (
            "s3:PutObject",
            "waybill-grantable-acme",
            set(["worker_storage"]),
        ),
        ("s3:GetObject", "somebody-elses", set([])),
        ("s3:PutObject", "somebody-elses", set([])),
        ("s3:PutBucketPolicy", "waybill-payloads", set([])),
    ] {
        let may = who_may(&functions, &in_account(object(action, bucket), OWN));
        // Another test covers which of them read payloads.
        assert!(
            may.is_subset(&expected) && may.is_empty() == expected.is_empty(),
            "{action} {bucket}: {may:?}"
        );
        assert_eq!(
            who_may(&functions, &in_account(object(action, bucket), FOREIGN)),
            set([]),
            "{action} {bucket} of another account"
        );
        assert_eq!(
            who_may(&functions, &object(action, bucket)),
            set([]),
            "{action} {bucket} of an unknown account"
        );
    }
}

#[test]
fn mail_is_sent_from_grantable_identities_and_from_the_address_of_alerts() {
    let identity = |name: &str| format!("arn:aws:ses:us-east-1:{OWN}:identity/{name}");
    let send = |name: &str, from: &str| {
        Target::new("ses:SendEmail", identity(name)).with("ses:FromAddress", from)
    };
    let none = functions(&[]);
    for name in ["acme.example", "ceo@acme.example", "*"] {
        assert_eq!(
            who_may(&none, &send(name, "ceo@acme.example")),
            set([]),
            "{name}"
        );
    }
    let some = functions(&[
        ("GrantableIdentities", "*.tenants.example"),
        ("AlertFrom", "alerts@waybill.example"),
    ]);
    let worker = set(["worker_email"]);
    assert_eq!(
        who_may(
            &some,
            &send("acme.tenants.example", "a@acme.tenants.example")
        ),
        worker
    );
    assert_eq!(
        who_may(&some, &send("waybill.example", "alerts@waybill.example")),
        worker
    );
    for (name, from) in [
        ("waybill.example", "ceo@waybill.example"),
        ("tenants.example", "a@tenants.example"),
        ("acme.example", "a@acme.example"),
    ] {
        assert_eq!(who_may(&some, &send(name, from)), set([]), "{name} {from}");
    }
    let foreign = Target::new(
        "ses:SendEmail",
        format!("arn:aws:ses:us-east-1:{FOREIGN}:identity/acme.tenants.example"),
    );
    assert_eq!(who_may(&some, &foreign), set([]));
    assert_eq!(
        who_may(
            &some,
            &Target::new("ses:DeleteEmailIdentity", identity("acme.tenants.example"))
        ),
        set([])
    );
}

#[test]
fn databases_are_signed_into_as_grantable_users() {
    let functions = functions(&[]);
    let connect = |account: &str, user: &str| {
        Target::new(
            "rds-db:connect",
            format!("arn:aws:rds-db:us-east-1:{account}:dbuser:{user}"),
        )
    };
    assert_eq!(
        who_may(&functions, &connect(OWN, "cluster-1/waybill_acme")),
        set(["worker_database"])
    );
    for (account, user) in [
        (OWN, "cluster-1/admin"),
        (OWN, "*/*"),
        (OWN, "cluster-1/*"),
        (FOREIGN, "cluster-1/waybill_acme"),
    ] {
        assert_eq!(
            who_may(&functions, &connect(account, user)),
            set([]),
            "{account} {user}"
        );
    }
}

#[test]
fn fronts_seal_workers_open_and_neither_without_saying_for_whom() {
    let functions = functions(&[]);
    let key = |action: &str, key: &str, context: &[&str]| {
        context
            .iter()
            .fold(Target::new(action, key), |target, name| {
                target.with(&format!("kms:EncryptionContext:{name}"), "x")
            })
    };
    let both = ["organization", "destination"];
    assert_eq!(
        who_may(&functions, &key("kms:GenerateDataKey", KEY, &both)),
        set(FRONTS.into_iter().chain(["worker_email"]))
    );
    let openers = who_may(&functions, &key("kms:Decrypt", KEY, &both));
    assert!(
        openers.is_subset(&set(WORKERS.into_iter().chain(["jobs"]))),
        "{openers:?}"
    );
    assert!(set(WORKERS).is_subset(&openers));
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        for context in [&[][..], &["organization"], &["destination"]] {
            assert_eq!(
                who_may(&functions, &key(action, KEY, context)),
                set([]),
                "{action} {context:?}"
            );
        }
        for other in [
            KEY.replace(OWN, FOREIGN),
            KEY.replace("waybill-Key", "other"),
            "*".to_owned(),
        ] {
            assert_eq!(
                who_may(&functions, &key(action, &other, &both)),
                set([]),
                "{action} {other}"
            );
        }
    }
    for action in [
        "kms:ScheduleKeyDeletion",
        "kms:PutKeyPolicy",
        "kms:CreateGrant",
        "kms:ReEncryptFrom",
    ] {
        assert_eq!(
            who_may(&functions, &key(action, KEY, &both)),
            set([]),
            "{action}"
        );
    }
}

#[test]
fn a_secret_is_read_only_if_it_is_tagged_for_an_organization() {
    let functions = functions(&[]);
    let read = |account: &str| {
        Target::new(
            "secretsmanager:GetSecretValue",
            format!("arn:aws:secretsmanager:us-east-1:{account}:secret:acme-AbCdEf"),
        )
    };
    let tagged =
        |target: Target| target.with("secretsmanager:ResourceTag/waybill:organization", "org_1");
    assert_eq!(
        who_may(&functions, &tagged(read(OWN))),
        set(["worker_webhook"])
    );
    assert_eq!(who_may(&functions, &read(OWN)), set([]));
    assert_eq!(who_may(&functions, &tagged(read(FOREIGN))), set([]));
}

/// A statement with a wildcard over resources that the operator did not choose has a condition that
/// narrows it.
#[test]
fn no_statement_reaches_everything_of_a_kind_without_a_condition() {
    for function in functions(&[]) {
        for statement in function
            .statements
            .iter()
            .filter(|statement| statement.effect == Effect::Allow)
        {
            let wide = statement.resources.iter().any(|resource| {
                let name = resource.splitn(6, ':').nth(5).unwrap_or("*");
                matches!(
                    name,
                    "*" | "role/*"
                        | "secret:*"
                        | "identity/*"
                        | "dbuser:*/*"
                        | "*/*"
                        | "key/*"
                        | "table/*"
                )
            });
            assert!(
                !wide || !statement.conditions.is_empty(),
                "{}: {statement:?}",
                function.logical_id
            );
        }
    }
}

/// On engines that enforce its policy, each role reads the signing keys that it needs and no
/// others.
#[tokio::test]
async fn a_role_reads_the_signing_keys_that_it_needs_and_none_changes_them() {
    let opened = Opened::new("", "");
    let functions = opened.template.stack().unwrap().functions;
    for (name, usage, readers) in [
        (
            "SigningKeys",
            KeyUse::Ids,
            set(FRONTS.into_iter().chain(WORKERS).chain(["monitor"])),
        ),
        ("CursorKeys", KeyUse::Cursors, set(["api", "console"])),
        (
            "LinkKeys",
            KeyUse::Links,
            set(["api", "console", "worker_email"]),
        ),
        ("SessionKeys", KeyUse::Sessions, set(["console"])),
    ] {
        let arn = opened
            .engines
            .secret_arn(&format!("waybill-{name}"))
            .unwrap();
        let mut read = BTreeSet::new();
        for function in &functions {
            let policy = Policy {
                statements: function.statements.clone(),
            };
            let aws = opened
                .engines
                .sdk_config(Caller::new(function.name.clone(), policy));
            if vault::key_ring(&aws, arn, usage, system_clock().now())
                .await
                .is_ok()
            {
                read.insert(function.binary.clone());
            }
        }
        assert_eq!(read, readers, "{name}");
        for action in [
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecret",
            "secretsmanager:TagResource",
        ] {
            assert_eq!(
                who_may(&functions, &Target::new(action, arn)),
                set([]),
                "{action} {name}"
            );
        }
    }
    opened.engines.close().await;
}

#[test]
fn the_collectors_headers_are_read_from_their_secret_and_are_in_no_environment() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:collector-AbCdEf";
    let read = Target::new("secretsmanager:GetSecretValue", ARN);
    assert_eq!(who_may(&functions(&[]), &read), set([]));
    let functions = functions(&[("OtlpHeadersSecretArn", ARN)]);
    assert_eq!(who_may(&functions, &read).len(), functions.len());
    assert!(
        functions
            .iter()
            .all(|function| function.environment["OTLP_HEADERS_SECRET_ARN"] == ARN)
    );
    assert!(functions.iter().all(|function| {
        !function
            .environment
            .contains_key("OTEL_EXPORTER_OTLP_HEADERS")
    }));
}

/// Policies outside of the functions' roles, read as text.
#[test]
fn every_queue_refuses_plain_http_and_every_log_is_encrypted_under_our_key() {
    let template: yaml_serde::Value = yaml_serde::from_str(COMPILED_IN).unwrap();
    let resources: BTreeMap<&str, &yaml_serde::Value> = template["Resources"]
        .as_mapping()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str().unwrap(), value))
        .collect();
    let of_type = |kind: &str| {
        resources
            .iter()
            .filter(|(_, resource)| resource["Type"].as_str() == Some(kind))
            .collect::<Vec<_>>()
    };
    let mut covered = BTreeSet::new();
    for (name, policy) in of_type("AWS::SQS::QueuePolicy") {
        let statement = &policy["Properties"]["PolicyDocument"]["Statement"][0];
        assert_eq!(
            (statement["Effect"].as_str(), statement["Action"].as_str()),
            (Some("Deny"), Some("sqs:*")),
            "{name}"
        );
        assert_eq!(
            statement["Condition"]["Bool"]["aws:SecureTransport"].as_str(),
            Some("false"),
            "{name}"
        );
        let queues = policy["Properties"]["Queues"].as_sequence().unwrap();
        covered.extend(queues.iter().map(|queue| reference(queue).to_owned()));
    }
    assert_eq!(
        covered,
        set(of_type("AWS::SQS::Queue")
            .into_iter()
            .map(|(name, _)| *name))
    );
    let logs = of_type("AWS::Logs::LogGroup");
    assert!(logs.len() > 10);
    assert!(
        logs.iter()
            .all(|(_, log)| reference(&log["Properties"]["KmsKeyId"]) == "Key.Arn")
    );
}

/// Returns what `!Ref` or `!GetAtt` names.
fn reference(value: &yaml_serde::Value) -> &str {
    match value {
        yaml_serde::Value::Tagged(tagged) => tagged.value.as_str().unwrap_or_default(),
        _ => "",
    }
}

#[test]
fn workers_delete_the_bodies_that_they_store_and_no_payloads() {
    let functions = functions(&[]);
    let delete = |key: &str| {
        let object = format!("arn:aws:s3:::waybill-payloads/30/org_1/{key}");
        in_account(Target::new("s3:DeleteObject", object), OWN)
    };
    let erasing = || FRONTS.into_iter().chain(["jobs"]);
    assert_eq!(
        who_may(&functions, &delete("dlv_1.body")),
        set(erasing().chain(WORKERS))
    );
    assert_eq!(who_may(&functions, &delete("msg_1")), set(erasing()));
}
