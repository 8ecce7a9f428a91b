//! The part of a form that sets how failed attempts are retried: with the inherited schedule, with
//! growing waits, with the preset, or with a list of waits.

use domain::retry::{RetryPolicy, SCHEDULE, SCHEDULE_SECONDS};
use serde_json::{Map, Value, json};

use crate::form::Form;
use crate::schema_form::{self, Field};
use crate::show;

/// How the waits between attempts are determined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// By the organization's schedule, or by Waybill's default for an organization.
    Inherited,
    Growing,
    Patient,
    Listed,
}

impl Plan {
    const GROWING: &str = "growing";
    const LISTED: &str = "listed";

    fn of(stored: &Value) -> Self {
        match stored {
            Value::Null => Self::Inherited,
            policy if policy["preset"] == "patient" => Self::Patient,
            policy if policy["schedule_seconds"].is_array() => Self::Listed,
            _ => Self::Growing,
        }
    }

    fn chosen(form: &Form, group: &str) -> Option<Self> {
        [Self::Inherited, Self::Growing, Self::Patient, Self::Listed]
            .into_iter()
            .find(|plan| form.text(&switch(group)) == Some(plan.word()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Inherited => "inherited",
            Self::Growing => Self::GROWING,
            Self::Patient => "patient",
            Self::Listed => Self::LISTED,
        }
    }
}

/// Returns the name of the field that chooses the plan.
fn switch(group: &str) -> String {
    format!("{group}.plan")
}

/// The members of a policy that make waits grow.
const GROWTH: [&str; 4] = [
    "max_retries",
    "initial_seconds",
    "multiplier",
    "max_seconds",
];

/// Returns the fields of a policy. `inherited` is the label of the choice to have no policy.
pub(crate) fn fields(group: &[&str], stored: &Value, inherited: &str) -> Vec<Field> {
    let name = group.join(".");
    let choices = [
        ("inherited", inherited),
        (Plan::GROWING, "Increasing waits"),
        ("patient", "Patient: nine retries over three days"),
        (Plan::LISTED, "Custom list of waits"),
    ];
    let plan = Field {
        help: "Patient waits 5 s, 5 min, 30 min, then 2 to 24 h, as Standard Webhooks recommends."
            .to_owned(),
        ..Field::switch(
            &switch(&name),
            "Retry schedule",
            &choices,
            Plan::of(stored).word(),
        )
    };
    let mut stored = stored.clone();
    let waits = stored["schedule_seconds"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if Plan::of(&stored) != Plan::Growing {
        // The number of retries of a schedule follows from it and cannot be set.
        stored = json!({"jitter": stored["jitter"],
            "retry_client_errors": stored["retry_client_errors"]});
    }
    let growing = schema_form::fields(&growth(), group, &stored)
        .into_iter()
        .map(|field| field.only_when(&plan.name, &[Plan::GROWING]));
    let listed = Field {
        bounds: Some(format!(
            "up to {} of {} to {} seconds each",
            SCHEDULE.end(),
            SCHEDULE_SECONDS.min,
            show::count(u64::from(SCHEDULE_SECONDS.max))
        )),
        value: waits
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
        ..Field::area(&[group, &["schedule_seconds"]].concat(), "Waits (seconds)")
            .only_when(&plan.name, &[Plan::LISTED])
    };
    let own = [Plan::GROWING, "patient", Plan::LISTED];
    let both = schema_form::fields(&always(), group, &stored)
        .into_iter()
        .map(|field| field.only_when(&plan.name, &own));
    std::iter::once(plan.clone())
        .chain(growing)
        .chain([listed])
        .chain(both)
        .collect()
}

fn growth() -> Value {
    let mut numbers = RetryPolicy::numbers();
    numbers.retain(|name, _| GROWTH.contains(&&**name));
    json!({"properties": numbers})
}

fn always() -> Value {
    let mut numbers = RetryPolicy::numbers();
    numbers.retain(|name, _| !GROWTH.contains(&&**name));
    numbers.insert(
        "retry_client_errors".to_owned(),
        json!({"type": "boolean", "default": true}),
    );
    json!({"properties": numbers})
}

/// Sets the retry policy in `members` to the changes that the form makes to the stored policy. Sets
/// nothing if the form changes nothing.
pub(crate) fn apply(form: &Form, group: &[&str], stored: &Value, members: &mut Map<String, Value>) {
    let name = group.join(".");
    let Some(plan) = Plan::chosen(form, &name) else {
        return;
    };
    let is_changed = plan != Plan::of(stored);
    let mut policy = members
        .remove("retry_policy")
        .and_then(|policy| policy.as_object().cloned())
        .unwrap_or_default();
    policy.remove("schedule_seconds");
    match plan {
        Plan::Inherited => {
            if is_changed {
                members.insert("retry_policy".to_owned(), Value::Null);
            }
            return;
        }
        Plan::Growing if is_changed => {
            for member in GROWTH {
                let typed = form.filled(&format!("{name}.{member}"));
                policy.extend(typed.map(|typed| (member.to_owned(), number(typed))));
            }
            // Removes the preset or the list that is stored.
            for member in ["preset", "schedule_seconds"]
                .into_iter()
                .filter(|member| !stored[*member].is_null())
            {
                policy.insert(member.to_owned(), Value::Null);
            }
        }
        Plan::Patient if is_changed => {
            policy.insert("preset".to_owned(), "patient".into());
        }
        Plan::Growing | Plan::Patient => {}
        Plan::Listed => {
            let typed = form
                .text(&format!("{name}.schedule_seconds"))
                .unwrap_or_default();
            let waits: Value = typed
                .split([',', '\n', ' '])
                .map(str::trim)
                .filter(|wait| !wait.is_empty())
                .map(number)
                .collect();
            if waits != stored["schedule_seconds"] {
                policy.insert("schedule_seconds".to_owned(), waits);
            }
        }
    }
    if !policy.is_empty() {
        members.insert("retry_policy".to_owned(), policy.into());
    }
}

/// Parses a number. Other text is returned as a string, which the API refuses.
fn number(typed: &str) -> Value {
    serde_json::from_str(typed)
        .ok()
        .filter(Value::is_number)
        .unwrap_or_else(|| typed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(stored: &Value, form: &str) -> Value {
        let form = Form::parse(form.as_bytes());
        let mut members = schema_form::read(
            &fields(&["retry_policy"], stored, "The organization's"),
            &form,
            !stored.is_null(),
        );
        apply(&form, &["retry_policy"], stored, &mut members);
        members.into()
    }

    #[test]
    fn each_plan_becomes_a_policy() {
        let at = |plan: &str, rest: &str| {
            format!(
                "retry_policy.plan={plan}&retry_policy.max_retries=5&retry_policy.initial_seconds=1&retry_policy.multiplier=2\
                 &retry_policy.max_seconds=3600&retry_policy.jitter=0.1&retry_policy.retry_client_errors=true{rest}"
            )
        };
        let growing =
            json!({"max_retries": 5, "initial_seconds": 1, "multiplier": 2, "max_seconds": 3600});
        let patient = json!({"preset": "patient", "max_retries": 9, "jitter": 0.1,
            "retry_client_errors": true});
        let listed = json!({"schedule_seconds": [5, 60], "max_retries": 2, "jitter": 0.1,
            "retry_client_errors": true});
        let stored = json!({"max_retries": 5, "initial_seconds": 1, "multiplier": 2,
            "max_seconds": 3600, "jitter": 0.1, "retry_client_errors": true});
        let waits = "&retry_policy.schedule_seconds=5%0A60";
        let cases = [
            (Value::Null, at("inherited", ""), json!({})),
            (
                Value::Null,
                at("growing", ""),
                json!({"retry_policy": growing}),
            ),
            (
                Value::Null,
                at("patient", ""),
                json!({"retry_policy": {"preset": "patient"}}),
            ),
            (
                Value::Null,
                at("listed", waits),
                json!({"retry_policy": {"schedule_seconds": [5, 60]}}),
            ),
            (
                Value::Null,
                at("listed", "&retry_policy.schedule_seconds=5,x"),
                json!({"retry_policy": {"schedule_seconds": [5, "x"]}}),
            ),
            (patient.clone(), at("patient", ""), json!({})),
            (listed.clone(), at("listed", waits), json!({})),
            (stored.clone(), at("growing", ""), json!({})),
            (
                stored.clone(),
                at("growing", "").replace("max_retries=5", "max_retries=7"),
                json!({"retry_policy": {"max_retries": 7}}),
            ),
            (
                stored.clone(),
                at("inherited", ""),
                json!({"retry_policy": null}),
            ),
            (
                stored,
                at("listed", ""),
                json!({"retry_policy": {"schedule_seconds": []}}),
            ),
        ];
        for (stored, form, expected) in cases {
            assert_eq!(sent(&stored, &form), expected, "{stored} {form}");
        }
        let mut back = growing;
        back["schedule_seconds"] = Value::Null;
        assert_eq!(
            sent(&listed, &at("growing", "")),
            json!({"retry_policy": back})
        );
    }
}
